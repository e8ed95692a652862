"""What trained cells say of another without a law: their mean, the nearest, or the best of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from perflaw.laws import families
from perflaw.laws.validation import LARGEST_D, LARGEST_N, LEAVE_ONE_OUT

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
    # rounded, so that the last digit does not decide between cells that are equally near
    distances = (steps**2).sum(axis=2).round(9)
    return ordered["value"].to_numpy()[distances.argmin(axis=1)]


def predict_by_trained(trained: pd.DataFrame, asked: pd.DataFrame) -> dict[str, np.ndarray]:
    """Predict cells of one surface by each of `BASELINES`.

    The best trained cell is that by validation, or by value where there is no validation.

    Parameters
    ----------
    trained : pandas.DataFrame
        Columns n_layers, d_emb, value and perhaps validation.
    asked : pandas.DataFrame
        Columns n_layers and d_emb.

    Returns
    -------
    dict of str to ndarray
        By baseline, (cells asked,).
    """
    ordered = order_by_size(trained)
    values = ordered["value"].to_numpy()
    has_validation = "validation" in ordered and ordered["validation"].notna().all()
    deciding = ordered["validation"].to_numpy() if has_validation else values
    return {
        CONSTANT: np.full(len(asked), values.mean()),
        NEAREST: nearest_values(ordered, asked),
        BEST: np.full(len(asked), values[deciding.argmax()]),
    }


def trained_cell_errors(
    surfaces: pd.DataFrame, by: Sequence[str], names: Sequence[str] = (NEAREST, BEST)
) -> pd.DataFrame:
    """Score baselines as predictions of hidden cells.

    Parameters
    ----------
    surfaces : pandas.DataFrame
        The columns `by` and those of `predict_by_trained`.
    by : sequence of str
        The columns that name a surface.
    names : sequence of str
        Which of `BASELINES`.

    Returns
    -------
    pandas.DataFrame
        One row a surface and baseline: `by`, law (the baseline) and the mean absolute percentage
        errors leave-one-out, largest N and largest d, as `compare_laws` has them.
    """
    parts = []
    for key, surface in surfaces.groupby(list(by), sort=False):
        n_layers, d_emb = surface["n_layers"].to_numpy(), surface["d_emb"].to_numpy()
        folds = {
            LEAVE_ONE_OUT: np.eye(len(surface), dtype=bool),
            LARGEST_N: (n_layers == n_layers.max())[None],
            LARGEST_D: (d_emb == d_emb.max())[None],
        }
        errors = {
            split: np.mean([_errors(surface, is_hidden, names) for is_hidden in masks], axis=0)
            for split, masks in folds.items()
        }
        parts.append(pd.DataFrame(dict(zip(by, key)) | {"law": list(names)} | errors))
    return pd.concat(parts, ignore_index=True)


def _errors(surface: pd.DataFrame, is_hidden: np.ndarray, names: Sequence[str]) -> list[float]:
    """Give the mean absolute error of each baseline on the hidden cells, in per cent."""
    predicted = predict_by_trained(surface[~is_hidden], surface[is_hidden])
    values = surface.loc[is_hidden, "value"].to_numpy()
    return [float(100 * np.abs(predicted[name] / values - 1).mean()) for name in names]
