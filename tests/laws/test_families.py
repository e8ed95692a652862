import numpy as np
import pandas as pd
import pytest

from perflaw import model_size
from perflaw.errors import InputError
from perflaw.laws import families, fitting, paper_form, powers
from perflaw.study.paper import simulation

X = {
    "n_layers": np.array([2.0, 8, 64]),
    "d_emb": np.array([16.0, 64, 1024]),
    "max_seq_len": np.array([50.0, 50, 50]),
}
LAWS = {
    **families.rival_laws(),
    "kappa": families.performance_kappa(kappa=3.0),
    "k = 16": families.performance(k=16),
}


@pytest.mark.parametrize("function", [powers.boxcox, powers.bend])
def test_powers_pass_smoothly_through_exponent_zero(function):
    x = np.array([1.0, 3, 50, 1000])
    at_zero = function(x, 0.0)
    assert np.allclose(at_zero, np.log(x) if function is powers.boxcox else np.log(x) ** 2)
    for p in (1e-9, -1e-9, 1e-5, -1e-5):
        assert np.allclose(function(x, p), at_zero, rtol=1e-3, atol=1e-12)
    near, far = function(x, 0.9999e-3 / np.log(1000)), function(x, 1.0001e-3 / np.log(1000))
    assert np.allclose(near, far, rtol=1e-6)  # where the series takes over


def test_boxcox_is_a_power_law():
    assert powers.boxcox(8.0, -1.0) == pytest.approx(7)
    assert powers.boxcox(4.0, 0.5) == pytest.approx((1 - 4**-0.5) / 0.5)


@pytest.mark.parametrize("name", LAWS)
def test_a_law_has_one_column_a_linear_parameter(name):
    law = LAWS[name]
    theta = np.full((4, 2, len(law.exponents)), 0.3)
    columns = law.basis(X, theta)
    assert columns.shape[-2:] == (3, len(law.linear))
    assert np.allclose(np.broadcast_to(columns, (4, 2, 3, len(law.linear)))[..., 0], 1), (
        "the intercept comes first"
    )
    assert len(set(law.parameters)) == len(law.parameters)


@pytest.mark.parametrize("k", [0.5, 2.0, 24.0])
def test_the_scaled_form_is_the_papers_law(k):
    law = families.performance(k=k)
    parameters = {"b": 0.2, "w_N": -0.07, "w_d": -0.4, "p_N": -0.25, "p_d": 0.6}
    ours = law.basis(X, np.array([-0.25, 0.6])) @ np.array([0.2, -0.07, -0.4])
    paper = paper_form.paper_parameters(parameters, k)
    data = {"w5": 0.3, "D": 7.0}
    term = -1 / (k * 7.0**0.3) - 0.3 * np.log(7.0)
    theirs = paper_form.paper_surface(X, **{**paper, "b": paper["b"] - term}, **data, k=k)
    assert np.allclose(ours, theirs, rtol=1e-12)


def test_kappa_is_another_name_for_k():
    k, p = 3.0, -0.4
    by_k = families.performance(k=k).basis(X, np.array([p, p]))
    by_kappa = families.performance_kappa(kappa=-1 / (k * p)).basis(X, np.array([p, p]))
    for i in (1, 2):  # the same curve but for a constant and the sign
        assert np.ptp(by_k[:, i] + by_kappa[:, i]) == pytest.approx(0, abs=1e-12)


def test_the_papers_jacobian_by_complex_steps_matches_differences():
    parameters = {"w1": 0.3, "w2": 2.0, "w3": -0.25, "w4": -0.2, "w5": 0.7, "b": 0.1, "D": 1.3}
    exact = paper_form.paper_jacobian(X, parameters)
    for i, name in enumerate(parameters):
        up, down = ({**parameters, name: parameters[name] + sign * 1e-6} for sign in (1, -1))
        slope = (paper_form.paper_surface(X, **up) - paper_form.paper_surface(X, **down)) / 2e-6
        assert np.allclose(exact[:, i], slope, rtol=1e-6)


def test_parameters_and_flops_by_the_documented_formula():
    groups = model_size.parameters_by_group(n_layers=2, d_emb=64, n_items=1000)
    assert groups["embedding"] == 64_000
    assert groups["attention"] == 2 * 4 * 64 * 64
    assert groups["feed_forward"] == 2 * 2 * 64 * 256
    assert groups["norm"] == 5 * 64
    weights = groups["attention"] + groups["feed_forward"]
    attended = (
        2 * 2 * (2 * 64) * (101 / 2)
    )  # scores and mixing, mean of 1 ... 100 positions, two layers
    assert model_size.flops_per_token(2, 64, 100, n_scored=2) == pytest.approx(
        3 * (2 * weights + attended + 2 * 2 * 64)
    )


def test_adding_a_law_needs_nothing_else():
    @families.register_family
    def square_root(axes=families.AXES):
        def basis(x, theta):
            return np.stack([np.ones_like(x[axes[0]]), *(np.sqrt(x[a]) for a in axes)], axis=-1)

        return families.Law(
            "square_root", r"b + a\sqrt x", axes, ("b", "a_N", "a_d"), basis, options={"axes": axes}
        )

    try:
        points = simulation.GRID
        found = fitting.fit(
            families.get_law("square_root"),
            points,
            1 + 2 * np.sqrt(points["n_layers"]) - np.sqrt(points["d_emb"]),
        )
        assert np.allclose(found.parameters, [1, 2, -1])
    finally:
        del families.FAMILIES["square_root"]


def test_tokens_can_be_an_axis():
    points = pd.DataFrame(
        [(n, d, t) for n in (2, 4, 8) for d in (16, 32, 64) for t in (1e5, 1e6, 1e7)]
    )
    points.columns = ["n_layers", "d_emb", "tokens"]
    law = families.get_law("sum_of_powers", axes=("n_layers", "d_emb", "tokens"))
    y = (
        0.3
        - 0.1 / points["n_layers"] ** 0.5
        - 0.4 / points["d_emb"] ** 0.4
        - 3 / points["tokens"] ** 0.3
    )
    found = fitting.fit(law, points, y)
    assert found.r2 > 1 - 1e-9
    assert found.parameters["p_D"] == pytest.approx(0.3, abs=1e-3)


@pytest.mark.parametrize(
    ("name", "options", "told"),
    [
        ("nonesuch", {}, "there are performance"),
        ("performance", {"kk": 2}, "no option 'kk'"),
        ("performance", {"k": "two"}, "cannot be 'two'"),
        ("performance", {"k": True}, "cannot be True"),
        ("performance", {"k": 0}, "divides by zero"),
        ("performance", {"k": 1}, "a parabola in ln x; take the law log_quadratic"),
        ("performance", {"axes": "n_layers"}, "cannot be 'n_layers'"),
        ("parameter_power", {"axes": ("n_layers",)}, "it has none"),
    ],
)
def test_a_law_that_does_not_exist_is_refused(name, options, told):
    with pytest.raises(InputError, match=told):
        families.get_law(name, **options)


def test_the_formula_of_products_names_the_axes():
    law = families.log_quadratic(("d_emb", "tokens"), interaction=True)
    assert law.formula.endswith(r"e_{dD}\,\ln d\ln D")
    assert "e_dD" in law.linear


def test_bounds_between_which_there_is_nothing_are_refused():
    with pytest.raises(InputError, match="between the bounds 1 and -1 there is no exponent"):
        families.with_bounds(families.performance(), 1, -1)
