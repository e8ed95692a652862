"""Losses that give diverged runs a bounded influence, or none: weights for the least squares."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from perflaw.laws.families import Array, Law
from perflaw.laws.varpro import predict_many, solve_batch

HUBER_SD = 1.345  # 95 % efficient where the noise is normal
OUTLIER_SIGMAS = 2.5  # robust standard deviations from the consensus beyond which a point is out
SUBSETS = 500  # in which a consensus is looked for
HUBER_ROUNDS = 50
NORMAL_MEDIAN = 0.6745  # median absolute deviation of a standard normal


def squares_weights(law: Law, points: pd.DataFrame, y: Array) -> Array:
    """Weigh every point alike."""
    return np.ones_like(y)


def huber_weights(law: Law, points: pd.DataFrame, y: Array) -> Array:
    """Return the weights of Huber's loss at its optimum, started from least absolute deviations."""
    span = np.ptp(y)
    smallest = 1e-9 * span

    def reweigh(weights: Array, weigh: Callable[[Array], Array]) -> tuple[Array, Array]:
        """Fit and weigh by distance in turn; return the last weights and distances."""
        for _ in range(HUBER_ROUNDS):
            solution = solve_batch(law, points, y, weights)
            distance = np.abs(y - predict_many(law, points, solution.theta, solution.beta)[0])
            previous, weights = weights, weigh(np.maximum(distance, smallest))
            if np.allclose(weights, previous, rtol=1e-4):
                break
        return weights, distance

    weights, distance = reweigh(np.ones_like(y), lambda distance: span / distance)
    # As many points as there are parameters lie on the fit; the others tell the scale.
    scale = np.median(np.sort(distance)[len(law.parameters) :]) / NORMAL_MEDIAN
    threshold = HUBER_SD * max(scale, smallest)
    weights, _ = reweigh(weights, lambda distance: np.minimum(1.0, threshold / distance))
    return weights


def consensus_weights(law: Law, points: pd.DataFrame, y: Array) -> Array:
    """Return 1 for the points that agree, 0 for the others.

    Least trimmed squares by concentration from small subsets (Rousseeuw and Van Driessen 2006),
    with their scale and cut (Rousseeuw and Leroy 1987, chapter 5).
    """
    n, n_parameters = len(y), len(law.parameters)
    half = (n + n_parameters + 1) // 2
    if half >= n:
        return np.ones(n)
    # each subset has one point more than the law has parameters; the better subsets go on
    order = np.random.default_rng(0).random((SUBSETS, n)).argsort(axis=1)
    weights = (order.argsort(axis=1) <= n_parameters).astype(float)
    for n_kept in (SUBSETS, SUBSETS // 10, SUBSETS // 50, SUBSETS // 50):
        solution = solve_batch(law, points, y, weights)
        squares = (y - predict_many(law, points, solution.theta, solution.beta)) ** 2
        trimmed_sum = np.sort(squares, axis=1)[:, :half].sum(axis=1)
        squares = squares[np.argsort(trimmed_sum, kind="stable")[:n_kept]]
        weights = (squares.argsort(axis=1).argsort(axis=1) < half).astype(float)
    distance = np.sqrt(squares[0])
    scale = 1.4826 * (1 + 5 / (n - n_parameters)) * np.median(distance)
    return (distance <= OUTLIER_SIGMAS * max(scale, 1e-9 * np.ptp(y))).astype(float)


LOSSES: dict[str, Callable[[Law, pd.DataFrame, Array], Array]] = {
    "squares": squares_weights,
    "huber": huber_weights,
    "consensus": consensus_weights,
}
