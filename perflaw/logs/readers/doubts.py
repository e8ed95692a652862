"""What looks odd in a source that can be read: notes, so that nothing is wrong in silence."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

import numpy as np

from perflaw.logs.readers.number_times import DAY
from perflaw.logs.readers.options import UNITS, Columns, Findings, clip

ROUNDED = re.compile(r"-?\d\.\d+[eE]\+\d+")
INVISIBLE = re.compile(r"^[\s\u200b-\u200f\u2060\ufeff]|[\s\u200b-\u200f\u2060\ufeff]$")
NUMBER = re.compile(r"\+?0*(\d+?)(?:\.0+)?")
LONGEST_NUMBER = 40  # characters
HEAD = 100_000  # rows from which the order of a file is told
YEAR = 365.2425 * DAY
N_YEARS = 131  # 1970 to 2100, of which times can be
BLOCK = 1 << 20  # rows that are looked at together
FLOAT32_WHOLE = 2**24  # a larger whole number may have lost digits as a 32-bit float


# ---------------------------------------------------------------- ids


def note_odd_ids(role: str, ids: Sequence[str] | np.ndarray, findings: Findings) -> None:
    """Note ids with quotes, invisible characters or lost digits, and ids written in two ways."""
    quoted = [text for text in ids if len(text) > 1 and text[0] == text[-1] and text[0] in "'\""]
    if quoted:
        findings.note(
            f"{role}: {len(quoted):,} ids have quotes around them, which are part of them, as in "
            f"{clip(quoted[0], 20)}"
        )
    if hidden := [text for text in ids if INVISIBLE.search(text)]:
        findings.note(
            f"{role}: {len(hidden):,} ids begin or end with a character that is not seen, as in "
            f"{ascii(hidden[0])[:24]}"
        )
    if rounded := [text for text in ids if ROUNDED.fullmatch(text)]:
        findings.note(
            f"{role}: {len(rounded):,} ids are like {rounded[0]}; "
            "a spreadsheet may have rounded them"
        )
    if alike := _written_otherwise(ids):
        first, second = (clip(ascii(text), 24) for text in sorted(alike[0]))
        findings.note(
            f"{role}: {len(alike):,} {'id differs' if len(alike) == 1 else 'ids differ'} from "
            f"another one only in how they are written, as {first} and {second}; they count as two"
        )


def _written_otherwise(ids: Sequence[str] | np.ndarray) -> list[tuple[str, str]]:
    """Return pairs of ids that are the same but for case, accents' encoding or zeros."""
    written: dict[str, str] = {}  # plain form → the first id that is written otherwise
    pairs = []
    for text in ids:
        plain = _plain_form(text)
        if plain != text:
            if plain in written:
                pairs.append((text, written[plain]))
            else:
                written[plain] = text
    return pairs + [(text, written[text]) for text in ids if text in written]


def _plain_form(text: str) -> str:
    """Return the form that an id shares with others that may be meant to be the same."""
    if text.isascii() and len(text) <= LONGEST_NUMBER and text[-1:].isdigit():
        number = NUMBER.fullmatch(text)
        if number is not None:
            return number[1]
    return unicodedata.normalize("NFC", text).casefold()


# ---------------------------------------------------------------- times


def note_newest_first(users: np.ndarray, keys: np.ndarray, findings: Findings) -> None:
    """Note where rows run from new to old, and times that are equal leave their order open.

    Parameters
    ----------
    users, keys : ndarray, shape (rows,)
        Users and what sorts as their times do, in the order of the source.
    """
    order = np.argsort(users[:HEAD], kind="stable")
    same_user = np.diff(users[order]) == 0
    steps = np.diff(keys[order])[same_user]
    if (steps <= 0).all() and (steps < 0).any() and (steps == 0).any():
        findings.note(
            "times: the rows of each user run from the newest to the oldest, but those of one "
            "time are taken in the order of rows; sort the file from old to new if that is wrong"
        )


def _doubt_years(seconds: np.ndarray) -> str | None:
    """Name the years that lie apart from those of most rows, by two years without a row or more."""
    counts = np.zeros(N_YEARS, np.int64)
    for start in range(0, len(seconds), BLOCK):
        years = (seconds[start : start + BLOCK] // YEAR).astype(np.int64)
        counts += np.bincount(years, minlength=N_YEARS)
    taken = np.flatnonzero(counts)
    groups = np.split(taken, np.flatnonzero(np.diff(taken) > 2) + 1)
    if len(groups) == 1:
        return None
    most = max(groups, key=lambda group: counts[group].sum())
    apart = [group for group in groups if group is not most]
    rows = sum(int(counts[group].sum()) for group in apart)
    named = ", ".join(map(_span, apart[:3]))
    return (
        f"times: of {len(seconds):,} rows {rows:,} {'is' if rows == 1 else 'are'} of {named}, the "
        f"others of {_span(most)}; if that is wrong, mend or remove them"
    )


def _span(years: np.ndarray) -> str:
    first, last = 1970 + years[0], 1970 + years[-1]
    return f"{first}" if first == last else f"{first} to {last}"


def _doubt_digits(seconds: np.ndarray) -> str | None:
    """Say where all times are numbers that 32-bit floats can hold, as by chance few are."""
    head = seconds[:1000]
    if len(np.unique(head)) < 5 or not (head % DAY).any():
        return None
    for unit, size in UNITS.items():
        if all(_fits_float32(np.round(part * size)) for part in (head, seconds)):
            return (
                f"times: in {unit}, all are numbers that 32-bit floats hold exactly; they may have "
                "lost digits in such a column, so export them as whole numbers"
            )
    return None


def _fits_float32(values: np.ndarray) -> bool:
    large = values.max() >= FLOAT32_WHOLE
    return bool(large and (values.astype(np.float32) == values).all())


# ---------------------------------------------------------------- all columns


def doubt_columns(columns: Columns) -> list[str]:
    """Return notes: on a user with most rows, times far from others, times without digits."""
    doubts = [_doubt_user(columns)]
    if columns.timestamps is not None:
        doubts += [_doubt_years(columns.timestamps), _doubt_digits(columns.timestamps)]
    return [doubt for doubt in doubts if doubt is not None]


def _doubt_user(columns: Columns) -> str | None:
    lengths = np.diff(columns.offsets)
    rows, longest = len(columns.items), lengths.max()
    if rows < 20 or len(lengths) == 1 or 2 * longest <= rows:
        return None
    return f"user: {columns.user_ids[lengths.argmax()]!s} has {longest:,} of {rows:,} rows"
