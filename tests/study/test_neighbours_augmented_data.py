"""Augmented data: gains are pair by pair, and more users stand beside them."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t as student

from perflaw.models.configuration import AUGMENTATION_NAMES
from perflaw.study.neighbours import augmented_data
from perflaw.study.neighbours.augmented_data import (
    MORE_USERS,
    average_over_shares,
    compare_augmentations,
)


def make_runs(values):
    rows = [
        (share, name, seed, value)
        for (share, name), by_seed in values.items()
        for seed, value in enumerate(by_seed)
    ]
    return pd.DataFrame(rows, columns=["share", "augmentation", "seed", "value"])


def test_gains_are_of_pairs():
    runs = make_runs({(0.25, "none"): [0.1, 0.2, 0.4], (0.25, "crop"): [0.11, 0.22, 0.44]})
    row = compare_augmentations(runs, make_runs({})).iloc[0]
    assert row["augmentation"] == "crop"
    assert row["seeds"] == 3
    assert row["gain"] == pytest.approx(100 * np.log(1.1))
    assert row["high"] - row["low"] == pytest.approx(0, abs=1e-9)


def test_the_interval_is_students():
    runs = make_runs({(1.0, "none"): [0.1, 0.1], (1.0, "copy"): [0.1, 0.1 * np.exp(0.02)]})
    row = compare_augmentations(runs, make_runs({}), level=0.9).iloc[0]
    assert row["gain"] == pytest.approx(1)
    assert row["high"] - row["gain"] == pytest.approx(student.ppf(0.95, 1) * 1)


def test_more_users_are_twice_the_share():
    runs = make_runs({(0.25, "none"): [0.1, 0.12], (0.25, "copy"): [0.1, 0.12]})
    real = make_runs({(0.5, "none"): [0.2, 0.24], (1.0, "none"): [0.9, 0.9]})
    table = compare_augmentations(runs, real).set_index("augmentation")
    assert table.loc["copy", "gain"] == pytest.approx(0)
    assert table.loc[MORE_USERS, "gain"] == pytest.approx(100 * np.log(2))
    # Welch's interval of two pairs of equal spread has two degrees of freedom
    spread = 100 * np.log(1.2) / np.sqrt(2)
    half = student.ppf(0.95, 2) * np.sqrt(2 * spread**2 / 2)
    assert table.loc[MORE_USERS, "high"] == pytest.approx(100 * np.log(2) + half)


def test_a_seed_without_its_pair_is_left_out():
    runs = make_runs({(0.25, "none"): [0.1, 0.2], (0.25, "crop"): [0.1, 0.2, 0.3]})
    assert compare_augmentations(runs, make_runs({}))["seeds"].tolist() == [2]


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
    assert row["gain"] == pytest.approx(2)  # of 1 and 3
    assert row["high"] - row["gain"] == pytest.approx(student.ppf(0.95, 1) * 1)


def test_real_runs_are_those_of_the_grids_settings():
    real = augmented_data.load_real_runs()
    assert set(real["share"]) == {0.125, 0.25, 0.5, 1.0}
    assert real.groupby("share").size().tolist() == [3, 3, 3, 3]
    assert (real["augmentation"] == "none").all()
    assert real["value"].between(0.03, 0.12).all()


def test_the_table_has_every_augmentation_of_its_share():
    runs = augmented_data.load_augmented_runs()
    counts = runs.groupby(["share", "augmentation"])["seed"].nunique()
    assert set(counts.index.unique("share")) == {0.0625, 0.125, 0.25, 0.5, 1.0}
    for share in (0.0625, 0.25, 1.0):
        assert set(counts[share].index) == set(AUGMENTATION_NAMES)
    assert (counts == 3).all()
