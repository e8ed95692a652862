import warnings

import numpy as np
import pandas as pd
import pytest

from perflaw.laws import FitWarning, fit, get_law, predict
from perflaw.laws.fitting import FitState
from perflaw.study.paper.simulation import GRID

LAW = get_law("log_linear")
STEEP = np.log(GRID["d_emb"]) / 5 - 0.2 + 1e-3 * np.sin(np.arange(len(GRID)))
FAR = pd.DataFrame({"n_layers": [8, 8, 8], "d_emb": [1, 50, 10_000]}, index=[5, 3, 9])
NOISE = 0.3 + 0.01 * np.random.default_rng(0).standard_normal(len(GRID))


@pytest.fixture
def rates():
    return predict(fit(LAW, GRID, STEEP), FAR)


def test_a_rate_is_never_predicted_outside_zero_to_one(rates):
    values = rates[["prediction", "low", "high"]].to_numpy()
    assert ((values >= 0) & (values <= 1)).all()


def test_where_a_rate_was_clipped_is_marked(rates):
    assert rates["clipped"].tolist() == [True, False, True]


def test_the_laws_own_value_is_kept(rates):
    law_value = fit(LAW, GRID, STEEP).predict(FAR)
    assert np.array_equal(rates["law_value"], law_value)


def test_rows_keep_their_index(rates):
    assert rates.index.tolist() == [5, 3, 9]


def test_what_is_no_rate_is_not_clipped():
    table = predict(fit(LAW, GRID, 10 * STEEP), FAR)
    assert not table["clipped"].any()


def test_whether_it_is_a_rate_can_be_said():
    table = predict(fit(LAW, GRID, STEEP), FAR, is_rate=False)
    assert table["prediction"].iloc[2] > 1


def test_inside_its_range_it_is_the_fits_own_interval():
    fitted = fit(LAW, GRID, STEEP)
    columns = ["prediction", "low", "high", "beyond"]
    inside = GRID[GRID["d_emb"] == 50]
    pd.testing.assert_frame_equal(predict(fitted, inside)[columns], fitted.interval(inside))


def test_a_consensus_warns_that_intervals_do_not_know_of_its_choice():
    values = STEEP.copy()
    values[7] = 0.02
    with pytest.warns(FitWarning, match="left out 1 points; intervals do not know of that choice"):
        predict(fit(LAW, GRID, values, "consensus"), FAR)


def test_intervals_of_a_consensus_are_too_narrow_where_no_run_went_wrong():
    points = GRID.iloc[[0, 5, 10, 15, 20, 23]]
    noise = np.random.default_rng(0).normal(0.3, 0.01, (20, len(points)))
    held = []
    for values in noise:
        fitted = fit(LAW, points, values, "consensus")
        interval = fitted.interval(GRID.iloc[[12]], 0.9, new_run=False).iloc[0]
        held.append(interval["low"] <= 0.3 <= interval["high"])
    assert np.mean(held) < 0.8


def test_noise_is_no_better_than_a_constant():
    assert fit(LAW, GRID, NOISE).states == (FitState.NO_BETTER,)


def test_too_few_points_for_aicc_are_judged_by_their_variance():
    corners = GRID.iloc[[0, 3, 20, 23]].reset_index(drop=True)
    assert not fit(LAW, corners, [0.1, 0.2, 0.2, 0.1]).beats_constant


def test_a_constant_has_nothing_to_beat():
    assert fit(get_law("constant"), GRID, NOISE).states == (FitState.CONVERGED,)


def test_a_fit_no_better_than_a_constant_warns_when_it_predicts():
    with pytest.warns(FitWarning, match="log_linear: no better than a constant"):
        predict(fit(LAW, GRID, NOISE), FAR)


def test_a_fit_at_a_bound_warns_when_it_predicts():
    steep = fit(get_law("sum_of_powers"), GRID, 0.3 - GRID["n_layers"] ** -6.0)
    with pytest.warns(FitWarning, match="at a bound: p_N"):
        predict(steep, FAR)


def test_a_sound_fit_predicts_without_a_warning():
    fitted = fit(LAW, GRID, STEEP)
    with warnings.catch_warnings(action="error"):
        assert len(predict(fitted, FAR)) == 3
