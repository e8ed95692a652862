"""A toy project for the tests of books."""

import shutil
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from toy_cells import DRAW

from perflaw.publish import builder

KERNEL = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}


def save_notebook(root, name, code, parameters=""):
    """A notebook with a title, perhaps a parameters cell, and one cell of code."""
    cells = [new_markdown_cell(f"# {name}"), new_code_cell(code)]
    if parameters:
        cells.insert(1, new_code_cell(parameters, metadata={"tags": ["parameters"]}))
    nbformat.write(new_notebook(cells=cells, metadata=KERNEL), root / "notebooks" / f"{name}.ipynb")


@pytest.fixture
def write_notebook():
    """Write a notebook of a project: its name, a cell of code, perhaps one of parameters."""
    return save_notebook


def make_toy(root):
    """Make a project of two notebooks and one page in a folder."""
    for folder in ("notebooks", "perflaw", "data", "book/_static"):
        (root / folder).mkdir(parents=True)
    (root / "perflaw" / "laws.py").write_text("")
    (root / "data" / "points.csv").write_text("x\n1\n")
    (root / "requirements.txt").write_text("click\n")
    (root / "CITATION.cff").write_text(
        "title: Toy\nversion: 1.2\nlicense: MIT\nauthors: [{name: Someone}]\n"
    )
    (root / "CHANGELOG.md").write_text("# Changelog\n")
    (root / "data" / "README.md").write_text("# Data\n")
    (root / "_config.yml").write_text(
        "title: Toy\nonly_build_toc_files: true\nexecute: {execute_notebooks: 'off'}\n"
        "sphinx: {config: {mathjax_path: none.js, html_static_path: [static]}}\n"
    )
    (root / "book" / "_static" / "extra.js").write_text("")
    (root / "book" / "_toc.yml").write_text(
        "format: jb-book\nroot: index\nchapters:\n- file: executed/one\n"
    )
    (root / "book" / "index.md").write_text(
        "# Toy\n\n:::{figure} figures/one.svg\nOne.\n:::\n\n```{include} _runtime.md\n```\n"
    )
    save_notebook(
        root,
        "one",
        DRAW.format("one") + "\nprint(level, label)",
        "level: float = 0.9  # coverage of the intervals\n"
        "label: str = 'x'\nsizes: list[int] = [1, 2]",
    )
    save_notebook(root, "two", "print(n)", "n: int = 3  # draws\nfast: bool = True")


@pytest.fixture
def toy(tmp_path):
    """A project of two notebooks and one page."""
    make_toy(tmp_path)
    return tmp_path


def render_nothing(home, scratch):
    """Leave Sphinx out: an empty index page stands for the pages."""
    (home / "html").mkdir(exist_ok=True)
    (home / "html" / "index.html").touch()


@pytest.fixture(scope="session")
def built_once(tmp_path_factory):
    """The toy project with its book, which stays as it is."""
    root = tmp_path_factory.mktemp("toy")
    make_toy(root)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(builder, "render_pages", render_nothing)
        patch.delenv("PERFLAW_DATA", raising=False)
        patch.delenv("PERFLAW_FIGURES", raising=False)
        builder.build_book(root)
    return root


@pytest.fixture
def built_toy(built_once, tmp_path, unrendered):
    """A copy of the toy project whose book is up to date."""
    return Path(shutil.copytree(built_once, tmp_path, dirs_exist_ok=True))


@pytest.fixture
def unrendered(monkeypatch):
    monkeypatch.setattr(builder, "render_pages", render_nothing)
