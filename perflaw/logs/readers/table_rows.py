"""The rows of a delimited text file, line by line: of one width, and none of them a header."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NoReturn

from perflaw.errors import InputError
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
    lines: Iterable[str], table: Table, roles: Roles, label: str
) -> Iterator[tuple[int, list[str]]]:
    """Yield the line of each row, and its user, item, time and item after a list, if there are any.

    Raises
    ------
    InputError
        For a row of another width, and for the header where it stands again.
    """
    dialect = table.dialect
    width = dialect.width
    words = header_words(table)
    picked = roles.picked
    lines = iter(lines)
    for _ in range(table.skip):
        next(lines)
    for number, fields in split_records(lines, dialect, label, table.skip + 1):
        if len(fields) != width:
            _refuse_width(number, fields, table, label)
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


def _refuse_width(number: int, fields: list[str], table: Table, label: str) -> NoReturn:
    width = table.dialect.width
    first = "header" if table.header else "first line"
    many = f"{len(fields)} column{'s' * (len(fields) != 1)}"
    raise InputError(f"{label}, line {number}: {many} where the {first} has {width}; mend the line")


def header_words(table: Table) -> set[str]:
    """Return the names of the columns without case and punctuation."""
    return {plain_name(name) for name in table.names if name} if table.header else set()


def is_header_word(user: str, words: set[str]) -> bool:
    """Return whether this, in the place of a user, is the name of a column of users."""
    name = plain_name(split_type(user.lstrip("\ufeff"))[0])
    return bool(name) and (name in words or role_of(name) == "user")


def _is_header(cells: list[str], fields: list[str], words: set[str]) -> bool:
    """Return whether this row is the header again, or that of another file."""
    if not is_header_word(cells[0], words):
        return False
    names = [plain_name(split_type(field.lstrip("\ufeff"))[0]) for field in fields if field.strip()]
    if len(set(names)) > 1 and all(name in words for name in names):
        return True
    if any(is_number(field.strip()) for field in fields):
        return False
    user, item = (split_type(cell.lstrip("\ufeff"))[0] for cell in cells[:2])
    both = role_of(user) == "user" and role_of(item) == "item"
    return both and plain_name(item) != plain_name(user)
