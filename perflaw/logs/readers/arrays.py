"""Rows in memory → sorted columns, by NumPy: for small files, and for the base install."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from perflaw.errors import InputError
from perflaw.logs.readers.number_times import Clock, Where, clock_of_numbers
from perflaw.logs.readers.options import (
    WHITE,
    Columns,
    Findings,
    ReadOptions,
    clip,
    is_missing,
    note_odd_ids,
)
from perflaw.logs.readers.times import clock_of_texts

WHOLE_ID = re.compile(r"-?(?:0|[1-9]\d{0,18})")


@dataclass
class RawRows:
    """Users, items and times as they were found, in the order of the source.

    Attributes
    ----------
    user, item : list
        Text or whole numbers, one of each row.
    time : list or None
        Text or numbers; None where there is no column of times.
    places : sequence of int
        Where each row is in the source, for messages.
    where : str
        How a place is written, as in "line {:,}".
    """

    user: list
    item: list
    time: list | None
    places: Sequence[int] | np.ndarray
    where: str = "line {}"


def sort_rows(raw: RawRows, options: ReadOptions, findings: Findings, label: str) -> Columns:
    """Check the rows, sort them by user, time and place, and number the items.

    Raises
    ------
    InputError
        For the first row that has no user, item or time, or one that cannot be.
    """
    if not len(raw.user):
        raise InputError(f"{label} has a header and no rows: fetch or write it again")
    raw = _without_spaces(raw, findings)
    raw = _complete(raw, options, findings, label)

    def where(row: int) -> str:
        return f"{label}, {raw.where.format(int(raw.places[row]))}"

    users, user_names = identify(raw.user, "user", where, findings)
    items, item_names = identify(raw.item, "item", where, findings)
    time = None
    if raw.time is not None:
        time = _clock(raw.time, options, findings, where)
    order = np.lexsort((users,) if time is None else (time.key, users))
    users, items = users[order], items[order]
    starts = np.flatnonzero(np.concatenate([[True], users[1:] != users[:-1]]))
    codes, seen = pd.factorize(items)
    seconds = (
        None if time is None or time.seconds is None else time.seconds[order].astype(np.float64)
    )
    return Columns(
        user_names[users[starts]],
        np.append(starts, len(users)).astype(np.int64),
        item_names[seen],
        codes.astype(np.int32),
        seconds,
        tuple(findings.guesses),
        tuple(findings.notes),
    )


def _without_spaces(raw: RawRows, findings: Findings) -> RawRows:
    for role in ("user", "item"):
        cells = getattr(raw, role)
        bare = [cell.strip(WHITE) if isinstance(cell, str) else cell for cell in cells]
        if bare != cells and len(set(map(str, bare))) < len(set(map(str, cells))):
            findings.note(
                f"{role}: spaces around ids are not part of them; some differ in nothing else"
            )
        setattr(raw, role, bare)
    if raw.time is not None:
        raw.time = [cell.strip(WHITE) if isinstance(cell, str) else cell for cell in raw.time]
    return raw


def _complete(raw: RawRows, options: ReadOptions, findings: Findings, label: str) -> RawRows:
    """Drop the rows that lack something, or raise InputError for the first that does."""
    columns = {role: getattr(raw, role) for role in ("user", "item", "time")}
    columns = {role: cells for role, cells in columns.items() if cells is not None}
    if "time" in columns and all(map(_is_blank, columns["time"])):
        raise InputError(
            f"{label}: the column of times is blank; fill it in, or remove it if the order of rows "
            "is the order of each history"
        )
    lacking = np.zeros(len(raw.user), bool)
    for role, cells in columns.items():
        blank = np.fromiter(map(_is_blank, cells), bool, len(cells))
        odd = np.array([isinstance(cell, str) and is_missing(cell) for cell in cells], bool)
        if options.drop_incomplete:
            lacking |= blank | odd
        elif blank.any() or (role == "time" and odd.any()):
            row = int(np.flatnonzero(blank | odd if role == "time" else blank)[0])
            raise incomplete(f"{label}, {raw.where.format(int(raw.places[row]))}", role)
        elif odd.any():
            values = pd.Series(cells, dtype=object)[odd].value_counts()
            note_missing(role, values.index[0], int(odd.sum()), len(cells), findings)
    if options.drop_incomplete:
        note_dropped(int(lacking.sum()), len(lacking), findings, label)
    if not lacking.any():
        return raw
    keep = np.flatnonzero(~lacking)
    kept = {role: [cells[k] for k in keep] for role, cells in columns.items()}
    places = np.asarray(raw.places)[keep]
    return RawRows(kept["user"], kept["item"], kept.get("time"), places, raw.where)


def _is_blank(cell: Any) -> bool:
    return cell is None or cell == "" or (isinstance(cell, float) and math.isnan(cell))


def incomplete(place: str, role: str) -> InputError:
    """Return the error for a row without a user, an item or a time."""
    return InputError(
        f"{place}: no {role}; fill it in or remove the row, or leave all such rows out with "
        "drop_incomplete=True"
    )


def note_missing(role: str, token: str, count: int, rows: int, findings: Findings) -> None:
    """Say that some ids look like the mark of a missing one."""
    findings.note(
        f"{role}: {count:,} of {rows:,} rows have the {role} {token!r} or another word for "
        "none; if it stands for none, leave them out with drop_incomplete=True"
    )


def note_dropped(count: int, rows: int, findings: Findings, label: str) -> None:
    """Say how many rows are left out, or raise InputError if none is left."""
    if count == rows:
        raise InputError(
            f"{label}: all of {rows:,} rows are incomplete; fill in users, items and times"
        )
    if count:
        findings.note(f"rows left out as incomplete: {count:,} of {rows:,}")
    elif not any("left out as" in note for note in findings.notes):  # of lists, of lines
        findings.note("rows left out as incomplete: 0")


def identify(
    cells: list, role: str, where: Callable[[int], str], findings: Findings
) -> tuple[np.ndarray, np.ndarray]:
    """Ids as codes in their order, and the ids: int64 if all are plain whole numbers, else text."""
    codes, distinct = pd.factorize(np.asarray(_hashable(cells, role, where), dtype=object))
    whole = _whole_numbers(distinct)
    if whole is not None:
        names, ranks = np.unique(whole, return_inverse=True)
        return ranks[codes], names
    texts = [_as_text(value) for value in distinct]
    if any("\0" in text for text in texts):
        row = next(k for k, cell in enumerate(cells) if "\0" in str(cell))
        raise InputError(
            f"{where(row)}: a zero byte in the {role}; the file may be damaged: fetch or write it "
            "again"
        )
    ordered = sorted(set(texts))
    note_odd_ids(role, ordered, findings)
    rank = {name: k for k, name in enumerate(ordered)}
    return np.array([rank[text] for text in texts], np.int64)[codes], np.array(
        ordered, dtype=object
    )


def _hashable(cells: list, role: str, where: Where) -> list:
    """Return the cells, if all of them are text or whole numbers."""
    kinds = set(map(type, cells))
    if kinds <= {str, int}:
        return cells
    for row, cell in enumerate(cells):
        if isinstance(cell, bool) or not isinstance(cell, (str, int, float)):
            kind = {dict: "an object", list: "a list", bool: "true or false"}.get(
                type(cell), type(cell).__name__
            )
            raise InputError(
                f"{where(row)}: the {role} is {kind}; an id is a whole number or text; name "
                "another column"
            )
    return [
        whole_id(cell, role, where(row)) if isinstance(cell, float) else cell
        for row, cell in enumerate(cells)
    ]


def whole_id(value: float, role: str, place: str) -> int:
    """Return an id that was read as a decimal number, or raise InputError if it is none."""
    if not value.is_integer():
        raise InputError(
            f"{place}: the {role} {value} is a number but not a whole one; mend it, or write ids "
            "as text"
        )
    if abs(value) > 2.0**53:
        raise InputError(
            f"{place}: the {role} {value} is a decimal number too large to be exact; write ids as "
            "text"
        )
    return int(value)


def _whole_numbers(distinct: Iterable[Any]) -> np.ndarray | None:
    """Return these ids as int64 if each is a whole number written plainly, else None."""
    values = []
    for value in distinct:
        if isinstance(value, str):
            if not WHOLE_ID.fullmatch(value) or value == "-0":
                return None
            value = int(value)
        if not -(2**63) <= value < 2**63:
            return None
        values.append(value)
    return np.array(values, np.int64)


def _as_float(value: float) -> float:
    """Return a number as float64, infinite where it is too large for that."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else str(value)


def _clock(cells: list, options: ReadOptions, findings: Findings, where: Where) -> Clock:
    kinds = set(map(type, cells))
    if kinds <= {int, float} and options.time_format is None:
        try:
            values = np.array(cells, dtype=np.int64 if kinds == {int} else np.float64)
        except OverflowError:
            values = np.array([_as_float(cell) for cell in cells])
        return clock_of_numbers(values, options, findings, where)
    for row, cell in enumerate(cells):
        if isinstance(cell, bool) or not isinstance(cell, (str, int, float)):
            raise InputError(
                f"{where(row)}: the time {clip(cell, 30)!r} is no number and no text; name another "
                "column with time="
            )
    return clock_of_texts([_as_text(cell) for cell in cells], options, findings, where)
