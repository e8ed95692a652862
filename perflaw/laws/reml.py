"""Restricted maximum likelihood, and what follows from it in closed form.

Source: Patterson and Thompson 1971. Matrices of a few hundred rows are slower, by far, on several
threads, so everything here runs on one.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, qr
from scipy.linalg.lapack import dpotri
from scipy.optimize import minimize

from perflaw.laws.families import Array
from perflaw.laws.mixed_design import RATIO_BOUNDS, MixedModel

MOST_STEPS = 300  # of the search for variances
STOPPED = 1  # scipy's status of a search that reached them
START = -7.0  # of the search for log-variances
RATIO_START = -1.0  # of the search for the walk's log-variance over the noise's
INDEPENDENT = 1e-8  # of the largest column, below which a column carries nothing of its own
ESTIMABLE = 1e-6  # part of a row outside the seen rows' span, above which it is not estimable

Rows = NDArray[np.intp]


@cache
def _thread_controller() -> Any:
    """Return what limits the threads of the linear algebra, or None where it is not installed."""
    try:
        from threadpoolctl import ThreadpoolController
    except ImportError:
        return None
    return ThreadpoolController()


@contextmanager
def on_one_thread() -> Iterator[None]:
    """Keep the linear algebra on one thread, where threadpoolctl is installed."""
    controller = _thread_controller()
    with nullcontext() if controller is None else controller.limit(limits=1):
        yield


@on_one_thread()
def loo_moments(model: MixedModel, variances: Array, y: Array, seen: Rows) -> tuple[Array, Array]:
    """Return mean and variance of each of the rows `seen` given the others, in closed form.

    A row that the others do not determine has the mean nan and an infinite variance.
    """
    inverse = np.linalg.inv(model.covariance(variances)[np.ix_(seen, seen)])
    fixed = independent_columns(model.fixed[seen])
    weighted = inverse @ fixed
    projection = inverse - weighted @ np.linalg.solve(fixed.T @ weighted, weighted.T)
    precision = np.diag(projection).copy()
    precision[precision <= INDEPENDENT * np.diag(inverse)] = np.nan
    mean = y[seen] - (projection @ y[seen]) / precision
    return mean, np.where(np.isnan(precision), np.inf, 1 / precision)


def negative_reml(
    variances: Array, fixed: Array, parts: Array, powers: Array, y: Array
) -> tuple[float, Array]:
    """Return minus the restricted log-likelihood and its gradient by the log-variances."""
    scale = np.exp(powers @ variances)
    factor = np.linalg.cholesky(np.tensordot(scale, parts, 1))
    lower, _ = dpotri(factor, lower=1)
    inverse = np.tril(lower) + np.tril(lower, -1).T
    weighted = inverse @ fixed
    information = np.linalg.cholesky(fixed.T @ weighted)
    projection = inverse - weighted @ cho_solve((information, True), weighted.T)
    residual = projection @ y
    log_determinants = np.log(np.diag(factor)).sum() + np.log(np.diag(information)).sum()
    value = float(log_determinants + y @ residual / 2)
    change = (projection - np.outer(residual, residual)).ravel()
    slope = scale * (parts.reshape(len(parts), -1) @ change) / 2
    return value, powers.T @ slope


@on_one_thread()
def estimate_variances(
    model: MixedModel, y: Array, seen: Rows, start: Sequence[float] | Array | None = None
) -> Array:
    """Estimate the log-variances by REML on the rows `seen`.

    The search begins at `start`, or at fixed values.
    """
    fixed = independent_columns(model.fixed[seen])
    parts = np.ascontiguousarray(model.parts[:, seen][:, :, seen])
    if start is None:
        start = [RATIO_START if limits == RATIO_BOUNDS else START for limits in model.bounds]
    result = minimize(
        negative_reml,
        np.array(start),
        (fixed, parts, model.powers, y[seen]),
        "L-BFGS-B",
        jac=True,
        bounds=model.bounds,
        options={"ftol": 1e-7, "gtol": 1e-3, "maxiter": MOST_STEPS},
    )
    if result.status == STOPPED:
        warnings.warn(
            f"the search for variances was stopped after {MOST_STEPS} steps; the joint law may not "
            "be the best fit",
            RuntimeWarning,
            stacklevel=2,
        )
    return np.asarray(result.x, float)


@on_one_thread()
def condition(
    model: MixedModel, variances: Array, y: Array, seen: Rows, asked: Rows
) -> tuple[Array, Array]:
    """Return mean (m,) and covariance (m, m) of the noise-free law at `asked`, given `seen`.

    A row whose fixed effects the seen rows do not determine has the mean nan and an infinite
    variance.
    """
    with_noise = model.covariance(variances)
    noise_free = model.covariance(variances, noise=False)
    span, is_estimable = estimable_span(model.fixed[seen], model.fixed[asked])
    fixed = model.fixed[seen] @ span
    factor = np.linalg.cholesky(with_noise[np.ix_(seen, seen)])
    weighted = cho_solve((factor, True), fixed)
    information = np.linalg.inv(fixed.T @ weighted)
    effects = information @ (weighted.T @ y[seen])
    residual = y[seen] - fixed @ effects
    link = noise_free[np.ix_(asked, seen)]
    mean = model.fixed[asked] @ span @ effects + link @ cho_solve((factor, True), residual)
    rest = model.fixed[asked] @ span - link @ weighted
    explained = link @ cho_solve((factor, True), link.T)
    covariance = noise_free[np.ix_(asked, asked)] - explained + rest @ information @ rest.T
    mean[~is_estimable] = np.nan
    covariance[~is_estimable, ~is_estimable] = np.inf
    return mean, covariance


def estimable_span(seen: Array, asked: Array) -> tuple[Array, NDArray[np.bool_]]:
    """Say which rows of fixed effects the seen rows determine.

    A row is estimable if it lies in the row space of the seen rows; any other has as many values
    as one likes, all of which agree on what was seen.

    Parameters
    ----------
    seen, asked : numpy.ndarray
        Columns of the fixed effects, (n, p) and (m, p).

    Returns
    -------
    span : numpy.ndarray
        Orthonormal directions (p, r) of the effects that the seen rows determine, in units in
        which their columns have length 1.
    is_estimable : numpy.ndarray
        Booleans (m,).

    Examples
    --------
    >>> import numpy as np
    >>> seen = np.array([[1.0, -1.0, 1.0], [1.0, 1.0, 1.0]])  # 1, u, u²: two values of u
    >>> estimable_span(seen, np.array([[1.0, 3.0, 1.0], [1.0, 0.0, 0.0]]))[1].tolist()
    [True, False]
    """
    length = np.linalg.norm(seen, axis=0)
    unit = 1 / np.where(length > 0, length, 1.0)
    _, size, directions = np.linalg.svd(seen * unit, full_matrices=False)
    span = directions[size > INDEPENDENT * size.max()].T
    scaled = asked * unit
    outside = np.linalg.norm(scaled - scaled @ span @ span.T, axis=1)
    return unit[:, None] * span, outside <= ESTIMABLE * np.linalg.norm(scaled, axis=1)


def independent_columns(columns: Array) -> Array:
    """Select the columns that carry information of their own."""
    _, r, order = qr(columns, mode="economic", pivoting=True)
    size = np.abs(np.diag(r))
    return columns[:, np.sort(order[: len(size)][size > INDEPENDENT * size[0]])]
