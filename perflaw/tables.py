"""Checks of tables that more than one folder reads."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from perflaw.errors import InputError

# Columns that may tell runs of different experiments apart.
IDENTITY_COLUMNS = (
    "log",
    "dataset",
    "metric",
    "backbone",
    "split",
    "loss",
    "max_seq_len",
    "dropout",
    "learning_rate",
    "sample_users",
    "sample_time",
    "truncate",
)
TOKENS = "tokens"  # the column of the amount of training data
LINE = "line"  # the name of an index that holds the line of each row in its file
TUNED_COLUMNS = ("dropout", "learning_rate")  # which may differ between runs of one surface


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
        mask: Any = table.eval(query)
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


def hint_at_comma(value: Any) -> str:
    """Say how to write a number that is text for its commas; nothing of any other value.

    Examples
    --------
    >>> hint_at_comma("2,000")
    ' (write it without a comma)'
    """
    is_number = isinstance(value, str) and re.fullmatch(r"\s*[-+]?\d+(,\d+)+(\.\d*)?\s*", value)
    return " (write it without a comma)" if is_number else ""


def name_row(rows: pd.DataFrame | pd.Series, place: int) -> str:
    """Name a row by its line in the file that it was read from, or else by its place.

    Parameters
    ----------
    rows
        A table or a column; an index called "line" holds the lines of its file.
    place
        Position of the row, from 0.

    Examples
    --------
    >>> lines = pd.Index([2, 3, 5], name="line")
    >>> name_row(pd.DataFrame({"n_layers": [1, 2, 4]}, lines), 2)
    'line 5'
    >>> name_row(pd.Series([1, 2, 4]), 2)
    'row 3'
    """
    return f"line {rows.index[place]}" if rows.index.name == LINE else f"row {place + 1}"


def check_whole(table: pd.DataFrame, name: str, label: str) -> None:
    """Refuse the first number of a column that is not whole, with its row.

    Raises
    ------
    InputError
        "row 3 of `label`: ...", or "line 4" where the table was read from a file.
    """
    numbers = pd.to_numeric(table[name], errors="coerce").astype(float)
    is_fraction = (numbers % 1 > 0).to_numpy()
    if is_fraction.any():
        row = int(is_fraction.argmax())
        raise InputError(
            f"{name_row(table, row)} of {label}: {name} = {numbers.iloc[row]:g} is not usable; "
            "use a whole number"
        )


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
            f"{what} is '{column.iloc[row]}' in {name_row(column, row)}; it must be a finite number"
            + hint_at_comma(column.iloc[row])
        )
    return numbers


def check_one_surface(
    table: pd.DataFrame, label: str, mend: str, may_differ: Iterable[str]
) -> None:
    """Refuse rows of different logs, backbones, splits and the like in one table.

    Parameters
    ----------
    table
        One row a run.
    label
        Name of the table, for the message.
    mend
        What to do about it, for the message.
    may_differ
        Columns in which rows may differ, beside `TUNED_COLUMNS`.

    Raises
    ------
    InputError
        With the first column in which rows differ, and its first values.
    """
    ignored = {*may_differ, *TUNED_COLUMNS}
    for name in IDENTITY_COLUMNS:
        if name not in table or name in ignored:
            continue
        values = table[name].unique()
        if len(values) > 1:
            examples = ", ".join("none" if value != value else str(value) for value in values[:3])
            raise InputError(f"{label}: rows differ in {name} ({examples}); {mend}")
