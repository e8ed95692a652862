"""Predictions that were written down first: scored under the rule they were written for."""

import numpy as np
import pandas as pd
import pytest

from perflaw.errors import InputError
from perflaw.study import trained_cells
from perflaw.study.analysis import recorded_predictions


@pytest.fixture(scope="module")
def scored():
    """The predictions of NDCG@10 under the rule that they were written for."""
    return recorded_predictions.score_recorded()


def test_baselines_stand_beside_every_prediction(scored):
    cells = scored.groupby("law").size()
    assert set(trained_cells.BASELINES) <= set(cells.index)
    assert cells.nunique() == 1
    assert scored.groupby(["dataset", "n_layers", "d_emb", "law"]).size().max() == 1


def test_the_nearest_cell_is_a_small_one_on_the_way(scored):
    _, table = recorded_predictions.load_predicted_surfaces("training")
    of_metric = table[table["metric"] == "NDCG@10"]
    value = of_metric.set_index(["dataset", "n_layers", "d_emb"])["value"]
    rows = scored[(scored["law"] == "nearest trained cell") & (scored["dataset"] == "ml-100k")]
    assert len(rows) == 6
    for row in rows.itertuples():
        expected = value["ml-100k", min(row.n_layers, 3), min(row.d_emb, 32)]
        assert row.predicted == expected


@pytest.mark.integration
def test_the_other_rule_changes_observations_where_nothing_repeats(scored):
    other = recorded_predictions.score_recorded(seen="history")
    columns = ["dataset", "law", "n_layers", "d_emb"]
    both = scored.merge(other, on=columns, suffixes=("", " other"))
    written = both[both["law"] == "log-linear"]
    assert (written["predicted"] == written["predicted other"]).all()
    repeats = written["log"].isin(["gowalla-1k", "foursquare-5k", "online-retail"])
    assert (written.loc[repeats, "value"] == written.loc[repeats, "value other"]).all()
    assert (written.loc[~repeats, "value"] < written.loc[~repeats, "value other"]).all()


def test_predictions_were_written_before_the_first_large_model_was_started():
    runs, _ = recorded_predictions.load_predicted_surfaces("training")
    ahead = recorded_predictions.check_written_first(runs)
    assert len(ahead) == 12
    assert (ahead > pd.Timedelta(0)).all()
    early = runs.assign(finished="2026-11-24T00:00:00Z")
    with pytest.raises(InputError, match="were written after a model"):
        recorded_predictions.check_written_first(early)


@pytest.mark.integration
def test_coverage_is_counted_by_log(scored):
    table = recorded_predictions.coverage_by_log(scored).set_index("law")
    cells = scored[scored["law"] == "log-linear"]
    inside = int(cells.loc[cells["log"] == "gowalla-1k", "covered"].sum())
    assert table.loc["log-linear", "gowalla-1k"] == f"{inside} of 12"
    assert table.loc["log-linear", "all"] == f"{int(cells['covered'].sum())} of 72"
    share = 100 * cells["covered"].mean()
    assert table.loc["log-linear", "low"] < share < table.loc["log-linear", "high"]
    assert "nearest trained cell" not in table.index


def base_rows():
    """Two cells to predict, one with a run, and one of which a run was known before."""
    cells = {(6, 128): (2, False), (12, 64): (0, False), (1, 128): (3, True)}
    return pd.DataFrame(
        [
            {
                "log": "shop",
                "law": law,
                "n_layers": n_layers,
                "d_emb": d_emb,
                "seeds": seeds,
                "known before": known,
                "ape": ape if seeds else np.nan,
                "covered": np.nan if law == "constant" or not seeds else 1.0,
            }
            for (n_layers, d_emb), (seeds, known) in cells.items()
            for law, ape in (("constant", 4.0), ("law", 2.0))
        ]
    )


def test_base_predictions_are_summarised_over_cells_that_have_runs():
    found = recorded_predictions.summarise_base(base_rows()).set_index("law")
    assert found["cells"].tolist() == [1, 1]
    assert found["error"].tolist() == [4, 2]
    assert found["d = 128"].tolist() == [4, 2]
    assert found["N = 12"].isna().all()
    assert found["known before"].tolist() == [4, 2]
    assert found["inside"].tolist() == ["", "1 of 1"]


def test_base_predictions_are_summarised_log_by_log():
    both = pd.concat([base_rows(), base_rows().assign(log="other", ape=8.0)])
    found = recorded_predictions.summarise_base(both)
    assert found["log"].tolist() == ["shop", "shop", "other", "other"]
    assert found["error"].tolist() == [4, 2, 8, 8]


def test_a_law_is_chosen_on_the_other_logs():
    names = ["nearest trained cell", "bent", "straight"]
    errors = {"a": [5.0, 1.0, 9.0], "b": [6.0, 8.0, 2.0], "c": [7.0, 6.0, 3.0]}
    rows = [
        {"log": log, "law": law, "error": error}
        for log, of_log in errors.items()
        for law, error in zip(names, of_log, strict=True)
    ]
    chosen = recorded_predictions.choose_on_other_logs(pd.DataFrame(rows)).set_index("log")
    assert chosen["law"].tolist() == ["straight", "bent", "bent"]
    assert chosen["error"].tolist() == [9, 8, 6]
    assert chosen["nearest"].tolist() == [5, 6, 7]


def test_base_predictions_without_runs_have_no_error():
    rows = base_rows().assign(seeds=0, ape=np.nan, covered=np.nan)
    found = recorded_predictions.summarise_base(rows)
    assert found["cells"].tolist() == [0, 0]
    assert found["error"].isna().all()


@pytest.mark.integration
def test_every_base_prediction_is_scored_or_waits():
    found = recorded_predictions.score_base()
    assert found.groupby(["log", "law"]).size().unique().tolist() == [9]
    has_run = found["seeds"] > 0
    assert found.loc[has_run, "value"].notna().all()
    assert found.loc[~has_run, "value"].isna().all()
    assert found.loc[found["known before"], "seeds"].gt(0).all()
