"""Lines of text → fields, by rules that are stated: what a quote is, where a record ends.

Quotes are text where fields are split at tabs, spaces or `::`. Where they are split at a comma,
semicolon or bar, a quote that opens a field ends at the next quote that is not doubled, and a
delimiter or the end of the line follows; a quote inside a field is text.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from perflaw.errors import InputError
from perflaw.logs.readers.options import WHITE, clip

SPACES = " "  # split at runs of spaces
WIDE_SPACES = "  "  # split at two spaces or more
RULE = re.compile(r"(?=.*(?:--|==))[-+|=: \t]+")  # a line that a shell draws in a table
FOOTER = re.compile(r"\(?(\d+) (?:rows?|Zeilen?|lignes?)\b.*", re.IGNORECASE)
LONGEST_FIELD = 10_000  # lines that a quoted field may go over
INSIDE = re.compile(r'[^"]*(?:""[^"]*)*')


@dataclass
class Dialect:
    """How the lines of a text file are cut into the fields of a table.

    Attributes
    ----------
    delimiter : str
        Between fields; `SPACES` and `WIDE_SPACES` are runs of them.
    quoting : bool
        Does a quote that opens a field close it too?
    ruled : bool
        Was it printed by a shell, with lines drawn around the cells?
    comment : str or None
        What a line to be skipped begins with.
    width : int
        Fields of each row; 0 while it is not known.
    numeric : list of int
        Positions of the columns that hold numbers in the sample.
    skipped : int
        Lines of comment that were met after the first row.
    """

    delimiter: str = ","
    quoting: bool = False
    ruled: bool = False
    comment: str | None = None
    width: int = 0
    numeric: list[int] = field(default_factory=list)
    skipped: int = 0

    def split(self, line: str) -> list[str]:
        """Return the fields of a line in which quotes are text."""
        if self.ruled and self.delimiter == "|":
            return [cell.strip(WHITE) for cell in line.strip(WHITE).strip("|").split("|")]
        if self.delimiter == SPACES:
            return re.split(r"[ \t]+", line.strip(" \t"))
        if self.delimiter == WIDE_SPACES:
            return re.split(r" {2,}", line.strip(" "))
        return line.split(self.delimiter)


def is_drawn(line: str) -> bool:
    """Return whether this is a line around a table, or the count of rows below it."""
    return RULE.fullmatch(line) is not None or FOOTER.fullmatch(line.strip()) is not None


class UnclosedQuoteError(InputError):
    """A quote that opens a field and does not end."""


def split_records(
    lines: Iterable[str], dialect: Dialect, label: str, first_line: int = 1
) -> Iterator[tuple[int, list[str]]]:
    """Cut lines without their ends into records: the number of the first line, and the fields.

    Blank lines are skipped, and so are comments and drawn lines where the dialect has them.

    Raises
    ------
    InputError
        For a quote that does not end, one that ends inside a field, or a quoted field over
        several lines that are rows by themselves.
    """
    numbered = enumerate(lines, first_line)
    rows = 0
    for number, line in numbered:
        if not line or line.isspace():
            continue
        if dialect.comment and line.startswith(dialect.comment):
            if dialect.width and len(dialect.split(line)) == dialect.width:
                raise InputError(
                    f"{label}, line {number}: a row or a comment ({clip(line, 30)})? "
                    "Remove the line or the comments above the table"
                )
            dialect.skipped += 1
            continue
        if dialect.ruled:
            if RULE.fullmatch(line):
                continue
            if footer := FOOTER.fullmatch(line.strip()):
                _check_footer(int(footer[1]), rows, label, number)
                continue
        if dialect.quoting and '"' in line:
            fields = _split_quoted(number, line, numbered, dialect, label)
        else:
            fields = dialect.split(line)
        rows += 1
        yield number, fields


def _check_footer(count: int, rows: int, label: str, number: int) -> None:
    if count not in (rows, rows - 1):  # with the header
        raise InputError(
            f"{label}, line {number}: it says {count} rows, and {rows - 1} are above it; "
            "fetch or write it again"
        )


def _split_quoted(
    number: int, line: str, numbered: Iterator[tuple[int, str]], dialect: Dialect, label: str
) -> list[str]:
    """Return the fields of a record whose first line has a quote; take more lines if needed."""
    delimiter = dialect.delimiter
    fields: list[str] = []
    lines = [line]
    start = 0
    while True:
        if line.startswith('"', start):
            value, end = _quoted_field(number, start + 1, lines, numbered, label)
            line = lines[-1]
            if end < len(line) and not line.startswith(delimiter, end):
                raise InputError(
                    f"{label}, line {number + len(lines) - 1}: text after the end of a quoted "
                    f"field ({clip(line[max(end - 20, 0) : end + 10], 30)}); double the quotes "
                    "within fields, or remove them"
                )
        else:
            end = line.find(delimiter, start)
            if end < 0:
                end = len(line)
            value = line[start:end]
        fields.append(value)
        if end >= len(line):
            break
        start = end + len(delimiter)
    if len(lines) > 1 and all(_is_row(text, dialect) for text in lines):
        raise InputError(
            f"{label}, line {number}: a quoted field goes over {len(lines)} lines that are rows "
            "by themselves; close the quote, double it, or remove it"
        )
    return fields


def _quoted_field(
    number: int, start: int, lines: list[str], numbered: Iterator[tuple[int, str]], label: str
) -> tuple[str, int]:
    """Return the text of a field after its opening quote, and where the field ends.

    It begins in the last of `lines`, and may go on: the lines that it takes are added to them.
    """
    parts = []
    while True:
        inside = INSIDE.match(lines[-1], start)
        assert inside is not None  # it fits the empty text
        parts.append(inside[0])
        if inside.end() < len(lines[-1]):  # the closing quote
            return "\n".join(parts).replace('""', '"'), inside.end() + 1
        following = next(numbered, None)
        if following is None or len(lines) >= LONGEST_FIELD:
            raise UnclosedQuoteError(
                f"{label}, line {number}: a quote that does not end; close it or remove it"
            )
        lines.append(following[1])
        start = 0


def _is_row(line: str, dialect: Dialect) -> bool:
    """Return whether this line would be a row if its quotes were text."""
    fields = line.split(dialect.delimiter)
    if len(fields) != dialect.width:
        return False
    return all(is_number(fields[place].strip(' "')) for place in dialect.numeric)


def is_number(text: str) -> bool:
    """Return whether this text is a finite number."""
    try:
        return math.isfinite(float(text)) and "_" not in text
    except ValueError:
        return False
