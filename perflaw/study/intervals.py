"""Means over logs, and means and differences with their intervals, as columns of a table."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.stats import ttest_ind

from perflaw.stats import check_level, mean_interval


def mean_over_logs(
    rows: pd.DataFrame, columns: Sequence[str], by: Sequence[str], log: str = "log"
) -> pd.DataFrame:
    """Average columns over the rows of a log, then over logs: each log counts once.

    Parameters
    ----------
    rows : pandas.DataFrame
        One row a surface, with BY, LOG and COLUMNS. Entries that are missing are left out.
    columns : sequence of str
        What to average.
    by : sequence of str
        Columns of what the means are of, e.g. ["law"].
    log : str
        The column that names the log.

    Returns
    -------
    pandas.DataFrame
        COLUMNS, indexed by BY, in the order of the rows.

    Examples
    --------
    >>> rows = pd.DataFrame({"law": "x", "log": ["a", "a", "b"], "ape": [1.0, 3.0, 4.0]})
    >>> mean_over_logs(rows, ["ape"], ["law"])["ape"].to_dict()
    {'x': 3.0}
    """
    by_log = rows.groupby([*by, log], sort=False)[list(columns)].mean()
    return by_log.groupby(level=list(by), sort=False).mean()


def interval_over_logs(rows: pd.DataFrame, by: str, value: str, level: float = 0.9) -> pd.DataFrame:
    """Average a column over the surfaces of a log, then over logs, with Student's interval.

    Each log counts once: its surfaces share users, items and noise. The interval is over logs.

    Parameters
    ----------
    rows : pandas.DataFrame
        Columns dataset (the surface), log, BY and VALUE. Entries that are missing are left out.
    by : str
        Column of what the means are of.
    value : str
        Column to average.
    level : float
        Of the intervals.

    Returns
    -------
    pandas.DataFrame
        Columns BY, mean, low, high (nan for one log) and logs (their number). What has no value
        has no row.

    Examples
    --------
    >>> rows = pd.DataFrame({"law": "x", "log": ["a", "b"], "dataset": ["a", "b"], "ape": [1, 3]})
    >>> interval_over_logs(rows, "law", "ape").round(2).to_dict("records")
    [{'law': 'x', 'mean': 2.0, 'low': -4.31, 'high': 8.31, 'logs': 2}]
    """
    by_surface = rows.groupby([by, "log", "dataset"], sort=False)[value].mean().dropna()
    by_log = by_surface.groupby(level=[by, "log"], sort=False).mean()
    intervals = [
        {by: name, **interval_columns(values, level), "logs": len(values)}
        for name, values in by_log.groupby(level=by, sort=False)
    ]
    return pd.DataFrame(intervals, columns=[by, "mean", "low", "high", "logs"])


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


def to_percent(change: float) -> float:
    """Turn a change that is 100 × ln of a ratio into per cent; of a table, ``map`` does it.

    Examples
    --------
    >>> round(to_percent(100 * np.log(2)), 9)
    100.0
    """
    return float(100 * np.expm1(change / 100))


def gain_columns(
    changes: pd.Series, level: float, name: str = "gain", prefix: str = ""
) -> dict[str, float]:
    """Average independent changes, with Student's interval, in per cent.

    Parameters
    ----------
    changes : pandas.Series
        One value a log, or a seed, of 100 × ln of a ratio; those that are missing are left out.
    level : float
        Of the interval, which is that of the mean of the logarithms.
    name, prefix : str
        As of `interval_columns`.

    Returns
    -------
    dict of float
        NAME, PREFIXlow and PREFIXhigh.

    Examples
    --------
    >>> columns = gain_columns(pd.Series([8.0, 12.0]), 0.9)
    >>> {name: round(value, 2) for name, value in columns.items()}
    {'gain': 10.52, 'low': -2.59, 'high': 25.39}
    """
    columns = interval_columns(changes, level, name, prefix)
    return {column: to_percent(value) for column, value in columns.items()}


def difference_columns(values: pd.Series, others: pd.Series, level: float) -> dict[str, float]:
    """Compare the means of two samples, with Student's interval of one variance for both.

    Parameters
    ----------
    values, others : pandas.Series
        One value a seed.
    level : float
        Of the interval.

    Returns
    -------
    dict of float
        difference (the mean of the values less that of the others), low and high.

    Examples
    --------
    >>> columns = difference_columns(pd.Series([2.0, 4.0]), pd.Series([1.0, 3.0]), 0.9)
    >>> {name: round(value, 2) for name, value in columns.items()}
    {'difference': 1.0, 'low': -3.13, 'high': 5.13}
    """
    check_level(level)
    low, high = ttest_ind(values, others).confidence_interval(level)
    difference = float(values.mean() - others.mean())
    return {"difference": difference, "low": float(low), "high": float(high)}


def compare_with_reference(
    rows: pd.DataFrame, by: str, value: str, reference: str, place: Sequence[str], level: float
) -> pd.DataFrame:
    """Subtract the reference's value on the same place, and average over surfaces, then logs.

    Parameters
    ----------
    rows
        Columns dataset, log, BY, VALUE and those of the place.
    by
        Column of what is compared, e.g. "law".
    value
        Column that is compared.
    reference
        The entry of BY that is subtracted.
    place
        Columns that say which rows belong together, e.g. dataset, n_layers and d_emb.
    level
        Level of the intervals, which are Student's, over logs.

    Returns
    -------
    DataFrame
        Columns BY, mean (of the value less that of the reference), low, high and logs. Rows
        without a value, or without one of the reference, take no part.
    """
    is_reference = rows[by] == reference
    beside = rows.loc[is_reference, [*place, value]].rename(columns={value: "reference"})
    others = rows[~is_reference].merge(beside, how="left", on=list(place))
    others["more"] = others[value] - others["reference"]
    return interval_over_logs(others, by, "more", level)
