"""`perflaw compare`: which numbers moved between two built books."""

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

    page = None
    changes = compare_books(before, after)
    for change in changes:
        if change.page != page:
            page = change.page
            click.echo(page)
        moved = f"{change.before or '-'} -> {change.after or '-'}"
        moved = moved if change.before or change.after else ""
        click.echo("  " + "  ".join(filter(None, [change.name, moved, change.verdict])))
    beyond = sum(change.verdict.startswith("BEYOND") for change in changes)
    click.echo(f"differences: {len(changes)}; beyond their intervals: {beyond}")
