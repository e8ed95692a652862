import numpy as np
import pytest

from perflaw import InputError, fitting, laws, planning, recovery
from perflaw.recovery import GRID


def fitted(scenario, law=recovery.LAW, draw=0):
    return fitting.fit(law, GRID, recovery.simulate(recovery.SCENARIOS[scenario], draw + 1, 0)[draw])


@pytest.mark.parametrize("k", [1.5, 2.0, 8.0])
def test_the_turning_point_is_the_closed_form(k):
    law = laws.performance(k=k)
    found = fitted("clean", law)
    for axis, exponent, weight in (("n_layers", "p_N", "w_N"), ("d_emb", "p_d", "w_d")):
        turn = planning.turning_point(found, axis)
        p = found.parameters[exponent]
        assert turn.estimate == pytest.approx(k ** (-1 / p), rel=1e-3)
        paper_weight = found.parameters[weight] / p  # a maximum only where the paper's weight is positive
        assert (turn.kind == "maximum") == (paper_weight > 0)
        assert turn.low < turn.estimate < turn.high


def test_a_parabolas_vertex_and_its_fieller_interval():
    found = fitted("clean", laws.log_quadratic())
    turn = planning.turning_point(found, "n_layers", level=0.95)
    assert turn.kind == "maximum"
    assert turn.estimate == pytest.approx(np.exp(-found.parameters["a_N"] / (2 * found.parameters["c_N"])), rel=1e-4)
    limit = fitting.allowed(found.rss, found.dof, 0.95)
    for end in (turn.low, turn.high):  # a slope of zero there costs just what is allowed
        row = np.array([0, 1, 0, 2 * np.log(end), 0])
        held = fitting.rss_if(found.law, GRID, found.y[None], lambda theta: np.tile(row, (len(theta), 1)), 0.0)
        assert held[0] == pytest.approx(limit, rel=0.05)


def test_no_turning_point_on_a_straight_rise():
    found = fitting.fit(laws.log_linear(), GRID, 0.1 + 0.01 * np.log(GRID["n_layers"]) + 0.02 * np.log(GRID["d_emb"]))
    turn = planning.turning_point(found, "d_emb")
    assert turn.kind == "none" and np.isnan(turn.estimate)


def test_a_flat_surface_leaves_the_interval_open():
    rng = np.random.default_rng(3)
    found = fitting.fit(recovery.LAW, GRID, 0.3 + 0.005 * rng.standard_normal(len(GRID)))
    assert planning.turning_point(found, "n_layers").open


def test_intervals_agree_with_the_simulations_test():
    """The interval holds the true optimum when the exponent that puts it there, or a flat fit, is allowed."""
    truth, law = recovery.SCENARIOS["flat"].truth, recovery.LAW
    y = recovery.simulate(recovery.SCENARIOS["flat"], 25, 1)
    flat = np.array([0.0, 1.0, 0.0])
    limit = fitting.allowed(fitting.solve(law, GRID, y).rss, 19, 0.95)
    turned = fitting.solve(fitting.pinned(law, "p_N", truth["p_N"]), GRID, y).rss <= limit
    level = fitting.rss_if(law, GRID, y, lambda theta: np.tile(flat, (len(theta), 1)), 0.0) <= limit
    turns = [planning.turning_point(fitting.fit(law, GRID, values), "n_layers") for values in y]
    inside = np.array([turn.low <= 14 <= turn.high for turn in turns])
    assert (inside == (turned | level)).mean() >= 0.95


def test_an_axis_the_law_does_not_read():
    with pytest.raises(InputError, match="no axis 'tokens'"):
        planning.turning_point(fitted("clean"), "tokens")
