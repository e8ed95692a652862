"""What trained cells say of another without a law: their mean, the nearest, or the best of them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from perflaw.laws import families

CONSTANT, NEAREST, BEST = "constant", "nearest trained cell", "best trained cell"
BASELINES = (CONSTANT, NEAREST, BEST)


def order_by_size(cells: pd.DataFrame) -> pd.DataFrame:
    """Put the largest d first, and of these the largest N: the order in which ties are broken."""
    return cells.sort_values(list(families.AXES)[::-1], ascending=False)


def nearest_values(trained: pd.DataFrame, asked: pd.DataFrame) -> np.ndarray:
    """Return the value of the trained cell that is nearest in log N and log d.

    Of those that are equally near it is the one with the larger d, and then the larger N.

    Parameters
    ----------
    trained : pandas.DataFrame
        Columns n_layers, d_emb and value.
    asked : pandas.DataFrame
        Columns n_layers and d_emb.

    Returns
    -------
    ndarray
        (cells asked,).
    """
    axes = list(families.AXES)
    ordered = order_by_size(trained)
    steps = np.log(asked[axes].to_numpy(float))[:, None] - np.log(ordered[axes].to_numpy(float))
    # rounded, so that logarithms do not decide between cells that are equally near
    distances = (steps**2).sum(axis=2).round(9)
    return ordered["value"].to_numpy()[distances.argmin(axis=1)]
