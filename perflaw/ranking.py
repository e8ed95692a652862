"""Ranking all items, and the metrics read from it.

The rules (the same for every model): the target is ranked against all items of the
vocabulary. On a log without repeats the items of the user's training part are removed, since
they cannot come again; on a log with repeats none is. The validation item stays in when
testing. The target is never removed. Items with the target's score share its rank in the mean.
"""

from __future__ import annotations

import numpy as np

from perflaw.interactions import Split


def most_popular(split: Split) -> np.ndarray:
    """(n_items,) scores: how often each item occurs in the training part."""
    return split.train.item_counts.astype(np.float64)


def removes_seen(split: Split) -> bool:
    """Are the items of a user's training part left out of the ranking? Only where nothing repeats."""
    return not split.log.repeats.any()


def ranks(scores: np.ndarray, split: Split, targets: np.ndarray) -> np.ndarray:
    """(n_targets,) rank of each user's target from 1, for scores (n_items,) that are the same for all users.

    `targets` is split.validation or split.test; users without one are left out.
    """
    users = np.flatnonzero(targets >= 0)
    log, ordered = split.log, np.sort(scores)
    score = scores[log.items[targets[users]]]
    above = log.n_items - np.searchsorted(ordered, score, side="right")
    level = log.n_items - above - np.searchsorted(ordered, score, side="left") - 1
    if removes_seen(split):
        stops = np.where(split.validation[users] >= 0, split.validation[users], targets[users])
        lengths = stops - log.offsets[users]
        at = np.arange(lengths.sum()) + np.repeat(log.offsets[users] - (np.cumsum(lengths) - lengths), lengths)
        row = np.repeat(np.arange(len(users)), lengths)
        seen = scores[log.items[at]]
        above = above - np.bincount(row, seen > score[row], len(users))
        level = level - np.bincount(row, seen == score[row], len(users))
    return 1 + above + level / 2


def hit_rate(ranks: np.ndarray, k: int = 10) -> float:
    """HR@k: share of targets among the first k."""
    return float(np.mean(ranks <= k))


def ndcg(ranks: np.ndarray, k: int = 10) -> float:
    """NDCG@k with one target: the mean of 1 / log2(1 + rank) where the rank is at most k, else 0."""
    return float(np.mean(np.where(ranks <= k, 1 / np.log2(1 + ranks), 0.0)))
