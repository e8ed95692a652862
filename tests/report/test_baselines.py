"""Baselines of a report: what they rank, and how they are compared with the models."""

import numpy as np
import pytest

from perflaw.logs import synthetic
from perflaw.logs.interaction_log import from_histories
from perflaw.logs.splits import leave_one_out
from perflaw.models import baselines as model_baselines
from perflaw.models import configuration, ranking
from perflaw.models.baselines import (
    RankedBaselines,
    last_items,
    measure_growth,
    rank_baselines,
)
from perflaw.models.training import run_records, trainer
from perflaw.report import baselines, pilot


@pytest.fixture(scope="module")
def repeating_log():
    """Users who go back to what they had three steps before."""
    random = np.random.default_rng(0)
    histories = [list(random.permutation(40)[:3]) * 5 for _ in range(60)]
    return from_histories(histories, name="repeating")


def test_the_last_items_come_first():
    log = from_histories([[3, 1, 2, 1, 0, 3, 1]] * 2)
    split = leave_one_out(log)
    ranked = ranking.rank_targets(last_items(split), split, split.test, top=4)
    in_order = [log.items[i] for i in (5, 4, 3, 2)]  # 3, 0, 1, 2 before the test target
    assert ranked.top[0].tolist() == in_order


def test_recency_finds_what_repeats(repeating_log):
    metrics = rank_baselines(repeating_log).metrics()
    assert metrics["last items"]["HR@10"] == 1
    assert metrics["most popular"]["HR@10"] < 0.6


def test_where_nothing_repeats_the_whole_history_is_removed(log):
    repeats = log.repeats.any()
    part = rank_baselines(log).part
    assert part == ("test" if repeats else "test, history removed")


@pytest.fixture(scope="module")
def recorded(repeating_log, tmp_path_factory):
    """Folder and keys of two runs that differ in the seed."""
    folder = tmp_path_factory.mktemp("runs")
    keys = []
    for seed in (0, 1):
        settings = pilot.SETTINGS | {"n_layers": 1, "d_emb": 8, "seed": seed, "epochs": 2}
        config = configuration.make_config(**settings)
        keys.append(trainer.train(config, repeating_log, folder, progress=False)["key"])
    return folder, keys


def test_of_items_that_tie_a_baseline_gets_the_expectation():
    """Where nothing repeats, all that is left ties by `last items`: 55 items and the target."""
    random = np.random.default_rng(0)
    histories = [random.choice(60, size=5, replace=False).tolist() for _ in range(100)]
    log = from_histories([*histories, list(range(60))])
    hit_rate = rank_baselines(log).gains("last items", "HR@10")[:-1]
    assert hit_rate == pytest.approx(np.full(100, 10 / 56))


@pytest.mark.integration
def test_models_and_baselines_are_compared_on_the_same_users(repeating_log, recorded):
    ranked = rank_baselines(repeating_log)
    comparisons = baselines.compare_baselines(ranked, *recorded, 0.9)
    assert [one.value for one in comparisons] == sorted(
        (one.value for one in comparisons), reverse=True
    )
    records = [run_records.read_record(recorded[0] / f"{key}.json") for key in recorded[1]]
    model = np.mean([record["metrics"]["test"]["NDCG@10"] for record in records])
    for one in comparisons:
        assert one.value + one.difference == pytest.approx(model, abs=1e-5)
        assert one.low < one.difference < one.high


@pytest.mark.integration
def test_a_baseline_that_beats_an_untrained_model_is_within_noise(repeating_log, recorded):
    best = baselines.compare_baselines(rank_baselines(repeating_log), *recorded, 0.9)[0]
    assert best.value > 0.5
    assert best.is_within_noise


def test_item_knn_is_left_out_where_histories_are_too_long(repeating_log, monkeypatch):
    monkeypatch.setattr(model_baselines, "MOST_PAIRS", 10)
    assert "item-kNN" not in rank_baselines(repeating_log).targets


def test_one_test_user_is_compared_with_nothing(tmp_path):
    log = from_histories([list(range(30)), *([i, i + 1] for i in range(20))])
    settings = pilot.SETTINGS | {"n_layers": 1, "d_emb": 8, "epochs": 1}
    record = trainer.train(configuration.make_config(**settings), log, tmp_path, progress=False)
    ranked = rank_baselines(log)
    assert len(ranked.targets["most popular"].ranks) == 1
    assert baselines.compare_baselines(ranked, tmp_path, [record["key"]], 0.9) == ()


def test_a_personal_baseline_gains_nothing_from_other_users(repeating_log):
    ranked = rank_baselines(repeating_log)
    only = RankedBaselines({"last items": ranked.targets["last items"]}, ranked.part)
    split = leave_one_out(repeating_log)
    growth = measure_growth(split, only, "last items")
    assert growth.slope == 0
    assert growth.se < 0.01


def test_a_baseline_gains_from_other_users():
    log = synthetic.Process(n_items=200, n_interests=4).sample(600, 12, seed=3).log
    growth = rank_baselines(log, with_growth=True).growth
    assert growth.name == "first-order Markov"
    assert 0 < growth.slope < 1


def test_the_growth_of_a_baseline_is_surer_with_more_users():
    process = synthetic.Process(n_items=200, n_interests=4)
    few, many = (
        rank_baselines(process.sample(users, 12, seed=3).log, with_growth=True).growth
        for users in (300, 2400)
    )
    assert 0 < many.se < 0.6 * few.se


@pytest.mark.integration
def test_the_growth_of_logs_differs_by_about_its_standard_error():
    process = synthetic.Process(n_items=200, n_interests=4)
    growths = [
        rank_baselines(process.sample(400, 12, seed=seed).log, with_growth=True).growth
        for seed in range(12)
    ]
    spread = np.std([growth.slope for growth in growths], ddof=1)
    assert 0.5 < spread / np.mean([growth.se for growth in growths]) < 2


def test_growth_of_a_baseline_that_never_hits_is_unknown():
    log = synthetic.Process(n_items=4000, n_interests=4).sample(6, 8, seed=3).log
    assert rank_baselines(log, with_growth=True).growth is None
