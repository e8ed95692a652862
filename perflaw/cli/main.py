"""The group of commands, which imports the module of a command when it is called."""

from importlib import import_module
from typing import Any

import click

from perflaw import __version__

COMMANDS = (
    "book",
    "compare",
    "consolidate",
    "entropy",
    "fit",
    "log",
    "predict",
    "recommend",
    "report",
    "sweep",
    "train",
    "verify",
)


class LazyGroup(click.Group):
    """A group whose commands are the attribute `command` of modules in `perflaw.cli`."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """List the names of all commands, in alphabetical order."""
        return list(COMMANDS)

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command; None if there is none of this name."""
        if cmd_name not in COMMANDS:
            return None
        return import_module(f"perflaw.cli.{cmd_name}").command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command of a line, and refuse an option that the line gives twice."""
        name, command, rest = super().resolve_command(ctx, args)
        if command is not None:
            check_options(click.Context(command, ctx, name), rest)
        return name, command, rest

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; Ctrl-C ends each with 130."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo("\nInterrupted", err=True)
            raise SystemExit(130) from None


def check_options(ctx: click.Context, args: list[str]) -> None:
    """Refuse an option that is given twice and may be given once: click would take the last one.

    An empty value is refused too, as a variable of the shell that is not set gives it.
    """
    if ctx.resilient_parsing:
        return
    seen: set[click.Parameter] = set()
    values, _, order = ctx.command.make_parser(ctx).parse_args(list(args))
    for parameter in order:
        if not isinstance(parameter, click.Option) or parameter.multiple or parameter.count:
            continue
        names = " or ".join([*parameter.opts, *parameter.secondary_opts])
        if values.get(parameter.name) == "":
            raise click.UsageError(f"{names} is empty; give a value, or leave it out", ctx)
        if parameter in seen:
            raise click.UsageError(f"{names} is given twice; give it once", ctx)
        seen.add(parameter)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="perflaw")
def main() -> None:
    """Measure, fit and apply the Performance Law of sequential recommenders."""
