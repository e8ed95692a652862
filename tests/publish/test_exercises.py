"""The exercises of the book: every chapter has its kinds, and every solution runs."""

import contextlib
import io
import json
import re
from pathlib import Path
from typing import NamedTuple

import pytest

pytestmark = pytest.mark.book

ROOT = Path(__file__).parents[2]
KINDS = ("on paper", "code", "break the claim")
SLOW = {  # those that take more than a few seconds
    ("identification", "noise or grid?"),
    ("identification", "an optimum where there is none"),
    ("own_fits", "the law describes the surface"),
    ("joint_law", "where does the strength come from?"),
    ("backbones", "one backbone is better than another"),
    ("predictions", "how sure is a law far out?"),
}
ADMONITION = re.compile(
    r"^:::\{admonition\} (.*)\n((?:^:\w+:.*\n)*)((?:^(?!:::$).*\n)*)^:::$", re.MULTILINE
)
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Exercise(NamedTuple):
    page: str
    kind: str
    title: str
    options: str
    follows: tuple[str, str, str]  # title, options and text of the admonition after it

    @property
    def blocks(self):
        return BLOCK.findall(self.follows[2])


def prose(path):
    """The Markdown of a page: of a notebook that of its last cell."""
    if path.suffix == ".md":
        return path.read_text(encoding="utf-8")
    last = json.loads(path.read_text(encoding="utf-8"))["cells"][-1]
    return "".join(last["source"]) if last["cell_type"] == "markdown" else ""


def exercises(path):
    found = [match.groups() for match in ADMONITION.finditer(prose(path) + "\n")]
    for i, (title, options, _) in enumerate(found):
        if title.startswith("Exercise"):
            match = re.fullmatch(r"Exercise \((.*?), (★{1,3})\): (.*)", title)
            kind, _, name = match.groups() if match else ("", "", title)
            yield Exercise(
                path.stem, kind, name, options, found[i + 1] if i + 1 < len(found) else ("", "", "")
            )


NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
ALL = [
    exercise
    for path in [*NOTEBOOKS, *sorted((ROOT / "book").glob("*.md"))]
    for exercise in exercises(path)
]
NAMES = [(exercise.page, exercise.title) for exercise in ALL]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_chapter_has_the_three_kinds(path):
    assert sorted(exercise.kind for exercise in exercises(path)) == sorted(KINDS)


def test_every_exercise_of_a_notebook_is_found():
    text = "".join(path.read_text(encoding="utf-8") for path in NOTEBOOKS)
    assert text.count("{admonition} Exercise") == len(
        [exercise for exercise in ALL if exercise.page in {path.stem for path in NOTEBOOKS}]
    )
    assert len(set(NAMES)) == len(NAMES)
    assert set(NAMES) >= SLOW


@pytest.mark.parametrize("exercise", ALL, ids=lambda exercise: f"{exercise.page}: {exercise.title}")
def test_a_hidden_solution_follows_with_code_that_asserts(exercise):
    title, options, text = exercise.follows
    assert exercise.options == ":class: tip\n"
    assert (title, options) == ("Solution", ":class: dropdown\n")
    assert exercise.blocks
    assert all("assert " in block for block in exercise.blocks)
    assert text.count("```") == 2 * len(exercise.blocks)


@pytest.mark.parametrize(
    "exercise",
    [
        pytest.param(
            exercise,
            id=f"{exercise.page}: {exercise.title}",
            marks=[pytest.mark.slow] if (exercise.page, exercise.title) in SLOW else [],
        )
        for exercise in ALL
    ],
)
def test_a_solution_is_right(exercise, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for block in exercise.blocks:
        with contextlib.redirect_stdout(io.StringIO()):
            exec(
                compile(block, f"{exercise.page}: {exercise.title}", "exec"),
                {"__name__": "exercise"},
            )


def test_the_page_on_teaching_lists_all_exercises():
    rows = re.findall(
        r"^\| \{doc\}`executed/(\w+)` \| (.*) \| (.*) \| (.*) \|$",
        (ROOT / "book" / "teaching.md").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    listed = [(page, kind, title) for page, *titles in rows for kind, title in zip(KINDS, titles)]
    assert sorted(listed) == sorted(
        (exercise.page, exercise.kind, exercise.title) for exercise in ALL
    )
    chapters = re.findall(
        r"file: executed/(?!solutions)(\w+)",
        (ROOT / "book" / "_toc.yml").read_text(encoding="utf-8"),
    )
    assert [page for page, *_ in rows] == chapters


def test_the_questions_of_the_page_on_teaching_each_lead_to_a_page_and_a_number():
    text = (ROOT / "book" / "teaching.md").read_text(encoding="utf-8")
    questions = re.split(
        r"^\d+\. \*\*",
        text.partition("## Questions to ask")[2].partition("## All exercises")[0],
        flags=re.MULTILINE,
    )[1:]
    assert 12 <= len(questions) <= 15
    assert all(
        "{doc}`executed/" in question and "{glue:text}`executed/" in question
        for question in questions
    )
