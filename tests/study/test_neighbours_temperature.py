"""Lists drawn at a temperature: they are draws, and are compared at equal accuracy."""

import numpy as np
import pandas as pd
import pytest
import torch

from perflaw.logs.interaction_log import from_histories
from perflaw.study.neighbours import temperature


def first_items(scores, at, n_users=4000):
    """Draw the first item of many users that all have the same scores."""
    log = from_histories([[0, 1]] * n_users)
    users = np.arange(n_users)
    plain = lambda *_: lambda first, until: torch.tensor(scores).expand(n_users, -1)  # noqa: E731
    drawn = temperature.add_gumbel_noise(plain, at, seed=0)(log, users, users)
    return np.bincount(drawn(0, len(scores)).argmax(1).numpy(), minlength=len(scores)) / n_users


def test_the_first_item_is_drawn_by_its_softmax():
    shares = first_items([0.0, 1.0, 2.0], at=0.5)
    expected = np.exp([0, 2, 4]) / np.exp([0, 2, 4]).sum()
    assert shares == pytest.approx(expected, abs=0.03)


def test_a_block_is_drawn_once():
    assert (first_items([0.0, 1.0], at=1.0) == first_items([0.0, 1.0], at=1.0)).all()


def test_models_are_compared_at_equal_accuracy():
    wide = [(0.0, 0.10, 0.20), (1.0, 0.06, 0.60)]
    rows = [(64, seed, t, accuracy, coverage) for seed in (0, 1) for t, accuracy, coverage in wide]
    rows += [(8, 0, 0.0, 0.08, 0.10), (8, 1, 0.0, 0.07, 0.10), (16, 0, 0.0, 0.2, 0.1)]
    rows += [(16, 1, 0.0, 0.2, 0.1)]
    columns = ["d_emb", "seed", "temperature", temperature.METRIC, temperature.COVERAGE]
    compared = temperature.compare_at_equal_accuracy(pd.DataFrame(rows, columns=columns))
    assert compared["d_emb"].tolist() == [8]  # the other is more accurate than the widest
    row = compared.iloc[0]
    assert row["temperature"] == pytest.approx((0.5 + 0.75) / 2)
    assert row["widest"] == pytest.approx((0.40 + 0.50) / 2)
    assert row["more"] == pytest.approx(0.35)
    assert row["seeds"] == 2


def test_temperatures_are_compared_seed_by_seed():
    rows = [(8, 0, 0.0, 0.10, 0.2), (8, 0, 1.0, 0.05, 0.6), (8, 1, 0.0, 0.20, 0.2)]
    rows += [(8, 1, 1.0, 0.08, 0.4)]
    columns = ["d_emb", "seed", "temperature", temperature.METRIC, temperature.COVERAGE]
    row = temperature.compare_temperatures(pd.DataFrame(rows, columns=columns)).iloc[0]
    assert row["temperature"] == 1
    assert row["loss"] == pytest.approx((50 + 60) / 2)
    assert row["more"] == pytest.approx(0.3)


def test_coverage_is_a_share():
    table = temperature.load_temperatures()
    assert table[temperature.COVERAGE].between(0, 1).all()
