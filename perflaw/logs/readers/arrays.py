"""Rows in memory → sorted columns, by NumPy: for small files, and for the base install."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from perflaw.errors import InputError
from perflaw.logs.readers.doubts import note_newest_first, note_odd_ids
from perflaw.logs.readers.number_times import Clock, clock_of_numbers
from perflaw.logs.readers.options import (
    ROLES,
    WHITE,
    Columns,
    Findings,
    Reading,
    Where,
    clip,
    is_missing,
)
from perflaw.logs.readers.times import clock_of_texts, is_whole


@dataclass
class RawRows:
    """Users, items and times as they were found, in the order of the source.

    Attributes
    ----------
    user, item : list
        Text or whole numbers, one of each row.
    time : list or None
        Text or numbers; None where there is no column of times.
    numbers : sequence of int
        The line or row of each in the source.
    last : list or None
        The item that comes after each list of `item`.
    noun : str
        What messages call a place in the source.
    """

    user: list
    item: list
    time: list | None
    numbers: Sequence[int]
    last: list | None = None
    noun: str = "line"

    def place(self, row: int) -> str:
        """Return where a row is in the source, in words."""
        return f"{self.noun} {self.numbers[row]}"


def collect_rows(
    rows: Iterable[tuple[int, Sequence]], roles: Sequence[str], label: str, nothing: str
) -> RawRows:
    """Bring rows into columns.

    Parameters
    ----------
    rows : iterable of (int, sequence)
        The line of each row, and its cells.
    roles : sequence of str
        What the cells are: user, item, time, last.
    nothing : str
        What the source has where it has no rows, for the message.
    """
    numbered = list(rows)
    if not numbered:
        raise InputError(f"{label} has {nothing}: fetch or write it again")
    numbers = [number for number, _ in numbered]
    columns = dict(zip(roles, map(list, zip(*(cells for _, cells in numbered)))))
    return RawRows(
        columns["user"], columns["item"], columns.get("time"), numbers, columns.get("last")
    )


def sort_rows(raw: RawRows, reading: Reading) -> Columns:
    """Check the rows, sort them by user, time and place, and number the items.

    Raises
    ------
    InputError
        For the first row that has no user, item or time, or one that cannot be.
    """
    _strip_spaces(raw, reading.findings)
    raw = _complete(raw, reading)

    def where(row: int) -> str:
        return f"{reading.label}, {raw.place(row)}"

    users, user_ids = _identify(raw.user, "user", where, reading.findings)
    items, item_ids = _identify(raw.item, "item", where, reading.findings)
    clock = None if raw.time is None else _clock(raw.time, reading, where)
    if clock is not None:
        note_newest_first(users, clock.key, reading.findings)
    order = np.lexsort((users,) if clock is None else (clock.key, users))
    seconds = None if clock is None or clock.seconds is None else clock.seconds[order]
    return number_items(users[order], items[order], seconds, reading.findings, user_ids, item_ids)


def number_items(
    users: np.ndarray,
    items: np.ndarray,
    seconds: np.ndarray | None,
    findings: Findings,
    user_ids: np.ndarray | None = None,
    item_ids: np.ndarray | None = None,
) -> Columns:
    """Bring sorted rows into the form in which a log is kept.

    Parameters
    ----------
    users, items : ndarray of int, shape (rows,)
        Positions in `user_ids` and `item_ids`, or the ids themselves where these are None.
    """
    starts = np.flatnonzero(np.concatenate([[True], users[1:] != users[:-1]]))
    offsets = np.append(starts, len(users)).astype(np.int64)
    users = users[starts]  # of a large log, all of them would take much of the memory
    codes, first_items = pd.factorize(items)
    return Columns(
        users if user_ids is None else user_ids[users],
        offsets,
        first_items if item_ids is None else item_ids[first_items],
        codes.astype(np.int32),
        seconds,
        tuple(findings.guesses),
        tuple(findings.notes),
    )


def _strip_spaces(raw: RawRows, findings: Findings) -> None:
    for role in ("user", "item"):
        cells = getattr(raw, role)
        stripped = _strip(cells)
        if stripped != cells and len(set(map(str, stripped))) < len(set(map(str, cells))):
            findings.note(
                f"{role}: spaces around ids are not part of them; some differ in nothing else"
            )
        setattr(raw, role, stripped)
    if raw.time is not None:
        raw.time = _strip(raw.time)


def _strip(cells: list) -> list:
    return [cell.strip(WHITE) if isinstance(cell, str) else cell for cell in cells]


def _complete(raw: RawRows, reading: Reading) -> RawRows:
    """Drop the rows that lack something, or raise InputError for the first that does."""
    columns = {role: getattr(raw, role) for role in ROLES}
    columns = {role: cells for role, cells in columns.items() if cells is not None}
    if "time" in columns and all(map(_is_blank, columns["time"])):
        raise blank_times(reading.label)
    incomplete_rows = np.zeros(len(raw.user), bool)
    for role, cells in columns.items():
        blank = np.fromiter(map(_is_blank, cells), bool, len(cells))
        token = np.array([isinstance(cell, str) and is_missing(cell) for cell in cells], bool)
        if reading.options.drop_incomplete:
            incomplete_rows |= blank | token
        elif blank.any() or (role == "time" and token.any()):
            refused = blank | token if role == "time" else blank
            raise incomplete(f"{reading.label}, {raw.place(int(refused.argmax()))}", role)
        elif token.any():
            counts = pd.Series(cells, dtype=object)[token].value_counts()
            note_missing(role, counts.index[0], int(token.sum()), len(cells), reading.findings)
    if reading.options.drop_incomplete:
        note_dropped(int(incomplete_rows.sum()), len(incomplete_rows), reading)
    if not incomplete_rows.any():
        return raw
    rows = np.flatnonzero(~incomplete_rows).tolist()
    complete = {role: [cells[row] for row in rows] for role, cells in columns.items()}
    numbers = [raw.numbers[row] for row in rows]
    return RawRows(complete["user"], complete["item"], complete.get("time"), numbers, noun=raw.noun)


def _is_blank(cell: Any) -> bool:
    return cell is None or cell == "" or (isinstance(cell, float) and math.isnan(cell))


def blank_times(label: str) -> InputError:
    """Return the error for a column of times that holds nothing."""
    return InputError(
        f"{label}: the column of times is blank; fill it in, or remove it if the order of rows "
        "is the order of each history"
    )


def incomplete(place: str, role: str) -> InputError:
    """Return the error for a row without a user, an item or a time."""
    return InputError(
        f"{place}: no {role}; fill it in or remove the row, or leave all such rows out with "
        "drop_incomplete=True"
    )


def note_missing(role: str, token: str, count: int, rows: int, findings: Findings) -> None:
    """Note that some ids look like the mark of a missing one."""
    findings.note(
        f"{role}: {count:,} of {rows:,} rows have the {role} {token!r} or another word for "
        "none; if it stands for none, leave them out with drop_incomplete=True"
    )


def note_dropped(count: int, rows: int, reading: Reading) -> None:
    """Note how many rows are left out, or raise InputError if none is left."""
    if count == rows:
        raise InputError(
            f"{reading.label}: all of {rows:,} rows are incomplete; fill in users, items and times"
        )
    if count:
        reading.findings.note(f"rows left out as incomplete: {count:,} of {rows:,}")
    elif not any("left out as" in note for note in reading.findings.notes):  # of lists, of lines
        reading.findings.note("rows left out as incomplete: 0")


def _identify(
    cells: list, role: str, where: Where, findings: Findings
) -> tuple[np.ndarray, np.ndarray]:
    """Return a code of each row, and the ids in order: int64 if all are plain whole numbers."""
    codes, distinct = pd.factorize(np.asarray(_hashable(cells, role, where), dtype=object))
    numbers = _whole_numbers(distinct)
    if numbers is not None:
        ids, ranks = np.unique(numbers, return_inverse=True)
        return ranks[codes], ids
    texts = [str(value) for value in distinct]
    if any("\0" in text for text in texts):
        row = next(row for row, cell in enumerate(cells) if "\0" in str(cell))
        raise InputError(
            f"{where(row)}: a zero byte in the {role}; the file may be damaged: fetch or write it "
            "again"
        )
    ordered = sorted(set(texts))
    note_odd_ids(role, ordered, findings)
    rank = {text: position for position, text in enumerate(ordered)}
    ranks = np.array([rank[text] for text in texts], np.int64)
    return ranks[codes], np.array(ordered, dtype=object)


def _hashable(cells: list, role: str, where: Where) -> list:
    """Return the cells, if all of them are text or whole numbers."""
    if set(map(type, cells)) <= {str, int}:
        return cells
    for row, cell in enumerate(cells):
        if not _is_text_or_number(cell):
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


def _is_text_or_number(cell: Any) -> bool:
    return isinstance(cell, (str, int, float)) and not isinstance(cell, bool)


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


def _whole_numbers(distinct: np.ndarray) -> np.ndarray | None:
    """Return these ids as int64 if each is a whole number written plainly, else None."""
    if any(not is_whole(str(value)) or value == "-0" for value in distinct):
        return None
    return np.array(list(map(int, distinct)), np.int64)


def _clock(cells: list, reading: Reading, where: Where) -> Clock:
    kinds = set(map(type, cells))
    if kinds <= {int, float} and reading.options.time_format is None:
        try:
            values = np.array(cells, dtype=np.int64 if kinds == {int} else np.float64)
        except OverflowError:
            values = np.array([_as_float(cell) for cell in cells])
        return clock_of_numbers(values, reading, where)
    for row, cell in enumerate(cells):
        if not _is_text_or_number(cell):
            raise InputError(
                f"{where(row)}: the time {clip(cell, 30)!r} is no number and no text; name another "
                "column with time="
            )
    return clock_of_texts([str(cell) for cell in cells], reading, where)


def _as_float(value: float) -> float:
    """Return a number as float64, infinite where it is too large for that."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
