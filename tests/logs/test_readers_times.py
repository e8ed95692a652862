"""Times in every form are read as they are, or asked about."""

import pandas as pd
import pytest
from log_files import histories
from log_kinds import (
    FIRST,
    FRAME,
    HISTORIES,
    ROWS,
    START,
    first_time,
    parquet,
    refused,
    table,
    written,
)

from perflaw.logs.interaction_log import read_log

# ---------------------------------------------------------------- numbers that are dates


DIGITS = {
    "%Y%m%d": lambda t: f"201204{t:02}",
    "%Y%m%d%H": lambda t: f"201204{t:02}18",
    "%Y%m%d%H%M": lambda t: f"201204{t:02}1800",
    "%Y%m%d%H%M%S": lambda t: f"201204{t:02}180000",
    "milliseconds": lambda t: f"201204{t:02}180000000",
}


@pytest.mark.parametrize("form", DIGITS)
def test_digits_of_a_date_are_a_date(form, way):
    log = read_log(written(table(time=DIGITS[form])))
    assert histories(log) == HISTORIES
    assert first_time(log)[:10] == "2012-04-01"
    assert any("digits of dates" in guess for guess in log.guesses)


@pytest.mark.parametrize(
    ("unit", "zero"), [("filetime", 11_644_473_600), ("ticks", 62_135_596_800)]
)
@pytest.mark.parametrize("told", [True, False])
def test_units_of_100_ns(unit, zero, told, way):
    path = written(table(time=lambda t: (START + zero + t) * 10**7))
    log = read_log(path, unit=unit if told else None)
    assert histories(log) == HISTORIES
    assert first_time(log) == FIRST


@pytest.mark.parametrize(
    "form", ["{:02}042012", "{:02}/04/2012", "04/{:02}/12", "{:02}.04.2012 18:00"]
)
def test_dates_in_another_order_are_asked_about(form, way):
    message = refused(written(table(time=lambda t: form.format(t))))
    assert "time_format=" in message
    assert "order'" not in message or "digits" in message


@pytest.mark.parametrize(
    ("form", "pattern"),
    [
        ("{:02}/04/12", "%d/%m/%y"),
        ("04/{:02}/2012 6:00 PM", "%m/%d/%Y %I:%M %p"),
        ("{:02}042012", "%d%m%Y"),
    ],
)
def test_time_format(form, pattern, way):
    log = read_log(written(table(time=lambda t: form.format(t))), time_format=pattern)
    assert histories(log) == HISTORIES
    assert first_time(log)[:10] == "2012-04-01"


def test_time_format_that_does_not_fit_is_refused(way):
    path = written(table(time=lambda t: f"{t:02}/04/12"))
    assert "line 2: the time '03/04/12' is not of the form '%Y-%m-%d'" in refused(
        path, time_format="%Y-%m-%d"
    )


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("%m/%d/%Y %H:%M %p", "would ignore AM and PM"),
        ("%m/%d/%Y %I:%M PM", "without AM or PM"),
        ("%% noon", "is not of the form"),
        ("noon", "no % fields"),
    ],
)
def test_a_form_that_would_misread_hours_is_refused(pattern, reason, way):
    path = written(table(time=lambda t: f"04/{t:02}/2012 6:00 PM"))
    assert reason in refused(path, time_format=pattern)


def test_timezone(way):
    path = written(table(time=lambda t: f"2017-07-14 04:40:0{t}"))
    log = read_log(path, timezone="Europe/Berlin")
    assert first_time(log) == FIRST
    assert "no time zone 'Mars'" in refused(path, timezone="Mars")


def test_timezone_of_an_hour_that_comes_twice_is_noted(way):
    path = written("user,item,time\nu,a,2020-10-25 02:30:00\nu,b,2020-10-25 04:00:00\n")
    log = read_log(path, timezone="Europe/Berlin")
    assert first_time(log) == "2020-10-25T00:30:00"
    assert any("shown twice or skipped" in note for note in log.notes)


def test_timezone_of_dates_that_have_one_is_refused(way):
    path = written(table(time=lambda t: f"2017-07-14T02:40:0{t}Z"))
    assert "have a time zone; leave it out" in refused(path, timezone="Europe/Berlin")


def test_time_format_without_a_time_is_refused(way):
    assert "no column of times is found" in refused(
        written("user,item\na,b\n"), time_format="%d/%m/%y"
    )


# ---------------------------------------------------------------- coarse and fine


FINE = {
    "milliseconds": ("time_ms", lambda t: (START + t) * 1000),
    "seconds": ("timestamp", lambda t: START + t),
    "text": ("datetime", lambda t: f"2017-07-14T02:40:0{t}"),
}


@pytest.mark.parametrize("kind", FINE)
@pytest.mark.parametrize("date", ["20170714", "2017-07-14"])
def test_the_finer_of_two_times_is_taken(kind, date, way):
    name, time = FINE[kind]
    content = f"user,date,item,{name}\n" + "".join(
        f"{u},{date},{i},{time(t)}\n" for u, i, t in ROWS
    )
    log = read_log(written(content))
    assert histories(log) == HISTORIES
    assert first_time(log) == FIRST


@pytest.mark.parametrize("names", ["date,time", "time,date", "event_date,event_time"])
def test_date_and_time_of_day_are_put_together(names, way):
    cells = {"date": "2017-07-14", "time": "02:40:0{}"}
    first, second = (cells[name.removeprefix("event_")] for name in names.split(","))
    content = f"user,item,{names}\n" + "".join(
        f"{u},{i},{first},{second}\n".format(t) for u, i, t in ROWS
    )
    log = read_log(written(content))
    assert histories(log) == HISTORIES
    assert first_time(log) == FIRST


def test_a_time_of_day_alone_is_refused(way):
    assert "times of day" in refused(written(table(time=lambda t: f"02:40:0{t}")))


def test_date_and_time_columns_of_parquet():
    frame = FRAME.assign(date=pd.to_datetime(FRAME["time"], unit="s").dt.date)
    frame["time"] = pd.to_datetime(FRAME["time"], unit="s").dt.time
    log = read_log(parquet(frame, "log.parquet"))
    assert histories(log) == HISTORIES
    assert first_time(log) == FIRST
    assert histories(read_log(frame)) == HISTORIES


# ---------------------------------------------------------------- precision


TIMES_OF_ONE_SECOND = {
    "nanoseconds": lambda t: f"2019-10-01T00:00:00.00000000{t}Z",
    "nanoseconds, local": lambda t: f"2019-10-01 00:00:00.00000000{t}",
    "decimals": lambda t: f"1569888000.00000000{t}",
    "whole": lambda t: f"156988800000000000{t}",
}


@pytest.mark.parametrize("kind", TIMES_OF_ONE_SECOND)
def test_times_that_a_double_cannot_tell_apart_keep_their_order(kind, way):
    log = read_log(written(table(time=TIMES_OF_ONE_SECOND[kind])))
    assert histories(log) == HISTORIES
    assert first_time(log) == "2019-10-01T00:00:00"


@pytest.mark.parametrize(("unit", "noted"), [("ms", True), ("s", False)])
def test_a_unit_that_puts_times_in_1970_is_noted(unit, noted, way):
    content = "user,item,time\n" + "".join(
        f"{u},{i},{881250949 + i}\n" for u in range(3) for i in range(3)
    )
    log = read_log(written(content), unit=unit)
    line = f"times: in {unit}, as given, they are of 1970 to 1970; by their size they are in s"
    assert any(note.startswith(line) for note in log.notes) == noted


# ---------------------------------------------------------------- dates under any name


def with_dates(**others):
    """Return the log with a column of dates called d in the place of its times."""
    days = pd.Timestamp("2020-01-01") + pd.to_timedelta(FRAME["time"] - START, unit="D")
    return FRAME.drop(columns="time").assign(d=days.dt.date, **others)


READERS = {
    "CSV": lambda frame: read_log(written(frame.to_csv(index=False))),
    "JSON lines": lambda frame: read_log(
        written(frame.astype(str).to_json(orient="records", lines=True), "log.jsonl")
    ),
    "Parquet": lambda frame: read_log(parquet(frame, "log.parquet")),
    "DataFrame": read_log,
}


@pytest.mark.parametrize("kind", READERS)
def test_the_only_column_of_dates_is_the_time_whatever_its_name(kind):
    log = READERS[kind](with_dates(price=7, city="x"))
    assert histories(log) == HISTORIES
    assert first_time(log)[:10] == "2020-01-02"
    assert "time: column 'd', the only one of dates" in log.guesses


@pytest.mark.parametrize("kind", READERS)
@pytest.mark.parametrize(
    "others",
    [
        {"released": pd.Timestamp("2020-01-01").date()},  # two columns of dates
        {"sent_at": 1, "paid_at": 2},  # two that may be the time by their names
    ],
)
def test_dates_are_no_time_where_another_column_may_be_it(kind, others):
    log = READERS[kind](with_dates(**others))
    assert log.timestamps is None
    assert any(guess.startswith("time: none") for guess in log.guesses)


@pytest.mark.parametrize("name", ["released", "birth", "joined"])
def test_dates_of_a_thing_or_a_person_are_no_times(name):
    assert read_log(with_dates().rename(columns={"d": name})).timestamps is None


@pytest.mark.parametrize("value", ["2020.1.1", "20200101", "5", "10:30", "x"])
def test_what_only_may_be_read_as_a_date_is_no_time(value):
    assert read_log(with_dates().assign(d=value)).timestamps is None


def test_dates_that_some_rows_lack_are_no_times():
    frame = with_dates()
    frame.loc[1, "d"] = None
    assert read_log(written(frame.to_csv(index=False))).timestamps is None
    assert read_log(parquet(frame, "log.parquet")).timestamps is None
