"""`perflaw log`: describe an interaction log."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from perflaw.cli.options import (
    JSON_OPTION,
    QUIET_OPTION,
    as_options,
    describe_reading,
    echo_json,
    load_log,
    log_options,
    one_line_errors,
)
from perflaw.errors import InputError

if TYPE_CHECKING:
    from perflaw.logs.interaction_log import InteractionLog
    from perflaw.logs.splits import Split


@click.command()
@log_options()
@JSON_OPTION
@QUIET_OPTION
@one_line_errors()
def command(log: str, as_json: bool, quiet: bool, **options: Any) -> None:
    """Describe a log, and how it would be split and ranked.

    LOG is a file (Parquet, CSV, TSV, JSON lines, RecBole's .inter, MovieLens' u.data and
    ratings.dat, `user item` or `user item item …` a line, lists of items in cells; packed with
    gzip, bzip2, xz or zstd if need be), a folder of Parquet files with --parts, the name of a
    log in the folder PERFLAW_DATA, or one of synthetic, ml-100k, ml-1m. What is not given about
    its columns is guessed, and the guess is reported.

    \b
    --json prints one object with the keys
      log, hash     the name, and the hash of the histories
      summary       users, items, interactions, first_time and last_time (ISO
                    8601 in UTC, null without a clock), lengths, repeats and ties
      guesses       a sentence for each guess that was made
      notes         a sentence for what was left out or looks odd
    """  # noqa: D301 (click reads the escape)
    from perflaw.logs import splits

    interactions = load_log(log, options)
    if as_json:
        echo_json(
            {
                "log": interactions.name,
                "hash": interactions.hash,
                "summary": _summarize(interactions),
                **describe_reading(interactions),
            }
        )
        return
    leave_one_out, no_leave_one_out = _try_to_split(splits.leave_one_out, interactions)
    global_time, no_global_time = _try_to_split(splits.global_time, interactions)
    _echo_summary(interactions, leave_one_out, quiet)
    click.echo("\nwhat would be done")
    if leave_one_out:
        sizes = leave_one_out.summary()
        _echo_row(
            "split",
            f"leave one out: train on {sizes['train_tokens']:,} interactions"
            f" of {sizes['train_users']:,} users,",
        )
        _echo_row(
            "",
            f"validate on {sizes['validation_targets']:,} and test on"
            f" {sizes['test_targets']:,} users with three interactions or more",
        )
    else:
        _echo_row("split", f"leave one out: not possible; {no_leave_one_out}")
    if global_time:
        targets = global_time.summary()["test_targets"]
        _echo_row("", f"{global_time.rule}: {targets:,} users can be tested")
    else:
        _echo_row("", f"global time: not possible; {no_global_time}")
    if leave_one_out:
        _echo_ranking(leave_one_out)


def _echo_row(label: str, text: str) -> None:
    click.echo(f"{label:<10}{text}")


def _summarize(log: InteractionLog) -> dict[str, Any]:
    """Return the summary of a log under the keys of --json."""
    summary = log.summary()
    tokens, first, last = (summary.pop(name) for name in ("tokens", "first", "last"))
    sizes = {"users": summary.pop("users"), "items": summary.pop("items"), "interactions": tokens}
    if log.timestamps is not None:
        ends = (log.timestamps.min(), log.timestamps.max())
        first, last = (_as_iso(float(seconds)) for seconds in ends)
    return {**sizes, "first_time": first, "last_time": last, **summary}


def _as_iso(seconds: float) -> str:
    """Write seconds since 1970 as ISO 8601 in UTC, with a fraction only if there is one."""
    import numpy as np

    microseconds = round(seconds * 1e6)
    unit, count = ("us", microseconds) if microseconds % 10**6 else ("s", microseconds // 10**6)
    return f"{np.datetime64(count, unit)}Z"  # type: ignore[call-overload]


def _echo_summary(log: InteractionLog, split: Split | None, quiet: bool) -> None:
    """Print what is in a log."""
    summary = log.summary()
    click.echo(
        f"{log.name}: {summary['users']:,} users, {summary['items']:,} items, "
        f"{summary['tokens']:,} interactions"
    )
    for number, note in enumerate(() if quiet else log.notes):
        _echo_row("" if number else "read as", as_options(note))
    quantiles = ("05", "25", "50", "75", "95")
    lengths = " · ".join(f"{summary[f'length_q{quantile}']:,.0f}" for quantile in quantiles)
    _echo_row(
        "length",
        f"mean {summary['length_mean']:,.1f}; {summary['length_min']:,} to "
        f"{summary['length_max']:,}; 5, 25, 50, 75, 95 % at {lengths}",
    )
    if summary["repeats"]:
        share = f"{_percent(summary['repeats'])} of interactions"
        _echo_row("repeats", f"{share} are with an item the user had before")
    else:
        _echo_row("repeats", "none")
    _echo_row("density", f"{_percent(summary['density'], 3)} of pairs of user and item")
    if log.timestamps is None:
        _echo_row("time", "no clock; the order of each history is all there is")
    else:
        _echo_times(summary, split)
    _echo_row("hash", log.hash)


def _percent(share: Any, digits: int = 1) -> str:
    """Write a share in per cent."""
    return f"{100 * share:.{digits}f} %"


def _echo_times(summary: dict[str, Any], split: Split | None) -> None:
    """Print the span of a log's times, and how many are tied."""
    span = f"{summary['span_days']:,.1f} days"
    _echo_row("time", f"{summary['first']} to {summary['last']}, {span}")
    _echo_row(
        "ties",
        f"{_percent(summary['ties'])} of interactions share their time with another of the user, "
        "and keep the file's order",
    )
    _echo_row("", f"{summary['duplicates']:,} rows are exact duplicates")
    if split:
        tied = split.summary()["tied"]
        _echo_row("", f"{_percent(tied)} of test targets were chosen by the file's order")


def _echo_ranking(split: Split) -> None:
    """Print how items would be ranked, and the metrics of ranking them by popularity."""
    from perflaw.models import ranking, ranking_metrics

    popularity = ranking.item_popularity(split)
    seen = ranking.rule_of_record(split)
    ranks, ties = ranking.rank_by_item_scores(popularity, split, split.test, seen)
    removed = "none removed, as items repeat"
    if seen == ranking.Seen.HISTORY:
        removed = "without those of the user's history, as nothing repeats"
    _echo_row("ranking", f"of all {split.log.n_items:,} items, {removed}")
    hit_rate = ranking_metrics.hit_rate(ranks, ties=ties)
    ndcg = ranking_metrics.ndcg(ranks, ties=ties)
    _echo_row("floor", f"most popular, so ranked: HR@10 {hit_rate:.4f}, NDCG@10 {ndcg:.4f}")


def _try_to_split(
    split: Callable[[InteractionLog], Split], log: InteractionLog
) -> tuple[Split | None, InputError | None]:
    """Return the split, or else why there is none: one of the two is None."""
    try:
        return split(log), None
    except InputError as error:
        return None, error
