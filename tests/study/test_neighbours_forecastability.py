"""Forecasts of counts: least squares against known series and statsmodels, counts against a log."""

import numpy as np
import pandas as pd
import pytest

from perflaw.logs import read_log
from perflaw.study.neighbours import forecastability as f


def autoregressive(n=400, phi=(0.6, -0.3), seed=0):
    rng = np.random.default_rng(seed)
    y = np.zeros(n)
    for t in range(2, n):
        y[t] = 0.5 + phi[0] * y[t - 1] + phi[1] * y[t - 2] + 0.1 * rng.normal()
    return y


def test_the_coefficients_are_those_of_a_plain_loop():
    y = autoregressive()
    model = f.fit_autoregression(y, 2, 0, 5)
    rows, targets = [], []
    for t in range(5, len(y)):
        rows.append([1.0, y[t - 1], y[t - 2]])
        targets.append(y[t])
    expected = np.linalg.solve(np.transpose(rows) @ rows, np.transpose(rows) @ targets)
    assert model.coefficients == pytest.approx(expected)
    assert model.coefficients[1:] == pytest.approx((0.6, -0.3), abs=0.12)


@pytest.mark.parametrize("n_lags", [1, 3])
def test_it_is_the_conditional_least_squares_of_statsmodels(n_lags):
    autoreg = pytest.importorskip("statsmodels.tsa.ar_model")
    y = autoregressive(seed=1)
    theirs = autoreg.AutoReg(y, n_lags).fit().params
    assert f.fit_autoregression(y, n_lags, 0, n_lags).coefficients == pytest.approx(theirs)


def test_a_difference_is_the_same_fit_of_changes():
    y = np.cumsum(autoregressive(seed=2))
    model = f.fit_autoregression(y, 2, 1, 4)
    changes = f.fit_autoregression(np.diff(y), 2, 0, 3)
    assert model.coefficients == pytest.approx(changes.coefficients)
    assert f.forecast(model, y, 4) == pytest.approx(
        y[3:-1] + f.forecast(changes, np.diff(y), 3), rel=1e-9
    )


def test_a_forecast_sees_only_what_is_before():
    y = autoregressive()
    model = f.fit_autoregression(y[:300], 3, 1, 10)
    changed = y.copy()
    changed[350:] += 7
    assert f.forecast(model, y, 300)[:51] == pytest.approx(f.forecast(model, changed, 300)[:51])


def test_lags_are_chosen_as_the_series_has_them():
    assert f.choose_autoregression(autoregressive(n=2000), 6).n_lags in (2, 3)
    assert f.choose_autoregression(autoregressive(n=2000), 6).difference == 0
    walk = np.cumsum(np.random.default_rng(0).normal(size=2000))
    model = f.choose_autoregression(walk, 4)
    assert model.difference == 1 or model.coefficients[1] > 0.9


def test_a_regular_series_has_low_entropy_and_a_good_forecast():
    rng = np.random.default_rng(0)
    regular = np.exp(
        np.tile([1.0, 2.0, 4.0, 2.0, 1.0, 1.0, 3.0], 40) + 0.001 * rng.normal(size=280)
    )
    noise = np.exp(rng.normal(3, 1, size=280))
    scores = [f.score_series(y, "day") for y in (regular, noise)]
    assert scores[0]["apen"] < 0.1 < scores[1]["apen"]
    assert scores[0]["over mean"] > 99
    assert scores[1]["over mean"] < 10


def test_counts_by_day():
    day = f.DAY
    rows = [("u", "a", 0), ("v", "a", 10), ("u", "b", 2 * day), ("w", "a", 2 * day + 5)]
    table = pd.DataFrame(rows, columns=["user", "item", "timestamp"])
    log = read_log(table.assign(timestamp=table["timestamp"] + 15_000 * day))
    counts = f.count_by_day(log)
    assert counts["interactions"].tolist() == [2, 0, 2]
    assert counts["users"].tolist() == [2, 0, 2]
    assert counts["items"].tolist() == [1, 0, 2]
    assert counts["new users"].tolist() == [2, 0, 1]
    assert counts["item 1"].tolist() == [2, 0, 1]


def test_every_count_of_the_table_is_there():
    counts = f.load_counts()
    assert counts["log"].nunique() == 4
    by_log = counts.groupby("log")["day"]
    assert (by_log.max() + 1 == by_log.size()).all()
    assert counts[counts["log"] == "ml-100k"]["interactions"].sum() == 100_000
    assert counts[counts["log"] == "ml-100k"]["new users"].sum() == 943


def test_the_correlation_is_of_series_within_a_log():
    scored = pd.DataFrame(
        {
            "log": np.repeat(["a", "b"], 4),
            "step": "day",
            "apen": [1, 2, 3, 4] * 2,
            "lag-1 correlation": [4, 3, 2, 1] * 2,
            "over mean": [10, 20, 30, 40, 4, 3, 2, 1],
            "over naive": [1, 2, 3, 4] * 2,
        }
    )
    table = f.correlate_with_forecast(scored).set_index(["outcome", "predictor"])
    assert table.loc[("over mean", "apen"), "correlation"] == pytest.approx(0)
    assert table.loc[("over mean", "apen"), "high"] == 1
    assert table.loc[("over naive", "apen"), "correlation"] == pytest.approx(1)
    assert table.loc[("over naive", "lag-1 correlation"), "low"] == pytest.approx(-1)
