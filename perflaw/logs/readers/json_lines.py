"""JSON lines → sorted columns: a record per interaction, or per user with a list of events."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from perflaw.errors import InputError
from perflaw.logs.readers import engine, large_text
from perflaw.logs.readers.arrays import RawRows, sort_rows, whole_id
from perflaw.logs.readers.options import Columns, Findings, ReadOptions, clip, join_names
from perflaw.logs.readers.roles import Roles, choose_roles, role_of
from perflaw.logs.readers.sequences import expand_lists, has_lists
from perflaw.logs.readers.sniffing import Sample
from perflaw.logs.readers.table_rows import read_lines
from perflaw.logs.readers.text import SMALL
from perflaw.logs.readers.times import resolution_of

LOOKED_AT = 200  # records, to find the columns
EVENTS = ("events", "interactions", "items", "history", "actions", "clicks", "sequence")


class _RepeatedKeyError(ValueError):
    """A key that a record has twice."""


def is_json(sample: Sample, options: ReadOptions) -> bool:
    """Return whether this file holds a JSON record on each line, or a list of them."""
    if options.layout == "json":
        return True
    if options.layout is not None or options.delimiter is not None:
        return False
    first = sample.lines[0].strip()
    if first.startswith("{"):
        return True
    if not first.startswith("["):
        return False
    return first == "[" or first[1:].lstrip().startswith("{") or _is_json_list(first)


def _is_json_list(line: str) -> bool:
    try:
        return isinstance(json.loads(line), list)
    except (ValueError, RecursionError):
        return False


def read_json_lines(
    path: Path, sample: Sample, label: str, options: ReadOptions, findings: Findings
) -> Columns:
    """Read a UTF-8 file of JSON lines."""
    options.refuse_unused(f"{label} is JSON, which", "delimiter", "header")
    findings.guess("layout: JSON, a record a line")
    head = []
    for record in _records(path, sample, label):
        head.append(record)
        if len(head) == LOOKED_AT:
            break
    names = _keys(head)
    events = _find_events(head, names, options)
    if events is not None:
        return _read_events(path, sample, names, events, label, options, findings)
    roles = choose_roles(
        label, names, options, findings, lambda k: resolution_of([r.get(names[k]) for _, r in head])
    )
    items = [record.get(names[roles.item]) for _, record in head]
    users = [record.get(names[roles.user]) for _, record in head]
    lists = has_lists(items, names[roles.item], "", label, "item", users)
    titles = {role: names[k] for role, k in roles.by_role.items()}

    def rows() -> Iterator[tuple[int, list[Any]]]:
        for number, record in _records(path, sample, label):
            cells = [_value(record.get(title), title, number, label) for title in titles.values()]
            if roles.clock_time is not None:
                cells[2] = f"{cells[2]} {record.get(names[roles.clock_time])}"
            yield number, cells

    return _finish(path, rows(), titles, lists, label, options, findings)


def _finish(
    path: Path,
    rows: Iterable[tuple[int, list[Any]]],
    titles: dict[str, str],
    lists: bool,
    label: str,
    options: ReadOptions,
    findings: Findings,
) -> Columns:
    if not lists and path.stat().st_size > SMALL and engine.is_here():
        checked = (
            (number, [_as_cell(cell, n, number, label) for cell, n in zip(cells, titles)])
            for number, cells in rows
        )
        return large_text.read_spooled(checked, len(titles), label, options, findings)
    numbers: list[int] = []
    columns: list[list[Any]] = [[] for _ in titles]
    for number, cells in rows:
        numbers.append(number)
        for column, cell in zip(columns, cells):
            column.append(cell)
    if not numbers:
        raise InputError(f"{label} has no records: fetch or write it again")
    raw = RawRows(columns[0], columns[1], columns[2] if len(columns) > 2 else None, numbers)
    if lists:
        raw = expand_lists(raw, None, label, titles, options, findings)
    return sort_rows(raw, options, findings, label)


def _as_cell(cell: Any, role: str, number: int, label: str) -> str:
    """Return a value as text that says what it is."""
    if cell is None:
        return ""
    if isinstance(cell, (bool, list, dict)):
        raise InputError(
            f"{label}, line {number}: the {role} is {clip(cell, 30)}; it is a number or text; name "
            "another key"
        )
    if isinstance(cell, float) and role != "time":
        return str(whole_id(cell, role, f"{label}, line {number}"))
    return str(cell)


def _value(value: Any, title: str, number: int, label: str) -> Any:
    if isinstance(value, dict):
        if len(value) == 1 and not isinstance(next(iter(value.values())), (dict, list)):
            return next(iter(value.values()))  # {"$oid": …}, {"$numberLong": …}
        raise InputError(
            f"{label}, line {number}: {clip(title)!r} holds an object with "
            f"{join_names(list(value), 60)}; write "
            "the id itself, or name another key"
        )
    return value


# ---------------------------------------------------------------- records


def _unique(pairs: list[tuple[Any, Any]]) -> dict[Any, Any]:
    record = dict(pairs)
    if len(record) < len(pairs):
        names = [name for name, _ in pairs]
        raise _RepeatedKeyError(next(name for name in names if names.count(name) > 1))
    return record


def _records(path: Path, sample: Sample, label: str) -> Iterator[tuple[int, dict]]:
    """Yield the number and the record of each line."""
    if sample.lines[0].strip().startswith("[") and not (
        len(sample.lines) > 1 and _is_json_list(sample.lines[0])
    ):
        yield from _array_records(path, label)
        return
    parse = _parser(sample)
    for number, line in enumerate(read_lines(path, label), 1):
        if not line.strip():
            continue
        yield number, _parse(parse, line, f"{label}, line {number}")


def _parse(parse: Callable[[str], Any], line: str, place: str) -> dict:
    try:
        record = parse(line)
    except _RepeatedKeyError as error:
        raise InputError(
            f"{place}: the key {clip(error)!r} stands twice in a record; remove one"
        ) from None
    except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError) as error:
        cut = "; the record goes over several lines?" if line.strip() in ("{", "[") else ""
        said = getattr(error, "msg", type(error).__name__)
        raise InputError(
            f"{place}: no whole JSON record ({clip(said, 40)}{cut}); write one record a line, as "
            "with jq -c"
        ) from None
    if not isinstance(record, dict):
        raise InputError(
            f"{place}: {clip(record, 30)} is no record; write one a line, "
            'as {"user": 1, "item": 2}'
        )
    _refuse_half_characters(line, record, place)
    return record


def _refuse_half_characters(line: str, record: Any, place: str) -> None:
    r"""Raise InputError for an escape such as \ud800 without its other half: it is no text."""
    if "\\ud" not in line.lower():
        return
    try:
        json.dumps(record, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        half = ascii(error.object[error.start])
        raise InputError(
            f"{place}: {half} is half of a character; write the text whole, in UTF-8"
        ) from None


def _parser(sample: Sample) -> Callable[[str], Any]:
    """JSON, or the dicts of Python where the first line is one."""

    def parse_json(line: str) -> Any:
        return json.loads(line, object_pairs_hook=_unique, parse_constant=lambda _: None)

    try:
        parse_json(sample.lines[0])
    except _RepeatedKeyError:
        return parse_json
    except (ValueError, RecursionError):
        try:
            if isinstance(ast.literal_eval(sample.lines[0].strip()), dict):
                return _parse_python
        except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
            pass
    return parse_json


def _parse_python(line: str) -> Any:
    """Parse a line as Python would print it."""
    tree = ast.parse(line.strip(), mode="eval")
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict):
            _unique(
                [(key.value if isinstance(key, ast.Constant) else id(key), 0) for key in node.keys]
            )
    return ast.literal_eval(tree)


def _array_records(path: Path, label: str) -> Iterator[tuple[int, dict]]:
    text = "\n".join(read_lines(path, label))
    try:
        records = json.loads(text, object_pairs_hook=_unique, parse_constant=lambda _: None)
    except _RepeatedKeyError as error:
        raise InputError(
            f"{label}: the key {clip(error)!r} stands twice in a record; remove one"
        ) from None
    except (ValueError, RecursionError) as error:
        place = f", line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise InputError(
            f"{label}{place}: no whole JSON list; write one record a line, as with jq -c '.[]'"
        ) from None
    for number, record in enumerate(records, 1):
        if not isinstance(record, dict):
            raise InputError(
                f"{label}, record {number}: {clip(record, 30)} is no record; "
                'write {"user": 1, "item": 2}'
            )
        _refuse_half_characters(text, record, f"{label}, record {number}")
        yield number, record


def _keys(head: Sequence[tuple[int, dict[str, Any]]]) -> list[str]:
    return list(dict.fromkeys(key for _, record in head for key in record))


# ---------------------------------------------------------------- events


def _find_events(
    head: Sequence[tuple[int, dict[str, Any]]], names: Sequence[str], options: ReadOptions
) -> str | None:
    """Return the key of the lists of events; None if a record is an interaction."""
    if not head or (options.item is not None and options.item in names):
        return None
    lists = [
        name
        for name in names
        if any(
            isinstance(r.get(name), list) and r[name] and isinstance(r[name][0], dict)
            for _, r in head
        )
    ]
    if any(role_of(name) == "item" and name not in lists for name in names):
        return None
    named = [name for name in lists if name.lower() in EVENTS]
    return next(iter(named or lists), None)


def _read_events(
    path: Path,
    sample: Sample,
    names: Sequence[str],
    events: str,
    label: str,
    options: ReadOptions,
    findings: Findings,
) -> Columns:
    """Read records of users whose list `events` holds a record per interaction."""
    findings.guess(f"layout: a record a user, with its interactions in {clip(events)!r}")
    inner: dict[str, None] = {}
    some: list[dict] = []
    for _, record in _records(path, sample, label):
        listed = record.get(events)
        for event in listed if isinstance(listed, list) else ():
            if isinstance(event, dict):
                inner.update(dict.fromkeys(event))
                some.append(event)
        if len(some) > LOOKED_AT:
            break
    outer = [name for name in names if name != events]
    columns = [*outer, *inner]
    prefix = len(outer)
    roles = _event_roles(columns, prefix, some, label, options, findings)
    titles = {role: columns[k] for role, k in roles.by_role.items()}

    def rows() -> Iterator[tuple[int, list[Any]]]:
        for number, record in _records(path, sample, label):
            listed = record.get(events)
            if not isinstance(listed, list):
                raise InputError(
                    f"{label}, line {number}: no list of interactions in {clip(events)!r}; write "
                    "[] where there are none"
                )
            for event in listed:
                if not isinstance(event, dict):
                    raise InputError(
                        f"{label}, line {number}: {clip(event, 30)} in {clip(events)!r} is no "
                        "record; mend the line"
                    )
                yield (
                    number,
                    [
                        _value(
                            (record if k < prefix else event).get(columns[k]),
                            columns[k],
                            number,
                            label,
                        )
                        for k in roles.by_role.values()
                    ],
                )

    return _finish(path, rows(), titles, False, label, options, findings)


def _event_roles(
    columns: Sequence[str],
    prefix: int,
    some: list[dict],
    label: str,
    options: ReadOptions,
    findings: Findings,
) -> Roles:
    """Return the roles: the user of the record, the item and the time of its events."""
    outer = [name if k < prefix else "" for k, name in enumerate(columns)]
    inner = [name if k >= prefix else "" for k, name in enumerate(columns)]
    said = Findings()
    users = options.user
    role = replace(options, item="1", time=None)
    names = [*outer, "1"]
    user = choose_roles(label, names, replace(role, user=users), said, lambda k: None).user
    findings.guess(
        next((g for g in said.guesses if g.startswith("user")), f"user: column {columns[user]!r}")
    )
    names = [columns[user] if k == user else name for k, name in enumerate(inner)]
    said = Findings()
    rest = replace(options, user=columns[user])
    if columns[user] in inner:  # the same key within events: the record's counts
        names = [*inner, "\0user"]
        rest = replace(options, user="\0user")
    found = choose_roles(
        label, names, rest, said, lambda k: resolution_of([e.get(columns[k]) for e in some])
    )
    for guess in said.guesses:
        findings.guess(guess)
    return Roles(user, found.item, found.time, found.clock_time)
