"""The search from a start into its own valley, by the steps of Levenberg and Marquardt.

Many problems are searched at once, each on its own; those that are done drop out. Steps are kept
short, so that none leaps over a ridge.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from perflaw.laws.families import Array, AxisValues, Law
from perflaw.laws.linear import TINY, LeastSquares, design_columns, least_squares, residual_slopes

MAX_STEPS = 100
DAMPING = 1.0  # at the start; less, or a longer step, may leap out of a valley over a ridge
STRIDE = 0.1  # of the bounds, that a step goes at most


@dataclass(frozen=True)
class Problems:
    """M problems on the same points: y, weights (M, n); bounds and penalty of exponents (M, q)."""

    law: Law
    x: AxisValues
    y: Array
    weights: Array
    low: Array
    high: Array
    centre: Array
    ridge: Array

    def select(self, rows: NDArray[np.intp]) -> Problems:
        """Return some of the problems."""
        names = ("y", "weights", "low", "high", "centre", "ridge")
        return replace(self, **{name: getattr(self, name)[rows] for name in names})

    def solve(self, theta: Array) -> LeastSquares:
        """Solve for the linear parameters at exponents (M, q); rss has the penalty added."""
        solved = least_squares(design_columns(self.law, self.x, theta), self.y, self.weights)
        penalty = np.sum(self.ridge * (theta - self.centre) ** 2, axis=1)
        return solved._replace(rss=solved.rss + penalty)


def refine(problems: Problems, starts: Array) -> tuple[Array, LeastSquares, NDArray[np.bool_]]:
    """Search from exponents (M, q), one start a problem.

    Returns
    -------
    numpy.ndarray
        The best exponents that were tried of each problem (M, q).
    LeastSquares
        The problems solved there.
    numpy.ndarray
        Booleans (M,): whether the search ended by itself.
    """
    theta = starts.copy()
    best = problems.solve(theta)
    damping = np.full(len(starts), DAMPING)
    busy = np.arange(len(starts))
    for _ in range(MAX_STEPS):
        if not len(busy):
            break
        searched = problems.select(busy)
        current = LeastSquares(*(values[busy] for values in best))
        proposed, expected_gain = _propose(searched, theta[busy], current, damping[busy])
        trial = searched.solve(proposed)
        gain = current.rss - trial.rss
        is_still = np.abs(proposed - theta[busy]).max(axis=1) < 1e-9
        is_level = np.abs(gain) <= 1e-9 * current.rss
        is_hopeless = damping[busy] > 1e10
        is_better = gain > 1e-10 * current.rss
        for values, tried in zip((theta, *best), (proposed, *trial)):
            values[busy[is_better]] = tried[is_better]
        is_good = [gain > 0.75 * expected_gain, gain > 0.25 * expected_gain]
        damping[busy] *= np.select(is_good, [0.2, 1.0], 5.0)
        busy = busy[~(is_still | is_level | is_hopeless)]
    return theta, best, ~np.isin(np.arange(len(starts)), busy)


def _propose(
    problems: Problems, theta: Array, current: LeastSquares, damping: Array
) -> tuple[Array, Array]:
    """Give the exponents after a damped step within the bounds, and the gain that it promises."""
    low, high, ridge = problems.low, problems.high, problems.ridge
    slope = residual_slopes(
        problems.law, problems.x, theta, current.beta, problems.weights, current.q
    )
    residual = current.residual * np.sqrt(problems.weights)
    gradient = np.einsum("bnq,bn->bq", slope, residual) + ridge * (theta - problems.centre)
    is_stuck = ((theta <= low) & (gradient >= 0)) | ((theta >= high) & (gradient <= 0))
    slope = np.where(is_stuck[:, None], 0.0, slope)
    gradient = np.where(is_stuck, 0.0, gradient)
    curvature = np.einsum("bnq,bnr->bqr", slope, slope)
    curvature += np.where(is_stuck, 0.0, ridge)[:, None] * np.eye(theta.shape[1])
    step = _damped_solve(curvature, gradient, damping)
    reach = np.maximum(STRIDE * (high - low), TINY)
    step = step / np.maximum(1, np.abs(step) / reach).max(axis=1)[:, None]
    proposed = np.clip(theta - step, low, high)
    step = proposed - theta
    linear_part = 2 * gradient + np.einsum("bqr,br->bq", curvature, step)
    return proposed, -np.einsum("bq,bq->b", step, linear_part)


def _damped_solve(curvature: Array, gradient: Array, damping: Array) -> Array:
    """Return (curvature + damping * its diagonal)^-1 gradient, in units where the diagonal is 1."""
    diagonal = np.einsum("bqq->bq", curvature)
    floor = 1e-7 * diagonal.max(axis=1, keepdims=True) + TINY
    unit = 1 / np.sqrt(np.maximum(diagonal, floor))
    scaled = curvature * unit[:, :, None] * unit[:, None, :]
    damped = scaled + damping[:, None, None] * np.eye(gradient.shape[1])
    step: Array = unit * np.linalg.solve(damped, (unit * gradient)[..., None])[..., 0]
    return step
