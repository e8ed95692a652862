"""Tables of runs: any table that a log could be read from, as a DataFrame with its columns."""

from __future__ import annotations

import io
import re
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

from perflaw.errors import InputError
from perflaw.logs.readers import files
from perflaw.logs.readers.engine import escape_path, session
from perflaw.logs.readers.options import clip, join_names
from perflaw.logs.readers.records import Dialect, split_records
from perflaw.logs.readers.sniffing import SEPARATOR_LINE
from perflaw.logs.readers.table_rows import read_lines
from perflaw.tables import LINE

DELIMITERS = (",", "\t", ";", "|")
DECIMAL_COMMA = re.compile(r"-?\d+,\d+")


def read_table(path: str | Path, *, keep_lines: bool = False) -> pd.DataFrame:
    """Read a table with a header line: text split at commas, tabs, semicolons or bars, or Parquet.

    Text may be UTF-8 or UTF-16; all may be packed with gzip, bzip2, xz or zstd. Columns without
    a name are left out. Text needs no more than the base install.

    Parameters
    ----------
    path : str or path
    keep_lines : bool
        Whether the index, called "line", has the line of each row as an editor counts them; the
        rows of a Parquet file have none.

    Returns
    -------
    DataFrame
        One row a line; columns are numbers where all of their cells are.

    Raises
    ------
    InputError
        With the line and the mend, where it is no such table.
    """
    source = files.existing_path(path)
    label = str(path)
    with tempfile.TemporaryDirectory(prefix="perflaw-") as scratch:
        plain = files.unpack(source, Path(scratch))
        if files.is_parquet(plain):
            table = _read_parquet(plain, label)
        else:
            files.refuse_other_kinds(plain, label)
            table = _read_text(files.decode(plain, Path(scratch), label), label)
    if not keep_lines:
        table = table.reset_index(drop=True)
    if table.empty:
        raise InputError(f"{label} has no rows; give one row for each run, under a header line")
    return table


def _read_parquet(path: Path, label: str) -> pd.DataFrame:
    with session(label) as connection:
        relation = "read_parquet($1, hive_partitioning=false)"
        return connection.execute(f"select * from {relation}", [escape_path(path)]).df()


def _read_text(path: Path, label: str) -> pd.DataFrame:
    lines = list(read_lines(path, label))
    first = next((k for k, line in enumerate(lines) if line and not line.isspace()), None)
    if first is None:
        raise InputError(f"{label} is not a table with a header line: it is blank; write it again")
    delimiter = None
    if match := SEPARATOR_LINE.fullmatch(lines[first].strip()):
        delimiter = match[1]
        first += 1
    while first < len(lines) and (not lines[first].strip() or lines[first].startswith("#")):
        first += 1
    dialect = _choose_dialect(lines[first:], delimiter, label)
    records = split_records(lines[first:], dialect, label, first + 1)
    _, header = next(records, (0, []))
    names = [name.strip() for name in header]
    if twice := [name for name in names if name and names.count(name) > 1]:
        raise InputError(f"{label} has the column {clip(twice[0])!r} twice: rename one")
    if len(names) < 2:
        raise InputError(
            f"{label} is not a table with a header line: it has one column; split columns at commas"
        )
    if not any(names):
        raise InputError(f"{label} names no column in its header line; name those to read")
    return _to_frame(names, records, dialect, label)


def _choose_dialect(lines: Sequence[str], delimiter: str | None, label: str) -> Dialect:
    """Return how lines are split: at the delimiter that cuts the header into most fields."""

    def count_fields(mark: str) -> int:
        dialect = Dialect(delimiter=mark, quoting=mark != "\t")
        try:
            _, fields = next(split_records(lines, dialect, label), (0, []))
        except InputError:
            return 0
        return len(fields)

    if delimiter is None:
        delimiter = max(DELIMITERS, key=count_fields)
    wrapped = bool(lines) and all(re.fullmatch(r'"[^"]*"', x) for x in lines[0].split(delimiter))
    return Dialect(delimiter=delimiter, quoting=delimiter != "\t" or wrapped)


def _to_frame(
    names: list[str], records: Iterable[tuple[int, list[str]]], dialect: Dialect, label: str
) -> pd.DataFrame:
    rows, lines = [], []
    for number, fields in records:
        cells = [field.strip() for field in fields]
        if len(cells) == len(names) + 1 and not cells[-1]:
            cells.pop()
        if len(cells) != len(names):
            more = "more" if len(cells) > len(names) else "fewer"
            raise InputError(
                f"{label}, line {number}: {more} columns ({len(cells)}) than the {len(names)} of "
                f"the header ({join_names(names, 60)}); mend the line or the header"
            )
        if cells == names:
            raise InputError(f"{label}, line {number}: the header again; remove the line")
        rows.append(cells)
        lines.append(number)
    columns = {name: [row[k] for row in rows] for k, name in enumerate(names) if name}
    if dialect.delimiter != ",":
        columns = {name: _with_points(name, cells, label) for name, cells in columns.items()}
    text = pd.DataFrame(columns).to_csv(index=False, lineterminator="\r\n")
    return pd.read_csv(io.StringIO(text)).set_axis(pd.Index(lines, name=LINE))


def _with_points(name: str, cells: list[str], label: str) -> list[str]:
    """Return the cells of a column, their decimal commas replaced by points."""
    with_comma = [cell for cell in cells if "," in cell]
    others = [cell for cell in cells if cell and "," not in cell]
    if not with_comma or not all(DECIMAL_COMMA.fullmatch(cell) for cell in with_comma):
        return cells
    if not all(re.fullmatch(r"-?\d+", cell) for cell in others):
        return cells
    if all(re.fullmatch(r"-?[1-9]\d{0,2},\d{3}", cell) for cell in with_comma):
        raise InputError(
            f"{label}: {with_comma[0]} in {clip(name)!r}: is the comma a decimal point? Write "
            "numbers as 1234.5"
        )
    return [cell.replace(",", ".") for cell in cells]
