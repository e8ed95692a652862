"""What looks odd is noted: ids written in two ways, times far from others, digits lost."""

import numpy as np
import pandas as pd
import pytest

from perflaw.errors import InputError
from perflaw.logs import read_log
from perflaw.logs.interaction_log import from_histories
from perflaw.logs.readers import doubts
from perflaw.logs.readers.options import Findings


@pytest.fixture
def frame():
    """Forty users with ten rows each, times to the second in 2020."""
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "user": np.repeat(np.arange(40), 10),
            "item": rng.integers(0, 50, 400),
            "timestamp": 1_600_000_000 + np.sort(rng.integers(0, 7_000_000, 400)),
        }
    )


@pytest.fixture(params=["frame", "text", "large text"])
def notes_of(request, tmp_path, monkeypatch):
    """Return a function: a frame → the notes of reading it, guesses left out."""
    if request.param == "large text":
        monkeypatch.setattr("perflaw.logs.readers.large_text.SMALL", 0)

    def notes_of(frame):
        source = frame
        if request.param != "frame":
            source = tmp_path / "log.csv"
            frame.to_csv(source, index=False)
        log = read_log(source)
        return [note for note in log.notes if note not in log.guesses]

    return notes_of


def only(notes, word):
    """Return the one note that has a word."""
    found = [note for note in notes if word in note]
    assert len(found) == 1
    return found[0]


def test_an_ordinary_log_raises_no_doubt(frame, notes_of):
    assert notes_of(frame) == []


def test_a_time_that_has_lost_its_last_digit_is_noted(frame, notes_of):
    frame.loc[399, "timestamp"] //= 10
    note = only(notes_of(frame), "times")
    assert note.startswith("times: of 400 rows 1 is of 1975, the others of 2020;")


def test_dates_that_stand_for_none_are_noted(frame, notes_of):
    dates = pd.to_datetime(frame["timestamp"], unit="s").dt.strftime("%Y-%m-%dT%H:%M:%SZ")
    dates[3] = "1970-01-01T00:00:00Z"
    dates[7] = "2099-12-31T00:00:00Z"
    note = only(notes_of(frame.assign(timestamp=dates)), "times")
    assert "of 400 rows 2 are of 1970, 2099" in note


@pytest.mark.parametrize(("size", "unit"), [(1, "s"), (1000, "ms")])
def test_times_that_were_32_bit_floats_are_noted(frame, notes_of, size, unit):
    rounded = (frame["timestamp"] * size).astype(np.float32).astype(np.int64)
    note = only(notes_of(frame.assign(timestamp=rounded)), "32-bit")
    assert note.startswith(f"times: in {unit}, ")


def test_whole_days_are_not_taken_for_lost_digits(frame, notes_of):
    days = frame["timestamp"] // 86_400 * 86_400
    notes = notes_of(frame.assign(timestamp=days))
    assert notes == []


def test_times_that_are_32_bit_floats_are_refused(frame):
    short = frame.assign(timestamp=frame["timestamp"].astype(np.float32))
    with pytest.raises(InputError, match="row 1: the time is a 32-bit decimal number"):
        read_log(short)


def test_short_floats_are_read_as_an_order(frame):
    short = frame.assign(timestamp=frame["timestamp"].astype(np.float32))
    log = read_log(short, unit="order")
    assert log.timestamps is None


@pytest.mark.parametrize(
    ("one", "other", "shown"),
    [
        ("12", "12.0", "'12' and '12.0'"),
        ("0012", "12", "'0012' and '12'"),
        ("+12", "12", "'+12' and '12'"),
        ("7A", "7a", "'7A' and '7a'"),
        ("\u00c91", "E\u03011", r"'E\u03011' and '\xc91'"),
    ],
)
def test_ids_written_in_two_ways_are_noted(frame, notes_of, one, other, shown):
    items = frame["item"].astype(str) + "x"
    items[[3, 200]] = one
    items[[4, 201]] = other
    note = only(notes_of(frame.assign(item=items)), "item")
    assert note == (
        f"item: 1 id differs from another one only in how they are written, as {shown}; they "
        "count as two"
    )


def test_the_same_form_may_be_written_in_three_ways():
    findings = Findings()
    doubts.note_odd_ids("item", sorted(["12", "12.0", "012", "13"]), findings)
    assert findings.notes[0].startswith("item: 2 ids differ")


def test_rows_from_new_to_old_are_noted_where_times_are_equal(frame, notes_of):
    days = pd.to_datetime(frame["timestamp"], unit="s").dt.strftime("%Y-%m-%d")
    days[1] = days[0]
    note = only(notes_of(frame.assign(timestamp=days)[::-1]), "newest")
    assert "those of one time are taken in the order of rows" in note


def test_rows_from_new_to_old_without_ties_raise_no_doubt(frame, notes_of):
    distinct = frame.drop_duplicates(["user", "timestamp"])
    assert notes_of(distinct[::-1]) == []


def test_hours_beside_dates_are_noted(frame, notes_of):
    days = pd.to_datetime(frame["timestamp"], unit="s").dt.strftime("%Y-%m-%d")
    note = only(notes_of(frame.assign(timestamp=days, hour=frame["item"] % 24)), "hour")
    assert "hour beside them is not read" in note


def test_hours_beside_full_times_raise_no_doubt(frame, notes_of):
    assert notes_of(frame.assign(hour=frame["timestamp"] // 3600 % 24)) == []


@pytest.mark.parametrize("role", ["user", "item"])
def test_ids_that_are_32_bit_floats_are_refused_where_they_merge(frame, role):
    ids = np.float32(2**24) + frame["user"].astype(np.float32)
    with pytest.raises(
        InputError, match=f"row 1: the {role} 16777216.0 is a .* too large to be exact"
    ):
        read_log(frame.assign(**{role: ids}))


def test_a_mask_of_numbers_is_refused(frame):
    log = read_log(frame)
    with pytest.raises(InputError, match="one true or false for each interaction"):
        log.keep(np.arange(log.tokens) % 2)


def test_milliseconds_are_no_seconds():
    with pytest.raises(InputError, match="seconds since 1970 up to the year 2100"):
        from_histories([["a", "b"]], [[1_600_000_000_000, 1_600_000_000_001]])
