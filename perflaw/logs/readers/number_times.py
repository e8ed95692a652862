"""Times that are numbers → seconds since 1970 UTC: which unit they are in, by their size.

Numbers are seconds, milliseconds, microseconds or nanoseconds since 1970, FILETIME or .NET ticks,
or the digits of a date. Only a unit in which all of them are plausible times is taken.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from perflaw.errors import InputError
from perflaw.logs.readers.options import EPOCHS, ORDER, UNITS, Findings, ReadOptions

FIRST = 1e8  # seconds: a number below is no Unix time (1973)
LAST = 4_102_444_800  # seconds: a later time (2100) is a mistake
NANO = 1_000_000_000
DAY = 86_400
DIGITS = {8: "yyyymmdd", 10: "yyyymmddHH", 12: "yyyymmddHHMM", 14: "yyyymmddHHMMSS"}
DIGITS |= {17: "yyyymmddHHMMSSmmm"}
Where = Callable[[int], str]


class Clock(NamedTuple):
    """Times that sort exactly, and as seconds.

    Attributes
    ----------
    key : ndarray, shape (rows,)
        Whole or decimal numbers in the order of time.
    seconds : ndarray of float64, shape (rows,), or None
        Since 1970 UTC; None where the numbers are no clock times.
    """

    key: np.ndarray
    seconds: np.ndarray | None


def unit_by_size(value: float) -> str | None:
    """Return the unit in which a number is a time between 1973 and 5138; None below."""
    return next((unit for unit in reversed(UNITS) if value >= FIRST * UNITS[unit]), None)


def special_unit(low: float, high: float) -> str | None:
    """Return "filetime" or "ticks" where all numbers are such times between 1970 and 2100."""
    for unit, epoch in EPOCHS.items():
        if epoch * 10**7 <= low and high <= (epoch + LAST) * 10**7:
            return unit
    return None


def to_seconds(values: np.ndarray, unit: str) -> np.ndarray:
    """Numbers of a unit as seconds since 1970."""
    if unit in EPOCHS:
        return (values - EPOCHS[unit] * 10**7).astype(np.float64) / 1e7
    values = values.astype(np.float64)
    return values if unit == "s" else values / UNITS[unit]


def may_be_digits(low: float, high: float) -> bool:
    """Return whether the least and the largest of some numbers look like the digits of dates."""
    if low != int(low) or high != int(high) or len(str(int(low))) != len(str(int(high))):
        return False
    if len(str(int(low))) not in DIGITS:
        return False
    ends = np.array([int(low), int(high)], np.int64)
    return bool(parse_digits(ends)[1].all())


def parse_digits(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Whole numbers of equally many digits, read as a date: ns since 1970, and which are dates."""
    size = len(str(int(values.max())))
    rest = values.astype(np.int64)
    parts = []
    for width in {8: (2, 2), 10: (2, 2, 2), 12: (2,) * 4, 14: (2,) * 5, 17: (3, *(2,) * 5)}[size]:
        rest, part = np.divmod(rest, 10**width)
        parts.append(part)
    milli = parts.pop(0) if size == 17 else np.zeros_like(rest)
    fields = [*parts[::-1], *[np.zeros_like(rest)] * (5 - len(parts))]
    month, day, hour, minute, second = fields
    fits = (rest >= 1970) & (rest <= 2100) & (month >= 1) & (month <= 12) & (day >= 1)
    fits &= (hour < 24) & (minute < 60) & (second < 60)
    months = (np.clip(rest, 1970, 2100) - 1970) * 12 + np.clip(month, 1, 12) - 1
    first = months.astype("M8[M]").astype("M8[D]").astype(np.int64)
    after = (months + 1).astype("M8[M]").astype("M8[D]").astype(np.int64)
    fits &= day <= after - first
    seconds = (first + day - 1) * DAY + hour * 3600 + minute * 60 + second
    return seconds * NANO + milli * 1_000_000, fits


def _is_other_digits(values: np.ndarray) -> bool:
    """Return whether all of these would be dates with the year last, or of two digits."""
    low, high = len(str(int(values.min()))), len(str(int(values.max())))
    if low != high or high not in (6, 8):
        return False
    values = np.unique(values)
    if len(values) < 3:
        return False
    swapped = []
    if len(str(int(values[0]))) == 8:
        year, head = values % 10_000, values // 10_000
        swapped = [year * 10_000 + head, year * 10_000 + head % 100 * 100 + head // 100]
    elif len(str(int(values[0]))) == 6:
        a, b, c = values // 10_000, values // 100 % 100, values % 100
        swapped = [
            (2000 + y) * 10_000 + m * 100 + d for y, m, d in ((a, b, c), (c, b, a), (c, a, b))
        ]
    return any(bool(parse_digits(dates)[1].all()) for dates in swapped)


def _year(time: float, unit: str) -> int:
    return 1970 + int(time / UNITS[unit] / (365.2425 * DAY))


def range_unit(low: float, high: float, unit: str | None, findings: Findings) -> str | None:
    """Return the unit of times from low to high, given or by size; None if they are no times."""
    if unit == ORDER:
        return ORDER
    if unit in EPOCHS:
        return (
            unit if EPOCHS[unit] * 10**7 <= low and high <= (EPOCHS[unit] + LAST) * 10**7 else None
        )
    if low < 0:
        return None
    if unit is None:
        if special := special_unit(low, high):
            name = {"filetime": "FILETIME (100 ns since 1601)", "ticks": ".NET ticks"}[special]
            findings.guess(f"times: {name}, by their size")
            return special
        if high < FIRST:
            findings.guess(
                f"times: {low:.12g} to {high:.12g} are no Unix times; they order each history, and "
                "no clock is kept"
            )
            return ORDER
        unit = unit_by_size(high)
        if unit is None or unit_by_size(low) != unit:
            return None
        if high <= LAST * UNITS[unit]:
            findings.guess(f"times: in {unit}, by their size")
    elif (size := unit_by_size(low)) is not None and size == unit_by_size(high) and size != unit:
        findings.note(
            f"times: in {unit}, as given, they are of {_year(low, unit)} to {_year(high, unit)}; "
            f"by their size they are in {size}, of {_year(low, size)} to {_year(high, size)}"
        )
    return unit if high <= LAST * UNITS[unit] else None


def clock_of_numbers(
    values: np.ndarray, options: ReadOptions, findings: Findings, where: Where
) -> Clock:
    """Read times that are numbers; `where` says where a row is, for messages."""
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        row = int(np.flatnonzero(~np.isfinite(values))[0])
        raise InputError(
            f"{where(row)}: the time {values[row]} is no number; fill it in or remove the row"
        )
    if options.timezone is not None:
        raise InputError(
            f"timezone={options.timezone!r} is for dates, and these times are numbers; leave it out"
        )
    low, high = values.min(), values.max()
    if options.unit is None:
        if may_be_digits(low, high):
            nanoseconds, fits = parse_digits(values)
            if fits.all():
                findings.guess(f"times: digits of dates, {DIGITS[len(str(int(high)))]}, in UTC")
                note_days(nanoseconds // NANO, findings)
                return Clock(nanoseconds, nanoseconds / 1e9)
        refuse_doubtful_digits(values, where(0))
    if unit := range_unit(low, high, options.unit, findings):
        return Clock(values, None if unit == ORDER else to_seconds(values, unit))
    raise odd_number(values, low, high, options.unit, where)


def note_days(seconds: np.ndarray, findings: Findings) -> None:
    """Say so where times are no finer than days."""
    if len(seconds) and not (seconds % DAY).any():
        findings.note("times: whole days; within a day the order of rows is kept")


def refuse_doubtful_digits(values: np.ndarray, place: str) -> None:
    """Raise InputError for numbers that all are dates with the year last, or in two digits."""
    if values.dtype.kind in "iu" and values.min() > 0 and _is_other_digits(values):
        raise InputError(
            f"{place}: the time {values[0]}: is it the digits of a date? Give its form, as in "
            "time_format='%d%m%Y', or pass unit='order' if times are no clock times"
        )


def _kind_of_most(values: np.ndarray) -> tuple[str, NDArray[np.bool_]]:
    """Say what most of these times are, and which of them are."""
    digits = len(str(int(np.median(values))))
    is_date = (values >= 10 ** (digits - 1)) & (values < 10**digits) & (values % 1 == 0)
    if digits in DIGITS and is_date.any():
        is_date[is_date] = parse_digits(values[is_date])[1]
        if 2 * is_date.sum() >= len(values):  # they may be distinct times only
            return "the digits of a date", is_date
    sizes = np.searchsorted([FIRST * size for size in UNITS.values()], values, side="right")
    counts = np.bincount(sizes)
    most = len(counts) - 1 - int(counts[::-1].argmax())  # of equally many, the larger
    kind = f"in {list(UNITS)[most - 1]}" if most else "which are no Unix times"
    return kind, sizes == most


def odd_number(
    values: np.ndarray, low: float, high: float, unit: str | None, where: Where
) -> InputError:
    """Return the error for the first time that does not fit a unit."""
    known = f"name the unit with unit=, one of {', '.join((*UNITS, *EPOCHS))}"
    if unit in EPOCHS:
        epoch = EPOCHS[unit] * 10**7
        row = int(np.flatnonzero((values < epoch) | (values > epoch + LAST * 10**7))[0])
        return InputError(
            f"{where(row)}: the time {values[row]} is not between 1970 and 2100 in {unit}; mend "
            f"it, or {known}"
        )
    if low < 0:
        row = int(np.flatnonzero(values < 0)[0])
        return InputError(
            f"{where(row)}: the time {values[row]} is negative; mend it, or pass unit='order' if "
            "times are no clock times"
        )
    if unit is None:
        kind, is_alike = _kind_of_most(values)
        if not is_alike.all():
            row = int(np.flatnonzero(~is_alike)[0])
            return InputError(
                f"{where(row)}: the time {values[row]}, where others are like "
                f"{values[is_alike].max():.0f}, {kind}; mend it, or {known}"
            )
        unit = unit_by_size(high)
        assert unit is not None  # smaller numbers are an order, none of them odd
    row = int(np.flatnonzero(values > LAST * UNITS[unit])[0])
    return InputError(
        f"{where(row)}: the time {values[row]} is after the year 2100 in {unit}; mend it, or "
        f"{known}"
    )
