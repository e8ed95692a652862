"""The group of commands, which imports a command's module when it is asked for."""

from importlib import import_module

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
        command: click.Command = import_module(f"perflaw.cli.{cmd_name}").command
        return command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="perflaw")
def main() -> None:
    """Measure, fit and apply the Performance Law of sequential recommenders."""
