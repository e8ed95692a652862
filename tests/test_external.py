import numpy as np
import pandas as pd
import pytest

from perflaw.errors import InputError
from perflaw.laws import families, fitting, turning, validation
from perflaw.study import external
from perflaw.study.trained_cells import trained_cell_errors

FIXED, CHOSEN = "dropout 0.1", external.CHOSEN
METRICS = ("HR@10", "NDCG@10")


@pytest.fixture(scope="module")
def table():
    return external.load_grids()


@pytest.fixture(scope="module")
def treated(table):
    return external.with_regularisation(external.pair_splits(table))


@pytest.fixture(scope="module")
def changes(treated):
    return (
        external.mean_changes(external.dimension_changes(treated))
        .set_index(external.SURFACE)
        .sort_index()
    )


def judge(table, metric):
    """Runs under one metric, as `chosen` takes them to decide on another."""
    return external.pair_splits(table, metric)[["log", *external.CELL, "dropout", "val"]]


# ---------------------------------------------------------------- the table


def test_the_grid_is_complete(table):
    axes = {
        "n_layers": [1, 2, 3],
        "d_emb": [32, 64, 128, 256],
        "n_heads": [1, 2, 4],
        "dropout": [0.1, 0.3, 0.5],
    }
    assert list(table.columns) == [
        "log",
        "n_layers",
        "d_emb",
        "n_heads",
        "dropout",
        "split",
        "metric",
        "value",
    ]
    assert len(table) == 2 * 2 * 2 * 108
    assert not table.drop(columns="value").duplicated().any()
    for axis, values in axes.items():
        assert sorted(table[axis].unique()) == values
    assert table["value"].between(0.03, 0.36).all()


def test_every_hit_rate_is_a_number_of_users(table):
    for log, users in external.USERS.items():
        hits = users * table.loc[(table["log"] == log) & (table["metric"] == "HR@10"), "value"]
        assert np.abs(hits - hits.round()).max() < 1e-9


def test_runs_have_both_splits_in_one_row(table):
    runs = external.pair_splits(table, "HR@10")
    assert len(runs) == 216
    assert runs["log"].iloc[0] == "MovieLens-1M"
    assert runs[["val", "test"]].notna().all(axis=None)


# ---------------------------------------------------------------- the choice


def test_the_choice_never_looks_at_test(table):
    runs = external.pair_splits(table)
    blind = external.choose_by_validation(
        runs.assign(test=np.random.default_rng(0).permutation(runs["test"]))
    )
    seeing = external.choose_by_validation(runs)
    assert blind.drop(columns="test").equals(seeing.drop(columns="test"))
    best = runs.groupby(["log", "metric", *external.CELL])["val"].max().to_numpy()
    assert np.allclose(np.sort(seeing["val"]), np.sort(best))


def test_a_cell_may_be_coarser_and_another_metric_may_judge(table):
    runs = external.pair_splits(table, "HR@10")
    assert len(external.choose_by_validation(runs)) == 2 * 36
    assert len(external.choose_by_validation(runs, ["n_layers", "d_emb"])) == 2 * 12
    own = external.choose_by_validation(runs, judge=judge(table, "HR@10"))
    assert own.equals(external.choose_by_validation(runs))


def test_the_rows_of_the_reference(table):
    runs = external.pair_splits(table, "HR@10").query("log == 'MovieLens-1M' and n_layers == 3")
    pair = runs.query("dropout == 0.1 and n_heads == 2").set_index("d_emb")["test"]
    assert pair[[128, 256]].round(4).tolist() == [0.3132, 0.3003]
    tuned = external.choose_by_validation(runs, ["d_emb"], judge(table, "NDCG@10")).set_index(
        "d_emb"
    )["test"]
    assert tuned[[128, 256]].round(4).tolist() == [0.3192, 0.3207]
    every = external.pair_splits(table).query("log == 'MovieLens-1M'")
    best = external.choose_by_validation(every, [], judge(table, "NDCG@10")).set_index("metric")[
        "test"
    ]
    assert best[list(METRICS)].round(4).tolist() == [0.3207, 0.1858]


# ---------------------------------------------------------------- the change from d 128 to 256


@pytest.mark.parametrize("metric", METRICS)
def test_a_decline_at_fixed_dropout_and_none_when_chosen(changes, metric):
    held, tuned = (changes.loc[("MovieLens-1M", metric, rule)] for rule in (FIXED, CHOSEN))
    assert held["high"] < 0
    assert held["falls"] == 8
    assert tuned["low"] > 0
    assert tuned["falls"] == 0
    assert tuned["cells"] == 9
    beauty = changes.loc[("Amazon-Beauty", metric, FIXED)]
    assert beauty["low"] < 0 < beauty["high"]


def test_the_means_and_their_errors(changes):
    found = changes.loc[("MovieLens-1M", "HR@10")][["change", "se"]].round(2)
    assert found.loc[FIXED].tolist() == [-1.85, 0.58]
    assert found.loc["dropout 0.5"].tolist() == [5.07, 0.98]
    assert found.loc[CHOSEN].tolist() == [2.32, 0.64]


def test_the_difference_of_two_treatments_is_paired(treated, changes):
    swing = external.mean_changes(
        external.difference_of_changes(external.dimension_changes(treated), CHOSEN, FIXED)
    ).set_index(["log", "metric"])
    for log, metric in swing.index:
        apart = (
            changes.loc[(log, metric, CHOSEN), "change"]
            - changes.loc[(log, metric, FIXED), "change"]
        )
        assert swing.loc[(log, metric), "change"] == pytest.approx(apart)
    assert swing.loc[("MovieLens-1M", "HR@10"), "falls"] == 0


def test_user_error():
    assert external.hit_rate_error(0.5, 10_000) == pytest.approx(1.0)


# ---------------------------------------------------------------- laws


def test_a_surface_has_twelve_cells_and_is_the_mean_over_heads(treated):
    surfaces = external.external_surfaces(treated)
    assert set(surfaces.groupby(external.SURFACE).size()) == {12}
    assert len(surfaces) == 2 * 2 * 4 * 12
    cell = (
        "log == 'MovieLens-1M' and metric == 'HR@10' and regularisation == 'chosen' "
        "and n_layers == 2 and d_emb == 64"
    )
    assert surfaces.query(cell)["value"].item() == pytest.approx(treated.query(cell)["test"].mean())


@pytest.mark.integration
def test_laws_on_the_surfaces(treated):
    surfaces = external.external_surfaces(
        treated[(treated["metric"] == "HR@10") & (treated["log"] == "MovieLens-1M")]
    )
    found = validation.compare_laws(families.rival_laws(), surfaces, external.SURFACE).set_index(
        ["law", "regularisation"]
    )
    line = found.loc[("log-linear", CHOSEN), ["leave-one-out", "largest N", "largest d"]]
    assert line.astype(float).round(2).tolist() == [1.56, 0.76, 3.51]
    assert (
        found.loc[("log-linear", FIXED), "r2"]
        < 0.75
        < 0.95
        < found.loc[("Performance Law, k = 2", FIXED), "r2"]
    )
    # two values of N determine one number along N
    determined = {"constant", "log-linear", "power of parameters", "power of compute"}
    predicts = found["largest N"].notna().groupby("law").all()
    assert set(predicts[predicts].index) == determined
    assert found.loc["Performance Law, k = 2", "largest d"].notna().all()
    assert found.loc["Performance Law, free k", "status"].str.contains("not identified").all()


def test_trained_cells_predict_what_they_have():
    axes = pd.MultiIndex.from_product([(1, 2), (32, 64)], names=["n_layers", "d_emb"])
    names = {"log": "a log", "metric": "HR@10", "regularisation": FIXED}
    surface = pd.DataFrame({"value": [1.0, 2.0, 4.0, 5.0]}, axes).reset_index().assign(**names)
    errors = trained_cell_errors(surface, external.SURFACE).set_index("law")
    # at d = 64 the nearest are 1 (for 2) and 4 (for 5), the best is 4 for both
    assert errors.loc["nearest trained cell", "largest d"] == pytest.approx((50 + 20) / 2)
    assert errors.loc["best trained cell", "largest d"] == pytest.approx((100 + 20) / 2)
    # at N = 2 they are 1 (for 4) and 2 (for 5); the best is 2 for both
    assert errors.loc["nearest trained cell", "largest N"] == pytest.approx((75 + 60) / 2)
    assert errors.loc["best trained cell", "largest N"] == pytest.approx((50 + 60) / 2)


@pytest.mark.parametrize("metric", METRICS)
def test_the_best_dimension_leaves_the_grid_when_dropout_is_chosen(treated, metric):
    surfaces = external.external_surfaces(
        treated[(treated["metric"] == metric) & (treated["log"] == "MovieLens-1M")]
    )
    fits = fitting.fit_surfaces(families.performance(), surfaces, external.SURFACE)
    held, tuned = (
        turning.turning_point(fits["MovieLens-1M", metric, rule], "d_emb", 0.9)
        for rule in (FIXED, CHOSEN)
    )
    assert held.kind == "maximum"
    assert 120 < held.low < held.estimate < held.high < 160
    assert tuned.estimate > 256
    assert tuned.low > held.high


def test_a_law_that_only_rises_has_no_maximum(treated):
    grid = external.external_surfaces(
        treated.query("log == 'MovieLens-1M' and metric == 'HR@10' and regularisation == 'chosen'")
    )
    wiggle = 0.01 * np.sin(grid["n_layers"] * grid["d_emb"])
    found = turning.turning_point(
        fitting.fit(families.performance(), grid, np.sqrt(grid["d_emb"]) + wiggle), "d_emb"
    )
    assert found.kind != "maximum"


# ---------------------------------------------------------------- what is refused


def test_bad_input_is_named(table, treated):
    with pytest.raises(InputError, match="no metric 'MRR@10'; there are HR@10, NDCG@10"):
        external.pair_splits(table, "MRR@10")
    with pytest.raises(InputError, match="no column width; they have log, metric"):
        external.choose_by_validation(external.pair_splits(table), ["width"])
    with pytest.raises(InputError, match="no run has d_emb 512; there are 32, 64, 128, 256"):
        external.dimension_changes(treated, 256, 512)
    with pytest.raises(InputError, match="level"):
        external.mean_changes(external.dimension_changes(treated), 1.5)


def test_a_missing_table_is_one_line(monkeypatch, tmp_path):
    monkeypatch.setattr(external, "study_file", tmp_path.joinpath)
    with pytest.raises(InputError, match=r"time_to_split.csv does not exist: check the path"):
        external.load_grids()
