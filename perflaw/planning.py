"""What a fitted law says about the next model: where does more stop helping?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace

import numpy as np
import pandas as pd
from scipy.optimize import brentq

from perflaw import InputError, varpro
from perflaw.fitting import Fit, contrast
from perflaw.laws import Law

STEP = 1e-4  # in the logarithm of an axis, for its slope
REACH = 16.0  # turning points are looked for up to this many times the largest measured value


@dataclass(frozen=True)
class TurningPoint:
    """Where a law stops rising or falling along an axis, `estimate` in that axis's unit.

    kind: maximum, minimum, or none; without one, estimate is nan. low and high bound the
    places where the slope may be zero; they are 1 or less, and infinite, where the data
    leave that end open.
    """

    kind: str
    estimate: float
    low: float
    high: float

    @property
    def open(self) -> bool:
        return self.low <= 1 or np.isinf(self.high)


def slope(law: Law, x: dict[str, np.ndarray], axis: str, theta: np.ndarray) -> np.ndarray:
    """Coefficients (..., n, p) of the linear parameters in dy / d ln(axis) at the points x."""
    up, down = (law.basis({**x, axis: x[axis] * np.exp(sign * STEP)}, theta) for sign in (1, -1))
    return (up - down) / (2 * STEP)


def turning_points(fits: Mapping[tuple, Fit], level: float = 0.95) -> pd.DataFrame:
    """The turning point of every fit along every axis, one row each.

    Columns: surface, axis, kind, estimate, low, high, and the smallest and largest
    measured value of the axis.
    """
    rows = []
    for key, fit in fits.items():
        for axis in fit.law.axes:
            turn, measured = turning_point(fit, axis, level), fit.points[axis]
            told = {"surface": " ".join(map(str, key)), "axis": axis, **asdict(turn)}
            rows.append({**told, "smallest": measured.min(), "largest": measured.max()})
    return pd.DataFrame(rows)


def turning_point(fit: Fit, axis: str, level: float = 0.95, at: dict[str, float] | None = None) -> TurningPoint:
    """The turning point of a fitted law along `axis`, with its profile interval.

    at: values of the other axes, their geometric means over the measured points unless
    told; only a law with an interaction depends on them. The search goes from 1 to 16
    times the largest measured value. The interval spans every place where a fit that
    stays within the sum of squares of this level turns, or is flat altogether.
    Raises InputError if the law does not read the axis.
    """
    law = fit.law
    if axis not in law.axes:
        raise InputError(f"the law {law.name} has no axis '{axis}'; it has {', '.join(law.axes)}")
    middle = {name: float(np.exp(np.log(fit.points[name]).mean())) for name in law.axes} | (at or {})
    places = np.exp(np.linspace(0, np.log(REACH * fit.points[axis].max()), 400))

    def rows(values, theta):
        x = {name: np.full(len(values), value) for name, value in middle.items()} | {axis: np.asarray(values)}
        return varpro.design(replace(law, basis=lambda x, theta: slope(law, x, axis, theta)), x, theta)

    theta, beta, root, slack = fit.candidates(level)  # the first candidate is the fit itself
    within = slack >= 0
    rise, spread = contrast(rows(places, theta[within]), beta[within], root[within])
    turns = np.sign(rise[:, 1:]) * np.sign(rise[:, :-1]) < 0
    reached = (rise**2 <= slack[within, None] * spread).any(axis=0)
    reached[:-1] |= turns.any(axis=0)
    reached[1:] |= turns.any(axis=0)
    low, high = places[reached][[0, -1]] if reached.any() else (np.nan, np.nan)
    high = np.inf if high == places[-1] else high
    if not turns[0].any():
        return TurningPoint("none", np.nan, float(low), float(high))
    i = int(turns[0].argmax())
    estimate = brentq(lambda value: (rows([value], theta[:1])[0] @ beta[0])[0], places[i], places[i + 1])
    return TurningPoint("maximum" if rise[0, i] > 0 else "minimum", float(estimate), float(low), float(high))
