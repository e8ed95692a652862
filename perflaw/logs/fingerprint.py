"""Digests of the content of a log or a split, by which run records are named.

What is digested, and in which order, never changes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from perflaw.logs.histories import concatenated_ranges, to_offsets, user_blocks

if TYPE_CHECKING:
    from perflaw.logs.interaction_log import InteractionLog
    from perflaw.logs.splits import Split


def digest_log(log: InteractionLog) -> str:
    """Hash who had what in which order and when, and nothing else; see `InteractionLog.hash`.

    Users are ordered by what they did, so that their names do not matter. If two users look alike
    in that order and yet are not interchangeable, one log can have two hashes. Different logs never
    share a hash.
    """
    header = f"{log.n_users} {log.tokens} {log.timestamps is not None}\n"
    digest = hashlib.sha256(header.encode())
    _digest_histories(digest, log, *_canonical_order(log))
    return digest.hexdigest()


def digest_numbering(log: InteractionLog) -> str:
    """Hash the order of users and the numbering of items; see `InteractionLog.order`."""
    return hashlib.sha256(log.items.tobytes() + log.offsets.tobytes()).hexdigest()[:16]


def digest_split(split: Split) -> str:
    """Hash the log, its training part, the targets and the rule; see `Split.hash`."""
    log = split.log
    order, codes = _canonical_order(log)
    digest = hashlib.sha256(f"{split.rule}\n{log.n_items}\n".encode())
    _digest_histories(digest, log, order, codes)
    for targets in (split.validation, split.test):
        places = np.where(targets < 0, -1, targets - log.offsets[:-1])
        digest.update(places[order].astype("<i8"))
    train_order = np.argsort(_colour_users(split.train, _mix(codes)), kind="stable")
    _digest_histories(digest, split.train, train_order, codes)
    return digest.hexdigest()


def _canonical_order(log: InteractionLog) -> tuple[np.ndarray, np.ndarray]:
    """Order users and number items in a way that does not depend on how either is named.

    This is colour refinement. The colour of an item depends on the places in which it stands, and
    that of a user on the colours of the items. Users are ordered by colour; items are numbered in
    order of appearance, unused ones last.

    Returns
    -------
    order : ndarray of int64, shape (n_users,)
    codes : ndarray of int32, shape (n_items,)
    """
    colours = np.zeros(log.n_items, np.uint64)
    for first, until in user_blocks(log.offsets):
        items = log.items[log.offsets[first] : log.offsets[until]]
        np.add.at(colours, items, _mix(_places(log, first, until)))
    order = np.argsort(_colour_users(log, _mix(colours)), kind="stable")
    codes = np.full(log.n_items, -1, np.int32)
    n_coded = 0
    for items in _reordered(log, log.items, order):
        new_items = pd.unique(items[codes[items] < 0])
        codes[new_items] = np.arange(n_coded, n_coded + len(new_items))
        n_coded += len(new_items)
    codes[codes < 0] = np.arange(n_coded, log.n_items)
    return order, codes


def _colour_users(log: InteractionLog, item_colours: np.ndarray) -> np.ndarray:
    """Give each history, (n_users,), a number by the colours of its items and their places."""
    colours = np.empty(log.n_users, np.uint64)
    for first, until in user_blocks(log.offsets):
        start, stop = log.offsets[first], log.offsets[until]
        places = _mix(_places(log, first, until))
        mixed = _mix(item_colours[log.items[start:stop]] ^ places)
        colours[first:until] = np.add.reduceat(mixed, log.offsets[first:until] - start)
    return colours


def _places(log: InteractionLog, first: int, until: int) -> np.ndarray:
    """Give each interaction of these users a number by its place in the history and its time."""
    offsets = log.offsets[first : until + 1]
    lengths = np.diff(offsets)
    places = np.arange(offsets[0], offsets[-1]) - np.repeat(offsets[:-1], lengths)
    places = places.astype(np.uint64) ^ np.repeat(_mix(lengths), lengths)
    if log.timestamps is not None:
        places ^= _mix(log.timestamps[offsets[0] : offsets[-1]].view(np.uint64))
    return places


def _mix(numbers: np.ndarray) -> np.ndarray:
    """Scatter whole numbers over 64 bits (the finaliser of SplitMix64, Steele et al. 2014)."""
    mixed = np.asarray(numbers).astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def _reordered(log: InteractionLog, values: np.ndarray, order: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the values, (tokens,), of users in that order, a block at a time."""
    lengths = log.lengths[order]
    offsets = to_offsets(lengths)
    for first, until in user_blocks(offsets):
        starts = log.offsets[order[first:until]]
        yield values[concatenated_ranges(starts, lengths[first:until])]


def _digest_histories(
    digest: hashlib._Hash, log: InteractionLog, order: np.ndarray, codes: np.ndarray
) -> None:
    """Add lengths, items (numbered by `codes`) and timestamps of users in that order."""
    digest.update(log.lengths[order].astype("<i8"))
    for items in _reordered(log, log.items, order):
        digest.update(codes[items].astype("<i4"))
    if log.timestamps is not None:
        for timestamps in _reordered(log, log.timestamps, order):
            digest.update(timestamps.astype("<f8"))  # type: ignore[arg-type]
