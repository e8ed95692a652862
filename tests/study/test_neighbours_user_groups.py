"""Groups of users along sizes: quarters, pairs of seeds, and ranks that belong to their users."""

import numpy as np
import pandas as pd
import pytest

from perflaw.logs import from_histories, leave_one_out
from perflaw.models.ranking import RankedTargets
from perflaw.models.ranking_metrics import by_group
from perflaw.models.sweeps import results
from perflaw.study.neighbours import user_groups


def test_users_are_described_in_the_order_of_ranks():
    log = from_histories([list("abcd"), list("ab"), list("bacba")])
    table = user_groups.describe_users(leave_one_out(log))
    assert table["activity"].tolist() == [3, 4]
    # of the targets d and a, the training parts ab, ab and bac have none and three
    assert table["target popularity"].tolist() == [0, 3]


def test_quarters_are_those_of_by_group():
    """Of one model on one split both count the same users and give the same NDCG@10."""
    rng = np.random.default_rng(0)
    log = from_histories([rng.choice(60, rng.integers(4, 40)) for _ in range(200)])
    split = leave_one_out(log)
    users = np.flatnonzero(split.test >= 0)
    ranks = rng.integers(1, 40, len(users)).astype(float)
    empty = np.zeros((len(users), 0), int)
    ranked = RankedTargets(users, ranks, np.full(len(users), 60), np.zeros(len(users)), empty)
    theirs = by_group(ranked, split, split.test).set_index(["by", "group"])
    gains = np.where(ranks <= 10, 1 / np.log2(1 + ranks), 0)
    table = pd.DataFrame(
        [(d, seed, gains) for d in (8, 16) for seed in (0, 1)], columns=["d_emb", "seed", "gains"]
    )
    ours = user_groups.compare_groups(table, user_groups.describe_users(split))
    ours = ours.set_index(["by", "group"]).drop(index=("all", 0))
    assert ours["users"].tolist() == theirs["users"].tolist()
    assert ours["small"].to_numpy() == pytest.approx(100 * theirs["NDCG@10"].to_numpy())
    assert ours["change"].to_numpy() == pytest.approx(0)


def test_changes_are_seed_by_seed():
    users = pd.DataFrame({"activity": [1, 2, 3, 4], "target popularity": [4, 3, 2, 1]})
    gains = pd.DataFrame(
        {
            "d_emb": [8, 8, 64, 64],
            "seed": [0, 1, 1, 0],
            "gains": [
                np.array(row) for row in ([0, 0, 0, 0], [1, 1, 1, 1], [2, 1, 1, 1], [1, 0, 0, 0])
            ],
        }
    )
    table = user_groups.compare_groups(gains, users).set_index(["by", "group"])
    assert table.loc[("activity", 1), "change"] == pytest.approx(100)
    assert table.loc[("activity", 1), "high"] == pytest.approx(100)
    assert table.loc[("target popularity", 1), "change"] == pytest.approx(0)
    assert table.loc[("all", 0), "change"] == pytest.approx(25)


@pytest.mark.parametrize("log", user_groups.DEPTHS)
def test_kept_ranks_give_the_recorded_metric(log):
    gains, users = user_groups.load_gains(log), user_groups.load_users(log)
    assert {len(row) for row in gains["gains"]} == {len(users)}
    runs = results.read_runs_table(results.sweeps_folder() / "growing" / f"{log}.csv")
    runs = results.select_whole_log(runs)
    runs = runs[runs["n_layers"] == user_groups.DEPTHS[log]].set_index(["d_emb", "seed"])
    recorded = [runs.loc[(row.d_emb, row.seed), "removed NDCG@10"] for row in gains.itertuples()]
    assert [row.mean() for row in gains["gains"]] == pytest.approx(recorded, rel=1e-3)


def test_dimensions_can_be_limited():
    gains = user_groups.load_gains("ml-100k", n_layers=6, largest_d=64)
    assert set(gains["d_emb"]) == {8, 64}
    gains = user_groups.load_gains("ml-100k", smallest_d=16)
    assert set(gains["d_emb"]) == {16, 64}
