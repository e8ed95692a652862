"""`perflaw fit`: fit a law to a table of runs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from perflaw.cli.options import name_value_option, one_line_errors, parse_value
from perflaw.errors import InputError

if TYPE_CHECKING:
    import pandas as pd


@click.command()
@click.argument("points", metavar="POINTS")
@click.option("--law", "family", default="performance", show_default=True, help="Law to fit.")
@name_value_option(
    "-o", "options", help="An option of the law, e.g. -o k 4, or -o axes n_layers,d_emb,tokens."
)
@click.option("--metric", default="value", show_default=True, help="Column to fit.")
@click.option(
    "--where", metavar="QUERY", help="Rows to use, e.g. \"dataset == 'Beauty' and epoch > 3\"."
)
@click.option(
    "--loss",
    type=click.Choice(["squares", "huber", "consensus"]),
    default="squares",
    show_default=True,
    help="Loss of the fit; consensus leaves out runs that differ from all others.",
)
@click.option("--level", default=0.9, show_default=True, help="Level of the intervals.")
@click.option("--out", type=click.Path(dir_okay=False), help="Save the fitted law as JSON.")
@one_line_errors()
def command(
    points: str,
    family: str,
    options: tuple[tuple[str, str], ...],
    metric: str,
    where: str | None,
    loss: str,
    level: float,
    out: str | None,
) -> None:
    """Fit a law to a table of runs.

    POINTS has a metric and the axes of the law (n_layers and d_emb, unless -o axes names others),
    one row a run: CSV, or split at tabs, semicolons or bars, or Parquet; UTF-8 or UTF-16; packed
    with gzip and the like if need be.
    """
    from perflaw import tables
    from perflaw.laws import families, fitting, serialization, table_checks, turning
    from perflaw.logs.readers.tables import read_table

    law = families.get_law(family, **{name: parse_option(name, text) for name, text in options})
    table = read_table(points, keep_lines=True)
    if where is not None:
        table = tables.select_rows(table, where)
    _check_table(points, table, metric, law.axes)
    if out:
        _check_output(out)
    fitted = fitting.fit(law, table, table_checks.choose_metric(points, table, metric), loss)
    intervals = {name: fitted.profile(name, level) for name in law.parameters}
    size_axes = [axis for axis in law.axes if axis != "max_seq_len"]
    turning_points = {axis: turning.turning_point(fitted, axis, level) for axis in size_axes}
    _echo_fit(fitted, metric, table)
    for doubt in table_checks.describe_doubts(fitted):
        click.echo(f"warning: {doubt}")
    click.echo(f"\n{'parameter':<10} {'estimate':>10}   {100 * level:g} % profile interval")
    for name, (low, high) in intervals.items():
        click.echo(f"{name:<10} {fitted.parameters[name]:>10.4g}   {low:.4g} to {high:.4g}")
    for axis, turn in turning_points.items():
        if turn.kind == "none":
            range_limit = f"{turning.REACH:g} times the largest measured value"
            click.echo(f"{axis:<10} no turning point up to {range_limit}")
        else:
            interval = f"{100 * level:g} % interval {turn.low:.4g} to {turn.high:.4g}"
            click.echo(f"{axis:<10} {turn.kind} at {turn.estimate:.4g}, {interval}")
    if out:
        serialization.save_fit(fitted, out, metric)


def parse_option(name: str, text: str) -> Any:
    """Parse an option of a law; axes are names, with or without commas and brackets."""
    return re.findall(r"[^\s,()\[\]'\"]+", text) if name == "axes" else parse_value(text)


def _echo_fit(fitted: Any, metric: str, table: pd.DataFrame) -> None:
    """Print how well a law fits, and the rows that a consensus left out."""
    from perflaw.tables import name_row

    click.echo(f"{fitted.law.name}, fitted to {metric} at {len(fitted.y)} points: {fitted.status}")
    click.echo(f"R2 {fitted.r2:.4f}   AICc {fitted.aicc:.1f}   residual sd {fitted.sigma:.3g}")
    for row, point in fitted.outliers.iterrows():
        place = ", ".join(f"{axis} {point[axis]:g}" for axis in fitted.law.axes)
        distance = f"{point['sigmas']:+.1f} sd from the others"
        value = f"{metric} {point['value']:.4g}"
        click.echo(f"left out: {name_row(table, row)} ({place}), {value}, {distance}")


def _check_table(points: str, table: pd.DataFrame, metric: str, axes: tuple[str, ...]) -> None:
    """Raise InputError for rows without a value, or not of one surface."""
    from perflaw import tables
    from perflaw.laws import families, table_checks

    if metric in axes:
        raise InputError(
            f"{metric} is an axis of the law; name the column of a metric with --metric"
        )
    if metric not in table:
        table_checks.choose_metric(points, table, metric)  # raises, with the likely columns
    for name in families.WHOLE_AXES:
        if name in axes and name in table:
            tables.check_whole(table, name, points)
    mend = "keep those of one value with --where"
    tables.check_one_surface(table, points, mend, (*axes, metric))
    if blank := int(table[metric].isna().sum()):
        raise InputError(
            f"{points}: {blank} of {len(table)} rows have no {metric}; "
            f'leave them out with --where "`{metric}`.notna()"'
        )


def _check_output(out: str) -> None:
    """Raise InputError for a file that would be overwritten and is no fitted law."""
    from perflaw.laws import serialization

    if not Path(out).exists():
        return
    is_law = Path(out).is_file()  # to read from a pipe, say, would take for ever
    if is_law:
        try:
            serialization.load_fit(out)
        except InputError:
            is_law = False
    if not is_law:
        raise InputError(
            f"{out} is there, and is no fitted law; name another file with --out, or remove it"
        )
