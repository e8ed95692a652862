"""Take the solutions of exercises out of the pages: onto a page of their own, or away."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

PAGE = "executed/solutions"
CONTENTS_ENTRY = re.compile(rf"^ *- file: {PAGE}\n", re.MULTILINE)
SOLVED_TASK = re.compile(
    r"^:::\{admonition\} (?P<title>(?:Exercise|Quiz) .*)\n(?P<exercise>(?:^(?!:::$).*\n)*)^:::\n\n"
    r"^:::\{admonition\} Solution\n:class: dropdown\n(?P<solution>(?:^(?!:::$).*\n)*)^:::$",
    re.MULTILINE,
)
# A glued number that does not name its notebook, as it is on the same page.
UNQUALIFIED_GLUE = re.compile(r"(\{glue:\w+\}`)(?![^`]*::)")
HEAD = """# Solutions

:::{{admonition}} In short
:class: note
**Question.** How are the exercises and quizzes of this book solved?

**Answer.** Each task is repeated, and one way to solve it follows, in the order of the chapters.
Every piece of code is run by the tests.{quizzes}

**Limits.** Other ways may be as good. `make book SOLUTIONS=no` builds the book without this page.
:::
"""


def separate_solutions(source: Path, keep: bool) -> None:
    """Move the solutions of exercises and quizzes to a page of their own.

    A book whose table of contents has no such page keeps them where they are.

    Parameters
    ----------
    source
        Folder of the pages to render; those with solutions and the table of contents are rewritten.
    keep
        Whether to make that page; otherwise solutions are dropped.
    """
    contents = source / "_toc.yml"
    text = contents.read_text(encoding="utf-8")
    if keep and not CONTENTS_ENTRY.search(text):
        return
    if not keep:
        contents.write_text(CONTENTS_ENTRY.sub("", text), encoding="utf-8")
    sections = []
    quizzes = []
    for page in re.findall(r"file: ((?:executed|teaching)/\w+)", text):
        collector = _SolutionCollector(page, keep)
        if (source / f"{page}.ipynb").is_file():
            title = _rewrite_notebook(source / f"{page}.ipynb", collector.cut)
        elif (source / f"{page}.md").is_file():
            title = _rewrite_text(source / f"{page}.md", collector.cut)
        if collector.sections:
            heading = f"\n## {title}\n\nTasks of {{doc}}`/{page}`.\n"
            sections.append("\n".join([heading, *collector.sections]))
        if page.startswith("teaching/"):
            quizzes += collector.links
    if keep:
        links = f" Answers to the quizzes: {', '.join(quizzes)}." if quizzes else ""
        solutions = HEAD.format(quizzes=links) + "".join(sections)
        (source / f"{PAGE}.md").write_text(solutions, encoding="utf-8")


def _rewrite_notebook(path: Path, rewrite: Callable[[str], str]) -> str:
    """Rewrite the text of a notebook, and return its title."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            cell["source"] = rewrite("".join(cell["source"])).splitlines(keepends=True)
    path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return _title("".join(notebook["cells"][0]["source"]))


def _rewrite_text(path: Path, rewrite: Callable[[str], str]) -> str:
    """Rewrite a page of Markdown, and return its title."""
    text = path.read_text(encoding="utf-8")
    path.write_text(rewrite(text), encoding="utf-8")
    return _title(text)


def _title(text: str) -> str:
    return re.sub(r"^# ", "", text.partition("\n")[0])


class _SolutionCollector:
    """Cuts the solutions out of the text of a page, and makes a section of each."""

    def __init__(self, page: str, keep: bool) -> None:
        self.name = page.rpartition("/")[2]
        self.keep = keep
        self.sections: list[str] = []
        self.links: list[str] = []

    def cut(self, text: str) -> str:
        """Return the text without solutions; exercises link to them where they are kept."""
        return SOLVED_TASK.sub(self._cut_one, text)

    def _cut_one(self, match: re.Match[str]) -> str:
        label = f"solution-{self.name.replace('_', '-')}-{len(self.sections) + 1}"
        task = self._qualify(re.sub(r"^(:\w+:.*\n)+", "", match["exercise"]))  # without options
        solution = self._qualify(match["solution"])
        quoted = "\n".join(f"> {line}".rstrip() for line in task.splitlines())
        self.sections.append(f"({label})=\n### {match['title']}\n\n{quoted}\n\n{solution}")
        self.links.append(f"{{ref}}`{match['title']} <{label}>`")
        link = f"\n{{ref}}`Solution <{label}>`\n" if self.keep else ""
        return f":::{{admonition}} {match['title']}\n{match['exercise']}{link}:::"

    def _qualify(self, text: str) -> str:
        """Name the notebook of glued numbers, as another page has to."""
        return UNQUALIFIED_GLUE.sub(rf"\g<1>{self.name}.ipynb::", text)
