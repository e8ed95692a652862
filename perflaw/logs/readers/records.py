"""Lines of text → fields, by rules that are stated: what a quote is, where a record ends.

Quotes are text where fields are split at tabs, spaces or `::`. Where they are split at a comma,
semicolon or bar, a quote that opens a field ends at the next quote that is not doubled, and a
delimiter or the end of the line follows; a quote inside a field is text.
"""

from __future__ import annotations

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
        Positions of the columns that hold numbers, as far as was looked.
    """

    delimiter: str = ","
    quoting: bool = False
    ruled: bool = False
    comment: str | None = None
    width: int = 0
    numeric: list[int] = field(default_factory=list)
    skipped: int = 0  # comment lines met after the first row

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
    """Cut lines (without their ends) into records: the number of the first line, and the fields.

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
        if line.endswith("\r"):
            line = line[:-1]
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


def _check_footer(said: int, rows: int, label: str, number: int) -> None:
    if said not in (rows, rows - 1):  # with the header
        raise InputError(
            f"{label}, line {number}: it says {said} rows, and {rows - 1} are above it; "
            "fetch or write it again"
        )


def _split_quoted(
    number: int, line: str, numbered: Iterator[tuple[int, str]], dialect: Dialect, label: str
) -> list[str]:
    """Return the fields of a record whose first line has a quote; take more lines if needed."""
    delimiter = dialect.delimiter
    step = len(delimiter)
    fields: list[str] = []
    at = 0
    taken = [line]
    while True:
        if line.startswith('"', at):
            value, line, at = _quoted_field(number, line, at + 1, numbered, taken, label)
            if at < len(line) and not line.startswith(delimiter, at):
                raise InputError(
                    f"{label}, line {number + len(taken) - 1}: text after the end of a quoted "
                    f"field ({clip(line[max(at - 20, 0) : at + 10], 30)}); double the quotes "
                    "within fields, or remove them"
                )
            fields.append(value)
        else:
            end = line.find(delimiter, at)
            end = len(line) if end < 0 else end
            fields.append(line[at:end])
            at = end
        if at >= len(line):
            break
        at += step
    if len(taken) > 1 and all(_is_row(text, dialect) for text in taken):
        raise InputError(
            f"{label}, line {number}: a quoted field goes over {len(taken)} lines that are rows "
            "by themselves; close the quote, double it, or remove it"
        )
    return fields


def _quoted_field(
    number: int,
    line: str,
    at: int,
    numbered: Iterator[tuple[int, str]],
    taken: list[str],
    label: str,
) -> tuple[str, str, int]:
    """Return the text of a field after its opening quote, the line it ends on, and where."""
    parts = []
    while True:
        inside = INSIDE.match(line, at)
        assert inside is not None  # it fits the empty text
        parts.append(inside[0])
        at = inside.end()
        if at < len(line):  # the closing quote
            return "\n".join(parts).replace('""', '"'), line, at + 1
        following = next(numbered, None)
        if following is None or len(taken) >= LONGEST_FIELD:
            raise UnclosedQuoteError(
                f"{label}, line {number}: a quote that does not end; close it or remove it"
            )
        line = following[1].removesuffix("\r")
        taken.append(line)
        at = 0


def _is_row(line: str, dialect: Dialect) -> bool:
    """Return whether this line would be a row if its quotes were text."""
    fields = line.split(dialect.delimiter)
    if not dialect.width or len(fields) != dialect.width:
        return False
    return all(is_number(fields[place].strip(' "')) for place in dialect.numeric)


def is_number(text: str) -> bool:
    """Return whether this text is a finite number."""
    try:
        value = float(text)
    except ValueError:
        return False
    return value - value == 0 and "_" not in text
