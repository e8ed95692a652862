"""`perflaw verify`: repeat runs of a table, and compare."""

from typing import Any

import click

from perflaw.cli.options import load_log, log_options, one_line_errors
from perflaw.errors import InputError


@click.command()
@click.argument("name", metavar="NAME")
@click.option(
    "--runs",
    default=3,
    show_default=True,
    type=click.IntRange(1),
    help="Number of runs to repeat, drawn at random.",
)
@log_options(
    click.option(
        "--log", help="A file or a name, where the log is not found by its name in the table."
    )
)
@click.option(
    "--tolerance",
    default=0.1,
    show_default=True,
    type=click.FloatRange(0),
    help="Largest difference of NDCG@10, as a share.",
)
@click.option(
    "--seed",
    default=0,
    show_default=True,
    type=click.IntRange(0, 2**32 - 1),
    help="Seed of the draw of runs.",
)
@one_line_errors()
def command(
    name: str, runs: int, log: str | None, tolerance: float, seed: int, **options: Any
) -> None:
    """Repeat runs of a table, and compare.

    NAME is a table in data/sweeps, or a CSV file. Compared is NDCG@10 on test by the older rule
    of ranking: where nothing repeats, only the items of the user's training part are removed.
    """
    from perflaw.models.sweeps import verification

    given = [option for option, value in options.items() if value is not None]
    if given and not log:
        raise InputError(f"--{given[0]} says how to read a log; name it with --log")
    interactions = load_log(log, options) if log else None
    comparison = verification.verify(name, runs, interactions, tolerance, seed)
    words = {"within": {True: "yes", False: "NO"}, "equal": {True: "yes", False: "no"}}
    click.echo(comparison.replace(words).to_string(index=False))
    outside = int((~comparison["within"]).sum())
    if outside:
        raise click.ClickException(
            f"{outside} of {len(comparison)} runs came out differently by more than "
            f"{100 * tolerance:.0f} %"
        )
    click.echo(
        f"{len(comparison)} runs within {100 * tolerance:.0f} % of what they were, "
        f"{comparison['equal'].sum()} of them equal to six digits"
    )
