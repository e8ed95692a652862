"""Laws whose exponents are shrunk, and laws under equal bounds."""

import pickle

import numpy as np
import pytest
from scipy.optimize import minimize

from perflaw.errors import InputError
from perflaw.laws import families, fitting, get_law, load_fit, save_fit, validation, varpro
from perflaw.laws.law import with_penalty
from perflaw.study.paper.simulation import GRID, SCENARIOS, simulate_surfaces

Y = simulate_surfaces(SCENARIOS["clean"], 1, 0)[0]
CENTRES = {"p_N": 0.4, "p_d": -0.3}


def objective(theta, law, strength):
    """The share of squares left with the linear parameters solved, and the penalty."""
    columns = law.basis({axis: GRID[axis].to_numpy(float) for axis in law.axes}, theta)
    residual = Y - columns @ np.linalg.lstsq(columns, Y)[0]
    distance = theta - np.array(list(CENTRES.values()))
    share = residual @ residual / np.sum((Y - Y.mean()) ** 2)
    return share + strength * (distance @ distance)


@pytest.mark.parametrize("family", ["performance", "sum_of_powers"])
@pytest.mark.parametrize("strength", [0.001, 0.1])
def test_it_is_the_least_of_the_penalised_objective(family, strength):
    law = families.with_bounds(get_law(family), -1, 1)
    fitted = fitting.fit(with_penalty(law, CENTRES, strength), GRID, Y)
    starts = [np.array(start) for start in ((0.4, -0.3), (0.0, 0.1), (-0.5, 0.5))]
    best = min(
        minimize(objective, start, (law, strength), bounds=[(-1, 1)] * 2, tol=1e-12).fun
        for start in starts
    )
    assert objective(fitted.theta, law, strength) == pytest.approx(best, rel=1e-6)


def test_a_strong_penalty_holds_the_exponents_and_none_leaves_them():
    law = get_law("performance")
    held = fitting.fit(with_penalty(law, CENTRES, 1e6), GRID, Y)
    assert held.theta == pytest.approx([0.4, -0.3], abs=1e-4)
    assert with_penalty(law, CENTRES, 0.0) == law


def test_the_unit_of_the_metric_does_not_matter():
    law = with_penalty(get_law("performance"), CENTRES, 0.01)
    first, second = (fitting.fit(law, GRID, scale * Y + 3).theta for scale in (1, 1000))
    assert first == pytest.approx(second, rel=1e-4)


def test_a_batch_shrinks_each_problem_as_alone():
    law = with_penalty(get_law("performance"), CENTRES, 0.01)
    weights = 1 - np.eye(len(Y))[:3]
    batch = varpro.solve_batch(law, GRID, Y, weights)
    alone = [varpro.solve_batch(law, GRID, Y, row).theta[0] for row in weights]
    assert batch.theta == pytest.approx(np.array(alone), abs=1e-6)


def test_a_shrunk_law_has_no_profile_interval():
    fitted = fitting.fit(with_penalty(get_law("performance"), CENTRES, 0.01), GRID, Y)
    with pytest.raises(InputError, match="has no profile interval"):
        fitted.interval(GRID)
    with pytest.raises(InputError, match="has no profile interval"):
        fitted.profile("p_N")


def test_hidden_cells_of_a_shrunk_law_have_no_coverage():
    law = with_penalty(get_law("performance"), CENTRES, 0.01)
    assert validation.heldout_predictions(law, GRID, Y)["covered"].isna().all()


def test_a_shrunk_law_survives_pickle_and_json(tmp_path):
    law = with_penalty(get_law("performance", k=4.0), CENTRES, 0.01)
    fitted = fitting.fit(law, GRID, Y)
    save_fit(fitted, tmp_path / "law.json")
    assert load_fit(tmp_path / "law.json").law.penalty == law.penalty
    assert pickle.loads(pickle.dumps(law)).penalty == law.penalty


@pytest.mark.parametrize(
    ("centres", "strength", "message"),
    [({"p_x": 0.0}, 0.1, "no exponent 'p_x'; it has p_N, p_d"), (CENTRES, -1.0, "0 or more")],
)
def test_a_wrong_penalty_is_refused(centres, strength, message):
    with pytest.raises(InputError, match=message):
        with_penalty(get_law("performance"), centres, strength)


def test_rival_laws_compete_under_equal_bounds():
    bounds = {pair for law in families.rival_laws(0.5).values() for pair in law.exponents.values()}
    assert bounds == {(-0.5, 0.5)}
