"""Profile intervals: what the data leave open about parameters and predictions.

A value belongs to the 90 % interval if holding the law to it raises the sum of squares from S
to at most S (1 + t² / dof), t being Student's 95 % quantile. For a linear law this is the
textbook interval, exactly. The methods of `perflaw.laws.fitting.Fit` are the way in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from perflaw.errors import InputError
from perflaw.laws import linear, varpro
from perflaw.laws.families import Array, AxisValues, Law, law_axes
from perflaw.laws.identifiability import null_directions
from perflaw.stats import check_level, student_quantile

if TYPE_CHECKING:
    from perflaw.laws.fitting import Fit

ROUNDS, SPLITS = 6, 24  # each round splits the stretch that holds an interval's end into 24
NEARBY_SIZE = 21  # values along each axis of the lattice around the best exponents
OPEN = 1e-6  # part of a combination outside of what the points determine, above which it is open
CONDITION_WEIGHT = 1e6  # of a condition, in measured points

Landscape = tuple[Array, Array, Array, Array]  # theta (S, q), beta (S, p), R (S, p, p), rss (S,)


class Candidates(NamedTuple):
    """Exponents (S, q) at which a law fits well enough, and the law solved there.

    Attributes
    ----------
    theta : numpy.ndarray
        Exponents (S, q).
    beta : numpy.ndarray
        Linear parameters (S, p).
    root : numpy.ndarray
        Triangular factors (S, p, p) of their normal equations.
    slack : numpy.ndarray
        By how much the sum of squares may still rise (S,).
    """

    theta: Array
    beta: Array
    root: Array
    slack: Array

    def estimate(self, rows: Array) -> tuple[Array, Array]:
        """Estimate combinations of the linear parameters, (m, p) or (S, m, p).

        Returns
        -------
        tuple of numpy.ndarray
            Estimates (S, m), and their variances (S, m) in units of the noise variance.
        """
        rows = np.broadcast_to(rows, (len(self.beta), *rows.shape[-2:]))
        half = np.linalg.solve(self.root.transpose(0, 2, 1), rows.transpose(0, 2, 1))
        return np.einsum("bmp,bp->bm", rows, self.beta), np.sum(half**2, axis=1)

    def intervals(self, rows: Array, new_run: bool = False) -> tuple[Array, Array]:
        """Return the ends (S, m) of the intervals that each of the exponents gives."""
        centre, variance = self.estimate(rows)
        half = np.sqrt(self.slack[:, None] * (variance + new_run))
        return centre - half, centre + half


def profile_threshold(rss: ArrayLike, dof: ArrayLike, level: float) -> Array:
    """Return the sum of squares up to which a value is in the interval of a confidence level."""
    factor = 1 + student_quantile(level, dof) ** 2 / np.asarray(dof)
    threshold: Array = np.asarray(rss) * factor
    return threshold


def hold_exponent(law: Law, exponent: str, value: float) -> Law:
    """Return the same law with one exponent held."""
    return replace(law, exponents={**law.exponents, exponent: (value, value)})


def constrained_rss(
    law: Law, points: pd.DataFrame, y: Array, rows: Callable[[Array], Array], value: float
) -> Array:
    """Return sums of squares (B,) of `y` (B, n) if a linear combination of parameters is `value`.

    The condition is added as a point that weighs a million times as much as a measured one.

    Parameters
    ----------
    law : Law
    points : pandas.DataFrame
        The law's axes, n rows.
    y : numpy.ndarray
        Values (B, n).
    rows : callable
        From exponents (..., q) to the combination's coefficients (..., p), e.g. the law's basis
        at one point.
    value : float
        What the combination is held to.
    """

    def basis(x: AxisValues, theta: Array) -> Array:
        return np.concatenate([linear.design_columns(law, x, theta), rows(theta)[:, None]], axis=1)

    extended = np.hstack([y, np.full((len(y), 1), value)])
    weights = np.append(np.ones(len(points)), CONDITION_WEIGHT)
    return varpro.solve_batch(replace(law, basis=basis), points, extended, weights).rss


def landscape(fit: Fit) -> Landscape:
    """Solve the law at its own exponents, on a grid over the bounds, and on one around the best."""
    _refuse_shrunk(fit.law)
    theta = fit.theta[None]
    if fit.law.exponents:
        lattice = varpro.exponent_lattice(fit.law, law_axes(fit.law, fit.points))
        theta = np.concatenate([theta, lattice, _nearby_lattice(fit)])
    return solve_at(fit, theta)


def solve_at(fit: Fit, theta: Array) -> Landscape:
    """Solve the law for its linear parameters at exponents (S, q)."""
    columns = linear.design_columns(fit.law, law_axes(fit.law, fit.points), theta)
    solved = linear.least_squares(columns, fit.y, fit.weights)
    return theta, solved.beta, solved.r, solved.rss


def select_candidates(solved: Landscape, threshold: Array | float) -> Candidates:
    """Select the exponents at which the sum of squares is no more than the threshold."""
    theta, beta, root, rss = solved
    slack = threshold - rss
    is_inside = slack >= 0
    return Candidates(theta[is_inside], beta[is_inside], root[is_inside], slack[is_inside])


def _refuse_shrunk(law: Law) -> None:
    if law.penalty:
        raise InputError(
            "a law whose exponents are shrunk has no profile interval, as its sum of squares is "
            "not the least; use bootstrap, or fit the law without a penalty"
        )


def nearby_exponents(fit: Fit) -> tuple[Array, Array]:
    """Return three standard errors along the exponents' own axes (q,), and those axes (q, q)."""
    x = law_axes(fit.law, fit.points)
    low, high = np.array(list(fit.law.exponents.values())).T
    theta, beta = fit.theta[None], fit.beta[None]
    columns = linear.design_columns(fit.law, x, theta)
    q = np.linalg.qr(columns * np.sqrt(fit.weights)[:, None])[0]
    slope = linear.residual_slopes(fit.law, x, theta, beta, fit.weights, q)[0]
    curvature, directions = np.linalg.eigh(slope.T @ slope)
    error = fit.sigma / np.sqrt(np.maximum(curvature, linear.TINY))
    return 3 * np.minimum(error, np.max(high - low)), directions


def _nearby_lattice(fit: Fit) -> Array:
    """Return a lattice over three standard errors around the best exponents, along their axes."""
    low, high = np.array(list(fit.law.exponents.values())).T
    reach, directions = nearby_exponents(fit)
    steps = np.meshgrid(*[np.linspace(-1, 1, NEARBY_SIZE)] * len(low), indexing="ij")
    unit = np.stack(steps, axis=-1).reshape(-1, len(low))
    return np.clip(fit.theta + (unit * reach) @ directions.T, low, high)


def pinned_solution(fit: Fit, exponent: str, values: Sequence[float] | Array) -> varpro.Solution:
    """Solve the law anew with one exponent held at each of the values."""
    _refuse_shrunk(fit.law)
    held = np.asarray(values, float)
    return varpro.solve_pinned(fit.law, fit.points, fit.y, fit.weights, exponent, held)


def profile_curve(fit: Fit, exponent: str, size: int) -> pd.DataFrame:
    """See `Fit.profile_curve`."""
    if exponent not in fit.law.exponents:
        known = ", ".join(fit.law.exponents) or "none"
        raise InputError(f"the law has no exponent '{exponent}'; it has {known}")
    best, steps = fit.parameters[exponent], np.linspace(0, 1, size) ** 3
    bounds = fit.law.exponents[exponent]
    values = np.unique([best + steps * (bound - best) for bound in bounds])
    ratio = pinned_solution(fit, exponent, values).rss / fit.rss
    return pd.DataFrame({"value": values, "ratio": ratio})


def prediction_interval(
    fit: Fit, points: pd.DataFrame, level: float, new_run: bool
) -> pd.DataFrame:
    """See `Fit.interval`."""
    x = law_axes(fit.law, points)
    check_level(level)
    candidates = fit.candidates(level)
    low, high = candidates.intervals(fit.law.basis(x, candidates.theta), new_run)
    is_open = find_open(fit, fit.law.basis(x, fit.theta))
    columns = {
        "prediction": fit.predict(points),
        "low": np.where(is_open, -np.inf, low.min(axis=0)),
        "high": np.where(is_open, np.inf, high.max(axis=0)),
        "beyond": fit.beyond(points),
    }
    return pd.DataFrame(columns, index=points.index)


def find_open(fit: Fit, rows: Array) -> NDArray[np.bool_]:
    """Say which combinations (m, p) of the linear parameters the points leave open, (m,).

    Such a combination can have any value without moving a fitted value, the exponents as fitted.
    """
    x = law_axes(fit.law, fit.points)
    columns = linear.design_columns(fit.law, x, fit.theta[None])[0, fit.weights > 0]
    length = np.linalg.norm(columns, axis=0)
    scaled = rows / np.where(length > 0, length, 1.0)
    moved = np.abs(scaled @ null_directions(columns).T).max(axis=1, initial=0.0)
    return np.asarray(moved > OPEN * np.linalg.norm(scaled, axis=1))


def parameter_interval(fit: Fit, parameter: str, level: float) -> tuple[float, float]:
    """See `Fit.profile`."""
    if parameter not in fit.law.parameters:
        known = ", ".join(fit.law.parameters)
        raise InputError(f"the law has no parameter '{parameter}'; it has {known}")
    check_level(level)
    if parameter in fit.law.exponents:
        return _exponent_interval(fit, parameter, level)
    return _linear_interval(fit, parameter, level)


def _exponent_interval(fit: Fit, exponent: str, level: float) -> tuple[float, float]:
    limit = profile_threshold(fit.rss, fit.dof, level)
    allowed = fit.candidates(level).theta[:, list(fit.law.exponents).index(exponent)]
    # The allowed exponents need not be one stretch, so the walk starts at the outermost known one.
    inner = np.array([allowed.min(), allowed.max()])
    outer = np.array(fit.law.exponents[exponent], float)
    is_open = pinned_solution(fit, exponent, outer).rss <= limit
    closed = np.flatnonzero(~is_open)
    # Go from the allowed values towards the bounds, as far as values are allowed.
    for _ in range(ROUNDS if len(closed) else 0):
        values = np.array([np.linspace(inner[i], outer[i], SPLITS + 1) for i in closed])
        rss = pinned_solution(fit, exponent, values.ravel()).rss.reshape(values.shape)
        last = np.where(rss <= limit, np.arange(SPLITS + 1), 0).max(axis=1)
        rows = np.arange(len(closed))
        inner[closed] = values[rows, last]
        outer[closed] = values[rows, np.minimum(last + 1, SPLITS)]
    low, high = np.where(is_open, [-np.inf, np.inf], inner)
    return float(low), float(high)


def _linear_interval(fit: Fit, parameter: str, level: float) -> tuple[float, float]:
    candidates = fit.candidates(level)
    theta = candidates.theta
    row = np.eye(len(fit.law.linear))[[fit.law.linear.index(parameter)]]
    if find_open(fit, row)[0]:
        return -np.inf, np.inf
    low, high = (ends[:, 0] for ends in candidates.intervals(row))
    bounds = np.array(list(fit.law.exponents.values())).reshape(-1, 2)
    # An exponent whose best value is a bound takes no part: the others' edges tell.
    is_free = ~((fit.theta <= bounds[:, 0]) | (fit.theta >= bounds[:, 1]))
    is_at_edge = np.any(((theta <= bounds[:, 0]) | (theta >= bounds[:, 1])) & is_free, axis=1)
    return (
        -np.inf if is_at_edge[low.argmin()] else float(low.min()),
        np.inf if is_at_edge[high.argmax()] else float(high.max()),
    )
