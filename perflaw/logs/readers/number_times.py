"""Times that are numbers → seconds since 1970 UTC: which unit they are in, by their size.

Numbers are seconds, milliseconds, microseconds or nanoseconds since 1970, FILETIME or .NET ticks,
or the digits of a date. Only a unit in which all of them are plausible times is taken.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from perflaw.errors import InputError
from perflaw.logs.readers.options import (
    EPOCHS,
    ORDER,
    UNITS,
    Findings,
    Reading,
    Where,
    refuse_first,
)

FIRST = 1e8  # seconds: a number below is no Unix time (1973)
LAST = 4_102_444_800  # seconds: a later time (2100) is a mistake
NANO = 1_000_000_000
DAY = 86_400
DIGITS = {
    8: "yyyymmdd",
    10: "yyyymmddHH",
    12: "yyyymmddHHMM",
    14: "yyyymmddHHMMSS",
    17: "yyyymmddHHMMSSmmm",
}
EPOCH_NAMES = {"filetime": "FILETIME (100 ns since 1601)", "ticks": ".NET ticks"}


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


def clock_of_numbers(values: np.ndarray, reading: Reading, where: Where) -> Clock:
    """Read times that are numbers.

    Raises
    ------
    InputError
        For the first that is no time in the unit that is given, or that most others are in.
    """
    options, findings = reading.options, reading.findings
    refuse_first(
        ~np.isfinite(values),
        lambda row: (
            f"{where(row)}: the time {values[row]} is no number; fill it in or remove the row"
        ),
    )
    if options.timezone is not None:
        raise InputError(
            f"timezone={options.timezone!r} is for dates, and these times are numbers; leave it out"
        )
    low, high = values.min(), values.max()
    if options.unit is None:
        if may_be_digits(low, high):
            size = len(str(int(high)))
            nanoseconds, are_dates = _parse_digits(values, size)
            if are_dates.all():
                findings.guess(f"times: digits of dates, {DIGITS[size]}, in UTC")
                note_days(nanoseconds // NANO, findings)
                return Clock(nanoseconds, nanoseconds / 1e9)
        refuse_doubtful_digits(values, where(0))
    if unit := range_unit(low, high, options.unit, findings):
        return Clock(values, None if unit == ORDER else to_seconds(values, unit))
    raise _odd_number(values, options.unit, where)


def range_unit(low: float, high: float, unit: str | None, findings: Findings) -> str | None:
    """Return the unit of times from low to high, given or by size; None if they are no times."""
    if unit == ORDER:
        return ORDER
    for epoch_unit, name in EPOCH_NAMES.items():
        first, last = _epoch_range(epoch_unit)
        if unit in (None, epoch_unit) and first <= low and high <= last:
            if unit is None:
                findings.guess(f"times: {name}, by their size")
            return epoch_unit
    if unit in EPOCHS or low < 0:
        return None
    if unit is None:
        if high < FIRST:
            findings.guess(
                f"times: {low:.12g} to {high:.12g} are no Unix times; they order each history, and "
                "no clock is kept"
            )
            return ORDER
        unit = _unit_by_size(high)
        if unit is None or _unit_by_size(low) != unit:
            return None
        if high <= LAST * UNITS[unit]:
            findings.guess(f"times: in {unit}, by their size")
    elif (size := _unit_by_size(low)) is not None and size == _unit_by_size(high) and size != unit:
        findings.note(
            f"times: in {unit}, as given, they are of {_year(low, unit)} to {_year(high, unit)}; "
            f"by their size they are in {size}, of {_year(low, size)} to {_year(high, size)}"
        )
    return unit if high <= LAST * UNITS[unit] else None


def _epoch_range(unit: str) -> tuple[int, int]:
    """Return the years 1970 and 2100 in FILETIME or in .NET ticks."""
    return EPOCHS[unit] * 10**7, (EPOCHS[unit] + LAST) * 10**7


def _unit_by_size(value: float) -> str | None:
    """Return the unit in which a number is a time between 1973 and 5138; None below."""
    return next((unit for unit in reversed(UNITS) if value >= FIRST * UNITS[unit]), None)


def _year(time: float, unit: str) -> int:
    return 1970 + int(time / UNITS[unit] / (365.2425 * DAY))


def to_seconds(values: np.ndarray, unit: str) -> np.ndarray:
    """Return numbers of a unit as seconds since 1970."""
    if unit in EPOCHS:
        return (values - EPOCHS[unit] * 10**7).astype(np.float64) / 1e7
    return values.astype(np.float64) / UNITS[unit]


def note_days(seconds: np.ndarray, findings: Findings) -> None:
    """Note where times are no finer than days."""
    if not (seconds % DAY).any():
        findings.note("times: whole days; within a day the order of rows is kept")


# ---------------------------------------------------------------- digits of dates


def may_be_digits(low: float, high: float) -> bool:
    """Return whether the least and the largest of some numbers look like the digits of dates."""
    size = len(str(int(low)))
    if low != int(low) or high != int(high) or len(str(int(high))) != size or size not in DIGITS:
        return False
    _, are_dates = _parse_digits(np.array([int(low), int(high)], np.int64), size)
    return bool(are_dates.all())


def _parse_digits(values: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Read whole numbers of `size` digits as dates.

    Returns
    -------
    nanoseconds : ndarray of int64
        Since 1970.
    are_dates : ndarray of bool
    """
    rest = values.astype(np.int64)
    milli = np.zeros_like(rest)
    if size == 17:
        rest, milli = np.divmod(rest, 1000)
    fields: list[np.ndarray] = []  # from the last to the month
    for _ in range(min(size - 4, 10) // 2):
        rest, field = np.divmod(rest, 100)
        fields.append(field)
    missing = [np.zeros_like(rest)] * (5 - len(fields))
    month, day, hour, minute, second = fields[::-1] + missing
    are_dates = (rest >= 1970) & (rest <= 2100) & (month >= 1) & (month <= 12) & (day >= 1)
    are_dates &= (hour < 24) & (minute < 60) & (second < 60)
    months = (np.clip(rest, 1970, 2100) - 1970) * 12 + np.clip(month, 1, 12) - 1
    first = months.astype("M8[M]").astype("M8[D]").astype(np.int64)
    after = (months + 1).astype("M8[M]").astype("M8[D]").astype(np.int64)
    are_dates &= day <= after - first
    seconds = (first + day - 1) * DAY + hour * 3600 + minute * 60 + second
    return seconds * NANO + milli * 1_000_000, are_dates


def refuse_doubtful_digits(values: np.ndarray, place: str) -> None:
    """Raise InputError for numbers that all are dates with the year last, or in two digits."""
    if values.dtype.kind in "iu" and values.min() > 0 and _is_other_digits(values):
        raise InputError(
            f"{place}: the time {values[0]}: is it the digits of a date? Give its form, as in "
            "time_format='%d%m%Y', or pass unit='order' if times are no clock times"
        )


def _is_other_digits(values: np.ndarray) -> bool:
    """Return whether all of these would be dates with the year last, or of two digits."""
    size = len(str(int(values.min())))
    if size not in (6, 8) or len(str(int(values.max()))) != size:
        return False
    values = np.unique(values)
    if len(values) < 3:
        return False
    if size == 8:
        head, year = np.divmod(values, 10_000)
        orders = [(year, head // 100, head % 100), (year, head % 100, head // 100)]
    else:
        a, b, c = values // 10_000, values // 100 % 100, values % 100
        orders = [(2000 + a, b, c), (2000 + c, b, a), (2000 + c, a, b)]
    dates = [year * 10_000 + month * 100 + day for year, month, day in orders]
    return any(_parse_digits(each, 8)[1].all() for each in dates)


# ---------------------------------------------------------------- what is wrong


def _odd_number(values: np.ndarray, unit: str | None, where: Where) -> InputError:
    """Return the error for the first time that does not fit a unit."""
    mend = f"mend it, or name the unit with unit=, one of {', '.join((*UNITS, *EPOCHS))}"
    if unit in EPOCHS:
        first, last = _epoch_range(unit)
        wrong = (values < first) | (values > last)
        reason = f" is not between 1970 and 2100 in {unit}; {mend}"
    elif values.min() < 0:
        wrong = values < 0
        reason = " is negative; mend it, or pass unit='order' if times are no clock times"
    else:
        size = unit or _unit_by_size(values.max())
        assert size is not None  # smaller numbers are an order, none of them odd
        wrong = values > LAST * UNITS[size]
        reason = f" is after the year 2100 in {size}; {mend}"
        kind, is_alike = _kind_of_most(values)
        if unit is None and not is_alike.all():
            wrong = ~is_alike
            reason = f", where others are like {values[is_alike].max():.0f}, {kind}; {mend}"
    row = int(wrong.argmax())
    return InputError(f"{where(row)}: the time {values[row]}{reason}")


def _kind_of_most(values: np.ndarray) -> tuple[str, np.ndarray]:
    """Return what most of these times are, in words, and which of them are."""
    digits = len(str(int(np.median(values))))
    is_date = (values >= 10 ** (digits - 1)) & (values < 10**digits) & (values % 1 == 0)
    if digits in DIGITS and is_date.any():
        is_date[is_date] = _parse_digits(values[is_date], digits)[1]
        if 2 * is_date.sum() >= len(values):  # they may be distinct times only
            return "the digits of a date", is_date
    sizes = np.searchsorted([FIRST * size for size in UNITS.values()], values, side="right")
    counts = np.bincount(sizes)
    most = len(counts) - 1 - int(counts[::-1].argmax())  # of equally many, the larger
    kind = f"in {list(UNITS)[most - 1]}" if most else "which are no Unix times"
    return kind, sizes == most
