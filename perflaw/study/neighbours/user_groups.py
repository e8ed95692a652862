"""Groups of users along sizes: what the worst group gains beside what the mean gains.

The first half of the question that robust optimisation over groups asks; a loss of the worst users
is the second (`user_losses`). Ranks are those that sweeps under way have kept
(data/sweeps/growing); data/neighbours/user_groups.csv says how active the user of each rank is, and
how popular the target. Groups are quarters, ties together, as in `ranking_metrics.by_group`.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pandas as pd

from perflaw.logs.splits import Split
from perflaw.models.sweeps import results
from perflaw.study.analysis import study_runs
from perflaw.study.intervals import interval_columns
from perflaw.study.neighbours.grid_runs import read_table
from perflaw.study.user_gains import load_user_gains

GROUPS = 4
BY = ("activity", "target popularity")
# of each log the depth that had most seeds with kept ranks when the page was first written
DEPTHS = {"ml-100k": 4, "lastfm-s3rec": 2}


def describe_users(split: Split) -> pd.DataFrame:
    """Say of each user with a test target how active the user is, and how popular the target.

    Returns
    -------
    pandas.DataFrame
        In the order of a record's ranks: log; activity, the interactions before the test target;
        and target popularity, those of the target in the training part.
    """
    users = np.flatnonzero(split.test >= 0)
    log, targets = split.log, split.test[users]
    return pd.DataFrame(
        {
            "log": log.name,
            "activity": targets - log.offsets[users],
            "target popularity": split.train.item_counts[log.items[targets]],
        }
    )


def load_users(log: str) -> pd.DataFrame:
    """Load what scripts/neighbours.py made with `describe_users`."""
    table = read_table("user_groups")
    return table[table["log"] == log].reset_index(drop=True)


def quarters(values: pd.Series) -> np.ndarray:
    """Return the quarter of each value, from 1, the least, to 4; ties stay together."""
    edges = np.quantile(values, np.linspace(0, 1, GROUPS + 1)[1:-1])
    return np.searchsorted(edges, values, side="left") + 1


def mark_group(users: pd.DataFrame, by: str, group: int) -> np.ndarray:
    """Mark the users of a quarter by one of `BY`, or everybody where `by` is "all"."""
    if by == "all":
        return np.ones(len(users), bool)
    return quarters(users[by]) == group


def load_gains(
    log: str,
    n_layers: int | None = None,
    largest_d: float = np.inf,
    smallest_d: int = 0,
) -> pd.DataFrame:
    """Load what each user adds to NDCG@10 at the smallest and the largest d with most seeds.

    Parameters
    ----------
    log : str
    n_layers : int, optional
        By default that of `DEPTHS`.
    largest_d, smallest_d : int
        Larger and smaller dimensions are left out; by default none is.

    Returns
    -------
    pandas.DataFrame
        One row a run: d_emb, seed and gains (an array over users). Only seeds of both sizes.
    """
    path = results.sweeps_folder() / "growing" / f"{log}.csv"
    runs = study_runs.select_full_data_runs(results.read_runs_table(path), max_seq_len=50)
    runs = results.select_whole_log(runs)
    runs = runs[runs["n_layers"] == (n_layers or DEPTHS[log])]
    runs = runs[runs["d_emb"].between(smallest_d, largest_d)]
    seeds = runs.groupby("d_emb")["seed"].nunique()
    sizes = seeds[seeds == seeds.max()].index  # a size of which a sweep has begun only is left out
    at_ends = runs[runs["d_emb"].isin([sizes.min(), sizes.max()])]
    is_paired = at_ends.groupby("seed")["d_emb"].transform("nunique") == 2
    paired = at_ends[is_paired]
    gains_by_key = load_user_gains(path.with_suffix(".npz"), paired["key"])
    gains = paired["key"].map(gains_by_key.__getitem__)
    return paired[["d_emb", "seed"]].assign(gains=gains).reset_index(drop=True)


def compare_groups(gains: pd.DataFrame, users: pd.DataFrame, level: float = 0.9) -> pd.DataFrame:
    """Compare what a larger d brings to each group of users.

    Parameters
    ----------
    gains, users : pandas.DataFrame
        What `load_gains` and `load_users` return.
    level : float
        Of Student's intervals, over seeds.

    Returns
    -------
    pandas.DataFrame
        One row a grouping and group, and a first row for all: by, group, users, small and large
        (NDCG@10 in the mean of seeds), and change, low and high: large − small, seed by seed, in
        points of NDCG@10 times 100.
    """
    rows: list[dict[str, Any]] = []
    for by, group in [("all", 0), *itertools.product(BY, range(1, GROUPS + 1))]:
        is_member = mark_group(users, by, group)
        if not is_member.any():
            continue
        means = gains.assign(mean=[100 * row[is_member].mean() for row in gains["gains"]])
        wide = means.pivot(index="seed", columns="d_emb", values="mean")
        small, large = wide.columns.min(), wide.columns.max()
        labels = {"by": by, "group": group, "users": int(is_member.sum())}
        ends = {"small": wide[small].mean(), "large": wide[large].mean()}
        rows.append(labels | ends | interval_columns(wide[large] - wide[small], level, "change"))
    return pd.DataFrame(rows)
