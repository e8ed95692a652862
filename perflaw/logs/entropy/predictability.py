"""TODO: what this module holds."""

from __future__ import annotations
import lzma
import math
import numbers
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple
import numba
import numpy as np
from scipy.optimize import brentq
from scipy.special import entr, gammaincc, psi
from perflaw.errors import InputError
from perflaw.logs.entropy.approximate import _whole


def accuracy_limit(entropy, n_items: int):
    """The highest share of next items that can be predicted at this entropy, in nats (Song and others 2010).

    It solves Fano's bound H = -p ln p - (1 - p) ln(1 - p) + (1 - p) ln(n_items - 1) for p
    between 1 / n_items and 1. `entropy` is a number or an array of them.

    Raises InputError for an entropy below 0 or above ln n_items, which no source can have.
    """
    n_items, h = _whole(n_items, "n_items"), np.asarray(entropy, float)
    most = math.log(n_items)
    wrong = ~((h >= 0) & (h <= most * (1 + 1e-12)))
    if wrong.any():
        raise InputError(
            f"an entropy of {h[wrong][0]:g} nats is outside 0 … ln {n_items} = {most:g};"
            " give entropies in nats and the number of distinct items"
        )

    def excess(p, value):
        rest = 1 - p
        return entr(p) + entr(rest) + rest * math.log(max(n_items - 1, 1)) - value

    def solve(value):
        if value == 0 or value >= most:
            return 1.0 if value == 0 else 1 / n_items
        return brentq(excess, 1 / n_items, 1.0, args=(value,), xtol=1e-14)

    limits = np.array([solve(value) for value in h.ravel()]).reshape(h.shape)
    return float(limits) if limits.ndim == 0 else limits
