"""HSTU with one part of its block changed at a time, to see which part makes depth pay.

Runs of the grid `hstu-parts` on two logs, in data/neighbours/hstu_parts.csv. The block is that of
Zhai et al. (2024); Guo et al. (2024) ask by ablation where the scaling of such models comes from.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from perflaw.study.intervals import gain_columns, to_percent
from perflaw.study.neighbours.grid_runs import METRIC, load_grid_runs

PUBLISHED = "none"  # the block as it was published


def load_parts_runs(metric: str = METRIC) -> pd.DataFrame:
    """Load the runs of the grid.

    Parameters
    ----------
    metric : str
        A column of the table.

    Returns
    -------
    pandas.DataFrame
        log, change (the setting `hstu_change`), n_layers, seed and value (of the metric).
    """
    runs = load_grid_runs("hstu_parts", metric)
    table = runs.assign(change=runs["hstu_change"].fillna(PUBLISHED))
    keys = ["log", "change", "n_layers", "seed"]
    return table[[*keys, "value"]].sort_values(keys, ignore_index=True)


def slopes_by_seed(runs: pd.DataFrame) -> pd.DataFrame:
    """Fit 100 × ln metric against log2 N by least squares, for each change and seed.

    Parameters
    ----------
    runs : pandas.DataFrame
        What `load_parts_runs` returns of one log; every seed has every depth.

    Returns
    -------
    pandas.DataFrame
        One row a seed, one column a change: 100 × ln of the ratio that twice the layers bring.
    """
    wide = runs.pivot(index="n_layers", columns=["change", "seed"], values="value")
    slopes = np.polyfit(np.log2(wide.index), 100 * np.log(wide.to_numpy()), 1)[0]
    return pd.Series(slopes, wide.columns).unstack("change")


def compare_parts(runs: pd.DataFrame, level: float = 0.9) -> pd.DataFrame:
    """Compare each changed block with the published one, seed by seed.

    Parameters
    ----------
    runs : pandas.DataFrame
        What `load_parts_runs` returns of one log.
    level : float
        Of Student's intervals, over seeds.

    Returns
    -------
    pandas.DataFrame
        One row a change, all in per cent. slope is what twice the layers change, from the mean of
        `slopes_by_seed`. slope_more is how far the factor that twice the layers bring to this
        block is above that of the published one, with low and high. value_more is how far the
        metric, as a geometric mean over depths, is above that of the published block, with
        value_low and value_high. The published block has its slope, with low and high.
    """
    slopes = slopes_by_seed(runs)
    logs = 100 * np.log(runs.set_index(["change", "n_layers", "seed"])["value"])
    values = logs.groupby(["seed", "change"]).mean().unstack("change")
    rows: list[dict[str, Any]] = [
        {"change": PUBLISHED} | gain_columns(slopes[PUBLISHED], level, "slope")
    ]
    for name in slopes.columns.drop(PUBLISHED):
        values_more = values[name] - values[PUBLISHED]
        rows.append(
            {"change": name, "slope": to_percent(slopes[name].mean())}
            | gain_columns(slopes[name] - slopes[PUBLISHED], level, "slope_more")
            | gain_columns(values_more, level, "value_more", "value_")
        )
    return pd.DataFrame(rows)
