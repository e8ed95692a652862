"""The `perflaw` command: one module a command, parsing only."""
