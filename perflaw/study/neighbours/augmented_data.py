"""Augmented histories beside real ones: what it brings to double the training part by either.

Runs on ML-100K of the grid `augmentation`, in data/neighbours/augmentation.csv: the training part
of a share of the users, alone or with one added history for each. A run with an augmentation is
compared with the run without, of the same seed and the same users. What more real data bring is
read from the study's sweeps: the same model on twice the share.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import ttest_ind

from perflaw.models.sweeps import grids, results
from perflaw.study.analysis import study_runs
from perflaw.study.intervals import interval_columns
from perflaw.study.neighbours.grid_runs import METRIC, load_grid_runs

GRID = "augmentation"
MORE_USERS = "twice the users"


def load_augmented_runs() -> pd.DataFrame:
    """Load the runs of the grid, `augmentation` being "none" where there is none.

    Returns
    -------
    pandas.DataFrame
        share, augmentation, seed, value (`METRIC`) and validation (NDCG@10 there).
    """
    return _select_columns(load_grid_runs("augmentation"))


def load_real_runs() -> pd.DataFrame:
    """Load the study's runs with the grid's settings on a share of the users, or all.

    Returns
    -------
    pandas.DataFrame
        As `load_augmented_runs` returns them. Their seed is that of the users, if these are drawn.
    """
    settings = grids.read_grid(GRID)["settings"] | {"log": "ml-100k", "shared_layers": False}
    runs = results.filter_runs(study_runs.load_study_runs(), settings | {"backbone": "sasrec"})
    others = [name for name in grids.PERTURBATIONS if name != "sample_users"]
    runs = runs[runs[others].isna().all(axis=1) & (runs["split"] == "leave one out")]
    drawn = runs["sample_users"].notna()
    return _select_columns(runs.assign(seed=runs["data_seed"].where(drawn, runs["seed"])))


def _select_columns(runs: pd.DataFrame) -> pd.DataFrame:
    augmentation = runs["augmentation"] if "augmentation" in runs else pd.Series(None, runs.index)
    table = pd.DataFrame(
        {
            "share": runs["sample_users"].fillna(1.0),
            "augmentation": augmentation.astype(object).where(augmentation.notna(), "none"),
            "seed": runs["seed"].astype(int),
            "value": runs[METRIC],
            "validation": runs["validation NDCG@10"],
        }
    )
    return table.sort_values(["share", "augmentation", "seed"], ignore_index=True)


def gains_by_seed(augmented: pd.DataFrame) -> pd.DataFrame:
    """Compare each run with an augmentation with the run without, of the same share and seed.

    Parameters
    ----------
    augmented : pandas.DataFrame
        What `load_augmented_runs` returns.

    Returns
    -------
    pandas.DataFrame
        One row a share and seed, one column an augmentation: 100 × ln of the ratio of the metric
        to that without.
    """
    logs = 100 * np.log(augmented.set_index(["share", "seed", "augmentation"])["value"])
    wide = logs.unstack("augmentation")
    return wide.drop(columns="none").sub(wide["none"], axis="index").dropna(how="all")


def compare_augmentations(
    augmented: pd.DataFrame, real: pd.DataFrame, level: float = 0.9
) -> pd.DataFrame:
    """Compare each augmentation with none, and twice the users with the users, at each share.

    Parameters
    ----------
    augmented, real : pandas.DataFrame
        What `load_augmented_runs` and `load_real_runs` return.
    level : float
        Of Student's intervals, over seeds.

    Returns
    -------
    pandas.DataFrame
        One row a share and augmentation: gain, low and high of `gains_by_seed`, and seeds. The
        row `MORE_USERS` has the mean of the runs on twice the share instead; its interval is that
        of two samples (Welch's).
    """
    rows: list[dict[str, Any]] = []
    for share, gains in gains_by_seed(augmented).groupby(level="share"):
        for name, by_seed in gains.items():
            if by_seed.count() > 1:
                row = {"share": share, "augmentation": name, "seeds": by_seed.count()}
                rows.append(row | interval_columns(by_seed, level, "gain"))
        doubled, single = (
            100 * np.log(runs.loc[is_of_share & (runs["augmentation"] == "none"), "value"])
            for runs, is_of_share in (
                (real, real["share"] == 2 * share),
                (augmented, augmented["share"] == share),
            )
        )
        if len(doubled) > 1:
            row = {"share": share, "augmentation": MORE_USERS, "seeds": len(doubled)}
            rows.append(row | _welch_interval(doubled, single, level))
    return pd.DataFrame(rows)


def average_over_shares(augmented: pd.DataFrame, level: float = 0.9) -> pd.DataFrame:
    """Average the gains of each augmentation over the shares, seed by seed.

    Parameters
    ----------
    augmented : pandas.DataFrame
        What `load_augmented_runs` returns.
    level : float
        Of Student's intervals, over seeds.

    Returns
    -------
    pandas.DataFrame
        One row an augmentation: gain, low, high and seeds.
    """
    means = gains_by_seed(augmented).groupby(level="seed").mean()
    rows = [
        {"augmentation": name, "seeds": by_seed.count()} | interval_columns(by_seed, level, "gain")
        for name, by_seed in means.items()
    ]
    return pd.DataFrame(rows)


def _welch_interval(first: pd.Series, second: pd.Series, level: float) -> dict[str, float]:
    """Return the difference of two means, with Welch's interval."""
    test = ttest_ind(first, second, equal_var=False)
    interval = test.confidence_interval(level)
    gain = float(first.mean() - second.mean())
    return {"gain": gain, "low": float(interval.low), "high": float(interval.high)}
