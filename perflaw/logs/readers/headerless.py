"""Which columns of a text file without a header are users, items and times."""

from __future__ import annotations

from dataclasses import replace

from perflaw.errors import InputError
from perflaw.logs.readers.options import Findings, ReadOptions
from perflaw.logs.readers.records import (
    is_number,
)
from perflaw.logs.readers.sniffing import Table
from perflaw.logs.readers.times import ISO

# Seconds: below it a number is not taken for a time (of 1990 or later) by its place alone.
RECENT = 6.3e8


def default_roles(
    table: Table, label: str, options: ReadOptions, findings: Findings
) -> ReadOptions:
    """Name the columns of a file without a header by number, from the layouts in use.

    Raises
    ------
    InputError
        Where the layout is not one of those.
    """
    if table.header or any(options.named.values()) or not table.rows:
        return options
    width = len(table.names)
    while width > 2 and all(not row[width - 1].strip() for row in table.rows):
        width -= 1
    clock = {
        k: all(_is_clock(row[k - 1].strip()) for row in table.rows) for k in (3, 4) if k <= width
    }
    time = next((k for k in (4, 3) if clock.get(k)), None)
    clocks = [
        k
        for k in (1, 2)
        if all(_is_clock(row[k - 1].strip()) for row in table.rows)
        and not (time and is_number(table.rows[0][k - 1].strip()))
    ]
    third = [row[2].strip() for row in table.rows] if width > 2 else []
    unclear = width == 3 and not time and not all(is_number(cell) or not cell for cell in third)
    if width > 4 or (width == 4 and not time) or unclear or clocks:
        raise InputError(
            f"{label} has {width} columns and no header: name them by number, as in user=1, "
            f"item=2, time={min(width, 4)}"
            if width > 2
            else f"{label} has two columns, one of them times, and no header; a log needs items too"
        )
    taken = ["user, item"] + [
        {time: "time"}.get(k, "rating (not used)") for k in range(3, width + 1)
    ]
    findings.guess(f"no header; columns taken as {', '.join(taken)}")
    return replace(options, user="1", item="2", time=str(time) if time else None)


def _is_clock(text: str) -> bool:
    if is_number(text):
        return "." not in text[:9] and float(text) >= RECENT
    return ISO.fullmatch(text) is not None
