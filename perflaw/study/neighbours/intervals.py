"""A mean over logs with its interval, as every row of the chapter has it."""

from __future__ import annotations

import pandas as pd

from perflaw.stats import mean_interval


def mean_over_logs(by_log: pd.Series, level: float, name: str = "mean") -> dict[str, float]:
    """Average values by log, with Student's interval over them.

    Parameters
    ----------
    by_log : pandas.Series
        One value a log; those that are missing are left out.
    level : float
        Of the interval.
    name : str
        Of the mean.

    Returns
    -------
    dict of float
        The mean, low and high.

    Examples
    --------
    >>> {k: round(v, 2) for k, v in mean_over_logs(pd.Series([1.0, 3.0]), 0.9).items()}
    {'mean': 2.0, 'low': -4.31, 'high': 8.31}
    """
    mean, low, high = mean_interval(by_log.dropna(), level)
    return {name: mean, "low": low, "high": high}
