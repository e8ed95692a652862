"""Options that several commands share, values given as text, and errors as one line."""

from __future__ import annotations

import functools
import json
import math
import re
import shlex
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from perflaw import errors
from perflaw.io import LEADING_ZERO, parse_yaml

if TYPE_CHECKING:
    from perflaw.logs.interaction_log import InteractionLog

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

# How the command line has arguments of Python that are written as they are here.
FLAGS = {
    "header=True": "--header",
    "header=False": "--no-header",
    "drop_incomplete=True": "--drop-incomplete",
    "parts=True": "--parts",
    "time_format=": "time-format=",
}

LOG_ARGUMENT: Decorator = click.argument("log", metavar="LOG")
LOG_OPTIONS: list[Decorator] = [
    click.option(
        "--user",
        metavar="COLUMN",
        help="Column of users: its name, or its number where there is no header.",
    ),
    click.option("--item", metavar="COLUMN", help="Column of items."),
    click.option("--time", metavar="COLUMN", help="Column of times."),
    click.option(
        "--layout",
        type=click.Choice(["parquet", "table", "sequences", "json"]),
        help="Layout of the file; sequences: `user item item …` a line.",
    ),
    click.option("--delimiter", help=r"Delimiter of a table, e.g. ',' or '\t' or '::'."),
    click.option(
        "--header/--no-header",
        default=None,
        help="Whether the first line of a table is its header.",
    ),
    click.option(
        "--unit",
        type=click.Choice(["s", "ms", "us", "ns", "filetime", "ticks", "order"]),
        help="Unit of times that are numbers.",
    ),
    click.option(
        "--time-format",
        metavar="FORMAT",
        help="Form of times that are text, in the fields of strptime, e.g. '%d/%m/%y %H:%M'.",
    ),
    click.option(
        "--timezone", metavar="ZONE", help="Zone of local times, e.g. Europe/Berlin; default UTC."
    ),
    click.option(
        "--drop-incomplete",
        is_flag=True,
        default=None,
        help="Leave out rows without a user, an item or a time, and count them.",
    ),
    click.option(
        "--parts", is_flag=True, default=None, help="The log is a folder of Parquet files."
    ),
]


JSON_OPTION: Decorator = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object, and nothing else."
)
DEVICE_OPTION: Decorator = click.option(
    "--device", default="cpu", show_default=True, help="cpu, cuda or cuda:1."
)
QUIET_OPTION: Decorator = click.option(
    "--quiet", is_flag=True, help="Leave out how the log was read: guesses and notes."
)


def log_options(argument: Decorator = LOG_ARGUMENT) -> Decorator:
    """Add a log, and the options that say how to read it, to a command."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed([argument, *LOG_OPTIONS]):
            command = option(command)
        return command

    return decorate


def is_given(name: str) -> bool:
    """Return whether the command line gives a parameter of the command that runs."""
    source = click.get_current_context().get_parameter_source(name)
    return source is click.core.ParameterSource.COMMANDLINE


def repeat_log_arguments() -> str:
    """Write the log of the command that runs, and the options given to read it, for a shell."""
    from perflaw.logs.readers import ReadOptions

    context = click.get_current_context()
    words: list[str] = []
    for parameter in context.command.params:
        name = parameter.name or ""
        if name not in ("log", *ReadOptions.__dataclass_fields__) or not is_given(name):
            continue
        value = context.params[name]
        if isinstance(parameter, click.Argument):
            words.append(f"./{value}" if str(value).startswith("-") else str(value))
        elif isinstance(value, bool):
            words.append((parameter.opts if value else parameter.secondary_opts)[0])
        else:
            words += [parameter.opts[0], str(value)]
    return shlex.join(words)


def load_log(log: str, options: dict[str, Any]) -> InteractionLog:
    """Load the log that the arguments of `log_options` name."""
    from perflaw.logs import datasets

    if options["delimiter"]:
        options["delimiter"] = options["delimiter"].replace("\\t", "\t")
    return datasets.load_log(log, **options)


def echo_json(values: dict[str, Any]) -> None:
    """Print one JSON object; what is not finite is null."""
    click.echo(json.dumps(_plain(values), ensure_ascii=False, indent=2, allow_nan=False))


def _plain(value: Any) -> Any:
    """Turn a value into one that JSON has: plain types, and null for what is not finite."""
    if isinstance(value, dict):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if hasattr(value, "item"):  # a number of numpy
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def describe_reading(log: InteractionLog) -> dict[str, list[str]]:
    """Return what was guessed when a log was read, and the other notes about it."""
    return {
        "guesses": list(log.guesses),
        "notes": [as_options(note) for note in log.notes if note not in log.guesses],
    }


def echo_reading(log: InteractionLog) -> None:
    """Say on stderr how a log was read and what looks odd, for commands that print other things."""
    for note in log.notes:
        head = "read as" if note in log.guesses else "note"
        click.echo(f"{log.name} {head}: {as_options(note)}", err=True)


def name_value_option(*declarations: str, help: str) -> Decorator:
    """Make an option that takes a name and a value, once for each name."""
    return click.option(
        *declarations,
        metavar="NAME VALUE",
        nargs=2,
        multiple=True,
        callback=refuse_repeats,
        help=help,
    )


def refuse_repeats(
    context: click.Context, option: click.Parameter, pairs: tuple[tuple[str, str], ...]
) -> tuple[tuple[str, str], ...]:
    """Refuse a name that is given twice; return the pairs as they are."""
    values: dict[str, str] = {}
    for name, text in pairs:
        if name in values:
            raise click.ClickException(
                f"{option.opts[0]} {name} is given twice ({values[name]} and {text}); give it once"
            )
        values[name] = text
    return pairs


def parse_value(text: str) -> Any:
    """Parse a value: a number, true or false, a list, or text; 010 is text."""
    try:
        return text if LEADING_ZERO.match(text) else float(text)
    except ValueError:
        return parse_yaml(text)


def parse_setting(text: str) -> Any:
    """Parse a setting of a configuration: a value, but whole numbers are int and none is None."""
    try:
        return text if LEADING_ZERO.match(text) else int(text)
    except ValueError:
        return None if text in ("None", "none") else parse_value(text)


one_line_errors = functools.partial(
    errors.one_line_errors, lambda line: click.ClickException(as_options(line))
)
"""Turns a mistake of the user into one line and a non-zero exit; serves as a decorator."""


@contextmanager
def interruptible(describe_rest: Callable[[], str]) -> Iterator[None]:
    """At Ctrl-C or SIGTERM say what is left, and exit with 130; children are ended too.

    An interrupt that comes within a destructor, where Python drops exceptions, comes again.

    Parameters
    ----------
    describe_rest
        Called at an interrupt; returns what follows "Interrupted; ".
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    hook_before = sys.unraisablehook

    def interrupt_again(dropped: Any) -> None:
        if dropped.exc_type is KeyboardInterrupt:
            main = threading.main_thread().ident
            threading.Timer(0.01, signal.pthread_kill, (main, signal.SIGINT)).start()
        else:
            hook_before(dropped)

    sys.unraisablehook = interrupt_again
    try:
        yield
    except KeyboardInterrupt:
        click.echo(f"\nInterrupted; {describe_rest()}", err=True)
        raise SystemExit(130) from None
    finally:
        sys.unraisablehook = hook_before


def as_options(message: str) -> str:
    """Write an error as the command line has it: Python's `item=` is `--item` here.

    What the user typed stays as it is.
    """
    words: list[str] = []
    for value in click.get_current_context().params.values():
        words += map(str, value if isinstance(value, tuple) else [value])
    typed = sorted((word for word in words if "=" in word), key=len, reverse=True)
    if not typed:
        return _name_options(message).rstrip()
    pieces = re.split("(" + "|".join(map(re.escape, typed)) + ")", message)
    return "".join(text if text in typed else _name_options(text) for text in pieces).rstrip()


def _name_options(text: str) -> str:
    """Write the arguments of Python that a text names as options."""
    for python, option in FLAGS.items():
        text = text.replace(python, option)

    def as_option(match: re.Match[str]) -> str:
        name, following = match.groups()
        return f"--{name}{following}" if following in ",;" else f"--{name} {following}"

    return re.sub(
        r"\b(user|item|time|layout|delimiter|unit|time-format|timezone)= ?(.?)", as_option, text
    )
