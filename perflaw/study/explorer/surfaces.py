"""The surfaces of the explorer, and the laws fitted to them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from perflaw.laws import families, fitting, identifiability, validation
from perflaw.laws.fitting import Fit
from perflaw.laws.law import Law
from perflaw.models.configuration import Config
from perflaw.study.analysis import study_runs

EXPLORER_LAWS = (
    "Performance Law, k = 2",
    "log-quadratic",
    "sum of powers",
    "log-linear",
)
"""The laws of the explorer; all are additive in N and d."""
METRICS = ("HR@10", "NDCG@10")
SURFACE = ["name", "metric"]
"""The columns that name a surface."""
COLUMN_TYPES = {
    "name": str,
    "log": str,
    "metric": str,
    "own": bool,
    **dict.fromkeys([*families.AXES, "value", "tokens", "apen"], float),
}
COLUMNS = list(COLUMN_TYPES)
APEN = "entropy apen absolute"  # the paper's recipe
LEAST_CELLS = 8
LARGEST_USER_ERROR = 0.2  # of NDCG@10, relative


def published_surfaces(points: pd.DataFrame) -> pd.DataFrame:
    """Give measured points the columns of `explorer_surfaces`; tokens and ApEn are not known.

    Parameters
    ----------
    points
        As `load_surfaces` returns them.
    """
    surfaces = zip(points["dataset"], points["max_seq_len"])
    names = [f"{dataset}, L {length}" for dataset, length in surfaces]
    table = points.assign(name=names, log=points["dataset"], own=False, tokens=np.nan, apen=np.nan)
    return table[COLUMNS].reset_index(drop=True)


def explorer_surfaces(runs: pd.DataFrame) -> pd.DataFrame:
    """Average runs over seeds, to five digits.

    A surface is runs on one unchanged training part that differ in N, d and seed alone, if they
    have eight cells or more, two values of N and d and three of one, and the standard error of
    NDCG@10 over users is at most a fifth of it. Its name is that of `study_runs.mean_surfaces`,
    with the settings in which it differs from others of that name.

    Parameters
    ----------
    runs
        As `study_runs.load_study_runs` returns them.

    Returns
    -------
    DataFrame
        One row a cell and metric of `METRICS`: name, log, metric, own, n_layers, d_emb, value,
        tokens and apen (of the training part, nats).
    """
    full = study_runs.select_full_data_runs(runs)
    settings = ("data_hash", "split", *Config.__dataclass_fields__)
    same = [name for name in settings if name in full and name not in (*families.AXES, "seed")]
    candidates = full.groupby(["log", *same], dropna=False, sort=False)
    groups = [group for _, group in candidates if _is_surface(group)]
    if not groups:
        return pd.DataFrame(columns=COLUMNS).astype(COLUMN_TYPES)
    tables = [_mean_table(group) for group in groups]
    names = [table["name"].iloc[0] for table in tables]
    named = pd.concat([group[same].assign(name=name) for group, name in zip(groups, names)])
    differs = named.groupby("name").nunique(dropna=False) > 1
    for group, table, name in zip(groups, tables, names):
        distinctions = [
            f"{families.SYMBOLS.get(setting, setting)} {group[setting].iloc[0]}"
            for setting in same
            if differs.loc[name, setting]
        ]
        table["name"] = ", ".join([name, *distinctions])
    return pd.concat(tables, ignore_index=True)[COLUMNS]


def _is_surface(runs: pd.DataFrame) -> bool:
    n_values = runs[list(families.AXES)].nunique()
    n_cells = len(runs.drop_duplicates(list(families.AXES)))
    is_grid = n_cells >= LEAST_CELLS and n_values.min() > 1 and n_values.max() > 2
    return is_grid and (runs["NDCG@10 se"] / runs["NDCG@10"]).median() < LARGEST_USER_ERROR


def _mean_table(runs: pd.DataFrame) -> pd.DataFrame:
    table = study_runs.mean_surfaces(runs, METRICS)
    return table.assign(
        log=runs["log"].iloc[0],
        own=True,
        tokens=runs["tokens"].mean(),
        apen=float(f"{runs[APEN].iloc[0]:.5g}"),
        value=[float(f"{value:.5g}") for value in table["value"]],
    ).rename(columns={"dataset": "name"})


def explorer_fits(table: pd.DataFrame) -> dict[tuple[str, str], dict[str, Fit]]:
    """Fit the laws of the explorer to every surface.

    Parameters
    ----------
    table
        As `explorer_surfaces` returns it.

    Returns
    -------
    dict
        By (name, metric) and law; those that the values of N and d determine.
    """
    fits: dict[tuple[str, str], dict[str, Fit]] = {}
    key: Any
    for key, group in table.groupby(SURFACE, sort=False):
        surface = group.reset_index(drop=True)
        for name, law in _explorer_laws().items():
            n_parameters = len(law.parameters)
            is_enough = len(surface) > n_parameters
            if is_enough and identifiability.identifiable_rank(law, surface) == n_parameters:
                fits.setdefault(key, {})[name] = fitting.fit(law, surface, surface["value"])
    return fits


def explorer_errors(table: pd.DataFrame) -> pd.DataFrame:
    """Compare the laws of the explorer on every surface: R² in sample, errors on hidden cells.

    Parameters
    ----------
    table
        As `explorer_surfaces` returns it.

    Returns
    -------
    DataFrame
        As `validation.compare_laws` returns it.
    """
    return validation.compare_laws(_explorer_laws(), table, SURFACE)


def _explorer_laws() -> dict[str, Law]:
    rivals = families.rival_laws()
    return {name: rivals[name] for name in EXPLORER_LAWS}
