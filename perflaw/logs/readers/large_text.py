"""Large files of text → sorted columns, by the engine: at once where each line is a plain row."""

from __future__ import annotations

import codecs
import csv
import tempfile
from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from perflaw.errors import InputError, require
from perflaw.logs.readers.engine import (
    copy_rows,
    count_rows,
    create_rows,
    escape_path,
    finish,
    select_roles,
    session,
    text_column,
)
from perflaw.logs.readers.options import ROLES, Columns, Connection, Reading
from perflaw.logs.readers.records import WIDE_SPACES
from perflaw.logs.readers.roles import Roles
from perflaw.logs.readers.sniffing import Table
from perflaw.logs.readers.table_rows import header_words, is_header_word, read_lines, table_rows

SMALL = 1 << 22  # bytes that are read line by line even where the engine is installed


def is_large(path: Path) -> bool:
    """Return whether the engine is to read this file: it is large, and the engine is installed."""
    return path.stat().st_size > SMALL and find_spec("duckdb") is not None


def read_table(path: Path, table: Table, roles: Roles, reading: Reading) -> Columns:
    """Read delimited text: by the engine where every line is a plain row, else line by line."""
    columns = _read_plain(path, table, roles, reading)
    if columns is not None:
        return columns
    rows = table_rows(read_lines(path, reading.label), table, roles, reading)
    return read_spooled(rows, len(roles.by_role), reading)


# ---------------------------------------------------------------- plain rows


class _HeaderAgainError(Exception):
    """A user is called as a column of users is."""


def _read_plain(path: Path, table: Table, roles: Roles, reading: Reading) -> Columns | None:
    """Read the file by the engine's reader; None if not every line is a plain row."""
    duckdb = require("duckdb")
    dialect = table.dialect
    if dialect.ruled or dialect.comment or dialect.delimiter == WIDE_SPACES:
        return None
    scan = _scan_text(path)
    if scan is None:
        return None
    quote = '"' if dialect.quoting and scan.quotes else ""
    only_spaces = scan.only_spaces and (dialect.delimiter == "\t" or not scan.tabs)
    words = header_words(table)

    def check_users(names: Iterable[str]) -> None:
        if any(is_header_word(name, words) for name in names):
            raise _HeaderAgainError

    try:
        with session(reading.label) as connection:
            relation = _scan_csv(
                connection, path, dialect.width, dialect.delimiter, quote, table.skip
            )
            picked = {role: text_column(f"c{k}", only_spaces) for role, k in roles.by_role.items()}
            if roles.clock_time is not None:
                picked["time"] += f" || ' ' || {text_column(f'c{roles.clock_time}')}"
            create_rows(connection, relation, picked)
            rows = connection.execute("select count(*) from raw").fetchone()[0]
            if rows != scan.lines - table.skip:
                return None
            where = count_rows(reading.label, table.skip + 1, "line")
            return finish(connection, where, roles.time is not None, reading.draft(), check_users)
    except _HeaderAgainError:
        return None
    except InputError as error:
        cause = error.__cause__
        if not isinstance(cause, duckdb.Error) or isinstance(cause, duckdb.OutOfMemoryException):
            raise
        return None


class Scan(NamedTuple):
    """What a look at the bytes of a text file says.

    Attributes
    ----------
    lines : int
    quotes : bool
        Is there a quote?
    only_spaces : bool
        Is there no white space but spaces and line ends, tabs aside?
    tabs : bool
        Is there a tab?
    """

    lines: int
    quotes: bool
    only_spaces: bool
    tabs: bool


def _scan_text(path: Path) -> Scan | None:
    """Count the lines of a file; None if there is what the engine might read in its own way.

    It is to be UTF-8 without zero bytes and byte-order marks, with lines that end in one way and
    none of which is very long.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    ends = returns = pairs = 0
    quotes = tabs = False
    only_spaces = True
    last = b""
    with open(path, "rb") as file:
        while block := file.read(1 << 23):
            is_utf8 = _is_plain_utf8(decoder, block, not last)
            if b"\0" in block or not is_utf8 or not _has_short_lines(block):
                return None
            ends += block.count(b"\n")
            returns += block.count(b"\r")
            pairs += (last[-1:] + block).count(b"\r\n") if returns else 0
            quotes = quotes or b'"' in block
            tabs = tabs or b"\t" in block
            only_spaces = only_spaces and b"\v" not in block and b"\f" not in block
            last = block
    if decoder.getstate()[0] or returns != pairs or returns not in (0, ends):
        return None
    return Scan(ends + (last[-1:] != b"\n"), quotes, only_spaces, tabs)


def _is_plain_utf8(decoder: codecs.IncrementalDecoder, block: bytes, first: bool) -> bool:
    """Return whether the next block is UTF-8, with a byte-order mark only at the file's start."""
    if block.isascii() and not decoder.getstate()[0]:
        return True
    try:
        text = decoder.decode(block)
    except UnicodeDecodeError:
        return False
    return "\ufeff" not in (text[1:] if first else text)


def _has_short_lines(block: bytes) -> bool:
    size = 1 << 20
    starts = range(0, max(len(block) - size, 1), size)
    return all(b"\n" in block[start : start + size] for start in starts)


# ---------------------------------------------------------------- rows from Python


def read_spooled(
    rows: Iterable[tuple[int, Sequence[str]]], width: int, reading: Reading
) -> Columns:
    """Sort rows of user, item and, where the width is 3, time, each with its line."""
    with tempfile.TemporaryDirectory(prefix="perflaw-") as folder:
        path = Path(folder) / "rows.csv"
        _write_rows(rows, path)
        with session(reading.label) as connection:
            relation = _scan_csv(connection, path, width + 1, ",", '"', 0)
            picked = {role: text_column(f"c{k}") for k, role in enumerate(ROLES[:width], 1)}
            copy_rows(
                connection, f"select {select_roles(picked)}, c0::bigint as line from {relation}"
            )

            def where(place: int) -> str:
                query = "select line from rows where rowid = $1"
                line = connection.execute(query, [int(place)]).fetchone()[0]
                return f"{reading.label}, line {line}"

            return finish(connection, where, width > 2, reading)


def _write_rows(rows: Iterable[tuple[int, Sequence[str]]], path: Path) -> None:
    """Write rows with their lines as a file that can be read in one way only."""
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL, lineterminator="\n")
        for number, cells in rows:
            writer.writerow((number, *cells))


def _scan_csv(
    connection: Connection, path: Path, width: int, delimiter: str, quote: str, skip: int
) -> str:
    """Return SQL that reads a text file into columns c0, c1, … of text."""
    columns = ", ".join(f"c{k}: 'VARCHAR'" for k in range(width))
    variables = {"source": escape_path(path), "delimiter": delimiter, "quote": quote}
    for name, value in variables.items():
        connection.execute(f"set variable {name} = $1", [value])
    return (
        f"read_csv(getvariable('source'), auto_detect=false, columns={{{columns}}}, header=false, "
        f"skip={skip}, delim=getvariable('delimiter'), quote=getvariable('quote'), "
        "escape=getvariable('quote'), compression='none', hive_partitioning=false, "
        "max_line_size=16000000, encoding='utf-8')"
    )
