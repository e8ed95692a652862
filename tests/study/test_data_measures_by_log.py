"""The comparison of data measures log by log, on tables whose answer is known."""

import numpy as np
import pandas as pd
import pytest

from perflaw.errors import InputError
from perflaw.logs.perturbations import PERTURBATIONS
from perflaw.study.analysis import data_conditions, data_measures, data_measures_by_log

NAMES = (data_measures.POSITIONS, data_measures.PAPER)


def conditions(slopes, seed=0):
    """Draw conditions whose change is a slope of the log times the change of trained positions."""
    random = np.random.default_rng(seed)
    rows = []
    for log, slope in slopes.items():
        for intervention in ("sample_users", "truncate", "shuffle_order", "insert_repeats"):
            for strength in (0.25, 0.5):
                positions, tokens, apen = random.normal(size=3)
                rows.append(
                    (log, intervention, strength, slope * positions, tokens, positions, apen)
                )
    columns = ["log", "intervention", "strength", "change"]
    measures = ["Δ tokens", "Δ trained positions", "Δ ApEn by user"]
    return pd.DataFrame(rows, columns=columns + measures).assign(runs=1, noise=0.0)


def test_positions_explain_what_was_made_of_them():
    found = data_measures_by_log.scores_by_log(conditions({"a": 0.3, "b": 0.3}), NAMES, draws=100)
    share = found.set_index(["candidate", "split", "log"])["share"]
    assert np.allclose(share[data_measures.POSITIONS], 1)
    assert (share[data_measures.PAPER] < 0.9).all()


def test_a_log_with_the_opposite_slope_is_missed_only_if_it_is_left_out():
    found = data_measures_by_log.scores_by_log(
        conditions({"a": 0.3, "b": 0.3, "c": -0.3}), NAMES, draws=100
    )
    share = found.set_index(["candidate", "split", "log"])["share"]
    assert share[data_measures.POSITIONS, "intervention", "c"] == pytest.approx(1)
    assert share[data_measures.POSITIONS, "log", "c"] == pytest.approx(-3)


def test_shares_and_edges_agree_with_the_pooled_comparison_of_one_log():
    table = conditions({"a": 0.3})
    table["change"] += 0.1 * np.random.default_rng(1).normal(size=len(table))
    pooled = data_measures.comparison_table(table, draws=100).set_index("candidate")
    by_log = data_measures_by_log.scores_by_log(table, NAMES, draws=100)
    row = by_log[by_log["split"] == "intervention"].set_index("candidate").loc[data_measures.PAPER]
    assert row["share"] == pytest.approx(pooled.loc[data_measures.PAPER, "intervention"])
    assert row["edge"] == pytest.approx(pooled.loc[data_measures.PAPER, "edge intervention"])


def test_a_log_with_large_changes_weighs_no_more_than_another():
    table = conditions({"a": 0.3, "b": 3.0})
    scores = data_measures_by_log.scores_by_log(table, NAMES, draws=100)
    equal = data_measures_by_log.weigh_logs_equally(scores)
    for row in equal.itertuples():
        of_log = scores[(scores["split"] == row.split) & (scores["candidate"] == row.candidate)]
        assert row.share == pytest.approx(of_log["share"].mean())


def test_intervals_over_logs_are_students():
    scores = pd.DataFrame(
        {
            "split": "log",
            "candidate": data_measures.PAPER,
            "log": ["a", "b"],
            "share": [0.1, 0.3],
            "edge": [-0.1, 0.1],
        }
    )
    row = data_measures_by_log.weigh_logs_equally(scores, level=0.9).iloc[0]
    assert row["edge"] == 0
    assert row["high"] == pytest.approx(0.1 * 6.3137515)
    assert row["p"] == pytest.approx(1)


def test_the_reference_itself_is_not_tested():
    scores = data_measures_by_log.scores_by_log(
        conditions({"a": 0.3, "b": 0.2}), [data_measures.TOKENS, *NAMES], draws=100
    )
    equal = data_measures_by_log.weigh_logs_equally(scores).set_index(["candidate", "split"])
    assert equal.loc[data_measures.TOKENS, "p"].isna().all()
    assert equal.loc[data_measures.PAPER, "q"].notna().all()


def test_what_cannot_be_weighed_is_said():
    with pytest.raises(InputError, match="no candidate 'tokens / luck'"):
        data_measures_by_log.scores_by_log(conditions({"a": 1.0}), ["tokens / luck"])
    one = data_measures_by_log.scores_by_log(conditions({"a": 1.0}), NAMES, draws=100)
    with pytest.raises(InputError, match="two logs"):
        data_measures_by_log.weigh_logs_equally(one)


def test_every_run_is_counted_once():
    runs = data_measures.perturbation_runs(data_conditions.load_perturbed_runs())
    found = data_measures.paired_conditions(runs)
    counts = data_conditions.count_conditions(runs, found)
    assert counts[["runs", "base runs", "idle runs"]].sum().sum() == len(runs)
    assert counts["conditions"].sum() == len(found)
    assert counts["weight"].sum() == pytest.approx(1)
    tried = runs[["log", *PERTURBATIONS]].drop_duplicates()
    assert (counts["conditions"] + counts["idle"] + 1).sum() == len(tried)


def test_conditions_that_left_the_log_as_it_was_are_those_without_repeats():
    runs = data_measures.perturbation_runs(data_conditions.load_perturbed_runs())
    counts = data_conditions.count_conditions(runs, data_measures.paired_conditions(runs))
    assert counts.set_index("log")["idle"].to_dict()["ml-100k"] == 2


def test_controls_are_explained_by_what_varies():
    known = pd.DataFrame(
        {
            "log": ["size", "size", "rate", "rate"],
            "change": [0.1, -0.2, 0.3, -0.3],
            "Δ tokens": [0.5, -1.0, 0.0, 0.0],
            "Δ conditional entropy": [0.0, 0.0, -0.1, 0.1],
        }
    )
    table = data_measures.control_table(known, [data_measures.TOKENS, data_measures.OURS])
    at = table.set_index("candidate")
    assert at.loc[data_measures.TOKENS, "size varies"] == pytest.approx(1)
    assert at.loc[data_measures.TOKENS, "rate varies"] == pytest.approx(0)
    assert np.isnan(at.loc[data_measures.TOKENS, "slope, rate varies"])
    assert at.loc[data_measures.OURS, "slope, rate varies"] == pytest.approx(3)
    assert (at["slope, size varies"] > 0).all()
