"""Robust fits of the public grids: how well they name collapsed runs, and predict the largest d.

The visible runs of a surface (all but those of the largest d) are fitted by the log-quadratic law
of ln metric: by least squares, by Huber's loss, by the study's consensus fit, and by
scikit-learn's RANSAC with its default threshold. RANSAC draws at random and has ten seeds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from perflaw.errors import require
from perflaw.laws import families, fitting
from perflaw.laws.families import Array
from perflaw.laws.robust import SUBSETS
from perflaw.study.collapsed_runs import COLLAPSED, mark_collapsed
from perflaw.study.intervals import interval_columns
from perflaw.study.neighbours.grid_runs import read_table
from perflaw.study.public_grids import SURFACE, hide
from perflaw.study.trained_cells import BEST, CONSTANT, NEAREST, nearest_values

LOSSES = {"least squares": "squares", "Huber": "huber", "consensus": "consensus"}
RANSAC = "RANSAC"
SEEDS = 10
COUNTS = ["found", "missed", "falsely"]
LAW = families.log_quadratic()


class RobustFit(NamedTuple):
    """What a rule makes of the visible runs of a surface."""

    fitted: Array  # of ln metric, at the visible runs
    predicted: Array  # at the hidden ones
    is_out: np.ndarray  # whether the rule leaves a visible run out


def fit_by_loss(visible: pd.DataFrame, hidden: pd.DataFrame, loss: str) -> RobustFit:
    """Fit the log-quadratic law to ln metric by a loss of `perflaw.laws.fit`."""
    y = np.log(visible["test"])
    result = fitting.fit(LAW, visible.assign(seed=visible["grid_point"]), y, loss)
    is_out = result.weights < 1 if loss == "huber" else result.weights == 0
    if loss == "squares":
        is_out = np.ones(len(visible), bool)
    return RobustFit(result.predict(visible), result.predict(hidden), is_out)


def fit_by_ransac(visible: pd.DataFrame, hidden: pd.DataFrame, seed: int) -> RobustFit:
    """Fit the log-quadratic law to ln metric by scikit-learn's RANSAC.

    It tries as many subsets as the consensus fit, of one run more than there are parameters.

    References
    ----------
    Fischler and Bolles 1981.
    """
    require("sklearn")
    from sklearn.linear_model import LinearRegression, RANSACRegressor

    x, x_hidden = (_columns(rows) for rows in (visible, hidden))
    model = RANSACRegressor(
        LinearRegression(fit_intercept=False),
        min_samples=x.shape[1] + 1,
        max_trials=SUBSETS,
        stop_probability=1.0,
        random_state=seed,
    ).fit(x, np.log(visible["test"]))
    return RobustFit(model.predict(x), model.predict(x_hidden), ~model.inlier_mask_)


def _columns(rows: pd.DataFrame) -> Array:
    """Return the law's columns (n, p): it has no exponents."""
    axes = {name: rows[name].to_numpy(float) for name in LAW.axes}
    return np.asarray(LAW.basis(axes, np.zeros(0)))


def compare_robust_fits(runs: pd.DataFrame, seeds: Sequence[int] = range(SEEDS)) -> pd.DataFrame:
    """Score every rule on every surface.

    Parameters
    ----------
    runs : pandas.DataFrame
        What `public_grids.load_runs` returns.
    seeds : sequence of int
        Of RANSAC.

    Returns
    -------
    pandas.DataFrame
        One row a surface, rule and seed: found, missed and falsely (runs that the rule leaves out
        and that are below a third of its fit, against `mark_collapsed`); ape, the mean absolute
        percentage error at the hidden runs that did not collapse. The baselines have an ape only.
    """
    collapsed = mark_collapsed(runs)
    rows: list[dict[str, Any]] = []
    for key, surface in runs.groupby(SURFACE):
        is_hidden = hide(surface, "largest d")
        visible = surface[~is_hidden]
        hidden = surface[is_hidden & ~collapsed[surface.index]]
        is_collapsed = collapsed[visible.index]
        labels = dict(zip(SURFACE, key))
        for rule, seed, fit in _fits(visible, hidden, seeds):
            is_low = np.log(visible["test"]) - fit.fitted < np.log(COLLAPSED)
            is_named = fit.is_out & is_low
            counts = {
                "found": int((is_collapsed & is_named).sum()),
                "missed": int((is_collapsed & ~is_named).sum()),
                "falsely": int((is_named & ~is_collapsed).sum()),
            }
            error = _mean_error(np.exp(fit.predicted), hidden)
            rows.append(labels | {"rule": rule, "seed": seed, **counts, "ape": error})
        for rule, predicted in _baselines(visible, hidden).items():
            error = _mean_error(predicted, hidden)
            rows.append(labels | {"rule": rule, "seed": 0, "ape": error})
    return pd.DataFrame(rows).astype(dict.fromkeys(COUNTS, "Int64"))


def _fits(
    visible: pd.DataFrame, hidden: pd.DataFrame, seeds: Sequence[int]
) -> Iterator[tuple[str, int, RobustFit]]:
    for rule, loss in LOSSES.items():
        yield rule, 0, fit_by_loss(visible, hidden, loss)
    for seed in seeds:
        yield RANSAC, seed, fit_by_ransac(visible, hidden, seed)


def _baselines(visible: pd.DataFrame, hidden: pd.DataFrame) -> dict[str, Array]:
    """Predict hidden runs by the mean, the nearest and the best cell of the visible runs."""
    cells = visible.groupby(["n_layers", "d_emb"])["test"].mean().reset_index(name="value")
    return {
        CONSTANT: np.full(len(hidden), visible["test"].mean()),
        NEAREST: nearest_values(cells, hidden),
        BEST: np.full(len(hidden), cells["value"].max()),
    }


def _mean_error(predicted: Array, hidden: pd.DataFrame) -> float:
    return float(100 * np.abs(predicted / hidden["test"] - 1).mean())


def load_robust_fits() -> pd.DataFrame:
    """Load the table that scripts/neighbours.py made with `compare_robust_fits`."""
    return read_table("robust_fits").astype(dict.fromkeys(COUNTS, "Int64"))


def count_by_seed(table: pd.DataFrame) -> pd.DataFrame:
    """Sum found, missed and falsely over surfaces, one row a seed of RANSAC."""
    return table[table["rule"] == RANSAC].groupby("seed")[COUNTS].sum()


def summarise(table: pd.DataFrame, level: float = 0.9) -> pd.DataFrame:
    """Sum counts over surfaces and average errors, one row a rule.

    Parameters
    ----------
    table : pandas.DataFrame
        What `compare_robust_fits` returns.
    level : float
        Of Student's intervals.

    Returns
    -------
    pandas.DataFrame
        rule; found, missed and falsely (the mean over seeds); ape and its median over surfaces;
        and edge, low and high: by how much the error is below that of least squares, over logs.
    """
    rows = []
    errors = table.groupby(["rule", *SURFACE])["ape"].mean()
    squares = errors["least squares"]
    for rule, of_rule in table.groupby("rule", sort=False):
        # a baseline names nothing: its sums stay empty
        sums = of_rule.groupby("seed")[COUNTS].sum(min_count=1).mean()
        edges = (squares - errors[rule]).groupby(level="log").mean()
        counts = {"rule": rule, **sums.to_dict()}
        means = {"ape": errors[rule].mean(), "median": errors[rule].median()}
        rows.append(counts | means | interval_columns(edges, level, "edge"))
    return pd.DataFrame(rows)
