"""Checks of tables that more than one wing reads."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from perflaw.errors import InputError


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
    selected: pd.DataFrame = table.loc[mask]
    return selected


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
