"""The study's runs, their surfaces, and both splits."""

import numpy as np
import pandas as pd
import pytest

from perflaw.errors import InputError
from perflaw.laws import families
from perflaw.logs import perturbations
from perflaw.logs.interaction_log import from_histories
from perflaw.logs.splits import leave_one_out
from perflaw.models import baselines
from perflaw.models.sweeps import grids, results
from perflaw.study.analysis import (
    split_comparison,
    study_runs,
)


def test_what_holds_under_one_split_is_asked_of_the_other(swept):
    by_user = swept(("sasrec",), seeds=3)
    by_time = by_user[by_user["d_emb"] < 64].assign(split="global time")
    by_time["NDCG@10"] *= np.where((by_time["n_layers"] == 1) & (by_time["d_emb"] == 8), 2.0, 0.8)
    table = study_runs.mean_surfaces(pd.concat([by_user, by_time], ignore_index=True))
    found = (
        split_comparison.compare_splits(table, "NDCG@10", pd.Series(3.0, table["dataset"].unique()))
        .set_index("log")
        .loc["a"]
    )
    value = by_time[by_time["log"] == "a"].groupby(["n_layers", "d_emb"])["NDCG@10"].mean()
    chosen = (
        by_user[(by_user["log"] == "a") & (by_user["d_emb"] < 64)]
        .groupby(["n_layers", "d_emb"])["NDCG@10"]
        .mean()
        .idxmax()
    )
    assert found["cells"] == len(value)
    assert found["best, global time"] == "N 1, d 8"
    assert found["best, leave one out"] == "N {}, d {}".format(*chosen)
    ratio = value[chosen] / value.max()
    assert found["regret, %"] == pytest.approx(100 * (1 - ratio))
    assert found["noises"] == pytest.approx(-100 * np.log(ratio) / (3 * np.sqrt(2 / 3)))
    assert found["correlation"] == pytest.approx(
        0.5
    )  # of eleven cells in one order the last comes first: 1 - 6 · 110 / (11 · 120)
    assert split_comparison.compare_splits(
        table[table["split"] == "global time"], "NDCG@10", pd.Series(3.0, table["dataset"].unique())
    ).empty


def test_surfaces_have_names_and_leave_out_what_is_no_surface(swept):
    runs = swept()
    runs.loc[0, "truncate"] = 10
    runs.loc[1, "shared_layers"] = True
    runs.loc[2, "NDCG@10"] = np.nan
    table = study_runs.mean_surfaces(runs)
    assert list(dict.fromkeys(table["dataset"])) == ["a", "a, llama", "b", "b, llama"]
    first = table[(table["dataset"] == "a") & (table["metric"] == "NDCG@10")].set_index(
        ["n_layers", "d_emb"]
    )
    assert (1, 8) not in first.index
    assert first.loc[(1, 16), "seeds"] == 1
    assert first.loc[(1, 32), "seeds"] == 2
    assert (
        study_runs.mean_surfaces(runs.assign(split="global time", loss="softmax"))["dataset"].iloc[
            0
        ]
        == "a, global time, softmax"
    )
    runs.loc[5, "dropout"] = 0.5
    with pytest.raises(InputError, match="runs on a differ in dropout"):
        study_runs.mean_surfaces(runs)


@pytest.mark.integration
def test_the_kept_runs_are_each_once_and_those_of_the_study_have_one_setting():
    kept, study = study_runs.load_study_runs(growing=True), study_runs.load_survey_runs()
    assert kept["key"].is_unique
    assert not kept["log"].str.startswith("synthetic").any()
    assert study["key"].isin(kept["key"]).all()
    assert set(study["loss"]) == {"sampled_softmax"}
    assert len(set(study["learning_rate"])) == 1
    assert (
        study_runs.select_full_data_runs(study, log="ml-100k", d_emb=32)[
            list(perturbations.PERTURBATIONS)
        ]
        .isna()
        .all(axis=None)
    )


def test_sweeps_under_way_add_seeds_and_no_cells():
    settings = grids.read_grid("survey")["settings"]
    cell = [*study_runs.SURFACE, *families.AXES]
    whole = results.filter_runs(study_runs.load_study_runs(), settings)
    study = study_runs.load_survey_runs()
    cells = set(whole[cell].itertuples(index=False, name=None))
    assert set(study[cell].itertuples(index=False, name=None)) == cells
    assert set(study["key"]) > set(whole["key"])


def ranked_runs():
    """Three runs: without repeats, with them, and one that failed."""
    return pd.DataFrame(
        {
            "log": ["a", "b", "a"],
            "repeats": [False, True, False],
            "NDCG@10": [0.1, 0.2, np.nan],
            "removed NDCG@10": [0.15, np.nan, np.nan],
            "least-loss NDCG@10": [0.08, 0.2, np.nan],
            "least-loss removed NDCG@10": [0.12, np.nan, np.nan],
            "validation NDCG@10": [0.3, 0.3, np.nan],
        }
    )


def test_the_rule_of_record_removes_the_history_where_nothing_repeats():
    found = study_runs.apply_ranking_rule(ranked_runs())
    assert found["NDCG@10"].tolist()[:2] == [0.15, 0.2]
    assert np.isnan(found["NDCG@10"].iloc[2])
    assert found["least-loss NDCG@10"].tolist()[:2] == [0.12, 0.2]
    assert found["validation NDCG@10"].tolist()[:2] == [0.3, 0.3]
    assert not found.columns.str.contains("removed").any()


def test_the_older_rule_keeps_the_validation_item():
    found = study_runs.apply_ranking_rule(ranked_runs(), "training")
    assert found["NDCG@10"].tolist()[:2] == [0.1, 0.2]
    assert not found.columns.str.contains("removed").any()


def test_a_rule_needs_its_values():
    runs = ranked_runs().drop(columns="removed NDCG@10")
    with pytest.raises(InputError, match="1 runs on a have no 'removed NDCG@10'"):
        study_runs.apply_ranking_rule(runs)
    with pytest.raises(InputError, match="seen = 'none'"):
        study_runs.apply_ranking_rule(runs, "none")


def test_study_tables_follow_the_rule_of_record():
    recorded = study_runs.load_study_runs().set_index("key")
    older = study_runs.load_study_runs("training").set_index("key")
    repeats = recorded["repeats"].astype(bool)
    assert recorded.loc[repeats, "NDCG@10"].equals(older.loc[repeats, "NDCG@10"])
    assert (recorded.loc[~repeats, "NDCG@10"] >= older.loc[~repeats, "NDCG@10"]).all()
    assert recorded.loc[~repeats, "NDCG@10"].mean() > 1.03 * older.loc[~repeats, "NDCG@10"].mean()


@pytest.mark.integration
def test_base_runs_are_of_one_log_and_setting():
    runs = study_runs.load_base_runs(grids.read_grid("survey")["settings"], "ml-100k")
    assert set(runs["log"]) == {"ml-100k"}
    assert set(runs["seed"]) == {0, 1, 2}
    assert runs["key"].is_unique
    sizes = runs.groupby(["n_layers", "d_emb"]).size()
    base = [(n, d) for n in (1, 2, 3, 4, 6) for d in (8, 16, 32, 64)]
    assert (sizes.loc[base] == 3).all()


def test_means_over_logs_compare_laws_on_the_same_surfaces():
    judged = pd.DataFrame(
        [
            ("sum of powers", "a", 5, 0.9, 1.0, 2.0, 3.0),
            ("free", "a", 7, 0.9, 1.0, np.nan, 3.0),
            ("sum of powers", "b", 5, 0.7, 3.0, np.nan, 5.0),
            ("free", "b", 7, 0.7, 3.0, np.nan, 5.0),
        ],
        columns=["law", "dataset", "parameters", "r2", "leave-one-out", "largest N", "largest d"],
    )
    by_law = study_runs.average_comparison(judged.assign(log=judged["dataset"]))
    assert by_law.loc["sum of powers", "largest N"] == 2.0
    assert np.isnan(by_law.loc["free", "largest N"])
    assert by_law.loc["free", "leave-one-out"] == 2.0
    assert by_law.loc["free", "r2"] == pytest.approx(0.8)
    assert list(by_law.index) == ["sum of powers", "free"]


def test_test_metrics_are_of_both_rules_where_nothing_repeats():
    without = leave_one_out(from_histories([[0, 1, 2, 3], [3, 2, 1, 0], [0, 2, 1, 3]]))
    row = study_runs.measure_on_test(baselines.most_popular(without), without)
    assert list(row) == ["HR@10", "NDCG@10", "removed HR@10", "removed NDCG@10"]
    # all but the target was in the history, so it comes first once that is removed
    assert row["removed NDCG@10"] == 1
    repeated = leave_one_out(from_histories([[0, 1, 0, 1], [1, 1, 0, 0]]))
    row = study_runs.measure_on_test(baselines.most_popular(repeated), repeated)
    assert list(row) == ["HR@10", "NDCG@10"]
