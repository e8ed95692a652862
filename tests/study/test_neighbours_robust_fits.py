"""Robust fits: what each rule names, against grids of which the failures are known."""

import numpy as np
import pandas as pd
import pytest

from perflaw.study import collapsed_runs, public_grids
from perflaw.study.neighbours import robust_fits

SIZES = {"n_layers": (1, 2, 3, 4), "d_emb": (8, 16, 32, 64, 128)}


def make_grid(failures=()):
    """Return a surface that the log-quadratic law fits exactly, but for the failures (N, d)."""
    rows = [
        (n, d, 0.05 * n**0.1 * d**0.2 * (0.1 if (n, d) in failures else 1))
        for n in SIZES["n_layers"]
        for d in SIZES["d_emb"]
    ]
    grid = pd.DataFrame(rows, columns=["n_layers", "d_emb", "test"])
    places = {"log": "a log", "backbone": "SASRec", "split": "leave one out"}
    return grid.assign(**places, n_heads=1, dropout=0.1, grid_point=range(len(grid)))


def select_surface(table, key):
    log, backbone, split = (table[name] == value for name, value in zip(public_grids.SURFACE, key))
    return table[log & backbone & split]


@pytest.fixture(scope="module")
def one_failure():
    pytest.importorskip("sklearn")
    return robust_fits.compare_robust_fits(make_grid({(2, 32)}), seeds=[0, 1]).set_index("rule")


@pytest.mark.integration
@pytest.mark.parametrize("rule", ["Huber", "consensus", "RANSAC"])
def test_a_single_failure_is_found_and_nothing_else_named(one_failure, rule):
    counts = one_failure.loc[[rule], robust_fits.COUNTS]
    assert counts["found"].tolist() == [1] * len(counts)
    assert counts["missed"].tolist() == [0] * len(counts)
    assert counts["falsely"].tolist() == [0] * len(counts)


@pytest.mark.parametrize("rule", ["consensus", "RANSAC"])
def test_what_leaves_the_failure_out_predicts_without_error(one_failure, rule):
    assert one_failure.loc[[rule], "ape"].to_numpy() == pytest.approx(0, abs=1e-6)
    assert one_failure.loc["least squares", "ape"] > 1


def test_baselines_of_a_grid_without_failures():
    pytest.importorskip("sklearn")
    table = robust_fits.compare_robust_fits(make_grid(), seeds=[0]).set_index("rule")
    grid = make_grid()
    hidden, visible = grid[grid["d_emb"] == 128], grid[grid["d_emb"] < 128]
    nearest = visible[visible["d_emb"] == 64]["test"].to_numpy()
    expected = 100 * np.abs(nearest / hidden["test"].to_numpy() - 1).mean()
    assert table.loc["nearest trained cell", "ape"] == pytest.approx(expected)
    best = 100 * np.abs(visible["test"].max() / hidden["test"] - 1).mean()
    assert table.loc["best trained cell", "ape"] == pytest.approx(best)
    assert table.loc["constant", robust_fits.COUNTS].isna().all()


def test_the_law_is_linear_in_its_columns():
    grid = make_grid()
    columns = robust_fits._columns(grid)
    fitted = robust_fits.fit_by_loss(grid, grid, "squares").fitted
    y = np.log(grid["test"].to_numpy())
    coefficients = np.linalg.lstsq(columns, y, rcond=None)[0]
    assert columns @ coefficients == pytest.approx(fitted)


def test_the_table_agrees_with_the_page_on_collapsed_runs():
    """The consensus fit of the table is that of `collapsed_runs.find_collapsed`."""
    runs = public_grids.load_runs()
    surface = runs[(runs["log"] == "MovieLens-1M") & (runs["backbone"] == "BERT4Rec")]
    found = collapsed_runs.find_collapsed(surface).set_index(public_grids.SURFACE)
    table = robust_fits.load_robust_fits()
    rows = table[table["rule"] == "consensus"].set_index(public_grids.SURFACE).loc[found.index]
    for name in robust_fits.COUNTS:
        assert rows[name].tolist() == found[name].tolist()


@pytest.mark.integration
def test_ransac_of_the_table_is_made_again():
    pytest.importorskip("sklearn")
    runs = public_grids.load_runs()
    key = ("Amazon-Beauty", "SASRec", "leave one out")
    surface = select_surface(runs, key)
    made = robust_fits.compare_robust_fits(surface, seeds=[3])
    kept = robust_fits.load_robust_fits()
    kept = select_surface(kept, key).query("seed in (0, 3)")
    pairs = made.merge(kept, on=[*public_grids.SURFACE, "rule", "seed"])
    assert len(pairs) == 7
    assert pairs["ape_x"].to_numpy() == pytest.approx(pairs["ape_y"].to_numpy(), rel=1e-4)
    assert pairs["falsely_x"].equals(pairs["falsely_y"])


def test_the_summary_of_two_logs():
    table = pd.DataFrame(
        {
            "log": ["a", "b"] * 2,
            "backbone": "x",
            "split": "y",
            "rule": ["least squares"] * 2 + ["Huber"] * 2,
            "seed": 0,
            "found": 1,
            "missed": 0,
            "falsely": 2,
            "ape": [10.0, 20.0, 8.0, 14.0],
        }
    )
    huber = robust_fits.summarise(table, 0.9).set_index("rule").loc["Huber"]
    assert huber["found"] == 2
    assert huber["edge"] == pytest.approx(4)
    # Student's t of one degree of freedom at 95 %, times the standard error 2
    assert huber["high"] - huber["edge"] == pytest.approx(6.3138 * 2, rel=1e-4)
