"""The book's tables of logs, and what was recorded of logs that may not be handed on.

Public logs are measured once and the numbers kept in data/logs/ (data/README.md says how);
`with_recorded_logs` lays them beside those of the logs that are here.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from perflaw.errors import InputError
from perflaw.logs import datasets
from perflaw.logs.interaction_log import InteractionLog
from perflaw.logs.splits import Split, global_time, leave_one_out
from perflaw.models import ranking, ranking_metrics
from perflaw.paths import study_folder
from perflaw.study.analysis import entropy_tables

TIES_REVERSED = "ties reversed"


def log_tables_folder() -> Path:
    """Find the folder of the recorded tables, data/logs/ of the clone."""
    return study_folder() / "data" / "logs"


def load_study_logs(names: Iterable[str] = ()) -> dict[str, InteractionLog]:
    """Load logs by name: those named, or else all that are here.

    A file is named by its path from the project's root, and is called by the name of its log.
    """
    logs = {}
    for name in names or datasets.available_logs():
        path = study_folder() / name
        if path.is_file():
            log = datasets.load_log(path)
            logs[log.name] = log
        else:
            logs[name] = datasets.load_log(name)
    return logs


def with_recorded_logs(name: str, measured: pd.DataFrame) -> pd.DataFrame:
    """Append the rows of data/logs/NAME.csv about logs that were not measured.

    `measured` is a table with a column `log`, made by ``RECORDED_TABLES[name]``.
    """
    recorded = pd.read_csv(log_tables_folder() / f"{name}.csv")
    others = recorded[~recorded["log"].isin(measured["log"])]
    return pd.concat([measured, others], ignore_index=True)


def summary_table(logs: Mapping[str, InteractionLog]) -> pd.DataFrame:
    """Summarize each log in a row: `InteractionLog.summary` and the hash."""
    rows = [{"log": name, **log.summary(), "hash": log.hash} for name, log in logs.items()]
    return pd.DataFrame(rows)


def split_table(logs: Mapping[str, InteractionLog]) -> pd.DataFrame:
    """Split each log by each rule that it supports, and rank by popularity.

    Rules: leave one out (each user's last interactions); the same with ties reversed (where there
    are any at a target); global time. Columns: log, rule, train_tokens, targets, tied, repeated,
    untrained (shares of test targets, as in `Split.summary`), moved (share of users whose last
    item is not that in the file's order; users without a target count too), HR@10 and NDCG@10 of
    most popular (where nothing repeats, items of the training part are removed from the ranking,
    the older rule), and "removed HR@10" and "removed NDCG@10" (all of the history is; missing
    where items repeat). Logs without a user of three interactions are left out.
    """
    rows: list[dict[str, Any]] = []
    for name, log in logs.items():
        if log.lengths.max() < 3:
            continue
        splits = _supported_splits(log)
        in_file_order = _test_items(splits["leave one out"])
        for rule, split in splits.items():
            summary = split.summary()
            is_moved = in_file_order != _test_items(split)
            rows.append(
                {
                    "log": name,
                    "rule": rule,
                    "train_tokens": summary["train_tokens"],
                    "targets": summary["test_targets"],
                    "tied": summary["tied"],
                    "repeated": summary["repeated"],
                    "untrained": summary["untrained"],
                    "moved": float(np.mean(is_moved)) if rule == TIES_REVERSED else None,
                    **_popularity_metrics(split),
                }
            )
    return pd.DataFrame(rows)


def _popularity_metrics(split: Split) -> dict[str, float]:
    """Metrics of most popular by both rules of ranking; nan where items repeat and none counts."""
    scores = ranking.item_popularity(split)
    metrics = {}
    for prefix, seen in (("", ranking.Seen.TRAINING), ("removed ", ranking.Seen.HISTORY)):
        ranks, ties = ranking.rank_by_item_scores(scores, split, split.test, seen)
        is_meant = not prefix or ranking.removes_seen(split)
        for name, measure in (
            ("HR@10", ranking_metrics.hit_rate),
            ("NDCG@10", ranking_metrics.ndcg),
        ):
            metrics[prefix + name] = measure(ranks, ties=ties) if is_meant else np.nan
    return metrics


def with_rule_of_record(splits: pd.DataFrame) -> pd.DataFrame:
    """Replace HR@10 and NDCG@10 of `split_table` by those of the rule of record.

    Where nothing repeats, all of the history is removed; where items repeat, none is.
    """
    table = splits.copy()
    for name in ("HR@10", "NDCG@10"):
        table[name] = table.pop(f"removed {name}").fillna(table[name])
    return table


def _supported_splits(log: InteractionLog) -> dict[str, Split]:
    splits = {"leave one out": leave_one_out(log)}
    if log.timestamps is not None:
        if splits["leave one out"].summary()["tied"]:
            splits[TIES_REVERSED] = leave_one_out(log.reverse_ties())
        with contextlib.suppress(InputError):
            splits["global time"] = global_time(log)
    return splits


def _test_items(split: Split) -> np.ndarray:
    """(n_users,) ids of the test targets; of users without one, the last item."""
    positions = np.where(split.test < 0, split.log.offsets[1:] - 1, split.test)
    return split.log.item_ids[split.log.items[positions]]


def shape_curves(logs: Mapping[str, InteractionLog]) -> pd.DataFrame:
    """Make three curves a log, thinned to points even on a logarithmic axis.

    Columns: log, curve, x, y. length: share y of users with at least x interactions.
    popularity: share y of the interactions that go to the item of rank x. repeats: share y of
    the interactions around place x of a history that are with an item the user had before,
    where there are 100 or more.
    """
    curves = [
        pd.DataFrame({"log": name, "curve": curve, "x": x, "y": y})
        for name, log in logs.items()
        for curve, x, y in (
            ("length", *_length_curve(log)),
            ("popularity", *_popularity_curve(log)),
            ("repeats", *_repeats_curve(log)),
        )
    ]
    return pd.concat(curves, ignore_index=True)


def _length_curve(log: InteractionLog) -> tuple[np.ndarray, np.ndarray]:
    lengths = np.sort(log.lengths)
    n = _even_points(lengths[-1])
    return n, 1 - np.searchsorted(lengths, n) / log.n_users


def _popularity_curve(log: InteractionLog) -> tuple[np.ndarray, np.ndarray]:
    counts = np.sort(log.item_counts[log.item_counts > 0])[::-1]
    rank = _even_points(len(counts))
    return rank, counts[rank - 1] / log.tokens


def _repeats_curve(log: InteractionLog) -> tuple[np.ndarray, np.ndarray]:
    place = np.arange(log.tokens) - np.repeat(log.offsets[:-1], log.lengths) + 1
    longest = log.lengths.max()
    inner_edges = np.geomspace(2, max(longest, 3), 20).astype(int)
    edges = np.unique(np.append(inner_edges, longest + 1))
    bins = np.digitize(place, edges)
    sizes = np.bincount(bins, minlength=len(edges) + 1)
    repeats = np.bincount(bins, log.repeats, len(edges) + 1)
    enough = np.flatnonzero(sizes[1:-1] >= 100) + 1
    middle = np.sqrt(edges[enough - 1] * (edges[enough] - 1.0))
    return middle, repeats[enough] / sizes[enough]


def _even_points(n: int) -> np.ndarray:
    """Take at most 40 whole numbers from 1 to n, about evenly spread on a logarithmic axis."""
    return np.unique(np.round(np.geomspace(1, n, 40)).astype(int))


# What makes the tables in data/logs/, by the name of the file.
RECORDED_TABLES: dict[str, Callable[[Mapping[str, InteractionLog]], pd.DataFrame]] = {
    "summaries": summary_table,
    "splits": split_table,
    "curves": shape_curves,
    "entropies": entropy_tables.entropy_table,
    "by_length": entropy_tables.apen_by_length,
    "numbering": entropy_tables.numbering_table,
    "sensitivity": entropy_tables.sensitivity_table,
}
