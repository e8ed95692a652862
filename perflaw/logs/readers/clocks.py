"""Times of the engine's view `raw`: which numbers or dates they are, as expressions that sort."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from perflaw.errors import InputError
from perflaw.logs.readers.arrays import incomplete
from perflaw.logs.readers.number_times import (
    DAY,
    NANO,
    Clock,
    Where,
    clock_of_numbers,
    may_be_digits,
    range_unit,
    refuse_doubtful_digits,
)
from perflaw.logs.readers.options import ORDER, Connection, Findings, ReadOptions, is_missing
from perflaw.logs.readers.times import clock_of_dates, clock_of_texts

if TYPE_CHECKING:
    from perflaw.logs.readers.engine import Places

# Dates and numbers as programs write them.
DATE = r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d(:?\d\d)?)?)?"
DECIMAL = r"-?(0|[1-9]\d{0,14})(\.\d{1,9})?"


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


def find(
    connection: Connection, places: Places, options: ReadOptions, findings: Findings
) -> EngineClock:
    """Return the clock of `raw`; raise InputError for the first time that is none."""
    kind = connection.execute(
        "select typeof(time) from raw where time is not null limit 1"
    ).fetchone()[0]
    if kind == "VARCHAR" or kind.startswith("ENUM"):
        return _of_text(connection, places, options, findings)
    if kind.startswith("TIMESTAMP") or kind == "DATE":
        return _of_dates(connection, kind, places, options, findings)
    if kind.startswith("TIME"):
        raise InputError(
            f"{places.label}: the column of times holds times of day without a date; name a column "
            "of dates with time="
        )
    if kind.startswith(("DECIMAL", "FLOAT", "DOUBLE", "HUGEINT", "UHUGEINT")):
        return _of_numbers(connection, "time::double", places, options, findings, "time")
    if kind.removeprefix("U").removesuffix("INT") in ("", "TINY", "SMALL", "BIG") or kind in (
        "INTEGER",
        "UINTEGER",
    ):
        return _of_numbers(connection, "time", places, options, findings, "time")
    raise InputError(
        f"{places.label}: the column of times holds neither numbers nor dates; name another column "
        "with time="
    )


def _of_text(
    connection: Connection, places: Places, options: ReadOptions, findings: Findings
) -> EngineClock:
    if options.time_format is None:
        if not _any_row(connection, "try_cast(time as bigint)::varchar is distinct from time"):
            value = "time::bigint"
            return _of_numbers(connection, value, places, options, findings, value)
        if not _any_row(connection, f"not regexp_full_match(time, '{DECIMAL}')"):
            key = "time::decimal(28, 9)"
            return _of_numbers(connection, "time::double", places, options, findings, key)
        if options.timezone is None:
            zoned = _zones_of_plain_dates(connection)
            if zoned is not None:
                return _of_plain_dates(connection, zoned, places, options, findings)
    token = connection.execute(
        "select time, place from raw where length(time) <= 4 order by place limit 1"
    ).fetchone()
    if token is not None and is_missing(token[0]):
        raise incomplete(places.show(token[1]), "time")
    return _mapped(connection, "time", clock_of_texts, places, options, findings)


def _any_row(connection: Connection, condition: str) -> bool:
    """Return whether the condition holds for a row of `raw`."""
    query = f"select count(*) from (select 1 from raw where {condition} limit 1)"
    return bool(connection.execute(query).fetchone()[0])


def _zones_of_plain_dates(connection: Connection) -> bool | None:
    """Return whether dates have a zone; None if only some have, or if written otherwise."""
    zone = (
        "(contains(substr(time, 11), '+') or contains(substr(time, 11), '-') or suffix(time, 'Z'))"
    )
    first = connection.execute(f"select {zone} from raw limit 1").fetchone()[0]
    odd = f"try_cast(time as timestamptz) is null or {zone} <> {first}"
    if _any_row(connection, f"not regexp_full_match(time, '{DATE}') or {odd}"):
        return None
    return bool(first)


def _of_plain_dates(
    connection: Connection, zoned: bool, places: Places, options: ReadOptions, findings: Findings
) -> EngineClock:
    moment = "time::timestamptz"
    key, unit = f"epoch_us({moment})", "us"
    if _any_row(connection, "contains(time, '.') and regexp_full_match(time, '.*\\.\\d{7,}.*')"):
        moment = "regexp_replace(time, '\\.\\d+', '')::timestamptz"
        nanoseconds = "rpad(regexp_extract(time, '\\.(\\d+)', 1), 9, '0')::bigint"
        key = f"epoch_us({moment}) * 1000 + {nanoseconds}"
        unit = "ns"
    _check_dates(connection, moment, zoned, places, options, findings)
    return EngineClock("raw", key, key, options.unit or unit)


def _check_dates(
    connection: Connection,
    moment: str,
    zoned: bool,
    places: Places,
    options: ReadOptions,
    findings: Findings,
) -> None:
    """Check the ends of the range as `clock_of_dates` does."""
    low, high = connection.execute(
        f"select min(epoch({moment})), max(epoch({moment})) from raw"
    ).fetchone()
    days = not _any_row(connection, f"epoch({moment}) % 86400 <> 0")
    ends = np.array([int(np.floor(low)), int(np.ceil(high))], np.int64)
    if not days:
        ends[0] += not ends[0] % DAY  # the ends may be midnights, others are not
    if ends[0] == ends[1]:
        ends = ends[:1]

    def where(k: int) -> str:
        end = low if k == 0 and len(ends) > 1 else high
        return places.show(first_of(connection, f"epoch({moment}) = {end}"))

    clock_of_dates(ends, np.zeros(len(ends), np.int64), zoned, options, findings, where)


def first_of(connection: Connection, condition: str) -> int:
    """Return the first place for which the condition holds."""
    return connection.execute(f"select min(place) from raw where {condition}").fetchone()[0]


def _of_dates(
    connection: Connection, kind: str, places: Places, options: ReadOptions, findings: Findings
) -> EngineClock:
    if connection.execute("select bool_or(not isfinite(time)) from raw").fetchone()[0]:
        place = first_of(connection, "not isfinite(time)")
        raise InputError(f"{places.show(place)}: the time is infinite; mend it")
    zoned = "WITH TIME ZONE" in kind
    if options.timezone is not None:
        step = "epoch_ns" if kind == "TIMESTAMP_NS" else "1000 * epoch_us"
        return _mapped(connection, f"{step}(time)", _local(zoned), places, options, findings)
    _check_dates(connection, "time", zoned, places, options, findings)
    step = "ns" if kind == "TIMESTAMP_NS" else "us"
    return EngineClock("raw", f"epoch_{step}(time)", f"epoch_{step}(time)", options.unit or step)


def _local(zoned: bool) -> Callable[..., Clock]:
    def clock(values: np.ndarray, options: ReadOptions, findings: Findings, where: Where) -> Clock:
        seconds, nano = np.divmod(np.asarray(values, np.int64), NANO)
        return clock_of_dates(seconds, nano, zoned, options, findings, where)

    return clock


def _of_numbers(
    connection: Connection,
    value: str,
    places: Places,
    options: ReadOptions,
    findings: Findings,
    key: str,
) -> EngineClock:
    """Numbers: the range is enough for most, and what is odd is looked at one by one."""
    if (
        value.endswith("double")
        and connection.execute(f"select bool_or(not isfinite({value})) from raw").fetchone()[0]
    ):
        place = first_of(connection, f"not isfinite({value})")
        raise InputError(
            f"{places.show(place)}: the time is no number; fill it in or remove the row"
        )
    if options.time_format is not None:
        return _mapped(
            connection, f"({value})::bigint::varchar", clock_of_texts, places, options, findings
        )
    low, high = connection.execute(f"select min({value}), max({value}) from raw").fetchone()
    if options.timezone is None and not (options.unit is None and may_be_digits(low, high)):
        if options.unit is None and len(str(int(high))) in (6, 8) and low > 0:
            some = connection.execute(f"select distinct {value} from raw limit 100000").fetchnumpy()
            values = np.asarray(next(iter(some.values())))
            if values.dtype.kind in "iu":
                refuse_doubtful_digits(values, places.label)
        said = Findings()
        if unit := range_unit(low, high, options.unit, said):
            findings.add(said)
            return EngineClock("raw", key, value, unit)
    return _mapped(connection, value, clock_of_numbers, places, options, findings)


def _mapped(
    connection: Connection,
    value: str,
    clock: Callable[..., Clock],
    places: Places,
    options: ReadOptions,
    findings: Findings,
) -> EngineClock:
    """Convert times by a function of Python, called with the distinct ones."""
    found = connection.execute(
        f"select {value} as time, min(place) as place from raw group by 1 order by 2"
    ).fetchnumpy()
    times, first = (np.asarray(found[name]) for name in ("time", "place"))
    result = clock(times, options, findings, lambda k: places.show(int(first[k])))
    keys = pd.DataFrame({"time": times, "key": result.key})
    keys["seconds"] = result.key if result.seconds is None else result.seconds
    connection.register("given_keys", keys)
    connection.execute("create temp table keys as select * from given_keys")
    connection.execute(
        f'create temp view timed as select raw."user", raw.item, raw.place, keys.key, keys.seconds '
        f"from raw join keys on {value.replace('time', 'raw.time', 1)} = keys.time"
    )
    return EngineClock("timed", "key", "seconds", ORDER if result.seconds is None else "s")
