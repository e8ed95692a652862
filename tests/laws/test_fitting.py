import json
import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import curve_fit
from scipy.stats import t as student

from perflaw.errors import InputError
from perflaw.laws import (
    families,
    fitting,
    identifiability,
    paper_form,
    profile,
    robust,
    serialization,
    validation,
    varpro,
)
from perflaw.study.paper import published, simulation
from perflaw.study.paper.simulation import GRID

LAW = families.performance()


def surface(scenario="clean", draw=0, seed=0):
    return simulation.simulate_surfaces(simulation.SCENARIOS[scenario], draw + 1, seed)[draw]


def exact(scenario="clean"):
    truth = simulation.SCENARIOS[scenario].truth
    return LAW.basis(
        {a: GRID[a].to_numpy(float) for a in GRID}, truth.to_numpy()[3:]
    ) @ truth.to_numpy()[:3], truth


# ---------------------------------------------------------------- the fit


@pytest.mark.parametrize("scenario", simulation.SCENARIOS)
def test_noise_free_surfaces_give_the_parameters_back(scenario):
    y, truth = exact(scenario)
    found = fitting.fit(LAW, GRID, y)
    assert np.allclose(found.predict(GRID), y, atol=1e-5)  # a five-hundredth of the noise
    if scenario == "clean":
        assert np.allclose(found.parameters, truth, rtol=1e-3)


@pytest.mark.integration
def test_the_search_finds_what_a_search_ten_times_as_dense_finds(monkeypatch):
    table = published.load_surfaces()
    for law in (LAW, families.performance_free_k(), families.sum_of_powers()):
        ours = fitting.fit_surfaces(law, table, published.SURFACE)
        with monkeypatch.context() as dense:
            dense.setattr(varpro, "GRID", 131)
            dense.setattr(varpro, "VALLEYS", 25)
            best = fitting.fit_surfaces(law, table, published.SURFACE)
        for key, found in ours.items():
            assert found.r2 > best[key].r2 - 1e-6, (law.name, key)


@pytest.mark.integration
def test_never_below_the_authors_recipe():
    def theirs(x, w1, w2, w3, w4, w5, b, D):
        return paper_form.paper_surface({"n_layers": x[0], "d_emb": x[1]}, w1, w2, w3, w4, w5, b, D)

    table = published.load_surfaces()
    for key, found in fitting.fit_surfaces(LAW, table, published.SURFACE).items():
        x = found.points.to_numpy(float).T
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            parameters, _ = curve_fit(theirs, x, found.y, p0=np.ones(7), maxfev=500_000)
        rss = np.sum((found.y - theirs(x, *parameters)) ** 2)
        assert found.r2 > 1 - rss / np.sum((found.y - found.y.mean()) ** 2) - 1e-9, key


def test_surfaces_fitted_together_or_alone_are_the_same():
    table = published.load_surfaces().query("dataset == 'Industrial'")
    for key, together in fitting.fit_surfaces(LAW, table, published.SURFACE).items():
        rows = table[(table[published.SURFACE] == list(key)).all(axis=1)]
        alone = fitting.fit(LAW, rows, rows["value"])
        assert np.allclose(together.parameters, alone.parameters, rtol=1e-6)


def test_the_same_input_gives_the_same_numbers():
    first, second = (fitting.fit(LAW, GRID, surface()) for _ in range(2))
    assert first.parameters.equals(second.parameters)
    assert first.bootstrap(20, seed=3).equals(second.bootstrap(20, seed=3))
    assert not first.bootstrap(20, seed=3).equals(first.bootstrap(20, seed=4))


def test_r2_and_aicc_by_hand():
    y = surface()
    found = fitting.fit(families.log_linear(), GRID, y)
    design = np.column_stack([np.ones(24), np.log(GRID["n_layers"]), np.log(GRID["d_emb"])])
    beta, rss, *_ = np.linalg.lstsq(design, y)
    assert np.allclose(found.parameters, beta)
    assert found.r2 == pytest.approx(1 - rss[0] / np.sum((y - y.mean()) ** 2))
    assert found.aicc == pytest.approx(24 * np.log(rss[0] / 24) + 8 + 2 * 4 * 5 / 19)


@pytest.mark.integration
def test_huber_shrugs_off_a_tenth_of_diverged_runs():
    clean = surface()
    diverged = clean.copy()
    diverged[[5, 17]] = 0.002
    reference = fitting.fit(LAW, GRID, clean)
    robust = fitting.fit(LAW, GRID, diverged, loss="huber")
    squares = fitting.fit(LAW, GRID, diverged)
    noise = simulation.NOISE * simulation.MEAN
    assert np.abs(robust.predict(GRID) - reference.predict(GRID)).max() < 1.5 * noise
    assert np.abs(squares.predict(GRID) - reference.predict(GRID)).max() > 5 * noise
    assert robust.weights[[5, 17]].max() < 0.05


def test_status_tells_what_stands_in_the_way():
    y, _ = exact("clean")
    assert fitting.fit(LAW, GRID, y).status == "converged"
    steep = fitting.fit(families.sum_of_powers(), GRID, 0.3 - GRID["n_layers"] ** -6.0)
    assert "at a bound: p_N" in steep.status
    only_layers = fitting.fit(LAW, GRID, np.log(GRID["n_layers"]))
    assert "p_d" in only_layers.not_identified


def test_two_optima_that_fit_alike_are_told_and_decided_by_rule():
    """With three values of d left, an exponent and a weight pass through all three, in two ways."""
    surface = published.load_surfaces().query(
        "dataset == 'KuaiRand-Pure' and max_seq_len == 25 and metric == 'NDCG@10' and d_emb < 100"
    )
    found = fitting.fit(LAW, surface, surface["value"])
    assert found.tied
    assert "several optima" in found.status
    assert -0.5 < found.parameters["p_d"] < 0, "the smaller exponent"


def test_held_out_predictions_do_not_depend_on_the_grid(monkeypatch):
    surface = published.load_surfaces().query(
        "dataset == 'MovieLens-1M' and max_seq_len == 150 and metric == 'HR@10'"
    )
    law = families.performance_free_k()
    first = validation.heldout_predictions(law, surface, surface["value"])
    monkeypatch.setattr(varpro, "GRID", 67)
    monkeypatch.setattr(varpro, "VALLEYS", 9)
    assert np.allclose(
        first["predicted"],
        validation.heldout_predictions(law, surface, surface["value"])["predicted"],
        rtol=2e-3,
    )


def test_exponents_held_one_by_one_are_those_of_a_pinned_fit():
    found = fitting.fit(LAW, GRID, surface())
    values = [-1.0, -0.3, 0.0, 0.5]
    together = profile.pinned_solution(found, "p_N", values)
    for value, rss in zip(values, together.rss):
        assert rss == pytest.approx(
            varpro.solve_batch(profile.hold_exponent(LAW, "p_N", value), GRID, found.y).rss[0],
            rel=1e-6,
        )


def test_a_basis_of_the_wrong_shape_is_refused():
    naive = replace(LAW, basis=lambda x, theta: LAW.basis(x, theta[0]))
    with pytest.raises(InputError, match="the basis of performance gave shape"):
        fitting.fit(naive, GRID, surface())


# ---------------------------------------------------------------- intervals


def test_intervals_of_a_linear_law_are_the_textbook_ones():
    y = surface()
    found = fitting.fit(families.log_linear(), GRID, y)
    design = np.column_stack([np.ones(24), np.log(GRID["n_layers"]), np.log(GRID["d_emb"])])
    covariance = np.linalg.inv(design.T @ design)
    new = pd.DataFrame({"n_layers": [10, 64], "d_emb": [60, 200]})
    row = np.column_stack([np.ones(2), np.log(new["n_layers"]), np.log(new["d_emb"])])
    spread = np.einsum("mp,pq,mq->m", row, covariance, row)
    for new_run in (True, False):
        half = student.ppf(0.95, 21) * found.sigma * np.sqrt(spread + new_run)
        interval = found.interval(new, 0.9, new_run)
        assert np.allclose(interval["high"] - interval["prediction"], half)
        assert np.allclose(interval["prediction"] - interval["low"], half)
    assert list(interval["beyond"]) == [False, True]
    low, high = found.profile("a_N", 0.9)
    assert (high - low) / 2 == pytest.approx(
        student.ppf(0.95, 21) * found.sigma * np.sqrt(covariance[1, 1])
    )


def test_ends_of_an_exponents_interval_use_up_what_is_allowed():
    found = fitting.fit(LAW, GRID, surface())
    limit = profile.profile_threshold(found.rss, found.dof, 0.95)
    low, high = found.profile("p_N", 0.95)
    assert low < found.parameters["p_N"] < high
    for end in (low, high):
        assert varpro.solve_batch(profile.hold_exponent(LAW, "p_N", end), GRID, found.y).rss[
            0
        ] == pytest.approx(limit, rel=1e-3)


def test_an_interval_is_open_where_the_data_leave_it_open():
    low, high = fitting.fit(LAW, GRID, surface("near log-linear")).profile("p_N")
    assert np.isinf(low) or np.isinf(high)
    assert np.isfinite(fitting.fit(LAW, GRID, surface("clean")).profile("p_N")).all()


def test_a_wider_level_gives_a_wider_interval():
    found = fitting.fit(LAW, GRID, surface())
    narrow, wide = (found.interval(GRID, level) for level in (0.5, 0.95))
    assert (wide["low"] < narrow["low"]).all()
    assert (wide["high"] > narrow["high"]).all()
    assert narrow["prediction"].between(narrow["low"], narrow["high"]).all()


@pytest.mark.integration
@pytest.mark.parametrize("law", [LAW, families.log_quadratic()], ids=lambda law: law.name)
def test_held_out_coverage_is_that_of_the_intervals(law):
    y = surface(seed=5)
    cells = validation.heldout_predictions(law, GRID, y, level=0.7)
    assert cells["split"].value_counts().to_dict() == {
        "leave-one-out": 24,
        "larger N": 8,
        "largest d": 6,
    }
    for split, mask in validation.hidden_cells(GRID).items():
        for fold in mask[:8]:
            seen = fitting.fit(law, GRID[~fold], y[~fold])
            interval = seen.interval(GRID[fold], 0.7)
            told = cells[(cells["split"] == split) & cells["row"].isin(np.flatnonzero(fold))]
            assert np.allclose(told["predicted"], interval["prediction"], rtol=1e-4)
            slack = np.minimum(y[fold] - interval["low"], interval["high"] - y[fold]).to_numpy()
            clear = np.abs(slack) > 2e-4  # the interval's ends are good to about this
            assert np.array_equal((slack > 0)[clear], told["covered"].to_numpy()[clear])


def test_bootstrap_spread_is_about_the_standard_error():
    found = fitting.fit(families.log_linear(), GRID, surface("near log-linear"))
    low, high = found.profile("a_N", 0.95)
    error = (high - low) / 2 / student.ppf(0.975, 21)
    assert found.bootstrap(2000)["a_N"].std() == pytest.approx(error, rel=0.4)


def test_no_draw_of_the_bootstrap_loses_a_value_of_an_axis():
    """Without noise every draw that keeps three values of N and d finds the same parabola."""
    grid = pd.DataFrame(
        [(n, d) for n in (1, 2, 4) for d in (8, 16, 32)], columns=["n_layers", "d_emb"]
    )
    log_n, log_d = np.log(grid["n_layers"]), np.log(grid["d_emb"])
    found = fitting.fit(families.log_quadratic(), grid, 0.1 + 0.02 * log_d - 0.01 * log_n**2)
    assert np.allclose(found.bootstrap(400), found.parameters.to_numpy(), atol=1e-6)


# ---------------------------------------------------------------- identification


def test_seven_published_parameters_have_five_directions_at_most():
    for found in fitting.fit_surfaces(LAW, published.load_surfaces(), published.SURFACE).values():
        paper = paper_form.paper_parameters(found.parameters)
        jacobian = paper_form.paper_jacobian(found.points, {**paper, "w5": 1.0, "D": 2.0})
        assert jacobian.shape[1] == 7
        assert identifiability.numerical_rank(jacobian) <= 5


def test_points_that_are_left_out_identify_nothing():
    found = fitting.fit(families.log_quadratic(), GRID, surface())
    assert found.not_identified == ()
    few = replace(found, weights=GRID["d_emb"].isin([25, 50]).to_numpy(float))
    assert few.not_identified == ("b", "a_d", "c_d")


def test_an_exponent_that_is_held_is_at_no_bound():
    held = fitting.fit(profile.hold_exponent(LAW, "p_N", 0.3), GRID, surface())
    assert "p_N" not in held.at_bound


def test_rank_counts_directions():
    columns = np.random.default_rng(0).normal(size=(20, 3))
    assert identifiability.numerical_rank(columns) == 3
    assert identifiability.numerical_rank(np.column_stack([columns, columns @ [1, 2, 3]])) == 3
    assert identifiability.numerical_rank(np.column_stack([columns, np.zeros(20)])) == 3


# ---------------------------------------------------------------- saving


@pytest.mark.integration
def test_a_saved_law_predicts_the_same(tmp_path):
    for law, loss in [
        (families.performance(k=4), "huber"),
        (families.log_quadratic(interaction=True), "squares"),
    ]:
        found = fitting.fit(law, GRID, surface(), loss)
        serialization.save_fit(found, tmp_path / "law.json", "HR@10")
        again = serialization.load_fit(tmp_path / "law.json")
        assert again.law.name == law.name
        assert again.interval(GRID).equals(found.interval(GRID))
    bounded = fitting.fit(families.with_bounds(LAW, -0.2, 0.2), GRID, surface())
    serialization.save_fit(bounded, tmp_path / "law.json")
    assert serialization.load_fit(tmp_path / "law.json").status == bounded.status != "converged"


def with_bounds(record, pair):
    """Give all exponents of a law file other bounds."""
    return record | {
        "law": record["law"] | {"bounds": dict.fromkeys(record["law"]["bounds"], pair)}
    }


@pytest.mark.integration
@pytest.mark.parametrize("loss", fitting.LOSSES)
def test_a_fit_by_any_loss_is_saved_and_read_again(tmp_path, loss):
    values = surface()
    values[3] /= 2
    fitted = fitting.fit(LAW, GRID, values, loss)
    serialization.save_fit(fitted, tmp_path / "law.json")
    again = serialization.load_fit(tmp_path / "law.json")
    assert again.weights.tolist() == fitted.weights.tolist()
    assert (0 in again.weights) == (loss == "consensus")


@pytest.mark.parametrize("scale", [1e300, 1e-300])
def test_values_that_cannot_be_squared_are_refused(scale):
    with pytest.raises(InputError, match="too far from 1 to be squared; use another unit"):
        fitting.fit(LAW, GRID, scale * surface())


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda record: record | {"schema": 99}, "version 99"),
        (lambda record: {}, "is not a law file, though it is JSON; perflaw fit --out writes one"),
        (lambda record: [1, 2], "is not a law file, though it is JSON"),
        (
            lambda record: {k: v for k, v in record.items() if k != "points"},
            "not a complete law file",
        ),
        (lambda record: record | {"parameters": {"b": 1}}, "not a complete law file"),
        (lambda record: record | {"values": record["values"][1:]}, "differ in number"),
        (
            lambda record: record | {"parameters": record["parameters"] | {"b": None}},
            "a number is missing",
        ),
        (
            lambda record: record | {"law": {"family": "nonesuch", "options": {}}},
            "no law is called",
        ),
        (lambda record: record | {"weights": [-1, *record["weights"][1:]]}, "a weight is below 0"),
        (lambda record: record | {"weights": [0] * len(record["weights"])}, "too few are above"),
        (lambda record: record | {"metric": 5}, "its metric is no text"),
        (
            lambda record: record | {"parameters": record["parameters"] | {"b": 0.5}},
            "its parameters, points and values do not give its r2",
        ),
        (
            lambda record: record | {"law": record["law"] | {"options": {"k": 7.0}}},
            "its parameters, points and values do not give its r2",
        ),
        (lambda record: record | {"values": [10**400, *record["values"][1:]]}, "not a complete"),
        (lambda record: with_bounds(record, [2, 1]), "the bounds 2 and 1 hold no value"),
        (lambda record: with_bounds(record, [1]), "not a complete law file"),
    ],
)
def test_a_law_file_that_cannot_be_used_is_refused(tmp_path, damage, told):
    path = tmp_path / "law.json"
    serialization.save_fit(fitting.fit(LAW, GRID, surface()), path)
    path.write_text(json.dumps(damage(json.loads(path.read_text()))))
    with pytest.raises(InputError, match=told):
        serialization.load_fit(path)


@pytest.mark.parametrize("text", ["", "{", '{"schema": 1,', "[" * 100_000])
def test_a_file_that_is_no_json_is_refused_in_one_line(tmp_path, text):
    path = tmp_path / "law.json"
    path.write_text(text)
    with pytest.raises(InputError, match="is not a law file, as it is no JSON") as error:
        serialization.load_fit(path)
    assert "\n" not in str(error.value)


# ---------------------------------------------------------------- bad input


def changed(**columns):
    return GRID.assign(**columns)


Y = np.linspace(0.2, 0.3, 24)
BAD = {
    "missing column": (
        LAW,
        GRID.drop(columns="d_emb"),
        Y,
        "needs the column d_emb; there are n_layers",
    ),
    "unknown columns": (
        LAW,
        GRID.rename(columns={"n_layers": "layers"}),
        Y,
        "needs the column n_layers",
    ),
    "text in a cell": (LAW, changed(d_emb=["wide"] + [50] * 23), Y, "d_emb is 'wide' in row 1"),
    "NaN on an axis": (LAW, changed(n_layers=[np.nan] + [4] * 23), Y, "n_layers is 'nan' in row 1"),
    "NaN metric": (LAW, GRID, [*Y[:-1], np.nan], "the metric is 'nan' in row 24"),
    "infinite metric": (LAW, GRID, [np.inf, *Y[1:]], "the metric is 'inf' in row 1"),
    "text metric": (LAW, GRID, ["high", *Y[1:]], "the metric is 'high' in row 1"),
    "no layers": (
        LAW,
        changed(n_layers=[0] + [4] * 23),
        Y,
        "n_layers is 0 in row 1; it must be 1 or more",
    ),
    "too large a dimension": (
        LAW,
        changed(d_emb=pd.Series([10**30] + [4] * 23, dtype=object)),
        Y,
        r"d_emb is 1e\+30 in row 1; it must be 1e18 or less",
    ),
    "negative dimension": (LAW, changed(d_emb=[-8] + [4] * 23), Y, "d_emb is -8 in row 1"),
    "too few points": (LAW, GRID[:5], Y[:5], "5 points are too few .* needs 6 or more"),
    "no points": (LAW, GRID[:0], [], "0 points are too few"),
    "all values equal": (LAW, GRID, np.full(24, 0.3), "all 24 values are 0.3"),
    "all points equal": (LAW, changed(n_layers=4, d_emb=8), Y, "n_layers is 4 in every row"),
    "one value on an axis": (LAW, changed(d_emb=64), Y, "d_emb is 64 in every row"),
    "one value, linear law": (
        families.log_quadratic(),
        changed(n_layers=2),
        Y,
        "n_layers is 2 in every row",
    ),
    "repeated cell": (
        LAW,
        pd.concat([GRID[:23], GRID[:1]]),
        Y,
        "row 24 repeats an earlier cell .n_layers 4, d_emb 25",
    ),
    "a Series in another order": (
        LAW,
        GRID,
        pd.Series(Y, index=GRID.index[::-1]),
        "of another index than the points",
    ),
    "fewer values": (LAW, GRID, Y[:-1], "24 points but 23 values"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_points_are_refused_in_one_line(case):
    law, points, y, told = BAD[case]
    with pytest.raises(InputError, match=told) as error:
        fitting.fit(law, points, y)
    assert "\n" not in str(error.value)


def test_seeds_may_repeat_a_cell():
    twice = pd.concat([GRID.assign(seed=0), GRID.assign(seed=1)])
    assert fitting.fit(LAW, twice, np.concatenate([surface(), surface(draw=1)])).dof == 43


def test_other_bad_questions():
    found = fitting.fit(LAW, GRID, surface())
    for level in (0, 1, 90):
        with pytest.raises(InputError, match="between 0 and 1"):
            found.interval(GRID, level)
    with pytest.raises(InputError, match="no exponent 'b'"):
        found.profile_curve("b")
    with pytest.raises(InputError, match="ask for 1 or more"):
        found.bootstrap(0)
    with pytest.raises(InputError, match="no column metrics"):
        fitting.fit_surfaces(LAW, published.load_surfaces(), ["metrics"])
    with pytest.raises(InputError, match="no parameter 'w9'"):
        found.profile("w9")
    with pytest.raises(InputError, match="no loss is called 'cauchy'"):
        fitting.fit(LAW, GRID, surface(), loss="cauchy")
    with pytest.raises(InputError, match="too few points are left"):
        validation.heldout_predictions(LAW, GRID[:12], surface()[:12])


@pytest.mark.integration
def test_a_consensus_names_the_diverged_runs_and_is_nearer_the_truth():
    random, nearer, missed, wrong = np.random.default_rng(0), [], 0, 0
    for _ in range(10):
        clean = surface()
        diverged = clean + simulation.NOISE * simulation.MEAN * random.normal(size=len(GRID))
        bad = random.choice(len(GRID), 4, replace=False)
        diverged[bad] -= random.uniform(0.05, 0.25, 4)
        found = {
            loss: fitting.fit(families.log_quadratic(), GRID, diverged, loss)
            for loss in robust.LOSSES
        }
        off = {loss: np.abs(fit.predict(GRID) - clean).mean() for loss, fit in found.items()}
        nearer.append(off["consensus"] < off["huber"] < off["squares"])
        named = set(found["consensus"].outliers.index)
        missed, wrong = missed + len(set(bad) - named), wrong + len(named - set(bad))
    assert sum(nearer) >= 8
    assert missed == 0
    assert wrong <= 0.15 * 10 * 20


@pytest.mark.integration
def test_a_consensus_of_what_agrees_leaves_nobody_out():
    y, _ = exact("clean")
    found = fitting.fit(LAW, GRID, y, loss="consensus")
    assert found.outliers.empty
    assert found.dof == len(GRID) - 5
    few = fitting.fit(
        families.log_linear(), GRID.iloc[[0, 5, 10, 23]], y[[0, 5, 10, 23]], loss="consensus"
    )
    assert (few.weights == 1).all()  # half of four points are no majority of a law of three numbers


def test_a_law_with_too_few_points_left_has_no_error_there():
    """Eight cells of three dimensions: without the largest five are left, as many as parameters."""
    cells = (
        GRID[GRID["n_layers"].isin([4, 8, 12]) & GRID["d_emb"].isin([25, 50, 75])]
        .reset_index(drop=True)
        .drop(index=6)
    )
    table = cells.assign(
        value=0.1 + 0.001 * cells["n_layers"] - 0.01 / cells["d_emb"], dataset="a", metric="HR@10"
    )
    told = validation.compare_laws(
        {"law": families.performance(), "line": families.log_linear()}, table, ["dataset", "metric"]
    ).set_index("law")
    assert np.isnan(told.loc["law", "largest d"])
    assert told.loc["law", "leave-one-out"] >= 0
    assert told.loc["line", "largest d"] >= 0


def seeded_grid(n_seeds=3):
    """A surface of sixteen sizes, each with a level of its own and the same in all seeds."""
    random = np.random.default_rng(1)
    cells = pd.DataFrame(
        [(n, d) for n in (1, 2, 4, 8) for d in (8, 16, 32, 64)], columns=["n_layers", "d_emb"]
    ).assign(value=1 + 0.2 * random.random(16))
    return pd.concat([cells.assign(seed=seed) for seed in range(n_seeds)], ignore_index=True)


def test_a_left_out_cell_is_left_out_with_all_its_seeds():
    repeated = seeded_grid()
    single = repeated[repeated["seed"] == 0]
    law = families.log_quadratic()
    alone = validation.loo_predictions(law, single, single["value"].to_numpy())
    together = validation.loo_predictions(law, repeated, repeated["value"].to_numpy())
    assert together == pytest.approx(np.tile(alone, 3))
    hidden = validation.hidden_cells(repeated)[validation.LEAVE_ONE_OUT]
    assert hidden.shape == (16, 48)
    assert (hidden.sum(axis=1) == 3).all()
    held = validation.heldout_predictions(law, repeated, repeated["value"])
    held = held[held["split"] == validation.LEAVE_ONE_OUT].sort_values("row")
    assert held["predicted"].to_numpy() == pytest.approx(together)


def test_akaikes_criterion_counts_no_point_that_is_left_out():
    y, _ = exact()
    y = y + 0.001 * np.random.default_rng(0).standard_normal(len(y))
    y[[3, 11]] += 0.2
    fit = fitting.fit(LAW, GRID, y, "consensus")
    kept = fit.weights > 0
    assert kept.sum() < len(y)
    alone = fitting.fit(LAW, GRID[kept].reset_index(drop=True), y[kept])
    assert fit.aicc == pytest.approx(alone.aicc, rel=1e-6)
    assert fit.constant_aicc == pytest.approx(alone.constant_aicc, rel=1e-6)


def test_points_that_a_law_cannot_tell_apart_are_refused():
    same = pd.DataFrame({"n_layers": [1, 4, 16, 64], "d_emb": [64, 32, 16, 8]})
    with pytest.raises(InputError, match="reads of n_layers, d_emb is the same in every row"):
        fitting.fit(families.get_law("parameter_power"), same, [0.1, 0.2, 0.3, 0.4])


def test_a_law_whose_exponent_is_held_is_saved_and_read_again(tmp_path):
    y, _ = exact()
    held = families.with_bounds(LAW, 0.5, 0.5)
    fit = fitting.fit(held, GRID, y)
    serialization.save_fit(fit, tmp_path / "law.json")
    again = serialization.load_fit(tmp_path / "law.json")
    assert again.law.exponents == held.exponents
    assert again.predict(GRID) == pytest.approx(fit.predict(GRID))


LADDER = pd.DataFrame({"n_layers": [1, 2, 4, 8, 16], "d_emb": [8, 16, 32, 64, 128]})


def test_what_points_do_not_tell_apart_is_open_in_a_linear_law():
    """N and d rise together: their slopes are open, and so is any size off the ladder."""
    fit = fitting.fit(families.log_linear(), LADDER, [0.10, 0.12, 0.141, 0.159, 0.182])
    assert fit.profile("a_N") == (-np.inf, np.inf)
    off = fit.interval(pd.DataFrame({"n_layers": [16, 4], "d_emb": [8, 32]}))
    assert off["low"].tolist()[0] == -np.inf
    assert off["high"].tolist()[0] == np.inf
    assert 0.13 < off["low"].tolist()[1] < off["high"].tolist()[1] < 0.15


def test_whole_numbers_are_bounds_as_good_as_others():
    y = surface()
    whole, fraction = (
        fitting.fit(families.with_bounds(LAW, low, high), GRID, y)
        for low, high in ((-1, 1), (-1.0, 1.0))
    )
    assert whole.profile("p_d") == fraction.profile("p_d")


def test_sizes_that_were_left_out_are_beyond():
    y, _ = exact()
    y = y + 0.001 * np.random.default_rng(0).standard_normal(len(y))
    is_largest = (GRID["n_layers"] == GRID["n_layers"].max()).to_numpy()
    fit = fitting.fit(LAW, GRID, y + 0.3 * is_largest, "consensus")
    assert (fit.weights[is_largest] == 0).all()
    assert fit.beyond(GRID[is_largest]).all()


def test_a_cell_on_unlike_data_is_refused():
    pooled = seeded_grid(2)
    pooled["tokens"] = 1e6 * (1 + pooled["seed"])
    with pytest.raises(
        InputError, match="row 1 differ in tokens \\(1e\\+06 and 2e\\+06\\): keep rows"
    ):
        fitting.fit(families.log_linear(), pooled, pooled["value"])
    nearly = pooled.assign(tokens=1e6 + pooled["seed"])
    assert fitting.fit(families.log_linear(), nearly, pooled["value"]).converged


def test_hidden_cells_are_covered_as_intervals_of_a_held_exponent_say():
    y = surface(seed=3)
    law = families.with_bounds(LAW, 0.3, 0.3)
    cells = validation.heldout_predictions(law, GRID, y, level=0.8)
    is_largest = GRID["d_emb"] == GRID["d_emb"].max()
    interval = fitting.fit(law, GRID[~is_largest], y[~is_largest]).interval(GRID[is_largest], 0.8)
    inside = (interval["low"] <= y[is_largest]) & (y[is_largest] <= interval["high"])
    assert inside.tolist() == cells.loc[cells["split"] == "largest d", "covered"].tolist()
    assert fitting.fit(law, GRID[~is_largest], y[~is_largest]).dof == is_largest.size - 6 - 3


def test_an_exponent_that_is_held_is_no_fitted_parameter():
    y = surface()
    held = fitting.fit(families.with_bounds(LAW, 0.3, 0.3), GRID, y)
    x = {axis: GRID[axis].to_numpy(float) for axis in GRID}
    rss = np.linalg.lstsq(LAW.basis(x, np.array([0.3, 0.3])), y)[1][0]
    assert held.law.n_free == 3
    assert held.sigma == pytest.approx(np.sqrt(rss / (len(y) - 3)))
