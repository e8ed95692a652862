"""Regularisation, shared layers, and laws with data, recovered where they are known."""

import numpy as np
import pandas as pd
import pytest

from perflaw.laws import families
from perflaw.logs import perturbations
from perflaw.study.analysis import (
    data_size,
    regularisation,
)


def test_regularisation_is_chosen_by_validation_and_never_by_test():
    rows = []
    for n, d in ((1, 16), (6, 128)):
        for dropout in (0.0, 0.5):
            for rate in (0.001, 0.003):
                good = (dropout == 0.5) == (d == 128) and rate == 0.001
                rows.append(
                    {
                        "n_layers": n,
                        "d_emb": d,
                        "dropout": dropout,
                        "learning_rate": rate,
                        "validation NDCG@10": 0.2 if good else 0.1,
                        "NDCG@10": 0.1 if good else 0.2 + dropout,
                    }
                )
    told = regularisation.tuned_by_size(pd.DataFrame(rows))
    assert list(told["chosen"]) == [0.1, 0.1]
    assert list(told["its dropout"]) == [0.0, 0.5]
    assert list(told["its rate"]) == [0.001, 0.001]
    assert list(told["dropout 0.5"]) == [0.7, 0.7]
    assert regularisation.decline_from_best(told, "chosen") == 0
    assert regularisation.decline_from_best(
        told.assign(chosen=[0.2, 0.1]), "chosen"
    ) == pytest.approx(-100 * np.log(2))


def test_a_decline_has_the_interval_of_two_single_runs():
    by_size = pd.DataFrame(
        {"n_layers": [1, 6], "d_emb": [16, 128], "dropout 0": [0.2, 0.1], "chosen": [0.1, 0.2]}
    )
    found = regularisation.decline_intervals(by_size, noise=5.0).set_index("recipe")
    fall = found.loc["dropout 0"]
    assert fall["change"] == pytest.approx(-50)
    reach = 1.6449 * np.sqrt(2) * 0.05
    assert fall["high"] == pytest.approx(100 * (np.exp(reach) / 2 - 1), rel=1e-4)
    assert found.loc["chosen", "change"] == 0
    assert np.isnan(found.loc["chosen", "low"])
    assert np.isnan(found.loc["chosen", "by luck"])


def test_luck_alone_makes_one_of_equal_sizes_fall():
    below = np.random.default_rng(0).normal(size=(200_000, 4))
    below = below.max(axis=1) - below[:, 0]
    assert regularisation.expected_luck(4) == pytest.approx(below.mean(), abs=0.01)
    assert regularisation.chance_of_decline(1.5, 4) == pytest.approx(
        (below > 1.5).mean(), abs=0.005
    )
    assert regularisation.expected_luck(2) == pytest.approx(1 / np.sqrt(np.pi))


def test_tuned_runs_have_each_recipe_at_each_size():
    runs = regularisation.load_tuned_runs()
    recipes = runs.groupby(["n_layers", "d_emb"]).size()
    assert recipes.nunique() == 1
    assert set(runs["seed"]) == {0}


def test_depth_compares_cells_that_were_run_both_ways(swept):
    runs = swept(backbones=("sasrec",)).query("log == 'a'")
    shared = runs[runs["n_layers"] > 1].assign(
        shared_layers=True, **{"NDCG@10": lambda t: 0.9 * t["NDCG@10"]}
    )
    told = regularisation.compare_shared_layers(pd.concat([runs, shared.iloc[::2]]), noise=5.0)
    assert np.allclose(told["change"], 100 * np.log(0.9))
    assert 1 not in set(told["n_layers"])
    assert set(told["runs"]) == {1}
    assert np.allclose(told["se"], 5 * np.sqrt(1 / 2 + 1))


@pytest.mark.integration
def test_a_law_with_data_is_recovered_and_logs_of_few_scales_are_left_out():
    rows = []
    for log, shares in (("a", (0.125, 0.25, 0.5, None)), ("b", (0.5, None))):
        for share in shares:
            for n in (1, 2, 4):
                for d in (8, 16, 32):
                    tokens = 1e5 * (share or 1)
                    rows.append(
                        {
                            "log": log,
                            "sample_users": share,
                            "tokens": tokens,
                            "n_layers": n,
                            "d_emb": d,
                            "shared_layers": False,
                            "log-loss": 5 + n**-0.5 + 2 * d**-0.7 + 30 * tokens**-0.4,
                        }
                    )
    runs = pd.DataFrame(rows).assign(
        **{name: np.nan for name in perturbations.PERTURBATIONS if name != "sample_users"}
    )
    found = data_size.fit_with_data(
        runs, families.sum_of_powers(axes=("n_layers", "d_emb", "tokens")), ("log-loss",)
    )
    row = found.iloc[0]
    assert list(found["log"]) == ["a"]
    assert row["scales"] == 4
    assert row["points"] == 36
    assert row["r2"] > 0.9999
    assert row["p_D"] == pytest.approx(0.4, abs=0.02)
    assert row["leave-one-out"] < 0.01 < row["floor"]
    assert np.isnan(row["noise ceiling"])  # one run a point: no noise is known


def test_ceiling_of_points_over_data_is_what_the_noise_of_their_runs_leaves():
    value = np.array([90.0, 110.0])  # means of two points
    sd = 5.0
    apart = sd / np.sqrt(2)
    runs = pd.DataFrame(
        {
            "n_layers": 1,
            "d_emb": 8,
            "tokens": [1.0, 1.0, 2.0, 2.0],
            "loss": [value[0] - apart, value[0] + apart, value[1] - apart, value[1] + apart],
        }
    )
    relative = np.sqrt(((sd / value) ** 2).mean())
    of_noise = (relative**2 * value**2 / 2).sum()
    found = data_size._noise_ceiling(runs, "loss")
    assert found == pytest.approx(1 - of_noise / 200)
