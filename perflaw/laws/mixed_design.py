"""The joint law as columns and covariances: its forms, the cells it reads, the model it builds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from perflaw.errors import InputError
from perflaw.laws.families import (
    AXES,
    EQUAL_BOUND,
    Array,
    Law,
    performance,
    sum_of_powers,
    with_bounds,
)
from perflaw.laws.varpro import solve_batch
from perflaw.tables import TOKENS, check_numbers, name_row

PAIR = ["dataset", "max_seq_len"]  # the columns of a surface, its metrics together
CELL = [*PAIR, *AXES]  # and tokens, where a table has them
VARIANCE_BOUNDS = (-18.0, 2.0)  # of the logarithm of a variance of ln y
RATIO_BOUNDS = (-9.0, 5.0)  # of the logarithm of the walk's variance over the noise's
# Names of variances, as `MixedFit.variance_table` shows them.
CURVATURE_N = "curvature in N, and twist, by log"
CURVATURE_D = "curvature in d, by log"
WALK = "walk over noise"


@dataclass(frozen=True)
class MixedForm:
    """What a joint law may bend.

    Attributes
    ----------
    name : str
    shape : Law, optional
        The law along each axis instead of the logarithm, its exponents fitted for each log.
    curvature : bool
        Whether there is a quadratic part, shared by all logs but for random departures.
    walk : bool
        Whether each surface has a random walk along d.
    """

    name: str
    shape: Law | None = None
    curvature: bool = False
    walk: bool = False


_POWERS = with_bounds(sum_of_powers(), -EQUAL_BOUND, EQUAL_BOUND)
_PERFORMANCE = with_bounds(performance(), -EQUAL_BOUND, EQUAL_BOUND)
JOINT = MixedForm("joint law", curvature=True, walk=True)
RATIO = MixedForm("ratio of the metrics")
FORMS = (
    MixedForm("joint log-linear"),
    MixedForm("joint log-quadratic", curvature=True),
    MixedForm("joint sum of powers", shape=_POWERS),
    MixedForm("joint Performance Law, k = 2", shape=_PERFORMANCE),
    MixedForm("joint log-linear, walk", walk=True),
    MixedForm("joint sum of powers, walk", shape=_POWERS, walk=True),
    MixedForm("joint Performance Law, k = 2, walk", shape=_PERFORMANCE, walk=True),
    JOINT,
)


@dataclass(frozen=True)
class SurfaceCells:
    """The measured runs, one row a cell, the logarithms of its metrics side by side.

    Attributes
    ----------
    frame : pandas.DataFrame
        The columns of CELL, and tokens where the table has them.
    log : numpy.ndarray
        Natural logarithms (n, metrics).
    metrics : tuple of str
    """

    frame: pd.DataFrame
    log: Array
    metrics: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def axes(self) -> list[str]:
        """The columns of a cell's size: N, d, and tokens where the table has them."""
        return list(self.frame.columns[len(PAIR) :])

    @property
    def log_dof(self) -> int:
        """Degrees of freedom of what is known of logs: their number less one, 1 or more."""
        return max(1, self.frame["dataset"].nunique() - 1)

    @property
    def rotated(self) -> Array:
        """The metrics' common level and contrasts (n, metrics), in logarithms."""
        return self.log @ metric_rotation(len(self.metrics))


def make_cells(table: pd.DataFrame) -> SurfaceCells:
    """Arrange rows of dataset, max_seq_len, metric, n_layers, d_emb, value as cells.

    A column tokens becomes part of the cell.

    Raises
    ------
    InputError
        If a column is missing, a value is not positive, a cell lacks a metric that another has or
        has it twice, a log has a single N or d, or there is but one surface, which has nothing to
        borrow from.
    """
    if missing := [name for name in (*CELL, "metric", "value") if name not in table]:
        known = ", ".join(table.columns)
        raise InputError(
            f"the joint law needs the column {' and '.join(missing)}; there are {known}"
        )
    columns = [*CELL, *([TOKENS] if TOKENS in table else [])]
    _check_cell_numbers(table, columns)
    wide = table.pivot(index=columns, columns="metric", values="value")
    if wide.isna().any(axis=None):
        cell = ", ".join(map(str, wide.index[wide.isna().any(axis=1)][0]))
        raise InputError(
            f"the cell {cell} lacks one of the metrics {', '.join(map(str, wide))}; "
            "every cell needs all of them"
        )
    frame = pd.DataFrame(wide.reset_index()[columns])
    if len(frame.groupby(PAIR)) < 2:
        raise InputError(
            "there is one surface, which has nothing to borrow from; "
            "fit it alone with perflaw.laws.fit"
        )
    for axis in AXES:
        is_single = frame.groupby("dataset")[axis].nunique() < 2
        if is_single.any():
            raise InputError(
                f"the log {is_single.idxmax()} has one value of {axis}; "
                "the joint law needs two or more"
            )
    return SurfaceCells(frame, np.log(wide.to_numpy()), tuple(wide.columns))


def is_among(rows: pd.DataFrame, others: pd.DataFrame) -> NDArray[np.bool_]:
    """Say which rows are also rows of another table with the same columns."""
    merged = rows.merge(others.drop_duplicates(), how="left", indicator=True)
    return (merged["_merge"] == "both").to_numpy()


def _check_cell_numbers(table: pd.DataFrame, columns: list[str]) -> None:
    """Raise InputError for a value that is no positive number, and for a repeated cell."""
    for name in (*columns[len(PAIR) :], "value"):
        check_numbers(table[name], name)
    is_low = (table["value"] <= 0).to_numpy()
    if is_low.any():
        row = int(is_low.argmax())
        raise InputError(
            f"value is {table['value'].iloc[row]:g} in {name_row(table, row)}; "
            "the joint law needs it above 0"
        )
    is_repeat = table.duplicated([*columns, "metric"]).to_numpy()
    if is_repeat.any():
        where = name_row(table, int(is_repeat.argmax()))
        raise InputError(f"{where} repeats an earlier cell and metric; average the repeats")


def metric_rotation(size: int) -> Array:
    """Return an orthonormal (size, size): the metrics' common level first, then their contrasts."""
    rotation = np.linalg.qr(np.column_stack([np.ones(size), np.eye(size)[:, : size - 1]]))[0]
    rotated: Array = rotation * np.sign(rotation[0])
    return rotated


@dataclass(frozen=True)
class MixedModel:
    """Columns of the fixed effects, covariance parts, and which log-variances scale each part.

    Attributes
    ----------
    fixed : numpy.ndarray
        (n, p).
    parts : numpy.ndarray
        (K, n, n).
    powers : numpy.ndarray
        (K, v): the variance of a part is exp(powers @ log-variances).
    names : tuple of str
        Of the log-variances.
    bounds : tuple of (float, float)
        Of the log-variances.
    noise : numpy.ndarray
        Booleans (K,): the parts that are a run's own noise.
    """

    fixed: Array
    parts: Array
    powers: Array
    names: tuple[str, ...]
    bounds: tuple[tuple[float, float], ...]
    noise: NDArray[np.bool_]

    def covariance(self, variances: Array, noise: bool = True) -> Array:
        """Return the covariance (n, n) at log-variances (v,), with or without a run's noise."""
        scale = np.exp(self.powers @ variances) * (1 if noise else ~self.noise)
        return np.tensordot(scale, self.parts, 1)

    def noise_variance(self, variances: Array) -> Array:
        """Return the variance of a run's own noise in each row (n,)."""
        difference = self.covariance(variances) - self.covariance(variances, noise=False)
        return np.diag(difference)


class _Part(NamedTuple):
    """A covariance part (n, n), and the names of the log-variances that scale it."""

    matrix: Array
    variances: tuple[str, ...]
    is_noise: bool = False


def scale_axes(
    frame: pd.DataFrame, reference: pd.DataFrame, names: Sequence[str] = AXES
) -> tuple[Array, ...]:
    """Return the logarithms of axes, scaled so that each log's grid in `reference` spans [-1, 1].

    An axis of which a log has a single value is 0 there.
    """
    axes = []
    for axis in names:
        ends = reference.groupby("dataset")[axis].agg(["min", "max"]).astype(float)
        grid: pd.DataFrame = ends.transform(np.log)
        low, high = (frame["dataset"].map(grid[end]).to_numpy(float) for end in ("min", "max"))
        is_wide = high > low
        share = (np.log(frame[axis].to_numpy(float)) - low) / np.where(is_wide, high - low, 1.0)
        axes.append(np.where(is_wide, 2 * share - 1, 0.0))
    return tuple(axes)


def build_model(
    frame: pd.DataFrame, reference: pd.DataFrame, form: MixedForm, common_level: Array | None = None
) -> MixedModel:
    """Build the model of the metrics' common level on the rows of `frame`.

    Parameters
    ----------
    frame : pandas.DataFrame
        The columns of the cells, n rows.
    reference : pandas.DataFrame
        The measured cells, whose grids scale the axes.
    form : MixedForm
    common_level : numpy.ndarray, optional
        The common level of the measured cells, nan where hidden, from which a form with a shape
        takes its exponents.
    """
    u, v = scale_axes(frame, reference)
    logs, log_of_row = np.unique(frame["dataset"], return_inverse=True)
    by_log = np.eye(len(logs))[log_of_row]
    surface = frame.groupby(PAIR, sort=True).ngroup().to_numpy()
    by_surface = np.eye(surface.max() + 1)[surface]
    shaped_u, shaped_v = u, v
    if form.shape is not None:
        if common_level is None:
            raise ValueError("a form with a shape needs the level of the measured cells")
        shaped_u, shaped_v = _shaped_axes(form.shape, frame, reference, common_level)
    fixed = [by_surface, by_log * shaped_u[:, None], by_log * shaped_v[:, None]]
    same_log, same_surface = by_log @ by_log.T, by_surface @ by_surface.T
    bounds: dict[str, tuple[float, float]] = {}
    parts: list[_Part] = []
    if form.curvature:
        bend_n, bend_d, twist = u**2 - 0.5, v**2 - 0.5, u * v
        fixed += [bend_n[:, None], bend_d[:, None], twist[:, None]]
        bounds |= dict.fromkeys([CURVATURE_N, CURVATURE_D], VARIANCE_BOUNDS)
        curved = np.outer(bend_n, bend_n) + np.outer(twist, twist)
        parts.append(_Part(same_log * curved, (CURVATURE_N,)))
        parts.append(_Part(same_log * np.outer(bend_d, bend_d), (CURVATURE_D,)))
    if TOKENS in reference:
        (data,) = scale_axes(frame, reference, [TOKENS])
        fixed += [by_log * data[:, None], data[:, None] ** 2]
    if form.walk:
        bounds[WALK] = RATIO_BOUNDS
    start = np.clip(v + 1, 0, None)
    for i, name in enumerate(logs):
        noise = f"noise, {name}"
        bounds[noise] = VARIANCE_BOUNDS
        parts.append(_Part(np.diag(by_log[:, i]), (noise,), is_noise=True))
        if form.walk:
            own_log = np.outer(by_log[:, i], by_log[:, i])
            walk = own_log * same_surface * np.minimum.outer(start, start)
            parts.append(_Part(walk, (WALK, noise)))
    powers = [[name in part.variances for name in bounds] for part in parts]
    return MixedModel(
        fixed=np.hstack(fixed),
        parts=np.array([part.matrix for part in parts]),
        powers=np.array(powers, float),
        names=tuple(bounds),
        bounds=tuple(bounds.values()),
        noise=np.array([part.is_noise for part in parts]),
    )


@lru_cache(maxsize=1024)
def _fit_exponents(
    law: Law, sizes: tuple[tuple[float, ...], ...], values: tuple[float, ...]
) -> Array:
    """Fit a law to one value a size (N, d), and return its exponents.

    Results are kept: when cells of one log are hidden, the other logs have the same values again.
    """
    theta = solve_batch(law, pd.DataFrame(sizes, columns=list(AXES)), values).theta[0]
    theta.setflags(write=False)
    return theta


def _shaped_axes(
    law: Law, frame: pd.DataFrame, reference: pd.DataFrame, common_level: Array
) -> Array:
    """Return the law's column along each axis (2, n), centred and scaled within each log.

    A log's exponents come from its visible cells: intercepts for its surfaces are taken
    out, and the law is fitted to what is left.
    """
    shaped = np.zeros((2, len(frame)))
    is_seen = np.isfinite(common_level)
    for name, cells in reference.groupby("dataset"):
        rows = cells[is_seen[cells.index]]
        values = pd.Series(common_level[rows.index], rows.index)
        centred = values - values.groupby(rows["max_seq_len"]).transform("mean")
        mean = centred.groupby([rows[axis] for axis in AXES]).mean()
        theta = _fit_exponents(law, tuple(mean.index), tuple(mean))
        is_own = (frame["dataset"] == name).to_numpy()
        grid = law.basis({axis: cells[axis].to_numpy(float) for axis in AXES}, theta)
        own_axes = {axis: frame.loc[is_own, axis].to_numpy(float) for axis in AXES}
        columns = law.basis(own_axes, theta) - grid.mean(axis=0)
        shaped[:, is_own] = (columns / np.maximum(grid.std(axis=0), 1e-12))[:, 1:].T
    return shaped
