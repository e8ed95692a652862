"""What a reader is asked, what it answers, and what it remarks on the way."""

from __future__ import annotations

import re
import zoneinfo
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from perflaw.errors import InputError

LAYOUTS = ("parquet", "table", "sequences", "json")
UNITS = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
ORDER = "order"  # the unit of numbers that are no clock times
EPOCHS = {  # units of 100 ns, and seconds from their zero to 1970
    "filetime": 11_644_473_600,  # from 1601, Windows
    "ticks": 62_135_596_800,  # from year 1, .NET
}
ALL_UNITS = (*UNITS, *EPOCHS, ORDER)
ROLES = ("user", "item", "time")
WHITE = " \t\r\n\v\f"  # stripped from the ends of ids and times
MISSING = frozenset(("na", "n/a", "#n/a", "<na>", "nan", "nat", "null", "none", "nil", "\\n"))
WHOLE = re.compile(r"-?(?:0|[1-9]\d{0,18})")  # a whole number as it is written shortest

Connection: TypeAlias = Any  # of DuckDB, which is optional; what it fetches has no types
Where: TypeAlias = Callable[[int], str]  # number of a row → its place in words, for messages


class Columns(NamedTuple):
    """What a source holds, sorted by user, then time, then place in the source.

    Attributes
    ----------
    user_ids : ndarray, shape (n_users,)
        Ids in their order: int64, or strings in the order of their characters.
    offsets : ndarray of int64, shape (n_users + 1,)
        User u has rows ``offsets[u]`` to ``offsets[u + 1]``.
    item_ids : ndarray, shape (n_items,)
        Ids in the order of first appearance in `items`.
    items : ndarray of int32, shape (rows,)
        Positions in `item_ids`.
    timestamps : ndarray of float64, shape (rows,), or None
        Seconds since 1970 UTC; None where there is no clock.
    guesses : tuple of str
        What was guessed, a sentence each.
    notes : tuple of str
        What else there is to know: what was left out, what looks odd.
    """

    user_ids: np.ndarray
    offsets: np.ndarray
    item_ids: np.ndarray
    items: np.ndarray
    timestamps: np.ndarray | None
    guesses: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class ReadOptions:
    """The arguments of `perflaw.logs.read_log`, checked."""

    user: str | None = None
    item: str | None = None
    time: str | None = None
    layout: str | None = None
    delimiter: str | None = None
    header: bool | None = None
    unit: str | None = None
    time_format: str | None = None
    timezone: str | None = None
    drop_incomplete: bool = False
    parts: bool = False

    def __post_init__(self) -> None:
        if self.unit is not None and self.unit not in ALL_UNITS:
            raise InputError(
                f"there is no unit {self.unit!r} of times; there are {', '.join(ALL_UNITS)}"
            )
        if self.layout is not None and self.layout not in LAYOUTS:
            raise InputError(f"there is no layout {self.layout!r}; there are {', '.join(LAYOUTS)}")
        if self.delimiter is not None and (
            not self.delimiter or set(self.delimiter) & set('\n\r"')
        ):
            raise InputError(
                f"{self.delimiter!r} cannot be a delimiter; use one such as ',' or '\\t'"
            )
        if self.time_format is not None and self.unit not in (None, ORDER):
            raise InputError(
                f"unit={self.unit!r} is for numbers and time_format= for text; leave one out"
            )
        if self.timezone is not None:
            check_timezone(self.timezone)

    @property
    def named(self) -> dict[str, str | None]:
        """The columns that were named, by role."""
        return {role: getattr(self, role) for role in ROLES}

    def refuse_unused(self, label: str, *names: str) -> None:
        """Raise InputError for the first of these options that was given: none is ignored."""
        for name in names:
            value = getattr(self, name)
            if value is not None and value is not False:
                raise InputError(f"{label} has no use for {name}={value!r}; leave it out")


@dataclass
class Findings:
    """Sentences about one reading, as they come up."""

    guesses: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def guess(self, sentence: str) -> None:
        """Say what was guessed."""
        if sentence not in self.guesses:
            self.guesses.append(sentence)

    def note(self, sentence: str) -> None:
        """Say what else there is to know."""
        if sentence not in self.notes:
            self.notes.append(sentence)


@dataclass(frozen=True)
class Reading:
    """One source while it is read.

    Attributes
    ----------
    label : str
        What messages call the source.
    options : ReadOptions
        What the user says about it.
    findings : Findings
        What is guessed and noted so far.
    """

    label: str
    options: ReadOptions
    findings: Findings = field(default_factory=Findings)

    def draft(self) -> Reading:
        """Return a copy whose findings can be thrown away."""
        findings = Findings(list(self.findings.guesses), list(self.findings.notes))
        return replace(self, findings=findings)


def check_timezone(name: str) -> None:
    """Raise InputError unless `name` is a time zone of the IANA data base."""
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise InputError(
            f"there is no time zone {name!r}; write one such as Europe/Berlin or UTC"
        ) from None


def refuse_first(wrong: np.ndarray, describe: Callable[[int], str]) -> None:
    """Raise InputError for the first row that is wrong, if any; `describe` makes the message."""
    if wrong.any():
        raise InputError(describe(int(wrong.argmax())))


def is_missing(text: str) -> bool:
    """Return whether this text is what programs write where there is no value."""
    return len(text) <= 4 and text.lower() in MISSING


def clip(value: Any, width: int = 60) -> str:
    """Return a value as a message shows it: on one line, and short."""
    start = str(value)[: width + 1]
    text = "".join(char if char.isprintable() else repr(char)[1:-1] for char in start)
    return text if len(text) <= width else text[:width] + "…"


def join_names(names: Sequence[str], width: int = 160) -> str:
    """Return names of columns for a message, as many as fit."""
    text = ", ".join(clip(name, 40) or "(unnamed)" for name in names[:40])
    return text if len(text) <= width and len(names) <= 40 else text[:width] + " …"
