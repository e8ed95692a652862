"""Fit a law to measured points, and say how far it can be trusted.

One solver (`perflaw.laws.varpro`) does everything, in batches of problems on the same points:
a fit is a batch of one, a bootstrap a batch of multinomial weights, leave-one-out a batch
of zero weights, a simulation a batch of values.

Intervals are profile intervals: a value belongs to the 90 % interval if holding the law
to it raises the sum of squares from S to at most S (1 + t^2 / dof), t being Student's
95 % quantile. For a linear law this is the textbook interval, exactly.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import t as student

from perflaw.errors import InputError
from perflaw.laws import families, varpro
from perflaw.laws.families import Law

HUBER_SD = 1.345  # 95 % efficient where the noise is normal
OUTLIER_SIGMAS = (
    2.5  # robust standard deviations from the consensus of the others at which a point has no say
)
SUBSETS = 500  # in which a consensus is looked for
SCHEMA = 1  # of a saved fit
IDENTITY_COLUMNS = (
    "log",
    "dataset",
    "metric",
    "backbone",
    "split",
    "loss",
    "max_seq_len",
    "dropout",
    "learning_rate",
    "sample_users",
    "sample_time",
    "truncate",
)  # columns that may tell why two rows are of one cell


# ---------------------------------------------------------------- one fit


@dataclass(frozen=True)
class Fit:
    """A fitted law. `parameters` is a Series in the order of `law.parameters`."""

    law: Law
    points: pd.DataFrame  # the axes of the law, one row a measured point
    y: np.ndarray
    parameters: pd.Series
    weights: (
        np.ndarray
    )  # 1, or what Huber's loss left of each point; 0 of those that a consensus leaves out
    converged: bool = True
    tied: bool = False  # other exponents, elsewhere, fit equally well; the smallest were taken

    @property
    def n_free(self) -> int:
        return len(self.law.parameters)

    @property
    def dof(self) -> int:
        return int(np.count_nonzero(self.weights)) - self.n_free

    @property
    def outliers(self) -> pd.DataFrame:
        """The points that have no say in the fit, with their residuals in units of sigma; none but after loss="consensus"."""
        out = self.weights == 0
        return self.points[out].assign(value=self.y[out], sigmas=self.residuals[out] / self.sigma)

    @cached_property
    def residuals(self) -> np.ndarray:
        return self.y - self.predict(self.points)

    @property
    def rss(self) -> float:
        """Weighted residual sum of squares."""
        return float(np.sum(self.weights * self.residuals**2))

    @property
    def sigma(self) -> float:
        """Residual standard deviation, in units of y."""
        return float(np.sqrt(self.rss / self.dof))

    @property
    def r2(self) -> float:
        """1 - residual over total sum of squares, every point counted fully."""
        return float(1 - np.sum(self.residuals**2) / np.sum((self.y - self.y.mean()) ** 2))

    @property
    def aicc(self) -> float:
        """Akaike's criterion corrected for few points; the noise variance counts as a parameter."""
        n, k = len(self.y), self.n_free + 1
        if n <= k + 1 or self.rss == 0:
            return float("nan")
        return float(n * np.log(self.rss / n) + 2 * k + 2 * k * (k + 1) / (n - k - 1))

    @cached_property
    def at_bound(self) -> tuple[str, ...]:
        """Exponents that ended on a bound of the search."""
        near = {
            p: np.abs(np.subtract(b, self.parameters[p])).min()
            for p, b in self.law.exponents.items()
        }
        return tuple(name for name, distance in near.items() if distance < 1e-6)

    @cached_property
    def not_identified(self) -> tuple[str, ...]:
        """Parameters that can move, alone or together, without moving the fitted values."""
        return _unidentified(fit_jacobian(self), self.law.parameters)

    @property
    def status(self) -> str:
        """'converged', or what stands in the way, with the names of the parameters."""
        told = [] if self.converged else ["not converged"]
        told += ["several optima fit equally well"] if self.tied else []
        told += [f"at a bound: {', '.join(self.at_bound)}"] if self.at_bound else []
        told += [f"not identified: {', '.join(self.not_identified)}"] if self.not_identified else []
        return "; ".join(told) or "converged"

    def predict(self, points) -> np.ndarray:
        """The law's values at `points` (a DataFrame with the law's axes), in units of y."""
        x = _axes(self.law, points)
        return self.law.basis(x, self._theta) @ self._beta

    def interval(self, points, level: float = 0.9, new_run: bool = True) -> pd.DataFrame:
        """Profile interval at each of `points`: columns prediction, low, high, in units of y, and beyond.

        For the value of one more run there (its noise included), or, with new_run=False,
        for the mean of many. It is the union over exponents of the exact intervals that
        each would give, so what the data do not tell about the exponents widens it; the
        exponents are taken from a lattice, which leaves the ends good to about 1 % of the width.
        beyond: whether the point is outside the measured range of an axis.
        """
        x = _axes(self.law, points)
        check_level(level)
        theta, beta, root, slack = self.candidates(level)
        centre, spread = contrast_estimates(self.law.basis(x, theta), beta, root)
        half = np.sqrt(np.maximum(slack, 0)[:, None] * (spread + new_run))
        inside = (slack >= 0)[:, None]
        low = np.where(inside, centre - half, np.inf).min(axis=0)
        high = np.where(inside, centre + half, -np.inf).max(axis=0)
        beyond = np.any(
            [(v < self.points[a].min()) | (v > self.points[a].max()) for a, v in x.items()], axis=0
        )
        told = {"prediction": self.predict(points), "low": low, "high": high, "beyond": beyond}
        return pd.DataFrame(told, index=points.index)

    def profile(self, parameter: str, level: float = 0.95) -> tuple[float, float]:
        """Profile interval of one parameter; an end is infinite where the data leave it open.

        It spans all values that the data allow, also where they leave a gap between two stretches.

        Open means that the law still fits well enough with an exponent at a bound of its
        search, so that the bound, and not the data, would be the end of the interval.
        """
        if parameter not in self.law.parameters:
            raise InputError(
                f"the law has no parameter '{parameter}'; it has {', '.join(self.law.parameters)}"
            )
        check_level(level)
        if parameter in self.law.exponents:
            return self._profile_exponent(parameter, level)
        return self._profile_linear(parameter, level)

    def profile_curve(self, exponent: str, size: int = 41) -> pd.DataFrame:
        """Sum of squares over its minimum, with the exponent held: columns value, ratio.

        `size` values on either side of the estimate, up to the bound, dense near the estimate.
        """
        if exponent not in self.law.exponents:
            raise InputError(
                f"the law has no exponent '{exponent}'; it has {', '.join(self.law.exponents) or 'none'}"
            )
        best, steps = self.parameters[exponent], np.linspace(0, 1, size) ** 3
        values = np.unique(
            [best + steps * (bound - best) for bound in self.law.exponents[exponent]]
        )
        return pd.DataFrame(
            {"value": values, "ratio": self.pinned(exponent, values).rss / self.rss}
        )

    def bootstrap(self, n: int = 1000, seed: int = 0) -> pd.DataFrame:
        """Parameters of `n` fits to points drawn with replacement, one row a draw."""
        if n < 1:
            raise InputError(f"a bootstrap of {n} draws has nothing to tell; ask for 1 or more")
        size = len(self.y)
        counts = np.random.default_rng(seed).multinomial(size, np.full(size, 1 / size), size=n)
        drawn = solve_batch(self.law, self.points, self.y, self.weights * counts)
        return pd.DataFrame(np.hstack([drawn.beta, drawn.theta]), columns=list(self.law.parameters))

    def candidates(self, level: float):
        """Where intervals are looked for: the law solved at many exponents.

        Returns exponents (S, q), linear parameters (S, p), the triangular factors of
        their normal equations (S, p, p), and slack (S,): by how much the sum of squares
        may still rise; exponents of negative slack are outside the region of this level.
        """
        theta, beta, root, rss = self._landscape
        return theta, beta, root, profile_threshold(self.rss, self.dof, level) - rss

    # The rest serves the intervals.

    @property
    def _beta(self):
        return self.parameters.to_numpy()[: len(self.law.linear)]

    @property
    def _theta(self):
        return self.parameters.to_numpy()[len(self.law.linear) :]

    @cached_property
    def _landscape(self):
        """The law solved at many exponents: a grid over the bounds, and a finer one around the best."""
        x, theta = _axes(self.law, self.points), self._theta[None]
        if self.law.exponents:
            theta = np.concatenate(
                [theta, varpro.exponent_lattice(self.law, x, varpro.GRID), self._nearby_exponents()]
            )
        beta, rss, _, root = varpro.least_squares(
            varpro.design_columns(self.law, x, theta), self.y, self.weights
        )
        return theta, beta, root, rss

    def nearby(self) -> tuple[np.ndarray, np.ndarray]:
        """Three standard errors of the exponents along their own axes (q,), and those axes as columns (q, q)."""
        x, low, high = _axes(self.law, self.points), *np.array(list(self.law.exponents.values())).T
        theta, beta = self._theta[None], self._beta[None]
        q = np.linalg.qr(
            varpro.design_columns(self.law, x, theta) * np.sqrt(self.weights)[:, None]
        )[0]
        slope = varpro.residual_slopes(self.law, x, theta, beta, self.weights, q)[0]
        curvature, direction = np.linalg.eigh(slope.T @ slope)
        return 3 * np.minimum(
            self.sigma / np.sqrt(np.maximum(curvature, 1e-300)), np.max(high - low)
        ), direction

    def _nearby_exponents(self):
        """A lattice over three standard errors around the best exponents, along their own axes."""
        low, high = np.array(list(self.law.exponents.values())).T
        reach, direction = self.nearby()
        steps = np.meshgrid(*[np.linspace(-1, 1, 21)] * len(low), indexing="ij")
        unit = np.stack(steps, axis=-1).reshape(-1, len(low))
        return np.clip(self._theta + (unit * reach) @ direction.T, low, high)

    def pinned(self, exponent: str, values) -> varpro.Solution:
        """The law solved anew with one exponent held at each of the values."""
        index, x = list(self.law.exponents).index(exponent), _axes(self.law, self.points)
        return varpro.solve_pinned(
            self.law, x, self.y, self.weights, index, np.asarray(values, float)
        )

    def _profile_exponent(self, name, level):
        limit, best = profile_threshold(self.rss, self.dof, level), self.parameters[name]
        theta, _, _, slack = self.candidates(level)
        column = theta[:, list(self.law.exponents).index(name)]
        # The allowed exponents need not be one stretch, so the walk starts at the outermost known one.
        known = np.append(column[slack >= 0], best)
        ends = []
        for inner, bound, open_end in zip(
            (known.min(), known.max()), self.law.exponents[name], (-np.inf, np.inf)
        ):
            if self.pinned(name, [bound]).rss[0] <= limit:
                ends.append(open_end)
                continue
            outer = bound
            for _ in range(6):  # each pass splits the stretch that holds the end into 24
                values = np.linspace(inner, outer, 25)
                within = np.flatnonzero(self.pinned(name, values).rss <= limit)
                last = within.max(initial=0)
                inner, outer = values[last], values[min(last + 1, 24)]
            ends.append(float(inner))
        return tuple(ends)

    def _profile_linear(self, name, level):
        theta, beta, root, slack = self.candidates(level)
        pick = np.eye(len(self.law.linear))[[self.law.linear.index(name)]]
        centre, spread = (part[:, 0] for part in contrast_estimates(pick, beta, root))
        half = np.sqrt(np.maximum(slack, 0) * spread)
        bounds = np.array(list(self.law.exponents.values())).reshape(-1, 2)
        # An exponent whose best value is a bound takes no part: the others' edges tell.
        moving = ~((self._theta <= bounds[:, 0]) | (self._theta >= bounds[:, 1]))
        edge = np.any(((theta <= bounds[:, 0]) | (theta >= bounds[:, 1])) & moving, axis=1)
        inside = slack >= 0
        low, high = (
            np.where(inside, centre - half, np.inf),
            np.where(inside, centre + half, -np.inf),
        )
        return (
            -np.inf if edge[low.argmin()] else float(low.min()),
            np.inf if edge[high.argmax()] else float(high.max()),
        )


def fit(law: Law, points: pd.DataFrame, y: Sequence[float], loss: str = "squares") -> Fit:
    """Fit `law` to values `y` measured at `points`.

    points: a DataFrame with the law's axes (n_layers, d_emb, ...), one row a run; y: as
    many values, in any unit. Two rows may be the same cell only if a column `seed` tells
    them apart. loss: 'squares'; 'huber', which gives diverged runs a bounded say
    (threshold 1.345 robust standard deviations of the residuals); or 'consensus', which finds the law that half of the
    points agree on best and leaves out those that are 2.5 robust deviations from it (`Fit.outliers`).

    Raises InputError for missing columns, values that are not finite numbers, an axis
    below 1 or with a single value, repeated cells, values that are all equal, and fewer
    points than the law has parameters plus one.
    """
    _check_points(law, points)
    if isinstance(y, pd.Series) and not y.index.equals(points.index):
        raise InputError(
            "the values are a Series of another index than the points; give them in the same order"
        )
    y = _check_values(points, y)
    if loss not in LOSSES:
        raise InputError(f"no loss is called '{loss}'; there are {', '.join(LOSSES)}")
    weights = LOSSES[loss](law, points, y)
    return _fits(law, points, y[None], weights)[0]


def fit_surfaces(
    law: Law, table: pd.DataFrame, by: Sequence[str], value: str = "value"
) -> dict[tuple, Fit]:
    """Fit `law` to each group of rows of `table`, as `fit` would; keys in order of appearance.

    by: the columns that name a surface; value: the column of the metric. Surfaces
    measured at the same points, in the same order, are solved together.
    """
    _axes(law, table)
    if missing := [name for name in (*by, value) if name not in table]:
        raise InputError(
            f"the table has no column {' and '.join(missing)}; it has {', '.join(table.columns)}"
        )
    surfaces = dict(list(table.groupby(list(by), sort=False)))
    together: dict[bytes, list[tuple]] = {}
    for key, surface in surfaces.items():
        together.setdefault(surface[list(law.axes)].to_numpy(float).tobytes(), []).append(key)
    fits = {}
    for keys in together.values():
        _check_points(law, surfaces[keys[0]])
        y = np.array([_check_values(surfaces[key], surfaces[key][value]) for key in keys])
        fits |= zip(keys, _fits(law, surfaces[keys[0]], y, np.ones(y.shape[1])))
    return {key: fits[key] for key in surfaces}


def _fits(law, points, y, weights):
    """A Fit for each row of `y` (B, n), measured at the same points."""
    found = varpro.solve_problems(law, _axes(law, points), y, weights)
    points = points[list(law.axes)].reset_index(drop=True)
    told = list(law.parameters)
    rows = zip(y, np.hstack([found.beta, found.theta]), found.converged, found.tied)
    return [
        Fit(law, points, v, pd.Series(p, index=told), weights, bool(c), bool(t))
        for v, p, c, t in rows
    ]


def fit_jacobian(fit: Fit) -> np.ndarray:
    """Derivatives of the fitted values by each parameter, (n points, n parameters)."""
    x, theta, beta = _axes(fit.law, fit.points), fit._theta[None], fit._beta[None]
    columns = varpro.design_columns(fit.law, x, theta)[0]
    return (
        np.hstack([columns, varpro.exponent_slopes(fit.law, x, theta, beta)[0]])
        if fit.law.exponents
        else columns
    )


def numerical_rank(jacobian: np.ndarray, tolerance: float = 1e-7) -> int:
    """Number of directions in parameter space that move the fitted values.

    Columns are scaled to unit length first; singular values below `tolerance` times the
    largest count as zero.
    """
    return len(jacobian.T) - len(_null_directions(jacobian, tolerance))


# ---------------------------------------------------------------- many fits


def solve_batch(law: Law, points: pd.DataFrame, y, weights=None) -> varpro.Solution:
    """Least squares on the same points for a batch of problems.

    y: (n,) or (B, n); weights: None, (n,) or (B, n), not negative, zero to hide a point.
    Returns theta, the exponents (B, q), beta, the linear parameters (B, p), rss, the
    weighted sums of squares (B,), and converged (B,).
    """
    y = np.atleast_2d(np.asarray(y, float))
    weights = np.ones(y.shape[-1]) if weights is None else np.asarray(weights, float)
    return varpro.solve_problems(law, _axes(law, points), y, weights)


def profile_threshold(rss, dof, level: float):
    """The sum of squares up to which a value belongs to the profile interval of that level."""
    return rss * (1 + student.ppf((1 + level) / 2, dof) ** 2 / dof)


def hold_exponent(law: Law, exponent: str, value: float) -> Law:
    """The same law with one exponent held."""
    return replace(law, exponents={**law.exponents, exponent: (value, value)})


def constrained_rss(
    law: Law, points: pd.DataFrame, y: np.ndarray, rows, value: float
) -> np.ndarray:
    """Sums of squares (B,) of `y` (B, n) if a combination of the linear parameters is `value`.

    rows: a function from exponents (..., q) to the combination's coefficients (..., p),
    e.g. the law's basis at one point. The condition is added as a point that weighs a
    million times as much as a measured one.
    """

    def basis(x, theta):
        return np.concatenate([varpro.design_columns(law, x, theta), rows(theta)[:, None]], axis=1)

    y = np.hstack([y, np.full((len(y), 1), value)])
    weights = np.append(np.ones(len(points)), 1e6)
    return varpro.solve_problems(replace(law, basis=basis), _axes(law, points), y, weights).rss


def contrast_estimates(
    rows: np.ndarray, beta: np.ndarray, root: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Estimates and their variances in units of the noise variance, (B, m) each.

    rows: (m, p) or (B, m, p), m combinations of the linear parameters beta (B, p), whose
    normal equations have the triangular factors root (B, p, p).
    """
    rows = np.broadcast_to(rows, (len(beta), *rows.shape[-2:]))
    half = np.linalg.solve(root.transpose(0, 2, 1), rows.transpose(0, 2, 1))
    return np.einsum("bmp,bp->bm", rows, beta), np.sum(half**2, axis=1)


def predict_many(law: Law, points: pd.DataFrame, theta: np.ndarray, beta: np.ndarray) -> np.ndarray:
    """Values (B, m) at m points of the B fits that `solve_batch` returned."""
    return np.einsum("bmp,bp->bm", varpro.design_columns(law, _axes(law, points), theta), beta)


def hidden_cells(points: pd.DataFrame) -> dict[str, np.ndarray]:
    """The cells to hide, as rows of booleans (one row a fit), under each split's name.

    leave-one-out: each cell in turn. larger N: all cells with more than half of the
    largest number of layers. largest d: all cells of the largest embedding dimension.
    """
    n_layers, d_emb = points["n_layers"].to_numpy(), points["d_emb"].to_numpy()
    return {
        "leave-one-out": np.eye(len(points), dtype=bool),
        "larger N": (2 * n_layers > n_layers.max())[None],
        "largest d": (d_emb == d_emb.max())[None],
    }


def heldout_predictions(
    law: Law, points: pd.DataFrame, y: Sequence[float], level: float = 0.9
) -> pd.DataFrame:
    """Predict the hidden cells of every split from the others.

    One row a hidden cell: split, row (of points), value, predicted, covered (whether the
    profile interval of the fit that did not see the cell holds it). A cell is inside its
    interval exactly if fitting it too raises the sum of squares by no more than the
    interval allows, so two batches of fits answer for all cells.
    """
    _check_points(law, points)
    y = _check_values(points, y)
    check_level(level)
    hidden = hidden_cells(points)
    asked = [(name, fold, row) for name, mask in hidden.items() for fold, row in np.argwhere(mask)]
    masks = np.array([hidden[name][fold] for name, fold, _ in asked])
    rows = np.array([row for *_, row in asked])
    seen = (~masks).astype(float)
    if (seen.sum(axis=1) <= len(law.parameters)).any():
        raise InputError(
            f"too few points are left to fit the law {law.name} when a split hides some"
        )
    folds, which = np.unique(seen, axis=0, return_inverse=True)
    seen_fits = solve_batch(law, points, y, folds)
    theta, beta, rss = (
        part[which.ravel()] for part in (seen_fits.theta, seen_fits.beta, seen_fits.rss)
    )
    with_cell = seen.copy()
    with_cell[np.arange(len(rows)), rows] = 1
    folds, which = np.unique(with_cell, axis=0, return_inverse=True)
    rss_with = solve_batch(law, points, y, folds).rss[which.ravel()]
    dof = seen.sum(axis=1) - len(law.parameters)
    predicted = predict_many(law, points, theta, beta)[np.arange(len(rows)), rows]
    return pd.DataFrame(
        {
            "split": [name for name, *_ in asked],
            "row": rows,
            "value": y[rows],
            "predicted": predicted,
            "covered": rss_with <= profile_threshold(rss, dof, level),
        }
    )


def fit_table(
    candidates: Mapping[str, Law], table: pd.DataFrame, by: Sequence[str]
) -> pd.DataFrame:
    """Fit every law to every surface of `table` (see `fit_surfaces`); one row a fit.

    Columns: law, those of `by`, parameters (how many), rank (of the Jacobian), r2, aicc,
    sigma and status.
    """
    rows = []
    for name, law in candidates.items():
        for key, found in fit_surfaces(law, table, by).items():
            told = {
                "parameters": found.n_free,
                "rank": numerical_rank(fit_jacobian(found)),
                "r2": found.r2,
                "aicc": found.aicc,
            }
            rows.append(
                {
                    "law": name,
                    **dict(zip(by, key)),
                    **told,
                    "sigma": found.sigma,
                    "status": found.status,
                }
            )
    return pd.DataFrame(rows)


def heldout_by_surface(
    candidates: Mapping[str, Law], table: pd.DataFrame, by: Sequence[str], level: float = 0.9
) -> pd.DataFrame:
    """`heldout_predictions` for every law on every surface of `table`, with the columns law, `by` and ape.

    ape is the absolute percentage error of a hidden cell.
    """
    parts = []
    for name, law in candidates.items():
        for key, surface in table.groupby(list(by), sort=False):
            cells = heldout_predictions(law, surface, surface["value"], level)
            parts.append(cells.assign(law=name, **dict(zip(by, key))))
    cells = pd.concat(parts, ignore_index=True)
    return cells.assign(ape=100 * (cells["predicted"] / cells["value"] - 1).abs())


def mean_errors(cells: pd.DataFrame, by: Sequence[str], keep: Sequence[str] = ()) -> pd.DataFrame:
    """Mean absolute percentage error: over the cells of a surface, then over surfaces.

    cells: what `heldout_by_surface` returned; by: the columns of a surface; keep: those of
    them to keep apart, e.g. ["dataset"]. Columns law, split, `keep`, mape, coverage.
    """
    surfaces = cells.groupby(["law", "split", *by], sort=False)["ape"].mean().reset_index()
    groups = ["law", "split", *keep]
    mape = surfaces.groupby(groups, sort=False)["ape"].mean()
    coverage = cells.groupby(groups, sort=False)["covered"].mean()
    return pd.concat([mape.rename("mape"), coverage.rename("coverage")], axis=1).reset_index()


def compare_laws(
    candidates: Mapping[str, Law], table: pd.DataFrame, by: Sequence[str]
) -> pd.DataFrame:
    """Every law on every surface of `table` (see `fit_surfaces`), in sample and on hidden cells; one row a fit.

    Columns: what `fit_table` returns, and mean absolute percentage errors: leave-one-out, largest N, largest d.

    A few values along an axis determine a few numbers. A law that asks for more than those that are left
    when the largest is hidden, or for more points, has no prediction there; its error is nan.
    """
    hidden = [
        {"law": name, **dict(zip(by, key)), **_hidden_errors(law, surface)}
        for name, law in candidates.items()
        for key, surface in table.groupby(list(by), sort=False)
    ]
    return fit_table(candidates, table, by).merge(pd.DataFrame(hidden), on=["law", *by])


def loo_predictions(law: Law, points: pd.DataFrame, y: np.ndarray) -> np.ndarray:
    """Each value (n,) as the law, fitted to the others, has it."""
    theta, beta, *_ = solve_batch(law, points, y, 1 - np.eye(len(y)))
    return np.diagonal(predict_many(law, points, theta, beta))


def _hidden_errors(law, surface):
    y = surface["value"].to_numpy()
    errors = {"leave-one-out": 100 * np.abs(loo_predictions(law, surface, y) / y - 1).mean()}
    for axis, split in (("n_layers", "largest N"), ("d_emb", "largest d")):
        hidden = (surface[axis] == surface[axis].max()).to_numpy()
        determined = (~hidden).sum() > len(law.parameters) and identifiable_rank(
            law, surface[~hidden]
        ) == identifiable_rank(law, surface)
        predicted = (
            fit(law, surface[~hidden], y[~hidden]).predict(surface[hidden])
            if determined
            else np.nan
        )
        errors[split] = 100 * np.abs(predicted / y[hidden] - 1).mean()
    return errors


def identifiable_rank(law: Law, points: pd.DataFrame) -> int:
    """In how many directions the parameters of a law can move its values at `points`.

    Counted at parameters of one half, which stand for any: a property of law and points.
    """
    any_parameters = pd.Series(0.5, index=list(law.parameters))
    return numerical_rank(
        fit_jacobian(Fit(law, points, np.zeros(len(points)), any_parameters, np.ones(len(points))))
    )


# ---------------------------------------------------------------- saving


def save_fit(fit: Fit, path, metric: str = "value") -> None:
    """Write the fit as JSON: the law, its parameters, and the points, which the intervals need.

    metric: the name of what was fitted. Raises InputError if the file cannot be written.
    """
    record = {
        "schema": SCHEMA,
        "law": {
            "family": fit.law.family,
            "options": dict(fit.law.options),
            "bounds": dict(fit.law.exponents),
        },
        "metric": metric,
        "status": fit.status,
        "r2": fit.r2,
        "parameters": fit.parameters.to_dict(),
        "points": fit.points.to_dict(orient="list"),
        "values": fit.y.tolist(),
        "weights": fit.weights.tolist(),
        "converged": fit.converged,
        "tied": fit.tied,
    }
    try:
        Path(path).write_text(json.dumps(record, indent=1) + "\n")
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror or error}") from None


def load_fit(path) -> Fit:
    """The fit that `save_fit` wrote. Raises InputError for a file that is not one of this version."""
    try:
        record = json.loads(Path(path).read_text())
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from None
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(f"{path} is not a law file: {error}") from None
    found = record.get("schema", "none") if isinstance(record, dict) else "none"
    if found != SCHEMA:
        raise InputError(
            f"{path} is a law file of version {found}, this is version {SCHEMA}; fit it again"
        )
    try:
        law = families.get_law(record["law"]["family"], **record["law"]["options"])
        bounds = {name: tuple(record["law"]["bounds"][name]) for name in law.exponents}
        parameters = pd.Series(record["parameters"], dtype=float)[list(law.parameters)]
        points = pd.DataFrame(record["points"])[list(law.axes)].astype(float)
        y, weights = np.array(record["values"], float), np.array(record["weights"], float)
        if not len(points) == len(y) == len(weights):
            raise ValueError("points, values and weights differ in number")
        if not all(np.isfinite(part).all() for part in (parameters, points.to_numpy(), y, weights)):
            raise ValueError("a number is missing")
        whole = replace(law, exponents=bounds)
        return Fit(whole, points, y, parameters, weights, record["converged"], record["tied"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{path} is not a complete law file ({error}); fit it again") from None


def _huber_weights(law, points, y):
    """Weights of Huber's loss at its optimum, started from least absolute deviations."""
    tiny = 1e-9 * np.ptp(y)

    def settle(weights, weigh):
        for _ in range(50):
            best = solve_batch(law, points, y, weights)
            distance = np.abs(y - predict_many(law, points, best.theta, best.beta)[0])
            last, weights = weights, weigh(np.maximum(distance, tiny))
            if np.allclose(weights, last, rtol=1e-4):
                break
        return weights, distance

    weights, distance = settle(np.ones_like(y), lambda distance: np.ptp(y) / distance)
    # As many points as there are parameters lie on the fit; the others tell the scale.
    scale = np.median(np.sort(distance)[len(law.parameters) :]) / 0.6745
    return settle(
        weights, lambda distance: np.minimum(1.0, HUBER_SD * max(scale, tiny) / distance)
    )[0]


def _consensus_weights(law, points, y):
    """1 for the points that agree, 0 for the others: least trimmed squares by concentration from small subsets
    (Rousseeuw and Van Driessen 2006), and their scale and cut (Rousseeuw and Leroy 1987, chapter 5).
    """
    n, size = len(y), len(law.parameters)
    half = (n + size + 1) // 2
    if half >= n:
        return np.ones(n)
    order = np.random.default_rng(0).random((SUBSETS, n)).argsort(axis=1)
    weights = (order.argsort(axis=1) <= size).astype(float)  # as many points as parameters, and one
    for keep in (SUBSETS, SUBSETS // 10, SUBSETS // 50, SUBSETS // 50):  # the better ones go on
        found = solve_batch(law, points, y, weights)
        apart = (y - predict_many(law, points, found.theta, found.beta)) ** 2
        score = np.sort(apart, axis=1)[:, :half].sum(axis=1)
        apart = apart[np.argsort(score, kind="stable")[:keep]]
        weights = (apart.argsort(axis=1).argsort(axis=1) < half).astype(float)
    best = np.sqrt(apart[0])
    scale = 1.4826 * (1 + 5 / (n - size)) * np.median(best)
    return (best <= OUTLIER_SIGMAS * max(scale, 1e-9 * np.ptp(y))).astype(float)


LOSSES = {
    "squares": lambda law, points, y: np.ones_like(y),
    "huber": _huber_weights,
    "consensus": _consensus_weights,
}


# ---------------------------------------------------------------- identification


def _null_directions(jacobian, tolerance=1e-7):
    length = np.linalg.norm(jacobian, axis=0)
    idle = length <= 1e-12 * length.max()  # a column of rounding errors
    unit = np.where(idle, 0.0, jacobian / np.where(idle, 1.0, length))
    _, size, directions = np.linalg.svd(unit, full_matrices=True)
    size = np.pad(size, (0, len(directions) - len(size)))
    return directions[size <= tolerance * size.max()]


def _unidentified(jacobian, names):
    moving = np.abs(_null_directions(jacobian)).max(axis=0, initial=0.0) > 1e-3
    return tuple(name for name, moves in zip(names, moving) if moves)


# ---------------------------------------------------------------- input


def _check_points(law, points):
    """Raise InputError for what keeps the points from being fitted."""
    axes = _axes(law, points)
    needed = len(law.parameters) + 1
    if len(points) < needed:
        raise InputError(
            f"{len(points)} points are too few for the law {law.name}, which needs {needed} or more"
        )
    middle = np.array([[(low + high) / 2 for low, high in law.exponents.values()]])
    if (np.ptp(varpro.design_columns(law, axes, middle)[0, :, 1:], axis=0) == 0).any():
        axis = next(axis for axis, values in axes.items() if np.ptp(values) == 0)
        raise InputError(
            f"{axis} is {axes[axis][0]:g} in every row; the law {law.name} needs two or more values of it"
        )
    cell = [*law.axes, *(["seed"] if "seed" in points else [])]
    if (again := points.duplicated(cell)).any():
        row = int(np.flatnonzero(again)[0])
        told = ", ".join(f"{name} {points[name].iloc[row]}" for name in cell)
        first = points[(points[cell] == points[cell].iloc[row]).all(axis=1)].iloc[0]
        differ = [
            name
            for name in IDENTITY_COLUMNS
            if name in points
            and not pd.Series([first[name]]).equals(pd.Series([points[name].iloc[row]]))
        ]
        mend = (
            f"the two differ in {differ[0]}: keep rows of one value of it, on the command line with --where"
            if differ
            else "fit one surface at a time, average the repeats, or tell them apart by a column 'seed'"
        )
        raise InputError(f"row {row + 1} repeats an earlier cell ({told}); {mend}")


def _check_values(points, y) -> np.ndarray:
    """`y` as an array, or an InputError for what keeps it from being fitted."""
    y = check_numbers(y, "the metric")
    if len(y) != len(points):
        raise InputError(f"{len(points)} points but {len(y)} values; give one value for each point")
    if np.ptp(y) == 0:
        raise InputError(f"all {len(y)} values are {y[0]:g}; there is nothing to fit")
    return y


def check_level(level: float) -> None:
    """Raise InputError for a level that is no share."""
    if not 0 < level < 1:
        raise InputError(
            f"the level of an interval is {level:g}; it must be between 0 and 1, e.g. 0.9"
        )


def _axes(law, points) -> dict[str, np.ndarray]:
    """The axes that the law reads, as arrays of floats, or an InputError."""
    if missing := [axis for axis in law.axes if axis not in points]:
        there = ", ".join(map(str, getattr(points, "columns", points)))
        raise InputError(
            f"the law {law.name} needs the column {' and '.join(missing)}; there are {there}"
        )
    axes = {axis: check_numbers(points[axis], axis) for axis in law.axes}
    for axis, values in axes.items():
        if (values < 1).any():
            row = int(np.flatnonzero(values < 1)[0])
            raise InputError(f"{axis} is {values[row]:g} in row {row + 1}; it must be 1 or more")
    return axes


def check_numbers(values: Iterable, what: str) -> np.ndarray:
    """The values as floats, or an InputError naming the first that is not a finite number."""
    values = pd.Series(values)
    found = pd.to_numeric(values, errors="coerce").to_numpy(float)
    if not np.isfinite(found).all():
        row = int(np.flatnonzero(~np.isfinite(found))[0])
        raise InputError(
            f"{what} is '{values.iloc[row]}' in row {row + 1}; it must be a finite number"
        )
    return found
