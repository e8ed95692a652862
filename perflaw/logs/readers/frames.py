"""Typed columns → sorted columns: Parquet, pandas, and any table with the Arrow C stream."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd

from perflaw.errors import InputError
from perflaw.logs.readers import engine
from perflaw.logs.readers.arrays import RawRows, incomplete, sort_rows
from perflaw.logs.readers.options import Columns, Connection, Reading, ReadOptions, clip
from perflaw.logs.readers.roles import Roles, choose_roles
from perflaw.logs.readers.sequences import expand_lists
from perflaw.logs.readers.times import Fineness, resolution_of

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


def read_frame(source: Any, options: ReadOptions) -> Columns:
    """Read a pandas DataFrame or a table with the Arrow C stream; no copy through objects."""
    is_pandas = isinstance(source, pd.DataFrame)
    reading = Reading(f"the {'DataFrame' if is_pandas else type(source).__name__}", options)
    options.refuse_unused(reading.label, *TABLE_OPTIONS)
    if is_pandas:
        return _read_pandas(source, reading)
    with engine.session(reading.label) as connection:
        try:
            connection.register("given", _Stream(source))
            relation = "given"
            if not hasattr(source, "__len__") and not hasattr(source, "num_rows"):  # read once only
                connection.execute("create temp table once as select * from given")
                relation = "once"
            described = connection.execute(f"describe select * from {relation}").fetchall()
        except Exception as error:
            raise InputError(
                f"{reading.label} cannot be read as an Arrow table ({type(error).__name__}); write "
                "columns of numbers, text and dates"
            ) from error
        names = _column_names(source, [row[0] for row in described])
        return _read_relation(connection, relation, names, reading)


def _column_names(source: Any, described: list[str]) -> list[str]:
    """Return the names as the table has them; the engine changes those that it finds twice."""
    for attribute in ("column_names", "columns"):
        names = getattr(source, attribute, None)
        if isinstance(names, list) and len(names) == len(described):
            return [str(name) for name in names]
    return described


# ---------------------------------------------------------------- Parquet


def read_parquet(paths: Sequence[Path], reading: Reading) -> Columns:
    """Read a Parquet file, or parts of one kind in the order given."""
    reading.options.refuse_unused(f"{reading.label} is Parquet, which", "delimiter", "header")
    patterns = [engine.escape_path(path) for path in paths]
    with engine.session(reading.label) as connection:
        names = [_parquet_names(connection, pattern) for pattern in patterns]
        for path, other in zip(paths, names):
            if other != names[0]:
                raise InputError(
                    f"{path} has other columns ({', '.join(other)[:80]}) than {paths[0].name} "
                    f"({', '.join(names[0])[:80]}); write all parts alike, or move it away"
                )
        connection.execute("set variable source = $1", [patterns])
        relation = "read_parquet(getvariable('source'), hive_partitioning=false{})"
        if len(paths) > 1:
            _refuse_other_kinds(connection, patterns, paths)
            return _read_relation(connection, relation.format(""), names[0], reading)
        numbered = relation.format(", file_row_number=true")
        return _read_relation(connection, numbered, names[0], reading, f"c{len(names[0])}")


def _parquet_names(connection: Connection, pattern: str) -> list[str]:
    """Return the names of the columns as the file has them, without those within others."""
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
    query = "describe select * from read_parquet($1, hive_partitioning=false)"
    kinds = [connection.execute(query, [pattern]).fetchall() for pattern in patterns]
    for path, other in zip(paths, kinds):
        if other != kinds[0]:
            raise InputError(
                f"{path} has columns of other kinds than {paths[0].name}; write all parts alike"
            )


def _read_relation(
    connection: Connection,
    relation: str,
    names: Sequence[str],
    reading: Reading,
    place: str | None = None,
) -> Columns:
    """Read columns of a relation that go by their places.

    Parameters
    ----------
    place : str, optional
        The column, after those of `names`, that numbers the rows.
    """
    if not names:
        raise InputError(f"{reading.label} has no columns")
    columns = [f"c{k}" for k in range(len(names))]
    if place is not None:
        columns.append(place)
    relation = f"{relation} as t({', '.join(columns)})"
    kinds = [row[1] for row in connection.execute(f"describe select * from {relation}").fetchall()]

    def resolution(column: int) -> Fineness:
        query = f"select c{column}::varchar from {relation} limit 200"
        return resolution_of([row[0] for row in connection.execute(query).fetchall()])

    roles = choose_roles(names, reading, resolution)
    if kinds[roles.item].endswith("]"):
        return _read_lists(connection, relation, roles, names, kinds, reading)
    picked = _pick(roles, kinds)
    if place is None:
        engine.create_rows(connection, relation, picked)
    else:
        engine.view_rows(connection, relation, picked, place)
    where = engine.count_rows(reading.label)
    return engine.finish(connection, where, roles.time is not None, reading)


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
    reading: Reading,
) -> Columns:
    """Read a table with a list of items in each row; the engine unnests the lists."""
    kind = _kind_in_list(kinds[roles.item])
    reading.findings.guess(f"layout: a list of items in each cell of {clip(names[roles.item])!r}")
    times = "null::bigint" if roles.time is None else f"c{roles.time}"
    time = "times"
    list_of_times = None
    if roles.time is not None and kinds[roles.time].endswith("]"):
        time = _nan_as_null("unnest(times)", _kind_in_list(kinds[roles.time]))
        list_of_times = names[roles.time]
    elif roles.time is not None:
        reading.findings.guess(f"time: one in {clip(names[roles.time])!r} for all items of a list")
    connection.execute(
        f'create temp table lists as select {_expression(roles.user, kinds)} as "user", '
        f"c{roles.item}::{kind}[] as items, {times} as times from {relation}",
    )
    _check_lists(connection, names[roles.item], list_of_times, reading)
    engine.copy_rows(
        connection,
        f'select "user", {_nan_as_null("unnest(items)", kind)} as item, {time} as time '
        "from (select *, rowid as place from lists) where len(items) > 0 order by place",
    )
    where = engine.count_rows(reading.label, noun="interaction")
    return engine.finish(connection, where, roles.time is not None, reading)


def _kind_in_list(kind: str) -> str:
    return kind[: kind.rindex("[")]


def _check_lists(
    connection: Connection, item: str, list_of_times: str | None, reading: Reading
) -> None:
    """Check the lists of items in the column `item`, and those of times beside them."""
    label = reading.label
    rows, empty, first_empty = connection.execute(
        "select count(*), count_if(blank), min(rowid) filter (where blank) "
        "from (select rowid, coalesce(len(items), 0) = 0 as blank from lists)"
    ).fetchone()
    if not rows:
        raise InputError(f"{label} has no rows: fetch or write it again")
    if empty and not reading.options.drop_incomplete:
        raise incomplete(f"{label}, row {first_empty + 1}", "item")
    if empty == rows:
        raise InputError(f"{label}: all lists are empty; fetch or write it again")
    if empty:
        reading.findings.note(f"lists left out as empty: {empty:,}")
    twice = connection.execute(
        'select min(rowid), max(rowid) from lists group by "user" '
        "having count(*) > 1 order by 2 limit 1"
    ).fetchone()
    if twice:
        raise InputError(
            f"{label}, row {twice[1] + 1}: a second list of a user in {clip(item)!r}, after that "
            f"of row {twice[0] + 1}; join them"
        )
    if list_of_times is not None:
        uneven = connection.execute(
            "select min(rowid) from lists where len(items) is distinct from len(times)"
        ).fetchone()[0]
        if uneven is not None:
            raise InputError(
                f"{label}, row {uneven + 1}: as many times as items are needed, and "
                f"{clip(list_of_times)!r} has not; mend the row"
            )


# ---------------------------------------------------------------- pandas


def _read_pandas(frame: pd.DataFrame, reading: Reading) -> Columns:
    label = reading.label
    if isinstance(frame.columns, pd.MultiIndex):
        raise InputError(
            f"{label} has columns of several levels; give each one name, as with set_axis"
        )
    if frame.empty:
        raise InputError(
            f"{label} has no {'rows' if len(frame.columns) else 'columns'}; give it some"
        )
    names = ["" if pd.isna(name) else str(name) for name in frame.columns]
    try:
        roles = choose_roles(names, reading, lambda k: resolution_of(_cells(frame.iloc[:200, k])))
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
        numbers = range(1, len(frame) + 1)
        raw = RawRows(
            cells[roles.user], cells[roles.item], cells.get(roles.time), numbers, noun="row"
        )
        titles = {role: names[k] for role, k in roles.by_role.items()}
        return sort_rows(expand_lists(raw, titles, reading), reading)
    for role, k, one in (("user", roles.user, "an id"), ("time", roles.time, "a time")):
        if k is not None and _is_list_column(columns[k]):  # the engine may crash on such a column
            raise InputError(
                f"{label}: the {role} column holds lists; {one} is a whole number or text; name "
                "another column"
            )
    given = pd.DataFrame({f"c{k}": column.reset_index(drop=True) for k, column in columns.items()})
    with engine.session(label) as connection:
        connection.register("given", given)
        described = connection.execute("describe select * from given").fetchall()
        kinds = {k: row[1] for k, row in zip(columns, described)}
        engine.create_rows(connection, "given", _pick(roles, kinds))
        where = engine.count_rows(label)
        return engine.finish(connection, where, roles.time is not None, reading)


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
    elif isinstance(kind, pd.CategoricalDtype):
        held = kind.categories.dtype
        if held.kind not in "OTUiu" and not isinstance(held, pd.StringDtype):
            return _plain_column(column.astype(held), name, label)
    if column.dtype != object or _is_list_column(column):
        return column
    return _plain_objects(column, name, label)


def _plain_objects(column: pd.Series, name: str, label: str) -> pd.Series:
    held = pd.api.types.infer_dtype(column, skipna=True)
    if held in ("string", "empty", "boolean", "datetime", "datetime64"):
        return column
    if held == "integer" and all(-(2**63) <= cell < 2**63 for cell in column if not pd.isna(cell)):
        return column.astype("Int64")
    if held == "floating":
        return column.astype("Float64")
    if held == "date":
        return pd.to_datetime(column)
    numbers = ("integer", "mixed-integer", "mixed-integer-float", "decimal", "time")
    if held in numbers or all(
        isinstance(cell, str) or pd.isna(cell) or type(cell).__name__ == "UUID" for cell in column
    ):
        return column.map(lambda cell: None if pd.isna(cell) else str(cell)).astype(object)
    raise InputError(
        f"{label}: the column {clip(name)!r} holds {held} values, and an id is a whole number or "
        "text; name another column"
    )
