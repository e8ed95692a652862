"""DiffuRec beside its authors' code, on one cell of ML-100K, and with other numbers of steps.

The authors' code was trained outside of this project on the same split with the same settings, and
ranked by the study's rule; data/README.md says how.
"""

from __future__ import annotations

import pandas as pd

from perflaw.study.analysis import study_runs
from perflaw.study.intervals import difference_columns
from perflaw.study.neighbours import model_grids
from perflaw.study.neighbours.grid_runs import read_table

OURS, AUTHORS = "this study", "authors' code"
SETTINGS = ["log", "n_layers", "d_emb", "learning_rate", "n_steps"]  # that both have


def load_check() -> pd.DataFrame:
    """Load the runs of both implementations, by the ranking rule of record.

    Returns
    -------
    pandas.DataFrame
        Columns of data/neighbours/diffu_rec.csv, and implementation: `OURS` or `AUTHORS`.
    """
    theirs = read_table("diffu_rec_check")
    ours = read_table("diffu_rec").merge(theirs[SETTINGS].drop_duplicates())
    both = pd.concat([ours.assign(implementation=OURS), theirs.assign(implementation=AUTHORS)])
    return study_runs.apply_ranking_rule(both.reset_index(drop=True))


def compare_implementations(
    rows: pd.DataFrame, metric: str = "NDCG@10", level: float = 0.9
) -> dict[str, float]:
    """Estimate how far ours is above the authors' code.

    Parameters
    ----------
    rows : pandas.DataFrame
        What `load_check` returns.
    metric : str
    level : float
        Of Student's interval, the variance between seeds being that of both.

    Returns
    -------
    dict
        difference, low and high, in per cent of the authors' mean.
    """
    ours, theirs = (rows.loc[rows["implementation"] == name, metric] for name in (OURS, AUTHORS))
    difference = difference_columns(ours, theirs, level)
    return {name: 100 * value / theirs.mean() for name, value in difference.items()}


def load_steps() -> pd.DataFrame:
    """Load the run of each number of diffusion steps, where all else is as in the tuning."""
    rows = read_table("diffu_rec")
    cell = model_grids.read_grid("DiffuRec").cell
    log = read_table("diffu_rec_check")["log"].iloc[0]
    rate = model_grids.choose_rate(rows, log, cell)
    run = pd.DataFrame([cell | {"log": log, "learning_rate": rate}])
    return rows.merge(run.drop(columns="n_steps")).sort_values("n_steps")
