"""Which parameters the points determine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from perflaw.laws.families import Array, Law, law_axes
from perflaw.laws.linear import design_columns, exponent_slopes

if TYPE_CHECKING:
    from perflaw.laws.fitting import Fit

RANK_TOLERANCE = 1e-7  # singular values below this share of the largest count as zero
IDLE_TOLERANCE = 1e-12  # columns shorter than this share of the longest are rounding errors
MOVING = 1e-3  # parts of a unit direction above which a parameter takes part in it


def fit_jacobian(fit: Fit) -> Array:
    """Differentiate the values fitted to the points that count by each parameter, (n, p + q)."""
    return _jacobian(fit.law, fit.points[fit.weights > 0], fit.theta, fit.beta)


def numerical_rank(jacobian: Array) -> int:
    """Count the directions in parameter space that move the fitted values.

    Columns are scaled to unit length first; singular values below `RANK_TOLERANCE` times the
    largest count as zero.

    Examples
    --------
    >>> numerical_rank(np.array([[1.0, 2.0], [2.0, 4.0], [3.0, 6.0]]))
    1
    """
    return jacobian.shape[1] - len(null_directions(jacobian))


def identifiable_rank(law: Law, points: pd.DataFrame) -> int:
    """Count the directions in which the parameters of a law can move its values at `points`.

    Counted at parameters of one half, which stand for any: a property of law and points.
    """
    theta, beta = np.full(len(law.exponents), 0.5), np.full(len(law.linear), 0.5)
    return numerical_rank(_jacobian(law, points, theta, beta))


def unidentified_parameters(jacobian: Array, names: Sequence[str]) -> tuple[str, ...]:
    """Name the parameters that can move, alone or together, without moving the fitted values."""
    is_moving = np.abs(null_directions(jacobian)).max(axis=0, initial=0.0) > MOVING
    return tuple(name for name, moves in zip(names, is_moving) if moves)


def null_directions(jacobian: Array) -> Array:
    """Return directions (k, p) of parameters, columns at unit length, that move no value."""
    length = np.linalg.norm(jacobian, axis=0)
    is_idle = length <= IDLE_TOLERANCE * length.max()
    unit = np.where(is_idle, 0.0, jacobian / np.where(is_idle, 1.0, length))
    _, size, directions = np.linalg.svd(unit, full_matrices=True)
    size = np.pad(size, (0, len(directions) - len(size)))
    return directions[size <= RANK_TOLERANCE * size.max()]


def _jacobian(law: Law, points: pd.DataFrame, theta: Array, beta: Array) -> Array:
    """Differentiate the law's values at `points` by each parameter, (n, p + q)."""
    x = law_axes(law, points)
    columns = design_columns(law, x, theta[None])[0]
    if not law.exponents:
        return columns
    return np.hstack([columns, exponent_slopes(law, x, theta[None], beta[None])[0]])
