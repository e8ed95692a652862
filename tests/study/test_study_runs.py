"""The study's runs, their surfaces, and both splits."""

import numpy as np
import pandas as pd
import pytest

from perflaw.errors import InputError
from perflaw.logs import perturbations
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
    assert found["regret"] == pytest.approx(100 * np.log(value.max() / value[chosen]))
    assert found["noises"] == pytest.approx(found["regret"] / (3 * np.sqrt(2 / 3)))
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


def test_the_kept_runs_are_each_once_and_those_of_the_study_have_one_setting():
    kept, study = study_runs.load_study_runs(), study_runs.load_survey_runs()
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


def test_means_over_surfaces_compare_laws_on_the_same_ones():
    judged = pd.DataFrame(
        [
            ("sum of powers", "a", 5, 0.9, 1.0, 2.0, 3.0),
            ("free", "a", 7, 0.9, 1.0, np.nan, 3.0),
            ("sum of powers", "b", 5, 0.7, 3.0, np.nan, 5.0),
            ("free", "b", 7, 0.7, 3.0, np.nan, 5.0),
        ],
        columns=["law", "dataset", "parameters", "r2", "leave-one-out", "largest N", "largest d"],
    )
    mean, by_law = study_runs.mean_over_surfaces(judged)
    assert by_law.loc["sum of powers", "largest N"] == 2.0
    assert np.isnan(by_law.loc["free", "largest N"])
    assert by_law.loc["free", "leave-one-out"] == 2.0
    assert by_law.loc["free", "r2"] == pytest.approx(0.8)
    assert list(mean["law"]) == ["sum of powers", "free"]
