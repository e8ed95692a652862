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
from perflaw.logs.entropy.parallel import ByUser, THREADS
from perflaw.logs.entropy.approximate import _compiled


RARE = 1 << 12  # counts below this are tallied in an array, the few above it one by one


SPREAD = np.uint64(0x9E3779B97F4A7C15)  # Fibonacci hashing (Knuth, section 6.4)


@_compiled
def _unseen(n, once, twice):
    """The second term of Chao, Wang and Jost's estimator, times n; so many of the symbols occur once and twice.

    It is once (1 - A)^(1-n) (-ln A - sum over r < n of (1 - A)^r / r), the bracket as the rest of the
    series of -ln A where it would cancel.
    """
    if once == 0 or n < 2:
        return 0.0
    a = 2 * twice / ((n - 1) * once + 2 * twice) if twice else 2 / ((n - 1) * (once - 1) + 2)
    if a >= 1:
        return 0.0
    rest, power = 0.0, 1.0
    if n * a < 10:
        for r in range(1, n):
            power *= 1 - a
            rest += power / r
        return once * (-math.log(a) - rest) / power
    r = n
    while power > 1e-17:
        power *= 1 - a
        rest += power / r
        r += 1
    return once * rest
