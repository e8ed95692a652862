"""The command line as tests call it."""

from click.testing import CliRunner, Result

from perflaw.cli.main import main


def run(*arguments) -> Result:
    """Run `perflaw` with these arguments, in this process."""
    return CliRunner().invoke(main, [str(argument) for argument in arguments])
