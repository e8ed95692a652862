"""What the study's own sweeps say: noise between seeds, and whether more layers or dimensions still help.

Everything here reads cells, as `sweeps.cells` makes them of runs: log, n_layers, d_emb, the metric's mean over seeds, their
standard deviation (sd) and number (seeds). Noise is that between seeds on the same users: how much another training run
would differ, and not how much other users would.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.stats import norm

from perflaw import InputError, laws
from perflaw.fitting import check_level


def noise(cells: pd.DataFrame, metric: str = "NDCG@10") -> pd.Series:
    """Of each log, the standard deviation of one run between seeds, in per cent of its value, pooled over cells.

    Raises InputError for a log of which no cell has two seeds.
    """
    told = {}
    for log, rows in cells.groupby("log", sort=False):
        rows = rows[rows["seeds"] > 1]
        if rows.empty:
            raise InputError(f"no cell of {log} was run with two seeds; the noise between seeds is not known")
        weight = rows["seeds"] - 1
        told[log] = 100 * float(np.sqrt(((rows["sd"] / rows[metric]) ** 2 * weight).sum() / weight.sum()))
    return pd.Series(told, name="noise")


def steps(cells: pd.DataFrame, metric: str = "NDCG@10", level: float = 0.9) -> pd.DataFrame:
    """What each step to the next larger N, or d, changes, in per cent (100 × the logarithm of the ratio).

    A step is the mean over the values of the other axis that have both its ends. Columns log, axis, smaller, larger, change, se (from the
    noise between seeds), low and high (a normal interval at that level), pairs.
    """
    check_level(level)
    sigma, rows = noise(cells, metric), []
    for log, here in cells.groupby("log", sort=False):
        for axis, other in (laws.AXES, laws.AXES[::-1]):
            values = here.pivot(index=other, columns=axis, values=metric)
            seeds = here.pivot(index=other, columns=axis, values="seeds")
            for small, large in zip(values.columns, values.columns[1:]):
                both = values[[small, large]].notna().all(axis=1)
                if not both.any():
                    continue
                change = 100 * np.log(values.loc[both, large] / values.loc[both, small])
                variance = sigma[log] ** 2 * (1 / seeds.loc[both, small] + 1 / seeds.loc[both, large])
                rows.append((log, axis, small, large, change.mean(), np.sqrt(variance.sum()) / both.sum(), int(both.sum())))
    found = pd.DataFrame(rows, columns=["log", "axis", "smaller", "larger", "change", "se", "pairs"])
    reach = norm.ppf((1 + level) / 2) * found["se"]
    return found.assign(low=found["change"] - reach, high=found["change"] + reach)
