import pickle

import numpy as np
import pandas as pd
import pytest

sklearn = pytest.importorskip("sklearn")

from sklearn.model_selection import GridSearchCV, cross_val_score  # noqa: E402
from sklearn.utils.estimator_checks import parametrize_with_checks  # noqa: E402

from perflaw.errors import InputError  # noqa: E402
from perflaw.laws import LawRegressor, get_law, varpro  # noqa: E402
from perflaw.study.paper.simulation import GRID, SCENARIOS, simulate_surfaces  # noqa: E402

Y = simulate_surfaces(SCENARIOS["clean"], 1, 0)[0]
# scikit-learn's data include features of 0, so an offset of 1 puts them where laws are defined.
# With it nothing is expected to fail; without it every check that fits does, in one line:
# "x0 is 0 in row 6; it must be 1 or more".
CHECKED = LawRegressor("log_linear", offset=1.0)
EXPECTED_FAILURES: dict[str, str] = {}


@parametrize_with_checks([CHECKED], expected_failed_checks=lambda _: EXPECTED_FAILURES)
def test_scikit_learns_checks(estimator, check):
    check(estimator)


def test_a_size_below_one_is_refused():
    with pytest.raises(InputError, match="x0 is 0 in row 1; it must be 1 or more"):
        LawRegressor("log_linear").fit(np.arange(12.0).reshape(4, 3), [1, 2, 3, 5])


def test_it_predicts_what_the_law_predicts():
    model = LawRegressor("performance", options={"k": 4.0}).fit(GRID, Y)
    assert np.array_equal(model.predict(GRID), model.fit_.predict(GRID))


def test_options_of_a_law_that_is_made_already_are_refused():
    model = LawRegressor(get_law("performance"), options={"k": 4.0})
    with pytest.raises(ValueError, match="options are of a family that is named"):
        model.fit(GRID, Y)


def test_the_score_is_r2():
    model = LawRegressor("log_quadratic").fit(GRID, Y)
    assert model.score(GRID, Y) == pytest.approx(model.fit_.r2)


def test_columns_name_the_axes():
    points = GRID.rename(columns={"d_emb": "tokens"})
    assert "a_D" in LawRegressor("log_linear").fit(points, Y).fit_.parameters


def test_an_array_has_the_laws_own_axes():
    model = LawRegressor("parameter_power").fit(GRID.to_numpy(), Y)
    assert model.fit_.law.axes == ("n_layers", "d_emb")


def test_axes_of_another_number_are_refused():
    with pytest.raises(ValueError, match="X has 2 columns, but axes names 1: d_emb"):
        LawRegressor("log_linear", axes=("d_emb",)).fit(GRID, Y)


def test_a_law_of_too_many_exponents_is_refused_at_once():
    X = np.random.default_rng(0).uniform(1, 50, (60, 7))
    with pytest.raises(InputError, match="has 7 exponents here, one an axis, and can be searched"):
        LawRegressor("performance").fit(X, np.log(X).sum(axis=1))


@pytest.mark.integration
def test_the_search_over_many_points_is_bounded():
    axes = {f"x{i}": np.linspace(1, 50, 3000) + i for i in range(5)}
    law = get_law("performance", axes=tuple(axes))
    lattice = varpro.exponent_lattice(law, axes)
    assert 2**5 <= len(lattice) < 5000


def test_repeated_rows_are_repeated_runs():
    twice = pd.concat([GRID, GRID], ignore_index=True)
    assert LawRegressor("log_linear").fit(twice, np.tile(Y, 2)).fit_.dof == 45


def test_it_works_in_cross_validation():
    scores = cross_val_score(LawRegressor("log_quadratic"), GRID, Y, cv=4)
    assert np.isfinite(scores).all()


@pytest.mark.integration
def test_a_grid_search_chooses_the_law_that_made_the_data():
    grid = {"law": ["constant", "log_linear", "log_quadratic"], "loss": ["squares", "huber"]}
    search = GridSearchCV(LawRegressor(), grid, cv=4, scoring="neg_mean_squared_error")
    assert search.fit(GRID, Y).best_params_["law"] == "log_quadratic"


@pytest.mark.parametrize("name", ["performance", "log_quadratic", "compute_power"])
def test_a_pickled_law_is_the_same_law(name):
    law = get_law(name)
    again = pickle.loads(pickle.dumps(law))
    assert (again.name, again.parameters, again.exponents) == (
        law.name,
        law.parameters,
        law.exponents,
    )


def test_a_law_that_there_is_not_is_named():
    sizes = pd.DataFrame({"n_layers": [1.0, 2, 4, 8], "d_emb": [8.0, 16, 8, 16]})
    with pytest.raises(InputError, match="no_such_law"):
        LawRegressor("no_such_law").fit(sizes, [0.1, 0.2, 0.3, 0.4])


def test_an_axis_called_seed_is_refused():
    sizes = pd.DataFrame({"n_layers": [1.0, 2, 4, 8], "seed": [8.0, 16, 8, 16]})
    with pytest.raises(ValueError, match="cannot be called 'seed'"):
        LawRegressor("log_linear").fit(sizes, [0.1, 0.2, 0.3, 0.4])
