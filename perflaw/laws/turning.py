"""Where a fitted law stops rising or falling along an axis, with a profile interval."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from perflaw.errors import InputError
from perflaw.laws.families import SYMBOLS, Array, AxisValues, Law, law_axes
from perflaw.laws.fitting import Fit
from perflaw.laws.profile import contrast_estimates, pinned_solution, profile_threshold
from perflaw.laws.varpro import design_columns, least_squares
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

    def fitted_slope(value: float) -> float:
        row = slope_rows(np.array([value]), fit.theta[None])[0]
        return float((row @ fit.beta)[0])

    places = np.exp(np.linspace(0, np.log(REACH * fit.points[axis].max()), PLACES))
    slope = slope_rows(places, fit.theta[None])[0] @ fit.beta
    turns = np.flatnonzero(np.sign(slope[1:]) * np.sign(slope[:-1]) < 0)
    kind, estimate = Turn.NONE, np.nan
    if len(turns):
        first = turns[0]
        kind = Turn.MAXIMUM if slope[first] > 0 else Turn.MINIMUM
        estimate = float(brentq(fitted_slope, places[first], places[first + 1]))
    theta, beta, root, slack, is_at_bound = _fits_within(fit, axis, level)
    slope, variance = contrast_estimates(slope_rows(places, theta), beta, root)
    is_flat = slope**2 <= slack[:, None] * variance  # level there, within what is allowed
    low, high = _interval_ends(places, slope, is_flat, is_at_bound, kind, estimate)
    return TurningPoint(kind, estimate, low, high)


def _interval_ends(
    places: Array,
    slope: Array,
    is_flat: NDArray[np.bool_],
    is_at_bound: NDArray[np.bool_],
    kind: Turn,
    estimate: float,
) -> tuple[float, float]:
    """Bound the places where any of the allowed fits may turn.

    slope and is_flat are (fits, places), is_at_bound (fits,).
    """
    flips = np.sign(slope[:, 1:]) * np.sign(slope[:, :-1]) < 0
    share = slope[:, :-1] / np.where(flips, slope[:, :-1] - slope[:, 1:], 1.0)
    crossings = np.exp(np.log(places[:-1]) + share * np.diff(np.log(places)))
    is_usable = (flips.any(axis=1) & ~is_at_bound) | is_flat.any(axis=1)
    flat_places = np.broadcast_to(places, is_flat.shape)[is_flat]
    reached = np.concatenate([crossings[is_usable][flips[is_usable]], flat_places])
    middle = places[len(places) // 2] if np.isnan(estimate) else estimate
    is_low_open = not len(reached) or reached.min() <= places[0]
    is_high_open = not len(reached) or reached.max() >= places[-1]
    for i in np.flatnonzero(~is_usable):
        if flips[i].any():  # the exponent's bound sets the end
            is_below = crossings[i][flips[i]].mean() < middle
            is_low_open |= is_below
            is_high_open |= not is_below
            continue
        # It rises or falls throughout: it turns beyond an end of the search, or not at all.
        is_rising = slope[i, 0] > 0
        is_minimum = kind is Turn.MINIMUM
        is_low_open |= is_rising == is_minimum
        is_high_open |= is_rising or is_minimum
    low = 1.0 if is_low_open else float(reached.min())
    high = np.inf if is_high_open else float(reached.max())
    return low, high


def _fits_within(
    fit: Fit, axis: str, level: float
) -> tuple[Array, Array, Array, Array, NDArray[np.bool_]]:
    """Return the fits that stay within the level, and which have the axis's exponent at a bound.

    With an exponent of its own for the axis, that exponent is held at many values and all
    the rest follows along; otherwise the fit's own candidates serve. Exponents, linear
    parameters, triangular factors, slack, and whether the exponent is at a bound.
    """
    theta, beta, root, slack = fit.candidates(level)
    is_within = slack >= 0
    exponent = f"p_{SYMBOLS.get(axis, axis)}"
    if exponent not in fit.law.exponents:
        is_at_bound = np.zeros(len(slack), bool)
        return _select_fits(is_within, theta, beta, root, slack, is_at_bound)
    bounds = fit.law.exponents[exponent]
    interval = fit.profile(exponent, level)
    ends = [bound if np.isinf(end) else end for bound, end in zip(bounds, interval)]
    allowed = theta[is_within, list(fit.law.exponents).index(exponent)]
    held = np.unique(np.concatenate([np.linspace(ends[0], ends[1], HELD_VALUES), allowed]))
    theta = pinned_solution(fit, exponent, held).theta
    columns = design_columns(fit.law, law_axes(fit.law, fit.points), theta)
    beta, rss, _, root = least_squares(columns, fit.y, fit.weights)
    slack = profile_threshold(fit.rss, fit.dof, level) * (1 + 1e-6) - rss
    return _select_fits(slack >= 0, theta, beta, root, slack, np.isin(held, bounds))


def _select_fits(
    mask: NDArray[np.bool_],
    theta: Array,
    beta: Array,
    root: Array,
    slack: Array,
    is_at_bound: NDArray[np.bool_],
) -> tuple[Array, Array, Array, Array, NDArray[np.bool_]]:
    return theta[mask], beta[mask], root[mask], slack[mask], is_at_bound[mask]
