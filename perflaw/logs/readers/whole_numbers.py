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
from perflaw.logs.readers.arrays import note_dropped
from perflaw.logs.readers.number_times import clock_of_numbers
from perflaw.logs.readers.options import Columns, Findings, ReadOptions
from perflaw.logs.readers.roles import Roles
from perflaw.logs.readers.sniffing import Table

FITS = 1 << 28  # bytes of text that are read at once


def read(
    path: Path, table: Table, roles: Roles, options: ReadOptions, findings: Findings
) -> Columns | None:
    """Read a table of whole numbers; None if it holds anything else, is large, or is at fault."""
    dialect = table.dialect
    if len(dialect.delimiter) > 1 or dialect.ruled or dialect.comment or path.stat().st_size > FITS:
        return None
    if (
        roles.last_item is not None
        or roles.clock_time is not None
        or options.time_format is not None
    ):
        return None
    values = _parse(path, table)
    if values is None:
        return None
    users, items = values[roles.user], values[roles.item]
    times = None if roles.time is None else values[roles.time]
    said = Findings()
    seconds = None
    if times is not None:
        try:
            seconds = clock_of_numbers(times, options, said, str).seconds
        except InputError:
            return None  # the slow way says which line it is
    order = sorting_order(users, times)
    if order is None:
        return None
    findings.add(said)
    if options.drop_incomplete:
        note_dropped(0, len(users), findings, str(path))
    users, items = users[order], items[order]
    starts = np.flatnonzero(np.concatenate([[True], users[1:] != users[:-1]]))
    codes, item_ids = pd.factorize(items)
    return Columns(
        users[starts],
        np.append(starts, len(users)).astype(np.int64),
        item_ids,
        codes.astype(np.int32),
        None if seconds is None else seconds[order],
        tuple(findings.guesses),
        tuple(findings.notes),
    )


def _parse(path: Path, table: Table) -> list[np.ndarray] | None:
    """All columns as int64, if they fill the file to the byte."""
    try:
        with np.errstate(
            invalid="ignore"
        ):  # it tries numbers that are not whole, then refuses them
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
    size += sum(count_digits(column) + len(column) for column in values)
    return values if size == path.stat().st_size else None


def count_digits(values: np.ndarray) -> int:
    """Characters that whole numbers take together, signs included."""
    low, high = int(values.min()), int(values.max())
    size = np.abs(values) if low < 0 else values
    powers = [10**k for k in range(1, 19) if 10**k <= max(high, -low)]
    signs = int(np.count_nonzero(values < 0)) * (low < 0)
    return len(values) + signs + sum(int(np.count_nonzero(size >= power)) for power in powers)


def sorting_order(users: np.ndarray, times: np.ndarray | None) -> slice | np.ndarray | None:
    """Return what sorts by user, time, row: a slice if all is in order, None beyond 64 bits."""
    keys = [users] if times is None else [users, times]
    if times is None and (users[1:] >= users[:-1]).all():
        return slice(None)
    widths = [(int(key.max()) - int(key.min())).bit_length() for key in keys]
    row = len(users).bit_length()
    if sum(widths) + row > 64:
        return None
    packed = np.zeros(len(users), np.uint64)
    for key, width in zip(keys, widths):
        packed = (packed << np.uint64(width)) | (key - key.min()).astype(np.uint64)
    packed = (packed << np.uint64(row)) | np.arange(len(users), dtype=np.uint64)
    packed.sort()
    return (packed & np.uint64((1 << row) - 1)).astype(np.int64)
