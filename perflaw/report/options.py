"""What is asked of a report."""

from __future__ import annotations

import math
import shlex
import sys
import time
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any

from tqdm import tqdm

from perflaw.cores import count_cores
from perflaw.errors import InputError
from perflaw.models import configuration
from perflaw.models.sweeps import grids
from perflaw.models.training import preparation
from perflaw.report.findings import METRICS

PAGE_SECONDS, PAGE_SHARE = 30, 0.2  # of the budget for the page and its notebook: the lesser
PRIOR_BACKBONE, PRIOR_SPLIT = "sasrec", "leave one out"  # on which the prior stands


def minutes_for(seconds: float) -> int:
    """Give a budget, in minutes, that leaves so many seconds for runs."""
    return math.ceil(min(seconds / (1 - PAGE_SHARE), seconds + PAGE_SECONDS) / 60)


@dataclass(frozen=True)
class ReportOptions:
    """What is asked of a report, checked."""

    out: Path
    minutes: float  # for all of it
    workers: int  # processes that train
    progress: bool
    start: float  # from when the minutes count, of time.perf_counter
    source: str  # the log on a command line, with the options by which it is read
    metric: str = METRICS[0]  # from which conclusions are drawn
    device: str = "cpu"
    backbone: str = PRIOR_BACKBONE
    split: str = PRIOR_SPLIT
    epochs: int | None = None  # at most, of a run; None as in the prior's runs
    patience: int | None = None  # likewise: validations without a better one, until a run stops
    sample: bool = False  # whether fewer than one in sixteen of the users may do

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        if not 0 < self.minutes < math.inf:
            raise InputError(
                f"a budget of {self.minutes:g} minutes is no time; give --budget 10, say"
            )
        if self.metric not in METRICS:
            raise InputError(
                f"a report cannot be on {self.metric!r}; --metric is one of {', '.join(METRICS)}"
            )
        if self.split not in grids.SPLIT_RULES:
            raise InputError(
                f"there is no split {self.split!r}; --split is one of "
                f"{', '.join(grids.SPLIT_RULES)}"
            )
        configuration.make_config(
            **{name: value for name, value in self.changes.items() if name != "split"}
        )
        preparation.check_device(self.device)

    @property
    def records(self) -> Path:
        """Folder of the records of the pilot's runs."""
        return self.out / "runs"

    @property
    def seconds_left(self) -> float:
        """Seconds until the last run has to be done."""
        return self.planned_seconds - (time.perf_counter() - self.start)

    @property
    def planned_seconds(self) -> float:
        """Seconds that runs may take by the budget alone, by whatever was done before."""
        seconds = 60 * self.minutes
        return seconds - min(PAGE_SECONDS, PAGE_SHARE * seconds)

    @property
    def metrics(self) -> tuple[str, ...]:
        """Metrics that are forecast, the one of the conclusions first."""
        return (self.metric, *(metric for metric in METRICS if metric != self.metric))

    @property
    def changes(self) -> dict[str, Any]:
        """Settings that differ from those on which the prior stands."""
        asked = {
            "backbone": self.backbone,
            "split": self.split,
            "epochs": self.epochs,
            "patience": self.patience,
        }
        usual = {"backbone": PRIOR_BACKBONE, "split": PRIOR_SPLIT}
        return {name: value for name, value in asked.items() if value != usual.get(name)}

    def repeat(self, minutes: float) -> str:
        """Write the command of this report with another budget."""
        words = ["--out", str(self.out), "--budget", f"{minutes:g}"]
        if self.workers != count_cores():
            words += ["--workers", str(self.workers)]
        for field in fields(self):
            value = getattr(self, field.name)
            if field.default is not MISSING and value != field.default:
                words += [f"--{field.name}"] if value is True else [f"--{field.name}", str(value)]
        return f"perflaw report {self.source} {shlex.join(words)}"

    def say(self, line: str) -> None:
        """Show a line of progress."""
        if self.progress:
            tqdm.write(line, file=sys.stderr)
