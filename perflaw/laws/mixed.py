"""The joint law: surfaces that borrow shape from each other.

Surfaces of one log at several sequence lengths, and two metrics of the same runs, rise and
fall alike. The joint law is a log-quadratic with partial pooling, fitted to the logarithm
of the metric on all surfaces at once. With u and v the logarithms of N and d, scaled to
[-1, 1] over the grid of each log, and averaged over the metrics of a run,

    ln y = alpha_s + b_g u + c_g v + a u^2 + k v^2 + e u v      fixed
         + (a_g u^2 + e_g u v) + k_g v^2                        a log's own curvature, random
         + W_s(v) + noise                                       a surface's own walk along d

with an intercept for each surface s (log and length), slopes for each log g, a curvature
that all logs share and from which each departs at random, and a random walk along d,
whose variance, like that of the noise, belongs to the log. What distinguishes the metrics
of a run (the ratio of HR to NDCG) gets the fixed slopes and noise of its own, nothing more.

How much is shared is decided by the variances, estimated by restricted maximum likelihood
(REML; Patterson and Thompson 1971) on the cells that the fit may see. Given them the law
is linear and Gaussian, so predictions and their covariance are exact.

Where a table has a column `tokens`, the amount of training data is an axis like the others:
a slope for each log in its logarithm, and a curvature that all logs share.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy.linalg import cho_solve, qr
from scipy.linalg.lapack import dpotri
from scipy.optimize import minimize
from scipy.stats import f as fisher
from scipy.stats import norm
from scipy.stats import t as student
from threadpoolctl import ThreadpoolController

from perflaw.errors import InputError
from perflaw.laws import families, fitting, varpro
from perflaw.laws.families import Law

PAIR = ["dataset", "max_seq_len"]  # the columns of a surface, its metrics together
CELL = [*PAIR, *families.AXES]  # and tokens, where a table has them
VARIANCE_BOUNDS = (-18.0, 2.0)  # of the logarithm of a variance of ln y
RATIO_BOUNDS = (-9.0, 5.0)  # of the logarithm of the walk's variance over the noise's
THREADS = ThreadpoolController()  # matrices of a few hundred rows are slower, by far, on several
GROUPS = 14  # of cells that are set aside together while the variances are estimated


@dataclass(frozen=True)
class MixedForm:
    """What a joint law may bend: the shape along the axes, curvature, a walk along d."""

    name: str
    shape: Law | None = (
        None  # along each axis instead of the logarithm, its exponents fitted for each log
    )
    curvature: bool = False
    walk: bool = False


JOINT = MixedForm("joint law", curvature=True, walk=True)
RATIO = MixedForm("ratio of the metrics")
FORMS = (
    MixedForm("joint log-linear"),
    MixedForm("joint log-quadratic", curvature=True),
    MixedForm("joint sum of powers", shape=families.sum_of_powers()),
    MixedForm("joint Performance Law, k = 2", shape=families.performance()),
    MixedForm("joint log-linear, walk", walk=True),
    MixedForm("joint sum of powers, walk", shape=families.sum_of_powers(), walk=True),
    MixedForm("joint Performance Law, k = 2, walk", shape=families.performance(), walk=True),
    JOINT,
)


# ---------------------------------------------------------------- the cells


@dataclass(frozen=True)
class SurfaceCells:
    """The measured runs, one row a cell, the logarithms of its metrics side by side."""

    frame: pd.DataFrame  # the columns of CELL, and tokens where the table has them
    log: np.ndarray  # (n, metrics), natural logarithms
    metrics: tuple[str, ...]

    def __len__(self):
        return len(self.frame)


def make_cells(table: pd.DataFrame) -> SurfaceCells:
    """Rows of dataset, max_seq_len, metric, n_layers, d_emb, value, and perhaps tokens, as cells.

    Raises InputError if a column is missing, a value is not positive, a cell lacks a
    metric that another has or has it twice, a log has a single N or d, or there is but
    one surface, which has nothing to borrow from.
    """
    if missing := [name for name in (*CELL, "metric", "value") if name not in table]:
        raise InputError(
            f"the joint law needs the column {' and '.join(missing)}; there are {', '.join(table.columns)}"
        )
    columns = [*CELL, *(["tokens"] if "tokens" in table else [])]
    for name in (*columns[len(PAIR) :], "value"):
        fitting.check_numbers(table[name], name)
    if (table["value"] <= 0).any():
        row = int(np.flatnonzero(table["value"] <= 0)[0])
        raise InputError(
            f"value is {table['value'].iloc[row]:g} in row {row + 1}; the joint law needs it above 0"
        )
    if (again := table.duplicated([*columns, "metric"])).any():
        row = int(np.flatnonzero(again)[0])
        raise InputError(f"row {row + 1} repeats an earlier cell and metric; average the repeats")
    wide = table.pivot(index=columns, columns="metric", values="value")
    if wide.isna().any(axis=None):
        told = ", ".join(map(str, wide.index[wide.isna().any(axis=1)][0]))
        raise InputError(
            f"the cell {told} lacks one of the metrics {', '.join(wide)}; every cell needs all of them"
        )
    frame = wide.reset_index()[columns]
    if len(frame.groupby(PAIR)) < 2:
        raise InputError(
            "there is one surface, which has nothing to borrow from; fit it alone with perflaw.laws.fitting.fit"
        )
    for axis in families.AXES:
        single = frame.groupby("dataset")[axis].nunique() < 2
        if single.any():
            raise InputError(
                f"the log {single.idxmax()} has one value of {axis}; the joint law needs two or more"
            )
    return SurfaceCells(frame, np.log(wide.to_numpy()), tuple(wide.columns))


def _rotation(size: int) -> np.ndarray:
    """An orthonormal (size, size): the metrics' common level first, then what sets them apart."""
    rotation = np.linalg.qr(np.column_stack([np.ones(size), np.eye(size)[:, : size - 1]]))[0]
    return rotation * np.sign(rotation[0])


# ---------------------------------------------------------------- the model


@dataclass(frozen=True)
class MixedModel:
    """Columns of the fixed effects, covariance parts, and which log-variances scale each part."""

    fixed: np.ndarray  # (n, p)
    parts: np.ndarray  # (K, n, n)
    powers: np.ndarray  # (K, v): variance of a part = exp(powers @ log-variances)
    names: tuple[str, ...]  # of the log-variances
    bounds: tuple[tuple[float, float], ...]
    noise: np.ndarray  # (K,) booleans: the parts that are a run's own noise

    def covariance(self, variances, noise=True):
        scale = np.exp(self.powers @ variances) * (1 if noise else ~self.noise)
        return np.tensordot(scale, self.parts, 1)


def scale_axes(
    frame: pd.DataFrame, reference: pd.DataFrame, names: Sequence[str] = families.AXES
) -> tuple[np.ndarray, ...]:
    """Logarithms of the axes of `frame`, scaled so that each log's grid in `reference` spans [-1, 1].

    An axis of which a log has a single value is 0 there.
    """
    axes = []
    for axis in names:
        grid = np.log(reference.groupby("dataset")[axis].agg(["min", "max"]).astype(float))
        low, high = (frame["dataset"].map(grid[end]).to_numpy(float) for end in ("min", "max"))
        wide = high > low
        share = (np.log(frame[axis].to_numpy(float)) - low) / np.where(wide, high - low, 1.0)
        axes.append(np.where(wide, 2 * share - 1, 0.0))
    return tuple(axes)


def build_model(
    frame: pd.DataFrame, reference: pd.DataFrame, form: MixedForm, level: np.ndarray | None = None
) -> MixedModel:
    """The model of the metrics' common level on the rows of `frame`.

    reference: the measured cells, whose grids scale the axes; level: their common level,
    nan where hidden, from which a form with a shape takes its exponents.
    """
    u, v = scale_axes(frame, reference)
    logs, log = np.unique(frame["dataset"], return_inverse=True)
    by_log = np.eye(len(logs))[log]
    surface = frame.groupby(PAIR, sort=True).ngroup().to_numpy()
    by_surface = np.eye(surface.max() + 1)[surface]
    across, along = (u, v) if form.shape is None else _shaped(form.shape, frame, reference, level)
    fixed = [by_surface, by_log * across[:, None], by_log * along[:, None]]
    same_log, same_surface = by_log @ by_log.T, by_surface @ by_surface.T
    parts, powers, names, bounds, own = [], [], [], [], []

    def variance(name, limits=VARIANCE_BOUNDS):
        names.append(name)
        bounds.append(limits)
        return len(names) - 1

    if form.curvature:
        bend_n, bend_d, twist = u**2 - 0.5, v**2 - 0.5, u * v
        fixed += [bend_n[:, None], bend_d[:, None], twist[:, None]]
        parts.append(same_log * (np.outer(bend_n, bend_n) + np.outer(twist, twist)))
        powers.append([variance("curvature in N, and twist, by log")])
        parts.append(same_log * np.outer(bend_d, bend_d))
        powers.append([variance("curvature in d, by log")])
    if "tokens" in reference:
        (data,) = scale_axes(frame, reference, ["tokens"])
        fixed += [by_log * data[:, None], data[:, None] ** 2]
    walk = variance("walk over noise", RATIO_BOUNDS) if form.walk else None
    start = np.clip(v + 1, 0, None)
    for i, name in enumerate(logs):
        noise = variance(f"noise, {name}")
        own.append(len(parts))
        parts.append(np.diag(by_log[:, i]))
        powers.append([noise])
        if form.walk:
            here = np.outer(by_log[:, i], by_log[:, i])
            parts.append(here * same_surface * np.minimum.outer(start, start))
            powers.append([walk, noise])
    table = np.zeros((len(parts), len(names)))
    for row, scales in zip(table, powers):
        row[scales] = 1
    noise = np.isin(np.arange(len(parts)), own)
    return MixedModel(np.hstack(fixed), np.array(parts), table, tuple(names), tuple(bounds), noise)


def _shaped(law, frame, reference, level):
    """The law's column along each axis, centred and scaled within each log.

    A log's exponents come from its visible cells: intercepts for its surfaces are taken
    out, and the law is fitted to what is left.
    """
    shaped = np.zeros((2, len(frame)))
    seen = np.isfinite(level)
    for name, rows in reference.groupby("dataset"):
        rows = rows[seen[rows.index]]
        left = pd.Series(level[rows.index], rows.index)
        mean = (
            (left - left.groupby(rows["max_seq_len"]).transform("mean"))
            .groupby([rows[a] for a in families.AXES])
            .mean()
        )
        x = dict(zip(families.AXES, np.array(mean.index.to_list(), float).T))
        theta = varpro.solve_problems(law, x, mean.to_numpy()[None], np.ones(len(mean))).theta[0]
        grid = law.basis(
            {
                a: reference.loc[reference["dataset"] == name, a].to_numpy(float)
                for a in families.AXES
            },
            theta,
        )
        here = (frame["dataset"] == name).to_numpy()
        columns = law.basis({a: frame.loc[here, a].to_numpy(float) for a in families.AXES}, theta)
        shaped[:, here] = ((columns - grid.mean(axis=0)) / np.maximum(grid.std(axis=0), 1e-12))[
            :, 1:
        ].T
    return shaped


# ---------------------------------------------------------------- the fit


@dataclass(frozen=True)
class MixedFit:
    """A fitted joint law. Predictions are made in logarithms and told in the metric's unit."""

    form: MixedForm
    data: SurfaceCells
    seen: np.ndarray  # (n,) booleans: the cells that the fit may use
    variances: tuple[
        np.ndarray, ...
    ]  # logarithms; of the metrics' level first, then of their ratios

    @property
    def rotated(self) -> np.ndarray:
        return self.data.log @ _rotation(len(self.data.metrics))

    def variance_table(self) -> pd.DataFrame:
        """What REML found, as standard deviations: columns part, sd (per cent of the metric; the walk, in noises)."""
        found = self._model(self.data.frame, 0)
        sd = np.exp(self.variances[0] / 2)
        size = np.where(
            [limits == RATIO_BOUNDS for limits in found.bounds],
            sd,
            100 * sd / np.sqrt(len(self.data.metrics)),
        )
        return pd.DataFrame({"part": found.names, "sd": size})

    def posterior(
        self, points: pd.DataFrame, metric: str
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Ln of a metric at `points` (columns of the cells): mean (m,), covariance (m, m), noise variance of a run (m,).

        Raises InputError for a column, a surface or a metric that the law has not seen, and
        for an axis below 1.
        """
        points = self._known(points)
        if metric not in self.data.metrics:
            raise InputError(
                f"the law knows no metric '{metric}'; it knows {', '.join(self.data.metrics)}"
            )
        weights = _rotation(len(self.data.metrics))[self.data.metrics.index(metric)]
        n, m = len(self.data), len(points)
        together = pd.concat([self.data.frame, points], ignore_index=True)
        seen, asked = np.append(self.seen, np.zeros(m, bool)), np.arange(n, n + m)
        mean, spread, noise = np.zeros(m), np.zeros((m, m)), np.zeros(m)
        for k, (weight, variances) in enumerate(zip(weights, self.variances)):
            found = self._model(together, k)
            y = np.append(self.rotated[:, k], np.zeros(m))
            part, covariance = condition(found, variances, y, seen, asked)
            own = found.covariance(variances) - found.covariance(variances, noise=False)
            mean, spread = mean + weight * part, spread + weight**2 * covariance
            noise = noise + weight**2 * np.diag(own)[asked]
        return mean, spread, noise

    def predict(
        self, points: pd.DataFrame, metric: str, level: float = 0.9, new_run: bool = True
    ) -> pd.DataFrame:
        """Columns prediction, low, high, in the metric's unit, and beyond, at `points`.

        For one more run there, or with new_run=False for the mean of many. The interval is
        Normal in the metric's logarithm within the range of N and d that the fit has seen of
        the log, and Student's beyond it, on as many degrees of freedom as there are logs
        less one: there it rests on how few logs depart from each other.
        """
        fitting.check_level(level)
        mean, spread, noise = self.posterior(points, metric)
        beyond = self.beyond(points)
        half = _reach(level, beyond, self.tail_dof) * np.sqrt(np.diag(spread) + new_run * noise)
        columns = {
            "prediction": np.exp(mean),
            "low": np.exp(mean - half),
            "high": np.exp(mean + half),
        }
        return pd.DataFrame({**columns, "beyond": beyond})

    def beyond(self, points: pd.DataFrame) -> np.ndarray:
        """Whether each point lies outside the range of N or d that the fit has seen of its log."""
        visible = self.data.frame[self.seen].groupby("dataset")[list(families.AXES)]
        low, high = (
            visible.agg(end).reindex(points["dataset"]).to_numpy() for end in ("min", "max")
        )
        values = points[list(families.AXES)].to_numpy(float)
        return ((values < low) | (values > high)).any(axis=1)

    @property
    def tail_dof(self) -> int:
        return max(1, self.data.frame["dataset"].nunique() - 1)

    def draws(self, points: pd.DataFrame, metric: str, n: int = 4000, seed: int = 0) -> np.ndarray:
        """Noise-free surfaces (n, m) at `points` that the data allow, in the metric's unit."""
        mean, spread, _ = self.posterior(points, metric)
        value, direction = np.linalg.eigh(spread)
        rng = np.random.default_rng(seed)
        departure = (
            rng.standard_normal((n, len(mean))) * np.sqrt(np.clip(value, 0, None))
        ) @ direction.T
        heavier = np.sqrt(self.tail_dof / rng.chisquare(self.tail_dof, n))[:, None]
        return np.exp(mean + departure * np.where(self.beyond(points), heavier, 1.0))

    def _model(self, frame, k):
        level = np.where(self.seen, self.rotated[:, 0], np.nan)
        return build_model(frame, self.data.frame, self.form if k == 0 else RATIO, level)

    def _known(self, points):
        if missing := [name for name in self.data.frame if name not in points]:
            raise InputError(f"the points lack the column {' and '.join(missing)}")
        for axis in self.data.frame.columns[len(PAIR) :]:
            if (fitting.check_numbers(points[axis], axis) < 1).any():
                raise InputError(f"{axis} must be 1 or more at every point")
        known = self.data.frame[PAIR].drop_duplicates()
        strangers = points[PAIR].merge(known, how="left", indicator=True)["_merge"] != "both"
        if strangers.any():
            told = ", L ".join(map(str, points[PAIR][strangers.to_numpy()].iloc[0]))
            raise InputError(
                f"the law has seen no surface of {told}; it can only predict surfaces that it shares"
            )
        return points[list(self.data.frame)].reset_index(drop=True)


def fit_mixed(
    table: pd.DataFrame, form: MixedForm = JOINT, hide: pd.DataFrame | None = None
) -> MixedFit:
    """Fit a joint law to all surfaces of `table` (columns dataset, max_seq_len, metric, n_layers, d_emb, value).

    hide: cells (columns of the cells) whose metrics the fit must not see. Raises InputError as
    `make_cells` does, and if a surface is hidden altogether.
    """
    data = make_cells(table)
    seen = np.ones(len(data), bool)
    if hide is not None:
        hidden = hide[list(data.frame)].drop_duplicates()
        seen = (data.frame.merge(hidden, how="left", indicator=True)["_merge"] != "both").to_numpy()
    return _fit(data, form, seen)


def _fit(data, form, seen):
    left = (
        data.frame[seen]
        .groupby(PAIR)
        .size()
        .reindex(data.frame.groupby(PAIR).size().index, fill_value=0)
    )
    if (left == 0).any():
        told = ", L ".join(map(str, left.index[left == 0][0]))
        raise InputError(
            f"every cell of {told} is hidden; leave the law some to know the surface by"
        )
    blank = MixedFit(form, data, seen, ())
    columns = range(len(data.metrics))
    found = [
        estimate_variances(blank._model(data.frame, k), blank.rotated[:, k], np.flatnonzero(seen))
        for k in columns
    ]
    return replace(blank, variances=tuple(found))


def mixed_heldout(
    table: pd.DataFrame, forms: Sequence[MixedForm] = FORMS, level: float = 0.9
) -> pd.DataFrame:
    """Predict hidden cells with each form; rows as `fitting.heldout_by_surface` gives them.

    What is hidden is hidden whole: a left-out cell in every metric of its surface, a larger
    N or the largest d in every surface and metric of its log; other logs stay visible. The
    variances, and the exponents of a form that has any, never see a hidden cell: for
    leave-one-out they are estimated with a fourteenth of all cells set aside at a time.
    """
    fitting.check_level(level)
    data = make_cells(table)
    rotation = _rotation(len(data.metrics))
    aside, dof = _aside(data), max(1, data.frame["dataset"].nunique() - 1)
    ratios = {
        k: [_predict_hidden(data, RATIO, k, *part[:2]) for part in aside]
        for k in range(1, len(data.metrics))
    }
    tables = []
    for form in forms:
        level_parts = [_predict_hidden(data, form, 0, *part[:2]) for part in aside]
        for i, (hidden, split, name) in enumerate(aside):
            means, variances = zip(level_parts[i], *(ratios[k][i] for k in ratios))
            for metric, weights, logs in zip(data.metrics, rotation, data.log.T):
                mean, variance = weights @ np.array(means), weights**2 @ np.array(variances)
                reach = _reach(level, split != "leave-one-out", dof)
                inside = np.abs(logs[hidden] - mean) <= reach * np.sqrt(variance)
                told = {
                    "law": form.name,
                    "metric": metric,
                    "split": split,
                    "part": name,
                    "covered": inside,
                }
                values = {"value": np.exp(logs[hidden]), "predicted": np.exp(mean)}
                tables.append(data.frame.iloc[hidden].assign(**told, **values))
    rows = pd.concat(tables, ignore_index=True)
    return rows.assign(ape=100 * (rows["predicted"] / rows["value"] - 1).abs())


def choose_form(table: pd.DataFrame, forms: Sequence[MixedForm] = FORMS) -> pd.DataFrame:
    """Which form would the visible cells choose in each split, by leaving each of them out?

    The score is the mean log density that a form gives to ln y of a visible cell (the
    metrics' common level) predicted from the other visible cells; a proper score that
    weighs a log by its own noise. One row a split, dataset (the log whose cells are
    hidden) and law: score, and chosen (the best of its split). Nothing hidden is looked at.
    """
    data = make_cells(table)
    y = (data.log @ _rotation(len(data.metrics)))[:, 0]
    rows = []
    for hidden, split, name in _aside(data):
        seen = np.setdiff1d(np.arange(len(data)), hidden)
        visible = np.full(len(data), np.nan)
        visible[seen] = y[seen]
        for form in forms:
            found = build_model(data.frame, data.frame, form, visible)
            mean, variance = loo_moments(found, estimate_variances(found, y, seen), y, seen)
            rows.append(
                (
                    split,
                    name,
                    form.name,
                    float(norm.logpdf(y[seen], mean, np.sqrt(variance)).mean()),
                )
            )
    scores = pd.DataFrame(rows, columns=["split", "dataset", "law", "score"])
    best = scores.groupby(["split", "dataset"])["score"].transform("max")
    return scores.assign(chosen=scores["score"] == best)


def _aside(data):
    """Rows that are hidden together, the split they serve, and the log they are of ('' for leave-one-out)."""
    order = np.random.default_rng(0).permutation(len(data))
    parts = [
        (group, "leave-one-out", f"part {i + 1}")
        for i, group in enumerate(np.array_split(order, GROUPS))
    ]
    for name, rows in data.frame.groupby("dataset"):
        masks = fitting.hidden_cells(rows)
        parts += [
            (rows.index[mask[0]], split, name)
            for split, mask in masks.items()
            if split != "leave-one-out"
        ]
    return parts


@THREADS.wrap(limits=1)
def loo_moments(
    model: MixedModel, variances, y: np.ndarray, seen: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of each of the rows `seen` given the others, in closed form."""
    inverse = np.linalg.inv(model.covariance(variances)[np.ix_(seen, seen)])
    fixed = _independent(model.fixed[seen])
    weighted = inverse @ fixed
    projection = inverse - weighted @ np.linalg.solve(fixed.T @ weighted, weighted.T)
    size = np.diag(projection)
    return y[seen] - (projection @ y[seen]) / size, 1 / size


def _reach(level, beyond, dof):
    """Half an interval, in standard deviations: Normal, or Student's where it is beyond what was seen."""
    return np.where(beyond, student.ppf((1 + level) / 2, dof), norm.ppf((1 + level) / 2))


def _predict_hidden(data, form, k, hidden, split):
    """Means and variances (noise included) of rotated metric k at the hidden rows."""
    y = data.log @ _rotation(len(data.metrics))
    seen = np.ones(len(data), bool)
    seen[hidden] = False
    found = build_model(data.frame, data.frame, form, np.where(seen, y[:, 0], np.nan))
    variances = estimate_variances(found, y[:, k], np.flatnonzero(seen))
    if split == "leave-one-out":
        mean, variance = loo_moments(found, variances, y[:, k], np.arange(len(data)))
        return mean[hidden], variance[hidden]
    mean, spread = condition(found, variances, y[:, k], np.flatnonzero(seen), np.asarray(hidden))
    own = found.covariance(variances) - found.covariance(variances, noise=False)
    return mean, np.diag(spread) + np.diag(own)[hidden]


def _negative_reml(variances, fixed, parts, powers, y):
    """Minus the restricted log-likelihood and its gradient."""
    scale = np.exp(powers @ variances)
    factor = np.linalg.cholesky(np.tensordot(scale, parts, 1))
    lower, _ = dpotri(factor, lower=1)
    inverse = np.tril(lower) + np.tril(lower, -1).T
    weighted = inverse @ fixed
    information = np.linalg.cholesky(fixed.T @ weighted)
    projection = inverse - weighted @ cho_solve((information, True), weighted.T)
    left = projection @ y
    value = np.log(np.diag(factor)).sum() + np.log(np.diag(information)).sum() + y @ left / 2
    slope = (
        scale * (parts.reshape(len(parts), -1) @ (projection - np.outer(left, left)).ravel()) / 2
    )
    return value, powers.T @ slope


@THREADS.wrap(limits=1)
def estimate_variances(
    model: MixedModel, y: np.ndarray, seen: np.ndarray, start: np.ndarray | None = None
) -> np.ndarray:
    """Log-variances by REML on the rows `seen`; the search begins at `start`, or at fixed values."""
    fixed = _independent(model.fixed[seen])
    parts = np.ascontiguousarray(model.parts[:, seen][:, :, seen])
    if start is None:
        start = np.array([-1.0 if limits == RATIO_BOUNDS else -7.0 for limits in model.bounds])
    options = {"ftol": 1e-7, "gtol": 1e-3, "maxiter": 300}
    arguments = (fixed, parts, model.powers, y[seen])
    found = minimize(
        _negative_reml, start, arguments, "L-BFGS-B", jac=True, bounds=model.bounds, options=options
    )
    return found.x


@THREADS.wrap(limits=1)
def condition(model: MixedModel, variances, y: np.ndarray, seen: np.ndarray, asked: np.ndarray):
    """Mean (m,) and covariance (m, m) of the noise-free law at rows `asked`, given rows `seen`."""
    whole, law = model.covariance(variances), model.covariance(variances, noise=False)
    factor = np.linalg.cholesky(whole[np.ix_(seen, seen)])
    weighted = cho_solve((factor, True), model.fixed[seen])
    information = np.linalg.pinv(model.fixed[seen].T @ weighted, rcond=1e-10, hermitian=True)
    effects = information @ (weighted.T @ y[seen])
    link = law[np.ix_(asked, seen)]
    mean = model.fixed[asked] @ effects + link @ cho_solve(
        (factor, True), y[seen] - model.fixed[seen] @ effects
    )
    rest = model.fixed[asked] - link @ weighted
    spread = (
        law[np.ix_(asked, asked)]
        - link @ cho_solve((factor, True), link.T)
        + rest @ information @ rest.T
    )
    return mean, spread


def _independent(columns):
    """Columns that carry information of their own."""
    _, r, order = qr(columns, mode="economic", pivoting=True)
    size = np.abs(np.diag(r))
    return columns[:, np.sort(order[: len(size)][size > 1e-8 * size[0]])]


# ---------------------------------------------------------------- what may be claimed


def assess_claims(table: pd.DataFrame, level: float = 0.95) -> pd.DataFrame:
    """Does the metric decline towards the largest N or d of a log, and does N or d matter at all?

    One row a log and axis: dataset, axis, decline and effect (booleans), and by whom each is
    seen: law_decline, free_decline, law_effect, free_effect. A claim needs two witnesses:
    the joint law, which borrows from other logs, and a two-way analysis of variance of the
    log's own cells, which knows no law (a parabola bends down also where the truth only
    flattens). Each is tested at 1 - level, shared out over logs and contrasts
    (Bonferroni). Read from the metrics' common level.
    """
    fitting.check_level(level)
    data = make_cells(table)
    y = (data.log @ _rotation(len(data.metrics)))[:, 0]
    found = build_model(data.frame, data.frame, JOINT)
    return assess_claims_at(
        data.frame, found, estimate_variances(found, y, np.arange(len(y))), y, level
    )


def assess_claims_at(
    frame: pd.DataFrame, found: MixedModel, variances, y: np.ndarray, level: float
) -> pd.DataFrame:
    """`assess_claims` for one common level `y` of the cells `frame`, its model and its log-variances."""
    everything = np.arange(len(y))
    mean, spread = condition(found, variances, y, everything, everything)
    logs = frame["dataset"].unique()
    alpha, rows = (1 - level) / len(logs), []
    for name in logs:
        here = (frame["dataset"] == name).to_numpy()
        for axis, other in (families.AXES, families.AXES[::-1]):
            values = np.unique(frame.loc[here, axis])
            shares = np.array([(here & (frame[axis] == value)) for value in values], float)
            shares /= shares.sum(axis=1, keepdims=True)
            drops = shares[-1] - shares[:-1]  # the largest value against each smaller one
            error = np.sqrt(np.maximum(np.einsum("cn,nm,cm->c", drops, spread, drops), 1e-300))
            z, tail = drops @ mean / error, alpha / len(drops)
            free_t, dof, free_f = _two_way(frame[here], axis, other, y[here])
            witness = {
                "law_decline": bool((z < -norm.ppf(1 - tail)).any()),
                "free_decline": bool((free_t < -student.ppf(1 - tail, dof)).any()),
                "law_effect": bool((np.abs(z) > norm.ppf(1 - tail / 2)).any()),
                "free_effect": bool(free_f > fisher.ppf(1 - alpha, len(drops), dof)),
            }
            decline = witness["law_decline"] and witness["free_decline"]
            effect = witness["law_effect"] and witness["free_effect"]
            rows.append(
                {"dataset": name, "axis": axis, "decline": decline, "effect": effect, **witness}
            )
    return pd.DataFrame(rows)


def _two_way(frame, axis, other, y):
    """Contrasts of the largest value's mean against the smaller ones (t), their degrees of freedom, and F."""
    _, block = np.unique(frame[["max_seq_len", other]].to_numpy(float), axis=0, return_inverse=True)
    _, place = np.unique(frame[axis], return_inverse=True)
    blocks, places = np.eye(block.max() + 1)[block.ravel()], np.eye(place.max() + 1)[place]
    design = np.hstack([places, blocks[:, 1:]])
    effects, _, _, _ = np.linalg.lstsq(design, y)
    dof = len(y) - np.linalg.matrix_rank(design)
    variance = np.sum((y - design @ effects) ** 2) / dof
    inverse = np.linalg.pinv(design.T @ design)
    size = places.shape[1]
    contrasts = np.zeros((size - 1, design.shape[1]))
    contrasts[:, size - 1], contrasts[np.arange(size - 1), np.arange(size - 1)] = 1, -1
    difference, spread = contrasts @ effects, contrasts @ inverse @ contrasts.T
    t = difference / np.sqrt(variance * np.diag(spread))
    return t, dof, difference @ np.linalg.solve(spread, difference) / (size - 1) / variance
