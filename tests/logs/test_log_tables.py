"""Tables of logs: what is recorded is what is measured."""

import os

import numpy as np
import pandas as pd
import pytest

from perflaw.errors import InputError
from perflaw.logs import measures, perturbations
from perflaw.logs.entropy import approximate, conditional
from perflaw.logs.interaction_log import from_histories
from perflaw.logs.splits import leave_one_out
from perflaw.logs.synthetic import Process
from perflaw.study.analysis import cross_entropy, entropy_tables, log_tables


@pytest.fixture(scope="module")
def log():
    return Process(n_items=50, n_interests=5).sample(400, 20).log


def test_recorded_rows_give_way_to_measured_ones(log):
    measured = log_tables.summary_table({"ml-100k": log, "mine": log})
    table = log_tables.with_recorded_logs("summaries", measured)
    assert list(table["log"][:2]) == ["ml-100k", "mine"]
    assert table["log"].is_unique
    assert table.set_index("log").loc["ml-100k", "users"] == 400
    assert list(table.columns) == list(measured.columns)


@pytest.mark.integration
@pytest.mark.skipif(
    not os.environ.get("PERFLAW_DATA"), reason="PERFLAW_DATA names no folder of logs"
)
@pytest.mark.parametrize("name", log_tables.RECORDED_TABLES)
def test_recorded_tables_are_what_the_logs_give(name):
    logs = {name: log for name, log in log_tables.load_study_logs().items() if name != "synthetic"}
    recorded = pd.read_csv(log_tables.log_tables_folder() / f"{name}.csv")
    logs = {name: log for name, log in logs.items() if name in set(recorded["log"])}
    assert logs
    measured = log_tables.RECORDED_TABLES[name](logs)
    recorded = recorded[recorded["log"].isin(logs)].reset_index(drop=True)
    pd.testing.assert_frame_equal(measured, recorded, check_dtype=False, rtol=1e-5)


def test_splits_of_a_log_with_ties():
    ties = from_histories(
        [list("abcd"), list("dcba"), list("bdca")] * 5,
        [[1e9 + u, 2e9, 3e9, 3e9] for u in range(15)],
    )
    table = log_tables.split_table({"ties": ties}).set_index("rule")
    assert table.loc["ties reversed", "moved"] == 1
    assert table.loc["leave one out", "tied"] == 1
    assert np.isnan(table.loc["leave one out", "moved"])
    without_clock = log_tables.split_table({"none": from_histories([list("abc")])})
    assert list(without_clock["rule"]) == ["leave one out"]


def test_the_rule_of_record_removes_the_validation_item():
    """The validation item is the more popular: left in, it is ahead of the target."""
    distinct = from_histories([list("abc"), list("bac"), list("dab"), list("eab")])
    table = log_tables.split_table({"distinct": distinct})
    assert table["removed NDCG@10"].item() > table["NDCG@10"].item()
    of_record = log_tables.with_rule_of_record(table)
    assert of_record["NDCG@10"].item() == table["removed NDCG@10"].item()
    assert not of_record.columns.str.startswith("removed").any()


def test_where_items_repeat_the_rules_are_one(log):
    table = log_tables.split_table({"repeats": log})
    assert table["removed HR@10"].isna().all()
    of_record = log_tables.with_rule_of_record(table)
    assert of_record["HR@10"].tolist() == table["HR@10"].tolist()


def test_curves(log):
    curves = log_tables.shape_curves({"one": log})
    length, popularity, repeats = (
        curves[curves["curve"] == name] for name in ("length", "popularity", "repeats")
    )
    assert length["y"].iloc[0] == 1
    assert (length["y"].diff().dropna() <= 0).all()
    assert length["x"].iloc[-1] == log.lengths.max()
    assert length["y"].iloc[-1] == pytest.approx(np.mean(log.lengths == log.lengths.max()))
    assert popularity["y"].iloc[0] == log.item_counts.max() / log.tokens
    assert repeats["y"].between(0, 1).all()
    assert len(repeats) > 3
    second = log.repeats[log.offsets[:-1] + 1].mean()
    assert repeats["x"].iloc[0] == 2
    assert repeats["y"].iloc[0] == pytest.approx(second)


def test_logs_by_name(tmp_path, monkeypatch):
    monkeypatch.delenv("PERFLAW_DATA", raising=False)
    assert (
        list(log_tables.load_study_logs())
        == ["synthetic"]
        == list(log_tables.load_study_logs(["synthetic"]))
    )
    (tmp_path / "shop.csv").write_text("user,item\nu,a\nu,b\n")
    assert list(log_tables.load_study_logs([str(tmp_path / "shop.csv")])) == ["shop"]
    with pytest.raises(InputError, match="there is no log 'nonesuch'"):
        log_tables.load_study_logs(["nonesuch"])


# ---------------------------------------------------------------- entropy


def test_worked_example():
    steps = entropy_tables.worked_example("abaaba", 1)
    phi = steps.groupby("length")["ln C"].mean()
    assert phi[1] - phi[2] == pytest.approx(approximate.apen("abaaba", m=1), abs=1e-12)
    assert steps["matches"].tolist() == [4, 2, 4, 4, 2, 4, 2, 2, 1, 2, 2]


def test_entropies_of_logs(log):
    short = from_histories([["a", "b"]] * 3)
    table = entropy_tables.entropy_table({"long": log, "short": short}).set_index("log")
    assert table.loc["long", "conditional"] == conditional.conditional_entropy(log, 1)
    assert np.isnan(table.loc["short", "apen signed"])
    assert table.loc["short", "too short"] == 3
    assert table.loc["short", "shannon"] == pytest.approx(np.log(2))
    assert measures.count_too_short(log, m=9, last=9) == log.n_users


@pytest.mark.parametrize("name", log_tables.RECORDED_TABLES)
def test_tables_leave_out_what_is_undefined(name, log):
    """A log too short for anything stands beside others without harm."""
    make = log_tables.RECORDED_TABLES[name]
    short = from_histories([["a"], ["b"]])
    table, alone = make({"short": short, "long": log}), make({"long": log})
    pd.testing.assert_frame_equal(
        table[table["log"] == "long"].reset_index(drop=True), alone, check_dtype=False
    )
    if name == "entropies":
        undefined = table.set_index("log").loc["short"].isna()
        assert set(undefined[~undefined].index) == {"tokens", "shannon", "compression", "too short"}


def test_by_length_of_a_log_without_repeats(log):
    table = entropy_tables.apen_by_length({"distinct": log.keep(~log.repeats).min_length(3)})
    low, high = (
        approximate.apen_of_distinct(np.floor(table["length"].to_numpy()).astype(int)),
        approximate.apen_of_distinct(np.ceil(table["length"].to_numpy()).astype(int) + 1),
    )
    assert ((table["apen"] >= low - 0.02) & (table["apen"] <= high + 0.02)).all()
    assert (table["apen"].diff().dropna() > 0).all()


def test_numbering_matters_only_with_a_tolerance(log):
    table = entropy_tables.numbering_table({"log": log}, tolerances=(0, 5), seeds=2).set_index("r")
    assert len(set(table.loc[0].drop("log"))) == 1
    assert table.loc[5, "renumbered_low"] < table.loc[5, "renumbered_high"]


def test_items_in_the_order_of_their_ids():
    log = measures.sort_items_by_id(from_histories([[30, 10, 20, 10]]))
    assert log.items.tolist() == [2, 0, 1, 0]
    assert log.item_ids.tolist() == [10, 20, 30]
    assert log.hash == from_histories([[30, 10, 20, 10]]).hash


PROCESS = Process(n_items=60, n_interests=4)


def test_the_corrected_estimate_comes_to_the_truth():
    table = entropy_tables.estimator_bias_table(PROCESS, users=(100, 1_000, 10_000), mean_length=30)
    corrected = table[table["measure"] == "corrected, m = 1"]["value"].to_numpy()
    error = np.abs(corrected - PROCESS.entropy_rate)
    assert error[-1] < 0.003
    assert error[-1] < error[0]


@pytest.mark.parametrize(
    ("name", "strength"),
    [
        ("replace_random", 0.3),
        ("insert_repeats", 0.5),
        ("shuffle_order", 1.0),
        ("truncate", 10),
        ("sample_users", 0.5),
    ],
)
def test_true_entropy_against_a_large_log(name, strength):
    """A large enough log shows what the formula says, within three standard errors."""
    train = leave_one_out(PROCESS.sample(30_000, 20, seed=2).log).train
    changed = perturbations.PERTURBATIONS[name](train, strength, 1)
    expected = entropy_tables.known_entropy(PROCESS, name, strength, train.lengths)
    assert conditional.conditional_entropy(changed) == pytest.approx(expected, abs=0.012)


def test_true_entropy_where_it_is_not_known():
    for name, strength in (("k_core", 5), ("remove_repeats", 1.0), ("shuffle_order", 0.5)):
        assert np.isnan(entropy_tables.known_entropy(PROCESS, name, strength, np.array([5, 9])))


def test_under_interventions():
    table = entropy_tables.perturbation_table(
        PROCESS,
        {"duplicate_users": 1.0, "replace_random": 0.3},
        seeds=2,
        n_users=300,
        mean_length=20,
    )
    change = table.set_index(["intervention", "measure"])["change"]
    copied = change.loc["duplicate_users"].loc[["tokens", "shannon", "plug-in", "truth"]]
    assert copied.tolist() == pytest.approx([100, 0, 0, 0], abs=1e-9)
    assert change.loc["replace_random", "truth"] > 10
    assert abs(change.loc["replace_random", "tokens"]) < 1e-9


def test_cross_entropy_comes_down_to_the_entropy_rate_and_copies_tell_it_nothing():
    process = Process(n_items=60, n_interests=6)
    found = [
        cross_entropy.bigram_cross_entropy(leave_one_out(process.sample(users, 30, seed=1).log))
        for users in (50, 500, 20_000)
    ]
    assert found[0] > found[1] > found[2] == pytest.approx(process.entropy_rate, abs=0.04)
    split = leave_one_out(process.sample(500, 30, seed=1).log)
    copied, shuffled = (
        cross_entropy.bigram_cross_entropy(perturbations.apply(split, name, 1))
        for name in ("duplicate_users", "shuffle_order")
    )
    assert copied == pytest.approx(found[1], abs=0.02)
    assert shuffled > found[1] + 0.1


def test_cross_entropy_by_hand():
    """Item 1 is followed by 0 once and by 1 once, and both are targets.

    The counts alone say one half, and popularity does not help.
    """
    split = leave_one_out(from_histories([[0, 1, 0, 1, 0, 1], [0, 1, 1, 1, 0]]))
    assert cross_entropy.bigram_cross_entropy(split) == pytest.approx(np.log(2), abs=1e-4)
