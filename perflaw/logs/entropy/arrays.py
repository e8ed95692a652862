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
from perflaw.logs.entropy.kernels import RARE, SPREAD, _unseen
from perflaw.logs.entropy.grams import BLOCK, BLOCKS
from perflaw.logs.entropy.approximate import _order, _tolerance, _whole


def check_apen_options(m: int, r: float, last: int | None) -> tuple[int, float, int | None]:
    """The arguments of `apen_by_user`, if they are usable; raises InputError if not."""
    return _order(m), _tolerance(r), last if last is None else _whole(last, "last")
