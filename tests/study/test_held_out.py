"""Held-out errors: logs are the units, and shrinkage does not see the scored log."""

import numpy as np
import pandas as pd
import pytest

from perflaw.errors import InputError
from perflaw.laws import families, validation
from perflaw.stats import student_quantile
from perflaw.study.analysis import small_grids
from perflaw.study.paper import held_out, published


def made_cells(errors):
    """Hidden cells of two laws: errors maps a log to the errors of both on its surfaces."""
    rows = [
        ("larger N", log, length, "HR@10", law, ape)
        for log, pairs in errors.items()
        for length, pair in enumerate(pairs)
        for law, ape in zip(("a", "b"), pair)
    ]
    return pd.DataFrame(rows, columns=["split", *published.SURFACE, "law", "ape"])


def small_surface(power):
    """One surface that follows a power law along d, with two values of N."""
    grid = pd.MultiIndex.from_product([(1, 2), (10, 20, 50, 100)], names=["n_layers", "d_emb"])
    surface = grid.to_frame(index=False).assign(dataset="x", max_seq_len=50, metric="HR@10")
    return surface.assign(value=0.3 + 0.01 * surface["n_layers"] - surface["d_emb"] ** -power)


def test_a_log_counts_once_however_many_surfaces_it_has():
    cells = made_cells({"x": [(1, 2)] * 9, "y": [(4, 2)]})
    row = held_out.differences_over_logs(cells, "a", "b", 0.9).iloc[0]
    half = student_quantile(0.9, 1) * np.std([-1, 2], ddof=1) / np.sqrt(2)
    assert row["logs"] == 2
    assert row["difference"] == pytest.approx(0.5)
    assert [row["low"], row["high"]] == pytest.approx([0.5 - half, 0.5 + half])


def test_a_difference_is_that_of_the_two_means():
    cells = made_cells({"x": [(1, 2)] * 9, "y": [(4, 2)]}).assign(covered=True)
    means = validation.mean_errors(cells, published.SURFACE).set_index("law")["mape"]
    assert means.to_dict() == {"a": 2.5, "b": 2.0}
    by_log = validation.mean_errors(cells, published.SURFACE, keep=["dataset"])
    assert by_log.set_index(["law", "dataset"])["mape"]["a", "x"] == 1
    row = held_out.differences_over_logs(cells, "a", "b", 0.9).iloc[0]
    assert row["difference"] == means["a"] - means["b"]


def test_a_ratio_of_errors_is_a_geometric_mean_over_logs():
    """Of three logs one has errors a hundred times as large; the ratio is the same on all."""
    pairs = {"x": [(1, 2)] * 9, "y": [(100, 200)], "z": [(1, 1), (3, 7)]}
    row = held_out.ratios_over_logs(made_cells(pairs), "a", "b", 0.9).iloc[0]
    assert row["split"] == "larger N"
    assert row[["ratio", "ratio_low", "ratio_high"]].to_list() == pytest.approx([0.5] * 3)


def test_the_interval_of_a_ratio_is_student_s_of_its_logarithm():
    cells = made_cells({"x": [(1, 1)], "y": [(4, 1)]})
    row = held_out.ratios_over_logs(cells, "a", "b", 0.9).iloc[0]
    half = student_quantile(0.9, 1) * np.log(4) / 2
    assert row["ratio"] == pytest.approx(2)
    assert np.log(row["ratio_high"] / 2) == pytest.approx(half)
    assert np.log(2 / row["ratio_low"]) == pytest.approx(half)


def test_the_nearest_cell_is_never_a_hidden_one():
    points = published.load_surfaces().query("dataset == 'MovieLens-1M' and metric == 'HR@10'")
    cells = held_out.nearest_heldout(points)
    asked = cells.groupby("split", sort=False)
    keys = [*published.SURFACE, "n_layers", "d_emb"]
    value = points.set_index(keys)["value"]
    of_length = ("MovieLens-1M", 100, "HR@10")
    largest_d = asked.get_group("largest d").query("max_seq_len == 100")
    assert largest_d["predicted"].to_list() == value[of_length].xs(75, level="d_emb").to_list()
    deep = asked.get_group("larger N").query("max_seq_len == 100")
    assert sorted(deep["predicted"]) == sorted([*value[(*of_length, 16)]] * 2)
    assert not (asked.get_group("leave-one-out")["ape"] == 0).any()


def test_a_mean_over_logs_asks_which_column_is_the_log():
    cells = made_cells({"x": [(1, 2)]}).assign(covered=True)
    with pytest.raises(InputError, match="no column 'log' among those of a surface: dataset"):
        validation.mean_errors(cells, published.SURFACE, log="log")


@pytest.mark.integration
def test_the_noise_ceiling_lies_between_the_fit_and_one():
    ceilings = held_out.noise_ceilings(published.load_surfaces())["ceiling"]
    assert len(ceilings) == 20
    assert ceilings.between(0.5, 1).all()


def test_one_exponent_passes_through_three_means():
    points = small_surface(power=0.3)
    assert held_out.exact_exponents(points, "sum_of_powers", 1.0).to_list() == [1]


def test_an_exponent_outside_the_bound_does_not_count():
    points = small_surface(power=0.3)
    assert held_out.exact_exponents(points, "sum_of_powers", 0.2).to_list() == [0]


def test_exact_exponents_are_of_laws_with_one_weight_and_one_exponent_an_axis():
    points = small_surface(power=0.3)
    with pytest.raises(InputError, match=r"such as sum_of_powers; log_quadratic is none"):
        held_out.exact_exponents(points, "log_quadratic", 1.0)


def test_exact_exponents_need_three_visible_values():
    points = small_surface(power=0.3).query("d_emb > 10")
    with pytest.raises(InputError, match="2 visible values of d; 3 are needed"):
        held_out.exact_exponents(points, "sum_of_powers", 1.0)


@pytest.mark.slow
def test_recorded_shrunk_predictions_are_made_again():
    recorded = held_out.load_shrunk_heldout()
    points = published.load_surfaces()
    again = held_out.shrunk_heldout(points, "sum_of_powers")
    recorded = recorded[recorded["law"] == "sum of powers, shrunk"]
    assert again["predicted"].to_numpy() == pytest.approx(recorded["predicted"], rel=1e-4)


@pytest.mark.slow
def test_shrinkage_does_not_see_the_scored_log():
    """Wrecking a log changes what the others teach, but not how it is itself predicted."""
    points = published.load_surfaces().query("metric == 'HR@10' and max_seq_len in (50, 25)")
    logs = list(points["dataset"].unique())[:3]
    points = points[points["dataset"].isin(logs)]
    noise = np.random.default_rng(0).uniform(0.5, 1.5, len(points))
    is_scored = (points["dataset"] == logs[0]).to_numpy()
    wrecked = points.assign(value=points["value"] * np.where(is_scored, noise, 1))
    strengths = []
    for table in (points, wrecked):
        cells = held_out.shrunk_heldout(table, "sum_of_powers")
        strengths.append(cells.loc[cells["dataset"] == logs[0], "strength"].iloc[0])
    assert strengths[0] == strengths[1]


def test_larger_cells_are_predicted_from_the_small_grid_alone():
    grid = pd.DataFrame(
        [(n, d) for n in (1, 2, 3, 6) for d in (8, 16, 32, 64)], columns=["n_layers", "d_emb"]
    )
    table = grid.assign(value=0.1 + 0.02 * np.log(grid["d_emb"]), dataset="s", log="l")
    laws = {"log-linear": families.log_linear()}
    errors = small_grids.predict_larger(table, laws).set_index("law")["ape"]
    assert errors["log-linear"] == pytest.approx(0, abs=1e-8)
    beyond = table[(table["n_layers"] > 3) | (table["d_emb"] > 32)]
    nearest = 0.1 + 0.02 * np.log(beyond["d_emb"].clip(upper=32))
    assert errors["nearest trained cell"] == pytest.approx(
        100 * (nearest / beyond["value"] - 1).abs().mean()
    )


def test_a_surface_too_small_for_a_law_is_left_out():
    grid = pd.DataFrame([(n, 8) for n in (1, 2, 3, 6)], columns=["n_layers", "d_emb"])
    table = grid.assign(value=0.1, dataset="s", log="l")
    assert small_grids.predict_larger(table, {"a": families.log_linear()}).empty


@pytest.mark.integration
def test_cells_hidden_everywhere_are_not_seen():
    points = published.load_surfaces()
    largest = points.groupby("dataset")["d_emb"].transform("max")
    noise = np.random.default_rng(0).uniform(0.2, 5, len(points))
    wrecked = points.assign(value=points["value"] * np.where(points["d_emb"] == largest, noise, 1))
    first, second = (
        held_out.joint_hidden_everywhere(table).query("split == 'largest d'")["predicted"]
        for table in (points, wrecked)
    )
    assert len(first) == 112
    assert first.to_numpy() == pytest.approx(second.to_numpy(), rel=1e-8)


@pytest.mark.integration
def test_our_rule_for_ties_is_that_of_the_nearest_cell():
    points = published.load_surfaces()
    cells = held_out.nearest_heldout(points)
    by_surface = cells[cells["split"] == "leave-one-out"].groupby(published.SURFACE)["ape"].mean()
    expected = by_surface.groupby("dataset").mean()
    found = held_out.errors_by_tie_rule(points)["larger N"]
    pd.testing.assert_series_equal(found, expected, check_names=False)


def test_rules_for_ties_differ_as_counted_by_hand():
    """N 1, 2, 4 at one d; N 2 lies between two neighbours of values 1 and 4."""
    line = {"n_layers": [1, 2, 4], "d_emb": 10, "value": [1.0, 2.0, 4.0]}
    points = pd.DataFrame(line).assign(dataset="x", max_seq_len=50, metric="HR@10")
    errors = held_out.errors_by_tie_rule(points).loc["x"]
    others = 100 + 50  # of N 1 and N 4, which have one nearest cell each
    expected = {"larger N": 100 + others, "smaller N": 50 + others, "mean": 25 + others}
    assert errors.to_dict() == pytest.approx(
        {rule: all_three / 3 for rule, all_three in expected.items()}
    )
