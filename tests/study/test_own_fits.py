"""Laws on own surfaces, beside baselines and noise ceilings."""

import numpy as np
import pandas as pd
import pytest

from perflaw.laws import families, fitting, linear, varpro
from perflaw.models.sweeps import results
from perflaw.stats import student_quantile
from perflaw.study.analysis import own_fits, paper_sizes, seed_noise, study_runs, transfer
from perflaw.study.files import study_file


@pytest.fixture(scope="module")
def table(swept):
    """Surfaces of one backbone on two logs, with little noise."""
    return study_runs.mean_surfaces(swept(backbones=("sasrec",), sigma=0.01))


def test_surfaces_that_can_bear_a_law_are_large_and_quiet(table, swept):
    assert own_fits.clear_surfaces(table) == ["a", "b"]
    few = table[(table["dataset"] == "a") | (table["d_emb"] == 8)]
    assert own_fits.clear_surfaces(few) == ["a"]
    loud = study_runs.mean_surfaces(swept(backbones=("sasrec",), sigma=0.4))
    assert own_fits.clear_surfaces(loud) == []


def test_r2_stands_beside_its_ceiling(table):
    found = own_fits.r2_beside_ceiling(table, "NDCG@10")
    assert len(found) == 2 * 2
    assert found["noise ceiling"].between(0.8, 1).all()
    assert (found["r2"] > 0.9).all()


@pytest.mark.integration
def test_baselines_stand_beside_laws_on_the_same_hidden_cells(table):
    by_surface, means = own_fits.compare_with_baselines(table, "NDCG@10")
    nearest = by_surface[by_surface["law"] == "nearest trained cell"].set_index("dataset")
    values = table[(table["dataset"] == "a") & (table["metric"] == "NDCG@10")]
    value = values.set_index(["n_layers", "d_emb"])["value"]
    errors = [100 * abs(value[n, 32] / value[n, 64] - 1) for n in (1, 2, 3, 6)]
    assert nearest.loc["a", "largest d"] == pytest.approx(np.mean(errors))
    assert {"log-quadratic", "best trained cell"} <= set(means["law"])
    more = own_fits.differences(by_surface, "nearest trained cell")
    quadratic = by_surface[by_surface["law"] == "log-quadratic"].set_index("dataset")
    expected = (quadratic["leave-one-out"] - nearest["leave-one-out"]).mean()
    assert more.loc[("log-quadratic", "leave-one-out"), "mean"] == pytest.approx(expected)


@pytest.mark.integration
def test_laws_stand_beside_baselines_under_one_bound(table):
    of_powers = [
        own_fits.compare_with_baselines(table, "NDCG@10", bound)[1].set_index("law")
        for bound in (None, 0.1)
    ]
    own, equal = (means.loc["sum of powers", "r2"] for means in of_powers)
    law = families.with_bounds(families.sum_of_powers(), -0.1, 0.1)
    surfaces = table[table["metric"] == "NDCG@10"].reset_index(drop=True)
    fits = fitting.fit_surfaces(law, surfaces, ["dataset"]).values()
    assert equal == pytest.approx(np.mean([fit.r2 for fit in fits]))
    assert equal != pytest.approx(own)


def test_noise_of_a_mean_is_that_of_its_seeds():
    table = pd.DataFrame(
        {
            "dataset": "a",
            "log": "a",
            "metric": "NDCG@10",
            "value": [1.0, 1.0],
            "sd": [0.1, 0.1],
            "seeds": 4,
        }
    )
    expected = seed_noise.MEAN_ABSOLUTE_NORMAL * 10 / 2
    assert own_fits.mean_noise(table, "NDCG@10") == pytest.approx(expected)


def test_joint_laws_are_summarised_by_split():
    hidden = pd.DataFrame(
        {
            "law": "joint law",
            "log": ["a", "a", "b", "a", "a"],
            "dataset": ["a", "a, gru", "b", "a", "a"],
            "split": ["leave-one-out", "leave-one-out", "leave-one-out", "larger N", "largest d"],
            "ape": [1.0, 3.0, 4.0, 5.0, 7.0],
            "covered": [True, False, True, True, True],
        }
    )
    row = own_fits.summarise_joint(hidden).iloc[0]
    assert row["leave-one-out"] == 3  # each log counts once
    assert row["larger N"] == 5
    assert row["covered, left out"] == pytest.approx(200 / 3)  # each cell counts once
    assert row["covered, beyond"] == 100


def paper_runs():
    """Our runs of the paper's sizes on MovieLens-1M at L = 100, from both tables."""
    folder = results.sweeps_folder()
    tables = [pd.read_csv(folder / "ml-1m.csv"), pd.read_csv(folder / "growing" / "ml-1m.csv")]
    return pd.concat(tables).query("backbone == 'llama' and max_seq_len == 100")


def test_our_models_stand_beside_the_published_values():
    table = paper_sizes.load_surface()
    beside = paper_sizes.compare_with_paper(table)
    assert len(beside) == len(paper_runs().groupby(["n_layers", "d_emb"]))
    assert beside[["value", "published", "sampled"]].notna().all(axis=None)
    assert (beside["sampled"] > beside["value"]).all()
    assert np.allclose(beside["ratio"], beside["sampled"] / beside["published"])


@pytest.mark.integration
def test_predictions_of_the_papers_deep_cells_are_judged_by_their_own_rule():
    judged = paper_sizes.judge_predictions()
    cell = judged[(judged["n_layers"] == 16) & (judged["d_emb"] == 25)]
    of_ndcg = cell[cell["metric"] == "NDCG@10"].set_index("law")
    run = paper_runs().query("n_layers == 16 and d_emb == 25")
    assert of_ndcg["measured"].to_numpy() == pytest.approx(run["NDCG@10"].item())
    # the nearest of the trained cells has 8 layers and the same dimension
    runs = pd.read_csv(results.sweeps_folder() / "ml-1m.csv")
    near = runs.query("n_layers == 8 and d_emb == 25 and max_seq_len == 100")["NDCG@10"]
    assert len(near) == 2
    assert of_ndcg.loc["nearest trained cell", "predicted"] == pytest.approx(near.mean())
    row = of_ndcg.loc["constant"]
    assert row["error"] == pytest.approx(100 * np.log(row["predicted"] / row["measured"]))
    assert row["inside"] == (row["low"] <= row["measured"] <= row["high"])


def test_a_step_in_depth_has_the_interval_of_its_seeds():
    beside = paper_sizes.compare_with_paper(paper_sizes.load_surface())
    steps = paper_sizes.compare_depths(beside, level=0.9).set_index(["d_emb", "smaller", "larger"])
    runs = pd.read_csv(study_file("data", "paper_sizes.csv"))  # among 2,500 items, as published
    values = runs.groupby(["d_emb", "n_layers"])["NDCG@10"].agg(["mean", "std", "size"])
    change = 100 * np.log(values["mean"][25, 12] / values["mean"][25, 8])
    step = steps.loc[(25, 8, 12)]
    assert step["change"] == pytest.approx(change, abs=1e-3)
    assert step["published"] == pytest.approx(100 * np.log(0.1613 / 0.1535))
    assert step["seeds"] == "2, 1"
    twice = values[values["size"] == 2]
    noise = 100 * np.sqrt(((twice["std"] / twice["mean"]) ** 2).mean())
    dof = len(twice)
    reach = student_quantile(0.9, dof) * noise * np.sqrt(1 + 1 / 2)
    assert [step["low"], step["high"]] == pytest.approx([change - reach, change + reach], abs=1e-3)


def test_errors_of_predictions_are_averaged_by_law():
    judged = pd.DataFrame(
        {
            "metric": "HR@10",
            "law": ["a", "b", "a", "b"],
            "error": [3.0, 1.0, -1.0, 2.0],
            "low": [0.1, np.nan, 0.1, np.nan],
            "inside": [True, False, False, False],
        }
    )
    summary = paper_sizes.summarise_predictions(judged).set_index("law")
    assert summary.loc["a", ["cells", "error", "bias", "inside"]].tolist() == [2, 2, 1, 1]
    assert summary.loc["b", ["error", "bias"]].tolist() == [1.5, 1.5]
    assert np.isnan(summary.loc["b", "inside"])


def test_logs_are_described_by_sizes_entropies_and_counts():
    runs = study_runs.load_survey_runs()
    logs = transfer.describe_logs(runs)
    assert logs["log"].is_unique
    assert logs.notna().all(axis=None)
    candidates = transfer.candidate_columns(logs)
    assert {column for columns in candidates.values() for column in columns} <= set(logs)
    assert sum(name.startswith("count-based") for name in candidates) == 4


@pytest.mark.integration
def test_no_exponents_of_a_dense_grid_fit_better():
    """Of a fold where a longer step leaps from its valley into a higher one."""
    table = study_runs.mean_surfaces(study_runs.load_survey_runs(), ("NDCG@10",))
    surface = table[table["dataset"] == "foursquare-5k"]
    seen = surface[(surface["n_layers"] != 3) | (surface["d_emb"] != 64)]
    law = families.with_bounds(families.performance(), -3, 3)
    grid = np.linspace(-3, 3, 121)
    theta = np.stack(np.meshgrid(grid, grid), axis=-1).reshape(-1, 2)
    columns = linear.design_columns(law, families.law_axes(law, seen), theta)
    y = seen["value"].to_numpy()
    on_grid = linear.least_squares(columns, np.tile(y, (len(theta), 1)), np.ones(len(y)))[1]
    assert varpro.solve_batch(law, seen, y).rss[0] <= on_grid.min()
