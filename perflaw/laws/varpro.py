"""Variable projection in batches: the least squares behind every fit.

Given its exponents a law is linear (see `perflaw.laws.families`), so only the exponents are
searched and the linear parameters are solved exactly (Golub and Pereyra 1973, with the
slopes of Kaufman 1975). The search is global by construction: every exponent is gridded
over its stated bounds, and the lowest valleys of the grid are refined by
Levenberg-Marquardt steps.

The problems of a batch share their points x. They differ in their values y, (B, n), or in
their weights, (B, n); what is the same for all may be given once, as (1, n) and (n,).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from scipy.ndimage import minimum_filter

from perflaw.errors import InputError
from perflaw.laws.families import Law

GRID = 41  # values per exponent in the first search, fewer if their combinations are too many
COMBINATIONS = 20_000
VALLEYS = 4  # valleys of that grid that are refined
TIE = 1e-6  # sums of squares this close, relatively, are the same
BLOCK = 4_000_000  # numbers held at once by the search over weighted problems

Axes = Mapping[str, np.ndarray]  # a law's axes, n values each


class Solution(NamedTuple):
    theta: np.ndarray  # exponents (B, q)
    beta: np.ndarray  # linear parameters (B, p)
    rss: np.ndarray  # weighted sums of squares (B,)
    converged: np.ndarray  # (B,) booleans
    tied: np.ndarray  # (B,) booleans: other exponents, elsewhere, fit equally well


def solve_problems(law: Law, x: Axes, y: np.ndarray, weights: np.ndarray) -> Solution:
    """The best parameters of every problem of the batch.

    Where the data cannot tell exponents apart, the smallest are taken: those nearest to a
    law in plain logarithms.
    """
    batch = max(len(y), len(np.atleast_2d(weights)))
    if not law.exponents:
        theta = np.zeros((batch, 0))
        beta, rss, _, _ = least_squares(design_columns(law, x, theta), y, weights)
        return Solution(theta, beta, rss, np.ones(batch, bool), np.zeros(batch, bool))
    y = np.broadcast_to(y, (batch, y.shape[-1]))
    problem, theta = _valleys(law, x, y, weights)
    bounds = np.array(list(law.exponents.values())).T
    refined = _refine(
        law, x, y[problem], weights[problem] if weights.ndim == 2 else weights, theta, *bounds
    )
    return _best(refined, problem, batch)


def solve_pinned(
    law: Law, x: Axes, y: np.ndarray, weights: np.ndarray, index: int, values: np.ndarray
) -> Solution:
    """One problem, y and weights (n,), solved with exponent `index` held at each of the values."""
    low, high = np.array(list(law.exponents.values())).T
    spots = np.unique(np.delete(exponent_lattice(law, x, GRID), index, axis=1), axis=0)
    theta = np.concatenate([np.insert(spots, index, value, axis=1) for value in values])
    rss = _rss_on_lattice(design_columns(law, x, theta), y[None], weights)[0].reshape(
        len(values), len(spots)
    )
    starts = np.argsort(rss, axis=1, kind="stable")[:, :VALLEYS]
    problem = np.repeat(np.arange(len(values)), starts.shape[1])
    theta = theta.reshape(len(values), len(spots), -1)[problem, starts.ravel()]
    bounds = [np.tile(bound, (len(theta), 1)) for bound in (low, high)]
    for bound in bounds:
        bound[:, index] = values[problem]
    return _best(
        _refine(law, x, np.tile(y, (len(theta), 1)), weights, theta, *bounds), problem, len(values)
    )


def _best(refined, problem, batch):
    """Of several refined starts of each problem, the lowest, and of equals the one of smallest exponents."""
    lowest = np.full(batch, np.inf)
    np.minimum.at(lowest, problem, refined.rss)
    behind = refined.rss > lowest[problem] * (1 + TIE)
    order = np.lexsort((np.linalg.norm(refined.theta, axis=1), behind, problem))
    best = order[np.unique(problem[order], return_index=True)[1]]
    apart = np.abs(refined.theta - refined.theta[best][problem]).max(axis=1) > 0.01
    tied = np.zeros(batch, bool)
    tied[problem[apart & ~behind]] = True
    return Solution(*(part[best] for part in refined[:4]), tied)


def design_columns(law: Law, x: Axes, theta: np.ndarray) -> np.ndarray:
    """The law's columns for each row of theta, (B, n, p).

    Raises InputError if a law with exponents does not give one set of columns for each row.
    """
    columns = law.basis(x, theta)
    if law.exponents and columns.shape[:-2] != theta.shape[:-1]:
        raise InputError(
            f"the basis of {law.family} gave shape {columns.shape} for {len(theta)} rows of exponents"
        )
    return np.broadcast_to(columns, (len(theta), *columns.shape[-2:]))


def least_squares(columns: np.ndarray, y: np.ndarray, weights: np.ndarray):
    """Weighted least squares for each of B designs (B, n, p): beta, rss, Q and R of the weighted design.

    A column that depends on the ones before it gets the coefficient 0.
    """
    root = np.sqrt(weights)
    q, r = np.linalg.qr(columns * root[..., None])
    spare = np.abs(np.diagonal(r, axis1=-2, axis2=-1)) <= 1e-13 * np.linalg.norm(r, axis=-2)
    target = np.einsum("bnp,bn->bp", q, np.broadcast_to(root * y, q.shape[:2]))
    r = r + spare[..., None] * np.eye(r.shape[-1])
    beta = np.linalg.solve(r, np.where(spare, 0.0, target)[..., None])[..., 0]
    residual = y - np.einsum("bnp,bp->bn", columns, beta)
    return beta, np.sum(weights * residual**2, axis=-1), q, r


def exponent_lattice(law: Law, x: Axes, size: int) -> np.ndarray:
    """Every combination of `size` values or one more per exponent within its bounds, (G, q).

    A column of a law can swing from rising to falling within a few hundredths of its
    exponent and hardly change at all elsewhere. So two thirds of an exponent's values
    are spaced by equal angles through which the centred columns turn, one third evenly,
    and 0 is among them.
    """
    size = min(size, int(COMBINATIONS ** (1 / len(law.exponents))))
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
        columns = columns / np.maximum(np.linalg.norm(columns, axis=1, keepdims=True), 1e-300)
        chord = np.linalg.norm(
            np.diff(columns, axis=0), axis=1
        )  # an arccosine would lose half of the digits here
        turn = (2 * np.arcsin(np.minimum(chord / 2, 1))).sum(axis=1)
        travelled = np.concatenate([[0], np.cumsum(turn + turn.mean() / 2)])
        spread = np.interp(np.linspace(0, travelled[-1], size), travelled, mesh)
        values.append(np.union1d(spread, [0.0]) if low < 0 < high else spread)
    return np.stack(np.meshgrid(*values, indexing="ij"), axis=-1).reshape(-1, len(values))


def exponent_slopes(law: Law, x: Axes, theta: np.ndarray, beta: np.ndarray) -> np.ndarray:
    """Derivatives of basis @ beta by each exponent, (B, n, q), by central differences."""
    step, slopes = 1e-5, []
    for shift in step * np.eye(theta.shape[1]):
        change = design_columns(law, x, theta + shift) - design_columns(law, x, theta - shift)
        slopes.append(np.einsum("bnp,bp->bn", change, beta) / (2 * step))
    return np.stack(slopes, axis=-1)


def residual_slopes(
    law: Law, x: Axes, theta: np.ndarray, beta: np.ndarray, weights: np.ndarray, q: np.ndarray
):
    """Derivatives of the weighted residuals by the exponents, the linear parameters following along.

    q: the orthonormal columns of the weighted design (B, n, p). Returns (B, n, q).
    """
    slope = exponent_slopes(law, x, theta, beta) * np.sqrt(weights)[..., None]
    return q @ (q.transpose(0, 2, 1) @ slope) - slope


def _valleys(law, x, y, weights):
    """The lowest local minima of each problem on the grid of exponents: problem (M,), theta (M, q)."""
    theta = exponent_lattice(law, x, GRID)
    rss = _rss_on_lattice(design_columns(law, x, theta), y, weights)
    shape = [len(np.unique(axis)) for axis in theta.T]
    around = minimum_filter(rss.reshape(-1, *shape), size=(1, *[3] * len(shape)), mode="nearest")
    around = around.reshape(rss.shape)
    valley = rss <= around + TIE * np.abs(around)
    low = rss.min(axis=1, keepdims=True)
    depth = np.where(
        valley, np.floor(np.maximum(rss - low, 0) / (TIE * np.abs(low) + 1e-300)), np.inf
    )
    size = np.broadcast_to(np.linalg.norm(theta, axis=1), depth.shape)
    lowest = np.lexsort((size, depth), axis=1)[:, :VALLEYS]
    problem, place = np.nonzero(np.take_along_axis(valley, lowest, axis=1))
    return problem, theta[lowest[problem, place]]


def _rss_on_lattice(columns, y, weights):
    """Sums of squares (B, G) of B problems at G designs: precise enough to tell valleys from hills."""
    g, _, p = columns.shape
    centred = columns[..., 1:] - columns[..., 1:].mean(axis=1, keepdims=True)
    z = np.concatenate([columns[..., :1], centred], axis=-1)
    z = z / np.maximum(np.linalg.norm(z, axis=1, keepdims=True), 1e-300)
    y = y - y.mean(axis=1, keepdims=True)  # the intercept's part, which would only cost digits
    ridge = 1e-12 * np.eye(p)
    if weights.ndim == 1:
        z, y = z * np.sqrt(weights)[:, None], y * np.sqrt(weights)
        target = z.transpose(0, 2, 1) @ y.T
        beta = np.linalg.solve(z.transpose(0, 2, 1) @ z + ridge, target)
        return (np.sum(y**2, axis=1) - np.sum(beta * target, axis=1)).T
    pairs = (z[..., :, None] * z[..., None, :]).transpose(1, 0, 2, 3).reshape(-1, g * p * p)
    rss = np.empty((len(y), g))
    block = max(1, BLOCK // (g * p * p))
    for start in range(0, len(y), block):
        w, values = weights[start : start + block], y[start : start + block]
        gram = (w @ pairs).reshape(-1, g, p, p) + ridge
        target = np.einsum("gnp,bn->bgp", z, w * values, optimize=True)
        beta = np.linalg.solve(gram, target[..., None])[..., 0]
        rss[start : start + block] = np.sum(w * values**2, axis=1)[:, None] - np.sum(
            beta * target, axis=-1
        )
    return rss


def _refine(law, x, y, weights, theta, low, high, steps=100):
    """Levenberg-Marquardt over the exponents of each problem, kept within their bounds, (q,) or (M, q)."""
    low, high = np.broadcast_to(low, theta.shape), np.broadcast_to(high, theta.shape)
    beta, rss, q, _ = least_squares(design_columns(law, x, theta), y, weights)
    theta, damping, busy = theta.copy(), np.full(len(theta), 1e-3), np.arange(len(theta))
    for _ in range(steps):
        if not len(busy):
            break
        now, values, own = theta[busy], y[busy], weights[busy] if weights.ndim == 2 else weights
        slope = residual_slopes(law, x, now, beta[busy], own, q[busy])
        residual = (
            values - np.einsum("bnp,bp->bn", design_columns(law, x, now), beta[busy])
        ) * np.sqrt(own)
        gradient = np.einsum("bnq,bn->bq", slope, residual)
        stuck = ((now <= low[busy]) & (gradient >= 0)) | ((now >= high[busy]) & (gradient <= 0))
        slope, gradient = np.where(stuck[:, None], 0.0, slope), np.where(stuck, 0.0, gradient)
        curvature = np.einsum("bnq,bnr->bqr", slope, slope)
        trial = np.clip(
            now - _damped_solve(curvature, gradient, damping[busy]), low[busy], high[busy]
        )
        step = trial - now
        promise = -np.einsum(
            "bq,bq->b", step, 2 * gradient + np.einsum("bqr,br->bq", curvature, step)
        )
        trial_beta, trial_rss, trial_q, _ = least_squares(
            design_columns(law, x, trial), values, own
        )
        gain = rss[busy] - trial_rss
        better = gain > 1e-10 * rss[busy]
        done = (
            (np.abs(step).max(axis=1) < 1e-9)
            | (np.abs(gain) <= 1e-9 * rss[busy])
            | (damping[busy] > 1e10)
        )
        damping[busy] *= np.select([gain > 0.75 * promise, gain > 0.25 * promise], [0.2, 1.0], 5.0)
        keep = busy[better]
        theta[keep], beta[keep], rss[keep], q[keep] = (
            trial[better],
            trial_beta[better],
            trial_rss[better],
            trial_q[better],
        )
        busy = busy[~done]
    converged = np.ones(len(theta), bool)
    converged[busy] = False
    return Solution(theta, beta, rss, converged, np.zeros(len(theta), bool))


def _damped_solve(curvature, gradient, damping):
    """(curvature + damping * its diagonal)^-1 gradient, for each problem, in units where the diagonal is 1."""
    diagonal = np.einsum("bqq->bq", curvature)
    unit = 1 / np.sqrt(np.maximum(diagonal, 1e-7 * diagonal.max(axis=1, keepdims=True) + 1e-300))
    scaled = curvature * unit[:, :, None] * unit[:, None, :] + damping[:, None, None] * np.eye(
        gradient.shape[1]
    )
    return unit * np.linalg.solve(scaled, (unit * gradient)[..., None])[..., 0]
