"""JSON lines → sorted columns: a record per interaction, or per user with a list of events."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from perflaw.errors import InputError
from perflaw.logs.readers.arrays import collect_rows, sort_rows, whole_id
from perflaw.logs.readers.large_text import is_large, read_spooled
from perflaw.logs.readers.options import Columns, Reading, ReadOptions, clip, join_names
from perflaw.logs.readers.roles import Roles, choose_column, choose_roles, role_of
from perflaw.logs.readers.sequences import expand_lists, hold_lists
from perflaw.logs.readers.sniffing import Sample
from perflaw.logs.readers.table_rows import read_lines
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
    if first.startswith("{") or first == "[":
        return True
    return first.startswith("[") and (first[1:].lstrip().startswith("{") or _is_json_list(first))


def _is_json_list(line: str) -> bool:
    try:
        return isinstance(json.loads(line), list)
    except (ValueError, RecursionError):
        return False


def read_json_lines(path: Path, sample: Sample, reading: Reading) -> Columns:
    """Read a UTF-8 file of JSON lines."""
    label = reading.label
    reading.options.refuse_unused(f"{label} is JSON, which", "delimiter", "header")
    reading.findings.guess("layout: JSON, a record a line")
    head = [record for _, record in islice(_records(path, sample, label), LOOKED_AT)]
    names = list(dict.fromkeys(key for record in head for key in record))
    events = _find_events(head, names, reading.options)
    if events is not None:
        return _read_events(path, sample, names, events, reading)
    roles = choose_roles(
        names, reading, lambda k: resolution_of([record.get(names[k]) for record in head])
    )
    users = [record.get(names[roles.user]) for record in head]
    items = [record.get(names[roles.item]) for record in head]
    rows = (
        (number, _cells(record, record, names, roles, f"{label}, line {number}"))
        for number, record in _records(path, sample, label)
    )
    if not hold_lists(items, names[roles.item], users=users):
        return _sort_records(path, rows, roles, reading)
    raw = collect_rows(rows, list(roles.by_role), label, "no records")
    titles = {role: names[k] for role, k in roles.by_role.items()}
    return sort_rows(expand_lists(raw, titles, reading), reading)


def _cells(record: dict, event: dict, names: Sequence[str], roles: Roles, place: str) -> list[Any]:
    """Return the user of a record, and the item and time of an event, which may be the record."""
    cells = [_value(record, names[roles.user], place), _value(event, names[roles.item], place)]
    if roles.time is not None:
        cells.append(_value(event, names[roles.time], place))
    if roles.clock_time is not None:
        cells[2] = f"{cells[2]} {event.get(names[roles.clock_time])}"
    return cells


def _value(record: dict, name: str, place: str) -> Any:
    value = record.get(name)
    if not isinstance(value, dict):
        return value
    inner = list(value.values())
    if len(inner) == 1 and not isinstance(inner[0], (dict, list)):
        return inner[0]  # {"$oid": …}, {"$numberLong": …}
    raise InputError(
        f"{place}: {clip(name)!r} holds an object with {join_names(list(value), 60)}; write the id "
        "itself, or name another key"
    )


def _sort_records(
    path: Path, rows: Iterable[tuple[int, list[Any]]], roles: Roles, reading: Reading
) -> Columns:
    """Sort rows that hold no lists."""
    names = list(roles.by_role)
    if not is_large(path):
        return sort_rows(collect_rows(rows, names, reading.label, "no records"), reading)

    def texts() -> Iterator[tuple[int, list[str]]]:
        for number, cells in rows:
            place = f"{reading.label}, line {number}"
            yield number, [_as_text(cell, role, place) for cell, role in zip(cells, names)]

    return read_spooled(texts(), len(names), reading)


def _as_text(cell: Any, role: str, place: str) -> str:
    """Return a value as text that says what it is."""
    if cell is None:
        return ""
    if isinstance(cell, (bool, list, dict)):
        raise InputError(
            f"{place}: the {role} is {clip(cell, 30)}; it is a number or text; name another key"
        )
    if isinstance(cell, float) and role != "time":
        return str(whole_id(cell, role, place))
    return str(cell)


# ---------------------------------------------------------------- records


def _records(path: Path, sample: Sample, label: str) -> Iterator[tuple[int, dict]]:
    """Yield the number and the record of each line."""
    first = sample.lines[0]
    if first.strip().startswith("[") and not (len(sample.lines) > 1 and _is_json_list(first)):
        yield from _array_records(path, label)
        return
    parse = _choose_parser(first)
    for number, line in enumerate(read_lines(path, label), 1):
        if line.strip():
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
        reason = getattr(error, "msg", type(error).__name__)
        raise InputError(
            f"{place}: no whole JSON record ({clip(reason, 40)}{cut}); write one record a line, as "
            "with jq -c"
        ) from None
    if not isinstance(record, dict):
        raise InputError(
            f"{place}: {clip(record, 30)} is no record; write one a line, "
            'as {"user": 1, "item": 2}'
        )
    _refuse_half_characters(line, record, place)
    return record


def _refuse_half_characters(line: str, record: dict, place: str) -> None:
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


def _choose_parser(first: str) -> Callable[[str], Any]:
    """Return the parser of JSON, or that of Python's dicts where the first line is one."""
    try:
        _parse_json(first)
    except _RepeatedKeyError:
        return _parse_json
    except (ValueError, RecursionError):
        try:
            if isinstance(ast.literal_eval(first.strip()), dict):
                return _parse_python
        except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
            pass
    return _parse_json


def _parse_json(text: str) -> Any:
    return json.loads(text, object_pairs_hook=_unique, parse_constant=lambda _: None)


def _unique(pairs: list[tuple[Any, Any]]) -> dict[Any, Any]:
    """Return a record, or raise _RepeatedKeyError."""
    record = dict(pairs)
    if len(record) < len(pairs):
        names = [name for name, _ in pairs]
        raise _RepeatedKeyError(next(name for name in names if names.count(name) > 1))
    return record


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
        records = _parse_json(text)
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


# ---------------------------------------------------------------- events


def _find_events(head: Sequence[dict], names: Sequence[str], options: ReadOptions) -> str | None:
    """Return the key of the lists of events; None if a record is an interaction."""
    if options.item is not None and options.item in names:
        return None
    lists = [
        name for name in names if any(_is_list_of_records(record.get(name)) for record in head)
    ]
    if any(role_of(name) == "item" and name not in lists for name in names):
        return None
    usual = [name for name in lists if name.lower() in EVENTS]
    return next(iter(usual or lists), None)


def _is_list_of_records(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict)


def _read_events(
    path: Path, sample: Sample, names: Sequence[str], events: str, reading: Reading
) -> Columns:
    """Read records of users whose list `events` holds a record per interaction."""
    label, findings = reading.label, reading.findings
    findings.guess(f"layout: a record a user, with its interactions in {clip(events)!r}")
    head: list[dict] = []
    for _, record in _records(path, sample, label):
        listed = record.get(events)
        if isinstance(listed, list):
            head += [event for event in listed if isinstance(event, dict)]
        if len(head) > LOOKED_AT:
            break
    inner = list(dict.fromkeys(key for event in head for key in event))
    outer = [name for name in names if name != events]
    user = outer[choose_column("user", outer, reading)]
    if reading.options.user is not None:
        findings.guess(f"user: column {user!r}")
    columns = [user, *inner]
    known = "\0user" if user in inner else user  # the key of the record is the one that counts
    roles = choose_roles(
        [known, *inner],
        replace(reading, options=replace(reading.options, user=known)),
        lambda k: resolution_of([event.get(columns[k]) for event in head]),
    )

    def rows() -> Iterator[tuple[int, list[Any]]]:
        for number, record in _records(path, sample, label):
            place = f"{label}, line {number}"
            listed = record.get(events)
            if not isinstance(listed, list):
                raise InputError(
                    f"{place}: no list of interactions in {clip(events)!r}; write [] where there "
                    "are none"
                )
            for event in listed:
                if not isinstance(event, dict):
                    raise InputError(
                        f"{place}: {clip(event, 30)} in {clip(events)!r} is no record; mend the "
                        "line"
                    )
                yield number, _cells(record, event, columns, roles, place)

    return _sort_records(path, rows(), roles, reading)
