"""Where the study's own files are: data, notebooks and prose of a clone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from perflaw.io import atomic_path
from perflaw.paths import study_folder


def study_file(*parts: str) -> Path:
    """Name a file of the study, such as ``study_file("data", "floors.csv")``.

    The folder of the study is asked for when the function is called.
    """
    return study_folder().joinpath(*parts)


def append_rows(
    path: Path, rows: pd.DataFrame, new: Sequence[Mapping[str, Any]], order: Sequence[str] = ()
) -> pd.DataFrame:
    """Add rows to a table of runs and write it at once, so that an interruption loses none.

    Parameters
    ----------
    path
        Of the CSV file.
    rows
        The table so far.
    new
        Rows to add, by column.
    order
        Columns to sort by; none: in the order of the runs.

    Returns
    -------
    pandas.DataFrame
        The table as it was written.
    """
    table = pd.DataFrame([*rows.to_dict("records"), *new])
    if order:
        table = table.sort_values(list(order), ignore_index=True)
    with atomic_path(path) as temporary:
        table.to_csv(temporary, index=False, float_format="%.6g", lineterminator="\n")
    return table
