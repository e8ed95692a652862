"""Augmented histories beside real ones: what it brings to double the training part by either.

Runs of the grid `augmentation` on two logs, in data/neighbours/augmentation.csv: the training part
of a share of the users, alone or with one added history for each. A run with an augmentation is
compared with the run without, of the same seed and the same users. What more real data bring is
read in the same way from the run without on twice the share, whose users include the others.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from perflaw.study.intervals import gain_columns
from perflaw.study.neighbours.grid_runs import METRIC, load_grid_runs

GRID = "augmentation"
NONE, MORE_USERS = "none", "twice the users"


def load_augmented_runs(metric: str = METRIC) -> pd.DataFrame:
    """Load the runs of the grid, `augmentation` being `NONE` where there is none.

    Parameters
    ----------
    metric : str
        A column of the table.

    Returns
    -------
    pandas.DataFrame
        log, share, augmentation, seed and value (of the metric).
    """
    runs = load_grid_runs(GRID, metric)
    table = runs.assign(
        share=runs["sample_users"].fillna(1.0),
        augmentation=runs["augmentation"].fillna(NONE),
    )
    keys = ["log", "share", "augmentation", "seed"]
    return table[[*keys, "value"]].sort_values(keys, ignore_index=True)


def gains_by_seed(runs: pd.DataFrame) -> pd.DataFrame:
    """Compare each run with the run without an augmentation, of the same share and seed.

    Parameters
    ----------
    runs : pandas.DataFrame
        What `load_augmented_runs` returns of one log.

    Returns
    -------
    pandas.DataFrame
        One row a share and seed, one column an augmentation and one, `MORE_USERS`, for twice the
        share: 100 × ln of the ratio of the metric to that without.
    """
    logs = 100 * np.log(runs.set_index(["share", "seed", "augmentation"])["value"])
    wide = logs.unstack("augmentation")
    none = wide[NONE]
    doubled = none.rename(index=lambda share: share / 2, level="share")
    others = wide.drop(columns=NONE).assign(**{MORE_USERS: doubled})
    gains = others.sub(none, axis="index")
    return gains.dropna(how="all").dropna(axis="columns", how="all")


def compare_augmentations(runs: pd.DataFrame, level: float = 0.9) -> pd.DataFrame:
    """Compare each augmentation, and twice the users, with none at each share.

    Parameters
    ----------
    runs : pandas.DataFrame
        What `load_augmented_runs` returns of one log.
    level : float
        Of Student's intervals, over seeds.

    Returns
    -------
    pandas.DataFrame
        One row a share and augmentation: gain, low and high (in per cent), and seeds.
    """
    rows: list[dict[str, Any]] = []
    for share, gains in gains_by_seed(runs).groupby(level="share"):
        for name, by_seed in gains.items():
            if by_seed.count() > 1:
                row = {"share": share, "augmentation": name, "seeds": by_seed.count()}
                rows.append(row | gain_columns(by_seed, level))
    return pd.DataFrame(rows)


def average_over_shares(runs: pd.DataFrame, level: float = 0.9) -> pd.DataFrame:
    """Average the gains of each augmentation over its shares, seed by seed.

    Parameters
    ----------
    runs : pandas.DataFrame
        What `load_augmented_runs` returns of one log.
    level : float
        Of Student's intervals, over seeds.

    Returns
    -------
    pandas.DataFrame
        One row an augmentation: gain, low and high (in per cent), and seeds. That of `MORE_USERS`
        is the mean of all doublings in the grid.
    """
    means = gains_by_seed(runs).groupby(level="seed").mean()
    rows = [
        {"augmentation": name, "seeds": by_seed.count()} | gain_columns(by_seed, level)
        for name, by_seed in means.items()
    ]
    return pd.DataFrame(rows)


def compare_with_more_users(runs: pd.DataFrame, level: float = 0.9) -> pd.DataFrame:
    """Compare each augmentation with twice the users, seed by seed, at the shares that have both.

    Parameters
    ----------
    runs : pandas.DataFrame
        What `load_augmented_runs` returns of one log.
    level : float
        Of Student's intervals, over seeds.

    Returns
    -------
    pandas.DataFrame
        One row an augmentation: less (how far the metric is above that of twice the users, in per
        cent, as a mean over the shares), low, high, shares and seeds.
    """
    gains = gains_by_seed(runs)
    made = gains.drop(columns=MORE_USERS)
    both = made.sub(gains[MORE_USERS], axis="index").dropna(how="all")
    n_shares = both.index.get_level_values("share").nunique()
    rows = [
        {"augmentation": name, "shares": n_shares, "seeds": by_seed.count()}
        | gain_columns(by_seed, level, "less")
        for name, by_seed in both.groupby(level="seed").mean().items()
    ]
    return pd.DataFrame(rows)
