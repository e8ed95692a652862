"""DuckDB as the engine of what is large: it reads, sorts, and spills to disk where memory is short.

It was chosen by measurement (the book's page *Speed*): its time per row does not grow from a
million to 100 million rows, and its memory can be bounded. The user's names never enter its
language: columns go by their place (c0, c1, …), paths and delimiters as parameters.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from perflaw.errors import InputError, require
from perflaw.logs.readers.arrays import (
    blank_times,
    incomplete,
    note_dropped,
    note_missing,
    number_items,
)
from perflaw.logs.readers.clocks import (
    WHOLE_TYPES,
    EngineClock,
    any_row,
    find_clock,
    first_place,
    refuse_rows,
)
from perflaw.logs.readers.doubts import FLOAT32_WHOLE, HEAD, note_newest_first, note_odd_ids
from perflaw.logs.readers.number_times import to_seconds
from perflaw.logs.readers.options import (
    MISSING,
    ORDER,
    ROLES,
    Columns,
    Connection,
    Findings,
    Reading,
    Where,
    clip,
    is_missing,
)

MEMORY = "1GB"  # of the engine's own; beyond it, it writes to temporary files
NO_IDS = {  # starts of the types of columns that hold no ids, and what they hold
    "TIMESTAMP": "dates", "DATE": "dates", "TIME": "times of day", "INTERVAL": "durations",
    "STRUCT": "records", "MAP": "maps", "BOOLEAN": "true or false", "BLOB": "bytes", "BIT": "bits",
    "UNION": "values of several kinds",
}  # fmt: skip
TRIMMED = "trim({}, ' ' || chr(9) || chr(10) || chr(11) || chr(12) || chr(13))"  # slow


@contextmanager
def session(label: str) -> Iterator:
    """Open a connection with its own temporary files; turn its errors into InputError."""
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
        except (RuntimeError, duckdb.Error) as error:
            if "interrupted" in str(error).lower():  # what the engine makes of Ctrl-C
                raise KeyboardInterrupt from None
            if not isinstance(error, duckdb.Error):
                raise
            raise InputError(_explain(error, label, duckdb)) from error
        finally:
            connection.close()


def _explain(error: Exception, label: str, duckdb: Any) -> str:
    if isinstance(error, duckdb.OutOfMemoryException) or "No space left" in str(error):
        return f"{label}: too little memory or temporary disk space to sort it; give it more"
    return f"{label}: it cannot be read; it may be damaged or cut short: fetch or write it again"


def escape_path(path: Path) -> str:
    """Write a path as a pattern that fits nothing but that path."""
    return re.sub(r"([\[*?])", r"[\1]", str(path.absolute()))


# ---------------------------------------------------------------- relations → the view `raw`


def create_rows(connection: Connection, relation: str, picked: dict[str, str]) -> None:
    """Make the view `raw` of a copy: user, item, time and place, the number of the row from 0."""
    copy_rows(connection, f"select {select_roles(picked)} from {relation}")


def copy_rows(connection: Connection, query: str) -> None:
    """Make the view `raw` of a copy of what a query finds: user, item and time of each row."""
    connection.execute(f"create temp table rows as {query}")
    connection.execute(
        'create temp view raw as select "user", item, time, rowid as place from rows'
    )


def view_rows(connection: Connection, relation: str, picked: dict[str, str], place: str) -> None:
    """Make the view `raw` of a relation that numbers its rows itself, without a copy."""
    columns = select_roles(picked)
    connection.execute(
        f"create temp view raw as select {columns}, {place} as place from {relation}"
    )


def select_roles(picked: dict[str, str]) -> str:
    """Return SQL of the columns of `raw`, null for a role that has none."""
    return ", ".join(f'{picked.get(role, "null::bigint")} as "{role}"' for role in ROLES)


def text_column(name: str, only_spaces: bool = False) -> str:
    """Return SQL that strips a column of text, null where nothing is left."""
    stripped = f"trim({name})" if only_spaces else TRIMMED.format(name)
    return f"nullif({stripped}, '')"


def count_rows(label: str, number: int = 1, noun: str = "row") -> Where:
    """Return a function that says where a row of `raw` is: the first is `noun` `number`."""
    return lambda place: f"{label}, {noun} {place + number}"


# ---------------------------------------------------------------- the view `raw` → arrays


class Ids(NamedTuple):
    """The ids of a column of `raw`, as whole numbers in their order."""

    code: str  # SQL for them
    names: np.ndarray | None = None  # what they stand for, if they are not the ids themselves


def finish(
    connection: Connection,
    where: Where,
    timed: bool,
    reading: Reading,
    check_users: Callable[[np.ndarray], None] | None = None,
) -> Columns:
    """Validate the view `raw`, sort it and bring it into arrays.

    Parameters
    ----------
    where : callable
        Number of a row of `raw` → its place in words.
    timed : bool
        Has it a column of times?
    check_users : callable, optional
        Called with the ids of users where they are text; may raise.
    """
    rows = _count_complete(connection, where, timed, reading)
    users = _identify(connection, "user", where, rows, reading.findings)
    if check_users is not None and users.names is not None:
        check_users(users.names)
    items = _identify(connection, "item", where, rows, reading.findings)
    columns = f'{users.code} as "user", {items.code} as item'
    clock = find_clock(connection, where, reading) if timed else None
    if clock is None:
        query = f"select {columns} from raw order by {users.code}, place"
    else:
        _note_order(connection, users.code, clock, reading.findings)
        if clock.unit != ORDER:
            columns += f", {clock.seconds} as time"
        query = f"select {columns} from {clock.relation} order by {users.code}, {clock.key}, place"
    arrays = _fetch(connection, query, rows, clock.unit if clock else ORDER)
    return number_items(
        arrays.pop("user"),
        arrays["item"],
        arrays.get("time"),
        reading.findings,
        users.names,
        items.names,
    )


def _note_order(connection: Connection, user: str, clock: EngineClock, findings: Findings) -> None:
    """Note where the first rows run from new to old."""
    head = connection.execute(
        f'select {user} as "user", {clock.key} as key from {clock.relation} '
        f"where place < {HEAD} order by place"
    ).fetchnumpy()
    note_newest_first(np.asarray(head["user"]), np.asarray(head["key"]), findings)


def _count_complete(connection: Connection, where: Where, timed: bool, reading: Reading) -> int:
    """Count the rows of `raw`; leave out those that lack something, or refuse the first."""
    rows, *filled = connection.execute(
        'select count(*), count("user"), count(item), count(time) from raw'
    ).fetchone()
    if not rows:
        raise InputError(f"{reading.label} has a header and no rows: fetch or write it again")
    if timed and not filled[2]:
        raise blank_times(reading.label)
    roles = ROLES if timed else ROLES[:2]
    if reading.options.drop_incomplete:
        return _drop_incomplete(connection, rows, roles, reading)
    for role, count in zip(roles, filled):
        if count < rows:
            place = first_place(connection, f'"{role}" is null')
            assert place is not None  # as fewer are filled
            raise incomplete(where(place), role)
    return rows


def _drop_incomplete(
    connection: Connection, rows: int, roles: tuple[str, ...], reading: Reading
) -> int:
    """Leave out of `raw` what has no user, item or time; return how many rows are left."""
    tokens = ", ".join(f"'{token}'" for token in sorted(MISSING))
    conditions = []
    for role in roles:
        conditions.append(f'"{role}" is not null')
        if _type_of(connection, role) == "VARCHAR":
            conditions.append(f'lower("{role}") not in ({tokens})')
    connection.execute(
        f"create temp table complete as select * from raw where {' and '.join(conditions)}"
    )
    left = connection.execute("select count(*) from complete").fetchone()[0]
    note_dropped(rows - left, rows, reading)
    connection.execute("create or replace temp view raw as select * from complete")
    return left


def _type_of(connection: Connection, role: str) -> str:
    return connection.execute(f'select typeof("{role}") from raw limit 1').fetchone()[0]


def _fetch(connection: Connection, query: str, rows: int, unit: str) -> dict[str, np.ndarray]:
    """Fetch a query's columns, times in seconds: piece by piece, so that nothing is there twice."""
    connection.execute(query)
    columns: dict[str, np.ndarray] = {}
    start = 0
    while len(piece := connection.fetch_df_chunk(100)):
        end = start + len(piece)
        for name, series in piece.items():
            values = series.to_numpy()
            if name == "time":
                values = to_seconds(values, unit)
            columns.setdefault(name, np.empty(rows, values.dtype))[start:end] = values
        start = end
    return columns


# ---------------------------------------------------------------- ids


def _identify(
    connection: Connection, role: str, where: Where, rows: int, findings: Findings
) -> Ids:
    kind = _type_of(connection, role)
    name = f'"{role}"'
    held = next((word for start, word in NO_IDS.items() if kind.startswith(start)), None)
    if kind.endswith("]"):
        held = "lists"
    if held is not None:
        first = connection.execute("select min(place) from raw").fetchone()[0]
        raise InputError(
            f"{where(first)}: the {role} column holds {held}; an id is a whole number or text; "
            "name another column"
        )
    if kind in WHOLE_TYPES and not (
        kind == "UBIGINT" and any_row(connection, f"{name} >= {2**63}")
    ):
        return Ids(f"{name}::bigint" if kind.startswith("U") else name)
    if kind.startswith(("FLOAT", "DOUBLE", "DECIMAL")):
        value = f"{name}::double"
        _refuse_ids(
            connection,
            role,
            f"not isfinite({value}) or {name} <> floor({name})",
            "is a number but not a whole one; mend it, or write ids as text",
            where,
        )
        _refuse_ids(
            connection,
            role,
            f"abs({value}) > {FLOAT32_WHOLE - 1 if kind == 'FLOAT' else 2**53}",
            "is a decimal number too large to be exact; write ids as text",
            where,
        )
        return Ids(f"{name}::bigint")
    text = name if kind == "VARCHAR" else f"{name}::varchar"
    return _identify_text(connection, role, text, where, rows, findings)


def _refuse_ids(
    connection: Connection, role: str, condition: str, reason: str, where: Where
) -> None:
    """Raise InputError for the first row of `raw` for which the condition holds, if any."""
    row = connection.execute(
        f'select place, "{role}" from raw where {condition} order by place limit 1'
    ).fetchone()
    if row is not None:
        raise InputError(f"{where(row[0])}: the {role} {clip(row[1], 40)} {reason}")


def _identify_text(
    connection: Connection, role: str, text: str, where: Where, rows: int, findings: Findings
) -> Ids:
    if not any_row(connection, f"try_cast({text} as bigint)::varchar is distinct from {text}"):
        return Ids(f"{text}::bigint")
    refuse_rows(
        connection,
        f"contains({text}, chr(0))",
        f"a zero byte in the {role}; the file may be damaged: fetch or write it again",
        where,
    )
    connection.execute(f"create type {role}s as enum (select distinct {text} from raw order by 1)")
    query = f"select unnest(enum_range(null::{role}s))::varchar as name"
    names = np.asarray(connection.execute(query).fetchnumpy()["name"])
    note_odd_ids(role, names, findings)
    if tokens := [name for name in names if is_missing(name)]:
        counts = connection.execute(
            f"select {text}, count(*) from raw where list_contains($1, {text}) group by 1 order by "
            "2 desc",
            [tokens],
        ).fetchall()
        note_missing(role, counts[0][0], sum(count for _, count in counts), rows, findings)
    return Ids(f"enum_code({text}::{role}s)", names)
