"""Which modules a notebook reaches, and which notebooks an edit concerns."""

import ast
import shutil
from importlib import import_module
from pathlib import Path

import pytest

from perflaw.publish.execution import list_jobs
from perflaw.publish.reachability import Imports

ROOT = Path(__file__).parents[2]
LAZY_INIT = """
from perflaw.front_doors import offer_lazily
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from perflaw.laws.other import unused

_DOORS = {"fitting": ["fit"], "families": ["get_law"]}
__all__, __getattr__, __dir__ = offer_lazily(__name__, _DOORS)
"""
FILES = {
    "__init__": "",
    "errors": "",
    "front_doors": "",
    "io": "def f():\n    from perflaw import errors\n",
    "laws/__init__": LAZY_INIT,
    "laws/fitting": "from .families import a\n",
    "laws/families": "",
    "laws/other": "import perflaw.io",
    "study/__init__": "",
    "study/page": "from perflaw.laws import fit\n",
    "study/named": "import importlib\nimportlib.import_module('perflaw.laws.other')\n",
}


@pytest.fixture
def imports(tmp_path):
    for name, text in FILES.items():
        path = tmp_path / "perflaw" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return Imports(tmp_path / "perflaw")


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("import numpy", set()),
        ("from perflaw import errors", {"errors"}),
        ("import perflaw.io", {"io", "errors"}),
        ("def f():\n    import perflaw.io", {"io", "errors"}),
        ("from perflaw.laws import get_law", {"laws", "laws.families"}),
        ("from perflaw.laws import fit", {"laws", "laws.fitting", "laws.families"}),
        ("from perflaw import laws\nlaws.get_law()", {"laws", "laws.families"}),
        ("import perflaw.laws as l\nl.fit()", {"laws", "laws.fitting", "laws.families"}),
        ("from perflaw.laws import *", {"laws", "laws.fitting", "laws.families"}),
        ("from perflaw import laws", {"laws"}),
        (
            "from perflaw.study.page import x",
            {"study", "study.page", "laws", "laws.fitting", "laws.families"},
        ),
        (
            "import perflaw.study.named",
            {"study", "study.named", "laws", "laws.other", "io", "errors"},
        ),
    ],
)
def test_imports_are_followed(imports, code, expected):
    reached = imports.reachable(ast.parse(code)) - {"perflaw", "perflaw.front_doors"}
    assert reached == {f"perflaw.{name}" for name in expected}


@pytest.mark.integration
def test_every_front_door_leads_to_the_module_that_defines_it():
    front_doors = Imports(ROOT / "perflaw").front_doors
    offered = {name: import_module(name).__all__ for name in front_doors}
    assert {name: sorted(doors) for name, doors in front_doors.items()} == offered
    for doors in front_doors.values():
        assert all(hasattr(import_module(module), name) for name, module in doors.items())


@pytest.mark.integration
def test_an_edit_concerns_the_notebooks_that_reach_the_module(tmp_path):
    for name in ("perflaw", "notebooks"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "requirements.txt").write_text("")
    notebooks = sorted(tmp_path.glob("notebooks/*.ipynb"))
    keys = {job.notebook: job.key for job in list_jobs(tmp_path, notebooks, {})}
    module = tmp_path / "perflaw" / "laws" / "turning.py"
    module.write_text(module.read_text() + "\n# edited\n")
    imports = Imports(tmp_path / "perflaw")
    concerned = {path for path in notebooks if module in imports.files_reached_by(path)}
    changed = {
        job.notebook for job in list_jobs(tmp_path, notebooks, {}) if job.key != keys[job.notebook]
    }
    assert changed == concerned
    assert {path.stem for path in changed} >= {"planning", "identification"}
    assert not {path.stem for path in changed} & {"logs", "entropy", "rival_laws", "recovery"}
