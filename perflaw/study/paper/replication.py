"""The paper's own steps, done again: its panels, its fitting recipe, its data parameter."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import curve_fit

from perflaw.laws import families, fitting, identifiability, paper_form, validation, varpro
from perflaw.laws.fitting import Fit
from perflaw.study.paper import published

RECIPE_EVALUATIONS = 500_000  # maxfev in the authors' script
RECIPE_START = {"w1": 1.0, "w2": 1.0, "w3": 1.0, "w4": 1.0, "w5": 1.0, "b": 1.0, "D": 1.0}
PUBLISHED_PARAMETERS = len(RECIPE_START)
DATA_STARTS = (0.1, 0.3, 1, 3, 10, 30, 100)


def refit_panels(table: pd.DataFrame, printed: pd.DataFrame) -> pd.DataFrame:
    """Fit the form that each panel draws.

    Parameters
    ----------
    table
        As `load_surfaces` returns it.
    printed
        As `printed_fits` returns it.

    Returns
    -------
    DataFrame
        `printed` with refit_r2 and refit_status.
    """
    surfaces = dict(list(table.groupby(published.SURFACE, sort=False)))
    fits = []
    panel: Any
    for panel in printed.itertuples():
        surface = surfaces[panel.dataset, panel.max_seq_len, panel.metric]
        law = families.get_law(panel.family, **panel.options)
        fits.append(fitting.fit(law, surface, surface["value"]))
    return printed.assign(
        refit_r2=[fit.r2 for fit in fits], refit_status=[fit.status for fit in fits]
    )


def authors_recipe(
    points: pd.DataFrame,
    y: np.ndarray | pd.Series,
    start: Mapping[str, float] | None = None,
    k: float = 2.0,
) -> dict[str, float]:
    """Search locally for the seven published parameters, as the authors' script does it.

    Parameters
    ----------
    points
        Columns n_layers and d_emb.
    y
        Values, (points,).
    start
        Values that differ from the script's start, which is one for all seven.
    k
        The constant of the law.

    Returns
    -------
    dict
        The parameters of `paper_form.paper_surface` and r2, all nan if the search gave up.
    """
    x = points[list(families.AXES)].to_numpy(float).T
    y = np.asarray(y, float)

    def law(x: np.ndarray, *values: float) -> np.ndarray:
        surface: Callable[..., np.ndarray] = paper_form.paper_surface
        return surface(dict(zip(families.AXES, x)), *values, k=k)

    first = list({**RECIPE_START, **(start or {})}.values())
    with warnings.catch_warnings():
        # overflows on its way, and a covariance that is singular throughout
        warnings.simplefilter("ignore")
        try:
            values, _ = curve_fit(law, x, y, p0=first, maxfev=RECIPE_EVALUATIONS)
            r2 = 1 - np.sum((y - law(x, *values)) ** 2) / np.sum((y - y.mean()) ** 2)
        except RuntimeError:
            values, r2 = [np.nan] * len(first), np.nan
    return {**dict(zip(RECIPE_START, map(float, values))), "r2": float(r2)}


def recipe_against_search(fits: Mapping[tuple, Fit]) -> pd.DataFrame:
    """Compare one local search from ones with the global search.

    Parameters
    ----------
    fits
        Performance Laws with k = 2, as `fitting.fit_surfaces` returns them.

    Returns
    -------
    DataFrame
        One row a surface: surface, recipe_r2 and global_r2.
    """
    rows = [
        {
            "surface": published.surface_label(key),
            "recipe_r2": authors_recipe(fit.points, fit.y)["r2"],
            "global_r2": fit.r2,
        }
        for key, fit in fits.items()
    ]
    return pd.DataFrame(rows)


def free_data_parameter(fit: Fit) -> pd.DataFrame:
    """Fit the seven published parameters from each of `DATA_STARTS`, first values of D'.

    The search starts at the global optimum of the other parameters. Their b is not adapted to D',
    so a search may stop at a worse fit.

    Parameters
    ----------
    fit
        A Performance Law.

    Returns
    -------
    DataFrame
        Columns start, fitted (D'), b and r2.
    """
    k = fit.law.options["k"]
    optimum = paper_form.paper_parameters(fit.parameters, k)
    rows = []
    for start in DATA_STARTS:
        recipe = authors_recipe(fit.points, fit.y, {**optimum, "D": float(start)}, k)
        rows.append({"start": start, "fitted": recipe["D"], "b": recipe["b"], "r2": recipe["r2"]})
    return pd.DataFrame(rows)


def rss_without_axis(fit: Fit, axis: str) -> float:
    """Return the least sum of squares of a Performance Law that does not read one axis."""
    others = tuple(name for name in fit.law.axes if name != axis)
    law = families.performance(others, fit.law.options["k"])
    return float(varpro.solve_batch(law, fit.points, fit.y).rss[0])


def identification(table: pd.DataFrame, k: float = 2.0) -> pd.DataFrame:
    """Count how many directions of each law's parameters move each surface.

    Parameters
    ----------
    table
        As `load_surfaces` returns it.
    k
        The constant of the published form.

    Returns
    -------
    DataFrame
        One row a law: law, parameters, least and most (smallest and largest rank of the
        Jacobian over the surfaces) and not_identified (surfaces with a parameter that can move
        freely). The last row is the published form with its seven parameters, w5 and D' at 1
        and 2.
    """
    fits = validation.fit_table(families.rival_laws(), table, published.SURFACE)
    rows = []
    for name, of_law in fits.groupby("law", sort=False):
        rows.append((name, *_rank_summary(of_law["rank"], int(of_law["parameters"].iloc[0]))))
    ranks = []
    for fit in fitting.fit_surfaces(families.performance(k=k), table, published.SURFACE).values():
        parameters = {**paper_form.paper_parameters(fit.parameters, k), "w5": 1.0, "D": 2.0}
        ranks.append(
            identifiability.numerical_rank(paper_form.paper_jacobian(fit.points, parameters, k))
        )
    name = f"as published, seven parameters, k = {k:g}"
    rows.append((name, *_rank_summary(np.array(ranks), PUBLISHED_PARAMETERS)))
    return pd.DataFrame(rows, columns=["law", "parameters", "least", "most", "not_identified"])


def _rank_summary(ranks: pd.Series | np.ndarray, n_parameters: int) -> tuple[int, int, int, int]:
    return n_parameters, ranks.min(), ranks.max(), int((ranks < n_parameters).sum())
