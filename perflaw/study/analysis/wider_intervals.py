"""Prediction intervals widened as the errors on other logs suggest; not declared beforehand."""

from __future__ import annotations

import numpy as np
import pandas as pd

from perflaw.errors import InputError
from perflaw.stats import check_level
from perflaw.study.analysis.extrapolation import coverage_interval

ROUNDING = 1e-9  # of a share of cells, that is a sum of weights


def widen_by_other_logs(
    scored: pd.DataFrame, teaching: pd.DataFrame | None = None, level: float = 0.9
) -> pd.DataFrame:
    """Widen intervals by the factor that would have held enough cells of the other logs.

    An interval says how far the noise of the seen cells moves a law, and not how far the law itself
    is off. Errors on other logs show both. Intervals are never made narrower.

    Parameters
    ----------
    scored
        As `extrapolation.score_predictions` returns them; rows without an interval are left out.
    teaching
        The same, of cells from which the factors are learnt; None: `scored`. Cells of a log teach
        nothing about that log. Logs count equally.
    level
        Level of the intervals.

    Returns
    -------
    DataFrame
        Rows of `scored` with factor, and low, high and covered of the widened intervals.

    Raises
    ------
    InputError
        If a law has no prediction with an interval on another log.
    """
    check_level(level)
    cells = scored[scored["covered"].notna()]
    known = cells if teaching is None else teaching[teaching["covered"].notna()]
    known = known.assign(use=_interval_use(known))
    factors = {}
    for law, log in cells[["law", "log"]].drop_duplicates().itertuples(index=False):
        others = known[(known["law"] == law) & (known["log"] != log)]
        if others.empty:
            raise InputError(f"no other log than {log} has intervals of {law} to learn from")
        weights = 1 / others.groupby("log")["use"].transform("size")
        share = level - ROUNDING
        needed = np.quantile(others["use"], share, weights=weights, method="inverted_cdf")
        factors[law, log] = max(1.0, float(needed))
    factor = pd.Series([factors[key] for key in zip(cells["law"], cells["log"])], cells.index)
    low, high = (
        cells["predicted"] + factor * (cells[end] - cells["predicted"]) for end in ("low", "high")
    )
    is_inside = cells["value"].between(low, high)
    return cells.assign(factor=factor, low=low, high=high, covered=is_inside.astype(float))


def compare_widths(scored: pd.DataFrame, widened: pd.DataFrame, level: float = 0.9) -> pd.DataFrame:
    """Compare intervals as they were with those that were widened, by law.

    Parameters
    ----------
    scored, widened
        What `widen_by_other_logs` takes and returns.
    level
        Level of the binomial intervals.

    Returns
    -------
    DataFrame
        Columns law, before and after (cells inside, "inside of cells"), low and high (the binomial
        interval of the share inside after, per cent), over logs (that share on each log, averaged,
        per cent), factor (median), half before and half after (half of the interval, median, per
        cent of the prediction).
    """
    rows = []
    for law, after in widened.groupby("law", sort=False):
        before = scored.loc[after.index]
        coverage = coverage_interval(after["covered"], level)
        halves = [
            (50 * (cells["high"] - cells["low"]) / cells["predicted"]).median()
            for cells in (before, after)
        ]
        count_before = coverage_interval(before["covered"], level).in_words
        over_logs = 100 * after.groupby("log")["covered"].mean().mean()
        row = (law, count_before, coverage.in_words, coverage.low, coverage.high, over_logs)
        rows.append((*row, after["factor"].median(), *halves))
    columns = ["law", "before", "after", "low", "high", "over logs", "factor"]
    columns += ["half before", "half after"]
    return pd.DataFrame(rows, columns=columns)


def _interval_use(cells: pd.DataFrame) -> pd.Series:
    """Return by how much the half of an interval that an error points to had to be longer."""
    error = cells["value"] - cells["predicted"]
    end = cells["high"].where(error > 0, cells["low"])
    return error / (end - cells["predicted"])
