"""Runs of the chapter's grids, in data/neighbours."""

from __future__ import annotations

import pandas as pd

from perflaw.models.sweeps import results
from perflaw.study.analysis import study_runs
from perflaw.study.files import study_file

METRIC = "NDCG@10"  # on test, by the ranking rule of record


def load_grid_runs(name: str) -> pd.DataFrame:
    """Load data/neighbours/NAME.csv by the ranking rule of record, `METRIC` also as value."""
    runs = results.read_runs_table(study_file("data", "neighbours", f"{name}.csv"))
    runs = study_runs.apply_ranking_rule(runs)
    return runs.assign(value=runs[METRIC])
