"""Variable projection in batches: the least squares behind every fit.

Given its exponents a law is linear (see `perflaw.laws.families`), so only the exponents are
searched and the linear parameters are solved exactly (Golub and Pereyra 1973, with the
slopes of Kaufman 1975; `perflaw.laws.linear`). Every exponent is gridded over its stated bounds,
and the lowest valleys of the grid are refined (`perflaw.laws.refinement`).

The problems of a batch share their points x. They differ in their values y, (B, n), or in
their weights, (B, n); what is the same for all may be given once, as (1, n) and (n,).

A law with a penalty (`law.with_penalty`) is fitted by the least of

    sum of squares + strength * total sum of squares * sum over exponents of (p - centre)²,

so its exponents are shrunk towards the centres, by as much in any unit of the metric. That sum is
called the cost; without a penalty it is the sum of squares.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import minimum_filter

from perflaw.errors import InputError
from perflaw.laws.families import Array, AxisValues, Law, law_axes
from perflaw.laws.linear import TINY, design_columns, least_squares
from perflaw.laws.refinement import Problems, refine

GRID = 41  # values per exponent in the first search, fewer if their combinations are too many
COMBINATIONS = 20_000
LATTICE = 40_000_000  # numbers in the columns at all those combinations, at most
MAX_EXPONENTS = 6  # of a law; a grid over more is either empty or endless
MESH = 601  # values of an exponent at which the turning of columns is measured
VALLEYS = 4  # valleys of that grid that are refined
TIE = 1e-6  # sums of squares this close, relatively, are the same
APART = 0.01  # exponents this far from each other are different optima
BLOCK = 4_000_000  # numbers of a table that the searches hold at once


class Solution(NamedTuple):
    """The best parameters of a batch of B problems.

    Attributes
    ----------
    theta : numpy.ndarray
        Exponents (B, q).
    beta : numpy.ndarray
        Linear parameters (B, p).
    rss : numpy.ndarray
        Weighted sums of squares (B,), the penalty of a law that has one included.
    converged : numpy.ndarray
        Booleans (B,).
    tied : numpy.ndarray
        Booleans (B,): other exponents, elsewhere, fit equally well.
    """

    theta: Array
    beta: Array
    rss: Array
    converged: NDArray[np.bool_]
    tied: NDArray[np.bool_]


def solve_batch(
    law: Law, points: pd.DataFrame, y: ArrayLike, weights: ArrayLike | None = None
) -> Solution:
    """Return the best parameters of a batch of least-squares problems on the same points.

    Where the data cannot tell exponents apart, the smallest are taken: those nearest to a
    law in plain logarithms.

    Parameters
    ----------
    law : Law
    points : pandas.DataFrame
        The law's axes, n rows.
    y : array_like
        Values (n,) or (B, n).
    weights : array_like, optional
        (n,) or (B, n), not negative, zero to hide a point; 1 by default.

    Raises
    ------
    InputError
        For a law of more than `MAX_EXPONENTS` exponents.
    """
    x = law_axes(law, points)
    values = np.atleast_2d(np.asarray(y, float))
    weight = np.ones(values.shape[-1]) if weights is None else np.asarray(weights, float)
    if len(law.exponents) > MAX_EXPONENTS:
        raise InputError(
            f"the law {law.family} has {len(law.exponents)} exponents here, one an axis, and can "
            f"be searched for {MAX_EXPONENTS} at most; give it fewer axes, or take a law without "
            "exponents, such as log_quadratic"
        )
    batch = max(len(values), len(np.atleast_2d(weight)))
    if not law.exponents:
        theta = np.zeros((batch, 0))
        solved = least_squares(design_columns(law, x, theta), values, weight)
        always, never = np.ones(batch, bool), np.zeros(batch, bool)
        return Solution(theta, solved.beta, solved.rss, converged=always, tied=never)
    values = np.broadcast_to(values, (batch, values.shape[-1]))
    centre, ridge = _penalty(law, values, weight)
    problem, starts = _find_valleys(law, x, values, weight, centre, ridge)
    bounds = np.array(list(law.exponents.values()))
    problems = Problems(
        law,
        x,
        y=values[problem],
        weights=np.broadcast_to(weight, values.shape)[problem],
        low=np.broadcast_to(bounds[:, 0], starts.shape),
        high=np.broadcast_to(bounds[:, 1], starts.shape),
        centre=np.broadcast_to(centre, starts.shape),
        ridge=ridge[problem],
    )
    return _refine_and_select(problems, starts, problem, batch)


def solve_pinned(
    law: Law, points: pd.DataFrame, y: Array, weights: Array, exponent: str, values: Array
) -> Solution:
    """Solve one problem, y and weights (n,), with one exponent held at each of the values."""
    x = law_axes(law, points)
    index = list(law.exponents).index(exponent)
    free_lattice = np.unique(np.delete(exponent_lattice(law, x), index, axis=1), axis=0)
    held = np.repeat(values, len(free_lattice))
    theta = np.insert(np.tile(free_lattice, (len(values), 1)), index, held, axis=1)
    size = len(y) * len(law.linear)  # of the columns at one point of the lattice
    step = max(1, BLOCK // (size * len(free_lattice))) * len(free_lattice)
    blocks = (theta[start : start + step] for start in range(0, len(theta), step))
    rss = [_rss_on_lattice(design_columns(law, x, block), y[None], weights)[0] for block in blocks]
    shape = (len(values), len(free_lattice))
    lowest = np.argsort(np.reshape(np.concatenate(rss), shape), axis=1, kind="stable")[:, :VALLEYS]
    problem = np.repeat(np.arange(len(values)), lowest.shape[1])
    starts = theta.reshape(*shape, -1)[problem, lowest.ravel()]
    low, high = (
        np.tile(bound, (len(starts), 1)) for bound in np.array(list(law.exponents.values())).T
    )
    low[:, index] = high[:, index] = values[problem]
    no_penalty = np.zeros_like(starts)
    problems = Problems(
        law,
        x,
        y=np.tile(y, (len(starts), 1)),
        weights=np.tile(weights, (len(starts), 1)),
        low=low,
        high=high,
        centre=no_penalty,
        ridge=no_penalty,
    )
    return _refine_and_select(problems, starts, problem, len(values))


def predict_many(law: Law, points: pd.DataFrame, theta: Array, beta: Array) -> Array:
    """Return the values (B, m) at m points of the B fits that `solve_batch` returned."""
    columns = design_columns(law, law_axes(law, points), theta)
    return np.einsum("bmp,bp->bm", columns, beta)


def exponent_lattice(law: Law, x: AxisValues) -> Array:
    """Combine `GRID` values or one more per exponent within its bounds, (G, q).

    They are fewer where there would be too many combinations.
    """
    n_columns = len(law.linear) * len(next(iter(x.values())))
    combinations = min(COMBINATIONS, LATTICE // n_columns)
    size = min(GRID, max(2, int(combinations ** (1 / len(law.exponents)))))
    values = [_spread_values(law, x, index, size) for index in range(len(law.exponents))]
    return np.stack(np.meshgrid(*values, indexing="ij"), axis=-1).reshape(-1, len(values))


def _spread_values(law: Law, x: AxisValues, index: int, size: int) -> Array:
    """Spread values of one exponent over its bounds, the others in the middle of theirs.

    A column of a law can swing from rising to falling within a few hundredths of its
    exponent and hardly change at all elsewhere. So two thirds of the values are spaced by
    equal angles through which the centred columns turn, one third evenly, and 0 is among them.
    """
    bounds = list(law.exponents.values())
    low, high = bounds[index]
    if low == high:
        return np.array([low])
    mesh = np.linspace(low, high, MESH)
    theta = np.tile([sum(ends) / 2 for ends in bounds], (MESH, 1))
    theta[:, index] = mesh
    columns = design_columns(law, x, theta)
    columns = columns - columns.mean(axis=1, keepdims=True)
    columns = columns / np.maximum(np.linalg.norm(columns, axis=1, keepdims=True), TINY)
    # from chords, as an arccosine would lose half of the digits of small angles
    chord = np.linalg.norm(np.diff(columns, axis=0), axis=1)
    angle = (2 * np.arcsin(np.minimum(chord / 2, 1))).sum(axis=1)
    travelled = np.concatenate([[0], np.cumsum(angle + angle.mean() / 2)])
    spread = np.interp(np.linspace(0, travelled[-1], size), travelled, mesh)
    return np.union1d(spread, [0.0]) if low < 0 < high else spread


def _find_valleys(
    law: Law, x: AxisValues, y: Array, weights: Array, centre: Array, ridge: Array
) -> tuple[NDArray[np.intp], Array]:
    """Find the lowest local minima of each problem on the grid: problem (M,), theta (M, q)."""
    theta = exponent_lattice(law, x)
    cost = _rss_on_lattice(design_columns(law, x, theta), y, weights)
    if law.penalty:
        cost = cost + ridge @ ((theta - centre) ** 2).T
    shape = [len(np.unique(values)) for values in theta.T]
    window = (1, *[3] * len(shape))
    around = minimum_filter(cost.reshape(-1, *shape), size=window, mode="nearest")
    around = around.reshape(cost.shape)
    is_valley = cost <= around + TIE * np.abs(around)
    # Heights are counted in ties, so that of equal valleys the smallest exponents come first.
    lowest = cost.min(axis=1, keepdims=True)
    height = np.floor(np.maximum(cost - lowest, 0) / (TIE * np.abs(lowest) + TINY))
    height = np.where(is_valley, height, np.inf)
    size = np.broadcast_to(np.linalg.norm(theta, axis=1), height.shape)
    first = np.lexsort((size, height), axis=1)[:, :VALLEYS]
    problem, rank = np.nonzero(np.take_along_axis(is_valley, first, axis=1))
    return problem, theta[first[problem, rank]]


def _rss_on_lattice(columns: Array, y: Array, weights: Array) -> Array:
    """Return sums of squares (B, G) of B problems at G designs, exact enough to rank valleys."""
    centred = columns[..., 1:] - columns[..., 1:].mean(axis=1, keepdims=True)
    design = np.concatenate([columns[..., :1], centred], axis=-1)
    design = design / np.maximum(np.linalg.norm(design, axis=1, keepdims=True), TINY)
    y = y - y.mean(axis=1, keepdims=True)  # the intercept's part, which would only cost digits
    ridge = 1e-12 * np.eye(columns.shape[-1])
    if weights.ndim == 2:
        return _rss_by_weights(design, y, weights, ridge)
    root = np.sqrt(weights)
    design, y = design * root[:, None], y * root
    target = design.transpose(0, 2, 1) @ y.T
    beta = np.linalg.solve(design.transpose(0, 2, 1) @ design + ridge, target)
    rss: Array = np.sum(y**2, axis=1) - np.sum(beta * target, axis=1)
    return rss.T


def _rss_by_weights(design: Array, y: Array, weights: Array, ridge: Array) -> Array:
    """Do the work of `_rss_on_lattice` where each problem has weights of its own, (B, n)."""
    g, _, p = design.shape
    pairs = (design[..., :, None] * design[..., None, :]).transpose(1, 0, 2, 3)
    pairs = pairs.reshape(-1, g * p * p)
    rss = np.empty((len(y), g))
    block = max(1, BLOCK // (g * p * p))
    for start in range(0, len(y), block):
        w = weights[start : start + block]
        values = y[start : start + block]
        gram = (w @ pairs).reshape(-1, g, p, p) + ridge
        target = np.einsum("gnp,bn->bgp", design, w * values, optimize=True)
        beta = np.linalg.solve(gram, target[..., None])[..., 0]
        total = np.sum(w * values**2, axis=1)[:, None]
        rss[start : start + block] = total - np.sum(beta * target, axis=-1)
    return rss


def _penalty(law: Law, y: Array, weights: Array) -> tuple[Array, Array]:
    """Return where each exponent is shrunk to (q,), and how strongly in each problem (B, q)."""
    centre, strength = np.array([law.penalty.get(name, (0.0, 0.0)) for name in law.exponents]).T
    shares = weights / weights.sum(axis=-1, keepdims=True)
    mean = np.sum(shares * y, axis=-1, keepdims=True)
    total = np.sum(weights * (y - mean) ** 2, axis=-1, keepdims=True)
    return centre, total * strength


def _refine_and_select(
    problems: Problems, starts: Array, problem: NDArray[np.intp], batch: int
) -> Solution:
    """Refine every start, and take the best of each problem, of equals the smallest exponents."""
    theta, solved, converged = refine(problems, starts)
    lowest = np.full(batch, np.inf)
    np.minimum.at(lowest, problem, solved.rss)
    is_behind = solved.rss > lowest[problem] * (1 + TIE)
    order = np.lexsort((np.linalg.norm(theta, axis=1), is_behind, problem))
    best = order[np.unique(problem[order], return_index=True)[1]]
    is_apart = np.abs(theta - theta[best][problem]).max(axis=1) > APART
    tied = np.zeros(batch, bool)
    tied[problem[is_apart & ~is_behind]] = True
    return Solution(theta[best], solved.beta[best], solved.rss[best], converged[best], tied)
