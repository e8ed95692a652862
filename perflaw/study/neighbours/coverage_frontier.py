"""Accuracy against catalogue coverage along model sizes: one for the other, or both at once.

Coverage is the share of the catalogue that appears in at least one list of ten. Cells are model
sizes of a surface. The relation is asked for in three ways: Kendall's τ over cells; single steps
in size that raise accuracy and lower coverage; and what the most accurate cell gives up of the
largest coverage.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.stats import kendalltau

from perflaw.study import public_grids
from perflaw.study.analysis import study_runs
from perflaw.study.intervals import interval_columns
from perflaw.study.neighbours.compute_law import select_large_grids
from perflaw.study.public_grids import SURFACE

COLUMNS = ("tau", "trade", "given_up")


def load_public_cells(metric: str = "NDCG@10") -> pd.DataFrame:
    """Average the public runs by cell, dropout chosen by validation, over heads.

    Parameters
    ----------
    metric : str
        The accuracy, one of `public_grids.METRICS`.

    Returns
    -------
    pandas.DataFrame
        log, backbone, split, n_layers, d_emb, accuracy (on test) and coverage.
    """
    chosen = public_grids.choose_dropout(public_grids.load_runs(metric))
    cells = chosen.groupby([*SURFACE, "n_layers", "d_emb"], as_index=False)[["test", "coverage"]]
    return cells.mean().rename(columns={"test": "accuracy"})


def load_own_cells() -> pd.DataFrame:
    """Average the study's runs on whole logs by cell, over seeds.

    Accuracy is NDCG@10 and coverage is coverage@10, by the ranking rule of record. Small surfaces
    are left out, by `compute_law.select_large_grids`.
    """
    runs = study_runs.select_full_data_runs(study_runs.load_survey_runs())
    runs = runs.rename(columns={"NDCG@10": "accuracy", "coverage@10": "coverage"})
    runs = runs.dropna(subset=["accuracy", "coverage"])
    groups = runs.groupby([*SURFACE, "n_layers", "d_emb"], as_index=False)
    return select_large_grids(groups[["accuracy", "coverage"]].mean())


def drop_smallest_d(cells: pd.DataFrame) -> pd.DataFrame:
    """Leave out the cells of the smallest d of each surface."""
    return cells[cells["d_emb"] > cells.groupby(SURFACE)["d_emb"].transform("min")]


def relate_to_coverage(cells: pd.DataFrame) -> pd.DataFrame:
    """Relate accuracy and coverage over the cells of each surface.

    Parameters
    ----------
    cells : pandas.DataFrame
        What `load_public_cells` or `load_own_cells` returns.

    Returns
    -------
    pandas.DataFrame
        One row a surface: tau; frontier, the number of cells of which no other is better in both;
        given_up, by how many per cent the coverage of the most accurate cell is below the largest;
        steps to the next larger N or d, and trade: of those that raise accuracy, the share (in per
        cent) that lower coverage.
    """
    rows = []
    for key, surface in cells.groupby(SURFACE):
        accuracy, coverage = surface["accuracy"].to_numpy(), surface["coverage"].to_numpy()
        is_behind = (accuracy[:, None] < accuracy) & (coverage[:, None] < coverage)
        rises, trades = _count_steps(surface)
        relation = {
            "cells": len(surface),
            "tau": float(kendalltau(accuracy, coverage).statistic),
            "frontier": int((~is_behind.any(axis=1)).sum()),
            "given_up": float(100 * (1 - coverage[accuracy.argmax()] / coverage.max())),
            "rises": rises,
            "trade": 100 * trades / rises if rises else np.nan,
        }
        rows.append(dict(zip(SURFACE, key)) | relation)
    return pd.DataFrame(rows)


def _count_steps(surface: pd.DataFrame) -> tuple[int, int]:
    """Count steps in size that raise accuracy, and those of them that lower coverage."""
    rises = trades = 0
    for axis, other in (("d_emb", "n_layers"), ("n_layers", "d_emb")):
        ordered = surface.sort_values([other, axis])
        changes = ordered.groupby(other)[["accuracy", "coverage"]].diff().dropna()
        is_rise = changes["accuracy"] > 0
        rises += int(is_rise.sum())
        trades += int((is_rise & (changes["coverage"] < 0)).sum())
    return rises, trades


def summarise(tables: dict[str, pd.DataFrame], level: float = 0.9) -> pd.DataFrame:
    """Average over surfaces, one row a source and measure, with Student's interval over logs.

    Parameters
    ----------
    tables : dict of DataFrame
        What `relate_to_coverage` returns, by source.
    level : float
        Of the intervals.
    """
    rows = []
    for source, table in tables.items():
        for column in COLUMNS:
            by_log = table.groupby("log")[column].mean().dropna()
            labels = {"source": source, "measure": column, "logs": len(by_log)}
            rows.append(labels | interval_columns(by_log, level))
    return pd.DataFrame(rows)
