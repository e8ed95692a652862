"""How a text file is to be read, from its first lines: what stands above, delimiter, header."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from perflaw.errors import InputError
from perflaw.logs.readers.options import Reading, ReadOptions, clip, is_missing
from perflaw.logs.readers.records import (
    RULE,
    SPACES,
    WIDE_SPACES,
    Dialect,
    is_drawn,
    is_number,
    split_records,
)
from perflaw.logs.readers.roles import role_of
from perflaw.logs.readers.times import ISO

DELIMITERS = ("::", "\t", ",", ";", "|", SPACES, WIDE_SPACES)
QUOTED = (",", ";", "|")  # delimiters of files in which a quote may wrap a field
COMMENTS = ("#", "%", "//")
TYPES = ("token", "token_seq", "float", "float_seq")  # of RecBole's name:type
SEPARATOR_LINE = re.compile(r'"?sep=(.)"?')  # the first line of some spreadsheets' files
LINES = 201  # that are looked at
DELIMITER_NAMES = {"\t": "'\\t'", SPACES: "spaces", WIDE_SPACES: "two spaces or more"}
BLOCK = re.compile(r"\s*[^\s:,;|]+:\s*")
WRAPPED = re.compile(r'"[^"]*(?:""[^"]*)*"')


@dataclass
class Sample:
    """The first lines of a file that are not blank, with their numbers."""

    lines: list[str]
    numbers: list[int]


@dataclass
class Table:
    """How a file of delimited text is read.

    Attributes
    ----------
    names : list of str
        Of the columns; "" for one without a name, numbers from 1 where there is no header.
    types : list of str
        RecBole's types of the columns, "" where there are none.
    header : bool
        Is there a header line?
    skip : int
        Lines before the first row.
    rows : list of list of str
        The rows of the sample.
    """

    dialect: Dialect
    names: list[str]
    types: list[str]
    header: bool
    skip: int
    rows: list[list[str]] = field(repr=False)


def read_sample(path: Path, label: str) -> Sample:
    """Read the first lines of a text file, however long they are."""
    size = 1 << 17
    while True:
        with open(path, "rb") as file:
            head = file.read(size)
            whole = not file.read(1)
        if whole or head.count(b"\n") > 3 or size >= 1 << 28:
            break
        size *= 8
    if not whole:
        head = head[: head.rfind(b"\n") + 1] or head
    text = head.decode("utf-8", errors="replace").removeprefix("\ufeff")
    numbered = enumerate(text.split("\n"), 1)
    filled = ((line.rstrip("\r"), number) for number, line in numbered if line.strip())
    first = list(islice(filled, LINES))
    if not first:
        raise InputError(f"{label} holds nothing but blank lines: fetch or write it again")
    lines, numbers = map(list, zip(*first))
    return Sample(lines, numbers)


def sniff(sample: Sample, reading: Reading) -> Table:
    """Find out how the lines of a table are cut, and what its columns are called.

    Raises
    ------
    InputError
        Where that cannot be decided, with the option that says it.
    """
    label, findings = reading.label, reading.findings
    lines, numbers = sample.lines, sample.numbers
    delimiter = reading.options.delimiter
    if match := SEPARATOR_LINE.fullmatch(lines[0]):
        delimiter = delimiter or match[1]
        findings.guess(f"columns: split at {match[1]!r}, as the first line says")
        lines, numbers = lines[1:], numbers[1:]
    comment = _comment_mark(lines)
    above = 0
    if comment is not None:
        above = next(k for k, line in enumerate(lines) if not line.startswith(comment))
    comments = list(zip(lines[:above], numbers[:above]))
    lines, numbers = lines[above:], numbers[above:]
    _refuse_blocks(lines, numbers, label)
    dialect = Dialect(comment=comment)
    dialect.ruled = any(RULE.fullmatch(line) for line in lines[:5])
    if dialect.ruled:
        numbers = [number for line, number in zip(lines, numbers) if not is_drawn(line)]
        lines = [line for line in lines if not is_drawn(line)]
    if not lines:
        raise InputError(f"{label} has no rows: fetch or write it again")
    if delimiter is None:
        delimiter = _guess_delimiter(lines, dialect.ruled, label)
        findings.guess(f"columns: split at {DELIMITER_NAMES.get(delimiter, repr(delimiter))}")
    dialect.delimiter = delimiter
    if dialect.ruled:
        findings.note("lines drawn around the table are left out")
    dialect.quoting = _is_quoted(lines, dialect)
    starts, rows = _sample_rows(lines, dialect, label)
    dialect.skipped = 0
    numbers = [numbers[start - 1] for start in starts]
    _refuse_title(rows, numbers[0], label)
    if len(rows[0]) < 2:
        other = _guess_delimiter(lines, dialect.ruled, label)
        raise InputError(
            f"{label} has one column when split at {delimiter!r}; it seems to be split at {other!r}"
        )
    return _name_columns(rows, numbers, comments, dialect, reading)


def _comment_mark(lines: Sequence[str]) -> str | None:
    """Return what the lines of comment at the top begin with; None if there are none."""
    mark = next((mark for mark in COMMENTS if lines and lines[0].startswith(mark)), None)
    if mark is None:
        return None
    comments = [line.startswith(mark) for line in lines]
    if all(comments) or sum(comments) > comments.index(False) + len(lines) // 4:
        return None  # ids that begin so
    return mark


def _refuse_blocks(lines: Sequence[str], numbers: Sequence[int], label: str) -> None:
    if len(lines) > 1 and BLOCK.fullmatch(lines[0]):
        raise InputError(
            f"{label}, line {numbers[0]} ({clip(lines[0], 20)}): blocks of one item or user each, "
            "the name above its rows; write the name into each row, as in user,item,time"
        )


def _sample_rows(
    lines: Sequence[str], dialect: Dialect, label: str
) -> tuple[list[int], list[list[str]]]:
    """Return where the rows of sample lines begin, and the rows, up to one that is wrong."""
    starts, rows = [], []
    try:
        for number, fields in split_records(lines, dialect, label):
            starts.append(number)
            rows.append(fields)
    except InputError:
        if not rows:
            return list(range(1, len(lines) + 1)), [dialect.split(line) for line in lines]
    return starts, rows


def _is_quoted(lines: Sequence[str], dialect: Dialect) -> bool:
    """Return whether quotes wrap fields: at commas; elsewhere if the first line is wrapped."""
    if dialect.ruled or dialect.delimiter == WIDE_SPACES:
        return False
    if len(dialect.delimiter) == 1 and dialect.delimiter not in "\t ":
        return True
    first = lines[0].strip().split(dialect.delimiter)
    return len(first) > 1 and all(WRAPPED.fullmatch(cell) for cell in first)


# ---------------------------------------------------------------- delimiter


def _guess_delimiter(lines: Sequence[str], ruled: bool, label: str) -> str:
    """Return the delimiter that splits all lines into equally many fields, else the most common."""
    candidates = ("|", SPACES, WIDE_SPACES, "\t", ",") if ruled else DELIMITERS
    widths = {mark: _widths(lines, mark, ruled) for mark in candidates}
    even = [mark for mark, sizes in widths.items() if min(sizes) > 1 and len(set(sizes)) == 1]
    if not even:  # a delimiter too many at the end of each row, or a header of one field less
        even = [mark for mark, sizes in widths.items() if _is_even_but_first(sizes)]
    if even:
        named = [mark for mark in even if _has_roles(lines[0], mark, ruled)]
        marks = [mark for mark in even if mark.strip(" ")]
        if len(marks) > 1 and not named:
            choices = " or ".join(map(repr, marks))
            raise InputError(f"{label} may be split at {choices}; say which with delimiter=")
        return (named or even)[0]
    best = max(candidates, key=lambda mark: sum(size > 1 for size in widths[mark]))
    if max(widths[best]) < 2:
        raise InputError(
            f"{label} has one column; a log needs users and items, split at a tab, comma, ';', "
            "'|', '::' or space, or at what delimiter= says"
        )
    return best


def _widths(lines: Sequence[str], delimiter: str, ruled: bool) -> list[int]:
    """Return the number of fields of each line, or of each record where quotes wrap fields."""
    dialect = Dialect(delimiter=delimiter, ruled=ruled, quoting=not ruled and delimiter in QUOTED)
    if dialect.quoting:
        return [len(row) for row in _sample_rows(lines, dialect, "")[1]]
    return [len(dialect.split(line)) for line in lines]


def _is_even_but_first(sizes: list[int]) -> bool:
    return len(sizes) > 2 and set(sizes[1:]) == {sizes[0] + 1} and sizes[0] > 1


def _has_roles(line: str, delimiter: str, ruled: bool) -> bool:
    dialect = Dialect(delimiter=delimiter, ruled=ruled, quoting=delimiter in QUOTED)
    _, rows = _sample_rows([line], dialect, "")
    return sum(role_of(split_type(cell)[0]) is not None for cell in rows[0]) > 1


# ---------------------------------------------------------------- header


def split_type(cell: str) -> tuple[str, str]:
    """Split a column's name from its type, where RecBole's header has one."""
    name = cell.strip().strip('"').strip()
    head, colon, kind = name.rpartition(":")
    return (head.strip(), kind) if colon and kind in TYPES else (name, "")


def _name_columns(
    rows: list[list[str]],
    numbers: list[int],
    comments: list[tuple[str, int]],
    dialect: Dialect,
    reading: Reading,
) -> Table:
    options, findings = reading.options, reading.findings
    header = options.header
    skip = numbers[0] - 1
    lines_above = len(comments)
    if header is None and (cells := _commented_header(comments, rows[0], dialect)):
        findings.guess(f"columns: named by the comment in line {comments[-1][1]}")
        header = True
        rows = [cells, *rows]
        lines_above -= 1
    else:
        if header is None:
            header = _has_header(rows, reading.label, options)
        if header:
            skip = numbers[1] - 1 if len(numbers) > 1 else numbers[0]
    if lines_above:
        lines = "a line" if lines_above == 1 else f"{lines_above} lines"
        findings.note(f"{lines} of comment above the table left out")
    if header:
        body = rows[1:]
        columns = _fit_header([split_type(cell) for cell in rows[0]], body)
    else:
        body = rows
        columns = [(str(number), "") for number in range(1, len(rows[0]) + 1)]
    dialect.width = len(columns)
    body = [row for row in body if len(row) == dialect.width]
    if body:
        dialect.numeric = [
            k for k in range(dialect.width) if all(is_number(row[k].strip()) for row in body)
        ]
    names, types = map(list, zip(*columns))
    return Table(dialect, names, types, header, skip, body)


def _commented_header(
    comments: list[tuple[str, int]], first: list[str], dialect: Dialect
) -> list[str] | None:
    """Return the cells of the comment right above the table, if they name its columns."""
    if not comments or any(role_of(cell) for cell in first):
        return None
    line, _ = comments[-1]
    cells = dialect.split(line.lstrip("#%/ "))
    roles = [role_of(split_type(cell)[0]) for cell in cells]
    return cells if len(cells) == len(first) and {"user", "item"} <= set(roles) else None


def _fit_header(columns: list[tuple[str, str]], body: list[list[str]]) -> list[tuple[str, str]]:
    """Widen the header to the rows where their one field more is empty or numbers the rows."""
    if {len(row) for row in body} != {len(columns) + 1}:
        return columns
    if not any(row[-1].strip() for row in body):
        return [*columns, ("", "")]
    numbers = [row[0].strip().strip('"') for row in body]
    start = numbers[0]
    if start in ("0", "1") and numbers == [str(int(start) + k) for k in range(len(numbers))]:
        return [("", ""), *columns]  # row names, as R writes them
    return columns


def _refuse_title(rows: list[list[str]], number: int, label: str) -> None:
    """Raise InputError for a first line that is not of the table below it."""
    first, *widths = map(len, rows)
    if len(widths) < 2 or len(set(widths)) > 1:
        return
    width = widths[0]
    if width < 2 or width == first or (width == first + 1 and first > 1):
        return
    raise InputError(
        f"{label}, line {number}: {first} column{'s' * (first != 1)} where the lines below have "
        f"{width}; mend the line, or remove it"
    )


def _has_header(rows: list[list[str]], label: str, options: ReadOptions) -> bool:
    """Return whether the first row is a header: by its names, or as it differs from the rest."""
    columns = [split_type(cell) for cell in rows[0]]
    first = [name for name, _ in columns]
    body = [row for row in rows[1:] if len(row) == len(first)]
    given = [name for name in options.named.values() if name and not name.isdigit()]
    if any(name in first for name in given) or any(kind for _, kind in columns):
        return True
    if first[0] == "" and all(first[1:]) and body and all(row[0] for row in body):
        return True  # a table with its index, as pandas writes it
    kinds = [_kind(cell) for cell in first]
    below = [{_kind(row[k]) for row in body} - {None} for k in range(len(first))]
    differs = [k for k, kind in enumerate(kinds) if below[k] and kind not in below[k]]
    alike = [k for k, kind in enumerate(kinds) if kind in ("number", "date") and below[k] == {kind}]
    roles = {role_of(name) for name in first} - {None}
    if roles and not alike and (differs or {"user", "item"} <= roles or not body):
        return True
    if _is_counted(first) and body:
        differs = list(range(len(first)))
    numbers = [k for k in differs if kinds[k] == "number"]
    one_row = len(body) < 2 and len(numbers) < len(first)  # it says little
    if numbers and not one_row:
        raise _ask_for_header(label, first, "is numbers, perhaps the names of columns")
    if not roles and "number" in kinds and (numbers or not differs):
        return False
    raise _ask_for_header(label, first, "may be a header or a row")


def _is_counted(first: list[str]) -> bool:
    """Return whether these are 0, 1, 2 or 1, 2, 3, … as columns without names are called."""
    return first in (["0", "1", "2"], ["1", "2", "3"], ["0", "1", "2", "3"], ["1", "2", "3", "4"])


def _ask_for_header(label: str, first: list[str], what: str) -> InputError:
    return InputError(
        f"{label}: the first line ({clip(', '.join(first))}) {what}; say which with header=True or "
        "header=False, and name the columns with user=, item= and time="
    )


def _kind(cell: str) -> str | None:
    cell = cell.strip()
    if not cell or is_missing(cell):
        return None
    if is_number(cell):
        return "number"
    return "date" if ISO.fullmatch(cell) else "text"
