"""Losses of the worst users: groups, pairs of one size and seed, and ranks that are recorded."""

import itertools

import numpy as np
import pandas as pd
import pytest

from perflaw.models.sweeps import grids, results
from perflaw.study.files import study_file
from perflaw.study.neighbours import user_groups, user_losses
from perflaw.study.neighbours.grid_runs import LOGS

USERS = {"ml-100k": pd.DataFrame({"activity": [1, 2, 3, 4], "target popularity": [4, 3, 2, 1]})}
# what the worst quarter brings to each of the four users at d = 8; nothing at d = 16
BROUGHT = np.array([0.0, 0.0, 0.0, 0.4])


@pytest.fixture(scope="module")
def runs():
    rows = []
    for d, effect in ((8, BROUGHT), (16, 0 * BROUGHT)):
        for seed in range(3):
            noise = 0.01 * (seed - 1)
            positions = np.array([0.1, 0.2, 0.3, 0.4]) + 0.01 * seed
            all_users = positions + 0.1 + 2 * noise
            worst = all_users + effect * (1 + 10 * noise) + noise
            by_loss = dict(zip(user_losses.LOSSES, (positions, all_users, worst)))
            rows += [("ml-100k", d, seed, loss, gains) for loss, gains in by_loss.items()]
    return pd.DataFrame(rows, columns=["log", "d_emb", "seed", "loss", "gains"])


@pytest.fixture(scope="module")
def compared(runs):
    table = user_losses.compare_losses(user_losses.average_groups(runs, USERS))
    return table.set_index(["loss", "group", "d"])


def test_a_group_has_the_mean_of_its_users(runs):
    averages = user_losses.average_groups(runs, USERS)
    first = averages[(averages["d_emb"] == 8) & (averages["seed"] == 0)]
    values = first.set_index(["loss", "group"])["value"]
    assert values["positions", "all"] == pytest.approx(25)
    assert values["positions", "least popular targets"] == pytest.approx(40)
    assert values["positions", "most popular targets"] == pytest.approx(10)
    assert values["all users", "most active"] == pytest.approx(48)


def test_pairs_are_of_one_size_and_seed(compared):
    row = compared.loc[("worst quarter", "least popular targets", 8)]
    half = 2.919986 * 5 / np.sqrt(3)  # Student's quantile at 2 degrees of freedom; sd 5
    assert row["seeds"] == 3
    assert row["change"] == pytest.approx(40)
    assert row["after"] - row["before"] == pytest.approx(40)
    assert row["low"] == pytest.approx(40 - half)
    assert row["high"] == pytest.approx(40 + half)


def test_all_sizes_are_averaged_seed_by_seed(compared):
    row = compared.loc[("worst quarter", "least popular targets", user_losses.ALL_SIZES)]
    assert row["seeds"] == 3
    assert row["change"] == pytest.approx(20)
    assert row["low"] == pytest.approx(20 - 2.919986 * 3 / np.sqrt(3))


def test_the_control_is_compared_with_the_ordinary_loss(compared):
    assert compared.loc["all users"]["change"].to_numpy() == pytest.approx(10)
    assert set(compared.loc["all users"]["against"]) == {"positions"}


def test_every_run_of_the_grid_is_there_with_the_ranks_of_its_metric():
    table = user_losses.load_losses()
    grid = grids.read_grid("user-loss")["grid"]
    size = len(grid["d_emb"]) * len(grid["seed"])
    counts = table.groupby(["log", "loss"]).size()
    assert set(counts.index) == set(itertools.product(LOGS, user_losses.LOSSES))
    assert (counts == size).all()
    runs = results.read_runs_table(study_file("data", "neighbours", "user_loss.csv"))
    means = [gains.mean() for gains in table["gains"]]
    assert means == pytest.approx(list(runs["removed NDCG@10"]), rel=1e-3)
    n_users = {log: len(user_groups.load_users(log)) for log in LOGS}
    assert [len(gains) for gains in table["gains"]] == [n_users[log] for log in table["log"]]
