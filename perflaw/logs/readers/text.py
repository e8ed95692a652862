"""Delimited text → sorted columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from perflaw.errors import InputError
from perflaw.logs.readers import engine, whole_numbers
from perflaw.logs.readers.arrays import RawRows, sort_rows
from perflaw.logs.readers.options import Columns, Findings, ReadOptions
from perflaw.logs.readers.records import is_number, split_records
from perflaw.logs.readers.roles import Roles, choose_roles, plain_name, role_of
from perflaw.logs.readers.sequences import (
    expand_lists,
    find_last_item,
    has_lists,
    is_sequences,
    sequence_rows,
)
from perflaw.logs.readers.sniffing import Sample, Table, _split_type, default_roles, sniff
from perflaw.logs.readers.times import resolution_of

SMALL = 1 << 22  # bytes that are read line by line even where the engine is there


def read_text(
    path: Path, sample: Sample, label: str, options: ReadOptions, findings: Findings
) -> Columns:
    """Read a UTF-8 file of delimited lines, or of a line a user."""
    if options.layout == "sequences" or (options.layout is None and is_sequences(sample, options)):
        options.refuse_unused(
            f"{label}, a line a user,",
            "delimiter",
            "header",
            "user",
            "item",
            "time",
            "unit",
            "time_format",
            "timezone",
        )
        findings.guess("layout: one user a line, then the items in order")
        rows = sequence_rows(read_lines(path, label), label, options, findings)
        return _from_sequences(path, rows, label, options, findings)
    table = sniff(sample, label, options, findings)
    options = default_roles(table, label, options, findings)
    roles = choose_roles(
        label,
        table.names,
        options,
        findings,
        lambda place: resolution_of([row[place] for row in table.rows]),
    )
    if table.header:
        roles = find_last_item(roles, table.names, options, findings)
    if columns := whole_numbers.read(path, table, roles, options, findings):
        return columns
    lists = _lists_in_sample(table, roles, label)
    if not lists and path.stat().st_size > SMALL and engine.is_here():
        return engine.read_table(path, table, roles, label, options, findings)
    return _read_rows(path, table, roles, label, options, findings)


def read_lines(path: Path, label: str) -> Iterator[str]:
    """The lines of a UTF-8 file without their ends and without a byte-order mark."""
    with open(path, "rb") as file:
        for number, line in enumerate(file, 1):
            try:
                text = line.decode()
            except UnicodeDecodeError:
                raise InputError(
                    f"{label}, line {number}: not UTF-8 text; convert it, as with iconv -f latin1 "
                    "-t utf8"
                ) from None
            if number == 1:
                text = text.removeprefix("\ufeff")
            if "\0" in text:
                raise InputError(
                    f"{label}, line {number}: a zero byte; the file may be damaged: fetch or write "
                    "it again"
                )
            yield text.rstrip("\r\n")


def _lists_in_sample(table: Table, roles: Roles, label: str) -> bool:
    def cells(place):
        return [row[place] for row in table.rows]

    users = cells(roles.user)
    has_lists(users, table.names[roles.user], table.types[roles.user], label, "user")
    if roles.last_item is not None:
        return True
    return has_lists(
        cells(roles.item), table.names[roles.item], table.types[roles.item], label, "item", users
    )


def table_rows(lines: Iterable[str], table: Table, roles: Roles, label: str):
    """The line and the picked fields of each row.

    Raises
    ------
    InputError
        For a row of another width, and for the header where it stands again.
    """
    dialect = table.dialect
    width = dialect.width
    words = {plain_name(name) for name in table.names if name} if table.header else set()
    picked = roles.picked
    lines = iter(lines)
    for _ in range(table.skip):
        next(lines)
    for number, fields in split_records(lines, dialect, label, table.skip + 1):
        if len(fields) != width:
            _refuse_width(number, fields, table, label)
        cells = [fields[place] for place in picked]
        if _is_header(cells, fields, words):
            raise InputError(f"{label}, line {number}: the header again; remove the line")
        if "\ufeff" in fields[0]:
            raise InputError(
                f"{label}, line {number}: a byte-order mark within the file, as where files are "
                "joined; remove it"
            )
        yield number, cells


def _refuse_width(number, fields, table, label):
    width = table.dialect.width
    first = "header" if table.header else "first line"
    many = f"{len(fields)} column{'s' * (len(fields) != 1)}"
    raise InputError(f"{label}, line {number}: {many} where the {first} has {width}; mend the line")


def _is_header(cells, fields, words) -> bool:
    """Is this row the header again, or that of another file?"""
    user = plain_name(_split_type(cells[0].lstrip("\ufeff"))[0])
    if not user or (user not in words and role_of(user) != "user"):
        return False
    names = [
        plain_name(_split_type(field.lstrip("\ufeff"))[0]) for field in fields if field.strip()
    ]
    if len(set(names)) > 1 and all(name in words for name in names):
        return True
    if any(is_number(field.strip()) for field in fields):
        return False
    item = _split_type(cells[1])[0]
    return role_of(user) == "user" and role_of(item) == "item" and plain_name(item) != user


def _read_rows(path, table, roles, label, options, findings) -> Columns:
    numbers: list[int] = []
    rows: list[list[str]] = []
    for number, cells in table_rows(read_lines(path, label), table, roles, label):
        numbers.append(number)
        rows.append(cells)
    if table.dialect.skipped:
        findings.note(f"lines of comment within the table left out: {table.dialect.skipped:,}")
    if not rows:
        raise InputError(f"{label} has a header and no rows: fetch or write it again")
    columns = dict(zip(roles.picked, map(list, zip(*rows))))
    raw = RawRows(columns[roles.user], columns[roles.item], columns.get(roles.time), numbers)
    if roles.clock_time is not None:
        raw.time = [f"{d.strip()} {t.strip()}" for d, t in zip(raw.time, columns[roles.clock_time])]
    note_quotes(table, raw, findings)
    names = {
        role: table.names[place]
        for role, place in (("user", roles.user), ("item", roles.item), ("time", roles.time))
        if place is not None
    }
    has_lists(raw.user, names["user"], table.types[roles.user], label, "user")
    if roles.last_item is not None or has_lists(
        raw.item, names["item"], table.types[roles.item], label, "item", raw.user
    ):
        last = columns.get(roles.last_item)
        raw = expand_lists(raw, last, label, names, options, findings)
    return sort_rows(raw, options, findings, label)


def note_quotes(table: Table, raw: RawRows, findings: Findings) -> None:
    """Say so where quotes were taken as text."""
    if table.dialect.quoting:
        return
    if any(cell.startswith('"') for cells in (raw.user, raw.item) for cell in cells):
        findings.note("quotes are text in this file, and part of the ids")


def _from_sequences(path, rows, label, options, findings) -> Columns:
    if path.stat().st_size > SMALL and engine.is_here():
        return engine.read_sequences(rows, label, options, findings)
    found = list(rows)
    if not found:
        raise InputError(f"{label} has no interactions: fetch or write it again")
    numbers, users, items = map(list, zip(*found))
    return sort_rows(RawRows(users, items, None, numbers), options, findings, label)
