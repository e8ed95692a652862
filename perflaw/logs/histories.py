"""TODO: what this module holds."""

from __future__ import annotations
import hashlib
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
import numpy as np
import pandas as pd
from perflaw.errors import InputError
from perflaw.logs import readers


BLOCK = (
    1 << 16
)  # interactions worked on at a time: memory stays near that of the log, and `_pairs` within 64 bits


def _blocks(offsets) -> Iterator[tuple[int, int]]:
    """Ranges of users with up to BLOCK interactions together, each at least one user."""
    user = 0
    while user < len(offsets) - 1:
        stop = int(np.searchsorted(offsets, offsets[user] + BLOCK, side="right")) - 1
        yield user, (user := max(stop, user + 1))


def _pairs(log):
    """In blocks: start, stop, the order of interactions by user, item and time, and where the pair is that before."""
    for first, until in _blocks(log.offsets):
        start, stop = log.offsets[first], log.offsets[until]
        users = np.repeat(
            np.arange(until - first, dtype=np.uint64), np.diff(log.offsets[first : until + 1])
        )
        pair = users * np.uint64(log.n_items) + log.items[start:stop].astype(np.uint64)
        bits = np.uint64(int(stop - start).bit_length())
        keys = np.sort(
            (pair << bits) | np.arange(stop - start, dtype=np.uint64)
        )  # one number each: a fast, stable sort
        yield (
            start,
            stop,
            (keys & ((np.uint64(1) << bits) - np.uint64(1))).astype(np.int64),
            np.diff(keys >> bits) == 0,
        )


def concatenated_ranges(starts, lengths) -> np.ndarray:
    """start, start + 1, … of each start, `length` of them, one span after another."""
    return np.arange(lengths.sum()) + np.repeat(starts - _offsets(lengths)[:-1], lengths)


def _offsets(counts):
    return np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])
