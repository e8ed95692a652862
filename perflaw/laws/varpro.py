"""Variable projection in batches: the least squares behind every fit.

Given its exponents a law is linear (see `perflaw.laws.families`), so only the exponents are
searched and the linear parameters are solved exactly (Golub and Pereyra 1973, with the
slopes of Kaufman 1975). Every exponent is gridded over its stated bounds, and the lowest
valleys of the grid are refined by Levenberg-Marquardt steps. These are kept short, so that
each start ends in its own valley.

The problems of a batch share their points x. They differ in their values y, (B, n), or in
their weights, (B, n); what is the same for all may be given once, as (1, n) and (n,).

A law with a penalty (`law.with_penalty`) is fitted by the least of

    sum of squares + strength * total sum of squares * sum over exponents of (p - centre)²,

so its exponents are shrunk towards the centres, by as much in any unit of the metric.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import minimum_filter

from perflaw.errors import InputError
from perflaw.laws.families import Array, AxisValues, Law, law_axes

GRID = 41  # values per exponent in the first search, fewer if their combinations are too many
COMBINATIONS = 20_000
LATTICE = 40_000_000  # numbers in the columns at all those combinations, at most
MAX_EXPONENTS = 6  # of a law; a grid over more is either empty or endless
VALLEYS = 4  # valleys of that grid that are refined
TIE = 1e-6  # sums of squares this close, relatively, are the same
APART = 0.01  # exponents this far from each other are different optima
BLOCK = 4_000_000  # numbers held at once by the search over weighted problems
STEP = 1e-5  # of an exponent, for its slope
MAX_STEPS = 100  # of Levenberg and Marquardt
DAMPING = 1.0  # at the start; less, or a longer step, may leap out of a valley over a ridge
STRIDE = 0.1  # of the bounds, that a step goes at most
TINY = 1e-300


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
    """Solve a batch of least-squares problems on the same points.

    Parameters
    ----------
    law : Law
    points : pandas.DataFrame
        The law's axes, n rows.
    y : array_like
        Values (n,) or (B, n).
    weights : array_like, optional
        (n,) or (B, n), not negative, zero to hide a point; 1 by default.
    """
    values = np.atleast_2d(np.asarray(y, float))
    if weights is None:
        weights = np.ones(values.shape[-1])
    return solve_problems(law, law_axes(law, points), values, np.asarray(weights, float))


def predict_many(law: Law, points: pd.DataFrame, theta: Array, beta: Array) -> Array:
    """Return the values (B, m) at m points of the B fits that `solve_batch` returned."""
    columns = design_columns(law, law_axes(law, points), theta)
    return np.einsum("bmp,bp->bm", columns, beta)


def solve_problems(law: Law, x: AxisValues, y: Array, weights: Array) -> Solution:
    """Return the best parameters of every problem of the batch.

    Where the data cannot tell exponents apart, the smallest are taken: those nearest to a
    law in plain logarithms.

    Raises
    ------
    InputError
        For a law of more than `MAX_EXPONENTS` exponents.
    """
    if len(law.exponents) > MAX_EXPONENTS:
        raise InputError(
            f"the law {law.family} has {len(law.exponents)} exponents here, one an axis, and can "
            f"be searched for {MAX_EXPONENTS} at most; give it fewer axes, or take a law without "
            "exponents, such as log_quadratic"
        )
    batch = max(len(y), len(np.atleast_2d(weights)))
    if not law.exponents:
        theta = np.zeros((batch, 0))
        beta, rss, _, _ = least_squares(design_columns(law, x, theta), y, weights)
        return Solution(theta, beta, rss, np.ones(batch, bool), np.zeros(batch, bool))
    y = np.broadcast_to(y, (batch, y.shape[-1]))
    centre, ridge = _penalty(law, y, weights)
    problem, theta = _valleys(law, x, y, weights, centre, ridge)
    low, high = np.array(list(law.exponents.values())).T
    start_weights = weights[problem] if weights.ndim == 2 else weights
    refined = _refine(law, x, y[problem], start_weights, theta, low, high, centre, ridge[problem])
    return _select_best(refined, problem, batch)


def solve_pinned(
    law: Law, x: AxisValues, y: Array, weights: Array, index: int, values: Array
) -> Solution:
    """Solve one problem, y and weights (n,), with exponent `index` held at each of the values."""
    free_lattice = np.unique(np.delete(exponent_lattice(law, x, GRID), index, axis=1), axis=0)
    held = np.repeat(values, len(free_lattice))
    theta = np.insert(np.tile(free_lattice, (len(values), 1)), index, held, axis=1)
    rss = _rss_on_lattice(design_columns(law, x, theta), y[None], weights)[0]
    shape = (len(values), len(free_lattice))
    starts = np.argsort(rss.reshape(shape), axis=1, kind="stable")[:, :VALLEYS]
    problem = np.repeat(np.arange(len(values)), starts.shape[1])
    theta = theta.reshape(*shape, -1)[problem, starts.ravel()]
    low, high = (
        np.tile(bound, (len(theta), 1)) for bound in np.array(list(law.exponents.values())).T
    )
    low[:, index] = high[:, index] = values[problem]
    own_y, no_penalty = np.tile(y, (len(theta), 1)), np.zeros_like(theta)
    refined = _refine(law, x, own_y, weights, theta, low, high, no_penalty, no_penalty)
    return _select_best(refined, problem, len(values))


def _penalty(law: Law, y: Array, weights: Array) -> tuple[Array, Array]:
    """Return where each exponent is shrunk to (q,), and how strongly in each problem (B, q)."""
    pairs = [law.penalty.get(name, (0.0, 0.0)) for name in law.exponents]
    centre, strength = np.array(pairs).T
    shares = weights / weights.sum(axis=-1, keepdims=True)
    mean = np.sum(shares * y, axis=-1, keepdims=True)
    total = np.sum(weights * (y - mean) ** 2, axis=-1, keepdims=True)
    return centre, total * strength


def _select_best(refined: Solution, problem: NDArray[np.intp], batch: int) -> Solution:
    """Take the lowest of several refined starts, of equals the one of smallest exponents."""
    lowest = np.full(batch, np.inf)
    np.minimum.at(lowest, problem, refined.rss)
    is_behind = refined.rss > lowest[problem] * (1 + TIE)
    order = np.lexsort((np.linalg.norm(refined.theta, axis=1), is_behind, problem))
    best = order[np.unique(problem[order], return_index=True)[1]]
    is_apart = np.abs(refined.theta - refined.theta[best][problem]).max(axis=1) > APART
    tied = np.zeros(batch, bool)
    tied[problem[is_apart & ~is_behind]] = True
    return Solution(
        refined.theta[best], refined.beta[best], refined.rss[best], refined.converged[best], tied
    )


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


def least_squares(columns: Array, y: Array, weights: Array) -> tuple[Array, Array, Array, Array]:
    """Solve weighted least squares for each of B designs (B, n, p).

    A column that depends on the ones before it gets the coefficient 0.

    Returns
    -------
    tuple of numpy.ndarray
        Coefficients (B, p), sums of squares (B,), and Q (B, n, p) and R (B, p, p) of the
        weighted design.
    """
    root = np.sqrt(weights)
    q, r = np.linalg.qr(columns * root[..., None])
    is_spare = np.abs(np.diagonal(r, axis1=-2, axis2=-1)) <= 1e-13 * np.linalg.norm(r, axis=-2)
    target = np.einsum("bnp,bn->bp", q, np.broadcast_to(root * y, q.shape[:2]))
    r = r + is_spare[..., None] * np.eye(r.shape[-1])
    beta = np.linalg.solve(r, np.where(is_spare, 0.0, target)[..., None])[..., 0]
    residual = y - np.einsum("bnp,bp->bn", columns, beta)
    return beta, np.sum(weights * residual**2, axis=-1), q, r


def exponent_lattice(law: Law, x: AxisValues, size: int) -> Array:
    """Combine `size` values or one more per exponent within its bounds, (G, q).

    A column of a law can swing from rising to falling within a few hundredths of its
    exponent and hardly change at all elsewhere. So two thirds of an exponent's values
    are spaced by equal angles through which the centred columns turn, one third evenly,
    and 0 is among them.
    """
    n_columns = len(law.linear) * len(next(iter(x.values())))
    combinations = min(COMBINATIONS, LATTICE // n_columns)
    size = min(size, max(2, int(combinations ** (1 / len(law.exponents)))))
    middle = np.array([(low + high) / 2 for low, high in law.exponents.values()])
    values = []
    for i, (low, high) in enumerate(law.exponents.values()):
        if low == high:
            values.append(np.array([low]))
            continue
        mesh = np.linspace(low, high, 601)
        theta = np.tile(middle, (len(mesh), 1))
        theta[:, i] = mesh
        columns = design_columns(law, x, theta)
        columns = columns - columns.mean(axis=1, keepdims=True)
        columns = columns / np.maximum(np.linalg.norm(columns, axis=1, keepdims=True), TINY)
        # from chords, as an arccosine would lose half of the digits of small angles
        chord = np.linalg.norm(np.diff(columns, axis=0), axis=1)
        angle = (2 * np.arcsin(np.minimum(chord / 2, 1))).sum(axis=1)
        travelled = np.concatenate([[0], np.cumsum(angle + angle.mean() / 2)])
        spread = np.interp(np.linspace(0, travelled[-1], size), travelled, mesh)
        values.append(np.union1d(spread, [0.0]) if low < 0 < high else spread)
    return np.stack(np.meshgrid(*values, indexing="ij"), axis=-1).reshape(-1, len(values))


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


def _valleys(
    law: Law, x: AxisValues, y: Array, weights: Array, centre: Array, ridge: Array
) -> tuple[NDArray[np.intp], Array]:
    """Find the lowest local minima of each problem on the grid: problem (M,), theta (M, q)."""
    theta = exponent_lattice(law, x, GRID)
    rss = _rss_on_lattice(design_columns(law, x, theta), y, weights)
    if law.penalty:
        rss = rss + ridge @ ((theta - centre) ** 2).T
    shape = [len(np.unique(axis)) for axis in theta.T]
    around = minimum_filter(rss.reshape(-1, *shape), size=(1, *[3] * len(shape)), mode="nearest")
    around = around.reshape(rss.shape)
    is_valley = rss <= around + TIE * np.abs(around)
    low = rss.min(axis=1, keepdims=True)
    height = np.floor(np.maximum(rss - low, 0) / (TIE * np.abs(low) + TINY))
    depth = np.where(is_valley, height, np.inf)
    size = np.broadcast_to(np.linalg.norm(theta, axis=1), depth.shape)
    lowest = np.lexsort((size, depth), axis=1)[:, :VALLEYS]
    problem, place = np.nonzero(np.take_along_axis(is_valley, lowest, axis=1))
    return problem, theta[lowest[problem, place]]


def _rss_on_lattice(columns: Array, y: Array, weights: Array) -> Array:
    """Return sums of squares (B, G) of B problems at G designs, exact enough to rank valleys."""
    g, _, p = columns.shape
    centred = columns[..., 1:] - columns[..., 1:].mean(axis=1, keepdims=True)
    z = np.concatenate([columns[..., :1], centred], axis=-1)
    z = z / np.maximum(np.linalg.norm(z, axis=1, keepdims=True), TINY)
    y = y - y.mean(axis=1, keepdims=True)  # the intercept's part, which would only cost digits
    ridge = 1e-12 * np.eye(p)
    if weights.ndim == 1:
        root = np.sqrt(weights)
        z, y = z * root[:, None], y * root
        target = z.transpose(0, 2, 1) @ y.T
        beta = np.linalg.solve(z.transpose(0, 2, 1) @ z + ridge, target)
        shared: Array = (np.sum(y**2, axis=1) - np.sum(beta * target, axis=1)).T
        return shared
    pairs = (z[..., :, None] * z[..., None, :]).transpose(1, 0, 2, 3).reshape(-1, g * p * p)
    rss = np.empty((len(y), g))
    block = max(1, BLOCK // (g * p * p))
    for start in range(0, len(y), block):
        w = weights[start : start + block]
        values = y[start : start + block]
        gram = (w @ pairs).reshape(-1, g, p, p) + ridge
        target = np.einsum("gnp,bn->bgp", z, w * values, optimize=True)
        beta = np.linalg.solve(gram, target[..., None])[..., 0]
        total = np.sum(w * values**2, axis=1)[:, None]
        rss[start : start + block] = total - np.sum(beta * target, axis=-1)
    return rss


def _refine(
    law: Law,
    x: AxisValues,
    y: Array,
    weights: Array,
    theta: Array,
    low: Array,
    high: Array,
    centre: Array,
    ridge: Array,
) -> Solution:
    """Levenberg-Marquardt over the exponents of M problems, within their bounds, (q,) or (M, q).

    A penalty `ridge` (M, q) times the squared distance from `centre`, (q,) or (M, q), is added.
    """
    bounds = np.array([np.broadcast_to(end, theta.shape) for end in (low, high)])
    centre = np.broadcast_to(centre, theta.shape)
    columns = design_columns(law, x, theta)
    beta, rss, q, _ = least_squares(columns, y, weights)
    fitted = np.einsum("bnp,bp->bn", columns, beta)
    rss = rss + np.sum(ridge * (theta - centre) ** 2, axis=1)
    theta = theta.copy()
    damping = np.full(len(theta), DAMPING)
    busy = np.arange(len(theta))
    for _ in range(MAX_STEPS):
        if not len(busy):
            break
        current, values = theta[busy], y[busy]
        own_weights = weights[busy] if weights.ndim == 2 else weights
        slope = residual_slopes(law, x, current, beta[busy], own_weights, q[busy])
        residual = (values - fitted[busy]) * np.sqrt(own_weights)
        gradient = np.einsum("bnq,bn->bq", slope, residual) + ridge[busy] * (current - centre[busy])
        trial, expected_gain = _propose(
            current, slope, gradient, ridge[busy], damping[busy], bounds[:, busy]
        )
        columns = design_columns(law, x, trial)
        trial_beta, trial_rss, trial_q, _ = least_squares(columns, values, own_weights)
        trial_rss = trial_rss + np.sum(ridge[busy] * (trial - centre[busy]) ** 2, axis=1)
        gain = rss[busy] - trial_rss
        is_better = gain > 1e-10 * rss[busy]
        is_settled = (np.abs(trial - current).max(axis=1) < 1e-9) | (
            np.abs(gain) <= 1e-9 * rss[busy]
        )
        is_done = is_settled | (damping[busy] > 1e10)
        is_good = [gain > 0.75 * expected_gain, gain > 0.25 * expected_gain]
        damping[busy] *= np.select(is_good, [0.2, 1.0], 5.0)
        improved = busy[is_better]
        theta[improved] = trial[is_better]
        beta[improved] = trial_beta[is_better]
        rss[improved] = trial_rss[is_better]
        q[improved] = trial_q[is_better]
        fitted[improved] = np.einsum("bnp,bp->bn", columns[is_better], beta[improved])
        busy = busy[~is_done]
    converged = ~np.isin(np.arange(len(theta)), busy)
    return Solution(theta, beta, rss, converged, np.zeros(len(theta), bool))


def _propose(
    current: Array, slope: Array, gradient: Array, ridge: Array, damping: Array, bounds: Array
) -> tuple[Array, Array]:
    """Give the exponents after a damped step within the bounds, and the gain that it promises."""
    low, high = bounds
    is_stuck = ((current <= low) & (gradient >= 0)) | ((current >= high) & (gradient <= 0))
    slope = np.where(is_stuck[:, None], 0.0, slope)
    gradient = np.where(is_stuck, 0.0, gradient)
    curvature = np.einsum("bnq,bnr->bqr", slope, slope)
    curvature += np.where(is_stuck, 0.0, ridge)[:, None] * np.eye(current.shape[1])
    step = _damped_solve(curvature, gradient, damping)
    reach = np.maximum(STRIDE * (high - low), TINY)
    step = step / np.maximum(1, np.abs(step) / reach).max(axis=1)[:, None]
    trial = np.clip(current - step, low, high)
    step = trial - current
    linear_part = 2 * gradient + np.einsum("bqr,br->bq", curvature, step)
    return trial, -np.einsum("bq,bq->b", step, linear_part)


def _damped_solve(curvature: Array, gradient: Array, damping: Array) -> Array:
    """Return (curvature + damping * its diagonal)^-1 gradient, in units where the diagonal is 1."""
    diagonal = np.einsum("bqq->bq", curvature)
    floor = 1e-7 * diagonal.max(axis=1, keepdims=True) + TINY
    unit = 1 / np.sqrt(np.maximum(diagonal, floor))
    scaled = curvature * unit[:, :, None] * unit[:, None, :]
    damped = scaled + damping[:, None, None] * np.eye(gradient.shape[1])
    step: Array = unit * np.linalg.solve(damped, (unit * gradient)[..., None])[..., 0]
    return step
