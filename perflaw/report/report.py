"""A report on one's own log: log, pilot, runs, findings, in this order and once each."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from tqdm import tqdm

from perflaw import __version__
from perflaw.errors import InputError
from perflaw.logs import measures
from perflaw.logs.interaction_log import InteractionLog
from perflaw.models import ranking, ranking_metrics
from perflaw.models.sweeps import executors, grids, runner
from perflaw.report import pilot
from perflaw.report.conclusions import draw_conclusions
from perflaw.report.findings import METRICS, Findings, plain_values

SCHEMA = 1  # of report.json
PAGE_SECONDS = 30  # of the budget for the page and its notebook, or a fifth of it
FEWEST_ITEMS = 21  # the metrics ask whether an item is among ten
RUN_COLUMNS = (
    "key",
    "n_layers",
    "d_emb",
    "seed",
    "sample_users",
    "tokens",
    "status",
    "done_epochs",
    "seconds",
    *METRICS,
)
"""Columns of a run that report.json keeps."""


@dataclass(frozen=True)
class ReportOptions:
    """What is asked of a report."""

    out: Path
    minutes: float  # for all of it
    workers: int  # processes that train
    progress: bool
    start: float  # from when the minutes count, of time.perf_counter

    def __post_init__(self) -> None:
        """Refuse a budget that is none."""
        if not 0 < self.minutes < math.inf:
            raise InputError(
                f"a budget of {self.minutes:g} minutes is no time; give --budget 10, say"
            )

    @property
    def seconds_left(self) -> float:
        """Seconds until the last run has to be done."""
        deadline = 60 * self.minutes - min(PAGE_SECONDS, 12 * self.minutes)
        return deadline - (time.perf_counter() - self.start)

    def say(self, line: str) -> None:
        """Show a line of progress."""
        if self.progress:
            tqdm.write(line)


@dataclass(frozen=True, eq=False, repr=False)
class Report:
    """A report: the log, the runs of its pilot, and what follows from them."""

    log: Mapping[str, Any]  # name, hash, notes, and the summary of the log
    entropy: Mapping[str, float | None]  # by measure, nats; None where it is undefined
    floor: Mapping[str, float]  # metrics of ranking by popularity
    pilot: Mapping[str, Any]  # users, share, settings, planned, minutes, workers, runs
    findings: Findings

    def to_dict(self) -> dict:
        """Give the values of report.json."""
        values = {
            "schema": SCHEMA,
            "perflaw": __version__,
            "log": self.log,
            "entropy": self.entropy,
            "floor": self.floor,
            "pilot": self.pilot,
        }
        return plain_values(values) | {"judged": self.findings.to_dict()}

    def __repr__(self) -> str:
        """Say what was found."""
        return f"Report on {self.log['name']}\n{self.findings!r}"

    def _repr_html_(self) -> str:
        return self.findings._repr_html_()


def run_report(
    log: InteractionLog,
    out: str | os.PathLike,
    minutes: float = 10,
    workers: int | None = None,
    progress: bool = True,
    start: float | None = None,
) -> Report:
    """Train a pilot on a log and conclude what larger models and more data would bring.

    Parameters
    ----------
    log
        Whose users, items and order are forecast for.
    out
        Folder of the report. Records of runs go to its folder runs, where a second call finds
        them.
    minutes
        Budget for all of it. No run begins that is not expected to end in time.
    workers
        Number of processes that train; by default one for each core.
    progress
        Whether to show bars, and notes on the log.
    start
        From when the budget counts, of `time.perf_counter`; by default from now.

    Returns
    -------
    Report
        Its `to_dict` is report.json; `perflaw.report.render.write_report` writes the page.

    Raises
    ------
    InputError
        For a log on which nothing can be trained or said, a budget too small for it, and a folder
        that has a report on other data or cannot be written to.

    Examples
    --------
    >>> from perflaw.logs.interaction_log import from_histories
    >>> run_report(from_histories([[1, 2, 3, 4]] * 30), "report")
    Traceback (most recent call last):
    ...
    perflaw.errors.InputError: log has 4 items, and the metrics ask whether the next one is among \
ten; 21 are the least
    """
    options = ReportOptions(
        Path(out),
        minutes,
        workers or os.cpu_count() or 1,
        progress,
        time.perf_counter() if start is None else start,
    )
    _check_folder(options.out, log)
    _check_items(log)
    if log.timestamps is None:
        options.say(_describe_missing_times(log))
    plan = pilot.plan_pilot(log, options.seconds_left, options.workers, options.out / "runs")
    if plan.share < 1:
        options.say(
            f"{log.name} is long for {options.minutes:g} minutes: the pilot uses "
            f"{plan.log.n_users:,} of its {log.n_users:,} users"
        )
    entropy = measures.measure_log(log, measures.available_measures())
    floor = _popularity_metrics(plan.log)
    runs = _train(plan, options)
    return Report(
        {"name": log.name, **log.summary(), "hash": log.hash, "notes": list(log.notes)},
        {name: None if isinstance(value, InputError) else value for name, value in entropy.items()},
        floor,
        {
            "users": plan.log.n_users,
            "share": plan.share,
            "settings": pilot.SETTINGS,
            "planned": len(plan.grid["grid"]),
            "minutes": options.minutes,
            "workers": options.workers,
            "runs": runs[list(RUN_COLUMNS)].sort_values("key"),
        },
        draw_conclusions(runs, plain_values(floor)),
    )


def _check_folder(out: Path, log: InteractionLog) -> None:
    """Refuse a folder that has a report on other data."""
    try:
        reported = json.loads((out / "report.json").read_text(encoding="utf-8"))["log"]
    except (OSError, ValueError, KeyError, TypeError):
        return
    if reported.get("hash") != log.hash:
        raise InputError(
            f"{out} has a report on other data, or on the same read otherwise "
            f"({reported.get('name')}); name another folder with --out, or remove it"
        )


def _check_items(log: InteractionLog) -> None:
    """Refuse a log of so few items that metrics at ten say nothing."""
    if log.n_items < FEWEST_ITEMS:
        raise InputError(
            f"{log.name} has {log.n_items} items, and the metrics ask whether the next one is "
            f"among ten; {FEWEST_ITEMS} are the least"
        )


def _describe_missing_times(log: InteractionLog) -> str:
    notes = [note for note in log.notes if note.startswith("time")]
    return "\n".join(notes) or f"{log.name} has no times; the order of each history is all there is"


def _popularity_metrics(log: InteractionLog) -> dict[str, float]:
    """Evaluate ranking by popularity on the users of the pilot."""
    split = grids.split_of(log, grids.TrainingData())
    ranks = ranking.rank_by_item_scores(ranking.item_popularity(split), split, split.test)
    return {"HR@10": ranking_metrics.hit_rate(ranks), "NDCG@10": ranking_metrics.ndcg(ranks)}


def _train(plan: pilot.Pilot, options: ReportOptions) -> pd.DataFrame:
    """Train the pilot, as far as the budget goes."""
    runs = runner.run(
        plan.grid,
        plan.log,
        options.out / "runs",
        executors.process_pool(options.workers),
        seconds=options.seconds_left,
        progress=options.progress,
    )
    if runs.empty:
        raise InputError(
            f"no run of {plan.log.name} came to an end; give it more time with --budget"
        )
    if "NDCG@10" not in runs:
        raise InputError(
            f"no run of {plan.log.name} came to an end; the first: {runs['status'].iloc[0]}"
        )
    return runs
