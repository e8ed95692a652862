"""What every test may rely on, also when the tests run in the background or in parallel."""

import signal

import pytest

# Fixtures that train, start processes, open a browser or build a package: what uses one of them
# is no unit test.
COSTLY = {
    "browser",
    "done",
    "forks",
    "hidden",
    "installed",
    "made",
    "own_report",
    "recorded",
    "undisturbed",
}

# A shell that starts a job in the background makes it deaf to Ctrl-C, and so its children:
# the tests of interruptions need a signal that arrives.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Mark what uses a costly fixture, before `-m` chooses."""
    for item in items:
        if COSTLY & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.integration)
