"""Histories on one line or in one cell: `user item item …`, and lists in a column."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from perflaw.errors import InputError
from perflaw.logs.readers.arrays import RawRows
from perflaw.logs.readers.options import Findings, ReadOptions, clip
from perflaw.logs.readers.roles import LIST_WORDS, LISTS, Roles, plain_name, role_of
from perflaw.logs.readers.sniffing import COMMENTS, Sample

BRACKETS = re.compile(r"\s*[\[(].*[\])]\s*", re.DOTALL)
CODE = r"[A-Za-z0-9_-]*\d[A-Za-z0-9_-]*"  # an id with a digit in it
CODES = re.compile(rf"\s*{CODE}(?:(?: +|\s*[,;|]\s*){CODE})*\s*")
NUMBERS = re.compile(r"\s*\d+(?:(?: +|\s*[,;|]\s*)\d+)*\s*")
SEVERAL = re.compile(r"\S[ ,;|]+\S")
SEPARATORS = (",", ";", "|")
PAIR = re.compile(r"\d+:[-+.\deE]+")


# ---------------------------------------------------------------- a line a user


def is_sequences(sample: Sample, options: ReadOptions) -> bool:
    """Is this `user item item …` a line? Lines differ in length, and no user has two."""
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
    if sum(width > 1 for width in widths) <= len(widths) // 2 or any(role_of(x) for x in rows[0]):
        return False
    if any(set(line.strip()) <= set("-+|= ") for line in lines):
        return False
    return len({row[0] for row in rows}) == len(rows)


def sequence_rows(
    lines: Iterable[str], label: str, options: ReadOptions, findings: Findings
) -> Iterator[tuple[int, str, str]]:
    """Yield the line, the user and the item of each interaction of a file with a line per user."""
    seen: dict[str, int] = {}
    empty = 0
    for number, line in enumerate(lines, 1):
        fields = line.split()
        if not fields:
            continue
        user = fields[0]
        if user in seen:
            raise InputError(
                f"{label}: user {clip(user)} has two lines, {seen[user]} and {number}: join them"
            )
        seen[user] = number
        if fields[-1] == "-2" or (len(fields) > 1 and all(map(PAIR.fullmatch, fields[1:]))):
            kind = (
                "-1 and -2 end item sets (SPMF)" if fields[-1] == "-2" else "pairs as 3:1 (LIBSVM)"
            )
            raise InputError(
                f"{label}, line {number}: {kind}, not plain items; write `user item item …`, or "
                "a row for each interaction"
            )
        if len(fields) < 2:
            empty += 1
            if not options.drop_incomplete:
                raise InputError(
                    f"{label}, line {number}: a user without items: remove the line, or leave such "
                    "lines out with drop_incomplete=True"
                )
        for item in fields[1:]:
            yield number, user, item
    if options.drop_incomplete:
        findings.note(f"lines left out as incomplete: {empty:,} of {len(seen):,}")


# ---------------------------------------------------------------- a list a cell


def find_last_item(
    roles: Roles, names: Sequence[str], options: ReadOptions, findings: Findings
) -> Roles:
    """Where a column lists the items before the one of the item column, both."""
    if options.item is not None:
        return roles
    for place, name in enumerate(names):
        stem = LIST_WORDS.sub("", name.strip().lower())
        if place in roles.picked or stem == name.strip().lower() or not stem:
            continue
        if plain_name(stem) == plain_name(names[roles.item]):
            findings.guess(
                f"item: the list {clip(name)!r} and after it {clip(names[roles.item])!r}"
            )
            time = roles.time
            if time is not None:
                findings.guess(
                    f"time: {clip(names[time])!r} is of the last item only, and not used"
                )
            return replace(roles, item=place, last_item=roles.item, time=None, clock_time=None)
    return roles


def has_lists(
    cells: Sequence, name: str, kind: str, label: str, role: str, users: Sequence[Any] | None = None
) -> bool:
    """Return whether cells hold lists: by the column's type or name, or by what is in them.

    Raises
    ------
    InputError
        Where they do and cannot be histories: lists of users, or several lists of a user.
    """
    texts = [cell for cell in cells if isinstance(cell, str) and cell.strip()]
    lists = any(isinstance(cell, (list, tuple)) for cell in cells)
    several = any(SEVERAL.search(text.strip()) for text in texts)
    wrapped = bool(texts) and all(BRACKETS.fullmatch(text) for text in texts)
    by_name = several and is_list_name(name)
    found = lists or wrapped or kind.endswith("_seq") or by_name
    if not found and several and texts:
        numbers = all(NUMBERS.fullmatch(text) for text in texts)
        alone = users is not None and len(set(map(str, users))) == len(users)
        found = numbers or (alone and role == "item" and all(map(CODES.fullmatch, texts)))
    if found and role == "user":
        raise InputError(
            f"{label}: the column {clip(name)!r} holds lists, and users are one a row; write a row "
            "for each, or name another column with user="
        )
    return found


def is_list_name(name: str) -> bool:
    """Return whether this name of a column says that it holds lists."""
    plain = plain_name(name)
    stem = LIST_WORDS.sub("", name.strip().lower())
    return plain in LISTS or stem != name.strip().lower() or plain.endswith(("ids", "items"))


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
        mark = next((mark for mark in SEPARATORS if mark in text), None)
        parts = text.split(mark) if mark else text.split()
        return [part.strip() for part in parts] if text else []
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
    parts = inner.split(",") if "," in inner else inner.split()
    return [part.strip() for part in parts]


def expand_lists(
    raw: RawRows,
    last: list | None,
    label: str,
    names: dict[str, str],
    options: ReadOptions,
    findings: Findings,
) -> RawRows:
    """Return a row for each item of the lists in the item column.

    Parameters
    ----------
    last : list or None
        An item after each list.
    names : dict
        Of the columns in use, by role.
    """
    findings.guess(f"layout: a list of items in each cell of {clip(names['item'])!r}")
    users, items, times, places = [], [], [], []
    timed = raw.time is not None and (
        is_list_name(names["time"]) or has_lists(raw.time, names["time"], "", label, "time")
    )
    empty = 0
    for k, place, history in _histories(raw, last, label, names["item"]):
        if not history:
            empty += 1
            if not options.drop_incomplete:
                raise InputError(
                    f"{place}: an empty list in {clip(names['item'])!r}; remove the row, or leave "
                    "such rows out with drop_incomplete=True"
                )
            continue
        if timed and raw.time is not None:
            times += _times_of(raw.time[k], len(history), place, names)
        elif raw.time is not None:
            times += [raw.time[k]] * len(history)
        users += [raw.user[k]] * len(history)
        items += history
        places += [raw.places[k]] * len(history)
    if empty:
        findings.note(f"lists left out as empty: {empty:,}")
    if raw.time is not None and not timed:
        findings.guess(f"time: one in {clip(names['time'])!r} for all items of a list")
    if not users:
        raise InputError(f"{label}: all lists are empty; fetch or write it again")
    return RawRows(users, items, times if raw.time is not None else None, places, raw.where)


def _histories(
    raw: RawRows, last: list | None, label: str, name: str
) -> Iterator[tuple[int, str, list]]:
    """Yield the number of each row, its place in words, and its items; `name` is of their column.

    Raises
    ------
    InputError
        For what is no list, and for a second list of a user.
    """
    seen: dict[str, int] = {}
    for k, user in enumerate(raw.user):
        place = f"{label}, {raw.where.format(raw.places[k])}"
        history = _list_of(raw.item[k], place, name)
        if last is not None:
            history = [*history, last[k]]
        text = str(user).strip()
        if text in seen and user not in (None, ""):
            raise InputError(
                f"{place}: a second list of the user {clip(user, 30)!r} in {clip(name)!r}, "
                f"after that of {raw.where.format(seen[text])}; join them"
            )
        seen[text] = raw.places[k]
        yield k, place, history


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
