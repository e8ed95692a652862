"""Augmented data: gains are pair by pair, and more users stand beside them."""

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t as student

from perflaw.models.configuration import AUGMENTATION_NAMES
from perflaw.study.intervals import to_percent
from perflaw.study.neighbours import augmented_data
from perflaw.study.neighbours.augmented_data import (
    MORE_USERS,
    NONE,
    average_over_shares,
    compare_augmentations,
)
from perflaw.study.neighbours.grid_runs import LOGS


def make_runs(values):
    rows = [
        (share, name, seed, value)
        for (share, name), by_seed in values.items()
        for seed, value in enumerate(by_seed)
    ]
    return pd.DataFrame(rows, columns=["share", "augmentation", "seed", "value"])


def test_gains_are_of_pairs():
    runs = make_runs({(0.25, "none"): [0.1, 0.2, 0.4], (0.25, "crop"): [0.11, 0.22, 0.44]})
    row = compare_augmentations(runs).iloc[0]
    assert row["augmentation"] == "crop"
    assert row["seeds"] == 3
    assert row["gain"] == pytest.approx(10)
    assert row["high"] - row["low"] == pytest.approx(0, abs=1e-9)


def test_the_interval_is_students():
    runs = make_runs({(1.0, "none"): [0.1, 0.1], (1.0, "copy"): [0.1, 0.1 * np.exp(0.02)]})
    row = compare_augmentations(runs, level=0.9).iloc[0]
    assert row["gain"] == pytest.approx(to_percent(1))
    assert row["high"] == pytest.approx(to_percent(1 + student.ppf(0.95, 1)))


def test_more_users_are_twice_the_share():
    runs = make_runs(
        {
            (0.25, "none"): [0.1, 0.1],
            (0.25, "copy"): [0.1, 0.1],
            (0.5, "none"): [0.2, 0.2 * np.exp(0.02)],
        }
    )
    table = compare_augmentations(runs).set_index("augmentation")
    assert table.loc["copy", "gain"] == pytest.approx(0)
    assert table.loc[MORE_USERS, "gain"] == pytest.approx(to_percent(100 * np.log(2) + 1))
    high = 100 * np.log(2) + 1 + student.ppf(0.95, 1)
    assert table.loc[MORE_USERS, "high"] == pytest.approx(to_percent(high))


def test_a_seed_without_its_pair_is_left_out():
    runs = make_runs({(0.25, "none"): [0.1, 0.2], (0.25, "crop"): [0.1, 0.2, 0.3]})
    assert compare_augmentations(runs)["seeds"].tolist() == [2]


def test_shares_are_averaged_seed_by_seed():
    runs = make_runs(
        {
            (0.25, "none"): [0.1, 0.1],
            (0.25, "crop"): [0.1 * np.exp(0.02), 0.1 * np.exp(0.04)],
            (1.0, "none"): [0.3, 0.3],
            (1.0, "crop"): [0.3, 0.3 * np.exp(0.02)],
        }
    )
    row = average_over_shares(runs, level=0.9).iloc[0]
    assert row["seeds"] == 2
    assert row["gain"] == pytest.approx(to_percent(2))  # of 1 and 3
    assert row["high"] == pytest.approx(to_percent(2 + student.ppf(0.95, 1)))


def test_more_users_are_compared_where_a_share_has_both():
    runs = make_runs(
        {
            (0.25, "none"): [0.1, 0.1],
            (0.25, "crop"): [0.1, 0.1],
            (0.5, "none"): [0.1 * np.exp(0.02), 0.1 * np.exp(0.04)],
            (1.0, "none"): [0.3, 0.3],
            (1.0, "crop"): [0.9, 0.9],
        }
    )
    row = augmented_data.compare_with_more_users(runs, level=0.9).iloc[0]
    assert row["less"] == pytest.approx(to_percent(-3))  # of -2 and -4
    assert row["high"] == pytest.approx(to_percent(-3 + student.ppf(0.95, 1)))
    assert row["shares"] == 1


def test_the_table_has_every_augmentation_of_its_share():
    runs = augmented_data.load_augmented_runs()
    counts = runs.groupby(["log", "share", "augmentation"])["seed"].nunique()
    shares, augmented = (0.0625, 0.125, 0.25, 0.5, 1.0), (0.0625, 0.25, 1.0)
    cells = {(share, NONE) for share in shares}
    cells |= set(itertools.product(augmented, AUGMENTATION_NAMES))
    assert set(counts.index) == {(log, *cell) for log in LOGS for cell in cells}
    assert (counts == 3).all()
