"""Counts of m-grams pooled over the users of a log."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from perflaw.errors import InputError
from perflaw.logs.entropy.arrays import check_count
from perflaw.logs.entropy.parallel import load_kernels, run_in_threads

BLOCK = 1 << 16  # keys sorted at a time, at least
BLOCKS = 256  # at most: more of them are slower to partition

Logarithm = Callable[[np.ndarray], np.ndarray]


class Spectrum(NamedTuple):
    """The counts that occur, and how many grams have each."""

    counts: np.ndarray
    times: np.ndarray


class GramCounts(NamedTuple):
    """How often (m+1)-grams occur, and the contexts that are their first m items.

    Attributes
    ----------
    grams, contexts : Spectrum
    total : int
        Grams counted, each as often as it occurs.
    unseen : float
        What Chao, Wang and Jost add for successors not seen, times total.
    """

    grams: Spectrum
    contexts: Spectrum
    total: int
    unseen: float

    def mean_difference(self, log_gram: Logarithm, log_context: Logarithm = np.log) -> float:
        """Average log_context(count of the context) − log_gram(count of the gram) over grams."""
        counts, times = self.contexts
        contexts = np.sum(times * counts * log_context(counts))
        counts, times = self.grams
        grams = np.sum(times * counts * log_gram(counts))
        return float((contexts - grams) / self.total)


def count_grams(
    items: np.ndarray,
    offsets: np.ndarray,
    n_items: int,
    m: int,
    tokens: int | None = None,
    seed: int = 0,
    with_unseen: bool = False,
) -> GramCounts:
    """Count all (m+1)-grams within histories, or `tokens` of them.

    The grams are partitioned by their first item into blocks. Those of a block are packed into
    64-bit numbers, sorted and tallied: a gram takes 8 bytes.

    Parameters
    ----------
    items : ndarray of int32, shape (tokens,)
    offsets : ndarray of int64, shape (n_users + 1,)
    n_items, m : int
    tokens : int, optional
        Draw so many grams without replacement; all of them without it.
    seed : int
        Of the draw.
    with_unseen : bool
        Fill in `GramCounts.unseen`; otherwise it is 0.

    Raises
    ------
    InputError
        If no history has m + 1 items, or fewer than `tokens` grams exist.
    """
    grams_by_user = np.maximum(np.diff(offsets) - m, 0)
    total = int(grams_by_user.sum())
    if total == 0:
        raise InputError(
            f"no history has the {m + 1} items that m = {m} needs;"
            " use a smaller m or longer histories"
        )
    packed = tokens is None and n_items ** (m + 1) <= 2**64
    if tokens is None:
        blocks = _partition(items, offsets, n_items, m, total, packed)
    else:
        blocks = [_draw(offsets, grams_by_user, total, m, tokens, seed)]
    tally_counts = load_kernels("gram_kernels").tally_counts

    def tally(block: np.ndarray) -> tuple:
        keys = block if packed else _pack(items, block, n_items, m)
        keys.sort()
        return tally_counts(keys, n_items, with_unseen)

    tallies = run_in_threads(tally, blocks)
    rare, rare_contexts, frequent, frequent_contexts, unseen = zip(*tallies)
    return GramCounts(
        _merge_tallies(rare, frequent),
        _merge_tallies(rare_contexts, frequent_contexts),
        tokens or total,
        math.fsum(unseen),
    )


def _partition(
    items: np.ndarray, offsets: np.ndarray, n_items: int, m: int, total: int, packed: bool
) -> list[np.ndarray]:
    """Partition all grams by their first item into blocks of about equal size."""
    kernels = load_kernels("gram_kernels")
    per_item = kernels.count_first_items(items, offsets, n_items, m)
    block = (np.cumsum(per_item) - per_item) // max(BLOCK, total // BLOCKS)
    ends = np.cumsum(np.bincount(block, weights=per_item).astype(np.int64))
    starts = np.append(0, ends[:-1])
    # allocated here, as numpy asks for large pages and compiled code does not
    partitioned = np.empty(total, np.uint64)
    kernels.partition_grams(items, offsets, n_items, m, block, starts.copy(), packed, partitioned)
    return [partitioned[start:end] for start, end in zip(starts, ends) if end > start]


def _draw(
    offsets: np.ndarray, grams_by_user: np.ndarray, total: int, m: int, tokens: int, seed: int
) -> np.ndarray:
    """Draw positions of `tokens` items that have m more after them in their history."""
    tokens = check_count(tokens, "tokens")
    if tokens > total:
        raise InputError(
            f"tokens = {tokens}, but the log has {total} transitions for m = {m};"
            " draw at most those"
        )
    drawn = np.random.default_rng(seed).choice(total, tokens, replace=False, shuffle=False)
    drawn.sort()
    grams_before = np.cumsum(grams_by_user) - grams_by_user
    user = np.searchsorted(grams_before, drawn, side="right") - 1
    return drawn + (offsets[:-1] - grams_before)[user]


def _pack(items: np.ndarray, positions: np.ndarray, n_items: int, m: int) -> np.ndarray:
    """Turn the (m+1)-grams at these positions into distinct numbers.

    The last item is the remainder to the base n_items. Where the next item would not fit into
    64 bits, what is packed so far is numbered anew.
    """
    keys = items[positions].astype(np.uint64)
    n_keys = n_items
    for k in range(1, m + 1):
        if n_keys * n_items > 2**64:
            distinct, keys = np.unique(keys, return_inverse=True)
            keys = keys.astype(np.uint64)
            n_keys = len(distinct)
        n_keys *= n_items
        keys *= np.uint64(n_items)
        keys += items[positions + k].astype(np.uint64)
    return keys


def _merge_tallies(rare: Sequence[np.ndarray], frequent: Sequence[np.ndarray]) -> Spectrum:
    """Merge tallies of small counts, and large counts one by one, into one spectrum."""
    tally = np.sum(rare, axis=0)
    small = np.flatnonzero(tally)
    large, times = np.unique(np.concatenate(frequent), return_counts=True)
    return Spectrum(np.append(small, large), np.append(tally[small], times))
