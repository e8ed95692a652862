"""A law at given exponents: its columns, the least squares that they make, and its slopes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from perflaw.errors import InputError
from perflaw.laws.families import Array, AxisValues, Law

STEP = 1e-5  # of an exponent, for its slope
TINY = 1e-300


def design_columns(law: Law, x: AxisValues, theta: Array) -> Array:
    """Return the law's columns for each row of theta, (B, n, p).

    Raises
    ------
    InputError
        If a law with exponents does not give one set of columns for each row.
    """
    columns = law.basis(x, theta)
    if law.exponents and columns.shape[:-2] != theta.shape[:-1]:
        raise InputError(
            f"the basis of {law.family} gave shape {columns.shape} "
            f"for {len(theta)} rows of exponents"
        )
    return np.broadcast_to(columns, (len(theta), *columns.shape[-2:]))


class LeastSquares(NamedTuple):
    """Weighted least squares of B linear designs (B, n, p).

    Attributes
    ----------
    beta : numpy.ndarray
        Coefficients (B, p).
    rss : numpy.ndarray
        Weighted sums of squares (B,).
    q, r : numpy.ndarray
        Factors (B, n, p) and (B, p, p) of the weighted design.
    residual : numpy.ndarray
        Unweighted residuals (B, n).
    """

    beta: Array
    rss: Array
    q: Array
    r: Array
    residual: Array


def least_squares(columns: Array, y: Array, weights: Array) -> LeastSquares:
    """Solve weighted least squares for each of B designs (B, n, p).

    A column that depends on the ones before it gets the coefficient 0.
    """
    root = np.sqrt(weights)
    q, r = np.linalg.qr(columns * root[..., None])
    is_spare = np.abs(np.diagonal(r, axis1=-2, axis2=-1)) <= 1e-13 * np.linalg.norm(r, axis=-2)
    target = np.einsum("bnp,bn->bp", q, np.broadcast_to(root * y, q.shape[:2]))
    r = r + is_spare[..., None] * np.eye(r.shape[-1])
    beta = np.linalg.solve(r, np.where(is_spare, 0.0, target)[..., None])[..., 0]
    residual = y - np.einsum("bnp,bp->bn", columns, beta)
    return LeastSquares(beta, np.sum(weights * residual**2, axis=-1), q, r, residual)


def exponent_slopes(law: Law, x: AxisValues, theta: Array, beta: Array) -> Array:
    """Differentiate basis @ beta by each exponent, (B, n, q), by central differences."""
    q = theta.shape[1]
    shifts = STEP * np.concatenate([np.eye(q), -np.eye(q)])
    shifted = (theta + shifts[:, None]).reshape(-1, q)
    columns = design_columns(law, x, shifted)
    columns = columns.reshape(2, q, len(theta), *columns.shape[1:])
    slopes = [np.einsum("bnp,bp->bn", up - down, beta) for up, down in zip(*columns)]
    return np.stack(slopes, axis=-1) / (2 * STEP)


def residual_slopes(
    law: Law, x: AxisValues, theta: Array, beta: Array, weights: Array, q: Array
) -> Array:
    """Differentiate the weighted residuals by the exponents, linear parameters following along.

    q holds the orthonormal columns of the weighted design (B, n, p). Returns (B, n, q).
    """
    slope = exponent_slopes(law, x, theta, beta) * np.sqrt(weights)[..., None]
    return q @ (q.transpose(0, 2, 1) @ slope) - slope
