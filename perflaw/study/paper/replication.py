"""The paper's own steps, done again: its panels, its fitting recipe, its data parameter."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
from scipy.optimize import curve_fit

from perflaw.laws import families, fitting, identifiability, paper_form, validation
from perflaw.laws.fitting import Fit
from perflaw.study.paper import published

RECIPE_EVALUATIONS = 500_000  # maxfev in the authors' script
RECIPE_START = {"w1": 1.0, "w2": 1.0, "w3": 1.0, "w4": 1.0, "w5": 1.0, "b": 1.0, "D": 1.0}


def refit_panels(table: pd.DataFrame, printed: pd.DataFrame) -> pd.DataFrame:
    """`printed` with refit_r2 and refit_status: our fit of the form that each panel draws.

    table: as `published.load_surfaces()`; printed: as `published.printed_fits()`.
    """
    surfaces = dict(list(table.groupby(published.SURFACE, sort=False)))
    fits = []
    for panel in printed.itertuples():
        surface = surfaces[panel.dataset, panel.max_seq_len, panel.metric]
        fits.append(
            fitting.fit(families.get_law(panel.family, **panel.options), surface, surface["value"])
        )
    return printed.assign(
        refit_r2=[fit.r2 for fit in fits], refit_status=[fit.status for fit in fits]
    )


def authors_recipe(
    points: pd.DataFrame, y, start: dict[str, float] | None = None, k: float = 2.0
) -> dict[str, float]:
    """One local search for the seven parameters, as the authors' script does it, and its R².

    start: values that differ from the script's start, which is one for all seven.
    Returns the parameters of `laws.paper_surface` and r2, all nan if the search gave up.
    """
    x, y = points[list(families.AXES)].to_numpy(float).T, np.asarray(y, float)

    def law(x, *values):
        return paper_form.paper_surface(dict(zip(families.AXES, x)), *values, k=k)

    begin = list((RECIPE_START | (start or {})).values())
    with (
        warnings.catch_warnings()
    ):  # overflows on its way, and a covariance that is singular throughout
        warnings.simplefilter("ignore")
        try:
            values, _ = curve_fit(law, x, y, p0=begin, maxfev=RECIPE_EVALUATIONS)
            r2 = 1 - np.sum((y - law(x, *values)) ** 2) / np.sum((y - y.mean()) ** 2)
        except RuntimeError:
            values, r2 = [np.nan] * len(begin), np.nan
    return {**dict(zip(RECIPE_START, map(float, values))), "r2": float(r2)}


def recipe_against_search(fits: dict[tuple, Fit]) -> pd.DataFrame:
    """R² of one local search from ones and of the global search, one row a surface.

    fits: Performance Laws with k = 2, as `fitting.fit_surfaces` returns them.
    Columns: surface, recipe_r2, global_r2.
    """
    rows = []
    for key, fit in fits.items():
        recipe = authors_recipe(fit.points, fit.y)
        rows.append(
            {
                "surface": published.surface_label(key),
                "recipe_r2": recipe["r2"],
                "global_r2": fit.r2,
            }
        )
    return pd.DataFrame(rows)


def free_data_parameter(fit: Fit, starts=(0.1, 0.3, 1, 3, 10, 30, 100)) -> pd.DataFrame:
    """Fit the seven published parameters from several starts of D' and nothing else changed.

    The search starts at the global optimum of the other parameters, so that all starts
    fit the surface equally well. Columns: start, fitted (D'), b, r2.
    """
    paper = paper_form.paper_parameters(fit.parameters, fit.law.options["k"])
    rows = []
    for start in starts:
        found = authors_recipe(
            fit.points, fit.y, {**paper, "D": float(start)}, fit.law.options["k"]
        )
        rows.append({"start": start, "fitted": found["D"], "b": found["b"], "r2": found["r2"]})
    return pd.DataFrame(rows)


def identification(table: pd.DataFrame, k: float = 2.0) -> pd.DataFrame:
    """How many directions of each law's parameters move each surface, one row a law.

    Columns: law, parameters, least and most (smallest and largest rank of the Jacobian
    over the surfaces) and not_identified (surfaces with a parameter that can move freely).
    The last row is the published form with its seven parameters, w5 and D' at 1 and 2.
    """
    found = validation.fit_table(families.rival_laws(), table, published.SURFACE)
    rows = []
    for name, panel in found.groupby("law", sort=False):
        rank, size = panel["rank"], int(panel["parameters"].iloc[0])
        rows.append((name, size, rank.min(), rank.max(), int((rank < size).sum())))
    ranks = []
    for fit in fitting.fit_surfaces(families.performance(k=k), table, published.SURFACE).values():
        at = {**paper_form.paper_parameters(fit.parameters, k), "w5": 1.0, "D": 2.0}
        ranks.append(identifiability.numerical_rank(paper_form.paper_jacobian(fit.points, at, k)))
    rows.append(
        (
            f"as published, seven parameters, k = {k:g}",
            7,
            min(ranks),
            max(ranks),
            sum(r < 7 for r in ranks),
        )
    )
    return pd.DataFrame(rows, columns=["law", "parameters", "least", "most", "not_identified"])
