"""Baselines that count instead of learn, beside the models of a pilot and on the same users."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from perflaw.models.baselines import RankedBaselines
from perflaw.models.ranking_metrics import GAINS
from perflaw.models.training import run_records
from perflaw.report.findings import BaselineComparison, plain_values
from perflaw.stats import mean_interval


def compare_baselines(
    ranked: RankedBaselines,
    folder: str | os.PathLike,
    keys: Sequence[str],
    level: float,
    metric: str = "NDCG@10",
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
    level
        Of the intervals, from Student's t over the users.
    metric
        NDCG@10 or HR@10.

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
    compared = []
    for name in ranked.targets:
        gains = ranked.gains(name, metric)
        values = [gains.mean(), *mean_interval(model_gains - gains, level)]
        compared.append(BaselineComparison(name, metric, *plain_values(values)))
    return tuple(sorted(compared, key=lambda comparison: -comparison.value))
