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
PRIOR_SPLIT = "leave one out"  # with which the prior was learnt
LOG_PLACEHOLDER = "LOG"  # in a command, of a log whose file is not known


def minutes_for(seconds: float) -> int:
    """Give a budget, in minutes, that leaves so many seconds for runs."""
    return math.ceil(min(seconds / (1 - PAGE_SHARE), seconds + PAGE_SECONDS) / 60)


@dataclass(frozen=True)
class ReportOptions:
    """What is asked of a report, checked.

    A field with a default is an option of `perflaw report` of the same name.
    """

    out: Path
    minutes: float  # for all of it
    workers: int  # processes that train
    progress: bool
    start: float  # from when the minutes count, of time.perf_counter
    source: str | None  # the log on a command line, with the options by which it is read
    metric: str = METRICS[0]  # from which conclusions are drawn
    device: str = "cpu"
    backbone: str = "sasrec"
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
        if self.workers < 1:
            raise InputError(f"{self.workers} workers cannot train; give --workers 1, or more")
        if self.metric not in METRICS:
            raise InputError(
                f"a report cannot be on {self.metric!r}; --metric is one of {', '.join(METRICS)}"
            )
        if self.split not in grids.SPLIT_RULES:
            raise InputError(
                f"there is no split {self.split!r}; --split is one of "
                f"{', '.join(grids.SPLIT_RULES)}"
            )
        settings = {name: value for name, value in self.changed_settings.items() if name != "split"}
        configuration.make_config(**settings)
        preparation.check_device(self.device)

    @property
    def records(self) -> Path:
        """Folder of the records of the pilot's runs."""
        return self.out / "runs"

    @property
    def training_seconds(self) -> float:
        """Seconds of the budget without the page: runs, and what comes before them."""
        seconds = 60 * self.minutes
        return seconds - min(PAGE_SECONDS, PAGE_SHARE * seconds)

    @property
    def seconds_left(self) -> float:
        """Seconds until the last run has to be done."""
        return self.training_seconds - (time.perf_counter() - self.start)

    @property
    def metrics(self) -> tuple[str, ...]:
        """Metrics that are forecast, the one of the conclusions first."""
        return (self.metric, *(metric for metric in METRICS if metric != self.metric))

    @property
    def changed_settings(self) -> dict[str, Any]:
        """Settings of the runs that differ from those with which the prior was learnt."""
        names = ("backbone", "split", "epochs", "patience")
        return {name: value for name, value in self._changed_options.items() if name in names}

    @property
    def _changed_options(self) -> dict[str, Any]:
        """Options with another value than their default."""
        defaults = {field.name: field.default for field in fields(self)}
        return {
            name: value
            for name, value in vars(self).items()
            if defaults[name] not in (MISSING, value)
        }

    def repeat(self, minutes: float) -> str:
        """Write the command of this report with another budget."""
        words = ["--out", str(self.out), "--budget", f"{minutes:g}"]
        if self.workers != count_cores():
            words += ["--workers", str(self.workers)]
        for name, value in self._changed_options.items():
            words += [f"--{name}"] if value is True else [f"--{name}", str(value)]
        return f"perflaw report {self.source or LOG_PLACEHOLDER} {shlex.join(words)}"

    def say(self, line: str) -> None:
        """Show a line of progress."""
        if self.progress:
            tqdm.write(line, file=sys.stderr)
