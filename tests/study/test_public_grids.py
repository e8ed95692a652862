"""Public grids: the data are what was published, and each question is answered as it is defined."""

import numpy as np
import pandas as pd
import pytest

from perflaw.errors import InputError
from perflaw.study import collapsed_runs, intervals, public_grids


@pytest.fixture(scope="module")
def runs():
    return public_grids.load_runs()


def test_all_runs_are_there(runs):
    sizes = runs.groupby(["log", "backbone", "split"]).size()
    assert len(runs) == 3200
    assert sizes.index.get_level_values("log").nunique() == 5
    assert set(sizes) == {104, 108}


def test_another_metric_is_refused():
    with pytest.raises(InputError, match="the public grids have no 'HR@3'"):
        public_grids.load_runs("HR@3")


def test_dropout_is_chosen_by_validation(runs):
    cell = runs.query(
        "log == 'MovieLens-1M' and backbone == 'SASRec' and split == 'leave one out'"
        " and n_layers == 3 and d_emb == 256 and n_heads == 2"
    )
    best = cell.loc[cell["validation"].idxmax()]
    chosen = public_grids.choose_dropout(cell)
    assert len(chosen) == 1
    assert chosen["dropout"].iloc[0] == best["dropout"]
    assert chosen["test"].iloc[0] == best["test"]


def made_grid(value, layers=(1, 2), dimensions=(8, 16, 32), dropouts=(0.1, 0.3)):
    """A grid of one surface whose metric is value(N, d, dropout)."""
    rows = [
        (n, d, 1, p, value(n, d, p), value(n, d, p))
        for n in layers
        for d in dimensions
        for p in dropouts
    ]
    columns = ["n_layers", "d_emb", "n_heads", "dropout", "validation", "test"]
    grid = pd.DataFrame(rows, columns=columns)
    return grid.assign(log="a log", backbone="SASRec", split="leave one out", coverage=grid["test"])


def test_a_fall_that_chosen_dropout_removes():
    def metric(n, d, dropout):
        penalty = 0.02 * n * (d == 32) * (dropout == 0.1)
        return 0.1 * d**0.1 - penalty

    changes = public_grids.step_changes(made_grid(metric))
    judged = public_grids.judge_regularisation(changes)
    assert judged["pairs"].tolist() == [2]
    assert judged["held"].iloc[0] < 0
    assert judged["chosen"].iloc[0] == pytest.approx(100 * 0.1 * np.log(2))


@pytest.mark.parametrize(
    ("held", "chosen", "verdict"),
    [
        (-3, -3, public_grids.FALLS_BOTH_WAYS),
        (-3, 3, public_grids.HELD_ONLY),
        (3, -3, public_grids.CHOSEN_ONLY),
        (3, 3, public_grids.NO_FALL),
    ],
)
def test_the_verdict_says_with_which_dropout_the_fall_is_clear(held, chosen, verdict):
    pairs = pd.DataFrame({"larger": 32, "held": [held, held + 0.1], "chosen": [chosen, chosen - 1]})
    surface = {"log": "a log", "backbone": "SASRec", "split": "leave one out"}
    judged = public_grids.judge_regularisation(pairs.assign(**surface), level=0.5).iloc[0]
    assert judged["verdict"] == verdict
    assert judged["gain"] == pytest.approx(chosen - held - 0.55)


def test_a_step_is_to_the_next_larger_size():
    changes = public_grids.step_changes(made_grid(lambda n, d, p: d / 100))
    assert sorted(changes["larger"].unique()) == [16, 32]
    assert changes["held"].tolist() == pytest.approx([100 * np.log(2)] * 4)


def test_a_log_ratio_becomes_per_cent():
    changes = pd.DataFrame({"held": [100 * np.log(2), 100 * np.log(0.5), 0.0]})
    assert changes["held"].map(intervals.to_percent).tolist() == pytest.approx([100, -50, 0])


def test_the_nearest_cell_is_the_neighbour():
    grid = made_grid(lambda n, d, p: n + d / 1000)
    surfaces = public_grids.make_surfaces(public_grids.choose_dropout(grid))
    predictions = public_grids.predict_hidden(surfaces, {}, ["largest d"])
    nearest = predictions[predictions["law"] == "nearest trained cell"].set_index("n_layers")
    assert nearest["predicted"].tolist() == pytest.approx([1.016, 2.016])
    best = predictions[predictions["law"] == "best trained cell"]
    assert best["predicted"].tolist() == pytest.approx([2.016, 2.016])


def test_a_law_that_is_not_determined_gives_no_prediction():
    surfaces = public_grids.make_surfaces(
        public_grids.choose_dropout(
            made_grid(lambda n, d, p: 0.1 * d**0.1 * n**0.05, layers=(1, 2, 3))
        )
    )
    laws = public_grids.candidate_laws()
    predictions = public_grids.predict_hidden(surfaces, laws, ["largest N"])
    undetermined = predictions[predictions["law"] == "log-quadratic"]["predicted"]
    assert undetermined.isna().all()
    determined = predictions[predictions["law"] == "log-linear"]["predicted"]
    assert determined.notna().all()


def test_a_collapsed_run_is_found_and_nothing_else_named():
    def metric(n, d, dropout):
        return 0.01 if (n, d, dropout) == (2, 16, 0.3) else 0.1 * d**0.1 * n**0.05

    grid = made_grid(metric, layers=(1, 2, 3, 4), dimensions=(8, 16, 32, 64, 128))
    grid["grid_point"] = range(len(grid))
    found = collapsed_runs.find_collapsed(grid)
    assert collapsed_runs.mark_collapsed(grid).sum() == 1
    assert found[["collapsed", "found", "missed", "falsely"]].iloc[0].tolist() == [1, 1, 0, 0]


def test_every_log_and_backbone_is_judged_under_the_other_split(runs):
    transfer = public_grids.choose_under_other_split(runs)
    assert len(transfer) == 15
    assert transfer.notna().all(axis=None)


def test_a_split_that_chooses_the_worst_has_the_regret_of_it():
    """Validation falls with d by leave-one-out; by global time it rises, as test does."""
    grid = made_grid(lambda n, d, p: n * d)
    grid["grid_point"] = range(len(grid))
    reversed_grid = grid.assign(validation=-grid["validation"])
    table = pd.concat([reversed_grid, grid.assign(split="global time")])
    transfer = public_grids.choose_under_other_split(table).iloc[0]
    assert transfer["tau"] == pytest.approx(-1)
    assert transfer["own_tau"] == pytest.approx(1)
    assert transfer["regret"] == pytest.approx(100 * (1 - 1 * 8 / (2 * 32)))
    assert transfer["own_regret"] == pytest.approx(0)


def test_the_extra_regret_counts_each_log_once():
    regrets = pd.DataFrame(
        {"log": ["a", "a", "b"], "regret": [2.0, 4.0, 6.0], "own_regret": [1.0, 1.0, 1.0]}
    )
    extra = public_grids.extra_regret(regrets)
    assert extra["extra"] == pytest.approx(3.5)
    assert extra["extra_low"] < 0 < extra["extra_high"]
