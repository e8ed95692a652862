"""`perflaw compare`: which numbers moved between two built books."""

from itertools import groupby

import click

from perflaw.cli.options import one_line_errors


@click.command()
@click.argument("before", metavar="A")
@click.argument("after", metavar="B")
@one_line_errors()
def command(before: str, after: str) -> None:
    """List what differs between two built books.

    A and B are folders like book/_build/default, or names of books in book/_build. Numbers come
    first, then tables. Where book A has an interval for a number, the line says whether the number
    of book B is inside it.
    """
    from perflaw.publish.comparison import compare_books

    changes = compare_books(before, after)
    for page, page_changes in groupby(changes, key=lambda change: change.page):
        click.echo(page)
        for change in page_changes:
            has_values = change.before or change.after
            values = f"{change.before or '-'} -> {change.after or '-'}" if has_values else ""
            click.echo("  " + "  ".join(filter(None, [change.name, values, change.verdict])))
    beyond = sum(change.verdict.startswith("BEYOND") for change in changes)
    click.echo(f"differences: {len(changes)}; beyond their intervals: {beyond}")
