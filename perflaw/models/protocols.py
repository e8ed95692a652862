"""The same ranks under other protocols: sampled candidates, and two rules about the history."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from perflaw.errors import InputError
from perflaw.logs.histories import concatenated_ranges
from perflaw.logs.splits import Split
from perflaw.models.ranking import RankedTargets, Seen, removed_items
from perflaw.models.ranking_metrics import CUTOFFS, hit_rate, ndcg

HISTORY_PART = "test, history removed"  # part of a run record: test by the rule of record
# parts of a run record, and what `rank_targets` removes for them
SEEN_BY_PART = {"test": Seen.TRAINING, HISTORY_PART: Seen.HISTORY}
# number of negatives, and whether they are drawn with replacement
PROTOCOLS = {
    "1 of 2,500": (2_499, False),
    "1 of 2,500, with replacement": (2_499, True),
    "1 of 101": (100, False),
}


def sampled_metrics(
    ranked: RankedTargets,
    negatives: int,
    replacement: bool = False,
    cutoffs: Sequence[int] = CUTOFFS,
) -> dict[str, float]:
    """HR and NDCG if each target were ranked among uniformly drawn items: the exact expectation.

    Of C other ranked items A are above the target. The number drawn from above is hypergeometric
    (C, A, negatives) or, with replacement, binomial (negatives, A / C). Ties count by their
    expectation; without their number a half rank counts as the mean of its neighbours.

    Parameters
    ----------
    ranked : RankedTargets
        Ranks among all items.
    negatives : int
        Items drawn; without replacement no more can be drawn than there are.
    replacement : bool
        Whether an item can be drawn twice.

    Returns
    -------
    dict of float
        Keys say the protocol: `HR@10 (1 of 101 sampled)`.

    Raises
    ------
    InputError
        If `negatives` is not a whole number above 0.
    """
    from scipy import stats

    if not isinstance(negatives, int) or negatives < 1:
        raise InputError(f"negatives = {negatives!r} is not usable; use a whole number, 1 or more")
    above, others, weight = _weighted_ranks(ranked)
    places = np.arange(max(cutoffs))[:, None]
    if replacement:
        probability = stats.binom.pmf(places, negatives, above / others)
    else:
        probability = stats.hypergeom.pmf(places, others, above, np.minimum(negatives, others))
    share = probability @ weight
    gain = 1 / np.log2(np.arange(2, max(cutoffs) + 2))
    protocol = f"(1 of {negatives + 1:,} sampled{', with replacement' if replacement else ''})"
    values = {f"HR@{k} {protocol}": float(share[:k].sum()) for k in cutoffs}
    return values | {f"NDCG@{k} {protocol}": float(share[:k] @ gain[:k]) for k in cutoffs}


def _weighted_ranks(ranked: RankedTargets) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return items above a target, other items, and the share of users for whom it is so.

    A target that ties takes each of its ranks with the same weight. If the number of ties is not
    known, these are the two whole numbers beside its mean rank.
    """
    ranks, ties = ranked.ranks, ranked.ties
    if ties is None:
        first_rank, n_ranks = np.floor(ranks).astype(int), np.where(ranks % 1 > 0, 2, 1)
    else:
        first_rank, n_ranks = (ranks - (ties - 1) / 2).astype(int), ties
    # If no other item is ranked, one that is not above has the same effect.
    others = np.repeat(np.maximum(ranked.ranked - 1, 1), n_ranks)
    above = concatenated_ranges(first_rank - 1, n_ranks)
    weight = np.repeat(1 / n_ranks, n_ranks) / len(ranks)
    pairs, pair = np.unique(np.column_stack([above, others]), axis=0, return_inverse=True)
    return pairs[:, 0], pairs[:, 1], np.bincount(pair.ravel(), weight)


def protocol_table(training_removed: RankedTargets, history_removed: RankedTargets) -> pd.DataFrame:
    """HR@10 and NDCG@10 of one model under five protocols.

    These are test ranks under both rules of `SEEN_BY_PART`, and sampled from the second.
    """
    full = {"all items": training_removed, "all items, history removed": history_removed}
    rows: list[tuple] = []
    for name, ranked in full.items():
        ranks, ties = ranked.ranks, ranked.ties
        rows.append((name, hit_rate(ranks, ties=ties), ndcg(ranks, ties=ties)))
    for name, (negatives, replacement) in PROTOCOLS.items():
        sampled = sampled_metrics(history_removed, negatives, replacement, cutoffs=(10,))
        rows.append((name, *sampled.values()))
    return pd.DataFrame(rows, columns=["protocol", "HR@10", "NDCG@10"])


def ranked_from_ranks(ranks: np.ndarray, split: Split, seen: str) -> RankedTargets:
    """Test ranks of a run record as `RankedTargets`, without losses and lists."""
    users = np.flatnonzero(split.test >= 0)
    rows, _ = removed_items(split, users, split.test[users], seen)
    return RankedTargets(
        users,
        np.asarray(ranks),
        split.log.n_items - np.bincount(rows, minlength=len(users)),
        np.full(len(users), math.nan),
        np.zeros((len(users), 0), int),
    )
