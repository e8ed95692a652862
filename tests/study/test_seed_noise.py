"""Noise between seeds and steps, recovered where they are known."""

import numpy as np
import pandas as pd
import pytest

from perflaw.errors import InputError
from perflaw.models.sweeps import results
from perflaw.study.analysis import (
    seed_noise,
)


def drawn(sigma, n_seeds=40, seed=0):
    """Runs of a surface that is known, with noise of that relative size."""
    random, rows = np.random.default_rng(seed), []
    for n in (1, 2, 4):
        for d in (8, 16, 32, 64):
            for s in range(n_seeds):
                truth = 0.1 * (1 + 0.1 * np.log2(d / 8)) * (0.9 if n == 4 else 1.0)
                rows.append(
                    {
                        "log": "drawn",
                        "n_layers": n,
                        "d_emb": d,
                        "seed": s,
                        "NDCG@10": truth * np.exp(sigma * random.normal()),
                    }
                )
    return pd.DataFrame(rows)


def test_noise_is_recovered():
    assert seed_noise.seed_sd_by_log(results.aggregate_seeds(drawn(0.05)))[
        "drawn"
    ] == pytest.approx(5, rel=0.06)


def test_steps_are_recovered_and_their_errors_are_right():
    truth = {
        ("n_layers", 2): 0,
        ("n_layers", 4): 100 * np.log(0.9),
        ("d_emb", 16): 100 * np.log(1.1),
        ("d_emb", 32): 100 * np.log(1.2 / 1.1),
        ("d_emb", 64): 100 * np.log(1.3 / 1.2),
    }
    off = []
    for seed in range(60):
        found = seed_noise.marginal_gains(results.aggregate_seeds(drawn(0.03, 3, seed)), level=0.9)
        known = np.array(
            [truth[axis, larger] for axis, larger in zip(found["axis"], found["larger"])]
        )
        off += list((found["change"] - known) / found["se"])
        assert (found.loc[found["axis"] == "n_layers", "pairs"] == 4).all()
        assert (found.loc[found["axis"] == "d_emb", "pairs"] == 3).all()
    assert np.std(off) == pytest.approx(1, abs=0.15)
    assert abs(np.mean(off)) < 0.2


def test_cells_without_both_ends_are_left_out():
    runs = drawn(0.02, 2)
    runs = runs[~((runs["n_layers"] == 4) & (runs["d_emb"] > 8))]
    found = seed_noise.marginal_gains(results.aggregate_seeds(runs))
    assert found.query("axis == 'n_layers' and larger == 4")["pairs"].item() == 1


def test_without_seeds_there_is_no_noise():
    with pytest.raises(InputError, match="no cell of drawn was run with two seeds"):
        seed_noise.marginal_gains(results.aggregate_seeds(drawn(0.02, 1)))


def test_a_level_must_be_one():
    with pytest.raises(InputError, match="level"):
        seed_noise.marginal_gains(results.aggregate_seeds(drawn(0.02, 2)), level=90)


def test_means_over_surfaces_have_intervals_that_cover():
    random, inside = np.random.default_rng(0), []
    for seed in range(100):
        values = pd.DataFrame(
            {
                "law": "x",
                "dataset": np.repeat(np.arange(20), 5),
                "ape": np.repeat(random.normal(5, 1, 20), 5),
            }
        )
        found = seed_noise.bootstrap_means(values, "law", "ape", seed=seed, draws=500).iloc[0]
        inside.append(found["low"] <= 5 <= found["high"])
        assert found["low"] < found["mean"] < found["high"]
        assert found["mean"] == pytest.approx(values["ape"].mean())
    assert 0.8 <= np.mean(inside) <= 0.97
