import numpy as np
import pytest

from perflaw.laws import profile, varpro
from perflaw.study.paper import published, simulation


def test_scenarios_are_what_they_say():
    for scenario in simulation.SCENARIOS.values():
        truth = scenario.truth
        y = simulation.simulate_surfaces(scenario, 4000, 0)
        assert y.mean() == pytest.approx(simulation.MEAN, rel=1e-3)
        assert y.std(axis=0).mean() == pytest.approx(simulation.NOISE * simulation.MEAN, rel=0.02)
        if scenario.optimum:
            assert 2 ** (-1 / truth["p_N"]) == pytest.approx(scenario.optimum[0])
            assert truth["w_N"] / truth["p_N"] > 0, "a maximum"
        by_layers = y.mean(axis=0).reshape(6, 4).mean(axis=1)
        assert np.ptp(by_layers) == pytest.approx(abs(scenario.reach) * simulation.MEAN, rel=0.1)
    assert (np.diff(by_layers) > 0).all(), "near log-linear rises throughout"


@pytest.mark.integration
def test_intervals_cover_what_they_promise():
    """200 draws: within four binomial standard errors of 95 %; the book runs 1,000."""
    table = simulation.interval_coverage(n_draws=200, level=0.95, seed=7)
    assert set(table["kind"]) == {"exponent", "predicted value", "optimum"}
    assert table["covered"].between(0.95 - 4 * np.sqrt(0.95 * 0.05 / 200), 1.0).all()
    assert table.query("scenario == 'clean'")["open"].max() == 0
    assert table.query("scenario == 'near log-linear' and kind == 'exponent'")["open"].min() > 0.8


def test_a_condition_costs_what_it_costs():
    y = simulation.simulate_surfaces(simulation.SCENARIOS["clean"], 3, 0)
    free = varpro.solve_batch(simulation.LAW, simulation.GRID, y).rss
    at = {"n_layers": np.array([12.0]), "d_emb": np.array([60.0])}
    held = profile.constrained_rss(
        simulation.LAW,
        simulation.GRID,
        y,
        lambda theta: simulation.LAW.basis(at, theta)[..., 0, :],
        0.5,
    )
    assert (held > 10 * free).all()


@pytest.mark.slow
def test_no_decline_and_no_effect_are_said_to_be_none():
    """40 draws; the book runs 1,000. At least 93 % are promised."""
    table = published.load_surfaces()
    rising = simulation.negative_control("no decline", table, n_draws=40, seed=3)
    assert rising.groupby("draw")["decline"].any().mean() <= 0.07
    idle = simulation.negative_control("no effect of d", table, n_draws=40, seed=3)
    claimed = idle[idle["axis"] == "d_emb"].groupby("draw")["effect"].any()
    assert claimed.mean() <= 0.07
    assert idle[idle["axis"] == "n_layers"].groupby("draw")["effect"].any().all(), (
        "the effect of N is seen"
    )
