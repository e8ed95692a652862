"""Solutions apart: on a page of their own, or not in the book at all."""

import json
import re
import shutil
from pathlib import Path

import pytest

from perflaw.publish.exercises import separate_solutions

ROOT = Path(__file__).parents[2]
TEXT = """# Laws

:::{admonition} Exercise (on paper, ★): half
:class: tip
What is half of {glue:text}`n:d`?
:::

:::{admonition} Solution
:class: dropdown
Half of {glue:text}`n:d`; {glue:text}`other.ipynb::m:d` is another matter.

```python
assert 4 / 2 == 2
```
:::

**Take-away.** Divide.
"""
QUIZ = """# Quizzes

:::{admonition} Quiz 1
:class: tip
1. Why?
:::

:::{admonition} Solution
:class: dropdown
1. Because.
:::
"""
CONTENTS = """root: index
chapters:
  - file: executed/laws
  - file: teaching/quizzes
  - file: executed/solutions
"""


@pytest.fixture
def source(tmp_path):
    """Pages of a book before they are rendered."""
    for folder in ("executed", "teaching"):
        (tmp_path / folder).mkdir()
    cells = [{"cell_type": "markdown", "source": TEXT.splitlines(keepends=True)}]
    (tmp_path / "executed" / "laws.ipynb").write_text(json.dumps({"cells": cells}))
    (tmp_path / "teaching" / "quizzes.md").write_text(QUIZ)
    (tmp_path / "_toc.yml").write_text(CONTENTS)
    return tmp_path


def page(source):
    """The text of the notebook's page."""
    notebook = json.loads((source / "executed" / "laws.ipynb").read_text())
    return "".join(notebook["cells"][0]["source"])


@pytest.mark.parametrize("keep", [True, False])
def test_no_solution_is_left_on_a_page(source, keep):
    separate_solutions(source, keep)
    assert "Half of" not in page(source)
    assert "Because" not in (source / "teaching" / "quizzes.md").read_text()
    assert page(source).endswith("**Take-away.** Divide.\n")


def test_solutions_are_gathered_under_their_pages(source):
    separate_solutions(source, keep=True)
    text = (source / "executed" / "solutions.md").read_text()
    assert re.findall("^#.*", text, re.MULTILINE) == [
        "# Solutions",
        "## Laws",
        "### Exercise (on paper, ★): half",
        "## Quizzes",
        "### Quiz 1",
    ]
    assert "assert 4 / 2 == 2" in text
    assert "1. Because." in text


def test_each_task_is_repeated_above_its_solution(source):
    separate_solutions(source, keep=True)
    text = (source / "executed" / "solutions.md").read_text()
    assert re.search(r"half\n\n> What is half of {glue:text}`laws.ipynb::n:d`\?\n\nHalf of", text)
    assert "> 1. Why?\n\n1. Because." in text


def test_the_answers_to_the_quizzes_are_linked_at_the_top(source):
    separate_solutions(source, keep=True)
    top = (source / "executed" / "solutions.md").read_text().partition("## Laws")[0]
    assert "{ref}`Quiz 1 <solution-quizzes-1>`." in top


def test_an_exercise_links_to_its_solution(source):
    separate_solutions(source, keep=True)
    assert "{ref}`Solution <solution-laws-1>`" in page(source)
    assert "(solution-laws-1)=" in (source / "executed" / "solutions.md").read_text()


def test_values_of_the_page_are_named_by_the_page(source):
    separate_solutions(source, keep=True)
    text = (source / "executed" / "solutions.md").read_text()
    assert "{glue:text}`laws.ipynb::n:d`" in text
    assert "{glue:text}`other.ipynb::m:d`" in text


def test_without_solutions_there_is_no_page_and_no_link(source):
    separate_solutions(source, keep=False)
    assert not (source / "executed" / "solutions.md").exists()
    assert "solutions" not in (source / "_toc.yml").read_text()
    assert "Solution" not in page(source)


def test_a_book_without_such_a_page_keeps_them_where_they_are(source):
    (source / "_toc.yml").write_text(CONTENTS.replace("  - file: executed/solutions\n", ""))
    separate_solutions(source, keep=True)
    assert page(source) == TEXT


def test_of_the_real_pages_no_solution_is_left(tmp_path):
    (tmp_path / "executed").mkdir()
    for notebook in (ROOT / "notebooks").glob("*.ipynb"):
        shutil.copy(notebook, tmp_path / "executed")
    shutil.copytree(ROOT / "book" / "teaching", tmp_path / "teaching")
    shutil.copy(ROOT / "book" / "_toc.yml", tmp_path)
    separate_solutions(tmp_path, keep=False)
    pages = [*tmp_path.glob("executed/*.ipynb"), *tmp_path.glob("teaching/*.md")]
    assert [path.name for path in pages if "{admonition} Solution" in path.read_text()] == []
