"""Surfaces of one log that were trained under both splits of it, compared cell by cell."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from perflaw.laws import families
from perflaw.study.analysis.study_runs import SURFACE
from perflaw.study.intervals import to_percent

LEAST_CELLS = 3
SPLITS = "leave one out", "global time"  # that of the choice, and that under which it is judged


def compare_splits(table: pd.DataFrame, metric: str, noise: pd.Series) -> pd.DataFrame:
    """Compare surfaces that were trained under both splits.

    Parameters
    ----------
    table
        As `mean_surfaces` returns it.
    metric
        Name of the metric.
    noise
        By surface, the standard deviation of a run between seeds, in per cent.

    Returns
    -------
    DataFrame
        One row a log and backbone. Columns: those of SURFACE but the split, cells (in both),
        correlation (Spearman's, of the cells' values), "best, SPLIT", "regret, %" (how far the
        first's best is below the second's under the second, in per cent of the second's), noises
        (the logarithm of that ratio over the standard deviation of such a difference between
        seeds) and "noise, SPLIT".
    """
    same = [name for name in SURFACE if name != "split"]
    wanted = table[(table["metric"] == metric) & table["split"].isin(SPLITS)]
    rows = []
    for key, surface in wanted.groupby(same, sort=False):
        one, other = (
            surface[surface["split"] == split].set_index(list(families.AXES)) for split in SPLITS
        )
        both = one.index.intersection(other.index)
        if len(both) >= LEAST_CELLS:
            row = _compare_cells(one.loc[both], other.loc[both], noise)
            rows.append(dict(zip(same, key)) | row)
    return pd.DataFrame(rows)


def _compare_cells(one: pd.DataFrame, other: pd.DataFrame, noise: pd.Series) -> dict[str, Any]:
    """Compare the same cells under two splits; see `compare_splits` for the keys."""
    values = other["value"]
    chosen, best = one["value"].argmax(), values.argmax()
    log_regret = 100 * np.log(values.iloc[best] / values.iloc[chosen])
    sd = noise[other["dataset"].iloc[0]] / np.sqrt(other["seeds"])
    correlation = spearmanr(one["value"], values).statistic
    row = {"cells": len(one), "correlation": correlation}
    for split, place in zip(SPLITS, (chosen, best)):
        row[f"best, {split}"] = "N {}, d {}".format(*one.index[int(place)])
    row["regret, %"] = -to_percent(-log_regret)
    row["noises"] = log_regret / np.hypot(sd.iloc[chosen], sd.iloc[best])
    for split, part in zip(SPLITS, (one, other)):
        row[f"noise, {split}"] = noise[part["dataset"].iloc[0]]
    return row
