"""Arithmetic on histories that stand one after another in flat arrays."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from perflaw.logs.interaction_log import InteractionLog

# Interactions worked on at a time: memory stays near that of the log, and the keys of
# `sorted_pairs` within 64 bits.
BLOCK = 1 << 16


def to_offsets(lengths: np.ndarray) -> np.ndarray:
    """Return where each of the histories of these lengths begins, and where the last one ends.

    Parameters
    ----------
    lengths : ndarray of int, shape (n,)

    Returns
    -------
    ndarray of int64, shape (n + 1,)
    """
    return np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])


def concatenated_ranges(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Count up from each start, one range after another.

    Parameters
    ----------
    starts, lengths : ndarray of int, shape (n,)

    Returns
    -------
    ndarray of int64, shape (lengths.sum(),)
        ``start, start + 1, …``, `length` numbers for each start.
    """
    return np.arange(lengths.sum()) + np.repeat(starts - to_offsets(lengths)[:-1], lengths)


def history_starts(offsets: np.ndarray, tokens: int) -> np.ndarray:
    """Return a mask, of shape (tokens,), of the first interaction of each history."""
    is_first = np.zeros(tokens, bool)
    is_first[offsets[:-1]] = True
    return is_first


def user_blocks(offsets: np.ndarray) -> Iterator[tuple[int, int]]:
    """Yield ranges of users with up to BLOCK interactions together, each at least one user."""
    first = 0
    while first < len(offsets) - 1:
        last = int(np.searchsorted(offsets, offsets[first] + BLOCK, side="right")) - 1
        until = max(last, first + 1)
        yield first, until
        first = until


def sorted_pairs(log: InteractionLog) -> Iterator[tuple[int, int, np.ndarray, np.ndarray]]:
    """Sort the interactions by user, item and place, a block of users at a time.

    Yields
    ------
    start, stop : int
        The interactions of the block.
    order : ndarray of int64, shape (stop - start,)
        Their positions after `start`, sorted.
    same : ndarray of bool, shape (stop - start - 1,)
        Is the pair of user and item that of the position before in `order`?
    """
    for first, until in user_blocks(log.offsets):
        start, stop = log.offsets[first], log.offsets[until]
        lengths = np.diff(log.offsets[first : until + 1])
        users = np.repeat(np.arange(until - first, dtype=np.uint64), lengths)
        pairs = users * np.uint64(log.n_items) + log.items[start:stop].astype(np.uint64)
        # pair and place in one number: the sort is fast and stable
        bits = np.uint64(int(stop - start).bit_length())
        keys = np.sort((pairs << bits) | np.arange(stop - start, dtype=np.uint64))
        order = (keys & ((np.uint64(1) << bits) - np.uint64(1))).astype(np.int64)
        yield start, stop, order, np.diff(keys >> bits) == 0
