"""A sweep by others: SASRec over layers, dimensions, heads and dropout, on two logs.

Does fixed regularisation explain why bigger models get worse? The published grid answers,
because it was measured at three dropouts and on two splits: hold the dropout at each value,
or let validation choose it for each configuration, and compare on the test split. Nothing
here chooses by looking at test.

Source: the results in the repository monkey0head/time-to-split, of Gusak et al. (2025),
"Time to Split: Exploring Data Splitting Strategies for Offline Evaluation of Sequential
Recommenders", arXiv 2507.16289. data/README.md gives columns and provenance.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from perflaw.errors import InputError
from perflaw.logs.readers.tables import read_table
from perflaw.stats import check_level, student_quantile
from perflaw.study.files import study_file
from perflaw.study.public_grids import CELL, LENGTH

CHOSEN = "chosen"
SURFACE = ["log", "metric", "regularisation"]  # columns that name a surface
USERS = {"MovieLens-1M": 6040, "Amazon-Beauty": 22363}  # each with one test item


# ---------------------------------------------------------------- the runs


def load_grids() -> pd.DataFrame:
    """Load the two SASRec grids under leave-one-out, one row a measured value.

    Returns
    -------
    pandas.DataFrame
        Columns log (MovieLens-1M or Amazon-Beauty), n_layers, d_emb, n_heads, dropout (a share),
        split (val or test), metric (HR@10 or NDCG@10, full ranking, as a fraction of one) and
        value.
    """
    runs = read_table(study_file("data", "external", "time_to_split.csv"))
    is_wanted = (
        (runs["backbone"] == "SASRec")
        & (runs["split"] == "leave one out")
        & runs["log"].isin(USERS)
    )
    wanted = runs[is_wanted].assign(split=runs["part"].replace("validation", "val"))
    values = wanted.melt(["log", *CELL, "dropout", "split"], ["HR@10", "NDCG@10"], "metric")
    order = ["metric", "split", "log", *CELL, "dropout"]
    return values.sort_values(order, ascending=[True, False, False, True, True, True, True])


def pair_splits(table: pd.DataFrame, metric: str = "") -> pd.DataFrame:
    """Put the values of a run on the two splits into one row.

    Parameters
    ----------
    table
        What `load_grids` returns.
    metric
        The one to keep; empty: all.

    Returns
    -------
    pandas.DataFrame
        One row a run and metric, with the columns val and test.

    Raises
    ------
    InputError
        If the table has no such metric.
    """
    if metric:
        if metric not in set(table["metric"]):
            raise InputError(
                f"there is no metric '{metric}'; there are {', '.join(table['metric'].unique())}"
            )
        table = table[table["metric"] == metric]
    wide = table.pivot(index=["log", "metric", *CELL, "dropout"], columns="split", values="value")
    return _in_order(wide.reset_index().rename_axis(columns=None))


def choose_by_validation(
    runs: pd.DataFrame, cell: Sequence[str] = CELL, judge: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Choose the run with the highest validation value in each cell of each log and metric.

    Parameters
    ----------
    runs
        What `pair_splits` returns.
    cell
        The sizes that are held. Those not among them are chosen: the dropout, and the heads too
        with ["n_layers", "d_emb"].
    judge
        The same runs under one metric, whose validation value decides; by default that of each
        metric itself.

    Returns
    -------
    pandas.DataFrame
        The chosen rows.

    Raises
    ------
    InputError
        For a column that is not there.
    """
    if missing := [name for name in cell if name not in runs]:
        raise InputError(
            f"the runs have no column {' and '.join(missing)}; they have {', '.join(runs.columns)}"
        )
    deciding = runs["val"]
    if judge is not None:
        run = ["log", *CELL, "dropout"]
        deciding = runs[run].merge(judge, "left", run)["val"].set_axis(runs.index)
    best = deciding.groupby([runs[name] for name in ("log", "metric", *cell)], sort=False).idxmax()
    return runs.loc[best].reset_index(drop=True)


def with_regularisation(runs: pd.DataFrame) -> pd.DataFrame:
    """Put every run under the regularisation "dropout x", and the chosen ones again as "chosen"."""
    fixed = runs.assign(regularisation=[f"dropout {value:g}" for value in runs["dropout"]])
    return _in_order(pd.concat([fixed, choose_by_validation(runs).assign(regularisation=CHOSEN)]))


def _in_order(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.sort_values(["log", "metric"], ascending=[False, True], ignore_index=True)


# ---------------------------------------------------------------- does bigger get worse?


def dimension_changes(treated: pd.DataFrame, low: int = 128, high: int = 256) -> pd.DataFrame:
    """Compare the test value at d = low with that at d = high, one row a cell.

    Parameters
    ----------
    treated
        What `with_regularisation` returns.
    low, high
        The two dimensions.

    Returns
    -------
    pandas.DataFrame
        With the column change: 100 × ln of the ratio, the change in per cent while it is small.

    Raises
    ------
    InputError
        If no run has one of the two dimensions.
    """
    dimensions = sorted(set(treated["d_emb"]))
    if missing := [d for d in (low, high) if d not in dimensions]:
        raise InputError(
            f"no run has d_emb {' or '.join(map(str, missing))}; there are "
            f"{', '.join(map(str, dimensions))}"
        )
    cell = [*SURFACE, "n_layers", "n_heads"]
    small, big = (treated[treated["d_emb"] == d][[*cell, "test"]] for d in (low, high))
    pairs = small.merge(big, on=cell, suffixes=("", "_high"))
    return pairs[cell].assign(change=100 * np.log(pairs["test_high"] / pairs["test"]))


def difference_of_changes(cells: pd.DataFrame, second: str, first: str) -> pd.DataFrame:
    """Subtract `dimension_changes` under one regularisation from those under another, by cell."""
    left, right = (
        cells[cells["regularisation"] == name].drop(columns="regularisation")
        for name in (second, first)
    )
    pairs = left.merge(right, on=["log", "metric", "n_layers", "n_heads"])
    difference = pairs.assign(
        change=pairs["change_x"] - pairs["change_y"], regularisation=f"{second} less {first}"
    )
    return difference.drop(columns=["change_x", "change_y"])


def mean_changes(cells: pd.DataFrame, level: float = 0.9) -> pd.DataFrame:
    """Average the changes of the cells of each surface.

    Parameters
    ----------
    cells
        What `dimension_changes` or `difference_of_changes` returns.
    level
        Of Student's intervals.

    Returns
    -------
    pandas.DataFrame
        Columns log, metric, regularisation, change (the mean, in per cent), se (its standard error
        over the cells, which share users and, as far as is published, one seed), low and high (the
        interval), falls and cells (how many of how many go down).
    """
    check_level(level)
    groups = cells.groupby(SURFACE, sort=False)["change"]
    table = groups.agg(
        change="mean",
        se=lambda changes: changes.std(ddof=1) / np.sqrt(len(changes)),
        falls=lambda changes: int((changes < 0).sum()),
        cells="size",
    ).reset_index()
    half = student_quantile(level, table["cells"] - 1) * table["se"]
    table = table.assign(low=table["change"] - half, high=table["change"] + half)
    return table[[*SURFACE, "change", "se", "low", "high", "falls", "cells"]]


def hit_rate_error(hit_rate: float, users: int) -> float:
    """Return the standard error of a hit rate from sampling users, in per cent of the rate."""
    return float(100 * np.sqrt((1 - hit_rate) / (hit_rate * users)))


# ---------------------------------------------------------------- laws


def external_surfaces(treated: pd.DataFrame) -> pd.DataFrame:
    """Average the test values over heads: one row a surface, N and d, with the column value."""
    cells = treated.groupby([*SURFACE, "n_layers", "d_emb"], sort=False)["test"].mean()
    return cells.rename("value").reset_index().assign(max_seq_len=LENGTH)
