"""Logs and plain code that the tests of entropies share."""

import math
from collections import Counter
from itertools import pairwise
from typing import NamedTuple

import numpy as np

SMALL = [1, 1, 1, 3, 1, 2, 2, 3, 1, 2]


class Log(NamedTuple):
    items: np.ndarray
    offsets: np.ndarray
    n_items: int


def log_of(*histories, n_items=None):
    items = np.concatenate([np.asarray(history, np.int32) for history in histories])
    offsets = np.cumsum([0, *map(len, histories)])
    return Log(items, offsets, n_items or int(items.max(initial=0)) + 1)


def random_log(rng, users=50, longest=60, n_items=8):
    return log_of(
        *(rng.integers(0, n_items, rng.integers(0, longest)) for _ in range(users)), n_items=n_items
    )


def histories(log):
    return [log.items[start:stop] for start, stop in pairwise(log.offsets)]


def entropy_of(symbols):
    counts = Counter(symbols)
    total = counts.total()
    return -sum(c / total * math.log(c / total) for c in counts.values())


def transitions(log, m):
    return [tuple(map(int, h[i : i + m + 1])) for h in histories(log) for i in range(len(h) - m)]
