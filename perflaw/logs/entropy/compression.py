"""How far a log can be compressed."""

from __future__ import annotations

import lzma
from collections.abc import Iterable

import numpy as np

from perflaw.logs.entropy.arrays import Histories, pooled_arrays


def compression_ratio(log_or_sequence: Histories | Iterable) -> float:
    """Bytes after lossless compression over bytes before, histories joined in order of users.

    The coder is LZMA because its window, 8 MB, spans millions of items, where that of zlib
    spans 16,000. Items are whole little-endian numbers of 1, 2 or 4 bytes, the fewest that
    n_items needs (for a sequence, its sorted symbols numbered from 0).

    Compare logs with care: the ratio also depends on that width, on how items are numbered
    (bytes are what is compressed), on the order of users and on the size of the log, as the
    coder learns on the way; below a few thousand items it is mostly overhead.

    Examples
    --------
    >>> compression_ratio([1, 2, 3] * 10_000) < 0.01
    True
    """
    items, _, n_items = pooled_arrays(log_or_sequence)
    width = np.min_scalar_type(n_items - 1).newbyteorder("<")
    raw = items.astype(width).tobytes()
    packed = lzma.compress(raw, lzma.FORMAT_RAW, filters=[{"id": lzma.FILTER_LZMA2}])
    return len(packed) / len(raw)
