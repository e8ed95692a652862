"""A loss of the worst users of a batch beside the mean: what each brings to groups of users.

Runs of the grid `user-loss` on two logs, in data/neighbours/user_loss.csv, with the ranks of their
test users in user_loss.npz. The setting `worst_users` averages the loss over a share of the users
of a batch. The mean over positions weighs users by their length, so the mean over all users is the
control: only the share differs from it.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import pandas as pd
from scipy.stats import false_discovery_control, ttest_1samp

from perflaw.models.sweeps import results
from perflaw.study.files import study_file
from perflaw.study.intervals import interval_columns
from perflaw.study.neighbours.grid_runs import LOGS
from perflaw.study.neighbours.user_groups import GROUPS, mark_group
from perflaw.study.user_gains import load_user_gains

POSITIONS, ALL_USERS, WORST = "positions", "all users", "worst quarter"
LOSSES = (POSITIONS, ALL_USERS, WORST)
SHARES = {1.0: ALL_USERS, 0.25: WORST}
CONTRASTS = {WORST: ALL_USERS, ALL_USERS: POSITIONS}
# of each grouping the group that gets least from the mean over positions on ML-100K (page on user
# groups), and the one that gets most by popularity; chosen before the runs
SHOWN = {
    "all": ("all", 0),
    "least popular targets": ("target popularity", 1),
    "most popular targets": ("target popularity", GROUPS),
    "most active": ("activity", GROUPS),
}
ALL_SIZES = "all"


def load_losses() -> pd.DataFrame:
    """Load what each user adds to NDCG@10 in each run of the grid.

    Returns
    -------
    pandas.DataFrame
        One row a run: log, d_emb, loss (of `LOSSES`), seed, best_epoch (the one that validation
        chose) and gains (an array over the users of the log).
    """
    path = study_file("data", "neighbours", "user_loss.csv")
    runs = results.read_runs_table(path)
    gains_by_key = load_user_gains(path.with_suffix(".npz"), runs["key"])
    gains = runs["key"].map(gains_by_key.__getitem__)
    losses = runs["worst_users"].map(SHARES).fillna(POSITIONS)
    return runs[["log", "d_emb", "seed", "best_epoch"]].assign(loss=losses, gains=gains)


def average_groups(runs: pd.DataFrame, users: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Average NDCG@10 of each run by group of users.

    Parameters
    ----------
    runs : pandas.DataFrame
        What `load_losses` returns.
    users : mapping
        What `user_groups.load_users` returns of each log.

    Returns
    -------
    pandas.DataFrame
        One row a run and group of `SHOWN`: log, group, users, d_emb, loss, seed and value, 100
        times NDCG@10.
    """
    tables = []
    for (log, users_of_log), (name, group) in itertools.product(users.items(), SHOWN.items()):
        is_member = mark_group(users_of_log, *group)
        of_log = runs[runs["log"] == log]
        table = of_log[["log", "d_emb", "loss", "seed"]].assign(group=name, users=is_member.sum())
        table["value"] = [100 * gains[is_member].mean() for gains in of_log["gains"]]
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def compare_losses(averages: pd.DataFrame, level: float = 0.9) -> pd.DataFrame:
    """Compare losses group by group, pairs being runs of one size and seed.

    Parameters
    ----------
    averages : pandas.DataFrame
        What `average_groups` returns.
    level : float
        Of Student's intervals, over seeds.

    Returns
    -------
    pandas.DataFrame
        One row a log, contrast of `CONTRASTS`, group and size, of the control only for the mean of
        sizes: log, loss, against, group, d (`ALL_SIZES`: that mean, seed by seed), before and after
        (means of seeds under either loss), change, low and high in points, seeds, and q, Benjamini
        and Hochberg's over all rows.
    """
    rows: list[dict[str, Any]] = []
    p_values = []
    pairs = averages.groupby(["log", "group", "loss", "seed"], sort=False)
    of_all = pairs["value"].mean().reset_index().assign(d=ALL_SIZES)
    by_size = averages.sort_values("d_emb", kind="stable")
    by_size = by_size.assign(d=by_size["d_emb"].astype(object))
    compared = {WORST: pd.concat([of_all, by_size]), ALL_USERS: of_all}
    for loss, against in CONTRASTS.items():
        for (log, group, d), runs in compared[loss].groupby(["log", "group", "d"], sort=False):
            wide = runs.pivot(index="seed", columns="loss", values="value")
            change = wide[loss] - wide[against]
            labels = {"log": log, "loss": loss, "against": against, "group": group, "d": d}
            means = {"before": wide[against].mean(), "after": wide[loss].mean()}
            interval = interval_columns(change, level, "change")
            rows.append(labels | means | interval | {"seeds": len(change)})
            p_values.append(ttest_1samp(change, 0).pvalue)
    table = pd.DataFrame(rows).assign(q=false_discovery_control(p_values))
    by_log = table.sort_values("log", key=lambda logs: logs.map(LOGS.index), kind="stable")
    return by_log.reset_index(drop=True)
