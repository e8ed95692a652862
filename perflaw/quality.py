"""Tables of what logs are like, and what was recorded of logs that may not be handed on.

Public logs are measured once and the numbers kept in data/logs/ (data/README.md says how);
`with_recorded` lays them beside those of the logs that are here.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from perflaw import InputError, datasets, ranking
from perflaw.interactions import InteractionLog, global_time, leave_one_out

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "data" / "logs"


def logs(names=()) -> dict[str, InteractionLog]:
    """Logs by name: those named (or files, from the project's root), or else all that are here."""
    found = {}
    for name in names or datasets.names():
        log = datasets.load(ROOT / name if (ROOT / name).is_file() else name)
        found[log.name if (ROOT / name).is_file() else name] = log
    return found


def with_recorded(name: str, measured: pd.DataFrame) -> pd.DataFrame:
    """`measured` (a column `log`), and below it the rows of data/logs/NAME.csv about other logs."""
    recorded = pd.read_csv(FOLDER / f"{name}.csv")
    return pd.concat([measured, recorded[~recorded["log"].isin(measured["log"])]], ignore_index=True)


def summaries(logs: dict[str, InteractionLog]) -> pd.DataFrame:
    """One row a log: `InteractionLog.summary` and the hash."""
    return pd.DataFrame([{"log": name, **log.summary(), "hash": log.hash} for name, log in logs.items()])


def splits(logs: dict[str, InteractionLog]) -> pd.DataFrame:
    """Each log split by each rule that it supports, and what most popular reaches on it.

    Rules: leave one out; the same with ties reversed (where there are any at a target); global
    time. Columns: log, rule, train_tokens, targets, tied, repeated, untrained (shares of test
    targets, as in `Split.summary`), moved (share of users whose test target is not that of
    leave-one-out in the file's order), HR@10 and NDCG@10 of most popular.
    """
    rows = []
    for name, log in logs.items():
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
            parts, ranks = split.summary(), ranking.ranks(ranking.most_popular(split), split, split.test)
            rows.append(
                {
                    "log": name,
                    "rule": rule,
                    "train_tokens": parts["train_tokens"],
                    "targets": parts["test_targets"],
                    **{key: parts[key] for key in ("tied", "repeated", "untrained")},
                    "moved": float(np.mean(_targets(first) != _targets(split))) if rule == "ties reversed" else None,
                    "HR@10": ranking.hit_rate(ranks),
                    "NDCG@10": ranking.ndcg(ranks),
                }
            )
    return pd.DataFrame(rows)


def _targets(split):
    """(n_users,) ids of the test targets; of users without one, the last item."""
    return split.log.item_ids[split.log.items[np.where(split.test < 0, split.log.offsets[1:] - 1, split.test)]]


def curves(logs: dict[str, InteractionLog]) -> pd.DataFrame:
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
        edges = np.unique(np.append(np.geomspace(2, max(lengths[-1], 3), 20).astype(int), lengths[-1] + 1))
        bins = np.digitize(place, edges)
        sizes, again = np.bincount(bins, minlength=len(edges) + 1), np.bincount(bins, log.repeats, len(edges) + 1)
        enough = np.flatnonzero(sizes[1:-1] >= 100) + 1
        middle = np.sqrt(edges[enough - 1] * (edges[enough] - 1.0))
        parts.append((name, "repeats", middle, again[enough] / sizes[enough]))
    return pd.concat([pd.DataFrame({"log": log, "curve": curve, "x": x, "y": y}) for log, curve, x, y in parts], ignore_index=True)


def _spread(n, points=40):
    """Whole numbers from 1 to n, about evenly spread on a logarithmic axis."""
    return np.unique(np.round(np.geomspace(1, n, points)).astype(int))
