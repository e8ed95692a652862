"""Metrics read from the ranks of users' targets, and their standard errors.

Where it is known how many items tie with a target, a metric is its expectation under a random
order of these.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from perflaw.logs.splits import Split
from perflaw.models.ranking import RankedTargets
from perflaw.stats import standard_error

CUTOFFS = (1, 5, 10, 20, 50, 100, 200)


def expected_gains(
    gain: Callable[[np.ndarray], np.ndarray], ranks: np.ndarray, ties: np.ndarray | None = None
) -> np.ndarray:
    """Take the expectation of a gain under a random order of tied items.

    Parameters
    ----------
    gain : callable
        From ranks to gains.
    ranks : ndarray
        (n,) mean ranks of the items that have the target's score.
    ties : ndarray, optional
        (n,) how many these are, the target included; None takes the gain of the mean rank.

    Returns
    -------
    ndarray
        (n,) the mean of the gain over the ranks that the target may take.

    Examples
    --------
    >>> expected_gains(lambda ranks: 1 / ranks, np.array([1.5]), np.array([2]))
    array([0.75])
    """
    if ties is None or not len(ranks):
        return gain(ranks)
    last = (ranks + (ties - 1) / 2).astype(int)
    sums = np.concatenate([[0.0], np.cumsum(gain(np.arange(1, last.max() + 1)))])
    return np.where(ties > 1, (sums[last] - sums[last - ties]) / ties, gain(ranks))


def hits(ranks: np.ndarray, k: int = 10, ties: np.ndarray | None = None) -> np.ndarray:
    """(n,) what each user adds to HR@k, which is their mean; ties as for `expected_gains`."""
    return expected_gains(lambda rank: (rank <= k).astype(float), ranks, ties)


def hit_rate(ranks: np.ndarray, k: int = 10, ties: np.ndarray | None = None) -> float:
    """HR@k: the share of targets among the first k; ties as for `expected_gains`.

    Examples
    --------
    >>> hit_rate(np.array([1, 3, 30]), k=10)
    0.6666666666666666
    """
    return float(np.mean(hits(ranks, k, ties)))


def ndcg(ranks: np.ndarray, k: int = 10, ties: np.ndarray | None = None) -> float:
    """NDCG@k with one target: the mean of 1 / log2(1 + rank) where the rank is at most k, else 0.

    Ties are as for `expected_gains`.

    Examples
    --------
    >>> ndcg(np.array([1, 3, 30]), k=10)
    0.5
    """
    return float(np.mean(ndcg_gains(ranks, k, ties)))


def ndcg_gains(ranks: np.ndarray, k: int = 10, ties: np.ndarray | None = None) -> np.ndarray:
    """(n,) what each user adds to NDCG@k, which is their mean; ties as for `expected_gains`."""
    return expected_gains(lambda rank: np.where(rank <= k, 1 / np.log2(1 + rank), 0.0), ranks, ties)


# By metric, the function that gives what each user adds to it.
GAINS = {"NDCG@10": ndcg_gains, "HR@10": hits}


def metrics(
    ranked: RankedTargets, n_items: int | None = None, cutoffs: Sequence[int] = CUTOFFS
) -> dict[str, float]:
    """Return HR and NDCG at each cutoff, MRR, log-loss and coverage; of ties the expectation.

    Parameters
    ----------
    ranked : RankedTargets
        The ranks of users' targets.
    n_items : int, optional
        Items of the vocabulary. With it there is coverage@K, the share of them among the first K
        of at least one user, for each K that `ranked.top` reaches.
    cutoffs : sequence of int
        Each K.

    Returns
    -------
    dict of float
        By name, such as `NDCG@10`. The log-loss, in nats, means something only where scores are
        log-probabilities up to a constant, as those of a trained model are, and counts are not.
    """
    ranks, ties = ranked.ranks, ranked.ties
    values = {f"HR@{k}": hit_rate(ranks, k, ties) for k in cutoffs}
    values |= {f"NDCG@{k}": ndcg(ranks, k, ties) for k in cutoffs}
    reciprocal = expected_gains(lambda rank: 1 / rank, ranks, ties)
    values |= {"MRR": float(np.mean(reciprocal)), "log-loss": float(np.mean(ranked.losses))}
    if n_items:
        values |= {
            f"coverage@{k}": len(np.unique(ranked.top[:, :k])) / n_items
            for k in cutoffs
            if k <= ranked.top.shape[1]
        }
    return values


def paired_difference(a: np.ndarray, b: np.ndarray) -> tuple[float, float, float]:
    """Compare two models by the same users (paired t-test).

    Parameters
    ----------
    a, b : ndarray
        (n,) of each user, such as `ndcg_gains`.

    Returns
    -------
    tuple of float
        Mean of a − b, its standard error, and the two-sided p of no difference.
    """
    from scipy.stats import t  # takes most of a second, which `perflaw log` has not

    difference = np.asarray(a, float) - np.asarray(b, float)
    mean, error = difference.mean(), standard_error(difference)
    if not error:
        return float(mean), error, float(mean == 0)
    return float(mean), error, float(2 * t.sf(abs(mean) / error, len(difference) - 1))


def by_group(ranked: RankedTargets, split: Split, targets: np.ndarray) -> pd.DataFrame:
    """Return metrics by how active users are and how popular their targets.

    Four groups lie between the quartiles; ties stay together.

    Parameters
    ----------
    ranked : RankedTargets
        The ranks of `targets`.
    targets : ndarray
        `split.validation` or `split.test`.

    Returns
    -------
    DataFrame
        by, group (from the least to the most), users, HR@10, NDCG@10, se (of NDCG@10).
    """
    log = split.log
    stops = np.where(split.validation >= 0, split.validation, targets)[ranked.users]
    activity = stops - log.offsets[ranked.users]
    popularity = split.train.item_counts[log.items[targets[ranked.users]]]
    all_gains = ndcg_gains(ranked.ranks, ties=ranked.ties)
    all_hits = hits(ranked.ranks, ties=ranked.ties)
    rows = []
    for by, values in (("activity", activity), ("target popularity", popularity)):
        quartiles = np.quantile(values, [0.25, 0.5, 0.75])
        group_of_user = np.searchsorted(quartiles, values, side="left")
        for group in np.unique(group_of_user):
            is_member = group_of_user == group
            gains, user_hits = all_gains[is_member], all_hits[is_member]
            error = standard_error(gains) if len(gains) > 1 else math.nan
            rows.append((by, int(group) + 1, len(gains), user_hits.mean(), gains.mean(), error))
    return pd.DataFrame(rows, columns=["by", "group", "users", "HR@10", "NDCG@10", "se"])
