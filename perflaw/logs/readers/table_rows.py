"""The rows of a delimited text file, line by line: of one width, and none of them a header."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from perflaw.errors import InputError
from perflaw.logs.readers.options import Reading
from perflaw.logs.readers.records import is_number, split_records
from perflaw.logs.readers.roles import Roles, plain_name, role_of
from perflaw.logs.readers.sniffing import Table, split_type


def read_lines(path: Path, label: str) -> Iterator[str]:
    """Yield the lines of a UTF-8 file without their ends and without a byte-order mark."""
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


def table_rows(
    lines: Iterable[str], table: Table, roles: Roles, reading: Reading
) -> Iterator[tuple[int, list[str]]]:
    """Yield the line of each row, and its user, item, time and item after a list, if there are any.

    Raises
    ------
    InputError
        For a row of another width, and for the header where it stands again.
    """
    dialect = table.dialect
    label = reading.label
    words = header_words(table)
    picked = roles.picked
    body = islice(lines, table.skip, None)
    for number, fields in split_records(body, dialect, label, table.skip + 1):
        if len(fields) != dialect.width:
            first = "header" if table.header else "first line"
            columns = f"{len(fields)} column{'s' * (len(fields) != 1)}"
            raise InputError(
                f"{label}, line {number}: {columns} where the {first} has {dialect.width}; mend "
                "the line"
            )
        cells = [fields[place] for place in picked]
        if roles.clock_time is not None:
            cells[2:] = [f"{cells[2].strip()} {cells[3].strip()}"]
        if _is_header(cells, fields, words):
            raise InputError(f"{label}, line {number}: the header again; remove the line")
        if "\ufeff" in fields[0]:
            raise InputError(
                f"{label}, line {number}: a byte-order mark within the file, as where files are "
                "joined; remove it"
            )
        yield number, cells
    if dialect.skipped:
        reading.findings.note(f"lines of comment within the table left out: {dialect.skipped:,}")


def header_words(table: Table) -> set[str]:
    """Return the names of the columns without case and punctuation."""
    return {plain_name(name) for name in table.names if name} if table.header else set()


def is_header_word(user: str, words: set[str]) -> bool:
    """Return whether this, in the place of a user, is the name of a column of users."""
    name = plain_name(_column_name(user))
    return bool(name) and (name in words or role_of(name) == "user")


def _is_header(cells: list[str], fields: list[str], words: set[str]) -> bool:
    """Return whether this row is the header again, or that of another file."""
    if not is_header_word(cells[0], words):
        return False
    names = {plain_name(_column_name(field)) for field in fields if field.strip()}
    if len(names) > 1 and names <= words:
        return True
    if any(is_number(field.strip()) for field in fields):
        return False
    user, item = map(_column_name, cells[:2])
    both = role_of(user) == "user" and role_of(item) == "item"
    return both and plain_name(item) != plain_name(user)


def _column_name(cell: str) -> str:
    """Return the name that a cell has as a column, without a byte-order mark and its type."""
    name, _ = split_type(cell.lstrip("\ufeff"))
    return name
