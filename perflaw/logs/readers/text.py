"""Delimited text → sorted columns."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from perflaw.errors import InputError
from perflaw.logs.readers import engine, large_text, whole_numbers
from perflaw.logs.readers.arrays import RawRows, sort_rows
from perflaw.logs.readers.headerless import default_roles
from perflaw.logs.readers.options import Columns, Findings, ReadOptions
from perflaw.logs.readers.roles import Roles, choose_roles
from perflaw.logs.readers.sequences import (
    expand_lists,
    find_last_item,
    has_lists,
    is_sequences,
    sequence_rows,
)
from perflaw.logs.readers.sniffing import Sample, Table, sniff
from perflaw.logs.readers.table_rows import read_lines, table_rows
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
        return large_text.read_table(path, table, roles, label, options, findings)
    return _read_rows(path, table, roles, label, options, findings)


def _lists_in_sample(table: Table, roles: Roles, label: str) -> bool:
    def cells(place: int) -> list[str]:
        return [row[place] for row in table.rows]

    users = cells(roles.user)
    has_lists(users, table.names[roles.user], table.types[roles.user], label, "user")
    if roles.last_item is not None:
        return True
    return has_lists(
        cells(roles.item), table.names[roles.item], table.types[roles.item], label, "item", users
    )


def _read_rows(
    path: Path, table: Table, roles: Roles, label: str, options: ReadOptions, findings: Findings
) -> Columns:
    numbers: list[int] = []
    rows: list[list[str]] = []
    for number, cells in table_rows(read_lines(path, label), table, roles, label):
        numbers.append(number)
        rows.append(cells)
    if table.dialect.skipped:
        findings.note(f"lines of comment within the table left out: {table.dialect.skipped:,}")
    if not rows:
        raise InputError(f"{label} has a header and no rows: fetch or write it again")
    columns = dict(zip((*roles.by_role, "last"), map(list, zip(*rows))))
    raw = RawRows(columns["user"], columns["item"], columns.get("time"), numbers)
    note_quotes(table, raw, findings)
    names = {role: table.names[place] for role, place in roles.by_role.items()}
    has_lists(raw.user, names["user"], table.types[roles.user], label, "user")
    if roles.last_item is not None or has_lists(
        raw.item, names["item"], table.types[roles.item], label, "item", raw.user
    ):
        raw = expand_lists(raw, columns.get("last"), label, names, options, findings)
    return sort_rows(raw, options, findings, label)


def note_quotes(table: Table, raw: RawRows, findings: Findings) -> None:
    """Say so where quotes were taken as text."""
    if table.dialect.quoting:
        return
    if any(cell.startswith('"') for cells in (raw.user, raw.item) for cell in cells):
        findings.note("quotes are text in this file, and part of the ids")


def _from_sequences(
    path: Path,
    rows: Iterable[tuple[int, str, str]],
    label: str,
    options: ReadOptions,
    findings: Findings,
) -> Columns:
    if path.stat().st_size > SMALL and engine.is_here():
        return large_text.read_sequences(rows, label, options, findings)
    found = list(rows)
    if not found:
        raise InputError(f"{label} has no interactions: fetch or write it again")
    numbers, users, items = map(list, zip(*found))
    return sort_rows(RawRows(users, items, None, numbers), options, findings, label)
