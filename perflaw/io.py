"""Tables in, files out: what is read is checked, what is written is written whole."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from perflaw.errors import InputError


def read_table(path: str | Path) -> pd.DataFrame:
    """Read a CSV table, one row a run.

    Parameters
    ----------
    path : str or pathlib.Path
        A file in UTF-8, separated by commas, with a header line.

    Returns
    -------
    pandas.DataFrame
        The rows; blanks around column names are removed.

    Raises
    ------
    InputError
        If the file cannot be read as such a table, has no rows, names a column twice, or has
        rows longer than its header.
    """
    try:
        table = pd.read_csv(path, skipinitialspace=True)
        with open(path, encoding="utf-8-sig", newline="") as file:
            names = [name.strip() for name in next(csv.reader(file, skipinitialspace=True), [])]
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path} is not a CSV table with a header line: {str(error).strip()}"
        ) from None
    if len(table.columns) == 1 and ";" in table.columns[0]:
        raise InputError(f"{path} seems to be separated by semicolons; write it with commas")
    if table.empty:
        raise InputError(f"{path} has no rows; give one row for each run, under a header line")
    if not isinstance(table.index, pd.RangeIndex):  # pandas made an index of the extra columns
        raise InputError(
            f"{path}: rows have more columns than the {len(names)} of the header "
            f"({', '.join(names)}); mend the header"
        )
    if repeated := [name for name in names if name and names.count(name) > 1]:
        raise InputError(f"{path} has the column {repeated[0]!r} twice: rename one")
    return table.rename(columns=str.strip)


def select_rows(table: pd.DataFrame, query: str) -> pd.DataFrame:
    """Select the rows of `table` for which a pandas query is true.

    Raises
    ------
    InputError
        If the query cannot be evaluated, is no condition, or is true nowhere.

    Examples
    --------
    >>> select_rows(pd.DataFrame({"epoch": [1, 2, 3]}), "epoch > 1")["epoch"].tolist()
    [2, 3]
    """
    try:
        mask = table.eval(query)
    except Exception as error:  # pandas raises whatever the query's evaluation does
        columns = ", ".join(table.columns)
        raise InputError(
            f"the query {query!r} cannot be used on the columns {columns}: {error}"
        ) from None
    if not pd.api.types.is_bool_dtype(mask):
        raise InputError(
            f"the query {query!r} is no condition; "
            "write one, such as dataset == 'Beauty' or epoch > 3"
        )
    if not np.any(mask):
        raise InputError(f"the query {query!r} keeps no row")
    return table.loc[mask]


def check_numbers(values: Iterable[Any], what: str) -> NDArray[np.float64]:
    """Return the values as floats.

    Raises
    ------
    InputError
        For the first value that is not a finite number; `what` names the column in the message.
    """
    column = pd.Series(values)
    numbers = pd.to_numeric(column, errors="coerce").to_numpy(float)
    if not np.isfinite(numbers).all():
        row = int(np.flatnonzero(~np.isfinite(numbers))[0])
        raise InputError(
            f"{what} is '{column.iloc[row]}' in row {row + 1}; it must be a finite number"
        )
    return numbers


def write_text(path: str | Path, text: str) -> None:
    """Write a file, whole or not at all: a reader never sees half of it.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    target = Path(os.path.realpath(path))
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        if target.exists() and not target.is_file():  # a device or a pipe has no place to swap
            target.write_text(text, encoding="utf-8")
            return
        part.write_text(text, encoding="utf-8")
        os.replace(part, target)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise InputError(f"{path} cannot be written: {error.strerror or error}") from None
