"""Count-based baselines, behind the same interface as the backbones (`ranking.Scorer`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch
from scipy import sparse
from scipy.special import logit

from perflaw.logs.interaction_log import InteractionLog
from perflaw.logs.splits import Split, leave_one_out
from perflaw.models.protocols import HISTORY_PART, SEEN_BY_PART
from perflaw.models.ranking import (
    BlockScores,
    RankedTargets,
    Scorer,
    history_places,
    rank_targets,
    removes_seen,
)
from perflaw.models.ranking_metrics import GAINS, ndcg_gains
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
    before = train.items[:-1][followed[:-1]]
    after = train.items[1:][followed[:-1]]
    n_items = train.n_items
    counts = sparse.csr_array((np.ones(len(before)), (before, after)), (n_items, n_items))
    popularity = torch.from_numpy(train.item_counts / (train.tokens + 1))

    def scorer(log: InteractionLog, users: np.ndarray, stops: np.ndarray) -> BlockScores:
        counted = _blocks(counts[log.items[stops - 1]])
        return lambda first, until: counted(first, until) + popularity[first:until]

    return scorer


def item_knn(split: Split) -> Scorer:
    """Score items by their similarity to the items of the history, summed.

    The similarity of two items is the cosine of the users who had them; each item counts with its
    `NEIGHBOURS` nearest only.
    """
    train = split.train
    seen = _incidence(train.users, train.items, (train.n_users, train.n_items))
    normalized = seen / np.maximum(np.sqrt(seen.sum(axis=0)), 1)
    cosines = sparse.csr_array(normalized.T @ normalized)
    cosines.setdiag(0)
    similarity = _largest_by_row(cosines, NEIGHBOURS)

    def scorer(log: InteractionLog, users: np.ndarray, stops: np.ndarray) -> BlockScores:
        rows, places = history_places(log, users, stops)
        history = _incidence(rows, log.items[places], (len(users), log.n_items))
        return _blocks(history @ similarity)

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
    return lambda log, users, stops: lambda first, until: row[first:until].repeat(len(users), 1)


def _incidence(rows: np.ndarray, columns: np.ndarray, shape: tuple[int, int]) -> sparse.csr_array:
    """Return a matrix of 1 in the given cells, once or often, and 0 elsewhere."""
    matrix = sparse.csr_array((np.ones(len(rows)), (rows, columns)), shape)
    matrix.data[:] = 1
    return matrix


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
        rows, places = history_places(log, users, stops)
        recency = 1.0 + places - log.offsets[users][rows]
        history = pd.DataFrame({"row": rows, "item": log.items[places], "recency": recency})
        latest = history.drop_duplicates(["row", "item"], keep="last")
        cells = latest["row"], latest["item"]
        return _blocks(sparse.csr_array((latest["recency"], cells), (len(users), log.n_items)))

    return scorer


def _blocks(scores: sparse.csr_array) -> BlockScores:
    """Give the columns of a matrix, (users, items), as blocks of scores."""
    by_column = scores.tocsc()
    return lambda first, until: torch.from_numpy(by_column[:, first:until].toarray())


RANKED = {
    "most popular": most_popular,
    "last items": last_items,
    "first-order Markov": markov,
    "item-kNN": item_knn,
}
MOST_PAIRS = 5e8  # item-kNN is left out if users have more pairs of items than that
GROWS = "first-order Markov"  # the baseline whose growth says most about a transformer's
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
    """How each baseline ranks the test targets."""

    targets: Mapping[str, RankedTargets]  # by baseline; users in the order of run records
    part: str  # the part of a run record that has ranks by the same rule
    growth: BaselineGrowth | None = None  # if it was asked for and can be measured

    def gains(self, name: str, metric: str = "NDCG@10") -> np.ndarray:
        """Return what each user adds to a metric, (users,); of ties the expectation."""
        ranked = self.targets[name]
        return GAINS[metric](ranked.ranks, ties=ranked.ties)

    def metrics(self) -> dict[str, dict[str, float]]:
        """Return HR@10 and NDCG@10 by baseline."""
        return {
            name: {
                "HR@10": float(self.gains(name, "HR@10").mean()),
                "NDCG@10": float(self.gains(name, "NDCG@10").mean()),
            }
            for name in self.targets
        }


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
    part = HISTORY_PART if removes_seen(split) else "test"
    n_pairs = float((split.train.lengths.astype(float) ** 2).sum())
    targets = {
        name: rank_targets(fit(split), split, split.test, seen=SEEN_BY_PART[part])
        for name, fit in RANKED.items()
        if name != "item-kNN" or n_pairs <= MOST_PAIRS
    }
    ranked = RankedBaselines(targets, part)
    return replace(ranked, growth=measure_growth(split, ranked)) if with_growth else ranked


def measure_growth(
    split: Split, ranked: RankedBaselines, name: str = GROWS
) -> BaselineGrowth | None:
    """Measure what a baseline gains as the users of a log double, with their own items.

    It is made anew from halves and quarters of the users. On these users it is compared with the
    baseline made from all. The slopes of the two shares are weighted by their precision.

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
    test_users = _test_users(split)
    gain_by_user = pd.Series(ranked.gains(name), test_users)
    hit_by_user = pd.Series(ranked.gains(name, "HR@10"), test_users)
    seen = SEEN_BY_PART[ranked.part]
    slopes = []
    for share in GROWTH_SHARES:
        samples, n_hits = [], []
        for draw in range(GROWTH_DRAWS):
            sample = leave_one_out(split.log.sample_users(share, draw).compact())
            if (sample.test >= 0).any():
                few = rank_targets(RANKED[name](sample), sample, sample.test, seen=seen)
                users = _test_users(sample)
                gains = ndcg_gains(few.ranks, ties=few.ties)
                samples.append((gains, gain_by_user[users].to_numpy()))
                n_hits.append(hit_by_user[users].sum())
        slope = _estimate_slope(samples, float(np.mean(n_hits)) if n_hits else 0.0, share)
        if slope is None:
            return None
        slopes.append(slope)
    values, variances = np.array(slopes).T
    weight = 1 / variances
    return BaselineGrowth(name, float(weight @ values / weight.sum()), float(weight.sum() ** -0.5))


def _estimate_slope(
    samples: list[tuple[np.ndarray, np.ndarray]], n_hits: float, share: float
) -> tuple[float, float] | None:
    """Estimate the gain a doubling, in log-odds, and its variance over users.

    Parameters
    ----------
    samples
        Of each sample of users: what they add to NDCG@10 by the baseline made from the sample, and
        by that made from all users.
    n_hits
        Hits in a sample, in the mean. No slope is surer than one hit more or less would make it.
    share
        Of the users, in each sample. Samples overlap: at most 1 / share of them are disjoint.
    """
    before = np.mean([few.mean() for few, _ in samples])
    after = np.mean([every.mean() for _, every in samples])
    if not 0 < min(before, after) <= max(before, after) < 1:
        return None
    doublings = -np.log2(share)
    n_disjoint = min(len(samples), 1 / share)
    influences = [
        every / (after * (1 - after)) - few / (before * (1 - before)) for few, every in samples
    ]
    variance = np.mean([influence.var() / len(influence) for influence in influences]) / n_disjoint
    least_variance = (n_disjoint * n_hits) ** -2
    return (logit(after) - logit(before)) / doublings, max(variance, least_variance) / doublings**2


def _test_users(split: Split) -> np.ndarray:
    """Return the ids of the users with a test target, in the order of ranks."""
    return split.log.user_ids[split.test >= 0]
