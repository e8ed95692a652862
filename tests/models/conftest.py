"""Fixtures of the tests of models: a log, a sweep of it that is done, and processes to kill."""

import shutil
from pathlib import Path

import pytest
from sweep_helpers import FORK, GRID, LONG, records, sweep

from perflaw.logs import synthetic
from perflaw.logs.splits import leave_one_out
from perflaw.models.sweeps import runner
from perflaw.models.training import loop


@pytest.fixture(scope="session")
def log():
    return synthetic.Process(n_items=60, n_interests=4).sample(80, 12).log


@pytest.fixture(scope="session")
def done(log, tmp_path_factory):
    """A folder with the sweep GRID, done in this process."""
    folder = tmp_path_factory.mktemp("done")
    runner.run(GRID, log, folder, progress=False)
    return folder


@pytest.fixture
def copied(done, tmp_path):
    return Path(shutil.copytree(done, tmp_path / "copied"))


@pytest.fixture
def untrained(monkeypatch):
    """Who trains now fails."""
    monkeypatch.setattr(loop, "fit_job", None)


@pytest.fixture(scope="session")
def forks():
    """Start sweeps in processes that are forked from a server, which runs already."""
    server = FORK.Process(target=int)
    server.start()
    server.join()

    def start(grid, log, folder, **options):
        child = FORK.Process(
            target=runner.run, args=(grid, log, folder), kwargs=dict(progress=False, **options)
        )
        child.start()
        return child

    return start


@pytest.fixture(scope="session")
def undisturbed(log, tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    sweep(LONG, log, folder)
    return records(folder)


@pytest.fixture(scope="session")
def split():
    return leave_one_out(synthetic.Process(n_items=200, n_interests=8).sample(300, 20).log)
