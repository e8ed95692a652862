"""A report on one's own log: log, pilot, runs, findings, in this order and once each."""

from __future__ import annotations

import json
import math
import os
import shlex
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from perflaw import __version__
from perflaw.cores import count_cores
from perflaw.errors import InputError, check_kind
from perflaw.logs import measures
from perflaw.logs.interaction_log import InteractionLog
from perflaw.models.baselines import BaselineGrowth, rank_baselines
from perflaw.models.sweeps import executors, runner
from perflaw.models.training import run_records
from perflaw.report import pilot
from perflaw.report.baselines import compare_baselines
from perflaw.report.conclusions import draw_conclusions, forecast_runs
from perflaw.report.findings import (
    METRICS,
    Advice,
    Findings,
    plain_values,
    render_sentences,
)
from perflaw.report.measurements import by_rule_of_record, measured_from_table
from perflaw.report.options import PRIOR_SPLIT, ReportOptions
from perflaw.report.sentences import describe_sample, format_minutes, summarize_advice
from perflaw.tables import LINE

SCHEMA = 1  # of report.json
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


@dataclass(frozen=True, eq=False, repr=False)
class Report:
    """A report: a log and the runs of its pilot, or runs alone, and what follows from them."""

    log: Mapping[str, Any]  # name, and of a log that was read its hash, notes and summary
    entropy: Mapping[str, float | None]  # by measure, nats; None where it is undefined
    floor: Mapping[str, float]  # metrics of ranking by popularity
    pilot: Mapping[str, Any]  # runs, and of a pilot users, share, settings, planned, minutes, ...
    findings: Findings
    metrics: tuple[str, ...] = METRICS  # that are forecast; conclusions are drawn from the first
    command: str | None = None  # to call next: it trains the size recommended, or goes on
    baseline_growth: Mapping[str, Any] | None = None  # of a Markov chain: name, slope, se

    @property
    def says(self) -> tuple[str, ...]:
        """The findings in sentences, after what they are of where that is not the whole log."""
        if self.pilot.get("share", 1) == 1:
            return self.findings.says
        return (describe_sample(self.pilot["users"], self.log["users"]), *self.findings.says)

    @property
    def headline(self) -> dict[str, str]:
        """Verdict, gain, certainty and next command, a line each; first of whom, if not of all."""
        lines = summarize_advice(self.findings, self.command)
        if self.pilot.get("share", 1) == 1:
            return lines
        seen = f"{self.pilot['users']:,} of the log's {self.log['users']:,} users"
        return {"Seen": seen} | lines

    def to_dict(self) -> dict:
        """Give the values of report.json."""
        values = {
            "schema": SCHEMA,
            "perflaw": __version__,
            "log": self.log,
            "metrics": self.metrics,
            "entropy": self.entropy,
            "floor": self.floor,
            "pilot": self.pilot,
            "headline": self.headline,
            "command": self.command,
            "baseline_growth": self.baseline_growth,
        }
        return plain_values(values) | {"judged": self.findings.to_dict()}

    def __repr__(self) -> str:
        """Say what was found."""
        lines = [f"{name}: {line}" for name, line in self.headline.items()]
        return "\n".join([f"Report on {self.log['name']}", *lines, *self.says])

    def _repr_html_(self) -> str:
        return render_sentences(self.says)


def run_report(
    log: InteractionLog,
    out: str | os.PathLike,
    minutes: float = 10,
    workers: int | None = None,
    progress: bool = True,
    start: float | None = None,
    source: str | None = None,
    on_run: Callable[[dict], object] | None = None,
    **choices: Any,
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
    source
        The log on a command line, with the options by which it is read; by default its name.
    on_run
        Called with the record of each run when it ends: for an experiment tracker, say.
    **choices
        metric, device, backbone, split, epochs, patience and sample: see `ReportOptions`.

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
    check_kind(log, InteractionLog, "read one with perflaw.logs.read_log")
    options = ReportOptions(
        Path(out),
        minutes,
        workers or count_cores(),
        progress,
        time.perf_counter() if start is None else start,
        source or shlex.quote(log.name),
        **choices,
    )
    _check_printable(log.name, options.source, str(options.out))
    _check_folder(options.out, log)
    _check_items(log)
    if log.timestamps is None:
        options.say(_describe_missing_times(log))
    plan = _plan(log, options)
    run_records.check_folder(options.records)
    entropy = measures.measure_log(log, measures.available_measures())
    ranked = rank_baselines(plan.log, options.split, with_growth=options.split == PRIOR_SPLIT)
    floor = plain_values(ranked.metrics()["most popular"])
    growth = plain_values(ranked.growth)  # as report.json has it
    runs = _train(plan, options, on_run)
    findings = draw_conclusions(
        runs,
        floor,
        baselines=partial(compare_baselines, ranked, options.records, metric=options.metric),
        metrics=options.metrics,
        baseline_growth=growth and BaselineGrowth(**growth),
    )
    return Report(
        {"name": log.name, **log.summary(), "hash": log.hash, "notes": list(log.notes)},
        {name: None if isinstance(value, InputError) else value for name, value in entropy.items()},
        floor,
        {
            "users": plan.log.n_users,
            "share": plan.share,
            "settings": plan.grid["settings"],
            "planned": len(plan.grid["grid"]),
            "minutes": options.minutes,
            "workers": options.workers,
            "runs": by_rule_of_record(runs, METRICS)[list(RUN_COLUMNS)].sort_values("key"),
        },
        findings,
        options.metrics,
        _next_command(options, plan, findings, len(runs)),
        growth,
    )


def _plan(log: InteractionLog, options: ReportOptions) -> pilot.Pilot:
    """Plan the pilot, and say what comes."""
    plan = pilot.plan_pilot(
        log,
        options.planned_seconds,
        options.workers,
        options.records,
        options.changes,
        options.sample,
    )
    if not any(options.records.glob("*.json")):
        pilot.check_fixed_work(log, plan, options.minutes, options.workers)
    options.say(
        f"{log.name}: entropy and baselines are measured; then up to {len(plan.grid['grid'])} "
        f"small models are trained, {format_minutes(options.minutes)} in all"
    )
    if plan.share < 1:
        options.say(
            f"{log.name} is long for {format_minutes(options.minutes)}: the pilot uses "
            f"{plan.log.n_users:,} of its {log.n_users:,} users"
        )
    return plan


def report_on_runs(runs: pd.DataFrame, name: str, metric: str = METRICS[0]) -> Report:
    """Report on runs of one's own, without a log and without training.

    Parameters
    ----------
    runs, metric
        As for `forecast_runs`.
    name
        What the runs are called.

    Returns
    -------
    Report
        Without log, entropy and baselines.

    Raises
    ------
    InputError
        For a column that is missing, for a value that cannot be, and for runs of which nothing can
        be forecast.
    """
    _check_printable(name, metric)
    measured_from_table(runs, metric)  # what cannot be is refused as it was given
    if runs.index.name == LINE:
        runs = runs.drop(columns=LINE, errors="ignore").reset_index()
    runs = pd.DataFrame(plain_values(runs))  # as report.json has them
    findings = forecast_runs(runs, metric)
    if not findings.metrics:
        raise InputError(f"{name}: nothing can be forecast: {'; '.join(findings.reasons)}")
    return Report({"name": name}, {}, {}, {"runs": runs}, findings, (metric,))


def _check_printable(*names: str) -> None:
    """Refuse names that a page in UTF-8 cannot show, before anything is trained."""
    for name in names:
        try:
            name.encode()
        except UnicodeEncodeError:
            raise InputError(f"{name!r} is no text in UTF-8; rename it") from None


def _check_folder(out: Path, log: InteractionLog) -> None:
    """Refuse a folder that has a report on other data."""
    try:
        reported = json.loads((out / "report.json").read_text(encoding="utf-8"))["log"]
        key, name = reported.get("hash"), reported.get("name")
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return
    if key != log.hash:
        raise InputError(
            f"{out} has a report on other data, or on the same read otherwise "
            f"({name}); name another folder with --out, or remove it"
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


def _next_command(
    options: ReportOptions, plan: pilot.Pilot, findings: Findings, done: int
) -> str | None:
    """Give the line that trains the size advised, or that goes on where too little was run."""
    size, settings = findings.recommendation.size, plan.grid["settings"]
    helps = plan.share < 1 if findings.lacks_users else done < len(plan.grid["grid"])
    if findings.recommendation.advice == Advice.UNKNOWN and helps:
        return options.repeat(max(1, 2 * options.minutes))
    if size is None or "split" in settings:  # `perflaw train` leaves one out
        return None
    settings = {"n_layers": size.n_layers, "d_emb": size.d_emb, **settings}
    given = " ".join(f"-o {name} {value}" for name, value in settings.items())
    device = "" if options.device == "cpu" else f" --device {options.device}"
    return f"perflaw train {options.source} {given}{device}"


def _train(
    plan: pilot.Pilot, options: ReportOptions, on_run: Callable[[dict], object] | None
) -> pd.DataFrame:
    """Train the pilot, as far as the budget goes."""
    before = time.perf_counter() - options.start
    runs = runner.run(
        plan.grid,
        plan.log,
        options.records,
        executors.process_pool(options.workers) if options.device == "cpu" else None,
        device=options.device,
        seconds=options.seconds_left,
        progress=options.progress,
        on_run=on_run,
    )
    if runs.empty:
        enough = pilot.minutes_for(before + plan.seconds / options.workers)
        raise InputError(
            f"no run of {plan.log.name} came to an end: reading, entropy and baselines took "
            f"{before:.0f} s of the budget of {60 * options.minutes:g} s; give --budget "
            f"{max(enough, math.ceil(2 * options.minutes))}, in minutes"
        )
    if "NDCG@10" not in runs:
        raise InputError(
            f"no run of {plan.log.name} came to an end; the first: {runs['status'].iloc[0]}"
        )
    return runs
