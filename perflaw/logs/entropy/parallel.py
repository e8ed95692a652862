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


THREADS = (
    numba.config.NUMBA_NUM_THREADS
)  # of the kernels; the environment variable of that name sets it


class ByUser(NamedTuple):
    """A measure of each history, in nats."""

    values: np.ndarray  # (n_users,), nan where the history is too short
    too_short: int  # users
    mean: float  # of the signed values, over users long enough
    mean_absolute: float  # of their absolute values: what the paper calls ApEn
