"""Augmented histories are made of the log as each augmentation says."""

from collections import Counter

import numpy as np
import pytest

from perflaw.errors import InputError
from perflaw.logs import augmentation, from_histories
from perflaw.logs.augmentation import AUGMENTATIONS, augment
from perflaw.logs.synthetic import Process
from perflaw.models.configuration import AUGMENTATION_NAMES


@pytest.fixture(scope="module")
def log():
    return Process(n_items=100, n_interests=5).sample(60, 30).log


def added(log, name):
    """Pairs of a history and the one that was added for it."""
    larger = augment(log, name, seed=2)
    return [(log.history(u), larger.history(log.n_users + u)) for u in range(log.n_users)]


def is_within(part, whole):
    """Whether the items of `part` are in `whole` in this order."""
    left = iter(whole.tolist())
    return all(item in left for item in part.tolist())


def test_the_configuration_has_their_names():
    assert ("none", *AUGMENTATIONS) == AUGMENTATION_NAMES


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_the_first_users_stay_and_as_many_come(log, name):
    larger = augment(log, name)
    assert larger.n_users == 2 * log.n_users
    assert len(set(larger.user_ids)) == larger.n_users
    assert larger.items[: log.tokens].tolist() == log.items.tolist()
    assert larger.items.dtype == np.int32
    assert larger.offsets[-1] == larger.tokens
    assert augment(log, name).hash == larger.hash


def test_copy(log):
    assert all(after.tolist() == before.tolist() for before, after in added(log, "copy"))


def test_crop_keeps_one_piece(log):
    for before, after in added(log, "crop"):
        pieces = np.lib.stride_tricks.sliding_window_view(before, len(after))
        assert len(after) == max(1, int(0.6 * len(before)))
        assert (pieces == after).all(axis=1).any()


def test_mask_leaves_a_share_out(log):
    for before, after in added(log, "mask"):
        assert len(after) == len(before) - int(0.3 * len(before))
        assert is_within(after, before)


def test_reorder_shuffles_one_piece(log):
    pairs = added(log, "reorder")
    assert all(Counter(before) == Counter(after) for before, after in pairs)
    assert any(before.tolist() != after.tolist() for before, after in pairs)
    for before, after in pairs:
        changed = np.flatnonzero(before != after)
        assert not len(changed) or np.ptp(changed) < int(0.6 * len(before))


def pairs_in(log):
    return {
        (int(a), int(b))
        for u in range(log.n_users)
        for a, b in zip(log.history(u)[:-1], log.history(u)[1:])
    }


def test_insert_adds_items_that_came_next(log):
    known = pairs_in(log)
    for before, after in added(log, "insert"):
        assert len(after) == len(before) + int(0.3 * len(before))
        assert is_within(before, after)
    everything = augment(log, "insert", seed=2)
    new = pairs_in(everything) - known
    first_or_second = {a for a, _ in known} | {b for _, b in known}
    assert {item for pair in new for item in pair} <= first_or_second


def test_markov_walks_where_the_log_went():
    log = from_histories([list("abcabcabc"), list("xyzxyzxyz")])
    larger = augment(log, "markov", seed=1)
    assert larger.lengths.tolist() == [9, 9, 9, 9]
    assert pairs_in(larger) <= pairs_in(log)


def test_followers_are_counted_within_histories():
    log = from_histories([list("ab"), list("ba"), list("ab")])
    items, starts = augmentation.find_followers(log)
    a, b = (log.item_ids.tolist().index(name) for name in "ab")
    assert items[starts[a] : starts[a + 1]].tolist() == [b, b]
    assert items[starts[b] : starts[b + 1]].tolist() == [a]


def test_an_unknown_name_is_refused(log):
    with pytest.raises(InputError, match="there is no augmentation 'dropp'"):
        augment(log, "dropp")
