"""Times as they are written → whole numbers that sort exactly, and seconds since 1970 UTC.

Dates are read where the year comes first (ISO 8601 and its neighbours); all others need a
format, as 01/02/03 is three days. Numbers are seconds, milliseconds, microseconds or
nanoseconds since 1970, FILETIME or .NET ticks by their size, or the digits of a date.
"""

from __future__ import annotations

import datetime
import re
import zoneinfo
from collections.abc import Sequence
from decimal import Decimal
from functools import lru_cache
from typing import NamedTuple, TypeAlias

import numpy as np
import pandas as pd

from perflaw.errors import InputError
from perflaw.logs.readers.number_times import DAY, LAST, NANO, Clock, clock_of_numbers, note_days
from perflaw.logs.readers.options import (
    ORDER,
    WHOLE,
    Findings,
    Reading,
    ReadOptions,
    Where,
    clip,
    refuse_first,
)

ISO = re.compile(
    r"(\d{4}([-/.])\d{1,2}\2\d{1,2}|\d{8}(?=T\d))"
    r"(?:(?:T| +)(\d{1,2}):?(\d{2})(?::?(\d{2})(?:[.,](\d{1,9}))?)?"
    r" *(Z|z|UTC|GMT|[+-]\d{2}(?::?\d{2})?)?)?"
)
DATED = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]|$)")
TIME_OF_DAY = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?")
DECIMAL = re.compile(r"-?(\d{1,15})\.(\d{1,9})")
DATE_FORMATS = (
    "%m/%d/%Y", "%d/%m/%Y", "%m/%d/%y", "%d/%m/%y", "%d.%m.%Y", "%d.%m.%y", "%d-%m-%Y",
    "%m-%d-%Y", "%d-%b-%Y", "%d-%b-%y", "%d %b %Y", "%b %d, %Y", "%b %d %Y", "%m %d, %Y",
    "%d %B %Y", "%B %d, %Y", "%Y%m%d",
)  # fmt: skip
CLOCK_FORMATS = (
    "", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p", ", %H:%M:%S", ":%H:%M:%S %z",
)  # fmt: skip
FORMATS = (
    *(date + clock for date in DATE_FORMATS for clock in CLOCK_FORMATS),
    "%a %b %d %H:%M:%S %z %Y",
    "%a %b %d %H:%M:%S %Y",
    "%a, %d %b %Y %H:%M:%S %z",
)


class Resolution(NamedTuple):
    """How fine a few times are.

    Attributes
    ----------
    step : float
        Seconds.
    seconds : ndarray
        The times.
    all_dates : bool
        Is every value a date, as 2026-01-31, with or without a time of day?
    """

    step: float
    seconds: np.ndarray
    all_dates: bool


Fineness: TypeAlias = Resolution | str | None  # "clock" for times of day, None for no times


# ---------------------------------------------------------------- text


def clock_of_texts(texts: Sequence[str], reading: Reading, where: Where) -> Clock:
    """Read times that are text: numbers, dates with the year first, or of the format given."""
    codes, uniques = pd.factorize(np.asarray(texts, dtype=object))
    distinct: list[str] = list(uniques)

    def where_distinct(code: int) -> str:
        return where(int((codes == code).argmax()))

    if reading.options.time_format is not None:
        clock = _clock_of_format(distinct, reading.options.time_format, reading, where_distinct)
    else:
        clock = _clock_of_distinct(distinct, np.bincount(codes), reading, where_distinct)
    return Clock(clock.key[codes], None if clock.seconds is None else clock.seconds[codes])


def _clock_of_distinct(
    texts: Sequence[str], counts: np.ndarray, reading: Reading, where: Where
) -> Clock:
    if all(is_whole(text) for text in texts):
        return clock_of_numbers(np.array(texts, dtype=np.int64), reading, where)
    numbers = np.array([_is_plain_number(text) for text in texts])
    dates = np.array([ISO.fullmatch(text) is not None for text in texts])
    most = max((numbers, dates), key=lambda fits: counts[fits].sum())
    if not most.any():
        raise InputError(
            f"{where(0)}: the time {clip(texts[0])!r} is no number and no ISO 8601 date, nor is "
            f"any other; {_suggest(texts)}, or name another column with time="
        )
    reason = "is no number and no ISO 8601 date, as most others are; mend it or remove the row"
    _refuse_texts(~most, texts, reason, where)
    if most is dates:
        return _clock_of_dates(texts, reading, where)
    _refuse_rounded(texts, where)
    return _clock_of_decimals(texts, reading, where)


def _refuse_texts(wrong: np.ndarray, texts: Sequence[str], reason: str, where: Where) -> None:
    """Raise InputError for the first of some texts that is wrong, if any."""
    refuse_first(wrong, lambda row: f"{where(row)}: the time {clip(texts[row])!r} {reason}")


def is_whole(text: str) -> bool:
    """Return whether this is a whole number of 64 bits, written as it is written shortest."""
    return WHOLE.fullmatch(text) is not None and -(2**63) <= int(text) < 2**63


def _is_plain_number(text: str) -> bool:
    digits = text.lstrip("+-")
    if digits[:1] == "0" and digits[1:2].isdigit():
        return False  # a leading zero: the digits of something else
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text and text.isascii()


def _refuse_rounded(texts: Sequence[str], where: Where) -> None:
    """Raise InputError for times of which a spreadsheet has left but a few digits."""
    for row, text in enumerate(texts):
        mantissa, mark, exponent = text.lower().partition("e")
        if mark and len(mantissa.strip("+-").replace(".", "")) < 9 and int(exponent) > 7:
            raise InputError(
                f"{where(row)}: the time {clip(text)} has lost digits, as in a spreadsheet; export "
                "it in full"
            )


def _clock_of_decimals(texts: Sequence[str], reading: Reading, where: Where) -> Clock:
    clock = clock_of_numbers(np.array([float(text) for text in texts]), reading, where)
    if all(DECIMAL.fullmatch(text) or WHOLE.fullmatch(text) for text in texts):
        exact = [int(Decimal(text).scaleb(9)) for text in texts]  # nanoseconds
        if max(map(abs, exact)) < 2**63:
            return Clock(np.array(exact, dtype=np.int64), clock.seconds)
    return clock


def _clock_of_dates(texts: Sequence[str], reading: Reading, where: Where) -> Clock:
    seconds, nano, zoned, wrong = _parse_iso(texts)
    reason = "is no day of the calendar, or no time of a day; mend it"
    _refuse_texts(wrong, texts, reason, where)
    most = bool(2 * zoned.sum() + zoned[0] > len(zoned))  # as the first, of equally many
    has, others = ("no", "one") if most else ("a", "not")
    reason = f"has {has} time zone, and others have {others}; write all in one way"
    _refuse_texts(zoned != most, texts, reason, where)
    return clock_of_dates(seconds, nano, most, reading, where)


def _parse_iso(texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return seconds, nanoseconds, which have a zone, and which are no dates after all."""
    seconds = np.zeros(len(texts), np.int64)
    nano = np.zeros(len(texts), np.int64)
    zoned = np.zeros(len(texts), bool)
    wrong = np.zeros(len(texts), bool)
    for k, text in enumerate(texts):
        match = ISO.fullmatch(text)
        assert match is not None  # the caller has looked
        date, mark, hour, minute, second, fraction, zone = match.groups()
        try:
            clock = _seconds_of_day(hour, minute, second)
            seconds[k] = _day_number(date, mark) * DAY + clock - _offset(zone)
        except ValueError:
            wrong[k] = True
            continue
        nano[k] = int((fraction or "0").ljust(9, "0"))
        zoned[k] = zone is not None
    return seconds, nano, zoned, wrong


@lru_cache(1 << 16)
def _day_number(date: str, mark: str | None) -> int:
    year, month, day = date.split(mark) if mark else (date[:4], date[4:6], date[6:])
    return datetime.date(int(year), int(month), int(day)).toordinal() - 719_163


def _seconds_of_day(hour: str | None, minute: str, second: str | None) -> int:
    if hour is None:
        return 0
    clock = datetime.time(int(hour), int(minute), int(second or 0))
    return clock.hour * 3600 + clock.minute * 60 + clock.second


def _offset(zone: str | None) -> int:
    if zone is None or zone[0] not in "+-":
        return 0
    digits = zone[1:].replace(":", "").ljust(4, "0")
    hours, minutes = int(digits[:2]), int(digits[2:])
    if hours > 18 or minutes > 59:
        raise ValueError(zone)
    return (1 if zone[0] == "+" else -1) * (hours * 3600 + minutes * 60)


def clock_of_dates(
    seconds: np.ndarray, nano: np.ndarray, zoned: bool, reading: Reading, where: Where
) -> Clock:
    """Return the clock of dates as seconds and nanoseconds, local where they have no zone."""
    options, findings = reading.options, reading.findings
    if options.unit not in (None, ORDER):
        raise InputError(
            f"unit={options.unit!r} is for numbers, and these times are dates; leave it out"
        )
    if options.timezone is not None:
        if zoned:
            raise InputError(
                f"timezone={options.timezone!r} is for local times, and these dates have a time "
                "zone; leave it out"
            )
        seconds = _from_local(seconds, options.timezone, findings)
    elif not zoned and options.unit != ORDER and (seconds % DAY).any():
        findings.guess("times: dates without a time zone, taken as UTC")
    note_days(seconds, findings)
    refuse_first(
        seconds > LAST,
        lambda row: (
            f"{where(row)}: the time {_in_words(seconds[row])} is after the year 2100; mend it"
        ),
    )
    if options.unit is None:
        refuse_first(
            seconds < 0,
            lambda row: (
                f"{where(row)}: the time {_in_words(seconds[row])} is before 1970; if that is "
                "meant, pass unit='order'"
            ),
        )
    key = seconds * NANO + nano if seconds.min() > -(9 * 10**9) else seconds
    return Clock(key, None if options.unit == ORDER else seconds + nano / 1e9)


def _in_words(seconds: int) -> str:
    return str(np.datetime64(int(seconds), "s")).replace("T", " ")


def _from_local(seconds: np.ndarray, timezone: str, findings: Findings) -> np.ndarray:
    """Convert local times to UTC: an hour shown twice is the first, one skipped the next."""
    zone = zoneinfo.ZoneInfo(timezone)
    local = pd.DatetimeIndex(seconds.astype("M8[s]"))
    first = np.ones(len(local), bool)
    placed = local.tz_localize(zone, ambiguous=first, nonexistent="shift_forward")
    exact = local.tz_localize(zone, ambiguous="NaT", nonexistent="NaT")
    if doubtful := int(np.asarray(exact.isna()).sum()):
        findings.note(
            f"times: {doubtful:,} distinct local times are shown twice or skipped by the clocks of "
            f"{timezone}; taken as the first, or as the next hour"
        )
    return placed.tz_convert("UTC").tz_localize(None).to_numpy().astype("M8[s]").astype(np.int64)


def _check_format(pattern: str) -> None:
    """Refuse a form without fields, and one whose hours would be read wrong."""
    fields = set(re.findall("%(.)", pattern))
    if not fields:
        raise InputError(
            f"time_format={pattern!r} has no % fields; write one such as '%d/%m/%Y %H:%M'"
        )
    if "p" in fields and "H" in fields:
        raise InputError(
            f"time_format={pattern!r} would ignore AM and PM (%p), as %H is an hour of 24; "
            "write %I for %H"
        )
    if "I" in fields and "p" not in fields:
        raise InputError(
            f"time_format={pattern!r} has hours of 12 (%I) without AM or PM (%p); write %H for "
            "hours of 24, or add %p"
        )


def _clock_of_format(texts: Sequence[str], pattern: str, reading: Reading, where: Where) -> Clock:
    _check_format(pattern)
    zoned = "%z" in pattern or "%Z" in pattern
    try:
        moments = pd.to_datetime(list(texts), format=pattern, errors="coerce", utc=zoned)
    except (ValueError, TypeError, re.error) as error:
        raise InputError(
            f"time_format={pattern!r} cannot be used ({clip(error)}); see Python's strptime for "
            "its fields"
        ) from None
    reason = f"is not of the form {pattern!r}; mend it, or time_format="
    _refuse_texts(np.asarray(moments.isna()), texts, reason, where)
    utc = (moments.tz_localize(None) if zoned else moments).to_numpy()
    seconds = utc.astype("M8[s]").astype(np.int64)
    nano = (utc - utc.astype("M8[s]")).astype("m8[ns]").astype(np.int64)
    return clock_of_dates(seconds, nano, zoned, reading, where)


def _suggest(texts: Sequence[str]) -> str:
    """Say how to give the form of dates, from the forms that the first of them fit."""
    fitting = [form for form in FORMATS if all(_fits(text, form) for text in texts[:200])]
    if not fitting:
        return "write dates as 2020-07-31, give their form with time_format='…' (as of strptime)"
    forms = " or ".join(f"time_format={form!r}" for form in fitting[:3])
    return f"give the form of these dates: {forms}"


def _fits(text: str, form: str) -> bool:
    try:
        datetime.datetime.strptime(text, form)
    except ValueError:
        return False
    return True


# ---------------------------------------------------------------- how fine


def resolution_of(values: Sequence) -> Fineness:
    """Return how fine these times are: "clock" for times of day, None where they are no times."""
    texts = [str(value).strip() for value in values if value is not None]
    texts = [text for text in texts if text]
    if not texts:
        return None
    if all(TIME_OF_DAY.fullmatch(text) for text in texts):
        return "clock"
    try:
        clock = clock_of_texts(texts, Reading("", ReadOptions()), str)
    except InputError:
        return None
    if clock.seconds is None:
        return None
    nano = np.round(clock.seconds * 1e9).astype(np.int64)
    steps = (DAY * NANO, 60 * NANO, NANO, 1_000_000, 1_000)
    step = next((step for step in steps if not (nano // 1000 * 1000 % step).any()), 1)
    is_date = len(texts) == len(values) and all(DATED.match(text) for text in texts)
    return Resolution(step / NANO, clock.seconds, is_date)
