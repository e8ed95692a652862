"""Interventions change the training part in the way they say, and nothing else."""

from collections import Counter

import numpy as np
import pytest

from perflaw.errors import InputError
from perflaw.logs import perturbations
from perflaw.logs.splits import leave_one_out
from perflaw.logs.synthetic import Process

STRENGTHS = {  # weak, strong
    "sample_users": (0.8, 0.4),
    "sample_time": (0.8, 0.4),
    "truncate": (20, 8),
    "duplicate_users": (0.5, 1.5),
    "shuffle_order": (0.2, 1.0),
    "replace_random": (0.1, 0.5),
    "insert_repeats": (0.1, 0.5),
    "remove_repeats": (0.3, 1.0),
    "k_core": (10, 40),
}


@pytest.fixture(scope="module")
def split():
    return leave_one_out(Process(n_items=100, n_interests=5).sample(300, 30).log)


def test_all_are_tried():
    assert set(STRENGTHS) == set(perturbations.PERTURBATIONS)


@pytest.mark.parametrize("name", STRENGTHS)
def test_only_the_training_part_changes(split, name):
    for strength in STRENGTHS[name]:
        changed = perturbations.apply(split, name, strength, 1)
        train = changed.train
        assert changed.log is split.log
        assert changed.test is split.test
        assert changed.validation is split.validation
        assert train.n_items == split.train.n_items
        assert train.items.dtype == np.int32
        assert train.offsets[0] == 0
        assert train.offsets[-1] == train.tokens == len(train.timestamps)
        assert len(train.user_ids) == train.n_users
        assert (train.lengths > 0).all()
        assert len(set(train.user_ids.tolist())) == train.n_users
        within = np.ones(train.tokens, bool)
        within[train.offsets[:-1]] = False
        assert (np.diff(train.timestamps)[within[1:]] >= 0).all()
        assert changed.hash != split.hash
        assert perturbations.apply(split, name, strength, 1).hash == changed.hash


@pytest.mark.parametrize(
    "name",
    [
        "sample_users",
        "duplicate_users",
        "shuffle_order",
        "replace_random",
        "insert_repeats",
        "remove_repeats",
    ],
)
def test_seeds_matter(split, name):
    strength = STRENGTHS[name][0]
    assert (
        perturbations.apply(split, name, strength, 1).hash
        != perturbations.apply(split, name, strength, 2).hash
    )


def apply(split, name, strength, seed=3):
    return split.train, perturbations.apply(split, name, strength, seed).train


def test_duplicate_users(split):
    before, after = apply(split, "duplicate_users", 1.5)
    assert after.n_users == round(2.5 * before.n_users)
    copies = Counter(tuple(after.history(u)) for u in range(after.n_users))
    assert {copies[tuple(before.history(u))] // 2 for u in range(before.n_users)} <= {1, 2, 3}
    assert all(copies[tuple(before.history(u))] >= 2 for u in range(before.n_users))
    assert after.items[: before.tokens].tolist() == before.items.tolist()


def test_shuffle_order_keeps_what_each_user_had(split):
    before, after = apply(split, "shuffle_order", 1.0)
    moved = 0
    for u in range(before.n_users):
        assert sorted(before.history(u)) == sorted(after.history(u))
        moved += (before.history(u) != after.history(u)).sum()
    assert moved > 0.7 * before.tokens
    none = perturbations.apply(split, "shuffle_order", 0.0).train
    assert none.items.tolist() == before.items.tolist()


def test_shuffle_order_of_a_share(split):
    before, after = apply(split, "shuffle_order", 0.2)
    assert 0.05 < np.mean(before.items != after.items) < 0.2


def test_replace_random(split):
    before, after = apply(split, "replace_random", 0.5)
    assert np.mean(before.items != after.items) == pytest.approx(0.5 * 0.99, abs=0.03)
    fresh = after.items[before.items != after.items]
    assert (
        np.bincount(fresh, minlength=100).min() > 0.4 * len(fresh) / 100
    )  # drawn evenly, not by popularity


def test_insert_repeats(split):
    before, after = apply(split, "insert_repeats", 0.5)
    assert after.tokens == pytest.approx(1.5 * before.tokens, rel=0.03)
    for u in range(0, before.n_users, 17):
        left = iter(after.history(u).tolist())
        assert all(
            item in left for item in before.history(u).tolist()
        )  # the old history, in order, is within the new


def test_remove_repeats(split):
    before, after = apply(split, "remove_repeats", 1.0)
    for u in range(before.n_users):
        assert after.history(u).tolist() == list(dict.fromkeys(before.history(u).tolist()))
    assert after.repeats.sum() == 0 < before.repeats.sum()


def test_truncate_sample_time_and_k_core(split):
    assert apply(split, "truncate", 8)[1].lengths.max() == 8
    before, late = apply(split, "sample_time", 0.4)
    assert late.timestamps.min() == np.sort(before.timestamps)[-late.tokens]
    core = apply(split, "k_core", 40)[1]
    assert core.lengths.min() >= 40
    assert min(Counter(core.items.tolist()).values()) >= 40


@pytest.mark.parametrize(
    ("name", "strength", "told"),
    [
        ("burn", 1, "there is no intervention 'burn'; there are sample_users"),
        ("sample_users", 0, "above 0 and at most 1"),
        ("shuffle_order", 1.5, "use a number from 0 to 1"),
        ("replace_random", -1, "use a number from 0 to 1"),
        ("replace_random", float("nan"), "use a number from 0 to 1"),
        ("truncate", 0, "use a whole number, 1 or more"),
        ("truncate", 2.5, "use a whole number, 1 or more"),
        ("truncate", float("nan"), "use a whole number, 1 or more"),
        ("k_core", 1_000, "1000-core"),
        ("duplicate_users", -1, "use 0 or more"),
        ("duplicate_users", float("inf"), "use 0 or more"),
    ],
)
def test_refused(split, name, strength, told):
    with pytest.raises(InputError, match=told):
        perturbations.apply(split, name, strength)
