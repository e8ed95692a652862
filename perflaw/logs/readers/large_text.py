"""Large files of text → sorted columns, by the engine: at once where each line is a plain row."""

from __future__ import annotations

import codecs
import csv
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from perflaw.errors import InputError, require
from perflaw.logs.readers.engine import (
    Places,
    create_rows,
    escape_path,
    finish,
    session,
    set_source,
    text_column,
)
from perflaw.logs.readers.options import ROLES, Columns, Connection, Findings, ReadOptions
from perflaw.logs.readers.roles import Roles
from perflaw.logs.readers.sniffing import Table
from perflaw.logs.readers.table_rows import header_words, is_header_word, read_lines, table_rows


def read_table(
    path: Path, table: Table, roles: Roles, label: str, options: ReadOptions, findings: Findings
) -> Columns:
    """Read delimited text: by the engine where every line is a plain row, else line by line."""
    dialect = table.dialect
    scan = scan_text(path)
    if scan.plain and not dialect.ruled and not dialect.comment and dialect.delimiter != "  ":
        columns = _read_plain(path, table, roles, scan, label, options, findings)
        if columns is not None:
            return columns
    rows = table_rows(read_lines(path, label), table, roles, label)
    columns = read_spooled(rows, len(roles.by_role), label, options, findings)
    if dialect.skipped:
        note = f"lines of comment within the table left out: {dialect.skipped:,}"
        columns = columns._replace(notes=(*columns.notes, note))
    return columns


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
    plain : bool
        UTF-8 without zero bytes or marks, with lines that end in one way, none of them very long?
    """

    lines: int
    quotes: bool
    only_spaces: bool
    tabs: bool
    plain: bool


def scan_text(path: Path) -> Scan:
    """Count the lines of a file, and look for what the engine might read in its own way."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    ends = returns = pairs = 0
    quotes = tabs = False
    only_spaces = plain = True
    last = b""
    with open(path, "rb") as file:
        while block := file.read(1 << 23):
            ends += block.count(b"\n")
            returns += block.count(b"\r")
            pairs += (last[-1:] + block).count(b"\r\n") if returns else 0
            quotes = quotes or b'"' in block
            tabs = tabs or b"\t" in block
            only_spaces = only_spaces and b"\v" not in block and b"\f" not in block
            plain = plain and b"\0" not in block and _has_short_lines(block)
            plain = plain and _is_plain_utf8(decoder, block, not last)
            last = block
    plain = plain and not decoder.getstate()[0] and returns == pairs and returns in (0, ends)
    return Scan(ends + (last[-1:] != b"\n"), quotes, only_spaces, tabs, plain)


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
    return all(b"\n" in block[at : at + size] for at in range(0, max(len(block) - size, 1), size))


class _HeaderAgainError(Exception):
    """A user is called as a column of users is."""


def _read_plain(
    path: Path,
    table: Table,
    roles: Roles,
    scan: Scan,
    label: str,
    options: ReadOptions,
    findings: Findings,
) -> Columns | None:
    """Read the file by the engine's reader; None if it read another number of rows than lines."""
    duckdb = require("duckdb")
    dialect = table.dialect
    quote = '"' if dialect.quoting and scan.quotes else ""
    only_spaces = scan.only_spaces and (dialect.delimiter == "\t" or not scan.tabs)
    notes, guesses = list(findings.notes), list(findings.guesses)
    words = header_words(table)

    def check_users(names: Iterable[str]) -> None:
        if any(is_header_word(name, words) for name in names):
            raise _HeaderAgainError

    try:
        with session(label) as connection:
            relation = scan_csv(
                connection, path, dialect.width, dialect.delimiter, quote, table.skip
            )
            picked = {role: text_column(f"c{k}", only_spaces) for role, k in roles.by_role.items()}
            if roles.clock_time is not None:
                picked["time"] += f" || ' ' || {text_column(f'c{roles.clock_time}')}"
            create_rows(connection, relation, picked)
            rows = connection.execute("select count(*) from raw").fetchone()[0]
            if rows != scan.lines - table.skip:
                return None
            places = Places(label, "line {}", table.skip + 1)
            timed = roles.time is not None
            return finish(connection, places, timed, options, findings, check_users)
    except _HeaderAgainError:
        pass
    except InputError as error:
        cause = error.__cause__
        if not isinstance(cause, duckdb.Error) or isinstance(cause, duckdb.OutOfMemoryException):
            raise
    findings.notes[:], findings.guesses[:] = notes, guesses
    return None


def read_sequences(
    rows: Iterable[tuple[int, str, str]], label: str, options: ReadOptions, findings: Findings
) -> Columns:
    """Sort rows of a file with a line a user."""
    return read_spooled(((number, cells) for number, *cells in rows), 2, label, options, findings)


# ---------------------------------------------------------------- rows from Python


def _spool(rows: Iterable[tuple[int, Sequence[str]]], folder: str) -> Path:
    """Rows with their lines as a file that has one reading."""
    path = Path(folder) / "rows.csv"
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL, lineterminator="\n")
        for number, cells in rows:
            writer.writerow((number, *cells))
    return path


def scan_csv(
    connection: Connection, path: Path, width: int, delimiter: str, quote: str, skip: int
) -> str:
    """Return SQL that reads a text file into columns c0, c1, … of text."""
    columns = ", ".join(f"c{k}: 'VARCHAR'" for k in range(width))
    set_source(connection, escape_path(path))
    connection.execute("set variable delimiter = $1", [delimiter])
    connection.execute("set variable quote = $1", [quote])
    return (
        f"read_csv(getvariable('source'), auto_detect=false, columns={{{columns}}}, header=false, "
        f"skip={int(skip)}, delim=getvariable('delimiter'), quote=getvariable('quote'), "
        "escape=getvariable('quote'), compression='none', hive_partitioning=false, "
        "max_line_size=16000000, encoding='utf-8')"
    )


def read_spooled(
    rows: Iterable[tuple[int, Sequence[str]]],
    width: int,
    label: str,
    options: ReadOptions,
    findings: Findings,
) -> Columns:
    """Sort rows of user, item and, where the width is 3, time, each with its line."""
    with tempfile.TemporaryDirectory(prefix="perflaw-") as folder:
        path = _spool(rows, folder)
        with session(label) as connection:
            relation = scan_csv(connection, path, width + 1, ",", '"', 0)
            picked = {role: text_column(f"c{k}") for k, role in enumerate(ROLES[:width], 1)}
            create_rows(connection, relation, picked, ", c0::bigint as line")

            def line(place: int) -> int:
                found = connection.execute("select line from rows where rowid = $1", [place])
                return found.fetchone()[0]

            places = Places(label, "line {}", 0, line)
            return finish(connection, places, width > 2, options, findings)
