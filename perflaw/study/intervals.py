"""A mean with its interval, as columns of a table."""

from __future__ import annotations

import pandas as pd

from perflaw.stats import mean_interval


def interval_columns(
    values: pd.Series, level: float, name: str = "mean", prefix: str = ""
) -> dict[str, float]:
    """Average independent values, with Student's interval.

    Parameters
    ----------
    values : pandas.Series
        One value a log, or a seed; those that are missing are left out.
    level : float
        Of the interval.
    name, prefix : str
        Names of the mean, and of its ends: PREFIXlow and PREFIXhigh.

    Returns
    -------
    dict of float

    Examples
    --------
    >>> {k: round(v, 2) for k, v in interval_columns(pd.Series([1.0, 3.0]), 0.9).items()}
    {'mean': 2.0, 'low': -4.31, 'high': 8.31}
    """
    mean, low, high = mean_interval(values.dropna(), level)
    return {name: mean, f"{prefix}low": low, f"{prefix}high": high}
