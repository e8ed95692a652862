"""Count-based baselines, behind the same interface as the backbones (`ranking.Scorer`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch
from scipy import sparse
from scipy.special import logit
from torch import Tensor

from perflaw.logs.histories import concatenated_ranges
from perflaw.logs.interaction_log import InteractionLog
from perflaw.logs.splits import Split, leave_one_out
from perflaw.models.protocols import SEEN_BY_PART
from perflaw.models.ranking import (
    BlockScores,
    RankedTargets,
    Scorer,
    rank_targets,
    rule_of_record,
)
from perflaw.models.ranking_metrics import GAINS
from perflaw.models.sweeps.grids import TrainingData, split_of

RECENT_SHARE = 0.1  # of the training part, for recent popularity
NEIGHBOURS = 100  # of an item, in item-kNN


def most_popular(split: Split) -> Scorer:
    """Score items by how often they occur in the training part."""
    return _same_for_all(split.train.item_counts)


def recent_popular(split: Split) -> Scorer:
    """Score items by how often they occur in the last tenth of the training part.

    Without a clock that is the last tenth of each history.
    """
    train = split.train
    if train.timestamps is not None:
        return _same_for_all(train.sample_time(RECENT_SHARE).item_counts)
    recent_lengths = np.ceil(RECENT_SHARE * train.lengths).astype(int)
    first_recent = np.repeat(train.offsets[1:] - recent_lengths, train.lengths)
    recent = train.items[np.arange(train.tokens) >= first_recent]
    return _same_for_all(np.bincount(recent, minlength=train.n_items))


def markov(split: Split) -> Scorer:
    """Score items by how often they came right after the user's last item.

    Among equals the popular come first.
    """
    train = split.train
    followed = np.ones(train.tokens, bool)
    followed[train.offsets[1:] - 1] = False
    pairs = train.items[:-1][followed[:-1]], train.items[1:][followed[:-1]]
    counts = sparse.csr_array((np.ones(len(pairs[0])), pairs), (train.n_items, train.n_items))
    popularity = train.item_counts / (train.tokens + 1)

    def scorer(log: InteractionLog, users: np.ndarray, stops: np.ndarray) -> BlockScores:
        rows = counts[log.items[stops - 1]].tocsc()

        def scores(first: int, until: int) -> Tensor:
            return torch.from_numpy(rows[:, first:until].toarray() + popularity[first:until])

        return scores

    return scorer


def item_knn(split: Split) -> Scorer:
    """Score items by their similarity to the items of the history, summed.

    The similarity of two items is the cosine of the users who had them; each item counts with its
    `NEIGHBOURS` nearest only.
    """
    train = split.train
    cells = train.users, train.items
    seen = sparse.csr_array((np.ones(train.tokens), cells), (train.n_users, train.n_items))
    seen.data[:] = 1  # once or often
    seen = seen / np.maximum(np.sqrt(seen.sum(axis=0)), 1)
    similarity = sparse.csr_array(seen.T @ seen)
    similarity.setdiag(0)
    similarity = _largest_by_row(similarity, NEIGHBOURS)

    def scorer(log: InteractionLog, users: np.ndarray, stops: np.ndarray) -> BlockScores:
        lengths = stops - log.offsets[users]
        items = log.items[concatenated_ranges(log.offsets[users], lengths)]
        rows = np.repeat(np.arange(len(users)), lengths)
        history = sparse.csr_array((np.ones(len(items)), (rows, items)), (len(users), log.n_items))
        history.data[:] = 1
        summed = (history @ similarity).tocsc()

        def scores(first: int, until: int) -> Tensor:
            return torch.from_numpy(summed[:, first:until].toarray())

        return scores

    return scorer


BASELINES = {
    "most popular": most_popular,
    "recent popular": recent_popular,
    "first-order Markov": markov,
    "item-kNN": item_knn,
}


def _same_for_all(item_scores: np.ndarray) -> Scorer:
    """Scores (n_items,) for every user."""
    row = torch.from_numpy(np.asarray(item_scores, np.float64))

    def scorer(log: InteractionLog, users: np.ndarray, stops: np.ndarray) -> BlockScores:
        def scores(first: int, until: int) -> Tensor:
            return row[first:until].repeat(len(users), 1)

        return scores

    return scorer


def _largest_by_row(matrix: sparse.csr_array, k: int) -> sparse.csr_array:
    """Return the k largest numbers of each row."""
    matrix.sort_indices()
    row = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    order = np.lexsort((matrix.indices, -matrix.data, row))
    largest = order[np.arange(matrix.nnz) - matrix.indptr[row] < k]
    cells = row[largest], matrix.indices[largest]
    return sparse.csr_array((matrix.data[largest], cells), matrix.shape)


def last_items(split: Split) -> Scorer:
    """Score items by how recently the user had them; those never had share the last place."""

    def scorer(log: InteractionLog, users: np.ndarray, stops: np.ndarray) -> BlockScores:
        lengths = stops - log.offsets[users]
        places = concatenated_ranges(log.offsets[users], lengths)
        rows, items = np.repeat(np.arange(len(users)), lengths), log.items[places]
        order = np.lexsort((places, items, rows))
        rows, items, places = rows[order], items[order], places[order]
        # Of an item had more than once the last place counts.
        is_last = np.append((np.diff(rows) != 0) | (np.diff(items) != 0), True)
        recency = 1.0 + places - log.offsets[users][rows]
        cells = rows[is_last], items[is_last]
        shape = (len(users), log.n_items)
        last_places = sparse.csr_array((recency[is_last], cells), shape).tocsc()

        def scores(first: int, until: int) -> Tensor:
            return torch.from_numpy(last_places[:, first:until].toarray())

        return scores

    return scorer


RANKED = {
    "most popular": most_popular,
    "last items": last_items,
    "first-order Markov": markov,
    "item-kNN": item_knn,
}
MOST_PAIRS = 5e8  # of items of one user, that item-kNN is made from
GROWS = "first-order Markov"  # the baseline whose growth says most of a transformer's
GROWTH_SHARES = (0.5, 0.25)  # of the users
GROWTH_DRAWS = 3  # of each share


@dataclass(frozen=True)
class BaselineGrowth:
    """What a baseline has gained as the users of a log doubled, in log-odds of NDCG@10."""

    name: str
    slope: float
    se: float  # standard error of the slope over test users


@dataclass(frozen=True, eq=False)
class RankedBaselines:
    """Where the test targets came by each baseline."""

    targets: Mapping[str, RankedTargets]  # by baseline; users in the order of run records
    part: str  # of a run record, that has ranks by the same rule
    growth: BaselineGrowth | None = None  # where it was asked for and can be measured

    def gains(self, name: str, metric: str = "NDCG@10") -> np.ndarray:
        """Give what each user adds to a metric, (users,), of ties the expectation."""
        return _user_gains(self.targets[name], metric)

    def metrics(self) -> dict[str, dict[str, float]]:
        """Give HR@10 and NDCG@10 by baseline."""
        return {
            name: {
                metric: float(self.gains(name, metric).mean()) for metric in ("HR@10", "NDCG@10")
            }
            for name in self.targets
        }


def _user_gains(targets: RankedTargets, metric: str) -> np.ndarray:
    return GAINS[metric](targets.ranks, ties=targets.ties)


def rank_baselines(
    log: InteractionLog, rule: str = "leave one out", *, with_growth: bool = False
) -> RankedBaselines:
    """Rank the test targets of a log by every baseline that it is small enough for.

    Parameters
    ----------
    log
        That of a pilot.
    rule
        By which it is split.
    with_growth
        Measure too what a Markov chain gains as users are added; leave-one-out only.

    Returns
    -------
    RankedBaselines
        By the rule of record: where nothing repeats, all of the user's history is removed.
    """
    split = split_of(log, TrainingData(rule))
    seen = rule_of_record(split)
    part = next(part for part, removed in SEEN_BY_PART.items() if removed == seen)
    targets = {
        name: rank_targets(fit(split), split, split.test, seen=seen)
        for name, fit in RANKED.items()
        if name != "item-kNN" or _count_pairs(split) <= MOST_PAIRS
    }
    ranked = RankedBaselines(targets, part)
    return replace(ranked, growth=measure_growth(split, ranked)) if with_growth else ranked


def measure_growth(
    split: Split, ranked: RankedBaselines, name: str = GROWS
) -> BaselineGrowth | None:
    """Measure what a baseline gains as the users of a log double, with their own items.

    It is made anew from halves and quarters of the users, and compared on these users with itself
    made from all. The slopes of the two shares are weighted by their precision.

    Parameters
    ----------
    split
        By leave-one-out.
    ranked
        The baselines on that split.
    name
        Which of them.

    Returns
    -------
    BaselineGrowth or None
        None where it hits nothing, or everything, on the parts of a share.
    """
    tested = _tested_users(split)
    gain_by_user = pd.Series(ranked.gains(name), tested)
    hit_by_user = pd.Series(ranked.gains(name, "HR@10"), tested)
    seen = SEEN_BY_PART[ranked.part]
    slopes = []
    for share in GROWTH_SHARES:
        parts, n_hits = [], []
        for draw in range(GROWTH_DRAWS):
            part = leave_one_out(split.log.sample_users(share, draw).compact())
            if (part.test >= 0).any():
                targets = rank_targets(RANKED[name](part), part, part.test, seen=seen)
                users, before = _tested_users(part), _user_gains(targets, "NDCG@10")
                parts.append((before, gain_by_user[users].to_numpy()))
                n_hits.append(hit_by_user[users].sum())
        slope = _estimate_slope(parts, float(np.mean(n_hits)) if n_hits else 0.0, share)
        if slope is None:
            return None
        slopes.append(slope)
    values, variances = np.array(slopes).T
    weight = 1 / variances
    return BaselineGrowth(name, float(weight @ values / weight.sum()), float(weight.sum() ** -0.5))


def _estimate_slope(
    parts: list[tuple[np.ndarray, np.ndarray]], n_hits: float, share: float
) -> tuple[float, float] | None:
    """Estimate the gain a doubling, in log-odds, and its variance over users.

    Parts of a share s overlap: together they hold at most 1 / s of them that are apart. No slope is
    surer than one hit more or less would make it, of `n_hits` in the mean part.
    """
    before, after = (np.mean([pair[place].mean() for pair in parts]) for place in (0, 1))
    if not 0 < min(before, after) <= max(before, after) < 1:
        return None
    doublings = -np.log2(share)
    apart = min(len(parts), 1 / share)
    influences = [new / (after * (1 - after)) - old / (before * (1 - before)) for old, new in parts]
    variance = np.mean([influence.var() / len(influence) for influence in influences]) / apart
    hits = apart * n_hits
    return (logit(after) - logit(before)) / doublings, max(variance, hits**-2) / doublings**2


def _tested_users(split: Split) -> np.ndarray:
    """Give the ids of the users with a test target, in the order of ranks."""
    return split.log.user_ids[split.test >= 0]


def _count_pairs(split: Split) -> float:
    return float((split.train.lengths.astype(float) ** 2).sum())
