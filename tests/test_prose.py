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
    *sorted((ROOT / "book" / "teaching").glob("*.md")),
    *sorted((ROOT / "notebooks").glob("*.ipynb")),
]
LONGEST = 30  # words
MOST_NUMBERS = 3
SHARE = 0.02  # of the sentences of the book may be longer or fuller


def markdown(path):
    """Read the Markdown of a page; of a notebook that of its cells."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        cells = json.loads(text)["cells"]
        text = "\n\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")
    return re.sub(r"```.*?```", "", text, flags=re.DOTALL)


def prose(path):
    """Read the text of a page: no code, no roles, no links."""
    text = re.sub(r"`[^`]*`", "", markdown(path))
    return re.sub(r"\]\([^)]*\)|<[^>]*>", "", text)


def readable(path):
    """Read the text of a page, with a word for each formula and a digit for each glued number."""
    text = re.sub(r"\$\$.*?\$\$", "", markdown(path), flags=re.DOTALL)
    text = re.sub(r"\{glue:text\}`[^`]*?:[^:`]*[dfg%]`", "1", text)
    text = re.sub(r"\{cite\}`[^`]*`", "", text)
    text = re.sub(r"(\{\w[\w:]*\})?`[^`]*`|\$[^$]*\$", "X", text)
    return re.sub(r"\]\([^)]*\)|<[^>]*>", "", text)


def sentences(text):
    """Split running text into sentences; leave out tables, headings, directives and options."""
    lines = [line for line in text.splitlines() if not re.match(r"\s*(\||:(?! )|#|\{)", line)]
    text = re.sub(r"^\s*(?:: +|[-*] |\d+\. )", "\n\n", "\n".join(lines), flags=re.MULTILINE)
    paragraphs = re.split(r"\n\s*\n", text)
    parts = [re.split(r"(?<=[.!?:])[)*\"]*\s+", " ".join(each.split())) for each in paragraphs]
    return [part for paragraph in parts for part in paragraph if part]


def count_numbers(sentence):
    """Count the numbers of a sentence, but for levels and those in names, like MovieLens-1M."""
    sentence = re.sub(r"\d+ % intervals?", "interval", sentence)
    return len(re.findall(r"(?<![\w@.,-])[-+−±]?\d+(?:[.,]\d+)*(?![\w-])", sentence))


def hard_sentences(path):
    """List the sentences of a page that are too long or too full of numbers."""
    return [
        sentence
        for sentence in sentences(readable(path))
        if len(sentence.split()) > LONGEST or count_numbers(sentence) > MOST_NUMBERS
    ]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_pages_use_the_words_of_the_field(path):
    found = [
        f"{match[0]} (say: {instead})"
        for words, instead in REPLACED.items()
        for match in re.finditer(rf"(?i)\b({words})\b", prose(path))
    ]
    assert found == []


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_decimals_begin_with_a_digit(path):
    text = re.sub(r"\{glue:text\}`[^`]*`", "", markdown(path))
    assert re.findall(r".{,20}(?<![\w.])\.\d+", text) == []


@pytest.mark.parametrize("path", [FRONT, ROOT / "README.md"], ids=lambda path: path.name)
def test_no_sentence_of_the_front_page_is_hard(path):
    assert hard_sentences(path) == []


def test_the_abstract_has_at_most_150_words():
    opening = FRONT.read_text(encoding="utf-8").partition("\n## ")[0]
    _, _, abstract = opening.partition("\n")
    assert len(re.sub(r"\{cite\}`[^`]*`", "", abstract).split()) <= 150


def test_hardly_a_sentence_of_the_book_is_hard():
    hard = {path.name: len(hard_sentences(path)) for path in PAGES}
    count = sum(len(sentences(readable(path))) for path in PAGES)
    assert sum(hard.values()) < SHARE * count, {name: n for name, n in hard.items() if n}


def test_long_and_full_sentences_are_found(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        f"Short. {'word ' * 31}.\n\nFrom 1 to 2, 3 or {{glue:text}}`n:.2f` on MovieLens-1M.\n"
        "\n| 1 | 2 | 3 | 4 | 5 |\n\nHR@10 is 0.5, or $1 + 2 + 3 + 4$.\n"
    )
    assert [sentence.split()[0] for sentence in hard_sentences(page)] == ["word", "From"]
