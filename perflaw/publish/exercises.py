"""Take the solutions of exercises out of the pages: onto a page of their own, or away."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

PAGE = "executed/solutions"
ENTRY = re.compile(rf"^ *- file: {PAGE}\n", re.MULTILINE)
SOLVED = re.compile(
    r"^:::\{admonition\} (?P<title>(?:Exercise|Quiz) .*)\n(?P<exercise>(?:^(?!:::$).*\n)*)^:::\n\n"
    r"^:::\{admonition\} Solution\n:class: dropdown\n(?P<solution>(?:^(?!:::$).*\n)*)^:::$",
    re.MULTILINE,
)
OWN_VALUE = re.compile(r"(\{glue:\w+\}`)(?![^`]*::)")
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
        Whether there shall be such a page; if not, solutions are dropped.
    """
    contents = source / "_toc.yml"
    text = contents.read_text(encoding="utf-8")
    if keep and not ENTRY.search(text):
        return
    if not keep:
        contents.write_text(ENTRY.sub("", text), encoding="utf-8")
    sections, quizzes = [], []
    for page in re.findall(r"file: ((?:executed|teaching)/\w+)", text):
        cutter = _Cutter(page, keep)
        if (source / f"{page}.ipynb").is_file():
            title = _rewrite_notebook(source / f"{page}.ipynb", cutter.cut)
        elif (source / f"{page}.md").is_file():
            title = _rewrite_text(source / f"{page}.md", cutter.cut)
        if cutter.sections:
            head = f"\n## {title}\n\nTasks of {{doc}}`/{page}`.\n"
            sections.append("\n".join([head, *cutter.sections]))
        if page.startswith("teaching/"):
            quizzes += cutter.links
    if keep:
        linked = f" Answers to the quizzes: {', '.join(quizzes)}." if quizzes else ""
        text = HEAD.format(quizzes=linked) + "".join(sections)
        (source / f"{PAGE}.md").write_text(text, encoding="utf-8")


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


def _body(admonition: str) -> str:
    """Return the text of an admonition without its options."""
    return re.sub(r"^(:\w+:.*\n)+", "", admonition)


def _title(text: str) -> str:
    return re.sub(r"^# ", "", text.partition("\n")[0])


class _Cutter:
    """Cuts the solutions out of the text of a page, and keeps each as a section."""

    def __init__(self, page: str, keep: bool) -> None:
        self.page, self.keep = page, keep
        self.sections: list[str] = []
        self.links: list[str] = []

    def cut(self, text: str) -> str:
        """Return the text without solutions; exercises link to them where they are kept."""
        return SOLVED.sub(self._cut_one, text)

    def _cut_one(self, match: re.Match[str]) -> str:
        name = self.page.rpartition("/")[2]
        label = f"solution-{name.replace('_', '-')}-{len(self.sections) + 1}"
        task, solution = (
            OWN_VALUE.sub(rf"\g<1>{name}.ipynb::", match[part]) for part in ("exercise", "solution")
        )
        quoted = "\n".join(f"> {line}".rstrip() for line in _body(task).splitlines())
        self.sections.append(f"({label})=\n### {match['title']}\n\n{quoted}\n\n{solution}")
        self.links.append(f"{{ref}}`{match['title']} <{label}>`")
        link = f"\n{{ref}}`Solution <{label}>`\n" if self.keep else ""
        return f":::{{admonition}} {match['title']}\n{match['exercise']}{link}:::"
