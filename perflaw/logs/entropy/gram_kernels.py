"""Compiled loops over the m-grams of a whole log, which are partitioned, sorted and tallied.

As in `perflaw.logs.entropy.kernels`, nothing here checks its arguments.
"""

from __future__ import annotations

import math

import numpy as np

from perflaw.logs.entropy.kernels import compiled

RARE = 1 << 12  # counts below this are tallied in an array, the few above it one by one


@compiled
def count_first_items(items: np.ndarray, offsets: np.ndarray, n_items: int, m: int) -> np.ndarray:
    """Count the (m+1)-grams that begin with each item."""
    counts = np.zeros(n_items, np.int64)
    for user in range(len(offsets) - 1):
        for i in range(offsets[user], offsets[user + 1] - m):
            counts[items[i]] += 1
    return counts


@compiled
def partition_grams(
    items: np.ndarray,
    offsets: np.ndarray,
    n_items: int,
    m: int,
    block: np.ndarray,
    ends: np.ndarray,
    packed: bool,
    partitioned: np.ndarray,
) -> None:
    """Fill `partitioned` with the (m+1)-grams, those of a block of first items together.

    A gram is a number to the base n_items if `packed`, otherwise its position. `ends` holds where
    the next gram of each block goes, and is advanced.
    """
    base = np.uint64(n_items)
    for user in range(len(offsets) - 1):
        for i in range(offsets[user], offsets[user + 1] - m):
            key = np.uint64(i)
            if packed:
                key = np.uint64(items[i])
                for k in range(1, m + 1):
                    key = key * base + np.uint64(items[i + k])
            b = block[items[i]]
            partitioned[ends[b]] = key
            ends[b] += 1


@compiled
def tally_counts(
    keys: np.ndarray, n_items: int, with_unseen: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, float]:
    """Count how often each count occurs, of sorted keys and of their contexts keys // n_items.

    Returns tallies of the counts below RARE of both, the other counts of both, and the sum of
    `unseen_successors` over contexts.
    """
    rare = np.zeros(RARE, np.int64)
    rare_contexts = np.zeros(RARE, np.int64)
    frequent, frequent_contexts = np.empty((2, len(keys) // RARE), np.int64)
    n_frequent = 0
    n_frequent_contexts = 0
    start = 0
    context_start = 0
    once = 0
    twice = 0
    unseen = 0.0
    base = np.uint64(n_items)
    context = keys[0] // base
    for i in range(1, len(keys) + 1):
        if i < len(keys) and keys[i] == keys[i - 1]:
            continue
        count = i - start
        start = i
        once += count == 1
        twice += count == 2
        n_frequent = _tally(count, rare, frequent, n_frequent)
        if i < len(keys) and keys[i] // base == context:
            continue
        count = i - context_start
        context_start = i
        n_frequent_contexts = _tally(count, rare_contexts, frequent_contexts, n_frequent_contexts)
        if with_unseen:
            unseen += unseen_successors(count, once, twice)
        once = 0
        twice = 0
        if i < len(keys):
            context = keys[i] // base
    frequent = frequent[:n_frequent]
    return rare, rare_contexts, frequent, frequent_contexts[:n_frequent_contexts], unseen


@compiled
def _tally(count: int, rare: np.ndarray, frequent: np.ndarray, n_frequent: int) -> int:
    """Add a count to a tally; return the number of frequent counts."""
    if count < RARE:
        rare[count] += 1
        return n_frequent
    frequent[n_frequent] = count
    return n_frequent + 1


@compiled
def unseen_successors(n: int, once: int, twice: int) -> float:
    """Second term of Chao, Wang and Jost's (2013) estimator, times n.

    Of a context that occurs n times, so many successors occur once and twice. The term is
    once (1 − A)^(1−n) (−ln A − sum over r < n of (1 − A)^r / r), the bracket as the tail
    of the series of −ln A where it would cancel.
    """
    if once == 0 or n < 2:
        return 0.0
    a = 2 * twice / ((n - 1) * once + 2 * twice) if twice else 2 / ((n - 1) * (once - 1) + 2)
    if a >= 1:
        return 0.0
    series = 0.0
    power = 1.0
    if n * a < 10:
        for r in range(1, n):
            power *= 1 - a
            series += power / r
        return once * (-math.log(a) - series) / power
    r = n
    while power > 1e-17:
        power *= 1 - a
        series += power / r
        r += 1
    return once * series
