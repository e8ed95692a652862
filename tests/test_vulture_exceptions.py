"""What is excepted from the search for unused code is still used."""

import json
import re
from pathlib import Path

import pytest
from vulture_exceptions import NOTEBOOKS

FOLDER = Path(__file__).parents[1] / "notebooks"


@pytest.fixture(scope="module")
def words():
    """All words of the notebooks' cells; solutions of exercises are text."""
    cells = [
        "".join(cell["source"])
        for path in FOLDER.glob("*.ipynb")
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]
    ]
    return set(re.findall(r"\w+", "\n".join(cells)))


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_has_the_name(name, words):
    assert name in words, f"no notebook uses {name}: delete it, or take it out of the list"
