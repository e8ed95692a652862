"""LightGCN beside RecBole's: intervals, the random split, metrics of lists, and the tables."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

from perflaw.logs import from_histories
from perflaw.study.neighbours import light_gcn_check as check
from perflaw.study.neighbours import model_laws

COLUMNS = ["n_layers", "d_emb", "implementation", "seed", "NDCG@10"]


def make_rows(values):
    """Make rows from {(N, d): (ours, RecBole's)}, a list of seeds each."""
    rows = [
        (*cell, name, seed, value)
        for cell, both in values.items()
        for name, seeds in zip((check.OURS, check.THEIRS), both, strict=True)
        for seed, value in enumerate(seeds)
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def test_the_interval_of_a_cell_is_that_of_two_samples():
    ours, theirs = [0.1, 0.12, 0.11], [0.09, 0.1, 0.12]
    row = check.compare_implementations(make_rows({(2, 32): (ours, theirs)}), level=0.9).iloc[0]
    expected = stats.ttest_ind(ours, theirs).confidence_interval(0.9)
    assert row["cell"] == "N = 2, d = 32"
    assert row["difference"] == pytest.approx(np.mean(ours) - np.mean(theirs))
    assert (row["low"], row["high"]) == pytest.approx(tuple(expected))


def test_each_cell_has_a_row_and_the_variance_of_both():
    values = {(2, 32): ([1.0, 2.0, 3.0], [4.0, 4.0, 7.0]), (3, 64): ([0.0, 0.0, 3.0], [1.0, 2, 3])}
    table = check.compare_implementations(make_rows(values), level=0.9).set_index("cell")
    assert table.index.tolist() == ["N = 2, d = 32", "N = 3, d = 64"]
    assert table["sd"].tolist() == pytest.approx(np.sqrt([2, 2]))
    assert table["difference"].tolist() == pytest.approx([2 - 5, 1 - 2])


@pytest.mark.integration
def test_the_interval_covers_no_difference_as_often_as_it_says():
    rng = np.random.default_rng(0)
    covered = []
    for _ in range(400):
        values = {(2, 32): rng.normal(2, 1, (2, 3))}
        row = check.compare_implementations(make_rows(values), level=0.9).iloc[0]
        covered.append(row["low"] <= 0 <= row["high"])
    assert np.mean(covered) == pytest.approx(0.9, abs=0.05)


def test_the_interval_of_one_further_run_is_wider_than_that_of_the_mean():
    values = np.array([0.4, 0.5, 0.45])
    rows = pd.DataFrame(dict.fromkeys(check.PUBLISHED, values))
    row = check.compare_published(rows, level=0.9).iloc[0]
    half = stats.t.ppf(0.95, 2) * values.std(ddof=1) * np.sqrt(4 / 3)
    assert row["ours"] == pytest.approx(0.45)
    assert row["high"] - row["low"] == pytest.approx(2 * half)
    assert row["published"] == check.PUBLISHED[row["metric"]]


def test_each_user_is_split_in_the_same_share():
    log = from_histories([[str(k) for k in range(n)] for n in (4, 7, 40)])
    train, test = check.split_each_user(log, 0.75, seed=0)
    assert np.bincount(train[:, 0]).tolist() == [3, 5, 30]
    whole = np.concatenate([train, test])
    assert set(map(tuple, whole)) == set(zip(log.users, log.items, strict=True))
    assert len(whole) == log.tokens


def test_the_split_is_random_and_its_seed_decides():
    log = from_histories([[str(k) for k in range(40)]])
    first, again, other = (check.split_each_user(log, 0.75, seed)[1] for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(np.sort(first[:, 1]), np.sort(other[:, 1]))


def test_lists_are_measured_by_their_definitions():
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(5, 30))
    test = {0: [3], 1: list(range(12)), 2: [0, 1, 2], 4: [29]}
    pairs = np.array([(u, i) for u, items in test.items() for i in items])
    found = check.measure_lists(torch.from_numpy(scores), pairs, k=10)
    ndcg, precision, recall = [], [], []
    for user, items in test.items():
        listed = np.argsort(-scores[user])[:10]
        hits = [k for k, item in enumerate(listed) if item in items]
        ideal = sum(1 / np.log2(k + 2) for k in range(min(10, len(items))))
        ndcg.append(sum(1 / np.log2(k + 2) for k in hits) / ideal)
        precision.append(len(hits) / 10)
        recall.append(len(hits) / len(items))
    assert found["NDCG@10"] == pytest.approx(np.mean(ndcg))
    assert found["precision@10"] == pytest.approx(np.mean(precision))
    assert found["recall@10"] == pytest.approx(np.mean(recall))


def test_our_runs_are_those_of_the_chapter():
    key = ["log", "n_layers", "d_emb", "seed"]
    rows = check.load_check()
    ours = rows[rows["implementation"] == check.OURS].set_index(key)["NDCG@10"]
    chapter = model_laws.load_rows("LightGCN").set_index(key)["NDCG@10"]
    shared = ours.index.intersection(chapter.index)
    assert shared.get_level_values("seed").tolist() == [0, 1]
    assert ours[shared].tolist() == chapter[shared].tolist()


def test_the_page_says_what_the_tables_do():
    table = check.compare_implementations(check.load_check())
    assert (table["low"] < 0).all()
    assert (table["high"] > 0).all()
    published = check.compare_published(check.load_published_split()).set_index("metric")
    assert published.loc["NDCG@10", "published"] > published.loc["NDCG@10", "high"]
    assert published.loc["recall@10", "published"] < published.loc["recall@10", "high"]
