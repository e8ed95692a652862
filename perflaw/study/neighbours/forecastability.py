"""Numeric approximate entropy beside the forecast of counts, series by series.

Series are counts by day and by week of the logs that have a clock, in data/neighbours/counts.csv.
An autoregression with at most one difference, an ARIMA(p, d, 0), is fitted by least squares to the
first four fifths of ln(1 + count) and forecasts each later value from those before it. ApEn, with
m = 2 and r = 0.2 standard deviations, sees the same first four fifths.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from perflaw.laws.families import Array
from perflaw.logs.entropy import apen
from perflaw.logs.interaction_log import InteractionLog
from perflaw.stats import aicc
from perflaw.study.intervals import interval_columns
from perflaw.study.neighbours.grid_runs import read_table

TRAINED = 0.8  # of a series
MOST_LAGS = {"day": 14, "week": 4}
SEASONS = {"day": 7, "week": 1}  # the naive forecast repeats the value so many steps before
TOLERANCE = 0.2  # r of ApEn, in standard deviations
ITEMS = 10  # the most popular items, each with a series of its own
DAY = 86_400
PREDICTORS = ("apen", "lag-1 correlation")
OUTCOMES = ("over mean", "over naive", "over autoregression")


class Autoregression(NamedTuple):
    """An ARIMA(p, d, 0) by least squares."""

    coefficients: Array  # constant, then those of the p values before, the latest first
    difference: int  # d: 0 or 1

    @property
    def n_lags(self) -> int:
        """Values before that it sees, p."""
        return len(self.coefficients) - 1


def count_by_day(log: InteractionLog) -> pd.DataFrame:
    """Count what happens on each day of a log that has a clock.

    Returns
    -------
    pandas.DataFrame
        log; day, from 0; interactions; users and items, distinct ones; new users; and the
        interactions of each of the ten most popular items.
    """
    days = (log.clock("counts by day") // DAY).astype(int)
    days = days - days.min()
    table = pd.DataFrame({"day": days, "user": log.users, "item": log.items})
    by_day = table.groupby("day")
    first_days = table.groupby("user")["day"].min()
    counts = pd.DataFrame(
        {
            "interactions": by_day.size(),
            "users": by_day["user"].nunique(),
            "items": by_day["item"].nunique(),
            "new users": first_days.value_counts(),
        }
    )
    for rank, item in enumerate(np.argsort(-log.item_counts, kind="stable")[:ITEMS], 1):
        counts[f"item {rank}"] = table[table["item"] == item].groupby("day").size()
    counts = counts.reindex(range(days.max() + 1)).fillna(0).astype(int)
    counts.insert(0, "log", log.name)
    return counts.rename_axis("day").reset_index()


def load_counts() -> pd.DataFrame:
    """Load the counts by day that scripts/neighbours.py made of four logs."""
    return read_table("counts")


def lag_matrix(y: Array, n_lags: int, difference: int, first: int) -> Array:
    """Return ones and the n_lags values before each of y[first:], the latest first.

    With difference = 1 they are changes.
    """
    values = np.diff(y, n=difference)
    rows = [values[t - difference - n_lags : t - difference][::-1] for t in range(first, len(y))]
    return np.column_stack([np.ones(len(rows)), np.array(rows).reshape(len(rows), n_lags)])


def fit_autoregression(y: Array, n_lags: int, difference: int, first: int) -> Autoregression:
    """Fit an ARIMA(n_lags, difference, 0) to y[first:] by least squares."""
    x = lag_matrix(y, n_lags, difference, first)
    target = y[first:] - difference * y[first - 1 : -1]
    coefficients = np.linalg.lstsq(x, target, rcond=None)[0]
    return Autoregression(coefficients.astype(np.float64), difference)


def forecast(model: Autoregression, y: Array, first: int) -> Array:
    """Forecast each of y[first:] from the values before it."""
    x = lag_matrix(y, model.n_lags, model.difference, first)
    return x @ model.coefficients + model.difference * y[first - 1 : -1]


def choose_autoregression(y: Array, most_lags: int) -> Autoregression:
    """Choose lags and difference by AICc over the same values, and fit."""
    first = most_lags + 1
    scores = {}
    for difference in (0, 1):
        for n_lags in range(1, most_lags + 1):
            model = fit_autoregression(y, n_lags, difference, first)
            rss = float(((y[first:] - forecast(model, y, first)) ** 2).sum())
            scores[difference, n_lags] = aicc(rss, len(y) - first, n_lags + 1)
    difference, n_lags = min(scores, key=lambda key: scores[key])
    return fit_autoregression(y, n_lags, difference, first)


def score_series(y: Array, step: str) -> dict[str, float]:
    """Score the forecast of one series, and measure its training part.

    Returns
    -------
    dict of float
        apen; lag-1 correlation; error, the mean absolute error of the autoregression; mean, last
        and season, those of the training mean, of the value before, and of a season before; and,
        in per cent, by how much the error is below that of the mean (`over mean`) and below the
        least of the three (`over naive`, which is known only afterwards).
    """
    y = np.log1p(np.asarray(y, float))
    first = int(TRAINED * len(y))
    trained, later = y[:first], y[first:]
    model = choose_autoregression(trained, MOST_LAGS[step])
    season = SEASONS[step]
    errors = {
        "error": np.abs(later - forecast(model, y, first)).mean(),
        "mean": np.abs(later - trained.mean()).mean(),
        "last": np.abs(later - y[first - 1 : -1]).mean(),
        "season": np.abs(later - y[first - season : -season]).mean(),
    }
    naive = min(errors[name] for name in ("mean", "last", "season"))
    return {
        "apen": apen(trained, m=2, r=TOLERANCE * float(trained.std())),
        "lag-1 correlation": float(np.corrcoef(trained[1:], trained[:-1])[0, 1]),
        **{name: float(error) for name, error in errors.items()},
        "over mean": float(100 * (1 - errors["error"] / errors["mean"])),
        "over naive": float(100 * (1 - errors["error"] / naive)),
    }


def iterate_series(counts: pd.DataFrame) -> Iterator[tuple[str, str, str, Array]]:
    """Iterate over log, step, name and values of every series.

    A last week that is not whole is left out, and so is a series whose training part is 0 in half
    of its steps.
    """
    for log, by_day in counts.groupby("log"):
        series = by_day.drop(columns=["log", "day"])
        whole_weeks = series.iloc[: len(series) // 7 * 7]
        by_week = whole_weeks.groupby(np.arange(len(whole_weeks)) // 7).sum()
        for step, table in (("day", series), ("week", by_week)):
            for name, y in table.items():
                first = int(TRAINED * len(y))
                if (y.iloc[:first] > 0).mean() > 0.5:
                    yield str(log), step, str(name), y.to_numpy()


def score_all(counts: pd.DataFrame) -> pd.DataFrame:
    """Score every series by day and by week.

    Parameters
    ----------
    counts : pandas.DataFrame
        What `load_counts` returns.

    Returns
    -------
    pandas.DataFrame
        One row for each that `iterate_series` has: log, step, series, and what `score_series`
        returns.
    """
    return pd.DataFrame(
        [
            {"log": log, "step": step, "series": name} | score_series(y, step)
            for log, step, name, y in iterate_series(counts)
        ]
    )


def correlate_with_forecast(scored: pd.DataFrame, level: float = 0.9) -> pd.DataFrame:
    """Correlate ApEn, and the lag-1 correlation beside it, with the gain of the forecast.

    Parameters
    ----------
    scored : pandas.DataFrame
        What `score_all` returns; of `OUTCOMES` those that it has are taken.
    level : float
        Of the intervals.

    Returns
    -------
    pandas.DataFrame
        One row a step, outcome and predictor: Spearman's correlation in the mean of the logs, with
        Student's interval over logs, cut at ±1; series and logs.
    """
    rows: list[dict[str, Any]] = []
    for step, of_step in scored.groupby("step"):
        outcomes = [outcome for outcome in OUTCOMES if outcome in of_step]
        for outcome, predictor in itertools.product(outcomes, PREDICTORS):
            by_log = pd.Series(
                {
                    log: float(spearmanr(series[predictor], series[outcome]).statistic)
                    for log, series in of_step.groupby("log")
                }
            )
            labels = {"step": step, "outcome": outcome, "predictor": predictor}
            counts = {"series": len(of_step), "logs": len(by_log)}
            rows.append(labels | counts | interval_columns(by_log, level, "correlation"))
    table = pd.DataFrame(rows)
    return table.assign(low=table["low"].clip(lower=-1), high=table["high"].clip(upper=1))
