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


@pytest.mark.integration
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


@pytest.mark.integration
def test_intervals_of_few_seeds_cover_what_they_promise():
    """Five degrees of freedom: normal intervals would hold only 84 % of the steps."""
    inside = []
    for seed in range(150):
        cells = results.aggregate_seeds(drawn(0.03, 2, seed))
        cells.loc[5:, ["sd", "seeds"]] = (np.nan, 1)
        found = seed_noise.marginal_gains(cells, level=0.9)
        assert (found["dof"] == 5).all()
        step = found.query("axis == 'n_layers' and larger == 2").iloc[0]
        inside.append(step["low"] <= 0 <= step["high"])
    assert 0.82 <= np.mean(inside) <= 0.98


def test_the_effect_of_a_rule_is_found_run_by_run(swept):
    runs = swept(("sasrec",)).rename_axis("key").reset_index()
    runs["NDCG@10"] *= np.exp(0.5 * np.random.default_rng(0).normal(size=len(runs)))
    shrink = np.where(runs["d_emb"] == 64, 0.9, 1.0) * (1 + 0.001 * (-1.0) ** runs["seed"])
    older = runs.assign(**{"NDCG@10": runs["NDCG@10"] * shrink}).sample(frac=1, random_state=0)
    effects = seed_noise.ranking_rule_effects(runs, older).query("axis == 'd_emb' and log == 'a'")
    assert effects["change"].to_list() == pytest.approx([0, 0, 100 * np.log(0.9)], abs=0.01)
    assert (effects["high"] < 0).to_list() == [False, False, True]


def test_rules_are_compared_on_the_same_runs(swept):
    runs = swept(("sasrec",)).rename_axis("key").reset_index()
    with pytest.raises(InputError, match="under the other rule; give the same runs"):
        seed_noise.ranking_rule_effects(runs.iloc[1:], runs)
    with pytest.raises(InputError, match="the same under both rules in every run"):
        seed_noise.ranking_rule_effects(runs, runs)


@pytest.mark.integration
def test_few_steps_of_nothing_are_discoveries():
    random = np.random.default_rng(0)
    n_found = n_sure = 0
    for seed in range(40):
        runs = drawn(0.0, 2, seed)
        runs["NDCG@10"] = 0.1 * np.exp(0.05 * random.normal(size=len(runs)))
        gains = seed_noise.marginal_gains(results.aggregate_seeds(runs))
        counts = seed_noise.count_gains(gains).sum()
        n_found += counts["up, corrected"] + counts["down, corrected"]
        n_sure += counts["up"] + counts["down"]
        assert counts["steps"] == len(gains) == 5
    assert n_sure > n_found
    assert n_found <= 12


def test_discoveries_are_counted_by_axis_and_direction():
    counts = seed_noise.count_gains(
        seed_noise.marginal_gains(results.aggregate_seeds(drawn(0.001, 3)))
    )
    assert counts.loc["d_emb"].to_dict() == {
        "steps": 3,
        "up": 3,
        "down": 0,
        "up, corrected": 3,
        "down, corrected": 0,
    }
    assert counts.loc["n_layers", "down"] == 1
    assert counts.loc["n_layers", "down, corrected"] == 1


@pytest.mark.integration
def test_the_noise_ceiling_is_the_r2_of_the_true_law():
    random = np.random.default_rng(0)
    truth = 0.1 + 0.01 * np.arange(12)
    r2, ceilings = [], []
    for _ in range(200):
        value = truth * (1 + 0.1 * random.normal(size=12) / np.sqrt(2))
        table = pd.DataFrame({"dataset": "a", "value": value, "seeds": 2})
        around = ((value - value.mean()) ** 2).sum()
        r2.append(1 - ((value - truth) ** 2).sum() / around)
        ceilings.append(seed_noise.r2_noise_ceiling(table, pd.Series({"a": 10.0}))["a"])
    assert np.mean(ceilings) == pytest.approx(np.mean(r2), abs=0.03)
    flat = pd.DataFrame({"dataset": "a", "value": [0.1, 0.1001], "seeds": 1})
    assert seed_noise.r2_noise_ceiling(flat, pd.Series({"a": 10.0}))["a"] == 0


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
