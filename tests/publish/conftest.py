"""A toy project for the tests of books."""

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from toy_cells import DRAW

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


@pytest.fixture
def toy(tmp_path):
    """A project of two notebooks and one page."""
    for folder in ("notebooks", "perflaw", "data", "book/_static"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "perflaw" / "laws.py").write_text("")
    (tmp_path / "data" / "points.csv").write_text("x\n1\n")
    (tmp_path / "requirements.txt").write_text("click\n")
    (tmp_path / "CITATION.cff").write_text(
        "title: Toy\nversion: 1.2\nlicense: MIT\nauthors: [{name: Someone}]\n"
    )
    (tmp_path / "CHANGELOG.md").write_text("# Changelog\n")
    (tmp_path / "data" / "README.md").write_text("# Data\n")
    (tmp_path / "_config.yml").write_text(
        "title: Toy\nonly_build_toc_files: true\nexecute: {execute_notebooks: 'off'}\n"
        "sphinx: {config: {mathjax_path: none.js, html_static_path: [static]}}\n"
    )
    (tmp_path / "book" / "_static" / "extra.js").write_text("")
    (tmp_path / "book" / "_toc.yml").write_text(
        "format: jb-book\nroot: index\nchapters:\n- file: executed/one\n"
    )
    (tmp_path / "book" / "index.md").write_text(
        "# Toy\n\n:::{figure} figures/one.svg\nOne.\n:::\n\n```{include} _runtime.md\n```\n"
    )
    save_notebook(
        tmp_path,
        "one",
        DRAW.format("one") + "\nprint(level, label)",
        "level: float = 0.9  # coverage of the intervals\n"
        "label: str = 'x'\nsizes: list[int] = [1, 2]",
    )
    save_notebook(tmp_path, "two", "print(n)", "n: int = 3  # draws\nfast: bool = True")
    return tmp_path
