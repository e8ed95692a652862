"""Sizes compared by their best recipe."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from perflaw.study.analysis import tuned_sizes
from perflaw.study.files import study_file
from perflaw.study.user_gains import load_user_gains

SIZES = [(1, 16), (1, 32), (1, 64), (1, 128)]
USERS = 400


def make_runs(values, validation, recipes=(1, 2), seeds=(0,)):
    """Make runs of one layer: values and validation by (d, recipe, seed)."""
    return pd.DataFrame(
        [
            {"key": f"{d} {recipe} {seed}", "n_layers": 1, "d_emb": d, "seed": seed}
            | {"recipe": recipe, "learning_rate": recipe / 1000, "dropout": 0.1, "weight_decay": 0}
            | {"NDCG@10": values(d, recipe, seed), "validation NDCG@10": validation(d, recipe)}
            for d in (16, 32, 64, 128)
            for recipe in recipes
            for seed in seeds
        ]
    )


def make_gains(means, noise=0.0, seed=0):
    """Make gains of users: a part that all sizes share, and the mean of each size and seed."""
    random = np.random.default_rng(seed)
    shared = random.uniform(0.5, 1.5, size=USERS)
    shared /= shared.mean()
    by_size = [
        np.stack([mean * np.exp(noise * random.normal()) * shared for _ in range(2)])
        for mean in means
    ]
    return pd.Series(by_size, pd.MultiIndex.from_tuples(SIZES, names=["n_layers", "d_emb"]))


def changes_of(highs, lows):
    """Make a table of changes: three steps, from end to end, and from 32 to the largest."""
    pairs = [(16, 32), (32, 64), (64, 128), (16, 128), (32, 128)]
    rows = [
        {"n_layers": 1, "from": small, "to": large, "low": low, "high": high}
        for (small, large), low, high in zip(pairs, lows, highs)
    ]
    return pd.DataFrame(rows)


def test_the_recipe_is_chosen_by_validation_and_measured_with_other_seeds():
    runs = make_runs(
        values=lambda d, recipe, seed: d / 1000 + recipe / 100 + seed / 10,
        validation=lambda d, recipe: recipe if d < 64 else -recipe,
        seeds=(0, 1, 2),
    )
    chosen = tuned_sizes.choose_by_validation(runs)
    assert chosen["recipe"].tolist() == [2, 2, 1, 1]
    assert chosen["chosen"].tolist() == pytest.approx([0.036, 0.052, 0.074, 0.138])
    assert chosen["value"].tolist() == pytest.approx([0.186, 0.202, 0.224, 0.288])
    assert chosen["seeds"].tolist() == [2, 2, 2, 2]


def test_a_size_without_new_seeds_has_no_value():
    runs = make_runs(lambda d, recipe, seed: d, lambda d, recipe: recipe)
    chosen = tuned_sizes.choose_by_validation(runs)
    assert chosen["seeds"].tolist() == [0, 0, 0, 0]
    assert chosen["value"].isna().all()


def test_users_that_all_sizes_share_leave_no_doubt():
    observed, drawn, _ = tuned_sizes.draw_values(make_gains([0.1, 0.2, 0.2, 0.1]), draws=50)
    changes = tuned_sizes.compare_dimensions(observed, drawn).set_index(["from", "to"])
    assert changes.loc[(16, 32), ["change", "low", "high"]].tolist() == pytest.approx([100] * 3)
    assert changes.loc[(32, 128), ["change", "low", "high"]].tolist() == pytest.approx([-50] * 3)
    assert list(changes.index) == [(16, 32), (32, 64), (64, 128), (16, 128), (32, 128)]


@pytest.mark.integration
def test_intervals_of_equal_sizes_hold_zero_as_recorded():
    recorded = pd.read_csv(study_file("data", "recipe_intervals.csv"), index_col="interval")
    again = tuned_sizes.simulate_coverage(60)
    inside = again["inside"] / again["simulations"]
    expected = recorded["inside"] / recorded["simulations"]
    noise = np.sqrt(expected * (1 - expected) / 60)
    assert ((inside - expected).abs() < 3 * noise).all()
    assert inside["declared"] < inside["wider"]


@pytest.mark.parametrize(
    ("lows", "highs", "verdict"),
    [
        ([1, -1, -1, 2, -2], [3, 2, 2, 9, 3], tuned_sizes.MONOTONE),
        ([1, -1, -1, -1, -2], [3, 2, 2, 9, 3], tuned_sizes.UNDECIDED),
        ([1, -1, -9, 2, -2], [3, 2, -1, 9, 3], tuned_sizes.UNDECIDED),
        ([1, -5, -9, 2, -9], [3, 2, -1, 9, -1], tuned_sizes.FALLS),
    ],
)
def test_verdicts_are_those_declared(lows, highs, verdict):
    assert tuned_sizes.judge_depths(changes_of(highs, lows)).to_dict() == {1: verdict}


@pytest.mark.parametrize(
    ("changes", "dropouts", "as_predicted"),
    [
        ([5, 0, 4, 20, 9], [0.1, 0.1, 0.2, 0.3], [True] * 4),
        ([5, 6, -2, 20, 9], [0.1, 0.2, 0.1, 0.3], [True, True, True, False]),
        ([5, 6.1, -2.1, 20, 9], [0.2] * 4, [True, False, False, False]),
    ],
)
def test_predictions_hold_within_the_declared_limits(changes, dropouts, as_predicted):
    table = changes_of(changes, changes).assign(change=changes)
    chosen = pd.DataFrame(SIZES, columns=["n_layers", "d_emb"]).assign(dropout=dropouts)
    verdicts = pd.Series({1: tuned_sizes.MONOTONE})
    judged = tuned_sizes.judge_predictions(chosen, table, verdicts)
    assert judged["as_predicted"].tolist() == as_predicted
    assert judged["observed"].iloc[1] == f"{changes[1]:+.1f} %"


def test_a_verdict_other_than_predicted_does_not_hold():
    table = changes_of([0] * 5, [0] * 5).assign(change=0.0)
    chosen = pd.DataFrame(SIZES, columns=["n_layers", "d_emb"]).assign(dropout=0.2)
    judged = tuned_sizes.judge_predictions(chosen, table, pd.Series({1: tuned_sizes.FALLS}))
    assert judged.loc[0, ["observed", "as_predicted"]].tolist() == [tuned_sizes.FALLS, False]


def test_held_recipes_have_a_row_each():
    runs = make_runs(lambda d, recipe, seed: 1 / d if recipe == 1 else d, lambda d, recipe: 0)
    held = tuned_sizes.hold_recipes(runs)
    assert held["recipe"].tolist() == [1, 2]
    assert held["change"].tolist() == pytest.approx([-75, 300])


def test_new_seeds_are_of_the_chosen_recipes_alone():
    runs = make_runs(lambda d, recipe, seed: d, lambda d, recipe: recipe, seeds=(0, 1, 2))
    again = tuned_sizes.select_new_seeds(runs, tuned_sizes.choose_by_validation(runs))
    assert set(again["recipe"]) == {2}
    assert set(again["seed"]) == {1, 2}
    assert len(again) == 8


def test_gains_are_by_the_rule_of_record(tmp_path):
    path = tmp_path / "log.npz"
    arrays = {"a test": [2, 40], "a test, history removed": [4, 40], "b test": [2, 2]}
    np.savez_compressed(path, **{name: np.array(ranks) for name, ranks in arrays.items()})
    gains = load_user_gains(path, ["a", "b", "c"], "HR@10")
    assert {key: values.tolist() for key, values in gains.items()} == {"a": [1, 0], "b": [1, 1]}
    assert load_user_gains(path, ["a"])["a"][0] == pytest.approx(1 / np.log2(3))


@pytest.mark.integration
def test_a_log_is_analysed_as_the_parts_say():
    found = tuned_sizes.analyse_log("amazon-beauty")
    assert found.verdicts.equals(tuned_sizes.judge_depths(found.changes))
    assert set(found.again["seed"]) == {1, 2}
    assert found.usual["d_emb"].min() == found.chosen["d_emb"].min()
    means = found.again.groupby(["n_layers", "d_emb"])["NDCG@10"].mean()
    assert found.chosen["value"].to_numpy() == pytest.approx(means.to_numpy())
    both = found.chosen.dropna()
    ratio = (both["value"] / both["usual"]).to_numpy()
    assert len(both) == 6
    usual = found.chosen.set_index(["n_layers", "d_emb"])["usual"]
    steps = found.changes.set_index(["n_layers", "from", "to"])["usual"]
    assert steps[3, 32, 64] == pytest.approx(100 * (usual[3, 64] / usual[3, 32] - 1))
    assert np.isnan(steps[3, 64, 128])
    assert 1 + both["gain"].to_numpy() / 100 == pytest.approx(ratio)
