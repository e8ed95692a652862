"""Baselines that count instead of learn, beside the models of a pilot and on the same users."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats
from scipy.special import logit

from perflaw.logs import splits
from perflaw.logs.interaction_log import InteractionLog
from perflaw.logs.splits import Split
from perflaw.models import baselines, ranking, ranking_metrics
from perflaw.models.sweeps import grids
from perflaw.models.training import run_records
from perflaw.report.findings import BaselineComparison, plain_values

BASELINES = {
    "most popular": baselines.most_popular,
    "last items": baselines.last_items,
    "first-order Markov": baselines.markov,
    "item-kNN": baselines.item_knn,
}
RULES = {"training": "test", "history": "test, history removed"}  # what is removed: a record's part
PARTS = {part: seen for seen, part in RULES.items()}
GAINS = {"NDCG@10": ranking_metrics.ndcg_gains, "HR@10": lambda ranks: (ranks <= 10).astype(float)}
GROWTH_SHARES = ((0.5, 0), (0.5, 1), (0.25, 0), (0.25, 1))  # of the users, and draws of them
GROWTH_HITS = 10  # among the first ten, that the baseline needs on each part
MOST_PAIRS = 5e8  # of items of one user, that item-kNN is made from


@dataclass(frozen=True, eq=False)
class RankedBaselines:
    """Ranks of the test targets by each baseline."""

    ranks: Mapping[str, np.ndarray]  # (users with a test target,), in the order of run records
    part: str  # of a run record, that has ranks by the same rule

    def metrics(self) -> dict[str, dict[str, float]]:
        """Give HR@10 and NDCG@10 by baseline."""
        return {
            name: {"HR@10": ranking_metrics.hit_rate(ranks), "NDCG@10": ranking_metrics.ndcg(ranks)}
            for name, ranks in self.ranks.items()
        }


@dataclass(frozen=True)
class BaselineGrowth:
    """What the best baseline has gained as the users of a log doubled, in log-odds of NDCG@10."""

    name: str
    slope: float


def rank_baselines(log: InteractionLog, rule: str = "leave one out") -> RankedBaselines:
    """Rank the test targets of a log by every baseline that it is small enough for.

    Parameters
    ----------
    log
        That of a pilot.
    rule
        By which it is split.

    Returns
    -------
    RankedBaselines
        By the rule of record: where nothing repeats, all of the user's history is removed.
    """
    split = grids.split_of(log, grids.TrainingData(rule))
    seen = "history" if ranking.removes_seen(split) else "training"
    ranks = {
        name: ranking.rank_targets(fit(split), split, split.test, seen=seen).ranks
        for name, fit in BASELINES.items()
        if name != "item-kNN" or _count_pairs(split) <= MOST_PAIRS
    }
    return RankedBaselines(ranks, RULES[seen])


def measure_growth(log: InteractionLog, ranked: RankedBaselines) -> BaselineGrowth | None:
    """Measure what the best baseline gains as the users of a log double, with their own items.

    It is made anew from a half and a quarter of the users, and compared on these users with itself
    made from all.

    Parameters
    ----------
    log
        Split by leave-one-out.
    ranked
        The baselines on that log.

    Returns
    -------
    BaselineGrowth or None
        None where it hits too rarely on a part.
    """
    gains = {name: ranking_metrics.ndcg_gains(ranks) for name, ranks in ranked.ranks.items()}
    name = max(gains, key=lambda one: gains[one].mean())
    gain_by_user = pd.Series(gains[name], _tested_users(splits.leave_one_out(log)))
    slopes = []
    for share, seed in GROWTH_SHARES:
        split = splits.leave_one_out(log.sample_users(share, seed).compact())
        if not (split.test >= 0).any():
            return None
        ranks = ranking.rank_targets(
            BASELINES[name](split), split, split.test, seen=PARTS[ranked.part]
        ).ranks
        before, after = ranking_metrics.ndcg(ranks), gain_by_user[_tested_users(split)].mean()
        if (ranks <= 10).sum() < GROWTH_HITS or not max(before, after) < 1:
            return None
        slopes.append((logit(after) - logit(before)) / -np.log2(share))
    return BaselineGrowth(name, float(np.mean(slopes)))


def _tested_users(split: Split) -> np.ndarray:
    """Give the ids of the users with a test target, in the order of ranks."""
    return split.log.user_ids[split.test >= 0]


def _count_pairs(split: Split) -> float:
    return float((split.train.lengths.astype(float) ** 2).sum())


def compare_baselines(
    ranked: RankedBaselines,
    folder: str | os.PathLike,
    keys: Sequence[str],
    metric: str = "NDCG@10",
    level: float = 0.9,
) -> tuple[BaselineComparison, ...]:
    """Compare the best model of a pilot with every baseline.

    Parameters
    ----------
    ranked
        Of the log that the runs are of.
    folder
        Of run records.
    keys
        Runs of the best configuration, which differ in the seed.
    metric
        NDCG@10 or HR@10.
    level
        Of the intervals, from Student's t over the users.

    Returns
    -------
    tuple of BaselineComparison
        The best baseline first; none where fewer than two users are tested.
    """
    records = [run_records.read_record(Path(folder) / f"{key}.json") for key in keys]
    ranks = np.array([record["ranks"][ranked.part] for record in records])
    if ranks.shape[1] < 2:
        return ()
    model_gains = GAINS[metric](ranks).mean(axis=0)
    t_quantile = stats.t.ppf((1 + level) / 2, ranks.shape[1] - 1)
    compared = []
    for name, baseline_ranks in ranked.ranks.items():
        gains = GAINS[metric](baseline_ranks)
        difference = model_gains - gains
        mean, margin = difference.mean(), stats.sem(difference) * t_quantile
        values = [gains.mean(), mean, mean - margin, mean + margin]
        compared.append(BaselineComparison(name, metric, *plain_values(values)))
    return tuple(sorted(compared, key=lambda comparison: -comparison.value))
