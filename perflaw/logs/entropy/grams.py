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


BLOCK, BLOCKS = (
    1 << 16,
    256,
)  # keys sorted at a time, at least; blocks at most: more are slower to deal out
