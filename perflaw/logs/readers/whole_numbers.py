"""The quick way of files that hold plain whole numbers, the most common ones.

Three to five times as fast as any other. Exact: a whole number has one shortest way to be
written, so if the numbers written out again fill as many bytes as the file has, nothing was
read into them ("007", "+7", "7 " and "7.0" take more).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from perflaw.errors import InputError
from perflaw.logs.readers.arrays import note_dropped, number_items
from perflaw.logs.readers.doubts import note_newest_first
from perflaw.logs.readers.number_times import clock_of_numbers
from perflaw.logs.readers.options import Columns, Reading
from perflaw.logs.readers.roles import Roles
from perflaw.logs.readers.sniffing import Table

FITS = 1 << 28  # bytes of text that are read at once


def read(path: Path, table: Table, roles: Roles, reading: Reading) -> Columns | None:
    """Read a table of whole numbers; None if it holds anything else, is large, or is at fault."""
    dialect = table.dialect
    if len(dialect.delimiter) > 1 or dialect.ruled or dialect.comment or path.stat().st_size > FITS:
        return None
    if (
        roles.last_item is not None
        or roles.clock_time is not None
        or reading.options.time_format is not None
    ):
        return None
    values = _parse(path, table)
    if values is None:
        return None
    reading = reading.draft()
    users, items = values[roles.user], values[roles.item]
    times = seconds = None
    if roles.time is not None:
        times = values[roles.time]
        try:
            seconds = clock_of_numbers(times, reading, str).seconds
        except InputError:
            return None  # the slow way says which line it is
        note_newest_first(users, times, reading.findings)
    order = _sorting_order(users, times)
    if order is None:
        return None
    if reading.options.drop_incomplete:
        note_dropped(0, len(users), reading)
    if seconds is not None:
        seconds = seconds[order]
    return number_items(users[order], items[order], seconds, reading.findings)


def _parse(path: Path, table: Table) -> list[np.ndarray] | None:
    """Return all columns as int64, if they fill the file to the byte."""
    try:
        # pandas tries numbers that are not whole, with a warning, and then refuses them.
        with np.errstate(invalid="ignore"):
            frame = pd.read_csv(
                path,
                sep=table.dialect.delimiter,
                dtype=np.int64,
                na_filter=False,
                header=None,
                names=list(range(table.dialect.width)),
                skiprows=table.skip,
                skip_blank_lines=False,
                compression=None,  # whatever the name says; what is packed is unpacked by now
            )
    except (ValueError, OverflowError):  # pandas' parser errors are ValueErrors
        return None
    if not len(frame) or not isinstance(frame.index, pd.RangeIndex):
        return None
    with open(path, "rb") as file:
        size = sum(len(file.readline()) for _ in range(table.skip))
        file.seek(-1, 2)
        size -= file.read() != b"\n"
    values = [frame[name].to_numpy() for name in frame.columns]
    size += sum(_count_digits(column) + len(column) for column in values)
    return values if size == path.stat().st_size else None


def _count_digits(values: np.ndarray) -> int:
    """Return the number of characters that whole numbers take together, signs included."""
    negative = int(np.count_nonzero(values < 0))
    sizes = np.abs(values) if negative else values
    largest = max(int(values.max()), -int(values.min()))
    powers = [10**k for k in range(1, 19) if 10**k <= largest]
    return len(values) + negative + sum(int(np.count_nonzero(sizes >= power)) for power in powers)


def _sorting_order(users: np.ndarray, times: np.ndarray | None) -> slice | np.ndarray | None:
    """Return what sorts by user, time, row: a slice if all is in order, None beyond 64 bits."""
    if times is None and (users[1:] >= users[:-1]).all():
        return slice(None)
    keys = [users] if times is None else [users, times]
    widths = [(int(key.max()) - int(key.min())).bit_length() for key in keys]
    row_width = len(users).bit_length()
    if sum(widths) + row_width > 64:
        return None
    packed = np.zeros(len(users), np.uint64)
    for key, width in zip(keys, widths):
        packed = (packed << np.uint64(width)) | (key - key.min()).astype(np.uint64)
    packed = (packed << np.uint64(row_width)) | np.arange(len(users), dtype=np.uint64)
    packed.sort()
    return (packed & np.uint64((1 << row_width) - 1)).astype(np.int64)
