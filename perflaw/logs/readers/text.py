"""Delimited text → sorted columns."""

from __future__ import annotations

from pathlib import Path

from perflaw.logs.readers import whole_numbers
from perflaw.logs.readers.arrays import collect_rows, sort_rows
from perflaw.logs.readers.headerless import default_roles
from perflaw.logs.readers.large_text import is_large, read_spooled, read_table
from perflaw.logs.readers.options import Columns, Reading
from perflaw.logs.readers.roles import Roles, choose_roles
from perflaw.logs.readers.sequences import (
    expand_lists,
    find_last_item,
    hold_lists,
    is_sequences,
    refuse_user_lists,
    sequence_rows,
)
from perflaw.logs.readers.sniffing import Sample, Table, sniff
from perflaw.logs.readers.table_rows import read_lines, table_rows
from perflaw.logs.readers.times import resolution_of

NO_SEQUENCE_OPTIONS = (
    "delimiter",
    "header",
    "user",
    "item",
    "time",
    "unit",
    "time_format",
    "timezone",
)


def read_text(path: Path, sample: Sample, reading: Reading) -> Columns:
    """Read a UTF-8 file of delimited lines, or of a line a user."""
    layout = reading.options.layout
    if layout == "sequences" or (layout is None and is_sequences(sample, reading.options)):
        return _read_sequences(path, reading)
    table = sniff(sample, reading)
    reading = default_roles(table, reading)
    roles = choose_roles(
        table.names, reading, lambda place: resolution_of([row[place] for row in table.rows])
    )
    if table.header:
        roles = find_last_item(roles, table.names, reading)
    columns = whole_numbers.read(path, table, roles, reading)
    if columns is not None:
        return columns
    users = [row[roles.user] for row in table.rows]
    items = [row[roles.item] for row in table.rows]
    if not _has_lists(users, items, table, roles, reading.label) and is_large(path):
        return read_table(path, table, roles, reading)
    return _read_rows(path, table, roles, reading)


def _read_sequences(path: Path, reading: Reading) -> Columns:
    label = reading.label
    reading.options.refuse_unused(f"{label}, a line a user,", *NO_SEQUENCE_OPTIONS)
    reading.findings.guess("layout: one user a line, then the items in order")
    rows = sequence_rows(read_lines(path, label), reading)
    if is_large(path):
        return read_spooled(rows, 2, reading)
    return sort_rows(collect_rows(rows, ("user", "item"), label, "no interactions"), reading)


def _read_rows(path: Path, table: Table, roles: Roles, reading: Reading) -> Columns:
    label = reading.label
    rows = table_rows(read_lines(path, label), table, roles, reading)
    raw = collect_rows(rows, (*roles.by_role, "last"), label, "a header and no rows")
    if not table.dialect.quoting and any(
        cell.startswith('"') for cells in (raw.user, raw.item) for cell in cells
    ):
        reading.findings.note("quotes are text in this file, and part of the ids")
    if _has_lists(raw.user, raw.item, table, roles, label):
        names = {role: table.names[place] for role, place in roles.by_role.items()}
        raw = expand_lists(raw, names, reading)
    return sort_rows(raw, reading)


def _has_lists(users: list[str], items: list[str], table: Table, roles: Roles, label: str) -> bool:
    """Return whether the item column holds lists; raise InputError where that of users does."""
    refuse_user_lists(users, table.names[roles.user], table.types[roles.user], label)
    return roles.last_item is not None or hold_lists(
        items, table.names[roles.item], table.types[roles.item], users
    )
