"""Runs of the chapter's grids on two logs, in data/neighbours."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from perflaw.models.sweeps import results
from perflaw.study.analysis import study_runs
from perflaw.study.files import study_file

LOGS = ("ml-100k", "lastfm-s3rec")
METRIC = "NDCG@10"  # on test, by the ranking rule of record


def read_table(name: str) -> pd.DataFrame:
    """Read data/neighbours/NAME.csv."""
    return pd.read_csv(study_file("data", "neighbours", f"{name}.csv"))


def load_grid_runs(name: str, metric: str = METRIC) -> pd.DataFrame:
    """Load data/neighbours/NAME.csv by the ranking rule of record, the metric also as value."""
    runs = results.read_runs_table(study_file("data", "neighbours", f"{name}.csv"))
    runs = study_runs.apply_ranking_rule(runs)
    return runs.assign(value=runs[metric])


def compare_by_log(
    compare: Callable[[pd.DataFrame, float], pd.DataFrame], runs: pd.DataFrame, level: float = 0.9
) -> pd.DataFrame:
    """Compare the runs of each log apart.

    Parameters
    ----------
    compare : callable
        Of the runs of one log and the level of its intervals, such as `hstu_parts.compare_parts`.
    runs : pandas.DataFrame
        With the column log, as the loaders of the chapter's grids return them.
    level : float
        Of the intervals.

    Returns
    -------
    pandas.DataFrame
        The tables of `LOGS` one under the other; the first column is log.
    """
    tables = {log: compare(runs[runs["log"] == log], level) for log in LOGS}
    return pd.concat(tables, names=["log"]).reset_index("log").reset_index(drop=True)
