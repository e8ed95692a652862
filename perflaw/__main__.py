"""`python -m perflaw` is the command `perflaw`."""

from perflaw.cli.main import main

main(prog_name="perflaw")
