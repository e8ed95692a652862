"""The prose: the field's words, and short sentences on the front page."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
# Private words, each with the term that the glossary has instead.
REPLACED = {
    r"foretold|foretells?|foretelling": "predicted",
    r"came true": "observed",
    r"nothing changes": "constant baseline",
    r"witness(es)?": "independent test",
    r"tempered|believed by": "shrunk",
    r"keeps? (its|their) word": "coverage",
    r"surely (better|worse)": "the interval excludes zero",
    r"without weights": "count-based baseline",
    r"asked for": "evaluated on",
    r"the truth": "the known value",
    r"noise units?": "standard deviation",
    r"parabola": "log-quadratic",
    r"sums? of powers": "sum of power laws",
    r"staying put": "keep the best trained model",
    r"league": "comparison of data measures",
    r"(small|large) hal(f|ves)": "small models",
}
FRONT = ROOT / "book" / "index.md"
PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "book").glob("*.md")),
    *sorted((ROOT / "notebooks").glob("*.ipynb")),
]


def prose(path):
    """Read the sentences of a page: no code, no roles, no links."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        cells = json.loads(text)["cells"]
        text = "\n\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")
    text = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    text = re.sub(r"`[^`]*`", "", text)
    return re.sub(r"\]\([^)]*\)|<[^>]*>", "", text)


def sentences(path):
    """Split a page's running text into sentences; leave out tables, list marks and options."""
    lines = [line for line in prose(path).splitlines() if not re.match(r"\s*(\||:|#|\{)", line)]
    paragraphs = re.split(r"\n\s*\n", "\n".join(lines))
    parts = [re.split(r"(?<=[.!?:])\s+", " ".join(text.split())) for text in paragraphs]
    return [part for paragraph in parts for part in paragraph if part]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_pages_use_the_words_of_the_field(path):
    found = [
        f"{match[0]} (say: {instead})"
        for words, instead in REPLACED.items()
        for match in re.finditer(rf"(?i)\b({words})\b", prose(path))
    ]
    assert found == []


def test_no_sentence_of_the_front_page_is_long():
    long = [sentence for sentence in sentences(FRONT) if len(sentence.split()) > 30]
    assert long == []
