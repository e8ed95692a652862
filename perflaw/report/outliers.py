"""Runs that the others contradict, and whether cells agree within noise."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.stats import chi2

from perflaw.report.forecast import Forecast
from perflaw.report.prior import Prior

OUTLIER_ZSCORE = 4.5  # at which a run is left out
NOISE_CHANCE = 0.01  # that a law which holds is said not to
OUTLIER_SHARE = 0.25  # of the runs, that are left out at the most


def drop_outliers(
    runs: pd.DataFrame, metric: str, prior: Prior | None = None
) -> tuple[Forecast, pd.DataFrame]:
    """Leave out the runs that the others contradict, the furthest first.

    Parameters
    ----------
    runs, metric, prior
        As for `Forecast`.

    Returns
    -------
    Forecast
        Of the runs that agree.
    pandas.DataFrame
        The others, at most a quarter, with the column sigmas: standard deviations off.
    """
    dropped: list[dict] = []
    most = OUTLIER_SHARE * len(runs)
    while True:
        forecast = Forecast(runs, metric, prior)
        zscores = forecast.loo_zscores()
        furthest = np.abs(zscores).argmax()
        if abs(zscores[furthest]) < OUTLIER_ZSCORE or len(dropped) + 1 > most:
            return forecast, pd.DataFrame(dropped)
        dropped.append({**forecast.runs.iloc[furthest], "sigmas": zscores[furthest]})
        runs = forecast.runs.drop(index=furthest)


def is_within_noise(loo_predictions: pd.DataFrame) -> bool:
    """Say whether cells differ from what the others predict by no more than noise.

    Parameters
    ----------
    loo_predictions
        Of `Forecast.loo_predictions`.

    Returns
    -------
    bool
        Whether the sum of squared standardised errors is below the quantile of chi square that a
        law which holds exceeds with `NOISE_CHANCE`.
    """
    statistic = (loo_predictions["error"] ** 2 / loo_predictions["sd"] ** 2).sum()
    return bool(statistic <= chi2.ppf(1 - NOISE_CHANCE, len(loo_predictions)))
