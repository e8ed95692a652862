"""Where a fitted law stops rising or falling along an axis, with a profile interval."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from perflaw.errors import InputError
from perflaw.laws.families import SYMBOLS, Array, AxisValues, Law
from perflaw.laws.fitting import Fit
from perflaw.laws.linear import design_columns
from perflaw.laws.profile import (
    Candidates,
    find_open,
    pinned_solution,
    profile_threshold,
    select_candidates,
    solve_at,
)
from perflaw.stats import check_level

STEP = 1e-4  # in the logarithm of an axis, for its slope
REACH = 16.0  # turning points are looked for up to this many times the largest measured value
PLACES = 400  # at which the slope is looked at
HELD_VALUES = 161  # of the axis's exponent


class Turn(StrEnum):
    """What a law does at its turning point."""

    MAXIMUM = "maximum"
    MINIMUM = "minimum"
    NONE = "none"


@dataclass(frozen=True)
class TurningPoint:
    """Where a law stops rising or falling along an axis.

    Attributes
    ----------
    kind : Turn
        Maximum, minimum, or none.
    estimate : float
        The place in the axis's unit; nan without a turning point.
    low, high : float
        Bounds of the places where the slope may be zero; 1 or less, and infinite, where the data
        leave that end open.
    """

    kind: Turn
    estimate: float
    low: float
    high: float

    @property
    def open(self) -> bool:
        """Whether the data leave an end of the interval open."""
        return bool(self.low <= 1 or np.isinf(self.high))


def axis_slope(law: Law, x: AxisValues, axis: str, theta: Array) -> Array:
    """Return the coefficients (..., n, p) of the linear parameters in dy / d ln(axis) at x."""
    up, down = (law.basis({**x, axis: x[axis] * np.exp(sign * STEP)}, theta) for sign in (1, -1))
    return (up - down) / (2 * STEP)


def turning_point(
    fit: Fit, axis: str, level: float = 0.9, at: Mapping[str, float] | None = None
) -> TurningPoint:
    """Find the turning point of a fitted law along an axis, with its profile interval.

    The search goes from 1 to 16 times the largest measured value. The interval spans the turning
    points of every fit that stays within the sum of squares of this level, the exponent of the
    axis held at one value after another. An end is open (1, or infinite) where such a fit turns
    beyond the search, or not at all, or where a bound of the exponent, and not the data, sets it.
    Both ends are open, and the estimate is one of many, where the points cannot tell the terms of
    the axis from others, as where d always rises with N.

    Parameters
    ----------
    fit : Fit
    axis : str
        One of the law's axes.
    level : float
        Confidence level of the interval.
    at : mapping of str to float, optional
        Values of the other axes, by default their geometric means over the measured points; only
        a law with an interaction depends on them.

    Raises
    ------
    InputError
        If the law does not read an axis.
    """
    law = fit.law
    for name in (axis, *(at or {})):
        if name not in law.axes:
            known = ", ".join(law.axes)
            raise InputError(f"the law {law.name} has no axis '{name}'; it has {known}")
    check_level(level)
    means = {name: float(np.exp(np.log(fit.points[name]).mean())) for name in law.axes}
    others = {**means, **(at or {})}
    slope_law = replace(law, basis=lambda x, theta: axis_slope(law, x, axis, theta))

    def slope_rows(values: Array, theta: Array) -> Array:
        x = {name: np.full(len(values), value) for name, value in others.items()}
        return design_columns(slope_law, {**x, axis: values}, theta)

    def fitted_slope(values: Array) -> Array:
        return slope_rows(values, fit.theta[None])[0] @ fit.beta

    places = np.exp(np.linspace(0, np.log(REACH * fit.points[axis].max()), PLACES))
    slope = fitted_slope(places)
    turns = np.flatnonzero(_find_flips(slope))
    kind, estimate = Turn.NONE, np.nan
    if len(turns):
        first = turns[0]
        kind = Turn.MAXIMUM if slope[first] > 0 else Turn.MINIMUM
        bracket = places[first], places[first + 1]
        estimate = float(brentq(lambda value: fitted_slope(np.array([value]))[0], *bracket))
    allowed, is_at_bound = _allowed_fits(fit, axis, level)
    if find_open(fit, slope_rows(places, fit.theta[None])[0]).any():
        return TurningPoint(kind, estimate, 1.0, np.inf)
    slopes, variance = allowed.estimate(slope_rows(places, allowed.theta))
    is_flat = slopes**2 <= allowed.slack[:, None] * variance  # a slope of zero there is allowed
    low, high = _interval_ends(places, slopes, is_flat, is_at_bound, kind, estimate)
    return TurningPoint(kind, estimate, low, high)


def _find_flips(slope: Array) -> NDArray[np.bool_]:
    """Say between which neighbouring places (..., n) a slope changes its sign, (..., n - 1)."""
    sign = np.sign(slope)
    return sign[..., 1:] * sign[..., :-1] < 0


def _interval_ends(
    places: Array,
    slopes: Array,
    is_flat: NDArray[np.bool_],
    is_at_bound: NDArray[np.bool_],
    kind: Turn,
    estimate: float,
) -> tuple[float, float]:
    """Bound the places where any of the allowed fits may turn.

    slopes and is_flat are (fits, places), is_at_bound (fits,).
    """
    flips = _find_flips(slopes)
    share = slopes[:, :-1] / np.where(flips, slopes[:, :-1] - slopes[:, 1:], np.inf)
    crossings = np.exp(np.log(places[:-1]) + share * np.diff(np.log(places)))
    has_turn, has_flat = flips.any(axis=1), is_flat.any(axis=1)
    is_usable = has_flat | (has_turn & ~is_at_bound)
    flat_places = np.broadcast_to(places, is_flat.shape)[is_flat]
    reached = np.concatenate([crossings[is_usable][flips[is_usable]], flat_places])
    is_low_open = not len(reached) or reached.min() <= places[0]
    is_high_open = not len(reached) or reached.max() >= places[-1]
    # Where the exponent's bound sets the place, it opens the end on that side.
    middle = places[len(places) // 2] if np.isnan(estimate) else estimate
    for i in np.flatnonzero(has_turn & ~is_usable):
        is_below = crossings[i][flips[i]].mean() < middle
        is_low_open |= is_below
        is_high_open |= not is_below
    # A fit that rises or falls throughout turns beyond an end of the search, or not at all.
    is_rising = slopes[~has_turn & ~has_flat, 0] > 0
    is_minimum = kind is Turn.MINIMUM
    is_low_open |= (is_rising == is_minimum).any()
    is_high_open |= (is_rising | is_minimum).any()
    low = 1.0 if is_low_open else float(reached.min())
    high = np.inf if is_high_open else float(reached.max())
    return low, high


def _allowed_fits(fit: Fit, axis: str, level: float) -> tuple[Candidates, NDArray[np.bool_]]:
    """Return the fits within a confidence level, and which have the axis's exponent at a bound.

    With an exponent of its own for the axis, that exponent is held at many values and all
    the rest follows along; otherwise the fit's own candidates serve.
    """
    candidates = fit.candidates(level)
    exponent = f"p_{SYMBOLS.get(axis, axis)}"
    if exponent not in fit.law.exponents:
        return candidates, np.zeros(len(candidates.slack), bool)
    index = list(fit.law.exponents).index(exponent)
    bounds = fit.law.exponents[exponent]
    interval = fit.profile(exponent, level)
    low, high = (bound if np.isinf(end) else end for bound, end in zip(bounds, interval))
    held = np.union1d(np.linspace(low, high, HELD_VALUES), candidates.theta[:, index])
    solved = solve_at(fit, pinned_solution(fit, exponent, held).theta)
    threshold = profile_threshold(fit.rss, fit.dof, level) * (1 + 1e-6)
    allowed = select_candidates(solved, threshold)
    return allowed, np.isin(allowed.theta[:, index], bounds)
