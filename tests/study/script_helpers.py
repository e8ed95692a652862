"""What the tests of scripts, and of the grids that scripts run, share."""

import runpy
import sys
from pathlib import Path
from unittest import mock

import pandas as pd

from perflaw.study.files import study_file

SCRIPTS = Path(__file__).parents[2] / "scripts"
LIGHT_GCN = ["n_layers", "d_emb", "seed", "learning_rate"]


def load_committed(name):
    """Load a table of data/neighbours."""
    return pd.read_csv(study_file("data", "neighbours", f"{name}.csv"))


def refuse(*arguments, **options):
    """Stand for what trains."""
    raise AssertionError("nothing may be trained")


def run_as_shell(script, *arguments):
    """Run a script in this process as `python scripts/SCRIPT.py` does."""
    path = str(SCRIPTS / f"{script}.py")
    with (
        mock.patch.object(sys, "argv", [path, *map(str, arguments)]),
        mock.patch.object(sys, "path", [str(SCRIPTS), *sys.path]),
    ):
        runpy.run_path(path, run_name="__main__")
