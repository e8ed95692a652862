"""A report on one's own log: log, pilot, runs, findings, in this order and once each."""

from __future__ import annotations

import json
import math
import os
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
from perflaw.report.options import LOG_PLACEHOLDER, PRIOR_SPLIT, ReportOptions, minutes_for
from perflaw.report.sentences import describe_sample, format_minutes, summarize_advice
from perflaw.tables import LINE

SCHEMA = 1  # of report.json
FEWEST_ITEMS = 21  # the metrics ask whether an item is among ten
RUN_COLUMNS = [
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
]
"""Columns of a run that report.json keeps."""


@dataclass(frozen=True, eq=False, repr=False)
class Report:
    """A report: a log and the runs of its pilot, or runs alone, and what follows from them."""

    log: Mapping[str, Any]  # name, and of a log that was read its hash, notes and summary
    entropy: Mapping[str, float | None]  # by measure, nats; None where it is undefined
    floor: Mapping[str, float]  # metrics of ranking by popularity
    pilot: Mapping[str, Any]  # runs, and of a pilot users, share, settings, planned, minutes, ...
    findings: Findings
    metrics: tuple[str, ...]  # that are forecast; conclusions are drawn from the first
    command: str | None = None  # to call next: it trains the size recommended, or goes on
    baseline_growth: Mapping[str, Any] | None = None  # of a Markov chain: name, slope, se

    @property
    def says(self) -> tuple[str, ...]:
        """The findings in sentences; first how many of the users they are of, if not of all."""
        if not self._is_of_sample:
            return self.findings.says
        return (describe_sample(self.pilot["users"], self.log["users"]), *self.findings.says)

    @property
    def headline(self) -> dict[str, str]:
        """Verdict, gain, certainty and next command; first of how many users, if not of all."""
        lines = summarize_advice(self.findings, self.command)
        if not self._is_of_sample:
            return lines
        seen = f"{self.pilot['users']:,} of the log's {self.log['users']:,} users"
        return {"Seen": seen} | lines

    @property
    def _is_of_sample(self) -> bool:
        """Whether the pilot saw some of the users only; runs alone have no share."""
        return self.pilot.get("share", 1) < 1

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
        Whether to show bars, and what comes.
    start
        From when the budget counts, of `time.perf_counter`; by default from now.
    source
        The log on a command line, with the options by which it is read, for the next command.
        Without it that command says LOG in its place, and how to make such a file.
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
        source,
        **choices,
    )
    _check_request(log, options)
    plan = _plan_pilot(log, options)
    run_records.check_folder(options.records)
    entropy = measures.measure_log(log, measures.available_measures())
    ranked = rank_baselines(plan.log, options.split, with_growth=options.split == PRIOR_SPLIT)
    # rounded as in report.json, so that its notebook draws the same conclusions
    floor = plain_values(ranked.metrics()["most popular"])
    growth = plain_values(ranked.growth)
    runs = _train_pilot(plan, options, on_run)
    findings = draw_conclusions(
        runs,
        floor,
        baselines=partial(compare_baselines, ranked, options.records, metric=options.metric),
        metrics=options.metrics,
        baseline_growth=growth and BaselineGrowth(**growth),
    )
    return Report(
        log={"name": log.name, **log.summary(), "hash": log.hash, "notes": list(log.notes)},
        entropy={
            name: None if isinstance(value, InputError) else value
            for name, value in entropy.items()
        },
        floor=floor,
        pilot=_describe_pilot(plan, options, runs),
        findings=findings,
        metrics=options.metrics,
        command=_next_command(options, plan, findings, len(runs)),
        baseline_growth=growth,
    )


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
    measured_from_table(runs, metric)  # refuses a bad value as it was given, before it is rounded
    if runs.index.name == LINE:
        # a copy, as pandas warns of columns that are added to a table in many pieces
        runs = runs.drop(columns=LINE, errors="ignore").copy().reset_index()
    # rounded as in report.json, so that its notebook draws the same conclusions
    runs = pd.DataFrame(plain_values(runs))
    findings = forecast_runs(runs, metric)
    if not findings.metrics:
        raise InputError(f"{name}: nothing can be forecast: {'; '.join(findings.reasons)}")
    return Report(
        log={"name": name},
        entropy={},
        floor={},
        pilot={"runs": runs},
        findings=findings,
        metrics=(metric,),
    )


def _check_request(log: InteractionLog, options: ReportOptions) -> None:
    """Refuse names, a folder and a log of which no report can be made, before anything is done."""
    _check_printable(log.name, options.source or "", str(options.out))
    refuse_other_report(options.out, {"hash": log.hash})
    if log.n_items < FEWEST_ITEMS:
        raise InputError(
            f"{log.name} has {log.n_items} items, and the metrics ask whether the next one is "
            f"among ten; {FEWEST_ITEMS} are the least"
        )


def _check_printable(*names: str) -> None:
    """Refuse names that a page in UTF-8 cannot show."""
    for name in names:
        try:
            name.encode()
        except UnicodeEncodeError:
            raise InputError(f"{name!r} is no text in UTF-8; rename it") from None


def refuse_other_report(out: Path, source: Mapping[str, str | None]) -> None:
    """Refuse a folder that has a report on other data, or a page that is none.

    Parameters
    ----------
    out
        Folder of a report.
    source
        What tells its data from others: hash of a log, or hash None and name of one's own runs.

    Raises
    ------
    InputError
        With what is there.
    """
    try:
        reported = json.loads((out / "report.json").read_text(encoding="utf-8"))["log"]
        found = {name: reported.get(name) for name in ("name", *source)}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        if (out / "report.html").exists():
            raise InputError(
                f"{out} has a report.html without a report.json that goes with it; name another "
                "folder with --out, or remove it"
            ) from None
        return
    if any(found[name] != value for name, value in source.items()):
        raise InputError(
            f"{out} has a report on other data, or on the same read otherwise "
            f"({found['name']}); name another folder with --out, or remove it"
        )


def _plan_pilot(log: InteractionLog, options: ReportOptions) -> pilot.Pilot:
    """Plan the pilot, and say what comes."""
    if log.timestamps is None and not log.notes:
        options.say(f"{log.name} has no times; the order of each history is all there is")
    plan = pilot.plan_pilot(
        log,
        options.training_seconds,
        options.workers,
        options.records,
        options.changed_settings,
        options.sample,
    )
    if not any(options.records.glob("*.json")):
        pilot.check_fixed_work(log, plan, options.minutes, options.workers)
    budget = format_minutes(options.minutes)
    options.say(
        f"{log.name}: entropy and baselines are measured; then up to {len(plan.grid['grid'])} "
        f"small models are trained, {budget} in all"
    )
    if plan.share < 1:
        options.say(
            f"{log.name} is long for {budget}: the pilot uses {plan.log.n_users:,} of its "
            f"{log.n_users:,} users"
        )
    return plan


def _train_pilot(
    plan: pilot.Pilot, options: ReportOptions, on_run: Callable[[dict], object] | None
) -> pd.DataFrame:
    """Train the pilot, as far as the budget goes."""
    seconds_before = time.perf_counter() - options.start
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
        enough = minutes_for(seconds_before + plan.seconds / options.workers)
        raise InputError(
            f"no run of {plan.log.name} came to an end: reading, entropy and baselines took "
            f"{seconds_before:.0f} s of the budget of {60 * options.minutes:g} s; give --budget "
            f"{max(enough, math.ceil(2 * options.minutes))}, in minutes"
        )
    if "NDCG@10" not in runs:
        raise InputError(
            f"no run of {plan.log.name} came to an end; the first: {runs['status'].iloc[0]}"
        )
    return runs


def _describe_pilot(
    plan: pilot.Pilot, options: ReportOptions, runs: pd.DataFrame
) -> dict[str, Any]:
    """Give what report.json says of a pilot and of its runs."""
    return {
        "users": plan.log.n_users,
        "share": plan.share,
        "settings": plan.grid["settings"],
        "planned": len(plan.grid["grid"]),
        "minutes": options.minutes,
        "workers": options.workers,
        "runs": by_rule_of_record(runs, METRICS)[RUN_COLUMNS].sort_values("key"),
    }


def _next_command(
    options: ReportOptions, plan: pilot.Pilot, findings: Findings, n_done: int
) -> str | None:
    """Write the command that trains the size advised, or that goes on where too little was run."""
    settings = plan.grid["settings"]
    size = findings.recommendation.size
    more_may_help = plan.share < 1 if findings.lacks_users else n_done < len(plan.grid["grid"])
    if findings.recommendation.advice == Advice.UNKNOWN and more_may_help:
        command = options.repeat(max(1, 2 * options.minutes))
    elif size is None or "split" in settings:  # `perflaw train` leaves one out
        return None
    else:
        chosen = {"n_layers": size.n_layers, "d_emb": size.d_emb, **settings}
        words = [f"-o {name} {value}" for name, value in chosen.items()]
        if options.device != "cpu":
            words.append(f"--device {options.device}")
        command = f"perflaw train {options.source or LOG_PLACEHOLDER} {' '.join(words)}"
    if options.source is None:
        command += f"  # {LOG_PLACEHOLDER}: a file that perflaw.logs.write_log makes of the log"
    return command
