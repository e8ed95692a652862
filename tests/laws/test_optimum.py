import numpy as np
import pandas as pd
import pytest

from perflaw import model_size
from perflaw.errors import InputError
from perflaw.laws import design, families, fitting, optimum, profile, turning, varpro
from perflaw.study.analysis import planning
from perflaw.study.paper import published, simulation
from perflaw.study.paper.simulation import GRID


def fitted(scenario, law=simulation.LAW, draw=0):
    return fitting.fit(
        law, GRID, simulation.simulate_surfaces(simulation.SCENARIOS[scenario], draw + 1, 0)[draw]
    )


@pytest.mark.integration
@pytest.mark.parametrize("k", [1.5, 2.0, 8.0])
def test_the_turning_point_is_the_closed_form(k):
    law = families.performance(k=k)
    found = fitted("clean", law)
    for axis, exponent, weight in (("n_layers", "p_N", "w_N"), ("d_emb", "p_d", "w_d")):
        turn = turning.turning_point(found, axis)
        p = found.parameters[exponent]
        assert turn.estimate == pytest.approx(k ** (-1 / p), rel=1e-3)
        paper_weight = (
            found.parameters[weight] / p
        )  # a maximum only where the paper's weight is positive
        assert (turn.kind == "maximum") == (paper_weight > 0)
        assert turn.low < turn.estimate < turn.high


@pytest.mark.integration
def test_the_interval_is_the_image_of_the_exponents():
    """x* = 2^(-1/p): on every published surface the two intervals say the same."""
    fits = fitting.fit_surfaces(
        simulation.LAW, published.load_surfaces().query("metric == 'HR@10'"), published.SURFACE
    )
    for key, found in fits.items():
        for axis, exponent in (("n_layers", "p_N"), ("d_emb", "p_d")):
            turn, (low, high) = turning.turning_point(found, axis), found.profile(exponent)
            if turn.kind != "maximum":
                continue
            reach = turning.REACH * found.points[axis].max()
            above = 2 ** (-1 / high) if high < 0 else np.inf
            assert turn.high == pytest.approx(above if above < reach else np.inf, rel=0.01), (
                key,
                axis,
            )
            assert turn.low == pytest.approx(
                2 ** (-1 / low) if np.isfinite(low) else 1.0, rel=0.01
            ), (key, axis)


def test_an_interval_set_by_a_bound_is_open():
    surface = published.load_surfaces().query(
        "dataset == 'KuaiRand-Pure' and max_seq_len == 50 and metric == 'NDCG@10'"
    )
    found = fitting.fit(simulation.LAW, surface, surface["value"])
    assert np.isinf(found.profile("p_d")[1])
    assert turning.turning_point(found, "d_emb").open


def test_a_parabolas_vertex_and_its_fieller_interval():
    found = fitted("clean", families.log_quadratic())
    turn = turning.turning_point(found, "n_layers", level=0.95)
    assert turn.kind == "maximum"
    assert turn.estimate == pytest.approx(
        np.exp(-found.parameters["a_N"] / (2 * found.parameters["c_N"])), rel=1e-4
    )
    limit = profile.profile_threshold(found.rss, found.dof, 0.95)
    for end in (turn.low, turn.high):  # a slope of zero there costs just what is allowed
        row = np.array([0, 1, 0, 2 * np.log(end), 0])
        held = profile.constrained_rss(
            found.law,
            GRID,
            found.y[None],
            lambda theta, row=row: np.tile(row, (len(theta), 1)),
            0.0,
        )
        assert held[0] == pytest.approx(limit, rel=0.05)  # places are 1.9 % apart


def test_no_turning_point_on_a_straight_rise():
    found = fitting.fit(
        families.log_linear(),
        GRID,
        0.1 + 0.01 * np.log(GRID["n_layers"]) + 0.02 * np.log(GRID["d_emb"]),
    )
    turn = turning.turning_point(found, "d_emb")
    assert turn.kind == "none"
    assert np.isnan(turn.estimate)


def test_a_flat_surface_leaves_the_interval_open():
    rng = np.random.default_rng(3)
    found = fitting.fit(simulation.LAW, GRID, 0.3 + 0.005 * rng.standard_normal(len(GRID)))
    assert turning.turning_point(found, "n_layers").open


@pytest.mark.integration
def test_intervals_agree_with_the_simulations_test():
    """The interval holds the optimum when its exponent, or a flat fit, is allowed."""
    truth, law = simulation.SCENARIOS["flat"].truth, simulation.LAW
    y = simulation.simulate_surfaces(simulation.SCENARIOS["flat"], 25, 1)
    flat = np.array([0.0, 1.0, 0.0])
    limit = profile.profile_threshold(varpro.solve_batch(law, GRID, y).rss, 19, 0.95)
    turned = (
        varpro.solve_batch(profile.hold_exponent(law, "p_N", truth["p_N"]), GRID, y).rss <= limit
    )
    level = (
        profile.constrained_rss(law, GRID, y, lambda theta: np.tile(flat, (len(theta), 1)), 0.0)
        <= limit
    )
    turns = [
        turning.turning_point(fitting.fit(law, GRID, values), "n_layers", 0.95) for values in y
    ]
    inside = np.array([turn.low <= 14 <= turn.high for turn in turns])
    assert (inside == (turned | level)).all()


@pytest.mark.parametrize("law", [families.log_quadratic(), families.performance_free_k()])
def test_a_turning_point_along_axes_that_cannot_be_told_apart_is_open(law):
    """d falls as N rises: the curve along the ladder may be N's or d's."""
    n_layers = np.tile(2 ** np.arange(8), 3)
    ladder = pd.DataFrame(
        {"n_layers": n_layers, "d_emb": 2048 // n_layers, "seed": np.repeat([0, 1, 2], 8)}
    )
    noise = 5e-4 * np.random.default_rng(0).standard_normal(24)
    found = fitting.fit(law, ladder, 0.2 - 0.01 * (np.log(n_layers) - 2.2) ** 2 + noise)
    for axis in families.AXES:
        turn = turning.turning_point(found, axis)
        assert (turn.low, turn.high) == (1, np.inf)
    off_ladder = found.interval(pd.DataFrame({"n_layers": [64], "d_emb": [1024]})).iloc[0]
    assert (off_ladder["low"], off_ladder["high"]) == (-np.inf, np.inf)


def test_an_axis_the_law_does_not_read():
    with pytest.raises(InputError, match="no axis 'tokens'"):
        turning.turning_point(fitted("clean"), "tokens")
    with pytest.raises(InputError, match="no axis 'heads'"):
        turning.turning_point(fitted("clean"), "n_layers", at={"heads": 2})


# ---------------------------------------------------------------- optimum, plan, replay


def test_the_optimum_of_a_clean_surface_is_where_it_is():
    best = optimum.find_optimum(fitted("clean"), n_draws=200)
    assert best.n_layers == pytest.approx(14, rel=0.25)
    assert best.d_emb == pytest.approx(60, rel=0.1)
    assert best.edge == ()
    assert best.low["d_emb"] <= best.d_emb <= best.high["d_emb"]
    assert 0 <= best.regret < 0.01
    closed = optimum.closed_form_optimum(fitted("clean"))
    for axis, value in (("n_layers", best.n_layers), ("d_emb", best.d_emb)):
        assert closed[axis]["maximum"]
        assert closed[axis]["beyond_one"]
        assert value == pytest.approx(closed[axis]["estimate"], rel=0.03)  # the grid's step


def test_an_optimum_under_a_budget_balances_what_the_axes_buy():
    """On the budget 12 N d^2 = B, 1 % of d costs as much as 2 % of N: slopes stand 2 to 1."""
    found = fitted("clean")
    free = optimum.find_optimum(found, n_draws=20)
    budget = 0.3 * 12 * free.n_layers * free.d_emb**2
    best = optimum.find_optimum(found, parameters=budget, n_draws=20)
    assert 0.93 * budget < 12 * best.n_layers * best.d_emb**2 <= budget
    assert best.value < free.value
    at = {"n_layers": np.array([best.n_layers]), "d_emb": np.array([best.d_emb])}
    theta, beta = found.parameters.to_numpy()[3:], found.parameters.to_numpy()[:3]
    by_n, by_d = (
        (turning.axis_slope(found.law, at, axis, theta) @ beta)[0] for axis in ("n_layers", "d_emb")
    )
    assert by_d == pytest.approx(2 * by_n, rel=0.35)


def test_a_rising_law_has_its_optimum_at_the_edge():
    y = (
        0.1
        + 0.01 * np.log(GRID["n_layers"])
        + 0.02 * np.log(GRID["d_emb"])
        + 1e-4 * np.sin(np.arange(24))
    )
    best = optimum.find_optimum(fitting.fit(families.log_linear(), GRID, y), n_draws=20)
    assert set(best.edge) == {"n_layers", "d_emb"}


def test_a_budget_counts_the_weights_of_its_backbone():
    points = pd.DataFrame({"n_layers": [8], "d_emb": [128]})
    weights = model_size.layer_parameters(8, 128, "sasrec")
    assert weights < model_size.layer_parameters(8, 128, "llama")
    assert len(optimum.within_budget(points, weights, backbone="sasrec")) == 1
    with pytest.raises(InputError, match="no candidate has at most"):
        optimum.within_budget(points, weights)


def test_a_length_below_one_is_refused():
    with pytest.raises(InputError, match="max_seq_len is -5; it must be 1 or more"):
        optimum.find_optimum(fitted("clean"), flops=1e6, max_seq_len=-5)


def test_compute_budgets():
    points = GRID.assign(max_seq_len=100)
    cheap = optimum.within_budget(points, flops=model_size.flops_per_token(8, 50, 100))
    assert ((cheap["n_layers"] <= 8) | (cheap["d_emb"] < 50)).all()
    assert len(cheap) < len(points)
    clean = fitted("clean")
    budget = model_size.flops_per_token(8, 50, 100)
    best = optimum.find_optimum(clean, flops=budget, max_seq_len=100, n_draws=20)
    assert 0.9 * budget < model_size.flops_per_token(best.n_layers, best.d_emb, 100) <= budget
    assert best.value < optimum.find_optimum(clean, n_draws=20).value
    found = fitting.fit(
        families.compute_power(), points, np.log(points["n_layers"]) + np.log(points["d_emb"])
    )
    assert (
        optimum.find_optimum(
            found, flops=model_size.flops_per_token(8, 50, 100), n_draws=20
        ).n_layers
        <= 32
    )


def test_the_plan_stays_unless_it_is_sure():
    measured = np.array([0.30, 0.31, np.nan])
    rng = np.random.default_rng(0)
    unsure = np.array([0.30, 0.31, 0.32]) + rng.normal(0, [0.001, 0.001, 0.03], (4000, 3))
    sure = np.array([0.30, 0.31, 0.35]) + rng.normal(0, [0.001, 0.001, 0.02], (4000, 3))
    stay, go = design.choose_by_law(unsure, measured), design.choose_by_law(sure, measured)
    assert (stay.choice, stay.best_median) == (1, 2)
    assert 0.5 < stay.chance < 0.9
    assert go.choice == 2
    assert go.chance > 0.9


def test_a_draw_far_out_does_not_make_a_candidate_the_best():
    draws = np.array([[0.30, 0.29]] * 999 + [[0.30, 1e6]])
    plan = design.choose_by_law(draws, np.full(2, np.nan))
    assert plan.choice == 0
    assert plan.best_median == 0


def test_the_runs_that_tell_most():
    mean, noise = np.array([0.0, 0.0, -3.0, -0.1]), np.full(4, 0.01)
    covariance = np.diag([0.01, 1.0, 1.0, 0.5])
    assert design.next_runs(mean, covariance, noise, 2) == [
        1,
        3,
    ]  # uncertain and perhaps best; 2 is hopeless


def test_the_knowledge_gradient_is_the_expected_gain():
    mean, covariance = np.array([0.0, -0.2]), np.array([[0.04, 0.0], [0.0, 1.0]])
    draws = np.random.default_rng(0).normal(size=400_000)
    gain = np.maximum(0.0, -0.2 + draws * 1.0 / np.sqrt(1.1)).mean()
    other = np.maximum(draws * 0.04 / np.sqrt(0.14), -0.2).mean()
    assert (design.next_runs(mean, covariance, np.full(2, 0.1), 1) == [1]) == (gain > other)


def test_seeds_by_the_textbook():
    # two means of n values, sd 4.5 %, a difference of 3 %: n = 2 (1.96 + .84)^2 (.045 / .03)^2
    assert design.seeds_needed(0.03, 0.045) == np.ceil(2 * (1.959964 + 0.841621) ** 2 * 1.5**2)
    assert design.seeds_needed(0.03, 0.045, user_sd=0.005) > design.seeds_needed(0.03, 0.045)
    assert design.seeds_needed(0.03, 0.045, user_sd=0.02) == np.inf
    assert design.seeds_needed(0.5, 0.001) == 1


@pytest.mark.integration
def test_the_plan_replayed_on_the_published_surfaces():
    found = planning.replay_plans(published.load_surfaces(), budgets=(1.0, 0.5), n_draws=2000)
    assert len(found) == 2 * 20 * 2 * 6
    assert (found["ln regret"] >= -1e-12).all()
    within = (found["noises"] <= 1).groupby([found["rule"], found["split"], found["budget"]]).sum()
    assert within["guarded plan"].min() >= 16
    assert within["largest model"].max() < 10
    half = found[found["budget"] == 0.5]
    size = 12 * half["n_layers"] * half["d_emb"] ** 2
    assert (
        size <= 0.5 * 12 * half["dataset"].map({"Industrial": 64 * 1024**2}).fillna(32 * 100**2) + 1
    ).all()


@pytest.mark.parametrize(
    ("ask", "told"),
    [
        (
            lambda: optimum.find_optimum(fitted("clean"), parameters=10),
            "no candidate has at most 10 parameters; the smallest has",
        ),
        (lambda: optimum.find_optimum(fitted("clean"), flops=1e9), "needs the column max_seq_len"),
        (lambda: optimum.find_optimum(fitted("clean"), reach=0.5), "reach is 0.5"),
        (lambda: optimum.within_budget(GRID[:0]), "no candidate to choose from"),
        (
            lambda: design.choose_by_law(np.zeros((3, 0)), np.array([])),
            "no candidate to choose from",
        ),
        (
            lambda: design.choose_by_law(np.zeros((3, 2)), np.array([1.0, 2.0]), confidence=90),
            "between 0 and 1",
        ),
        (lambda: design.next_runs(np.array([]), np.zeros((0, 0)), np.array([])), "no candidate"),
        (
            lambda: optimum.closed_form_optimum(fitted("clean", families.log_quadratic())),
            "the Performance Law's",
        ),
        (lambda: design.seeds_needed(0, 0.01), "above 0"),
    ],
)
def test_impossible_questions_get_one_line(ask, told):
    with pytest.raises(InputError, match=told):
        ask()


def test_a_law_without_the_asked_axis():
    @families.register_family
    def layers_only():
        return families.Law(
            "layers_only",
            "b",
            ("n_layers",),
            ("b", "a"),
            families.log_linear(axes=("n_layers",)).basis,
        )

    try:
        found = fitting.fit(
            families.get_law("layers_only"), GRID[GRID["d_emb"] == 25], [1.0, 2, 3, 4, 5, 7]
        )
        with pytest.raises(InputError, match="no axis d_emb to choose"):
            optimum.find_optimum(found)
    finally:
        del families.FAMILIES["layers_only"]


def test_with_a_negative_k_there_is_no_stationary_point():
    grid = pd.DataFrame(
        [(n, d) for n in (1, 2, 4, 8) for d in (8, 16, 32, 64)], columns=["n_layers", "d_emb"]
    )
    y = 0.1 + 0.01 * np.log(grid["n_layers"]) + 0.02 * np.log(grid["d_emb"])
    places = optimum.closed_form_optimum(fitting.fit(families.performance(k=-2), grid, y))
    assert not any(place["maximum"] for place in places.values())


def test_a_power_that_cannot_be_is_refused():
    with pytest.raises(InputError, match="power = 2 is not usable"):
        design.seeds_needed(0.03, 0.045, power=2)
