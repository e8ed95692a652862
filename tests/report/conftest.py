"""Logs and reports that several tests of the wing use."""

import nbformat
import pytest
from simulated_pilots import FLOOR, simulate_pilot

from perflaw.logs import synthetic
from perflaw.logs.interaction_log import write_log
from perflaw.report import conclusions, notebook, pilot, render


@pytest.fixture(scope="session")
def log():
    return synthetic.Process(n_items=80, n_interests=4).sample(200, 14, seed=1).log


@pytest.fixture(scope="session")
def shop(tmp_path_factory, log):
    """The log as a file."""
    path = tmp_path_factory.mktemp("shop") / "shop.parquet"
    write_log(log, path)
    return path


@pytest.fixture(scope="session")
def findings():
    return conclusions.draw_conclusions(simulate_pilot(), FLOOR)


@pytest.fixture(scope="module")
def quick_pilot():
    """A pilot of a few seconds."""
    settings = pilot.SETTINGS | {"epochs": 4, "negatives": 32, "max_seq_len": 20}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pilot, "SETTINGS", settings)
        patch.setattr(pilot, "FURTHER_RUNS", [])
        patch.setattr(pilot, "SHARE_RUNS", [(2, 16, 0, 0.5), (2, 16, 1, 0.5)])
        yield patch


@pytest.fixture
def unexecuted(monkeypatch):
    """Write notebooks of reports without executing them, for tests that look at other files."""

    def write(values, scratch, out):
        nbformat.write(notebook.report_notebook(values), scratch / "report" / "report.ipynb")

    monkeypatch.setattr(render, "execute_notebook", write)
