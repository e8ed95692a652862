"""Predictions of larger models: scored, summarised and shrunk."""

import numpy as np
import pandas as pd
import pytest

from perflaw.study.analysis import (
    extrapolation,
    study_runs,
)


def test_laws_foretell_a_surface_that_they_hold_and_their_intervals_cover(swept, halves):
    covered, errors = [], []
    for seed in range(6):
        small, large = halves(study_runs.mean_surfaces(swept(sigma=0.02, seed=seed)))
        told = extrapolation.extrapolate(
            small, large.drop_duplicates(["n_layers", "d_emb"]), level=0.9
        )
        found = extrapolation.score_predictions(
            told, large, pd.Series(2.0, large["dataset"].unique())
        )
        joint = found[found["law"] == "joint law"]
        covered.append(found.loc[found["law"] == "log-quadratic", "covered"].mean())
        errors.append(joint["ape"].mean())
        assert set(told["law"]) == {
            *extrapolation.EXTRAPOLATED_LAWS,
            "joint law",
        }
        assert not told.isna().any(axis=None)
        assert np.allclose(found["noises"], found["ape"] / (2 / np.sqrt(2)))
    assert 0.8 <= np.mean(covered) <= 0.98
    assert np.mean(errors) < 6


def test_a_law_that_the_values_do_not_determine_says_nothing(swept, halves):
    small, large = halves(study_runs.mean_surfaces(swept(sigma=0.01)))
    told = extrapolation.extrapolate(small[small["n_layers"] <= 2], large.head(3))
    assert "log-linear" in set(told["law"])
    assert not {
        "sum of powers",
        "Performance Law, k = 2",
    } & set(told["law"])


def test_predictions_are_judged_in_noise_units_and_by_law():
    told = {
        "dataset": "a",
        "n_layers": [1, 6, 1, 6],
        "law": ["x", "x", "y", "y"],
        "predicted": 1.0,
        "low": 0.8,
        "high": 1.2,
        "covered": [True, False, True, True],
    }
    found = pd.DataFrame(
        told | {"ape": [4.0, 8.0, 2.0, 6.1], "unit": 3.0, "noises": [4 / 3, 8 / 3, 2 / 3, 2.0]}
    )
    cells, means = extrapolation.summarise_by_law(found, pd.Series({"a": 2.6}))
    assert cells["allowed"].to_numpy() == pytest.approx(1.5 * np.hypot(3.0, 2.6))
    assert cells["within"].tolist() == [True, False, True, False]
    assert means["law"].tolist() == ["x", "y"]
    assert means["error"].tolist() == pytest.approx([6, 4.05])
    assert means["larger N"].tolist() == [8, 6.1]
    assert means[["within", "covered", "width"]].to_numpy() == pytest.approx(
        np.array([[50, 50, 20], [50, 100, 20]])
    )
    assert (
        extrapolation.summarise_by_law(found, pd.Series({"a": 0.0}))[0]["allowed"].tolist()
        == [4.5] * 4
    )


def test_a_surface_is_dated_by_its_first_large_model(swept):
    runs = swept().assign(
        finished=[f"2026-01-01T{i // 60:02}:{i % 60:02}Z" for i in range(len(swept()))]
    )
    large = runs[(runs["n_layers"] > 3) | (runs["d_emb"] > 32)]
    found = extrapolation.first_large_run(runs)
    assert set(found.index) == {"a", "a, llama", "b", "b, llama"}
    assert (
        found["a, llama"]
        == large.loc[(large["log"] == "a") & (large["backbone"] == "llama"), "finished"].min()
    )


def test_a_law_that_says_twice_what_comes_is_believed_by_half():
    rows, random = [], np.random.default_rng(0)
    for dataset in "abcd":
        for n in (1, 2, 3, 6):
            change = 0.1 * random.normal()
            for law, said in (("constant", 0.0), ("joint law", 2 * change)):
                rows.append(
                    {
                        "dataset": dataset,
                        "law": law,
                        "n_layers": n,
                        "d_emb": 64,
                        "predicted": 0.2 * np.exp(said),
                        "value": 0.2 * np.exp(change if dataset != "d" else 2 * change),
                    }
                )
    found = extrapolation.shrink_predictions(pd.DataFrame(rows), learn=["a", "b", "c"]).set_index(
        "dataset"
    )
    assert found["share"].to_numpy() == pytest.approx(0.5)
    assert found["shrunk"].to_numpy()[:3] == pytest.approx(0, abs=1e-9)
    assert found.loc["d", "joint law"] == pytest.approx(0, abs=1e-9)
    assert found.loc["d", "shrunk"] > 1
    assert (
        extrapolation.shrink_predictions(pd.DataFrame(rows)).set_index("dataset").loc["a", "share"]
        > 0.55
    )
