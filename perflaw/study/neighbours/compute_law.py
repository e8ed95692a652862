"""The compute-only law: what remains of a prediction if training compute is all that it sees.

Two forms. `compute of one token` is the study's power law in floating-point operations for each
token: on one surface, tokens and epochs are the same for every size. `compute spent` puts
C = 6 · parameters · tokens, times the epochs that the run took to stop, in its place; only own
runs record epochs. Parameters are those of the layers.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from perflaw.laws import families
from perflaw.laws.families import Law
from perflaw.study import public_grids
from perflaw.study.analysis import study_runs
from perflaw.study.intervals import interval_columns
from perflaw.study.neighbours.grid_runs import METRIC
from perflaw.study.trained_cells import BASELINES, NEAREST

SPENT = "compute spent"
PER_TOKEN = "compute of one token"
SMALLEST_GRID = 12  # cells of a surface that takes part
RULES = (*BASELINES, PER_TOKEN, SPENT, "log-linear", "sum of power laws")


def load_own_cells() -> pd.DataFrame:
    """Average the study's runs on whole logs by cell, with the compute that they took.

    Returns
    -------
    pandas.DataFrame
        One row a cell of a surface with at least `SMALLEST_GRID` cells: log, backbone, split,
        n_layers, d_emb, max_seq_len, value (`METRIC`), seeds and flops (C, the geometric mean
        over seeds).
    """
    runs = study_runs.select_full_data_runs(study_runs.load_survey_runs())
    runs = runs[runs[METRIC].notna()]
    parameters = runs["parameters"] - runs["parameters embedding"]
    flops = 6 * parameters * runs["positions"] * runs["done_epochs"]
    groups = runs.assign(ln_flops=np.log(flops)).groupby(
        [*public_grids.SURFACE, "n_layers", "d_emb", "max_seq_len"]
    )
    means = groups.agg(value=(METRIC, "mean"), seeds=(METRIC, "size"), flops=("ln_flops", "mean"))
    cells = means.reset_index()
    return select_large_grids(cells.assign(flops=np.exp(cells["flops"])))


def select_large_grids(cells: pd.DataFrame) -> pd.DataFrame:
    """Select the cells of surfaces that have at least `SMALLEST_GRID` of them."""
    n_cells = cells.groupby(public_grids.SURFACE)["n_layers"].transform("size")
    return cells[n_cells >= SMALLEST_GRID].reset_index(drop=True)


def make_laws() -> dict[str, Law]:
    """Make the laws that are compared; exponents lie within ±1, as on the page of public grids."""
    laws = {
        PER_TOKEN: families.compute_power(),
        "sum of power laws": families.sum_of_powers(),
    }
    bounded = {name: families.with_bounds(law, -1, 1) for name, law in laws.items()}
    return bounded | {"log-linear": families.log_linear()}


def score_compute_laws(cells: pd.DataFrame) -> pd.DataFrame:
    """Predict hidden cells by compute alone, by laws of N and d, and by the baselines.

    Parameters
    ----------
    cells : pandas.DataFrame
        Of `load_own_cells`, or of `public_grids.make_surfaces`, which have no flops.

    Returns
    -------
    pandas.DataFrame
        As `public_grids.predict_hidden` returns it, for the largest d and the largest N. Of
        `compute spent` the epochs of the hidden cell are known, which a plan would have to guess.
    """
    laws = make_laws()
    if "flops" in cells:
        laws[SPENT] = families.log_linear(("flops",))
    return public_grids.predict_hidden(cells, laws, ("largest d", "largest N"))


def summarise(predictions: pd.DataFrame, level: float = 0.9) -> pd.DataFrame:
    """Average errors over the surfaces of a log, then over logs; one row a hidden part and rule.

    Returns
    -------
    pandas.DataFrame
        hidden, law, ape, surfaces, logs, and edge, low and high: by how much the error is below
        that of the nearest trained cell, with Student's interval over logs.
    """
    errors = predictions.groupby(["hidden", "law", *public_grids.SURFACE])["ape"].mean()
    rows = []
    for part, of_part in errors.groupby(level="hidden"):
        wide = of_part.droplevel("hidden").unstack("law")
        for law in (rule for rule in RULES if rule in wide and wide[rule].notna().any()):
            edges = (wide[NEAREST] - wide[law]).groupby(level="log").mean().dropna()
            by_log = wide[law].groupby(level="log").mean()
            n_surfaces = int(wide[law].notna().sum())
            row = {"hidden": part, "law": law, "ape": by_log.mean(), "surfaces": n_surfaces}
            rows.append(row | {"logs": len(edges)} | interval_columns(edges, level, "edge"))
    return pd.DataFrame(rows)
