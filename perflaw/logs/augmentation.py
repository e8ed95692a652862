"""Augmentations: functions that add, for each history of a log, another one made from it.

Each added history is a user of its own, so the log gets twice the users. `copy` adds the history
as it is: the control for longer epochs. Crop, mask and reorder follow Xie et al. (2022); the models
here have no mask token, so masked items are left out. Insert follows the idea of Liu et al. (2021);
its related items are those that come next in the log. `markov` adds a walk of the log's first-order
Markov chain, of the same length: a generator that learns the data.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from perflaw.errors import InputError
from perflaw.logs.histories import history_starts, to_offsets
from perflaw.logs.interaction_log import InteractionLog

CROP = 0.6  # share of a history that is kept, in one piece
MASK = 0.3  # share of its items that are left out
REORDER = 0.6  # share of it that is shuffled, in one piece
INSERT = 0.3  # share of its items that get another one after them

Followers = tuple[np.ndarray, np.ndarray]
"""What `find_followers` returns: items that came next, and where those of each item begin."""
Augment = Callable[[np.ndarray, np.random.Generator, Followers], np.ndarray]


def _copy(history: np.ndarray, rng: np.random.Generator, followers: Followers) -> np.ndarray:
    return history


def _crop(history: np.ndarray, rng: np.random.Generator, followers: Followers) -> np.ndarray:
    length = max(1, int(CROP * len(history)))
    start = rng.integers(len(history) - length + 1)
    return history[start : start + length]


def _mask(history: np.ndarray, rng: np.random.Generator, followers: Followers) -> np.ndarray:
    masked = rng.permutation(len(history))[: int(MASK * len(history))]
    return np.delete(history, masked)


def _reorder(history: np.ndarray, rng: np.random.Generator, followers: Followers) -> np.ndarray:
    length = int(REORDER * len(history))
    start = rng.integers(len(history) - length + 1)
    changed = history.copy()
    changed[start : start + length] = rng.permutation(changed[start : start + length])
    return changed


def _insert(history: np.ndarray, rng: np.random.Generator, followers: Followers) -> np.ndarray:
    places = np.sort(rng.permutation(len(history))[: int(INSERT * len(history))])
    inserted = [_draw_next(history[place], rng, followers) for place in places]
    return np.insert(history, places + 1, inserted)


def _markov(history: np.ndarray, rng: np.random.Generator, followers: Followers) -> np.ndarray:
    walk = np.empty(len(history), history.dtype)
    walk[0] = history[rng.integers(len(history))]
    for place in range(1, len(walk)):
        walk[place] = _draw_next(walk[place - 1], rng, followers)
    return walk


def _draw_next(item: int, rng: np.random.Generator, followers: Followers) -> int:
    """Draw one of the items that came right after this one; if none did, any that followed."""
    items, starts = followers
    first, end = starts[item], starts[item + 1]
    if first == end:
        first, end = 0, len(items)
    return int(items[rng.integers(first, end)])


AUGMENTATIONS: dict[str, Augment] = {
    "copy": _copy,
    "crop": _crop,
    "mask": _mask,
    "reorder": _reorder,
    "insert": _insert,
    "markov": _markov,
}


def find_followers(log: InteractionLog) -> Followers:
    """Find the items that came right after each item.

    Parameters
    ----------
    log : InteractionLog

    Returns
    -------
    items : ndarray of int32, shape (pairs,)
        The second item of each pair of neighbours in a history, sorted by the first.
    starts : ndarray of int64, shape (n_items + 1,)
        Where the pairs of each first item begin.
    """
    is_followed = ~history_starts(log.offsets, log.tokens)[1:]
    before, after = log.items[:-1][is_followed], log.items[1:][is_followed]
    order = np.argsort(before, kind="stable")
    return after[order], to_offsets(np.bincount(before, minlength=log.n_items))


def augment(log: InteractionLog, name: str, seed: int = 0) -> InteractionLog:
    """Add an augmented history for each history of a log.

    Parameters
    ----------
    log : InteractionLog
    name : str
        One of `AUGMENTATIONS`.
    seed : int

    Returns
    -------
    InteractionLog
        The users of `log` as they were, then as many more. It has no clock.

    Raises
    ------
    InputError
        For an unknown name.

    Examples
    --------
    >>> from perflaw.logs import from_histories
    >>> augment(from_histories([list("abcde")]), "copy").n_users
    2
    """
    if name not in AUGMENTATIONS:
        raise InputError(
            f"there is no augmentation {name!r}; use one of {', '.join(AUGMENTATIONS)}"
        )
    rng = np.random.default_rng(seed)
    followers = find_followers(log)
    added = [AUGMENTATIONS[name](log.history(user), rng, followers) for user in range(log.n_users)]
    added_lengths = [len(history) for history in added]
    added_ids = [f"{user} ({name})" for user in log.user_ids]
    return replace(
        log,
        items=np.concatenate([log.items, *added]).astype(np.int32),
        offsets=to_offsets(np.concatenate([log.lengths, added_lengths])),
        timestamps=None,
        user_ids=np.concatenate([log.user_ids.astype(object), added_ids]),
    )
