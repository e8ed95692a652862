"""The table of contents: every page is in it once, under a title of its own, in a numbered part."""

import json
import re
from pathlib import Path

import pytest
import yaml

pytestmark = pytest.mark.book

ROOT = Path(__file__).parents[2]
TOC = yaml.safe_load((ROOT / "book" / "_toc.yml").read_text(encoding="utf-8"))
MADE = {"api", "executed/solutions"}  # by the build
SOURCES = {"data": ROOT / "data" / "README.md", "CHANGELOG": ROOT / "CHANGELOG.md"}
UNNUMBERED = ["The two-week unit", "Around the study", "Appendices"]


def listed(entries):
    """Names of pages in the order of the contents."""
    for entry in entries:
        yield entry["file"]
        yield from listed(entry.get("sections", []))


PAGES = [TOC["root"], *(name for part in TOC["parts"] for name in listed(part["chapters"]))]


def source(name):
    """Text of a page as it is written."""
    if name.startswith("executed/"):
        path = ROOT / "notebooks" / f"{name.removeprefix('executed/')}.ipynb"
        return "".join(json.loads(path.read_text(encoding="utf-8"))["cells"][0]["source"])
    return SOURCES.get(name, ROOT / "book" / f"{name}.md").read_text(encoding="utf-8")


def test_every_notebook_and_every_page_is_in_the_contents_once():
    notebooks = {f"executed/{path.stem}" for path in (ROOT / "notebooks").glob("*.ipynb")}
    book = ROOT / "book"
    prose = {
        path.relative_to(book).with_suffix("").as_posix()
        for folder in (book, book / "teaching")
        for path in folder.glob("*.md")
    }
    assert sorted(PAGES) == sorted(notebooks | prose | MADE | set(SOURCES))


def test_no_two_pages_have_one_title():
    titles = [
        re.search(r"^# (.+)$", source(name), re.MULTILINE)[1] for name in PAGES if name not in MADE
    ]
    assert len(set(titles)) == len(titles)


def test_chapters_are_numbered_and_appendices_are_not():
    assert TOC["defaults"] == {"numbered": 1}
    unnumbered = [part["caption"] for part in TOC["parts"] if part.get("numbered") is False]
    assert unnumbered == UNNUMBERED
