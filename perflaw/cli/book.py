"""`perflaw book`: execute the notebooks and render the book."""

from pathlib import Path

import click

from perflaw.cli.options import interruptible, name_value_option, one_line_errors


@click.command()
@click.option(
    "--params",
    "file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="YAML file of the notebooks' parameters: names and values.",
)
@name_value_option("-p", "pairs", help="One parameter; it wins over the file.")
@click.option("--name", help="Name of the book; by default made from the parameters.")
@click.option("--no-solutions", is_flag=True, help="Leave the solutions of exercises out.")
@click.option("--pdf", is_flag=True, help="Print the whole book as one PDF too; needs Chromium.")
@one_line_errors()
def command(
    file: Path | None,
    pairs: tuple[tuple[str, str], ...],
    name: str | None,
    no_solutions: bool,
    pdf: bool,
) -> None:
    """Execute the notebooks and render the book.

    Only what changed is done again. With parameters of your own the book is
    built beside the default one, in book/_build/NAME.
    """
    from perflaw.publish.builder import build_book
    from perflaw.publish.execution import BuildError
    from perflaw.publish.parameters import name_for, read_parameters
    from perflaw.publish.pdf import find_chromium, print_book

    if pdf:
        find_chromium()  # fails before minutes of work, not after
    with interruptible(lambda: "the last complete book is untouched."):
        try:
            parameters = read_parameters(file, pairs)
            title = name or name_for(file, pairs)
            index = build_book(Path.cwd(), parameters, title, solutions=not no_solutions)
        except BuildError as error:
            raise click.ClickException(str(error)) from None
    click.echo(index)
    if pdf:
        click.echo(print_book(index.parents[1]))
