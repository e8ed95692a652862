"""What the explorer's page computes, computed here: predictions, maxima, what is as good."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from perflaw.laws import families, linear
from perflaw.laws.fitting import Fit

N_PLACES = 31  # compared with the best, evenly in the logarithm of the measured range


def predict_cell(
    fit: Fit,
    n_layers: float,
    d_emb: float,
    data: float = 1.0,
    effect: Mapping[str, float] | None = None,
    level: float = 0.9,
) -> tuple[float, float, float]:
    """Predict one more cell, with `data` times the log's own tokens / ApEn.

    The interval is `Fit.interval`'s, times what the data do; the uncertainty of their slope is
    added in quadrature.

    Parameters
    ----------
    fit
        A law of the explorer.
    n_layers, d_emb
        The cell.
    data
        Data, times the log's own.
    effect
        As `data_effect` returns it; None: data change nothing.
    level
        Level of the interval.

    Returns
    -------
    value, low, high
        The prediction and its interval.
    """
    cell = pd.DataFrame({"n_layers": [n_layers], "d_emb": [d_emb]})
    interval = fit.interval(cell, level).iloc[0]
    slope, reach = (effect["slope"], effect["reach"]) if effect else (0.0, 0.0)
    log_data = np.log(data)
    factor = np.exp(slope * log_data)
    value = factor * interval["prediction"]
    slope_error = value * reach * log_data
    below = np.hypot(factor * (interval["prediction"] - interval["low"]), slope_error)
    above = np.hypot(factor * (interval["prediction"] - interval["high"]), slope_error)
    return float(value), float(value - below), float(value + above)


def turning_place(fit: Fit, axis: str) -> float:
    """Find where a law has its maximum along an axis, in closed form; nan where it has none.

    Parameters
    ----------
    fit
        A law of the explorer.
    axis
        n_layers or d_emb.
    """
    symbol = families.SYMBOLS[axis]
    values = fit.parameters
    with np.errstate(over="ignore"):
        if fit.law.family == "performance":
            weight, exponent = values[f"w_{symbol}"], values[f"p_{symbol}"]
            if weight * exponent > 0:
                return float(fit.law.options["k"] ** np.float64(-1 / exponent))
        if fit.law.family == "log_quadratic":
            slope, curvature = values[f"a_{symbol}"], values[f"c_{symbol}"]
            if curvature < 0:
                return float(np.exp(-slope / (2 * curvature)))
    return float("nan")


def best_place(fit: Fit, axis: str) -> float:
    """Find the best place along an axis within the measured range.

    It is an end of the range if the law has no maximum inside.

    Parameters
    ----------
    fit
        A law of the explorer.
    axis
        n_layers or d_emb.
    """
    low, high = fit.points[axis].min(), fit.points[axis].max()
    turn = turning_place(fit, axis)
    if np.isfinite(turn):
        return float(np.clip(turn, low, high))
    at_low, at_high = fit.predict(pd.DataFrame(_points_along(fit, axis, np.array([low, high]))))
    return float(low if at_low > at_high else high)


def indistinguishable_range(fit: Fit, axis: str, level: float = 0.9) -> tuple[float, float]:
    """Find the least and the largest place that the data do not tell apart from the best.

    The lead of the best over a place has a profile interval like any combination of the law's
    values, without the noise of a run.

    Parameters
    ----------
    fit
        A law of the explorer.
    axis
        n_layers or d_emb.
    level
        Level of the interval of the lead.
    """
    candidates = fit.candidates(level)
    best = best_place(fit, axis)
    places = np.geomspace(fit.points[axis].min(), fit.points[axis].max(), N_PLACES)
    points = _points_along(fit, axis, np.append(best, places))
    rows = linear.design_columns(fit.law, points, candidates.theta)
    least_lead = candidates.intervals(rows[:, :1] - rows[:, 1:])[0].min(axis=0)
    as_good = places[least_lead <= 0]
    if len(as_good) == 0:
        return best, best
    return float(as_good.min()), float(as_good.max())


def _points_along(fit: Fit, axis: str, places: np.ndarray) -> dict[str, np.ndarray]:
    """Give points at places along an axis; where they are on the other one does not matter."""
    other = next(name for name in families.AXES if name != axis)
    return {axis: places, other: np.full(len(places), float(fit.points[other].iloc[0]))}
