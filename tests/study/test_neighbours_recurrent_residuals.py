"""A recurrent correction: of a known rule, of noise, and never from what comes later."""

import numpy as np
import pandas as pd
import pytest
import torch

from perflaw.study.neighbours import forecastability
from perflaw.study.neighbours import recurrent_residuals as r


def noise(n=300, seed=0):
    return np.random.default_rng(seed).normal(size=n)


def bent(n=300, seed=0):
    """Errors that a line through the one before does not forecast, and its size does."""
    shocks, errors = 0.2 * noise(n, seed), np.zeros(n)
    for t in range(1, n):
        errors[t] = abs(errors[t - 1]) - 0.9 * errors[t - 1] ** 2 - 0.2 + shocks[t]
    return errors


def test_the_unit_is_that_of_its_equations():
    model = r.start_recurrent(0)
    torch.nn.init.normal_(model.readout.weight, generator=torch.Generator().manual_seed(1))
    window = noise(6)
    w_in, w_state, b_in, b_state = (p.detach().double().numpy() for p in model.unit.parameters())
    state = np.zeros(r.UNITS)
    for value in window:
        inward = w_in[:, 0] * value + b_in
        recurrent = w_state @ state + b_state
        reset, update = (
            1 / (1 + np.exp(-(inward[part] + recurrent[part])))
            for part in (slice(r.UNITS), slice(r.UNITS, 2 * r.UNITS))
        )
        candidate = np.tanh(inward[2 * r.UNITS :] + reset * recurrent[2 * r.UNITS :])
        state = (1 - update) * candidate + update * state
    expected = model.readout.weight.detach().double().numpy()[0] @ state
    corrected = model.correct(torch.tensor(window[None], dtype=torch.float32))
    assert corrected.item() == pytest.approx(expected, abs=1e-5)


def test_a_rule_of_errors_is_found():
    errors = np.sin(np.arange(300) * 2 * np.pi / 7) + 0.1 * noise()
    corrections = r.forecast_errors(errors, 240, 14, seed=0)
    left = np.abs(errors[240:] - corrections).mean()
    assert left < 0.4 * np.abs(errors[240:]).mean()


def test_a_forecast_sees_nothing_later():
    errors, changed = bent(), bent()
    changed[270:] += 5
    first, second = (r.forecast_errors(series, 240, 8, seed=0) for series in (errors, changed))
    assert np.array_equal(first[:31], second[:31])


def test_noise_is_hardly_corrected():
    corrections = r.forecast_errors(noise(), 240, 8, seed=0)
    assert len(corrections) == 60
    assert np.abs(corrections).mean() < 0.2


def test_the_error_without_correction_is_that_of_the_autoregression():
    y = np.exp(3 + bent(120))
    expected = forecastability.score_series(y, "week")["error"]
    assert r.score_series(y, "week", seed=1)["error"] == pytest.approx(expected)


def test_gains_are_of_every_series_that_is_scored():
    series = forecastability.iterate_series(forecastability.load_counts())
    expected = {(log, step, name) for log, step, name, _ in series}
    gains = r.load_gains()
    assert set(map(tuple, gains[["log", "step", "series"]].to_numpy())) == expected


def test_a_summary_is_a_mean_of_logs():
    gains = pd.DataFrame(
        {"log": ["a", "a", "a", "b"], "step": "day", "series": list("wxyz"), r.GAIN: [1, 2, 3, -4]}
    )
    row = r.summarise_gains(gains).iloc[0]
    assert row["gain"] == pytest.approx(-1)
    assert (row["lowered"], row["series"]) == (3, 4)
