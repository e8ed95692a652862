"""Which columns of a text file without a header are users, items and times."""

from __future__ import annotations

from dataclasses import replace

from perflaw.errors import InputError
from perflaw.logs.readers.options import Reading
from perflaw.logs.readers.records import is_number
from perflaw.logs.readers.sniffing import Table
from perflaw.logs.readers.times import ISO

# Seconds: below it a number is not taken for a time (of 1990 or later) by its place alone.
RECENT = 6.3e8


def default_roles(table: Table, reading: Reading) -> Reading:
    """Name the columns of a file without a header by number, from the layouts in use.

    Raises
    ------
    InputError
        Where the layout is not one of those.
    """
    if table.header or any(reading.options.named.values()) or not table.rows:
        return reading
    columns = [[row[k].strip() for row in table.rows] for k in range(len(table.names))]
    while len(columns) > 2 and not any(columns[-1]):
        columns.pop()
    width = len(columns)
    clocks = [k for k, column in enumerate(columns[:4]) if all(map(_is_clock, column))]
    time = max((k for k in clocks if k >= 2), default=None)
    # Large numbers beside a column of times are ids.
    ahead = [k for k in clocks if k < 2 and (time is None or not is_number(columns[k][0]))]
    if ahead and width == 2:
        raise InputError(
            f"{reading.label} has two columns, one of them times, and no header; a log needs items "
            "too"
        )
    unclear = width == 3 and not all(is_number(cell) or not cell for cell in columns[2])
    if ahead or width > 4 or (time is None and (width == 4 or unclear)):
        raise InputError(
            f"{reading.label} has {width} columns and no header: name them by number, as in "
            f"user=1, item=2, time={min(width, 4)}"
        )
    others = ["time" if k == time else "rating (not used)" for k in range(2, width)]
    reading.findings.guess(f"no header; columns taken as {', '.join(['user, item', *others])}")
    named = replace(
        reading.options, user="1", item="2", time=None if time is None else str(time + 1)
    )
    return replace(reading, options=named)


def _is_clock(text: str) -> bool:
    if is_number(text):
        return "." not in text[:9] and float(text) >= RECENT
    return ISO.fullmatch(text) is not None
