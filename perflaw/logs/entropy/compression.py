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
from perflaw.logs.entropy.approximate import _items


def compression_ratio(log_or_sequence) -> float:
    """Bytes after lossless compression (LZMA) over bytes before, histories joined in the order of users.

    Items are whole little-endian numbers of 1, 2 or 4 bytes, the fewest that n_items needs (for a
    sequence, its sorted symbols numbered from 0). LZMA because its window, 8 MB, spans millions of
    items, where that of zlib spans 16,000. Compare logs with care: the ratio also depends on that
    width, on how items are numbered (bytes are what is compressed), on the order of users and on
    the size of the log, the coder learning as it goes; below a few thousand items it is mostly overhead.
    """
    items, _, n_items = _items(log_or_sequence)
    raw = items.astype(np.min_scalar_type(n_items - 1).newbyteorder("<")).tobytes()
    return len(lzma.compress(raw, lzma.FORMAT_RAW, filters=[{"id": lzma.FILTER_LZMA2}])) / len(raw)
