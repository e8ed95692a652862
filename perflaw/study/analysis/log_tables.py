"""TODO: what this module holds."""

from __future__ import annotations
import itertools
import math
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple
import numpy as np
import pandas as pd
from scipy.optimize import minimize_scalar
from scipy.special import entr
from perflaw.errors import InputError
from perflaw.logs import datasets, perturbations, synthetic
from perflaw.logs.entropy import approximate, compression, conditional, lempel_ziv, predictability
from perflaw.logs.interaction_log import InteractionLog
from perflaw.logs.splits import Split, global_time, leave_one_out
from perflaw.models import ranking
from perflaw.paths import HOME
from perflaw.logs.measures import _spread, _targets


LOG_TABLES_FOLDER = HOME / "data" / "logs"


def load_study_logs(names=()) -> dict[str, InteractionLog]:
    """Logs by name: those named (or files, from the project's root), or else all that are here."""
    found = {}
    for name in names or datasets.available_logs():
        log = datasets.load_log(HOME / name if (HOME / name).is_file() else name)
        found[log.name if (HOME / name).is_file() else name] = log
    return found


def with_recorded_logs(name: str, measured: pd.DataFrame) -> pd.DataFrame:
    """`measure_log` (a column `log`), and below it the rows of data/logs/NAME.csv about other logs."""
    recorded = pd.read_csv(LOG_TABLES_FOLDER / f"{name}.csv")
    return pd.concat(
        [measured, recorded[~recorded["log"].isin(measured["log"])]], ignore_index=True
    )


def summary_table(logs: dict[str, InteractionLog]) -> pd.DataFrame:
    """One row a log: `InteractionLog.summary` and the hash."""
    return pd.DataFrame(
        [{"log": name, **log.summary(), "hash": log.hash} for name, log in logs.items()]
    )


def split_table(logs: dict[str, InteractionLog]) -> pd.DataFrame:
    """Each log split by each rule that it supports, and what most popular reaches on it.

    Rules: leave one out; the same with ties reversed (where there are any at a target); global
    time. Columns: log, rule, train_tokens, targets, tied, repeated, untrained (shares of test
    targets, as in `Split.summary`), moved (share of users whose test target is not that of
    leave-one-out in the file's order), HR@10 and NDCG@10 of most popular. Logs without a user of
    three interactions are left out.
    """
    rows = []
    for name, log in logs.items():
        if log.lengths.max() < 3:
            continue
        first = leave_one_out(log)
        told = {"leave one out": first}
        if log.timestamps is not None:
            if first.summary()["tied"]:
                told["ties reversed"] = leave_one_out(log.reverse_ties())
            try:
                told["global time"] = global_time(log)
            except InputError:
                pass
        for rule, split in told.items():
            parts, ranks = (
                split.summary(),
                ranking.rank_by_item_scores(ranking.item_popularity(split), split, split.test),
            )
            rows.append(
                {
                    "log": name,
                    "rule": rule,
                    "train_tokens": parts["train_tokens"],
                    "targets": parts["test_targets"],
                    **{key: parts[key] for key in ("tied", "repeated", "untrained")},
                    "moved": float(np.mean(_targets(first) != _targets(split)))
                    if rule == "ties reversed"
                    else None,
                    "HR@10": ranking.hit_rate(ranks),
                    "NDCG@10": ranking.ndcg(ranks),
                }
            )
    return pd.DataFrame(rows)


def shape_curves(logs: dict[str, InteractionLog]) -> pd.DataFrame:
    """Three curves a log, thinned to points even on a logarithmic axis: columns log, curve, x, y.

    length: share y of users with at least x interactions. popularity: share y of the
    interactions that go to the item of rank x. repeats: share y of the interactions around
    place x of a history that are with an item the user had before, where there are 100 or more.
    """
    parts = []
    for name, log in logs.items():
        lengths = np.sort(log.lengths)
        n = _spread(lengths[-1])
        parts.append((name, "length", n, 1 - np.searchsorted(lengths, n) / log.n_users))
        counts = np.sort(log.item_counts[log.item_counts > 0])[::-1]
        rank = _spread(len(counts))
        parts.append((name, "popularity", rank, counts[rank - 1] / log.tokens))
        place = np.arange(log.tokens) - np.repeat(log.offsets[:-1], log.lengths) + 1
        edges = np.unique(
            np.append(np.geomspace(2, max(lengths[-1], 3), 20).astype(int), lengths[-1] + 1)
        )
        bins = np.digitize(place, edges)
        sizes, again = (
            np.bincount(bins, minlength=len(edges) + 1),
            np.bincount(bins, log.repeats, len(edges) + 1),
        )
        enough = np.flatnonzero(sizes[1:-1] >= 100) + 1
        middle = np.sqrt(edges[enough - 1] * (edges[enough] - 1.0))
        parts.append((name, "repeats", middle, again[enough] / sizes[enough]))
    return pd.concat(
        [pd.DataFrame({"log": log, "curve": curve, "x": x, "y": y}) for log, curve, x, y in parts],
        ignore_index=True,
    )
