"""Predictors of growth, and the noise of what they are scored against, on tables that are known."""

import numpy as np
import pandas as pd
import pytest

from perflaw.report.forecast import from_log_odds
from perflaw.study.analysis import growth_predictors

SHARES = (0.125, 0.25, 0.5)
LOGS = "abcde"


def make_steps(error, noise, logs=LOGS):
    """Steps whose forecasts are off by errors of one standard deviation, relative."""
    random = np.random.default_rng(0)
    rows = [
        {"log": log, "times": 4, "value": 0.1, "predicted": 0.1 * np.exp(error * random.normal())}
        for log in logs
        for _ in range(200)
    ]
    return pd.DataFrame(rows).assign(unchanged=0.08, error_of_value=noise / 2, noise=noise)


def test_errors_that_are_noise_have_no_excess():
    table = growth_predictors.decompose_errors(make_steps(0.1, 0.1)).set_index("log")
    assert table.loc["all", "excess"] < 3
    assert table.loc["all", "within"] == pytest.approx(0.9, abs=0.03)
    assert table.loc["all", "error"] == pytest.approx(table.loc["all", "noise"], rel=0.1)


def test_the_excess_is_what_noise_does_not_explain():
    table = growth_predictors.decompose_errors(make_steps(0.13, 0.05)).set_index("log")
    assert table.loc["all", "excess"] == pytest.approx(12 * np.sqrt(2 / np.pi), rel=0.1)
    assert table.loc["all", "users"] == pytest.approx(table.loc["all", "noise"] / 2)
    assert table.loc["all", "rows"] == 200 * len(LOGS)
    assert table.loc["all", "no_growth"] == pytest.approx(20)


def simulate_covariates():
    """Logs that rise by what a Markov chain does, less where the level is high."""
    random = np.random.default_rng(1)
    rows, rises = [], {}
    for log in LOGS:
        markov, level = random.uniform(0, 0.4), random.uniform(-1.5, 1.5)
        rises[log] = markov - 0.1 * level
        for share in SHARES:
            row = {"log": log, "share": share, "draw": 0, "level": level, "repeats": 0.0}
            row |= dict.fromkeys(growth_predictors.COUNTS, 1.0 + share)
            row |= {"Markov": markov, "item-kNN": 0.1, "popular": 0.0}
            rows.append(row | {"own": rises[log], "own se": 0.01})
    table = pd.DataFrame(rows).set_index(growth_predictors.SAMPLE)
    errors = dict.fromkeys((f"{name} se" for name in growth_predictors.BASELINES), 0.01)
    slopes = pd.DataFrame({"θ": rises, "variance": 1e-4})
    return table.assign(**errors), slopes


@pytest.fixture(scope="module")
def scores():
    covariates, slopes = simulate_covariates()
    steps = [
        {"log": log, "share": share, "draw": 0, "times": times, "unchanged": 0.1}
        | {"value": from_log_odds(-np.log(9) + np.log2(times) * slopes.loc[log, "θ"])}
        for log, share, _ in covariates.index
        for times in (2, 4, 8)
    ]
    return growth_predictors.score_predictors(pd.DataFrame(steps), covariates, slopes)


def test_the_predictor_that_is_true_errs_least(scores):
    table = growth_predictors.summarize_predictors(scores).set_index("predictor")["×4"]
    assert table[list(growth_predictors.PREDICTORS)].idxmin() == growth_predictors.REPORTED
    assert table[growth_predictors.ORACLE] < 1e-6
    assert table[growth_predictors.REPORTED] < 0.5 * table["mean of other logs"]


@pytest.mark.integration
def test_the_choice_is_made_on_the_other_logs(scores):
    assert set(scores["chosen"]) == {growth_predictors.REPORTED}
    assert np.allclose(scores[growth_predictors.NESTED], scores[growth_predictors.REPORTED])


def test_a_log_is_not_learnt_from_where_it_is_predicted():
    covariates, slopes = simulate_covariates()
    spoilt = slopes.copy()
    spoilt.loc["a", "θ"] = 5.0
    before, after = (
        growth_predictors.predict_slopes(covariates, table, ("Markov", "level"), "a")[0]
        for table in (slopes, spoilt)
    )
    assert np.allclose(before, after)


def test_a_slope_that_is_known_badly_is_shrunk():
    covariates, slopes = simulate_covariates()
    is_a = covariates.index.get_level_values("log") == "a"
    covariates.loc[is_a, "Markov"] = 2.0
    covariates.loc[is_a, "Markov se"] = 5.0
    predicted, _ = growth_predictors.predict_slopes(covariates, slopes, ("Markov",), "a")
    assert (predicted < 0.5).all()


def test_draws_that_differ_by_users_and_seeds_alone_agree_with_the_noise():
    random = np.random.default_rng(0)
    error = np.sqrt(1 - 0.25 + 0.9**2) * 0.05
    rows = [
        {"log": f"log {i}", "share": 0.25, "d_emb": 16, "data_seed": draw}
        | {"NDCG@10": from_log_odds(-2 + error * random.normal())}
        for i in range(400)
        for draw in (0, 1)
    ]
    runs = pd.DataFrame(rows)
    runs["NDCG@10 se"] = 0.05 * runs["NDCG@10"] * (1 - runs["NDCG@10"])
    assert growth_predictors.compare_draws(runs, 0.9) == pytest.approx(1, abs=0.08)
