"""DuckDB as the engine of what is large: it reads, sorts, and spills to disk where memory is short.

It was chosen by measurement (README, "Speed"): its time per row does not grow from a million to
100 million rows, and its memory can be bounded. The user's names never enter its language:
columns go by their place (c0, c1, …), paths and delimiters as parameters.
"""

from __future__ import annotations

import csv
import importlib.util
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from perflaw.errors import InputError, require
from perflaw.logs.readers import clocks
from perflaw.logs.readers.arrays import incomplete, note_dropped, note_missing
from perflaw.logs.readers.options import (
    MISSING,
    ORDER,
    ROLES,
    Columns,
    Findings,
    ReadOptions,
    clip,
    is_missing,
)
from perflaw.logs.readers.times import to_seconds

MEMORY = "1GB"  # of the engine's own; beyond it, it writes to temporary files
WHOLE = tuple(f"{sign}{size}INT" for sign in ("", "U") for size in ("TINY", "SMALL", "", "BIG"))
WHOLE += ("INTEGER", "UINTEGER")
WORDS = {  # kinds of column that hold no ids
    "TIMESTAMP": "dates", "DATE": "dates", "TIME": "times of day", "INTERVAL": "durations",
    "STRUCT": "records", "MAP": "maps", "BOOLEAN": "true or false", "BLOB": "bytes", "BIT": "bits",
    "UNION": "values of several kinds", "NULL": "nothing",
}  # fmt: skip
TRIMMED = "trim({}, ' ' || chr(9) || chr(10) || chr(11) || chr(12) || chr(13))"


def is_here() -> bool:
    """Is the engine installed?"""
    return importlib.util.find_spec("duckdb") is not None


@contextmanager
def session(label: str) -> Iterator:
    """A connection with temporary files of its own; its complaints become one line of ours."""
    duckdb = require("duckdb")
    with tempfile.TemporaryDirectory(prefix="perflaw-") as scratch:
        config = {
            "temp_directory": scratch,
            "memory_limit": MEMORY,
            "preserve_insertion_order": True,
        }
        connection = duckdb.connect(config=config)
        try:
            connection.execute("set TimeZone = 'UTC'")
            connection.execute("set python_enable_replacements = false")
            yield connection
        except duckdb.Error as error:
            raise InputError(_explain(error, label, duckdb)) from error
        finally:
            connection.close()


def _explain(error, label: str, duckdb) -> str:
    text = str(error)
    if isinstance(error, duckdb.OutOfMemoryException) or "No space left" in text:
        return f"{label}: too little memory or temporary disk space to sort it; give it more"
    return f"{label}: it cannot be read; it may be damaged or cut short: fetch or write it again"


def escape_path(path: Path) -> str:
    """A path as a pattern that fits nothing but that path."""
    return re.sub(r"([\[*?])", r"[\1]", str(Path(path).absolute()))


@dataclass
class Places:
    """How the place of a row is shown in messages.

    Attributes
    ----------
    offset : int
        Of the number that is shown to that of the row in `raw`.
    line : callable or None
        number of the row in `raw` → its line, where that is no matter of an offset.
    """

    label: str
    where: str = "row {}"
    offset: int = 1
    line: Callable[[int], int] | None = None

    def show(self, place) -> str:
        """Where a row is, in words."""
        number = self.line(int(place)) if self.line else int(place) + self.offset
        return f"{self.label}, {self.where.format(number)}"


# ---------------------------------------------------------------- text


def _spool(rows: Iterable[tuple[int, Sequence[str]]], folder: str) -> Path:
    """Rows with their lines as a file that has one reading."""
    path = Path(folder) / "rows.csv"
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL, lineterminator="\n")
        for number, cells in rows:
            writer.writerow((number, *cells))
    return path


def scan_csv(connection, path: Path, width: int, delimiter: str, quote: str, skip: int) -> str:
    """SQL that reads a text file into columns c0, c1, … of text."""
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


def create_rows(connection, relation: str, picked: dict[str, str], extra: str = "") -> None:
    """Make the view `raw` of a copy: user, item, time and place, the number of the row from 0."""
    columns = select_roles(picked) + extra
    connection.execute(f"create temp table rows as select {columns} from {relation}")
    connection.execute(
        'create temp view raw as select "user", item, time, rowid as place from rows'
    )


def view_rows(connection, relation: str, picked: dict[str, str], place: str) -> None:
    """Make the view `raw` of a relation that numbers its rows itself, without a copy."""
    columns = select_roles(picked)
    connection.execute(
        f"create temp view raw as select {columns}, {place} as place from {relation}"
    )


def select_roles(picked: dict[str, str]) -> str:
    """SQL of the columns of `raw`, null for a role that has none."""
    return ", ".join(f'{picked.get(role, "null::bigint")} as "{role}"' for role in ROLES)


def set_source(connection, path) -> None:
    """Name the path, or the paths, that `getvariable('source')` stands for: no SQL has them."""
    connection.execute("set variable source = $1", [path])


def text_column(name: str) -> str:
    """SQL for a column of text without the white space around it, null where nothing is left."""
    return f"nullif({TRIMMED.format(name)}, '')"


def read_spooled(
    rows: Iterable[tuple[int, Sequence[str]]], width: int, label: str, options, findings
) -> Columns:
    """Sort rows of user, item and, where the width is 3, time, each with its line."""
    with tempfile.TemporaryDirectory(prefix="perflaw-") as folder:
        path = _spool(rows, folder)
        with session(label) as connection:
            relation = scan_csv(connection, path, width + 1, ",", '"', 0)
            picked = {role: text_column(f"c{k}") for k, role in enumerate(ROLES[:width], 1)}
            create_rows(connection, relation, picked, ", c0::bigint as line")

            def line(place):
                found = connection.execute("select line from rows where rowid = $1", [place])
                return found.fetchone()[0]

            places = Places(label, "line {}", 0, line)
            return finish(connection, places, width > 2, options, findings)


# ---------------------------------------------------------------- the view `raw` → arrays


class Ids(NamedTuple):
    """The ids of a column of `raw`, as whole numbers in their order."""

    code: str  # SQL for them
    names: np.ndarray | None = None  # what they stand for, if they are not the ids themselves

    def show(self, codes: np.ndarray) -> np.ndarray:
        """The ids of these codes."""
        return codes if self.names is None else self.names[codes]


def finish(
    connection, places: Places, timed: bool, options: ReadOptions, findings: Findings
) -> Columns:
    """Validate the view `raw`, sort it and bring it into arrays; timed: has it a column of times?"""
    label = places.label
    rows, *filled = connection.execute(
        'select count(*), count("user"), count(item), count(time) from raw'
    ).fetchone()
    if not rows:
        raise InputError(f"{label} has a header and no rows: fetch or write it again")
    if timed and not filled[2]:
        raise InputError(
            f"{label}: the column of times is blank; fill it in, or remove it if the order of rows "
            "is the order of each history"
        )
    if options.drop_incomplete:
        rows = _drop_incomplete(connection, rows, timed, label, findings)
    else:
        for role, count in zip(("user", "item", "time"), filled):
            if count < rows and (role != "time" or timed):
                place = connection.execute(
                    f'select min(place) from raw where "{role}" is null'
                ).fetchone()[0]
                raise incomplete(places.show(place), role)
    users = _identify(connection, "user", places, rows, findings)
    items = _identify(connection, "item", places, rows, findings)
    clock = clocks.find(connection, places, options, findings) if timed else None
    wanted = {"user": users.code, "item": items.code}
    if clock is not None and clock.unit != ORDER:
        wanted["time"] = clock.seconds
    by = ", ".join([users.code, *([clock.key] if clock else []), "place"])
    picked = ", ".join(f'{sql} as "{name}"' for name, sql in wanted.items())
    relation = clock.relation if clock else "raw"
    found = _fetch(
        connection, f"select {picked} from {relation} order by {by}", rows, clock and clock.unit
    )
    starts = np.flatnonzero(np.concatenate([[True], found["user"][1:] != found["user"][:-1]]))
    user_ids = users.show(found.pop("user")[starts])
    codes, seen = pd.factorize(found["item"])
    return Columns(
        user_ids,
        np.append(starts, rows),
        items.show(seen),
        codes.astype(np.int32),
        found.get("time"),
        tuple(findings.guesses),
        tuple(findings.notes),
    )


def _drop_incomplete(connection, rows, timed, label, findings) -> int:
    """Leave out of `raw` what has no user, item or time; the rows that are left."""
    kinds = dict(
        zip(("user", "item", "time"), connection.execute(
            'select typeof("user"), typeof(item), typeof(time) from raw limit 1').fetchone())
    )  # fmt: skip
    tokens = ", ".join("'" + token + "'" for token in sorted(MISSING))
    conditions = []
    for role in ("user", "item", "time")[: 2 + timed]:
        conditions.append(f'"{role}" is not null')
        if kinds[role] == "VARCHAR":
            conditions.append(f'lower("{role}") not in ({tokens})')
    connection.execute(
        f"create temp table complete as select * from raw where {' and '.join(conditions)}"
    )
    left = connection.execute("select count(*) from complete").fetchone()[0]
    if rows - left:
        note_dropped(rows - left, rows, findings, label)
    else:
        findings.note("rows left out as incomplete: 0")
    connection.execute("create or replace temp view raw as select * from complete")
    return left


def _fetch(connection, query: str, rows: int, unit: str | None) -> dict[str, np.ndarray]:
    """The columns of a query, times in seconds: piece by piece, so that nothing is there twice."""
    connection.execute(query)
    columns: dict[str, np.ndarray] = {}
    at = 0
    while len(piece := connection.fetch_df_chunk(100)):
        for name, values in piece.items():
            values = to_seconds(values.to_numpy(), unit) if name == "time" else values.to_numpy()
            columns.setdefault(name, np.empty(rows, values.dtype))[at : at + len(values)] = values
        at += len(piece)
    return columns


def first_place(connection, condition: str) -> tuple[int, object]:
    """The place of the first row of `raw` for which this holds, and all of the row."""
    found = connection.execute(
        f'select place, "user", item, time from raw where {condition} order by place limit 1'
    ).fetchone()
    return found[0], dict(zip(("user", "item", "time"), found[1:]))


def _identify(connection, role: str, places: Places, rows: int, findings: Findings) -> Ids:
    kind = connection.execute(f'select typeof("{role}") from raw limit 1').fetchone()[0]
    name = f'"{role}"'

    def refuse(condition, sentence):
        place, row = first_place(connection, condition)
        raise InputError(f"{places.show(place)}: " + sentence.format(clip(row[role], 40)))

    if kind in WHOLE:
        if (
            kind != "UBIGINT"
            or connection.execute(f"select max({name}) from raw").fetchone()[0] < 2**63
        ):
            return Ids(f"{name}::bigint" if kind.startswith("U") else name)
    if kind in ("FLOAT", "DOUBLE") or kind.startswith("DECIMAL"):
        value = f"{name}::double"
        odd = f"not isfinite({value}) or {name} <> floor({name})"
        if connection.execute(f"select bool_or({odd}) from raw").fetchone()[0]:
            refuse(
                odd,
                f"the {role} {{}} is a number but not a whole one; mend it, or write ids as text",
            )
        if connection.execute(f"select max(abs({value})) from raw").fetchone()[0] > 2.0**53:
            refuse(
                f"abs({value}) > 2::double ** 53",
                f"the {role} {{}} is a decimal number too large to be exact; write ids as text",
            )
        return Ids(f"{name}::bigint")
    if kind.endswith("]"):
        refuse(
            "true",
            f"the {role} column holds lists; an id is a whole number or text; name another column",
        )
    if word := next(
        (word for start, word in WORDS.items() if kind.startswith(start) or kind == f'"{start}"'),
        None,
    ):
        refuse(
            "true",
            f"the {role} column holds {word}; an id is a whole number or text; name another column",
        )
    return _identify_text(
        connection,
        role,
        name if kind == "VARCHAR" else f"{name}::varchar",
        places,
        rows,
        findings,
        refuse,
    )


def _identify_text(connection, role, text, places, rows, findings, refuse) -> Ids:
    differs = f"try_cast({text} as bigint)::varchar is distinct from {text}"
    if not connection.execute(
        f"select count(*) from (select 1 from raw where {differs} limit 1)"
    ).fetchone()[0]:
        return Ids(f"{text}::bigint")
    if connection.execute(f"select bool_or(contains({text}, chr(0))) from raw").fetchone()[0]:
        refuse(
            f"contains({text}, chr(0))",
            f"a zero byte in the {role}; the file may be damaged: fetch or write it again",
        )
    connection.execute(f"create type {role}s as enum (select distinct {text} from raw order by 1)")
    names = connection.execute(
        f"select unnest(enum_range(null::{role}s))::varchar as name"
    ).fetchnumpy()["name"]
    names = np.asarray(names.data if isinstance(names, np.ma.MaskedArray) else names)
    if tokens := [token for token in names if is_missing(token)]:
        counts = connection.execute(
            f"select {text}, count(*) from raw where list_contains($1, {text}) group by 1 order by 2 desc",
            [tokens],
        ).fetchall()
        note_missing(role, counts[0][0], sum(count for _, count in counts), rows, findings)
    return Ids(f"enum_code({text}::{role}s)", names)


# ---------------------------------------------------------------- large files of text


def read_table(
    path: Path, table, roles, label: str, options: ReadOptions, findings: Findings
) -> Columns:
    """Read delimited text: by the engine where every line is a plain row, else line by line."""
    from perflaw.logs.readers import text

    dialect = table.dialect
    scan = scan_text(path)
    if (
        scan.plain
        and not dialect.ruled
        and not dialect.comment
        and len(dialect.delimiter.strip(" ") or " ") <= 2
    ):
        columns = _read_plain(path, table, roles, scan, label, options, findings)
        if columns is not None:
            return columns
    rows = text.table_rows(text.read_lines(path, label), table, roles, label)
    if roles.clock_time is not None:
        rows = (
            (number, [*cells[:2], f"{cells[2].strip()} {cells[3].strip()}"])
            for number, cells in rows
        )
    columns = read_spooled(rows, min(len(roles.picked), 3), label, options, findings)
    if table.dialect.skipped:
        note = f"lines of comment within the table left out: {table.dialect.skipped:,}"
        columns = columns._replace(notes=(*columns.notes, note))
    return columns


class Scan(NamedTuple):
    """What a look at the bytes of a text file says."""

    lines: int
    quotes: bool
    plain: bool  # UTF-8 with lines that end in one way, and none of them very long


def scan_text(path: Path) -> Scan:
    """Count the lines of a file, and look for what the engine might read in its own way."""
    import codecs

    decoder = codecs.getincrementaldecoder("utf-8")()
    ends = returns = pairs = 0
    quotes, plain, last = False, True, b""
    with open(path, "rb") as file:
        while block := file.read(1 << 23):
            ends += block.count(b"\n")
            returns += block.count(b"\r")
            pairs += (last[-1:] + block).count(b"\r\n") if returns else 0
            quotes = quotes or b'"' in block
            plain = plain and b"\0" not in block and _has_short_lines(block)
            if plain and not block.isascii():
                try:
                    text = decoder.decode(block)
                except UnicodeDecodeError:
                    plain = False
                else:
                    plain = "\ufeff" not in (text[1:] if not last else text)
            elif plain and decoder.getstate()[0]:
                plain = False
            last = block
    plain = plain and not decoder.getstate()[0] and returns == pairs and returns in (0, ends)
    return Scan(ends + (last[-1:] != b"\n"), quotes, plain)


def _has_short_lines(block: bytes) -> bool:
    size = 1 << 20
    return all(b"\n" in block[at : at + size] for at in range(0, max(len(block) - size, 1), size))


def _read_plain(path, table, roles, scan, label, options, findings) -> Columns | None:
    """The file by the engine's own reader; None if it read another number of rows than lines."""
    duckdb = require("duckdb")
    dialect = table.dialect
    quote = '"' if dialect.quoting and scan.quotes else ""
    notes, guesses = list(findings.notes), list(findings.guesses)
    try:
        with session(label) as connection:
            relation = scan_csv(
                connection, path, dialect.width, dialect.delimiter, quote, table.skip
            )
            columns = (("user", roles.user), ("item", roles.item), ("time", roles.time))
            picked = {role: text_column(f"c{k}") for role, k in columns if k is not None}
            if roles.clock_time is not None:
                picked["time"] = f"{picked['time']} || ' ' || {text_column(f'c{roles.clock_time}')}"
            create_rows(connection, relation, picked)
            rows = connection.execute("select count(*) from raw").fetchone()[0]
            if rows != scan.lines - table.skip or _has_header_again(connection, table, roles):
                return None
            places = Places(label, "line {}", table.skip + 1)
            return finish(connection, places, roles.time is not None, options, findings)
    except InputError as error:
        if not isinstance(error.__cause__, duckdb.Error) or isinstance(
            error.__cause__, duckdb.OutOfMemoryException
        ):
            raise
    findings.notes[:], findings.guesses[:] = notes, guesses
    return None


def _has_header_again(connection, table, roles) -> bool:
    """May one of the rows be a header? What looks so is left to the reader of lines."""
    from perflaw.logs.readers.roles import KNOWN

    words = sorted({name.lower() for name in table.names if name} | set(KNOWN["user"]))
    found = connection.execute(
        'select count(*) from (select 1 from raw where length("user") < 40 and '
        "list_contains($1, regexp_replace(lower(split_part(ltrim(\"user\", chr(65279)), ':', 1)), '[^a-z0-9]', '', 'g')) limit 1)",
        [sorted({re.sub(r"[^a-z0-9]", "", word.split(":")[0]) for word in words} - {""})],
    )
    return bool(found.fetchone()[0])


def read_sequences(rows, label: str, options: ReadOptions, findings: Findings) -> Columns:
    """Sort rows of a file with a line a user."""
    return read_spooled(((number, cells) for number, *cells in rows), 2, label, options, findings)
