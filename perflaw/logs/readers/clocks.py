"""Times of the engine's view `raw`: which numbers or dates they are, as expressions that sort."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from perflaw.errors import InputError
from perflaw.logs.readers.arrays import incomplete
from perflaw.logs.readers.doubts import FLOAT32_WHOLE
from perflaw.logs.readers.number_times import (
    DAY,
    NANO,
    Clock,
    clock_of_numbers,
    may_be_digits,
    range_unit,
    refuse_doubtful_digits,
)
from perflaw.logs.readers.options import ORDER, Connection, Reading, Where, is_missing
from perflaw.logs.readers.times import clock_of_dates, clock_of_texts

# Dates and numbers as programs write them.
DATE = r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d(:?\d\d)?)?)?"
DECIMAL = r"-?(0|[1-9]\d{0,14})(\.\d{1,9})?"
WHOLE_TYPES = (
    "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT",
)  # fmt: skip


class EngineClock(NamedTuple):
    """Times of a relation of the engine.

    Attributes
    ----------
    relation : str
        `raw`, or what is to be read in its place.
    key : str
        SQL for what sorts exactly.
    seconds : str
        SQL for the times in `unit`.
    unit : str
        Of `seconds`; "order" where there is no clock.
    """

    relation: str
    key: str
    seconds: str
    unit: str


def find_clock(connection: Connection, where: Where, reading: Reading) -> EngineClock:
    """Return the clock of `raw`; raise InputError for the first time that is none."""
    kind = connection.execute("select typeof(time) from raw limit 1").fetchone()[0]
    if kind == "VARCHAR" or kind.startswith("ENUM"):
        return _of_text(connection, where, reading)
    if kind.startswith("TIMESTAMP") or kind == "DATE":
        return _of_dates(connection, kind, where, reading)
    if kind.startswith("TIME"):
        raise InputError(
            f"{reading.label}: the column of times holds times of day without a date; name a "
            "column of dates with time="
        )
    if kind == "FLOAT" and reading.options.unit != ORDER:
        reason = (
            "the time is a 32-bit decimal number, which keeps seven digits; write times as whole "
            "numbers or with 64 bits"
        )
        refuse_rows(connection, f"abs(time) > {FLOAT32_WHOLE} and isfinite(time)", reason, where)
    if kind.startswith(("DECIMAL", "FLOAT", "DOUBLE", "HUGEINT", "UHUGEINT")):
        return _of_numbers(connection, "time::double", "time", where, reading)
    if kind in WHOLE_TYPES:
        return _of_numbers(connection, "time", "time", where, reading)
    raise InputError(
        f"{reading.label}: the column of times holds neither numbers nor dates; name another "
        "column with time="
    )


# ---------------------------------------------------------------- text


def _of_text(connection: Connection, where: Where, reading: Reading) -> EngineClock:
    if reading.options.time_format is None:
        if not any_row(connection, "try_cast(time as bigint)::varchar is distinct from time"):
            return _of_numbers(connection, "time::bigint", "time::bigint", where, reading)
        if not any_row(connection, f"not regexp_full_match(time, '{DECIMAL}')"):
            return _of_numbers(connection, "time::double", "time::decimal(28, 9)", where, reading)
        if reading.options.timezone is None:
            zoned = _zones_of_plain_dates(connection)
            if zoned is not None:
                return _of_plain_dates(connection, zoned, where, reading)
    token = connection.execute(
        "select time, place from raw where length(time) <= 4 order by place limit 1"
    ).fetchone()
    if token is not None and is_missing(token[0]):
        raise incomplete(where(token[1]), "time")
    return _mapped(connection, "time", clock_of_texts, where, reading)


def _zones_of_plain_dates(connection: Connection) -> bool | None:
    """Return whether dates have a zone; None if only some have, or if written otherwise."""
    zone = (
        "(contains(substr(time, 11), '+') or contains(substr(time, 11), '-') or suffix(time, 'Z'))"
    )
    first = connection.execute(f"select {zone} from raw limit 1").fetchone()[0]
    odd = f"try_cast(time as timestamptz) is null or {zone} <> {first}"
    if any_row(connection, f"not regexp_full_match(time, '{DATE}') or {odd}"):
        return None
    return bool(first)


def _of_plain_dates(
    connection: Connection, zoned: bool, where: Where, reading: Reading
) -> EngineClock:
    moment = "time::timestamptz"
    key, unit = f"epoch_us({moment})", "us"
    if any_row(connection, "contains(time, '.') and regexp_full_match(time, '.*\\.\\d{7,}.*')"):
        moment = "regexp_replace(time, '\\.\\d+', '')::timestamptz"
        nanoseconds = "rpad(regexp_extract(time, '\\.(\\d+)', 1), 9, '0')::bigint"
        key, unit = f"epoch_us({moment}) * 1000 + {nanoseconds}", "ns"
    _check_dates(connection, moment, zoned, where, reading)
    return EngineClock("raw", key, key, reading.options.unit or unit)


# ---------------------------------------------------------------- dates


def _of_dates(connection: Connection, kind: str, where: Where, reading: Reading) -> EngineClock:
    refuse_rows(connection, "not isfinite(time)", "the time is infinite; mend it", where)
    zoned = "WITH TIME ZONE" in kind
    if reading.options.timezone is not None:
        nanoseconds = "epoch_ns(time)" if kind == "TIMESTAMP_NS" else "1000 * epoch_us(time)"

        def clock_of_nanoseconds(values: np.ndarray, reading: Reading, where: Where) -> Clock:
            seconds, nano = np.divmod(np.asarray(values, np.int64), NANO)
            return clock_of_dates(seconds, nano, zoned, reading, where)

        return _mapped(connection, nanoseconds, clock_of_nanoseconds, where, reading)
    _check_dates(connection, "time", zoned, where, reading)
    unit = "ns" if kind == "TIMESTAMP_NS" else "us"
    key = f"epoch_{unit}(time)"
    return EngineClock("raw", key, key, reading.options.unit or unit)


def _check_dates(
    connection: Connection, moment: str, zoned: bool, where: Where, reading: Reading
) -> None:
    """Check the ends of the range as `clock_of_dates` does."""
    low, high = connection.execute(
        f"select min(epoch({moment})), max(epoch({moment})) from raw"
    ).fetchone()
    ends = np.array([int(np.floor(low)), int(np.ceil(high))], np.int64)
    if any_row(connection, f"epoch({moment}) % 86400 <> 0"):
        ends[0] += not ends[0] % DAY  # the ends may be midnights, others are not
    if ends[0] == ends[1]:
        ends = ends[:1]

    def where_end(k: int) -> str:
        end = low if k == 0 and len(ends) > 1 else high
        place = first_place(connection, f"epoch({moment}) = {end}")
        assert place is not None  # the end is one of them
        return where(place)

    clock_of_dates(ends, np.zeros(len(ends), np.int64), zoned, reading, where_end)


# ---------------------------------------------------------------- numbers


def _of_numbers(
    connection: Connection, value: str, key: str, where: Where, reading: Reading
) -> EngineClock:
    """Return the clock of numbers: most need their range only, the others are looked at singly."""
    options = reading.options
    if value == "time::double":
        reason = "the time is no number; fill it in or remove the row"
        refuse_rows(connection, f"not isfinite({value})", reason, where)
    if options.time_format is not None:
        text = f"({value})::bigint::varchar"
        return _mapped(connection, text, clock_of_texts, where, reading)
    low, high = connection.execute(f"select min({value}), max({value}) from raw").fetchone()
    if options.timezone is None and not (options.unit is None and may_be_digits(low, high)):
        if options.unit is None and len(str(int(high))) in (6, 8) and low > 0:
            query = f"select distinct {value} as time from raw limit 100000"
            times = np.asarray(connection.execute(query).fetchnumpy()["time"])
            refuse_doubtful_digits(times, reading.label)
        if unit := range_unit(low, high, options.unit, reading.findings):
            return EngineClock("raw", key, value, unit)
    return _mapped(connection, value, clock_of_numbers, where, reading)


# ---------------------------------------------------------------- the view `raw`


def any_row(connection: Connection, condition: str) -> bool:
    """Return whether the condition holds for a row of `raw`."""
    query = f"select count(*) from (select 1 from raw where {condition} limit 1)"
    return bool(connection.execute(query).fetchone()[0])


def first_place(connection: Connection, condition: str) -> int | None:
    """Return the first place for which the condition holds; None if there is none."""
    return connection.execute(f"select min(place) from raw where {condition}").fetchone()[0]


def refuse_rows(connection: Connection, condition: str, reason: str, where: Where) -> None:
    """Raise InputError for the first row of `raw` for which the condition holds, if any."""
    place = first_place(connection, condition)
    if place is not None:
        raise InputError(f"{where(place)}: {reason}")


def _mapped(
    connection: Connection,
    value: str,
    clock: Callable[[Any, Reading, Where], Clock],
    where: Where,
    reading: Reading,
) -> EngineClock:
    """Convert times by a function of Python, called with the distinct ones."""
    columns = connection.execute(
        f"select {value} as time, min(place) as place from raw group by 1 order by 2"
    ).fetchnumpy()
    times, first = np.asarray(columns["time"]), np.asarray(columns["place"])
    result = clock(times, reading, lambda k: where(int(first[k])))
    seconds = result.key if result.seconds is None else result.seconds
    keys = pd.DataFrame({"time": times, "key": result.key, "seconds": seconds})
    connection.register("given_keys", keys)
    connection.execute("create temp table keys as select * from given_keys")
    connection.execute(
        f'create temp view timed as select raw."user", raw.item, raw.place, keys.key, keys.seconds '
        f"from raw join keys on {value.replace('time', 'raw.time', 1)} = keys.time"
    )
    return EngineClock("timed", "key", "seconds", ORDER if result.seconds is None else "s")
