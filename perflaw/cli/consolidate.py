"""`perflaw consolidate`: one table of a folder of run records."""

import click

from perflaw.cli.options import one_line_errors


@click.command()
@click.argument("runs", metavar="RUNS")
@click.argument("name", metavar="NAME")
@click.option("--where", metavar="FOLDER", help="Folder of the table; default data/sweeps.")
@one_line_errors()
def command(runs: str, name: str, where: str | None) -> None:
    """Write a folder of run records as one table.

    The table is NAME.csv, one row a run. Without --where it goes to data/sweeps of the
    repository, where `perflaw verify` and the book look for it.
    """
    from perflaw.models.sweeps import results

    click.echo(results.consolidate(runs, name, where))
