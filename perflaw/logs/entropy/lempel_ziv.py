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
from perflaw.logs.entropy.approximate import _by_user, _lempel_ziv, _long_enough, _symbols
from perflaw.logs.entropy.parallel import ByUser


def lempel_ziv_entropy(sequence: Iterable) -> float:
    """The "actual entropy" n ln n / (L_1 + … + L_n) (Kontoyiannis and others 1998; Song and others 2010), in nats.

    L_i is the length of the shortest string that starts at i and does not occur in the elements
    before i. Where all that is left does occur there, the end of the sequence counts as one more
    element. Without repeats every L_i is 1 and the value ln n, a function of the length alone.

    Raises InputError for fewer than 2 elements.
    """
    codes = _symbols(sequence)
    _long_enough(len(codes), 2, "the Lempel-Ziv entropy")
    return float(_lempel_ziv(codes, np.zeros(1, np.int64), np.array([len(codes)]))[0])


def lempel_ziv_by_user(log, last: int | None = None) -> ByUser:
    """`lempel_ziv_entropy` of each history, or of its last `last` items; one item is too short."""
    return _by_user(log, last, 2, "the Lempel-Ziv entropy", _lempel_ziv)
