"""`perflaw predict`: predict with a saved law."""

from __future__ import annotations

import json
import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import click

from perflaw.cli.options import one_line_errors
from perflaw.errors import InputError

if TYPE_CHECKING:
    import pandas as pd


@click.command()
@click.argument("law", metavar="LAW.json")
@click.argument("where", metavar="POINTS.csv | AXIS=VALUE[,VALUE] ...", nargs=-1, required=True)
@click.option("--level", default=0.9, show_default=True, help="Level of the intervals.")
@one_line_errors()
def command(law: str, where: tuple[str, ...], level: float) -> None:
    """Predict with a saved law.

    Points are those of a file, or every combination of values, e.g. n_layers=24,48 d_emb=128.
    Intervals are for one more run.
    """
    from perflaw import tables
    from perflaw.laws import families, prediction, serialization, table_checks
    from perflaw.logs.readers.tables import read_table

    fitted = serialization.load_fit(law)
    if "=" in where[0] and not os.path.isfile(where[0]):  # that of Path raises for a long name
        points = combine_axis_values(where, fitted.law.axes)
    elif len(where) > 1:
        raise InputError(
            f"give either a file of points or AXIS=VALUE pairs, not {where[0]} and {where[1]}"
        )
    else:
        points = read_table(where[0], keep_lines=True)
    for name in families.WHOLE_AXES:
        if name in fitted.law.axes and name in points:
            tables.check_whole(points, name, "the points")
    is_rate = table_checks.is_rate(fitted.y, json.loads(Path(law).read_text()).get("metric"))
    with warnings.catch_warnings(action="ignore"):  # the doubts below say more
        predictions = prediction.predict(fitted, points, level, is_rate=is_rate)
    clipped = int(predictions["clipped"].sum())
    predictions = predictions.drop(columns=["law_value", "clipped"]).reset_index(drop=True)
    table = points[list(fitted.law.axes)].reset_index(drop=True).join(predictions.round(5))
    click.echo(table.replace({"beyond": {True: "yes", False: ""}}).to_string(index=False))
    click.echo(f"low and high: {100 * level:g} % interval, for one more run")
    if predictions["beyond"].any():
        click.echo(
            "beyond: outside the measured range of an axis, "
            "where the interval holds only if the law does"
        )
    if clipped:
        click.echo(
            f"{clipped} of these would be below 0 or above 1, where no rate can be, and are shown "
            "as 0 or 1: the law does not hold there"
        )
    for doubt in table_checks.describe_doubts(fitted):
        click.echo(f"warning: {doubt}")
    if fitted.status != "converged":
        click.echo(f"the fit of this law: {fitted.status}")


def combine_axis_values(pairs: tuple[str, ...], axes: tuple[str, ...]) -> pd.DataFrame:
    """Make a table of points at every combination of AXIS=VALUE,VALUE pairs."""
    import pandas as pd

    values: dict[str, str] = {}
    for pair in pairs:
        name, _, text = pair.partition("=")
        if name in values:
            raise InputError(f"{name} is given twice; write {name}={values[name]},{text}")
        values[name] = text
    if unknown := [name for name in values if name not in axes]:
        raise InputError(
            f"the law does not read {' and '.join(unknown)}; it reads {', '.join(axes)}"
        )
    levels = [text.split(",") for text in values.values()]
    return pd.MultiIndex.from_product(levels, names=list(values)).to_frame(index=False)
