"""Grids of data/grids that a script trains, not `perflaw sweep`: read strictly, then completed.

Such a grid says `run by: scripts/NAME.py`. Its table has rows of every run, and a run whose rows
are there is not trained again.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from perflaw.errors import InputError
from perflaw.io import suggest
from perflaw.logs.readers.records import Dialect, split_records
from perflaw.logs.readers.table_rows import read_lines
from perflaw.logs.splits import Split
from perflaw.models.configuration import MOST_WHOLE, is_finite
from perflaw.models.sweeps import grids
from perflaw.models.training import run_records
from perflaw.study.analysis.study_runs import HISTORY_REMOVED

Allowed = Mapping[str, range | float | Sequence[str]]
"""By name of a value: whole numbers (a range), the least number (a float), or names."""
LoadSplits = Callable[[Sequence[str]], Mapping[str, Split]]
"""From names of logs to their splits, by name."""
LEAST_RATE = 1e-6  # of learning rates: above 0, as tables have it
USABLE_WIDTHS = range(1, 4096 + 1)  # where nothing else keeps a model within the memory
USABLE_LAYERS = range(1000 + 1)
USABLE_SEEDS = range(MOST_WHOLE + 1)
VALIDATION = "validation NDCG@10"
MEASURED = (
    "best_epoch",
    "done_epochs",
    "repeats",
    VALIDATION,
    "HR@10",
    "NDCG@10",
    f"{HISTORY_REMOVED}HR@10",
    f"{HISTORY_REMOVED}NDCG@10",
)
"""Columns of `study_runs.measure_trained`."""
_TEXT = ("log", "training", "fusion", "implementation", "step", "series")  # columns of tables


def whole_numbers(least: int, most: int = MOST_WHOLE) -> range:
    """Return the whole numbers from the least to the most, for `Allowed`."""
    return range(least, most + 1)


def read_grid(grid: str | Path, script: str, parts: Sequence[str]) -> dict[str, Any]:
    """Read a grid that a script runs.

    Parameters
    ----------
    grid : str or path
        A YAML file, or the name of one in data/grids.
    script : str
        That the grid must name as `run by`.
    parts : sequence of str
        What it must have beside logs, and may have beside about.

    Raises
    ------
    InputError
        If there is no such grid, it is not of this script, or a part is unknown or missing.
    """
    title = "this grid" if isinstance(grid, Mapping) else str(grid)
    values = grids.read_grid(grid)
    if grids.script_of(values, title) != script:
        raise InputError(f"{title} is no grid of {script}, which has '{grids.RUN_BY}: {script}'")
    needed = ["logs", *parts]
    known = ["about", grids.RUN_BY, *needed]
    _refuse_unknown(values, known, f"a grid of {script}")
    if missing := [name for name in needed if name not in values]:
        raise InputError(f"{title} has no {missing[0]!r}; a grid of {script} needs it")
    logs = values["logs"]
    if not isinstance(logs, list) or not logs or not all(isinstance(name, str) for name in logs):
        raise InputError("logs needs a list of names, e.g. logs: [ml-100k]")
    return values


def check_values(
    values: Any, allowed: Allowed, where: str, optional: Collection[str] = ()
) -> dict[str, Any]:
    """Return plain values by name, in the order and with the numbers' types of the limits.

    Parameters
    ----------
    values : mapping
        All that `allowed` has, each one value.
    allowed : mapping
        What there is, with its limit.
    where : str
        The part of the grid that messages name.
    optional : collection of str
        Names that may be missing.

    Raises
    ------
    InputError
        For a name that is unknown or missing, and a value that cannot be.
    """
    values = grids.check_mapping(values, where)
    _refuse_unknown(values, allowed, where)
    if missing := [name for name in allowed if name not in {*values, *optional}]:
        raise InputError(f"{where} needs {missing[0]}")
    return {
        name: _check_value(name, values[name], limit, where)
        for name, limit in allowed.items()
        if name in values
    }


def _refuse_unknown(names: Iterable[str], known: Collection[str], where: str) -> None:
    for name in names:
        if name not in known:
            raise InputError(
                f"{where} has no {name!r}; it has {', '.join(known)}" + suggest(name, known)
            )


def _check_value(name: str, value: Any, limit: range | float | Sequence[str], where: str) -> Any:
    if isinstance(limit, range):
        wanted = f"a whole number, {limit.start} or more"
        if limit.step > 1:
            wanted += f", that {limit.step} divides"
        if is_finite(value) and value == int(value):
            if int(value) in limit:
                return int(value)
            if value > limit[-1]:
                wanted = f"at most {limit[-1]:,}"
    elif isinstance(limit, float):
        wanted = f"a number of at most six digits, {limit:g} or more"
        # as tables have it
        if is_finite(value) and value >= limit and float(f"{value:.6g}") == value:
            return float(value)
    else:
        wanted = f"one of {', '.join(limit)}"
        if value in list(limit):
            return value
    raise InputError(f"{where}: {name} = {value!r} is not usable; use {wanted}")


def list_runs(
    products: Any, allowed: Allowed, where: str = "grid", optional: Collection[str] = ()
) -> list[dict[str, Any]]:
    """List the combinations of products, each once, checked by `check_values`."""
    combinations = grids.combine_values(products, where)
    if not combinations:
        raise InputError(f"{where} has no runs")
    runs = [check_values(values, allowed, where, optional) for values in combinations]
    return list({tuple(run.items()): run for run in runs}.values())


def load_table(table: Path, key: Sequence[str], measured: Sequence[str]) -> pd.DataFrame:
    """Load the rows that there are; none where there is no table yet.

    Parameters
    ----------
    table : path
        CSV file of a script.
    key, measured : sequence of str
        Columns that name a run, and the other columns of this script. Those that begin with
        `HISTORY_REMOVED` may be missing or empty, as where a log repeats items.

    Raises
    ------
    InputError
        If its folder is missing or cannot be written to, the file is no table with the columns of
        the script alone, or a value is missing or no number where one belongs.
    """
    if not table.parent.is_dir():
        raise InputError(f"{table.parent} is no folder; make it, or name another table")
    run_records.check_folder(table.parent)
    if not table.exists():
        return pd.DataFrame(columns=list(key))
    columns = [*key, *measured]
    empty = {name: [""] for name in columns if name not in _TEXT}  # a log may be called NA
    text = dict.fromkeys(_TEXT, str)
    try:
        rows = pd.read_csv(table, dtype=text, keep_default_na=False, na_values=empty)
    except (OSError, ValueError):
        raise InputError(f"{table} is no table; name another with --out") from None
    needed = [name for name in columns if not name.startswith(HISTORY_REMOVED)]
    if missing := [name for name in needed if name not in rows]:
        raise InputError(f"{table} has no column {missing[0]!r}; name another table with --out")
    if foreign := [name for name in rows if name not in columns]:
        raise InputError(
            f"{table} has the column {foreign[0]!r}, which is not of this script; name another "
            "table with --out"
        )
    for name in needed:
        usable = rows[name] != "" if name in _TEXT else _are_numbers(rows[name])
        if not usable.all():
            line = _line_of_row(table, int(np.argmin(usable)))
            raise InputError(
                f"{table} has no usable {name!r} in line {line}; mend or remove that line"
            )
    return rows


def _line_of_row(table: Path, row: int) -> int:
    """Return the line, as an editor counts them, on which a row begins; row 0 follows the header.

    Blank lines are no rows, and a quoted value may go over several lines.
    """
    dialect = Dialect(delimiter=",", quoting=True)
    records = split_records(read_lines(table, str(table)), dialect, str(table))
    line, _ = next(itertools.islice(records, row + 1, None))
    return line


def _are_numbers(column: pd.Series) -> pd.Series:
    values = pd.to_numeric(column, errors="coerce").astype(float)
    return values.abs() < np.inf


def best_on_validation(rows: pd.DataFrame, where: Mapping[str, Any]) -> pd.Series:
    """Return the row of the best NDCG@10 on validation, of those with these values."""
    candidates = rows[(rows[list(where)] == pd.Series(where)).all(axis=1)]
    return candidates.iloc[candidates[VALIDATION].argmax()]


def known_runs(rows: pd.DataFrame, key: Sequence[str]) -> set[tuple[Any, ...]]:
    """Return the values of `key` in each row."""
    return set(rows[list(key)].itertuples(index=False, name=None))
