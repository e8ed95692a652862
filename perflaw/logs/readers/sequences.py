"""Histories on one line or in one cell: `user item item …`, and lists in a column."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from perflaw.errors import InputError
from perflaw.logs.readers.arrays import RawRows
from perflaw.logs.readers.options import Reading, ReadOptions, clip
from perflaw.logs.readers.roles import LISTS, Roles, list_stem, plain_name, role_of
from perflaw.logs.readers.sniffing import COMMENTS, Sample

BRACKETS = re.compile(r"\s*[\[(].*[\])]\s*", re.DOTALL)
CODE = r"[A-Za-z0-9_-]*\d[A-Za-z0-9_-]*"  # an id with a digit in it
CODES = re.compile(rf"\s*{CODE}(?:(?: +|\s*[,;|]\s*){CODE})*\s*")
NUMBERS = re.compile(r"\s*\d+(?:(?: +|\s*[,;|]\s*)\d+)*\s*")
SEVERAL = re.compile(r"\S[ ,;|]+\S")
THOUSANDS = re.compile(r"\s*[1-9]\d{0,2}(?:,\d{3})+\s*")
PAIR = re.compile(r"\d+:[-+.\deE]+")


# ---------------------------------------------------------------- a line a user


def is_sequences(sample: Sample, options: ReadOptions) -> bool:
    """Return whether lines are `user item item …`: of several lengths, and one for each user."""
    if options.delimiter not in (None, " ") or any(options.named.values()) or options.header:
        return False
    lines = sample.lines
    if any(set("\t,;|") & set(line) or "::" in line for line in lines):
        return False
    if lines[0].startswith(COMMENTS) or any(line.startswith(("{", "[")) for line in lines):
        return False
    rows = [line.split() for line in lines]
    widths = [len(row) for row in rows]
    if len(set(widths)) == 1 and widths[0] < 5:
        return False
    if sum(width > 1 for width in widths) <= len(widths) // 2 or any(map(role_of, rows[0])):
        return False
    if any(set(line.strip()) <= set("-+|= ") for line in lines):
        return False
    return len({row[0] for row in rows}) == len(rows)


def sequence_rows(lines: Iterable[str], reading: Reading) -> Iterator[tuple[int, list[str]]]:
    """Yield the line, and the user and the item, of each interaction of a line per user."""
    label = reading.label
    line_of: dict[str, int] = {}
    empty = 0
    for number, line in enumerate(lines, 1):
        fields = line.split()
        if not fields:
            continue
        user, *items = fields
        if user in line_of:
            raise InputError(
                f"{label}: user {clip(user)} has two lines, {line_of[user]} and {number}: join them"
            )
        line_of[user] = number
        form = _other_form(fields)
        if form is not None:
            raise InputError(
                f"{label}, line {number}: {form}, not plain items; write `user item item …`, or "
                "a row for each interaction"
            )
        if not items:
            empty += 1
            if not reading.options.drop_incomplete:
                raise InputError(
                    f"{label}, line {number}: a user without items: remove the line, or leave such "
                    "lines out with drop_incomplete=True"
                )
        for item in items:
            yield number, [user, item]
    if reading.options.drop_incomplete:
        reading.findings.note(f"lines left out as incomplete: {empty:,} of {len(line_of):,}")


def _other_form(fields: list[str]) -> str | None:
    """Return the name of the other format that a line has; None if it may hold plain items."""
    if fields[-1] == "-2":
        return "-1 and -2 end item sets (SPMF)"
    if len(fields) > 1 and all(map(PAIR.fullmatch, fields[1:])):
        return "pairs as 3:1 (LIBSVM)"
    return None


# ---------------------------------------------------------------- a list a cell


def find_last_item(roles: Roles, names: Sequence[str], reading: Reading) -> Roles:
    """Add the column of the items before those of the item column, where there is such a list."""
    if reading.options.item is not None:
        return roles
    for place, name in enumerate(names):
        stem = list_stem(name)
        if place in roles.picked or not stem or plain_name(stem) != plain_name(names[roles.item]):
            continue
        reading.findings.guess(
            f"item: the list {clip(name)!r} and after it {clip(names[roles.item])!r}"
        )
        if roles.time is not None:
            reading.findings.guess(
                f"time: {clip(names[roles.time])!r} is of the last item only, and not used"
            )
        return Roles(roles.user, place, last_item=roles.item)
    return roles


def refuse_user_lists(cells: Sequence, name: str, kind: str, label: str) -> None:
    """Raise InputError where the column of users holds lists."""
    if hold_lists(cells, name, kind):
        raise InputError(
            f"{label}: the column {clip(name)!r} holds lists, and users are one a row; write a row "
            "for each, or name another column with user="
        )


def hold_lists(
    cells: Sequence, name: str, kind: str = "", users: Sequence[Any] | None = None
) -> bool:
    """Return whether cells hold lists: by the column's type or name, or by what is in them.

    Parameters
    ----------
    kind : str
        RecBole's type of the column.
    users : sequence, optional
        Of cells that hold items: codes are taken for lists where no user has two cells.
    """
    texts = [cell for cell in cells if isinstance(cell, str) and cell.strip()]
    if kind.endswith("_seq") or any(isinstance(cell, (list, tuple)) for cell in cells):
        return True
    if texts and all(map(BRACKETS.fullmatch, texts)):
        return True
    if not any(SEVERAL.search(text.strip()) for text in texts):
        return False
    if is_list_name(name) or all(map(NUMBERS.fullmatch, texts)):
        return True
    one_each = users is not None and len(set(map(str, users))) == len(users)
    return one_each and all(map(CODES.fullmatch, texts))


def is_list_name(name: str) -> bool:
    """Return whether this name of a column says that it holds lists."""
    plain = plain_name(name)
    return plain in LISTS or list_stem(name) is not None or plain.endswith(("ids", "items"))


def parse_list(cell: Any) -> list | None:
    """Return the values of a cell that holds a list; None if it is broken."""
    if cell is None:
        return []
    if isinstance(cell, (list, tuple)):
        return list(cell)
    text = str(cell).strip()
    if not BRACKETS.fullmatch(text):
        if text.startswith("["):
            return None  # cut off, as where a program keeps so many characters of a cell
        mark = next((mark for mark in ",;|" if mark in text), None)
        return [part.strip() for part in text.split(mark)] if text else []
    for parse in (json.loads, ast.literal_eval):
        try:
            value = parse(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
            continue
        if isinstance(value, (list, tuple)):
            return list(value)
        if text[0] == "(":
            return [value]
    inner = text[1:-1].strip()
    if set("[](){}'\"") & set(inner):
        return None
    return [part.strip() for part in inner.split("," if "," in inner else None)]


def expand_lists(raw: RawRows, names: dict[str, str], reading: Reading) -> RawRows:
    """Return a row for each item of the lists in the item column, and of the items after them.

    Parameters
    ----------
    names : dict
        Of the columns in use, by role.
    """
    label, findings = reading.label, reading.findings
    findings.guess(f"layout: a list of items in each cell of {clip(names['item'])!r}")
    users, items, times, numbers = [], [], [], []
    timed = raw.time is not None and (
        is_list_name(names["time"]) or hold_lists(raw.time, names["time"])
    )
    empty = 0
    for k, (place, history) in enumerate(_histories(raw, names["item"], label)):
        if not history:
            empty += 1
            if not reading.options.drop_incomplete:
                raise InputError(
                    f"{place}: an empty list in {clip(names['item'])!r}; remove the row, or leave "
                    "such rows out with drop_incomplete=True"
                )
            continue
        if raw.time is not None and timed:
            times += _times_of(raw.time[k], len(history), place, names)
        elif raw.time is not None:
            times += [raw.time[k]] * len(history)
        users += [raw.user[k]] * len(history)
        items += history
        numbers += [raw.numbers[k]] * len(history)
    if empty:
        findings.note(f"lists left out as empty: {empty:,}")
    if raw.time is not None and not timed:
        findings.guess(f"time: one in {clip(names['time'])!r} for all items of a list")
    if not users:
        raise InputError(f"{label}: all lists are empty; fetch or write it again")
    return RawRows(users, items, None if raw.time is None else times, numbers, noun=raw.noun)


def _histories(raw: RawRows, name: str, label: str) -> Iterator[tuple[str, list]]:
    """Yield the place of each row in words, and its items; `name` is of their column.

    Raises
    ------
    InputError
        For what is no list, and for a second list of a user.
    """
    row_of: dict[str, int] = {}
    for k, user in enumerate(raw.user):
        place = f"{label}, {raw.place(k)}"
        history = _list_of(raw.item[k], place, name)
        if raw.last is not None:
            history = [*history, raw.last[k]]
        text = str(user).strip()
        if text in row_of and user not in (None, ""):
            cell = str(raw.item[k])
            number = THOUSANDS.fullmatch(cell)
            hint = f", or write {clip(cell)} without a comma if it is one item" if number else ""
            raise InputError(
                f"{place}: a second list of the user {clip(user, 30)!r} in {clip(name)!r}, "
                f"after that of {raw.place(row_of[text])}; join them{hint}"
            )
        row_of[text] = k
        yield place, history


def _times_of(cell: Any, count: int, place: str, names: dict[str, str]) -> list:
    times = _list_of(cell, place, names["time"])
    if len(times) != count:
        raise InputError(
            f"{place}: {len(times)} times in {clip(names['time'])!r} and {count} items in "
            f"{clip(names['item'])!r}; mend the row"
        )
    return times


def _list_of(cell: Any, place: str, name: str) -> list:
    values = parse_list(cell)
    if values is None or any(isinstance(value, (list, tuple, dict)) for value in values):
        raise InputError(
            f"{place}: {clip(cell, 30)!r} in {clip(name)!r} is no plain list; write it as [1, 2, 3]"
        )
    return values
