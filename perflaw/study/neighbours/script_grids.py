"""Grids of data/grids that a script trains, not `perflaw sweep`: read strictly, then completed.

Such a grid says `run by: scripts/NAME.py`. Its table has rows of every run, and a run whose rows
are there is not trained again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from perflaw.errors import InputError
from perflaw.io import suggest
from perflaw.logs.splits import Split
from perflaw.models.sweeps import grids

Allowed = Mapping[str, int | float | Sequence[str]]
"""By name of a value: the least whole number (an int), the least number (a float), or names."""
LoadSplits = Callable[[Sequence[str]], Mapping[str, Split]]
"""From names of logs to their splits, by name."""
LEAST_RATE = 1e-6  # of learning rates: above 0, as tables have it


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
    values = grids.read_grid(grid)
    if values.get(grids.RUN_BY) != script:
        raise InputError(f"{grid} is no grid of {script}, which has '{grids.RUN_BY}: {script}'")
    needed = ["logs", *parts]
    known = ["about", grids.RUN_BY, *needed]
    if unknown := [name for name in values if name not in known]:
        raise InputError(
            f"a grid of {script} has no {unknown[0]!r}; it has {', '.join(known)}"
            + suggest(unknown[0], known)
        )
    if missing := [name for name in needed if name not in values]:
        raise InputError(f"{grid} has no {missing[0]!r}; a grid of {script} needs it")
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
    if unknown := [name for name in values if name not in allowed]:
        raise InputError(
            f"{where} has no {unknown[0]!r}; it has {', '.join(allowed)}"
            + suggest(unknown[0], allowed)
        )
    if missing := [name for name in allowed if name not in {*values, *optional}]:
        raise InputError(f"{where} needs {missing[0]}")
    return {
        name: _check_value(name, values[name], limit, where)
        for name, limit in allowed.items()
        if name in values
    }


def _check_value(name: str, value: Any, limit: int | float | Sequence[str], where: str) -> Any:
    if isinstance(limit, (int, float)):
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        kind = "whole number" if isinstance(limit, int) else "number of at most six digits"
        wanted = f"a {kind}, {limit:g} or more"
        if number and math.isfinite(value) and value >= limit:
            if isinstance(limit, int) and value == int(value):
                return int(value)
            if isinstance(limit, float) and float(f"{value:.6g}") == value:  # as tables have it
                return float(value)
    else:
        wanted = f"one of {', '.join(limit)}"
        if value in list(limit):
            return value
    raise InputError(f"{where}: {name} = {value!r} is not usable; use {wanted}")


def list_runs(
    products: Any, allowed: Allowed, where: str = "grid", optional: Collection[str] = ()
) -> list[dict[str, Any]]:
    """List the combinations of a product, or of several, each checked by `check_values`."""
    combinations = grids.combine_values(products, where)
    if not combinations:
        raise InputError(f"{where} has no runs")
    return [check_values(values, allowed, where, optional) for values in combinations]


def name_one_log(logs: Sequence[str]) -> str:
    """Return the log of a grid whose table has no column for it; raises InputError for several."""
    if len(logs) > 1:
        raise InputError("logs needs one log here, as the table has no column for it")
    return logs[0]


def load_table(table: Path, key: Sequence[str]) -> pd.DataFrame:
    """Load the rows that there are; none where there is no table yet.

    Raises
    ------
    InputError
        If its folder is missing, or the file is no table with the columns of `key`.
    """
    if not table.parent.is_dir():
        raise InputError(f"{table.parent} is no folder; make it, or name another table")
    if not table.exists():
        return pd.DataFrame(columns=list(key))
    try:
        rows = pd.read_csv(table, converters={"log": str})  # also one called 2024 or NA
    except (OSError, ValueError):
        raise InputError(f"{table} is no table; name another with --out") from None
    if missing := [name for name in key if name not in rows]:
        raise InputError(f"{table} has no column {missing[0]!r}; name another table with --out")
    return rows


def known_runs(rows: pd.DataFrame, key: Sequence[str]) -> set[tuple[Any, ...]]:
    """Return the values of `key` in each row."""
    return set(rows[list(key)].itertuples(index=False, name=None))
