"""The command line of a script of scripts/: what it takes, and one line for what is wrong."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from perflaw.errors import one_line_errors


class OneLineParser(argparse.ArgumentParser):
    """A parser that says in one line what is wrong with the arguments, and how to call it."""

    def error(self, message: str) -> NoReturn:
        """End with 2."""
        usage = " ".join(self.format_usage().split())
        self.exit(2, f"{self.prog}: {message}; {usage}\n")


def make_parser(description: str | None) -> OneLineParser:
    """Make a parser without arguments; --help shows the first line of the description."""
    return OneLineParser(description=(description or "").split("\n")[0])


def run_main(
    main: Callable[..., None],
    parser: argparse.ArgumentParser,
    arguments: Sequence[str] | None = None,
) -> None:
    """Run the main function of a script; exit with one line on bad input, and warn in one line.

    Parameters
    ----------
    main : callable
        Its parameters have the names of the parser's arguments.
    parser : argparse.ArgumentParser
        What `make_parser` returns, with arguments.
    arguments : sequence of str, optional
        In the place of those of the command line.
    """
    options = parser.parse_args(arguments)
    with one_line_errors():
        main(**vars(options))


def existing_file(text: str) -> Path:
    """Return the path of a file, for the ``type`` of an argument."""
    path = Path(text)
    if not path.is_file():
        raise argparse.ArgumentTypeError(f"there is no file {text}")
    return path


def records_folder(text: str) -> Path:
    """Return the path of a folder of run records, for the ``type`` of an argument."""
    return _check_records(text, "*.json", "")


def folder_of_folders(text: str) -> Path:
    """Return the path of a folder with folders of run records, for the ``type`` of an argument."""
    return _check_records(text, "*/**/*.json", " in folders of it, one a log")


def _check_records(text: str, pattern: str, where: str) -> Path:
    path = Path(text)
    if not path.is_dir():
        raise argparse.ArgumentTypeError(f"{text} is no folder; name one of run records")
    if not any(path.glob(pattern)):
        raise argparse.ArgumentTypeError(f"{text} has no run records{where} (KEY.json)")
    return path
