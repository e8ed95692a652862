"""Larger models predicted from the small grid of each of the study's own surfaces, law by law."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from perflaw.laws import fitting
from perflaw.laws.families import Law
from perflaw.study.analysis.extrapolation import is_determined, is_small
from perflaw.study.trained_cells import CONSTANT, NEAREST, nearest_values


def predict_larger(table: pd.DataFrame, laws: Mapping[str, Law]) -> pd.DataFrame:
    """Predict the cells beyond the small grid of each surface from those within it.

    Surfaces whose small grid does not determine every law have no row.

    Parameters
    ----------
    table : pandas.DataFrame
        As `study_runs.mean_surfaces` returns it, of one metric.
    laws : mapping of str to Law
        By name; fitted to each surface alone.

    Returns
    -------
    pandas.DataFrame
        One row a surface and law: dataset, log, law (those given, constant and nearest trained
        cell) and ape, the mean absolute percentage error.
    """
    rows = []
    for dataset, surface in table.groupby("dataset", sort=False):
        is_seen = is_small(surface)
        seen, asked = surface[is_seen].reset_index(drop=True), surface[~is_seen]
        if asked.empty or not all(is_determined(law, seen) for law in laws.values()):
            continue
        values = seen["value"].to_numpy()
        predictions = {
            CONSTANT: np.full(len(asked), values.mean()),
            NEAREST: nearest_values(seen, asked),
        }
        for name, law in laws.items():
            predictions[name] = fitting.fit(law, seen, values).predict(asked)
        for name, predicted in predictions.items():
            ape = float(100 * np.abs(predicted / asked["value"] - 1).mean())
            rows.append((dataset, surface["log"].iloc[0], name, ape))
    return pd.DataFrame(rows, columns=["dataset", "log", "law", "ape"])
