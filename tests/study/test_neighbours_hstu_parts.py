"""HSTU's parts: slopes along depth, and differences from the published block, seed by seed."""

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t as student

from perflaw.models.configuration import HSTU_CHANGES
from perflaw.study.intervals import to_percent
from perflaw.study.neighbours import hstu_parts
from perflaw.study.neighbours.grid_runs import LOGS


def make_runs(slopes, depths=(1, 2, 4, 8), level=0.1):
    rows = [
        (change, n_layers, seed, level * np.exp(slope / 100 * np.log2(n_layers)))
        for change, by_seed in slopes.items()
        for seed, slope in enumerate(by_seed)
        for n_layers in depths
    ]
    return pd.DataFrame(rows, columns=["change", "n_layers", "seed", "value"])


def test_slopes_are_per_doubling_of_the_layers():
    slopes = hstu_parts.slopes_by_seed(make_runs({"none": [3.0, 5.0], "no gate": [0.0, -1.0]}))
    assert slopes["none"].tolist() == pytest.approx([3, 5])
    assert slopes["no gate"].tolist() == pytest.approx([0, -1], abs=1e-9)


def test_differences_are_of_pairs():
    table = hstu_parts.compare_parts(make_runs({"none": [3.0, 5.0], "no gate": [1.0, 1.0]}))
    row = table.set_index("change").loc["no gate"]
    assert row["slope"] == pytest.approx(to_percent(1))
    assert row["slope_more"] == pytest.approx(to_percent(-3))  # of -2 and -4
    assert row["low"] == pytest.approx(to_percent(-3 - student.ppf(0.95, 1)))
    assert row["value_more"] == pytest.approx(to_percent(-3 * 1.5))  # log2 N is 1.5 in the mean


def test_the_published_block_has_its_slope_with_an_interval():
    row = hstu_parts.compare_parts(make_runs({"none": [3.0, 5.0]})).iloc[0]
    assert row["slope"] == pytest.approx(to_percent(4))
    assert row["low"] == pytest.approx(to_percent(4 - student.ppf(0.95, 1)))


def test_the_table_has_every_part_at_every_depth():
    keys = ["log", "change", "n_layers"]
    counts = hstu_parts.load_parts_runs().groupby(keys)["seed"].nunique()
    assert set(counts.index) == set(itertools.product(LOGS, HSTU_CHANGES, (1, 2, 4, 8)))
    assert counts.eq(3).all()
