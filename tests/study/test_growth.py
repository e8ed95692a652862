"""How accuracy grows with a log, on tables whose growth is known."""

import numpy as np
import pandas as pd
import pytest

from perflaw.errors import InputError
from perflaw.study.analysis import growth

SHARES = (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0)


def points(slopes, models=("SASRec, d = 16", "SASRec, d = 64"), noise=0.0, seed=0):
    """Draw points whose ln metric has a slope of its own by log over ln share."""
    random = np.random.default_rng(seed)
    rows = []
    for log, slope in slopes.items():
        for model in models:
            for share in SHARES:
                for draw in range(1 if share == 1 else 2):
                    value = 0.1 * share**slope * np.exp(noise * random.normal())
                    rows.append((log, model, share, draw, value, 0.005))
    return pd.DataFrame(rows, columns=["log", "model", "share", "draw", "value", "se"])


def test_growth_is_what_was_put_in():
    found = growth.growth_by_log(growth.average_draws(points({"a": 0.5, "b": 0.1})))
    expected = found["log"].map({"a": 0.5, "b": 0.1}) * np.log(found["times"])
    assert np.allclose(found["growth"], expected)
    assert len(found) == 2 * 2 * 3


def test_two_draws_of_half_of_the_users_share_half_of_their_error():
    levels = growth.average_draws(points({"a": 0.0}))
    half = levels[levels["share"] == 0.5]
    whole = levels[levels["share"] == 1.0]
    assert np.allclose(half["relative_se"], 0.05 * np.sqrt(1.5 / 2))
    assert np.allclose(whole["relative_se"], 0.05)


def test_seeds_on_the_whole_log_do_not_reduce_the_error_over_its_users():
    table = points({"a": 0.0})
    again = table[table["share"] == 1].assign(draw=1)
    levels = growth.average_draws(pd.concat([table, again]))
    assert np.allclose(levels.loc[levels["share"] == 1, "relative_se"], 0.05)


def test_seeds_on_a_sample_do_not_reduce_the_error_over_its_users():
    once = growth.average_draws(points({"a": 0.0}))
    twice = growth.average_draws(pd.concat([points({"a": 0.0})] * 2))
    assert np.allclose(twice["relative_se"], once["relative_se"])


def test_mean_growth_is_over_logs_with_students_interval():
    found = growth.growth_by_log(growth.average_draws(points({"a": 0.1, "b": 0.3}))).query(
        "times == 2"
    )
    mean = growth.mean_growth(growth.average_sizes(found), level=0.9).iloc[0]
    ends = np.log(2) * (0.2 + np.array([0, -1, 1]) * 0.1 * 6.3137515)
    assert mean["logs"] == 2
    assert np.allclose(mean[["growth", "low", "high"]].astype(float), 100 * np.expm1(ends))


def test_a_difference_of_growth_is_over_the_logs_that_have_both():
    first = growth.growth_by_log(
        growth.average_draws(points({"a": 0.1, "b": 0.2, "c": 5.0}))
    ).query("times == 2")
    second = growth.growth_by_log(growth.average_draws(points({"a": 0.3, "b": 0.4}))).query(
        "times == 2"
    )
    found = growth.compare_growth(growth.average_sizes(first), growth.average_sizes(second))
    assert found["logs"].tolist() == [2]
    assert np.allclose(found[["difference", "low", "high"]], 100 * (2**-0.2 - 1))


def test_each_rule_predicts_what_it_assumes():
    by_rule = growth.predict_whole_logs(growth.average_draws(points({"a": 0.2, "b": 0.2})))
    errors = by_rule.groupby("rule")["error"].max()
    assert errors["growth of other logs"] < 1e-9
    assert errors["own slope"] < 1e-9
    assert errors["no growth"] == pytest.approx(100 * (1 - 8**-0.2))


def test_other_logs_do_not_see_the_log_that_they_predict():
    table = points({"a": 0.1, "b": 0.3, "c": 0.2})
    spoilt = table.assign(
        value=table["value"].where((table["log"] != "a") | (table["share"] < 1), 5.0)
    )
    predicted, again = (
        growth.predict_whole_logs(growth.average_draws(version)) for version in (table, spoilt)
    )
    is_a = predicted["log"] == "a"
    assert np.allclose(predicted.loc[is_a, "predicted"], again.loc[is_a, "predicted"])
    others = ~is_a & (predicted["rule"] == "growth of other logs")
    assert not np.isclose(predicted.loc[others, "predicted"], again.loc[others, "predicted"]).any()


def test_errors_are_averaged_over_logs_and_compared_with_no_growth():
    by_rule = growth.predict_whole_logs(growth.average_draws(points({"a": 0.2, "b": 0.2})))
    found = growth.summarise_errors(by_rule).set_index(["times", "rule"])
    assert found.loc[(2, "own slope"), "gain"] == pytest.approx(100 * (1 - 2**-0.2))
    assert found.loc[(2, "no growth"), "gain"] == 0
    assert found.loc[(8, "own slope"), "logs"] == 2


@pytest.mark.integration
def test_of_pure_noise_the_error_is_about_the_noise():
    table = points({f"log {i}": 0.0 for i in range(40)}, noise=0.05)
    found = growth.summarise_errors(growth.predict_whole_logs(growth.average_draws(table)))
    still = found[found["rule"] == "no growth"]
    assert np.allclose(still["error"], still["noise"], rtol=0.35)


def test_a_value_of_zero_is_left_out_not_infinite():
    table = points({"a": 0.2, "b": 0.2})
    table.loc[(table["log"] == "a") & (table["share"] == 1 / 8), "value"] = 0.0
    found = growth.growth_by_log(growth.average_draws(table))
    assert np.isfinite(found["growth"]).all()
    assert found.loc[found["log"] == "a", "times"].tolist() == [2, 4, 2, 4]


def test_one_log_has_no_others():
    with pytest.raises(InputError, match="two logs"):
        growth.predict_whole_logs(growth.average_draws(points({"a": 0.2})))


def test_the_study_has_samples_of_a_log_and_the_log_itself():
    table = growth.load_growth_points()
    shares = table.groupby("log")["share"].agg(["min", "max"])
    assert len(shares) >= 4
    assert (shares["min"] < 1).all()
    assert (shares["max"] == 1).all()
    assert table["value"].between(0, 1).all()


@pytest.mark.integration
def test_fixed_samples_and_baselines_are_of_the_same_logs():
    grown = set(growth.load_growth_points()["log"])
    fixed = growth.load_fixed_points()
    assert set(fixed["log"]) & grown
    assert (fixed.groupby(["log", "model"])["share"].min() < 1).all()
    baselines = growth.load_baseline_points()
    assert grown <= set(baselines["log"])
    assert baselines.groupby("model")["share"].nunique().eq(len(SHARES)).all()
