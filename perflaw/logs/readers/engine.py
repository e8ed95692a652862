"""DuckDB as the engine of what is large: it reads, sorts, and spills to disk where memory is short.

It was chosen by measurement (README, "Speed"): its time per row does not grow from a million to
100 million rows, and its memory can be bounded. The user's names never enter its language:
columns go by their place (c0, c1, …), paths and delimiters as parameters.
"""

from __future__ import annotations

import importlib.util
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import numpy as np
import pandas as pd

from perflaw.errors import InputError, require
from perflaw.logs.readers import clocks
from perflaw.logs.readers.arrays import incomplete, note_dropped, note_missing
from perflaw.logs.readers.number_times import to_seconds
from perflaw.logs.readers.options import (
    MISSING,
    ORDER,
    ROLES,
    Columns,
    Connection,
    Findings,
    ReadOptions,
    clip,
    is_missing,
    note_odd_ids,
)

MEMORY = "1GB"  # of the engine's own; beyond it, it writes to temporary files
WHOLE = tuple(f"{sign}{size}INT" for sign in ("", "U") for size in ("TINY", "SMALL", "", "BIG"))
WHOLE += ("INTEGER", "UINTEGER")
WORDS = {  # kinds of column that hold no ids
    "TIMESTAMP": "dates", "DATE": "dates", "TIME": "times of day", "INTERVAL": "durations",
    "STRUCT": "records", "MAP": "maps", "BOOLEAN": "true or false", "BLOB": "bytes", "BIT": "bits",
    "UNION": "values of several kinds", "NULL": "nothing",
}  # fmt: skip
TRIMMED = "trim({}, ' ' || chr(9) || chr(10) || chr(11) || chr(12) || chr(13))"  # slow


def is_here() -> bool:
    """Return whether the engine is installed."""
    return importlib.util.find_spec("duckdb") is not None


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
    text = str(error)
    if isinstance(error, duckdb.OutOfMemoryException) or "No space left" in text:
        return f"{label}: too little memory or temporary disk space to sort it; give it more"
    return f"{label}: it cannot be read; it may be damaged or cut short: fetch or write it again"


def escape_path(path: Path) -> str:
    """Write a path as a pattern that fits nothing but that path."""
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

    def show(self, place: int) -> str:
        """Where a row is, in words."""
        number = self.line(int(place)) if self.line else int(place) + self.offset
        return f"{self.label}, {self.where.format(number)}"


# ---------------------------------------------------------------- relations → the view `raw`


def create_rows(
    connection: Connection, relation: str, picked: dict[str, str], extra: str = ""
) -> None:
    """Make the view `raw` of a copy: user, item, time and place, the number of the row from 0."""
    copy_rows(connection, f"select {select_roles(picked)}{extra} from {relation}")


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


def set_source(connection: Connection, path: str | list[str]) -> None:
    """Name the path, or the paths, that `getvariable('source')` stands for: no SQL has them."""
    connection.execute("set variable source = $1", [path])


def text_column(name: str, only_spaces: bool = False) -> str:
    """Return SQL that strips a column of text, null where nothing is left."""
    return f"nullif({f'trim({name})' if only_spaces else TRIMMED.format(name)}, '')"


# ---------------------------------------------------------------- the view `raw` → arrays


class Ids(NamedTuple):
    """The ids of a column of `raw`, as whole numbers in their order."""

    code: str  # SQL for them
    names: np.ndarray | None = None  # what they stand for, if they are not the ids themselves

    def show(self, codes: np.ndarray) -> np.ndarray:
        """Return the ids of these codes."""
        return codes if self.names is None else self.names[codes]


def finish(
    connection: Connection,
    places: Places,
    timed: bool,
    options: ReadOptions,
    findings: Findings,
    check_users: Callable[[np.ndarray], None] | None = None,
) -> Columns:
    """Validate the view `raw`, sort it and bring it into arrays.

    Parameters
    ----------
    timed : bool
        Has it a column of times?
    check_users : callable, optional
        Called with the ids of users where they are text; may raise.
    """
    rows = _count_complete(connection, places, timed, options, findings)
    users = _identify(connection, "user", places, rows, findings)
    if check_users is not None and users.names is not None:
        check_users(users.names)
    items = _identify(connection, "item", places, rows, findings)
    clock = clocks.find(connection, places, options, findings) if timed else None
    wanted = {"user": users.code, "item": items.code}
    if clock is not None and clock.unit != ORDER:
        wanted["time"] = clock.seconds
    by = ", ".join([users.code, *([clock.key] if clock else []), "place"])
    picked = ", ".join(f'{sql} as "{name}"' for name, sql in wanted.items())
    relation = clock.relation if clock else "raw"
    found = _fetch(
        connection,
        f"select {picked} from {relation} order by {by}",
        rows,
        clock.unit if clock else ORDER,
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


def _count_complete(
    connection: Connection, places: Places, timed: bool, options: ReadOptions, findings: Findings
) -> int:
    """Count the rows of `raw`; leave out those that lack something, or refuse the first."""
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
        return _drop_incomplete(connection, rows, timed, label, findings)
    for role, count in zip(ROLES, filled, strict=True):
        if count < rows and (role != "time" or timed):
            raise incomplete(places.show(clocks.first_of(connection, f'"{role}" is null')), role)
    return rows


def _drop_incomplete(
    connection: Connection, rows: int, timed: bool, label: str, findings: Findings
) -> int:
    """Leave out of `raw` what has no user, item or time; the rows that are left."""
    query = 'select typeof("user"), typeof(item), typeof(time) from raw limit 1'
    kinds = dict(zip(ROLES, connection.execute(query).fetchone(), strict=True))
    tokens = ", ".join("'" + token + "'" for token in sorted(MISSING))
    conditions = []
    for role in ROLES[: 2 + timed]:
        conditions.append(f'"{role}" is not null')
        if kinds[role] == "VARCHAR":
            conditions.append(f'lower("{role}") not in ({tokens})')
    connection.execute(
        f"create temp table complete as select * from raw where {' and '.join(conditions)}"
    )
    left = connection.execute("select count(*) from complete").fetchone()[0]
    note_dropped(rows - left, rows, findings, label)
    connection.execute("create or replace temp view raw as select * from complete")
    return left


def _fetch(connection: Connection, query: str, rows: int, unit: str) -> dict[str, np.ndarray]:
    """Fetch a query's columns, times in seconds: piece by piece, so that nothing is there twice."""
    connection.execute(query)
    columns: dict[str, np.ndarray] = {}
    at = 0
    while len(piece := connection.fetch_df_chunk(100)):
        for name, values in piece.items():
            values = to_seconds(values.to_numpy(), unit) if name == "time" else values.to_numpy()
            columns.setdefault(name, np.empty(rows, values.dtype))[at : at + len(values)] = values
        at += len(piece)
    return columns


def first_place(connection: Connection, condition: str) -> tuple[int, dict[str, Any]]:
    """Return the place of the first row of `raw` for which this holds, and the row itself."""
    found = connection.execute(
        f'select place, "user", item, time from raw where {condition} order by place limit 1'
    ).fetchone()
    return found[0], dict(zip(ROLES, found[1:], strict=True))


def _identify(
    connection: Connection, role: str, places: Places, rows: int, findings: Findings
) -> Ids:
    kind = connection.execute(f'select typeof("{role}") from raw limit 1').fetchone()[0]
    name = f'"{role}"'

    def refuse(condition: str, sentence: str) -> NoReturn:
        place, row = first_place(connection, condition)
        raise InputError(f"{places.show(place)}: " + sentence.format(clip(row[role], 40)))

    if kind in WHOLE and (
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


def _identify_text(
    connection: Connection,
    role: str,
    text: str,
    places: Places,
    rows: int,
    findings: Findings,
    refuse: Callable[[str, str], NoReturn],
) -> Ids:
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
    note_odd_ids(role, names, findings)
    if tokens := [token for token in names if is_missing(token)]:
        counts = connection.execute(
            f"select {text}, count(*) from raw where list_contains($1, {text}) group by 1 order by "
            "2 desc",
            [tokens],
        ).fetchall()
        note_missing(role, counts[0][0], sum(count for _, count in counts), rows, findings)
    return Ids(f"enum_code({text}::{role}s)", names)
