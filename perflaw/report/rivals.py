"""What other laws, fitted to the runs of a pilot alone, predict of larger models."""

from __future__ import annotations

import numpy as np
import pandas as pd

from perflaw.laws import families, fitting, identifiability
from perflaw.report.forecast import Forecast
from perflaw.report.measurements import on_all_data

RIVAL_LAWS = ("log-linear", "Performance Law, k = 2")
"""Names in `perflaw.laws.families.rival_laws`."""


def predict_by_rival(
    name: str, forecast: Forecast, points: pd.DataFrame, level: float
) -> pd.DataFrame:
    """Predict by another law, fitted to the means of the cells on all data.

    Parameters
    ----------
    name
        One of `RIVAL_LAWS`.
    forecast
        Of the runs of a pilot.
    points
        Columns n_layers and d_emb.
    level
        Of the intervals.

    Returns
    -------
    pandas.DataFrame
        The points with predicted, low and high; empty where the cells do not determine the law.
    """
    metric, runs = forecast.metric, forecast.runs
    cells = on_all_data(runs).groupby(["n_layers", "d_emb"])[metric].mean().reset_index()
    law = families.rival_laws()[name]
    n_parameters = len(law.parameters)
    if len(cells) <= n_parameters or np.ptp(cells[metric]) == 0:
        return pd.DataFrame()
    if identifiability.identifiable_rank(law, cells) < n_parameters:
        return pd.DataFrame()
    intervals = fitting.fit(law, cells, list(cells[metric])).interval(points, level)
    intervals = intervals.rename(columns={"prediction": "predicted"})
    return points.join(intervals[["predicted", "low", "high"]])
