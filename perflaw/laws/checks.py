"""What keeps points from being fitted, said in one line."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from perflaw.errors import InputError
from perflaw.laws.families import Array, Law, law_axes
from perflaw.laws.linear import design_columns
from perflaw.tables import IDENTITY_COLUMNS, TOKENS, check_numbers, name_row

SQUARABLE = 1e-100, 1e100  # sizes of numbers whose sums of squares are exact enough
SAME_DATA = 1.01  # times as many tokens, up to which data count as the same
SEED = "seed"  # the column that tells repeated runs of one cell apart


def check_points(law: Law, points: pd.DataFrame) -> None:
    """Raise InputError for what keeps the points from being fitted.

    That is a missing column or number, an axis below 1 or with a single value, fewer points than
    the law has parameters plus one, and a cell that appears twice without another seed.
    """
    axes = law_axes(law, points)
    needed = len(law.parameters) + 1
    if len(points) < needed:
        raise InputError(
            f"{len(points)} points are too few for the law {law.name}, which needs {needed} or more"
        )
    _check_columns_vary(law, axes)
    if TOKENS in points and TOKENS not in law.axes:
        _check_same_data(law, points)
    cell = [*law.axes, *([SEED] if SEED in points else [])]
    is_repeat = points.duplicated(cell).to_numpy()
    if is_repeat.any():
        raise InputError(_describe_repeat(points, cell, int(is_repeat.argmax())))


def _check_columns_vary(law: Law, axes: dict[str, Array]) -> None:
    """Refuse an axis, or what the law makes of its axes, that is the same in every row."""
    middle = np.array([[(low + high) / 2 for low, high in law.exponents.values()]])
    columns = design_columns(law, axes, middle)[0, :, 1:]
    if not (np.ptp(columns, axis=0) == 0).any():
        return
    for axis, values in axes.items():
        if np.ptp(values) == 0:
            raise InputError(
                f"{axis} is {values[0]:g} in every row; "
                f"the law {law.name} needs two or more values of it"
            )
    raise InputError(
        f"what the law {law.name} reads of {', '.join(axes)} is the same in every row; "
        "add points where it differs, or take another law"
    )


def _check_same_data(law: Law, points: pd.DataFrame) -> None:
    """Refuse rows of one cell that were trained on unlike amounts of data."""
    tokens = pd.to_numeric(points[TOKENS], errors="coerce")
    by_cell = tokens.groupby([points[axis] for axis in law.axes])
    least, most = by_cell.transform("min"), by_cell.transform("max")
    differs = (most > SAME_DATA * least).to_numpy()
    if differs.any():
        row = int(differs.argmax())
        raise InputError(
            f"rows of the cell of {name_row(points, row)} differ in tokens "
            f"({least.iloc[row]:g} and {most.iloc[row]:g}): keep rows of one value of it, on the "
            "command line with --where, or make tokens an axis of the law"
        )


def _describe_repeat(points: pd.DataFrame, cell: list[str], row: int) -> str:
    """Say which cell is repeated in that row, and how to mend it."""
    values = ", ".join(f"{name} {points[name].iloc[row]}" for name in cell)
    is_same = (points[cell] == points[cell].iloc[row]).all(axis=1).to_numpy()
    pair = points.iloc[[int(is_same.argmax()), row]].astype(str)
    differing = [name for name in IDENTITY_COLUMNS if name in pair and pair[name].nunique() > 1]
    if differing:
        remedy = (
            f"the two differ in {differing[0]}: keep rows of one value of it, "
            "on the command line with --where"
        )
    else:
        remedy = (
            "fit one surface at a time, average the repeats, or tell them apart by a column 'seed'"
        )
    return f"{name_row(points, row)} repeats an earlier cell ({values}); {remedy}"


def check_values(points: pd.DataFrame, y: Sequence[float] | Array | pd.Series) -> Array:
    """Return `y` as an array, one value a point.

    Raises
    ------
    InputError
        If values are no finite numbers, are all equal, are too large or too small to be squared,
        or are not as many as the points.
    """
    values = check_numbers(y, "the metric")
    if len(values) != len(points):
        raise InputError(
            f"{len(points)} points but {len(values)} values; give one value for each point"
        )
    if np.ptp(values) == 0:
        raise InputError(f"all {len(values)} values are {values[0]:g}; there is nothing to fit")
    largest = np.abs(values).max()
    if not SQUARABLE[0] < largest < SQUARABLE[1]:
        raise InputError(
            f"the largest value is {largest:g}, too far from 1 to be squared; use another unit"
        )
    return values
