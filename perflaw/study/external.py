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
from scipy.stats import t as student

from perflaw import stats
from perflaw.errors import InputError
from perflaw.logs.readers.tables import read_table
from perflaw.study.files import study_file

CELL = ["n_layers", "d_emb", "n_heads"]  # a configuration but for its dropout
CHOSEN = "chosen"
SURFACE = [
    "log",
    "metric",
    "regularisation",
]  # the columns that name a surface of `external_surfaces`
LENGTH = 128  # maximum sequence length of every run, in items
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
    chosen = runs[
        (runs["backbone"] == "SASRec")
        & (runs["split"] == "leave one out")
        & runs["log"].isin(USERS)
    ]
    chosen = chosen.drop(columns="split").replace({"part": {"validation": "val"}})
    values = chosen.rename(columns={"part": "split"}).melt(
        ["log", *CELL, "dropout", "split"], ["HR@10", "NDCG@10"], "metric"
    )
    order = ["metric", "split", "log", *CELL, "dropout"]
    return values.sort_values(order, ascending=[True, False, False, True, True, True, True])


def pair_splits(table: pd.DataFrame, metric: str = "") -> pd.DataFrame:
    """One row a run and metric, its values on the two splits as the columns val and test.

    metric: the one to keep; empty: all. Raises InputError if the table has no such metric.
    """
    if metric and metric not in set(table["metric"]):
        raise InputError(
            f"there is no metric '{metric}'; there are {', '.join(table['metric'].unique())}"
        )
    kept = table[table["metric"] == metric] if metric else table
    wide = kept.pivot(index=["log", "metric", *CELL, "dropout"], columns="split", values="value")
    return _in_order(wide.reset_index().rename_axis(columns=None))


def choose_by_validation(
    runs: pd.DataFrame, cell: Sequence[str] = CELL, judge: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Choose the run with the highest validation value in each cell of each log and metric.

    cell: the columns held; what is not among them is chosen: the dropout, and the heads
    too with cell = ["n_layers", "d_emb"]. judge: rows of the same runs under one other
    metric, whose validation value decides instead. Raises InputError for a column that
    is not there.
    """
    if missing := [name for name in cell if name not in runs]:
        raise InputError(
            f"the runs have no column {' and '.join(missing)}; they have {', '.join(runs.columns)}"
        )
    run = ["log", *CELL, "dropout"]
    decides = (
        runs["val"]
        if judge is None
        else runs[run].merge(judge, "left", run)["val"].set_axis(runs.index)
    )
    best = decides.groupby([runs[name] for name in ("log", "metric", *cell)], sort=False).idxmax()
    return runs.loc[best].reset_index(drop=True)


def with_regularisation(runs: pd.DataFrame) -> pd.DataFrame:
    """Every run under the regularisation "dropout x", and the chosen ones again as "chosen"."""
    fixed = runs.assign(regularisation=[f"dropout {value:g}" for value in runs["dropout"]])
    return _in_order(pd.concat([fixed, choose_by_validation(runs).assign(regularisation=CHOSEN)]))


def _in_order(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.sort_values(["log", "metric"], ascending=[False, True], ignore_index=True)


# ---------------------------------------------------------------- does bigger get worse?


def dimension_changes(treated: pd.DataFrame, low: int = 128, high: int = 256) -> pd.DataFrame:
    """Return the change of the test value from d = low to d = high, one row a cell.

    treated: what `with_regularisation` returned. Column change: 100 times the logarithm of the
    ratio, which is the change in per cent while it is small. Raises InputError if d_emb
    lacks one of the two.
    """
    there = set(treated["d_emb"])
    if missing := [d for d in (low, high) if d not in there]:
        told = ", ".join(map(str, sorted(there)))
        raise InputError(f"no run has d_emb {' or '.join(map(str, missing))}; there are {told}")
    cell = [*SURFACE, "n_layers", "n_heads"]
    small, big = (treated[treated["d_emb"] == d][[*cell, "test"]] for d in (low, high))
    pairs = small.merge(big, on=cell, suffixes=("", "_high"))
    return pairs[cell].assign(change=100 * np.log(pairs["test_high"] / pairs["test"]))


def difference_of_changes(cells: pd.DataFrame, second: str, first: str) -> pd.DataFrame:
    """`dimension_changes` under one regularisation less those under another, cell by cell."""
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
    """Mean change over the cells of each surface.

    Columns: log, metric, regularisation, change (the mean, in per cent), se (its standard
    error over the cells, which share users and, as far as is published, one seed), low
    and high (Student's interval), falls and cells (how many of how many go down).
    """
    stats.check_level(level)
    groups = cells.groupby(SURFACE, sort=False)["change"]
    table = groups.agg(change="mean", se=lambda c: c.std(ddof=1) / np.sqrt(len(c))).reset_index()
    falls = groups.agg(falls=lambda c: int((c < 0).sum()), cells="size").reset_index(drop=True)
    half = student.ppf((1 + level) / 2, falls["cells"] - 1) * table["se"]
    return table.assign(low=table["change"] - half, high=table["change"] + half).join(falls)


def hit_rate_error(hit_rate: float, users: int) -> float:
    """Return the standard error of a hit rate from sampling users, in per cent of the rate."""
    return float(100 * np.sqrt((1 - hit_rate) / (hit_rate * users)))


# ---------------------------------------------------------------- laws


def external_surfaces(treated: pd.DataFrame) -> pd.DataFrame:
    """Test values over N and d, the mean over heads: 12 cells for each of `SURFACE`."""
    cells = treated.groupby([*SURFACE, "n_layers", "d_emb"], sort=False)["test"].mean()
    return cells.rename("value").reset_index().assign(max_seq_len=LENGTH)
