"""Laws judged by cells that their fits have not seen, and side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from perflaw.errors import InputError
from perflaw.laws.checks import check_points, check_values
from perflaw.laws.families import Array, Law
from perflaw.laws.fitting import fit, fit_surfaces
from perflaw.laws.identifiability import fit_jacobian, identifiable_rank, numerical_rank
from perflaw.laws.profile import profile_threshold
from perflaw.laws.varpro import predict_many, solve_batch
from perflaw.stats import check_level

CELL_COLUMNS = ("n_layers", "d_emb", "tokens")
LEAVE_ONE_OUT = "leave-one-out"
LARGER_N = "larger N"
LARGEST_N = "largest N"
LARGEST_D = "largest d"


def hidden_cells(points: pd.DataFrame) -> dict[str, NDArray[np.bool_]]:
    """Return the cells to hide under each split's name, as rows of booleans, one row a fit.

    leave-one-out: each cell in turn, with all its seeds. larger N: all cells with more than half of
    the largest number of layers. largest d: all cells of the largest embedding dimension.
    """
    n_layers, d_emb = points["n_layers"].to_numpy(), points["d_emb"].to_numpy()
    return {
        LEAVE_ONE_OUT: _cells(points, [name for name in CELL_COLUMNS if name in points]),
        LARGER_N: (2 * n_layers > n_layers.max())[None],
        LARGEST_D: (d_emb == d_emb.max())[None],
    }


def _cells(points: pd.DataFrame, axes: Sequence[str]) -> NDArray[np.bool_]:
    """Return the rows of each cell, (cells, n): a cell may have a row for each seed."""
    cell = points.groupby(list(axes), sort=False).ngroup().to_numpy()
    return cell == np.arange(cell.max() + 1)[:, None]


def heldout_predictions(
    law: Law, points: pd.DataFrame, y: Sequence[float] | Array | pd.Series, level: float = 0.9
) -> pd.DataFrame:
    """Predict the hidden cells of every split from the others.

    A cell is inside its interval exactly if fitting it too raises the sum of squares by no more
    than the interval allows, so two batches of fits answer for all cells.

    Parameters
    ----------
    law : Law
    points : pandas.DataFrame
        The law's axes, one row a run.
    y : sequence of float
        As many values.
    level : float
        Confidence level of the intervals.

    Returns
    -------
    pandas.DataFrame
        One row a hidden cell: split, row (of points), value, predicted, covered (whether the
        profile interval of the fit that did not see the cell holds it; nan for a shrunk law).

    Raises
    ------
    InputError
        As `fit` does, and if a split leaves too few points.
    """
    check_points(law, points)
    values = check_values(points, y)
    check_level(level)
    folds = [(split, mask) for split, masks in hidden_cells(points).items() for mask in masks]
    cells = [(split, mask, row) for split, mask in folds for row in np.flatnonzero(mask)]
    rows = np.array([row for _, _, row in cells])
    seen = np.array([~mask for _, mask, _ in cells]).astype(float)
    n_seen = seen.sum(axis=1)
    if (n_seen <= len(law.parameters)).any():
        raise InputError(
            f"too few points are left to fit the law {law.name} when a split hides some"
        )
    each = np.arange(len(rows))
    theta, beta, rss = _solve_folds(law, points, values, seen)
    table = pd.DataFrame(
        {
            "split": [split for split, _, _ in cells],
            "row": rows,
            "value": values[rows],
            "predicted": predict_many(law, points, theta, beta)[each, rows],
            "covered": np.nan,
        }
    )
    if law.penalty:
        return table
    seen_or_own = seen.copy()
    seen_or_own[each, rows] = 1
    rss_with_cell = _solve_folds(law, points, values, seen_or_own)[-1]
    threshold = profile_threshold(rss, n_seen - law.n_free, level)
    return table.assign(covered=rss_with_cell <= threshold)


def _solve_folds(
    law: Law, points: pd.DataFrame, values: Array, weights: Array
) -> tuple[Array, Array, Array]:
    """Return exponents, linear parameters and sum of squares for each row of weights.

    Rows that are the same are solved once.
    """
    folds, inverse = np.unique(weights, axis=0, return_inverse=True)
    solution = solve_batch(law, points, values, folds)
    fold = inverse.ravel()
    return solution.theta[fold], solution.beta[fold], solution.rss[fold]


def heldout_by_surface(
    candidates: Mapping[str, Law], table: pd.DataFrame, by: Sequence[str], level: float = 0.9
) -> pd.DataFrame:
    """Apply `heldout_predictions` to every law on every surface of a table.

    Parameters
    ----------
    candidates : mapping of str to Law
        Laws by the names to show.
    table : pandas.DataFrame
        The laws' axes, the columns of `by`, and value.
    by : sequence of str
        The columns that name a surface.
    level : float
        Confidence level of the intervals.

    Returns
    -------
    pandas.DataFrame
        The rows of `heldout_predictions` with the columns law, `by` and ape, the absolute
        percentage error of a hidden cell.
    """
    parts = []
    for name, law in candidates.items():
        for key, surface in table.groupby(list(by), sort=False):
            cells = heldout_predictions(law, surface, surface["value"], level)
            labels: dict[str, Any] = dict(zip(by, key))
            parts.append(cells.assign(law=name, **labels))
    cells = pd.concat(parts, ignore_index=True)
    return cells.assign(ape=100 * (cells["predicted"] / cells["value"] - 1).abs())


def mean_errors(
    cells: pd.DataFrame, by: Sequence[str], keep: Sequence[str] = (), log: str = "dataset"
) -> pd.DataFrame:
    """Average the absolute percentage error over cells, then over surfaces, then over logs.

    Each log counts once, however many surfaces it has, as logs are the independent units.

    Parameters
    ----------
    cells : pandas.DataFrame
        As `heldout_by_surface` returns them.
    by : sequence of str
        The columns of a surface.
    keep : sequence of str
        Those of them to report apart, e.g. ["dataset"].
    log : str
        The one of them that names the log.

    Returns
    -------
    pandas.DataFrame
        Columns law, split, `keep`, mape, and coverage (the share of all cells, of any log).

    Raises
    ------
    InputError
        If `log` is not among the columns of a surface.
    """
    if log not in by:
        raise InputError(
            f"no column {log!r} among those of a surface: {', '.join(by)}; "
            "log= names the one that says which log a surface is of"
        )
    groups = ["law", "split", *keep]
    surfaces = cells.groupby(["law", "split", *by], sort=False)["ape"].mean().reset_index()
    with_log = list(dict.fromkeys([*groups, log]))
    by_log = surfaces.groupby(with_log, sort=False)["ape"].mean()
    mape = by_log.groupby(groups, sort=False).mean()
    coverage = cells.groupby(groups, sort=False)["covered"].mean()
    return pd.concat([mape.rename("mape"), coverage.rename("coverage")], axis=1).reset_index()


def fit_table(
    candidates: Mapping[str, Law], table: pd.DataFrame, by: Sequence[str]
) -> pd.DataFrame:
    """Fit every law to every surface of a table (see `fit_surfaces`); one row a fit.

    Returns
    -------
    pandas.DataFrame
        Columns law, those of `by`, parameters (how many), rank (of the Jacobian), r2, aicc,
        sigma and status.
    """
    rows = [
        {
            "law": name,
            **dict(zip(by, key)),
            "parameters": law.n_free,
            "rank": numerical_rank(fit_jacobian(fitted)),
            "r2": fitted.r2,
            "aicc": fitted.aicc,
            "sigma": fitted.sigma,
            "status": fitted.status,
        }
        for name, law in candidates.items()
        for key, fitted in fit_surfaces(law, table, by).items()
    ]
    return pd.DataFrame(rows)


def compare_laws(
    candidates: Mapping[str, Law], table: pd.DataFrame, by: Sequence[str]
) -> pd.DataFrame:
    """Compare laws on every surface of a table, in sample and on hidden cells.

    A few values along an axis determine a few numbers. A law that asks for more than those that
    are left when the largest is hidden, or for more points, has no prediction there; its error
    is nan.

    Parameters
    ----------
    candidates : mapping of str to Law
        Laws by the names to show, e.g. `perflaw.laws.families.rival_laws()`.
    table : pandas.DataFrame
        The laws' axes, the columns of `by`, and value.
    by : sequence of str
        The columns that name a surface.

    Returns
    -------
    pandas.DataFrame
        One row a fit: the columns of `fit_table`, and the mean absolute percentage errors
        leave-one-out, largest N and largest d.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from perflaw.laws import compare_laws, get_law
    >>> grid = [(n, d) for n in (2, 4, 8, 16) for d in (16, 32, 64)]
    >>> table = pd.DataFrame(grid, columns=["n_layers", "d_emb"]).assign(log="shop")
    >>> table["value"] = 0.1 + 0.02 * np.log(table["d_emb"])
    >>> laws = {name: get_law(name) for name in ("constant", "log_linear")}
    >>> compare_laws(laws, table, ["log"]).round(2)[["law", "leave-one-out", "largest d"]]
              law  leave-one-out  largest d
    0    constant           5.99      11.35
    1  log_linear           0.00       0.00
    """
    hidden = [
        {"law": name, **dict(zip(by, key)), **_hidden_errors(law, surface)}
        for name, law in candidates.items()
        for key, surface in table.groupby(list(by), sort=False)
    ]
    return fit_table(candidates, table, by).merge(pd.DataFrame(hidden), on=["law", *by])


def loo_predictions(law: Law, points: pd.DataFrame, y: Array) -> Array:
    """Return each value (n,) as the law, fitted to the other cells, predicts it."""
    cells = _cells(points, law.axes)
    solution = solve_batch(law, points, y, (~cells).astype(float))
    predicted = predict_many(law, points, solution.theta, solution.beta)
    return predicted[cells.argmax(axis=0), np.arange(len(y))]


def _hidden_errors(law: Law, surface: pd.DataFrame) -> dict[str, float]:
    """Return the mean absolute percentage error of each split of a surface."""
    y = surface["value"].to_numpy()
    errors = {LEAVE_ONE_OUT: _mean_error(loo_predictions(law, surface, y), y)}
    for axis, split in (("n_layers", LARGEST_N), ("d_emb", LARGEST_D)):
        is_hidden = (surface[axis] == surface[axis].max()).to_numpy()
        visible = surface[~is_hidden]
        is_determined = len(visible) > len(law.parameters) and (
            identifiable_rank(law, visible) == identifiable_rank(law, surface)
        )
        errors[split] = np.nan
        if is_determined:
            predicted = fit(law, visible, y[~is_hidden]).predict(surface[is_hidden])
            errors[split] = _mean_error(predicted, y[is_hidden])
    return errors


def _mean_error(predicted: Array, y: Array) -> float:
    return float(100 * np.abs(predicted / y - 1).mean())
