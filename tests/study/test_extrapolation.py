"""Predictions of larger models: scored, summarised and shrunk."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from perflaw.study.analysis import (
    extrapolation,
    seed_noise,
    study_runs,
)


@pytest.mark.integration
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
        "joint law",
    } & set(told["law"])


def test_predictions_are_judged_in_noise_units_and_by_law():
    told = {
        "dataset": "a",
        "log": "a",
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
    unshared = np.sqrt(1 - seed_noise.SHARED_USER_CORRELATION) * 2.6
    assert cells["allowed"].to_numpy() == pytest.approx(1.5 * np.hypot(3.0, unshared))
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


def test_a_surface_is_dated_by_the_start_of_its_first_large_model(swept):
    runs = swept()
    runs["finished"] = [f"2026-01-01T{i // 60:02}:{i % 60:02}Z" for i in range(len(runs))]
    runs["seconds"] = 10.0
    runs.loc[runs.index[-1], "seconds"] = 86_400.0  # the last to finish is the first to start
    large = runs[(runs["n_layers"] > 3) | (runs["d_emb"] > 32)]
    found = extrapolation.first_large_start(runs)
    assert set(found.index) == {"a", "a, llama", "b", "b, llama"}
    of_surface = large[(large["log"] == "a") & (large["backbone"] == "llama")]
    first = pd.to_datetime(of_surface["finished"]).min() - pd.Timedelta(seconds=10)
    assert found["a, llama"] == first
    last = pd.to_datetime(runs["finished"].iloc[-1])
    assert found["b, llama"] == last - pd.Timedelta(days=1)


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


def test_baselines_are_the_mean_the_nearest_and_the_best_by_validation():
    seen = pd.DataFrame(
        {
            "dataset": "a",
            "metric": "NDCG@10",
            "n_layers": [1, 1, 4],
            "d_emb": [8, 64, 64],
            "value": [0.1, 0.2, 0.3],
            "validation": [0.1, 0.4, 0.2],
        }
    )
    new = pd.DataFrame({"n_layers": [6, 1], "d_emb": [64, 9]})
    found = extrapolation.baseline_predictions(seen, new).set_index(["law", "n_layers"])
    predicted = found["predicted"]
    assert predicted["constant"].tolist() == pytest.approx([0.2, 0.2])
    assert predicted["nearest trained cell"].tolist() == [0.3, 0.1]
    assert predicted["best trained cell"].tolist() == [0.2, 0.2]
    blind = extrapolation.baseline_predictions(seen.assign(validation=np.nan), new)
    assert blind.loc[blind["law"] == "best trained cell", "predicted"].tolist() == [0.3, 0.3]


def test_baselines_have_no_intervals_to_be_covered(swept, halves):
    small, large = halves(study_runs.mean_surfaces(swept()))
    scored = extrapolation.score_predictions(
        extrapolation.baseline_predictions(small, large), large
    )
    assert scored["covered"].isna().all()
    assert scored["error"].abs().equals(scored["ape"])
    assert set(scored["log"]) == {"a", "b"}
    assert extrapolation.coverage_interval(scored["covered"])[:2] == (0, 0)


def test_laws_are_compared_on_the_same_cells():
    scored = pd.DataFrame(
        {
            "dataset": ["a", "a", "b", "b"] * 2,
            "log": ["a", "a", "b", "b"] * 2,
            "n_layers": [1, 6] * 4,
            "d_emb": 64,
            "law": ["constant"] * 4 + ["law"] * 4,
            "ape": [1.0, 3.0, 2.0, 2.0, 2.0, 4.0, 4.0, 4.0],
        }
    )
    found = extrapolation.compare_errors(scored, "constant").set_index("law").loc["law"]
    assert found["mean"] == 1.5
    half = 0.5 * stats.t.ppf(0.95, 1)  # the two logs have 1 and 2
    assert found["low"] == pytest.approx(1.5 - half)
    assert found["high"] == pytest.approx(1.5 + half)


def test_coverage_comes_with_its_binomial_interval():
    inside, known, low, high = extrapolation.coverage_interval(pd.Series([1.0] * 9 + [0, np.nan]))
    assert (inside, known) == (9, 10)
    assert low == pytest.approx(60.6, abs=0.1)  # Clopper and Pearson, 90 %
    assert high == pytest.approx(99.5, abs=0.1)


def test_later_surfaces_are_shrunk_by_what_the_first_ones_teach():
    random = np.random.default_rng(0)
    rows = []
    for dataset in "abcd":
        for n in (1, 2, 3, 6):
            change = 0.1 * random.normal()
            observed = change if dataset != "d" else 2 * change
            for law, said in (("constant", 0.0), ("joint law", 2 * change)):
                rows.append(
                    (dataset, dataset, law, n, 64, 0.2 * np.exp(said), 0.2 * np.exp(observed))
                )
    columns = ["dataset", "log", "law", "n_layers", "d_emb", "predicted", "value"]
    scored = pd.DataFrame(rows, columns=columns)
    means, later = extrapolation.shrink_laws(scored, ["joint law"], ["a", "b", "c"])
    assert later["dataset"].tolist() == ["d"]
    assert means["later: share"].item() == pytest.approx(0.5)
    assert means["later: unshrunk"].item() == pytest.approx(0, abs=1e-9)
    assert later["gain"].item() == pytest.approx((later["constant"] - later["shrunk"]).item())


def test_a_family_has_a_name_in_the_tables():
    assert extrapolation.rival_name("performance") == "Performance Law, k = 2"
    assert extrapolation.rival_name("log_quadratic") == "log-quadratic"
