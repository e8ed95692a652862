"""Ranking all items, against brute force and scikit-learn; sampled candidates, against sampling."""

import numpy as np
import pytest
import torch

from perflaw.errors import InputError
from perflaw.logs.interaction_log import from_histories
from perflaw.logs.splits import leave_one_out
from perflaw.models import baselines, protocols, ranking, ranking_metrics
from perflaw.models.ranking import RankedTargets


def drawn(repeats, users=60, items=40, seed=0):
    """A log with or without repeats, histories of 3 to 12."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(3, 13, users)
    take = (
        (lambda n: rng.integers(items, size=n))
        if repeats
        else (lambda n: rng.permutation(items)[:n])
    )
    return leave_one_out(from_histories([np.arange(items), *(take(n) for n in lengths)]))


def scores_of(split, levels, seed=1):
    """Scores (users, items) of so few levels that ties are common."""
    return (
        np.random.default_rng(seed).integers(levels, size=(split.log.n_users, split.log.n_items))
        / 4
    )


def fixed(scores):
    scores = torch.from_numpy(scores)
    return lambda log, users, stops: lambda first, until: scores[users, first:until].clone()


def brute_force(scores, split, targets, rule):
    """The rules of ranking.py, user by user and item by item."""
    log, found = split.log, []
    repeats = any(len(set(log.history(u))) < len(log.history(u)) for u in range(log.n_users))
    for user in np.flatnonzero(targets >= 0):
        target, stop = (
            log.items[targets[user]],
            split.validation[user] if rule == "training" else targets[user],
        )
        seen = set() if repeats else set(log.items[log.offsets[user] : stop])
        others = [i for i in range(log.n_items) if i not in seen and i != target]
        above = sum(scores[user, i] > scores[user, target] for i in others)
        level = sum(scores[user, i] == scores[user, target] for i in others)
        total = np.log(np.exp([scores[user, i] for i in (*others, target)]).sum())
        found.append((1 + above + level / 2, len(others) + 1, total - scores[user, target]))
    return np.array(found).T


@pytest.mark.parametrize("items", [1 << 15, 7])
@pytest.mark.parametrize("repeats", [False, True])
@pytest.mark.parametrize(
    ("part", "rule"), [("validation", "training"), ("test", "training"), ("test", "history")]
)
def test_against_brute_force(repeats, part, rule, items, monkeypatch):
    """In one block of items and in several."""
    monkeypatch.setattr(ranking, "ITEMS", items)
    monkeypatch.setattr(ranking, "USERS", 16)
    split = drawn(repeats)
    scores = scores_of(split, 9)
    found = ranking.rank_targets(fixed(scores), split, getattr(split, part), top=10, seen=rule)
    ranks, ranked, losses = brute_force(scores, split, getattr(split, part), rule)
    assert found.ranks.tolist() == ranks.tolist()
    assert found.ranked.tolist() == ranked.tolist()
    assert np.allclose(found.losses, losses, atol=1e-5)
    if repeats:
        best = -np.sort(-scores[found.users], axis=1)[:, :10]
        assert np.array_equal(np.take_along_axis(scores[found.users], found.top, 1), best)
    assert all(len(set(row)) == 10 for row in found.top)


@pytest.mark.integration
def test_tied_targets_have_the_expectation_under_a_random_order():
    """Scores broken at random, many times, against the expectation."""
    split = drawn(True, users=12)
    scores = scores_of(split, 4)
    found = ranking.rank_targets(fixed(scores), split, split.test)
    assert found.ties.max() > 5
    told = ranking_metrics.metrics(found, cutoffs=(1, 5, 10))
    random = np.random.default_rng(0)
    broken = []
    for _ in range(600):
        untied = scores + 1e-6 * random.random(scores.shape)
        once = ranking.rank_targets(fixed(untied), split, split.test)
        assert (once.ties == 1).all()
        broken.append(ranking_metrics.metrics(once, cutoffs=(1, 5, 10)))
    for name in ("HR@1", "HR@5", "HR@10", "NDCG@5", "NDCG@10", "MRR"):
        values = [metrics[name] for metrics in broken]
        assert told[name] == pytest.approx(np.mean(values), abs=0.01)


def test_ties_of_a_hand_made_list():
    ranks, ties = np.array([2.5, 10.5, 1.0]), np.array([4, 2, 1])
    assert ranking_metrics.hits(ranks, 2, ties).tolist() == [0.5, 0, 1]
    assert ranking_metrics.hits(ranks, 10, ties).tolist() == [1, 0.5, 1]
    first = (1 + 1 / np.log2(3) + 1 / 2 + 1 / np.log2(5)) / 4
    gains = ranking_metrics.ndcg_gains(ranks, 10, ties)
    assert gains == pytest.approx([first, 1 / np.log2(11) / 2, 1])
    assert ranking_metrics.hits(ranks, 10).tolist() == [1, 0, 1]  # mean ranks of a record


def test_without_ties_no_bit_changes():
    ranks = np.random.default_rng(0).permutation(5000)[:300] + 1.0
    for k in (1, 10, 200):
        expected = ranking_metrics.ndcg_gains(ranks, k, np.ones(300, int))
        assert np.array_equal(expected, ranking_metrics.ndcg_gains(ranks, k))


@pytest.mark.parametrize("seen", ranking.Seen)
def test_scores_for_all_agree_with_scores_for_each(seen):
    split = drawn(False)
    popular = baselines.most_popular(split)
    for targets in (split.validation, split.test):
        ranks, ties = ranking.rank_by_item_scores(
            ranking.item_popularity(split), split, targets, seen
        )
        each = ranking.rank_targets(popular, split, targets, seen=seen)
        assert each.ranks.tolist() == ranks.tolist()
        assert each.ties.tolist() == ties.tolist()


def test_ranked_targets_show_what_matters():
    some = RankedTargets(*(np.array(values) for values in ([0, 1], [1, 30], [50, 50], [1, 2], [])))
    assert repr(some) == "<RankedTargets: 2 users, HR@10 0.5000, median rank 15.5 of 50>"


@pytest.mark.parametrize("negatives", [0, -1, 2.5])
def test_a_number_of_negatives_that_cannot_be(negatives):
    some = RankedTargets(*(np.array(values) for values in ([0], [1], [50], [1], [])))
    with pytest.raises(InputError, match=f"negatives = {negatives} is not usable"):
        protocols.sampled_metrics(some, negatives)


def test_there_are_two_rules():
    split = drawn(False)
    with pytest.raises(InputError, match="seen = 'all' is not usable"):
        ranking.rank_targets(baselines.most_popular(split), split, split.test, seen="all")
    kept, removed = (
        ranking.rank_targets(baselines.most_popular(split), split, split.test, seen=seen)
        for seen in protocols.SEEN_BY_PART.values()
    )
    assert (kept.ranked - removed.ranked == 1).all()
    assert (kept.ranks >= removed.ranks).all()
    by_default = ranking.rank_targets(baselines.most_popular(split), split, split.test)
    assert by_default.ranks.tolist() == removed.ranks.tolist()
    for_all, _ = ranking.rank_by_item_scores(ranking.item_popularity(split), split, split.test)
    assert for_all.tolist() == removed.ranks.tolist()
    told = protocols.protocol_table(kept, removed).set_index("protocol")["HR@10"]
    assert len(told) == 5
    assert (
        told["all items"]
        <= told["all items, history removed"]
        <= told["1 of 2,500"]
        <= told["1 of 101"]
    )
    again = protocols.ranked_from_ranks(removed.ranks, split, "history")
    assert again.ranked.tolist() == removed.ranked.tolist()
    assert again.users.tolist() == removed.users.tolist()


def test_temperature_divides_the_scores():
    split = drawn(True)
    scores = scores_of(split, 9)
    warm = ranking.rank_targets(fixed(scores), split, split.test, temperature=2.0)
    assert np.allclose(
        warm.losses, ranking.rank_targets(fixed(scores / 2), split, split.test).losses, atol=1e-6
    )


def test_scores_that_are_not_numbers():
    split = drawn(True)
    scores = scores_of(split, 9)
    scores[3, 5] = np.nan
    with pytest.raises(FloatingPointError):
        ranking.rank_targets(fixed(scores), split, split.test)


def test_metrics_against_scikit_learn():
    metrics = pytest.importorskip("sklearn.metrics")
    split = drawn(True)
    scores = np.random.default_rng(3).random((split.log.n_users, split.log.n_items))
    found = ranking.rank_targets(fixed(scores), split, split.test, top=20)
    told = ranking_metrics.metrics(found, split.log.n_items, (1, 5, 10, 20))
    target = split.log.items[split.test[found.users]]
    relevant = np.eye(split.log.n_items)[target]
    for k in (1, 5, 10, 20):
        labels = np.arange(split.log.n_items)
        assert told[f"HR@{k}"] == pytest.approx(
            metrics.top_k_accuracy_score(target, scores[found.users], k=k, labels=labels)
        )
        assert told[f"NDCG@{k}"] == pytest.approx(
            metrics.ndcg_score(relevant, scores[found.users], k=k)
        )
    assert told["MRR"] == pytest.approx(
        metrics.label_ranking_average_precision_score(relevant, scores[found.users])
    )
    share = np.exp(scores[found.users])
    assert told["log-loss"] == pytest.approx(
        metrics.log_loss(target, share / share.sum(1, keepdims=True), labels=labels), abs=1e-5
    )


def test_coverage():
    top = np.array([[0, 1, 2], [0, 2, 3]])
    told = ranking_metrics.metrics(
        RankedTargets(np.arange(2), np.ones(2), np.full(2, 9), np.zeros(2), top), 8, (1, 3, 5)
    )
    assert told["coverage@1"] == 1 / 8
    assert told["coverage@3"] == 4 / 8
    assert "coverage@5" not in told


@pytest.mark.integration
@pytest.mark.parametrize("replacement", [False, True])
def test_sampled_candidates_are_what_sampling_gives_on_average(replacement):
    rng = np.random.default_rng(0)
    ranks = np.array([1, 2.5, 4, 9, 30])
    found = RankedTargets(
        np.arange(5), ranks, np.array([40, 40, 35, 40, 40]), ranks, ranks[:, None]
    )
    told = protocols.sampled_metrics(found, 12, replacement, (1, 3, 5))
    hits, gains = np.zeros((2, 3))
    draws = 20_000
    for rank, ranked in zip(ranks, found.ranked):
        for _ in range(draws):
            above = np.floor(rank) - 1 + (rank % 1 > 0) * rng.integers(2)
            place = 1 + (rng.choice(ranked - 1, 12, replace=replacement) < above).sum()
            hits += place <= np.array([1, 3, 5])
            gains += (place <= np.array([1, 3, 5])) / np.log2(1 + place)
    how = f"(1 of 13 sampled{', with replacement' if replacement else ''})"
    assert np.allclose([told[f"HR@{k} {how}"] for k in (1, 3, 5)], hits / draws / 5, atol=0.006)
    assert np.allclose([told[f"NDCG@{k} {how}"] for k in (1, 3, 5)], gains / draws / 5, atol=0.006)


def test_sampling_all_is_full_ranking():
    split = drawn(True)
    found = ranking.rank_targets(
        fixed(np.random.default_rng(0).random((split.log.n_users, split.log.n_items))),
        split,
        split.test,
    )
    told = protocols.sampled_metrics(found, 10**6)
    assert told["HR@10 (1 of 1,000,001 sampled)"] == pytest.approx(
        ranking_metrics.hit_rate(found.ranks)
    )
    assert told["NDCG@10 (1 of 1,000,001 sampled)"] == pytest.approx(
        ranking_metrics.ndcg(found.ranks)
    )


def test_standard_errors_and_paired_differences():
    rng = np.random.default_rng(0)
    a = rng.random(500) < 0.3
    assert ranking_metrics.standard_error(a) == pytest.approx(
        np.sqrt(a.mean() * (1 - a.mean()) / 499)
    )
    b = a ^ (rng.random(500) < 0.05)
    difference, error, p = ranking_metrics.paired_difference(b, a)
    assert difference == pytest.approx(b.mean() - a.mean())
    assert error < ranking_metrics.standard_error(a)
    from scipy import stats

    assert p == pytest.approx(stats.ttest_rel(b.astype(float), a).pvalue)
    assert ranking_metrics.paired_difference(a, a) == (0.0, 0.0, 1.0)


def test_groups_hold_every_user_once_each_way():
    split = drawn(True, users=200)
    found = ranking.rank_targets(baselines.most_popular(split), split, split.test)
    table = ranking_metrics.by_group(found, split, split.test)
    assert table.groupby("by")["users"].sum().tolist() == [201, 201]
    for _, rows in table.groupby("by"):
        assert np.average(rows["NDCG@10"], weights=rows["users"]) == pytest.approx(
            ranking_metrics.ndcg(found.ranks, ties=found.ties)
        )
    popular = table[table["by"] == "target popularity"]["HR@10"].to_numpy()
    assert popular[-1] > popular[0]


# ---------------------------------------------------------------- the floor


def test_first_order_markov():
    log = from_histories([list("abcab"), list("abdab"), list("cabca"), list("xyzxy")])
    split = leave_one_out(log)
    block = baselines.markov(split)(split.log, np.array([0, 3]), split.test[[0, 3]])
    names = split.log.item_ids.tolist()
    row = block(0, split.log.n_items).numpy()
    # training parts: abc, abd, cab, xyz; the histories before the test targets end in a and x
    assert row[0, names.index("b")] == pytest.approx(3, abs=0.99)
    assert row[1, names.index("y")] >= 1
    assert np.floor(row[0]).sum() == 3
    assert np.array_equal(block(2, 4).numpy(), row[:, 2:4])


def test_item_knn_by_hand():
    split = leave_one_out(from_histories([list("abxy"), list("abyx"), list("cdxy"), list("acyx")]))
    names = split.log.item_ids.tolist()  # training parts: ab, ab, cd, ac
    row = baselines.item_knn(split)(split.log, np.array([2]), split.log.offsets[[2]] + 1)(
        0, split.log.n_items
    ).numpy()[0]
    assert row[names.index("d")] == pytest.approx(1 / np.sqrt(2))
    assert row[names.index("a")] == pytest.approx(1 / np.sqrt(6))
    assert row[names.index("c")] == 0
    assert row[names.index("b")] == 0


def test_recent_popularity_looks_at_the_end():
    histories = [["old"] * 18 + ["new", "new", "x", "y"] for _ in range(5)]
    clocked = from_histories(histories, [np.arange(22.0)] * 5)
    for log in (from_histories(histories), clocked):
        split = leave_one_out(log)
        scores = baselines.recent_popular(split)(split.log, np.array([0]), split.test[:1])(
            0, split.log.n_items
        )[0]
        assert split.log.item_ids[int(scores.argmax())] == "new"
        old = baselines.most_popular(split)(split.log, np.array([0]), split.test[:1])(
            0, split.log.n_items
        )[0]
        assert split.log.item_ids[int(old.argmax())] == "old"
