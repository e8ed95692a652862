"""How a text file is to be read, from its first lines: what stands above, delimiter, header."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from perflaw.errors import InputError
from perflaw.logs.readers.options import Findings, ReadOptions, clip, is_missing
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
LINES = 200  # that are looked at
SHOWN = {"\t": "'\\t'", SPACES: "spaces", WIDE_SPACES: "two spaces or more"}
BLOCK = re.compile(r"\s*[^\s:,;|]+:\s*")


@dataclass
class Sample:
    """The first lines of a file that are not blank, with their numbers."""

    lines: list[str]
    numbers: list[int]
    whole: bool  # is this all of the file?


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
        ends = head.count(b"\n")
        if whole or ends > 3 or size >= 1 << 28:
            break
        size *= 8
    if not whole:
        head = head[: head.rfind(b"\n") + 1] or head
    text = head.decode("utf-8", errors="replace").removeprefix("\ufeff")
    numbered = enumerate(text.split("\n"), 1)
    filled = ((line.removesuffix("\r"), n) for n, line in numbered if line and not line.isspace())
    kept = list(islice(filled, LINES + 1))
    if not kept:
        raise InputError(f"{label} holds nothing but blank lines: fetch or write it again")
    shown, numbers = zip(*kept, strict=True)
    return Sample(list(shown), list(numbers), whole and len(kept) <= LINES)


def sniff(sample: Sample, label: str, options: ReadOptions, findings: Findings) -> Table:
    """Find out how the lines of a table are cut, and what its columns are called.

    Raises
    ------
    InputError
        Where that cannot be told, with the option that says it.
    """
    lines, numbers = list(sample.lines), list(sample.numbers)
    delimiter = options.delimiter
    if match := re.fullmatch(r'"?sep=(.)"?', lines[0]):
        delimiter = delimiter or match[1]
        findings.guess(f"columns: split at {match[1]!r}, as the first line says")
        lines, numbers = lines[1:], numbers[1:]
    lines, numbers, comments = _without_comments(lines, numbers)
    if not lines:
        raise InputError(f"{label} has no rows: fetch or write it again")
    _refuse_blocks(lines, numbers, label)
    dialect = Dialect(comment=comments[0][0][:1] if comments else None)
    dialect.ruled = any(RULE.fullmatch(line) for line in lines[:5])
    kept = [k for k, line in enumerate(lines) if not (dialect.ruled and is_drawn(line))]
    plain = [lines[k] for k in kept]
    if not plain:
        raise InputError(f"{label} has no rows: fetch or write it again")
    if delimiter is None:
        delimiter = _guess_delimiter(plain, dialect, label)
        findings.guess(f"columns: split at {SHOWN.get(delimiter, repr(delimiter))}")
    dialect.delimiter = delimiter
    if dialect.ruled:
        findings.note("lines drawn around the table are left out")
    dialect.quoting = _is_quoted(plain, dialect)
    at, rows = _sample_rows(plain, dialect, label)
    dialect.skipped = 0
    starts = [numbers[kept[k - 1]] for k in at]
    _refuse_title(rows, starts[0], label)
    if len(rows[0]) < 2:
        other = _guess_delimiter(plain, Dialect(ruled=dialect.ruled), label)
        raise InputError(
            f"{label} has one column when split at {delimiter!r}; it seems to be split at {other!r}"
        )
    return _name_columns(rows, starts, comments, dialect, label, options, findings)


def _without_comments(
    lines: list[str], numbers: list[int]
) -> tuple[list[str], list[int], list[tuple[str, int]]]:
    """Lines after the comments at the top, and those comments with their numbers."""
    for prefix in COMMENTS:
        if not lines[0].startswith(prefix):
            continue
        first = next((k for k, line in enumerate(lines) if not line.startswith(prefix)), None)
        if (
            first is None
            or sum(line.startswith(prefix) for line in lines) > first + len(lines) // 4
        ):
            return lines, numbers, []  # ids that begin so
        return lines[first:], numbers[first:], list(zip(lines[:first], numbers[:first]))
    return lines, numbers, []


def _refuse_blocks(lines: Sequence[str], numbers: Sequence[int], label: str) -> None:
    if not BLOCK.fullmatch(lines[0]) or len(lines) < 2:
        return
    raise InputError(
        f"{label}, line {numbers[0]} ({clip(lines[0], 20)}): blocks of one item or user each, the "
        "name above its rows; write the name into each row, as in user,item,time"
    )


def _sample_rows(
    lines: Sequence[str], dialect: Dialect, label: str
) -> tuple[list[int], list[list[str]]]:
    """Where the rows of sample lines begin, and the rows; what is wrong with them is said later."""
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
    if dialect.delimiter in QUOTED or (
        len(dialect.delimiter) == 1 and dialect.delimiter not in "\t "
    ):
        return True
    wrapped = re.compile(r'"[^"]*(?:""[^"]*)*"')
    first = lines[0].strip().split(dialect.delimiter)
    return len(first) > 1 and all(wrapped.fullmatch(cell) for cell in first)


# ---------------------------------------------------------------- delimiter


def _widths(lines: Sequence[str], delimiter: str, ruled: bool) -> list[int]:
    dialect = Dialect(delimiter=delimiter, ruled=ruled, quoting=not ruled and delimiter in QUOTED)
    if dialect.quoting:
        return [len(row) for row in _sample_rows(lines, dialect, "")[1]]
    return [len(dialect.split(line)) for line in lines]


def _guess_delimiter(lines: Sequence[str], dialect: Dialect, label: str) -> str:
    """Return the delimiter that splits all lines into equally many fields, else the most common."""
    candidates = ("|", SPACES, WIDE_SPACES, "\t", ",") if dialect.ruled else DELIMITERS
    widths = {mark: _widths(lines, mark, dialect.ruled) for mark in candidates}
    even = [mark for mark, sizes in widths.items() if min(sizes) > 1 and len(set(sizes)) == 1]
    if not even:  # a delimiter too many at the end of each row, or a header of one field less
        even = [
            mark for mark, sizes in widths.items() if len(sizes) > 2 and _is_even_but_first(sizes)
        ]
    if even:
        named = [mark for mark in even if _has_roles(lines[0], mark, dialect.ruled)]
        marks = [mark for mark in even if mark.strip(" ")]
        if len(marks) > 1 and not named:
            said = " or ".join(map(repr, marks))
            raise InputError(f"{label} may be split at {said}; say which with delimiter=")
        return (named or even)[0]
    best = max(candidates, key=lambda mark: sum(size > 1 for size in widths[mark]))
    if max(widths[best]) < 2:
        raise InputError(
            f"{label} has one column; a log needs users and items, split at a tab, comma, ';', "
            "'|', '::' or space, or at what delimiter= says"
        )
    return best


def _is_even_but_first(sizes: list[int]) -> bool:
    return len(set(sizes[1:])) == 1 and sizes[1] == sizes[0] + 1 and sizes[0] > 1


def _has_roles(line: str, delimiter: str, ruled: bool) -> bool:
    dialect = Dialect(delimiter=delimiter, ruled=ruled, quoting=delimiter in QUOTED)
    _, rows = _sample_rows([line], dialect, "")
    return (
        len(rows[0]) > 1 and sum(role_of(split_type(cell)[0]) is not None for cell in rows[0]) > 1
    )


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
    label: str,
    options: ReadOptions,
    findings: Findings,
) -> Table:
    first = rows[0]
    above = _commented_header(comments, rows, dialect) if options.header is None else None
    if above is not None:
        number, cells = above
        findings.guess(f"columns: named by the comment in line {number}")
        rows, first, header = [cells, *rows], cells, True
        skip = numbers[0] - 1
    else:
        header = _has_header(rows, label, options) if options.header is None else options.header
        skip = numbers[0] - 1
        if header:
            skip = numbers[1] - 1 if len(numbers) > 1 else numbers[0]
    if left := len(comments) - (above is not None):
        lines = "a line" if left == 1 else f"{left} lines"
        findings.note(f"{lines} of comment above the table left out")
    pairs = [split_type(cell) for cell in first]
    body = rows[1:] if header else rows
    names = [name for name, _ in pairs] if header else [str(k) for k in range(1, len(first) + 1)]
    types = [kind for _, kind in pairs] if header else [""] * len(first)
    if header and body:
        names, types = _fit_header(names, types, body, dialect, findings)
    dialect.width = len(names)
    checked = [row for row in body if len(row) == dialect.width]
    dialect.numeric = [
        k
        for k in range(dialect.width)
        if checked and all(is_number(row[k].strip()) for row in checked)
    ]
    return Table(dialect, names, types, header, skip, checked)


def _commented_header(
    comments: list[tuple[str, int]], rows: list[list[str]], dialect: Dialect
) -> tuple[int, list[str]] | None:
    """Return the comment right above the table that names its columns, if there is one."""
    if not comments or (len(rows) > 0 and any(role_of(cell) for cell in rows[0])):
        return None
    line, number = comments[-1]
    cells = dialect.split(line.lstrip("#%/ "))
    roles = [role_of(split_type(cell)[0]) for cell in cells]
    if len(cells) == len(rows[0]) and "user" in roles and "item" in roles:
        return number, cells
    return None


def _fit_header(
    names: list[str], types: list[str], body: list[list[str]], dialect: Dialect, findings: Findings
) -> tuple[list[str], list[str]]:
    """Widen the header to the rows where their one field more is empty or numbers the rows."""
    widths = Counter(len(row) for row in body)
    if len(widths) != 1 or next(iter(widths)) != len(names) + 1:
        return names, types
    if all(not row[-1].strip() for row in body):
        return [*names, ""], [*types, ""]
    counted = [row[0].strip().strip('"') for row in body]
    start = counted[0]
    if start in ("0", "1") and counted == [str(int(start) + k) for k in range(len(counted))]:
        return ["", *names], ["", *types]  # row names, as R writes them
    return names, types


def _refuse_title(rows: list[list[str]], number: int, label: str) -> None:
    """Raise InputError for a first line that is not of the table below it."""
    widths = {len(row) for row in rows[1:]}
    first = len(rows[0])
    if len(widths) != 1 or len(rows) < 3 or first in widths:
        return
    width = widths.pop()
    if width < 2 or (width == first + 1 and first > 1):
        return
    raise InputError(
        f"{label}, line {number}: {first} column{'s' * (first != 1)} where the lines below have "
        f"{width}; mend the line, or remove it"
    )


def _has_header(rows: list[list[str]], label: str, options: ReadOptions) -> bool:
    """Is the first row a header? By known names, and by how it differs from the rows below."""
    pairs = [split_type(cell) for cell in rows[0]]
    first = [name for name, _ in pairs]
    body = [row for row in rows[1:] if len(row) == len(first)]
    named = [name for name in options.named.values() if name and not name.isdigit()]
    if any(name in first for name in named) or any(kind for _, kind in pairs):
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
        alike, differs = [], list(range(len(first)))
    above_words = [k for k in differs if kinds[k] == "number"]
    alone = len(body) < 2 and len(above_words) < len(first)  # one row says little
    if above_words and not alone:
        raise _ask_for_header(label, first, "is numbers, perhaps the names of columns")
    if not roles and "number" in kinds and (not differs or above_words):
        return False
    raise _ask_for_header(label, first, "may be a header or a row")


def _is_counted(first: list[str]) -> bool:
    """Return whether these are 0, 1, 2 or 1, 2, 3, … as columns without names are called."""
    counted = [[str(k + start) for k in range(len(first))] for start in (0, 1)]
    return 2 < len(first) < 5 and first in counted


def _ask_for_header(label: str, first: list[str], what: str) -> InputError:
    return InputError(
        f"{label}: the first line ({clip(', '.join(first))}) {what}; say which with header=True or "
        "header=False, and name the columns with user=, item= and time="
    )


def _kind(cell: str) -> str | None:
    cell = cell.strip()
    if not cell or is_missing(cell):
        return None
    return "number" if is_number(cell) else "date" if ISO.fullmatch(cell) else "text"
