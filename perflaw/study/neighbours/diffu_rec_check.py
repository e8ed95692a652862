"""DiffuRec beside its authors' code, on one cell of ML-100K, and with other numbers of steps.

The authors' code was trained outside of this project on the same split with the same settings, and
ranked by the study's rule; data/README.md says how.
"""

from __future__ import annotations

import pandas as pd

from perflaw.study.analysis import study_runs
from perflaw.study.files import study_file
from perflaw.study.intervals import difference_columns
from perflaw.study.neighbours import diffu_rec, model_laws

OURS, AUTHORS = "this study", "authors' code"
LOG = "ml-100k"
RATE = 0.003


def load_check() -> pd.DataFrame:
    """Load the runs of both implementations, by the ranking rule of record.

    Returns
    -------
    pandas.DataFrame
        Columns of data/neighbours/diffu_rec.csv, and implementation: `OURS` or `AUTHORS`.
    """
    theirs = pd.read_csv(study_file("data", "neighbours", "diffu_rec_check.csv"))
    ours = _tuned_rows()
    ours = ours[(ours["learning_rate"] == RATE) & (ours["n_steps"] == diffu_rec.STEPS)]
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
    found = difference_columns(ours, theirs, level)
    return {name: 100 * value / theirs.mean() for name, value in found.items()}


def load_steps() -> pd.DataFrame:
    """Load the run of each number of diffusion steps, at the cell and rate that they share."""
    rows = _tuned_rows()
    rate = model_laws.choose_rate(rows, LOG)
    at_seed = rows["seed"] == model_laws.TUNED["seed"]
    return rows[at_seed & (rows["learning_rate"] == rate)].sort_values("n_steps")


def _tuned_rows() -> pd.DataFrame:
    """Select the rows of ML-100K at the tuned cell, of all seeds, rates and numbers of steps."""
    rows = pd.read_csv(study_file("data", "neighbours", "diffu_rec.csv"))
    size = {name: model_laws.TUNED[name] for name in ("n_layers", "d_emb")}
    is_size = (rows[list(size)] == pd.Series(size)).all(axis=1)
    return rows[is_size & (rows["log"] == LOG)]
