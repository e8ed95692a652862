"""What every test may rely on, also when the tests run in the background or in parallel."""

import signal

# A shell that starts a job in the background makes it deaf to Ctrl-C, and so its children:
# the tests of interruptions need a signal that arrives.
signal.signal(signal.SIGINT, signal.default_int_handler)
