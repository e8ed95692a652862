"""Typed columns → sorted columns: Parquet, pandas, and any table with the Arrow C stream."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd

from perflaw.errors import InputError, require
from perflaw.logs.readers import engine
from perflaw.logs.readers.arrays import RawRows, incomplete, sort_rows
from perflaw.logs.readers.options import Columns, Connection, Findings, ReadOptions, clip
from perflaw.logs.readers.roles import Roles, choose_roles
from perflaw.logs.readers.sequences import expand_lists
from perflaw.logs.readers.times import Resolution, resolution_of

TABLE_OPTIONS = ("delimiter", "header", "layout", "parts")


class _Stream:
    """An object of which the engine sees nothing but its Arrow stream."""

    def __init__(self, source: Any) -> None:
        self.source = source

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        return self.source.__arrow_c_stream__(requested_schema)


def is_frame(source: Any) -> bool:
    """Return whether this is a table in memory that can be read."""
    return isinstance(source, pd.DataFrame) or hasattr(source, "__arrow_c_stream__")


def read_frame(source: Any, options: ReadOptions, findings: Findings) -> Columns:
    """Read a pandas DataFrame or a table with the Arrow C stream; no copy through objects."""
    if isinstance(source, pd.DataFrame):
        return _read_pandas(source, options, findings)
    label = f"the {type(source).__name__}"
    options.refuse_unused(label, *TABLE_OPTIONS)
    with engine.session(label) as connection:
        try:
            connection.register("given", _Stream(source))
            relation = "given"
            if not hasattr(source, "__len__") and not hasattr(source, "num_rows"):  # read once only
                connection.execute("create temp table once as select * from given")
                relation = "once"
            described = connection.execute(f"describe select * from {relation}").fetchall()
        except InputError:
            raise
        except Exception as error:
            raise InputError(
                f"{label} cannot be read as an Arrow table ({type(error).__name__}); write columns "
                "of numbers, text and dates"
            ) from error
        names = _column_names(source, [row[0] for row in described])
        return _read_relation(connection, relation, names, label, options, findings)


def _column_names(source: Any, described: list[str]) -> list[str]:
    """Return the names as the table has them; the engine changes those that it finds twice."""
    for attribute in ("column_names", "columns"):
        names = getattr(source, attribute, None)
        if isinstance(names, list) and len(names) == len(described):
            return [str(name) for name in names]
    return described


# ---------------------------------------------------------------- Parquet


def read_parquet(
    paths: Sequence[Path], label: str, options: ReadOptions, findings: Findings
) -> Columns:
    """Read a Parquet file, or parts of one kind in the order given."""
    require("duckdb")
    options.refuse_unused(f"{label} is Parquet, which", "delimiter", "header")
    patterns = [engine.escape_path(path) for path in paths]
    with engine.session(label) as connection:
        names = [_parquet_names(connection, pattern) for pattern in patterns]
        for path, other in zip(paths, names):
            if other != names[0]:
                raise InputError(
                    f"{path} has other columns ({', '.join(other)[:80]}) than {paths[0].name} "
                    f"({', '.join(names[0])[:80]}); write all parts alike, or move it away"
                )
        if len(paths) > 1:
            _refuse_other_kinds(connection, patterns, paths)
        extra = ", file_row_number=true" if len(paths) == 1 else ""
        engine.set_source(connection, patterns)
        relation = f"read_parquet(getvariable('source'), hive_partitioning=false{extra})"
        place = f"c{len(names[0])}" if extra else "rowid"
        return _read_relation(connection, relation, names[0], label, options, findings, place)


def _parquet_names(connection: Connection, pattern: str) -> list[str]:
    """Names of the columns as the file has them, and not those within others."""
    rows = connection.execute(
        "select name, coalesce(num_children, 0) from parquet_schema($1)", [pattern]
    ).fetchall()
    names = []
    inside = 0
    for name, children in rows[1:]:
        if inside == 0:
            names.append(name)
        else:
            inside -= 1
        inside += children
    return names


def _refuse_other_kinds(
    connection: Connection, patterns: Sequence[str], paths: Sequence[Path]
) -> None:
    kinds = []
    for path, pattern in zip(paths, patterns):
        query = "describe select * from read_parquet($1, hive_partitioning=false)"
        kinds.append([row[1] for row in connection.execute(query, [pattern]).fetchall()])
        if kinds[-1] != kinds[0]:
            raise InputError(
                f"{path} has columns of other kinds than {paths[0].name}; write all parts alike"
            )


def _read_relation(
    connection: Connection,
    relation: str,
    names: Sequence[str],
    label: str,
    options: ReadOptions,
    findings: Findings,
    place: str = "rowid",
) -> Columns:
    """Read columns of a relation that go by their places."""
    if not names:
        raise InputError(f"{label} has no columns")
    width = len(names) + (place != "rowid")
    relation = f"{relation} as t({', '.join(f'c{k}' for k in range(width))})"
    kinds = [row[1] for row in connection.execute(f"describe select * from {relation}").fetchall()]

    def resolution(column: int) -> Resolution | str | None:
        query = f"select c{column}::varchar from {relation} limit 200"
        return resolution_of([row[0] for row in connection.execute(query).fetchall()])

    roles = choose_roles(label, names, options, findings, resolution)
    if kinds[roles.item].endswith("]"):
        return _read_lists(connection, relation, roles, names, kinds, label, options, findings)
    picked = _pick(roles, kinds)
    if place == "rowid":
        engine.create_rows(connection, relation, picked)
    else:
        engine.view_rows(connection, relation, picked, place)
    return engine.finish(
        connection, engine.Places(label), roles.time is not None, options, findings
    )


def _pick(roles: Roles, kinds: Sequence[str] | Mapping[int, str]) -> dict[str, str]:
    """Return SQL of the column of each role."""
    picked = {role: _expression(k, kinds) for role, k in roles.by_role.items()}
    if roles.clock_time is not None:
        picked["time"] = _date_and_clock(roles, kinds)
    return picked


def _expression(column: int, kinds: Sequence[str] | Mapping[int, str]) -> str:
    name, kind = f"c{column}", kinds[column]
    if kind == "VARCHAR":
        return engine.text_column(name)
    return _nan_as_null(name, kind)


def _nan_as_null(value: str, kind: str) -> str:
    """Return SQL of a value that is missing where it is NaN."""
    return f"nullif({value}, 'nan'::{kind})" if kind in ("FLOAT", "DOUBLE") else value


def _date_and_clock(roles: Roles, kinds: Sequence[str] | Mapping[int, str]) -> str:
    assert roles.time is not None  # a time of day has a date
    assert roles.clock_time is not None
    day, clock = f"c{roles.time}", f"c{roles.clock_time}"
    if kinds[roles.time] == "DATE" and kinds[roles.clock_time] in ("TIME", "TIME_NS"):
        return f"{day} + {clock}"
    return f"strftime({day}::date, '%Y-%m-%d') || ' ' || {clock}::varchar"


def _read_lists(
    connection: Connection,
    relation: str,
    roles: Roles,
    names: Sequence[str],
    kinds: Sequence[str],
    label: str,
    options: ReadOptions,
    findings: Findings,
) -> Columns:
    """Read a table with a list of items in each row; the engine unnests the lists."""
    item, time = f"c{roles.item}", f"c{roles.time}"
    timed = roles.time is not None and kinds[roles.time].endswith("]")
    findings.guess(f"layout: a list of items in each cell of {clip(names[roles.item])!r}")
    if roles.time is not None and not timed:
        findings.guess(f"time: one in {clip(names[roles.time])!r} for all items of a list")
    clock = "null::bigint" if roles.time is None else time
    user = _expression(roles.user, kinds)
    kind = _kind_in_list(kinds[roles.item])
    items = f"{item}::{kind}[]"
    connection.execute(
        f'create temp table lists as select {user} as "user", {items} as items, '
        f"{clock} as times from {relation}",
    )
    _check_lists(connection, timed, roles, names, label, options, findings)
    times = "times"
    if timed and roles.time is not None:
        times = _nan_as_null("unnest(times)", _kind_in_list(kinds[roles.time]))
    engine.copy_rows(
        connection,
        f'select "user", {_nan_as_null("unnest(items)", kind)} as item, {times} as time '
        "from (select *, rowid as place from lists) where len(items) > 0 order by place",
    )
    places = engine.Places(label, "interaction {}")
    return engine.finish(connection, places, roles.time is not None, options, findings)


def _kind_in_list(kind: str) -> str:
    return kind[: kind.rindex("[")]


def _check_lists(
    connection: Connection,
    timed: bool,
    roles: Roles,
    names: Sequence[str],
    label: str,
    options: ReadOptions,
    findings: Findings,
) -> None:
    rows, empty = connection.execute(
        "select count(*), count_if(coalesce(len(items), 0) = 0) from lists"
    ).fetchone()
    if not rows:
        raise InputError(f"{label} has no rows: fetch or write it again")
    if empty and not options.drop_incomplete:
        place = connection.execute(
            "select min(rowid) from lists where coalesce(len(items), 0) = 0"
        ).fetchone()[0]
        raise incomplete(f"{label}, row {place + 1}", "item")
    if empty == rows:
        raise InputError(f"{label}: all lists are empty; fetch or write it again")
    if empty:
        findings.note(f"lists left out as empty: {empty:,}")
    twice = connection.execute(
        'select min(rowid), max(rowid) from lists group by "user" '
        "having count(*) > 1 order by 2 limit 1"
    ).fetchone()
    if twice:
        raise InputError(
            f"{label}, row {twice[1] + 1}: a second list of a user in {clip(names[roles.item])!r}, "
            "after "
            f"that of row {twice[0] + 1}; join them"
        )
    if timed and roles.time is not None:
        odd = connection.execute(
            "select min(rowid) from lists where len(items) is distinct from len(times)"
        ).fetchone()[0]
        if odd is not None:
            raise InputError(
                f"{label}, row {odd + 1}: as many times as items are needed, and "
                f"{clip(names[roles.time])!r} has not; mend the row"
            )


# ---------------------------------------------------------------- pandas


def _read_pandas(frame: pd.DataFrame, options: ReadOptions, findings: Findings) -> Columns:
    label = "the DataFrame"
    options.refuse_unused(label, *TABLE_OPTIONS)
    if isinstance(frame.columns, pd.MultiIndex):
        raise InputError(
            f"{label} has columns of several levels; give each one name, as with set_axis"
        )
    if not len(frame.columns) or not len(frame):
        raise InputError(
            f"{label} has no {'rows' if len(frame.columns) else 'columns'}; give it some"
        )
    names = ["" if pd.isna(name) else str(name) for name in frame.columns]
    try:
        roles = choose_roles(
            label, names, options, findings, lambda k: resolution_of(_cells(frame.iloc[:200, k]))
        )
    except InputError as error:
        levels = [str(level) for level in frame.index.names if level is not None]
        if levels and "which column" in str(error):
            raise InputError(
                f"{error} (the index has {', '.join(levels)}: reset_index makes it columns)"
            ) from None
        raise
    columns = {k: _plain_column(frame.iloc[:, k], names[k], label) for k in roles.picked}
    if _is_list_column(columns[roles.item]):
        cells: dict[int | None, list] = {k: _cells(column) for k, column in columns.items()}
        raw = RawRows(
            cells[roles.user],
            cells[roles.item],
            cells.get(roles.time),
            range(1, len(frame) + 1),
            "row {}",
        )
        titles = {role: names[k] for role, k in roles.by_role.items()}
        return sort_rows(
            expand_lists(raw, None, label, titles, options, findings), options, findings, label
        )
    for role, k, one in (("user", roles.user, "an id"), ("time", roles.time, "a time")):
        if k is not None and _is_list_column(columns[k]):  # the engine may crash on such a column
            raise InputError(
                f"{label}: the {role} column holds lists; {one} is a whole number or text; name "
                "another column"
            )
    given = pd.DataFrame({f"c{k}": column.reset_index(drop=True) for k, column in columns.items()})
    with engine.session(label) as connection:
        connection.register("given", given)
        kinds = {
            int(row[0][1:]): row[1]
            for row in connection.execute("describe select * from given").fetchall()
        }
        engine.create_rows(connection, "given", _pick(roles, kinds))
        return engine.finish(
            connection, engine.Places(label), roles.time is not None, options, findings
        )


def _is_list_column(column: pd.Series) -> bool:
    if column.dtype != object:
        return False
    return any(isinstance(cell, (list, tuple, np.ndarray)) for cell in column.head(1000))


def _cells(column: pd.Series) -> list:
    """Return the cells as plain Python values, None where there is none."""
    cells = []
    for cell in column.tolist():
        if isinstance(cell, np.ndarray):
            cell = cell.tolist()
        missing = not isinstance(cell, (list, tuple, dict)) and pd.isna(cell)
        cells.append(None if missing else cell)
    return cells


def _plain_column(column: pd.Series, name: str, label: str) -> pd.Series:
    """Return a column as numbers, text, dates or lists; raise InputError for anything else."""
    kind = column.dtype
    if isinstance(kind, pd.SparseDtype):
        column = cast("Any", column).sparse.to_dense()  # an accessor without a type
    elif isinstance(kind, pd.PeriodDtype):
        return column.dt.to_timestamp()
    elif isinstance(kind, pd.IntervalDtype) or getattr(kind, "kind", "O") in "cmV":
        raise InputError(
            f"{label}: the column {clip(name)!r} holds {kind} values, which are neither ids nor "
            "times; name another column"
        )
    elif (
        isinstance(kind, pd.CategoricalDtype)
        and column.cat.categories.dtype.kind not in "OTUiu"
        and not isinstance(column.cat.categories.dtype, pd.StringDtype)
    ):
        return _plain_column(column.astype(column.cat.categories.dtype), name, label)
    if column.dtype != object:
        return column
    return _plain_objects(column, name, label)


def _plain_objects(column: pd.Series, name: str, label: str) -> pd.Series:
    if _is_list_column(column):
        return column
    held = pd.api.types.infer_dtype(column, skipna=True)
    if held in ("string", "empty", "boolean", "datetime", "datetime64"):
        return column
    if held == "integer" and all(-(2**63) <= cell < 2**63 for cell in column if not pd.isna(cell)):
        return column.astype("Int64")
    if held == "floating":
        return column.astype("Float64")
    if held == "date":
        return pd.to_datetime(column)
    if held in ("integer", "mixed-integer", "mixed-integer-float", "decimal", "time"):
        return column.map(lambda cell: None if pd.isna(cell) else str(cell)).astype(object)
    if all(
        isinstance(cell, str) or pd.isna(cell) or type(cell).__name__ == "UUID" for cell in column
    ):
        return column.map(lambda cell: None if pd.isna(cell) else str(cell)).astype(object)
    raise InputError(
        f"{label}: the column {clip(name)!r} holds {held} values, and an id is a whole number or "
        "text; "
        "name another column"
    )
