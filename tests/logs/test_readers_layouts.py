"""Every layout is read exactly; every malformed log is read rightly or refused in one line."""

import os

import numpy as np
import pandas as pd
import pytest
from log_files import BAD, FRAME, GOOD, HISTORIES, PLAIN, histories, text

from perflaw.errors import InputError
from perflaw.logs import readers
from perflaw.logs.interaction_log import from_histories, read_log, write_log
from perflaw.logs.readers import whole_numbers


@pytest.fixture(autouse=True)
def inside(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def written(content):
    content = content() if callable(content) else content
    with open("log", "wb") as file:
        file.write(content.encode() if isinstance(content, str) else content)
    return "log"


@pytest.mark.parametrize("name", GOOD)
def test_good(name):
    content, options, expected = GOOD[name]
    assert histories(read_log(written(content), **options)) == expected


@pytest.mark.parametrize("name", BAD)
def test_bad(name):
    content, options, told = BAD[name]
    with pytest.raises(InputError) as caught:
        read_log(written(content), **options)
    message = str(caught.value)
    assert told in message
    assert "\n" not in message
    assert len(message) < 300, message
    assert any(word in message for word in MENDS), message


MENDS = [
    "check",
    "close",
    "convert",
    "fetch",
    "fill",
    "give",
    "join",
    "leave",
    "mend",
    "name",
    "pass",
    "remove",
    "rename",
    "unzip",
    "write",
]
MENDS += ["say which", "it has", "there are", "seems to be split at", "split at a tab"]


def test_enough_malformed_logs():
    assert len(BAD) >= 40


def test_not_a_file():
    os.mkdir("folder")
    for source, told in (
        ("nowhere.csv", "does not exist"),
        ("folder", "is a folder"),
        (3, "from a path or a DataFrame"),
    ):
        with pytest.raises(InputError, match=told):
            read_log(source)


def test_no_permission():
    os.chmod(written(PLAIN), 0)
    if os.access("log", os.R_OK):
        pytest.skip("no file is closed to the superuser")
    with pytest.raises(InputError, match="check its permissions"):
        read_log("log")


def test_no_permission_is_told(monkeypatch):
    written(PLAIN)
    opened = open

    def closed(path, *args):
        if str(path) == "log":
            raise PermissionError(13, "Permission denied")
        return opened(path, *args)

    monkeypatch.setattr("builtins.open", closed)
    with pytest.raises(
        InputError, match=r"log cannot be read \(Permission denied\): check its permissions"
    ):
        read_log("log")


FRAMES = {
    "text": FRAME,
    "object": FRAME.astype({"user": object, "item": object}),
    "category": FRAME.astype({"user": "category", "item": "category"}),
    "dates": FRAME.assign(timestamp=pd.to_datetime(FRAME["timestamp"], unit="s")),
    "zoned dates": FRAME.assign(
        timestamp=pd.to_datetime(FRAME["timestamp"], unit="s", utc=True).dt.tz_convert("Asia/Tokyo")
    ),
    "shuffled index": FRAME.set_axis([9, 3, 3, 1, 0]),
    "order of columns": FRAME[["timestamp", "item", "user"]],
}


@pytest.mark.parametrize("kind", FRAMES)
def test_dataframe(kind):
    log = read_log(FRAMES[kind])
    assert histories(log) == HISTORIES
    np.testing.assert_array_equal(log.timestamps, 1e9 + np.array([1, 2, 3, 1, 1]))
    assert log.hash == read_log(FRAME).hash


@pytest.mark.parametrize(
    ("frame", "told"),
    [
        (FRAME[:0], "no rows"),
        (pd.DataFrame(), "has no columns"),
        (FRAME.set_axis(["user", "item", "item"], axis=1), "has the column 'item' twice"),
        (FRAME.assign(item=[None, "a", "b", "c", "d"]), "row 1: no item"),
        (FRAME.assign(user=[["x"]] * 5), "an id is a whole number or text"),
        (FRAME.assign(timestamp=[1e9, np.nan, 1e9, 1e9, 1e9]), "row 2: no time"),
    ],
)
def test_bad_dataframe(frame, told):
    with pytest.raises(InputError, match=told) as caught:
        read_log(frame)
    assert "\n" not in str(caught.value)


def test_objects_of_mixed_type():
    """7 and "7" in one column are one text or refused, never two ids that print alike."""
    frame = pd.DataFrame({"user": ["u", "u", "u"], "item": pd.Series([7, "7", "x"], dtype=object)})
    log, message = None, ""
    try:
        log = read_log(frame)
    except InputError as error:
        message = str(error)
    assert "\n" not in message
    if log is not None:
        assert log.n_items == 2


@pytest.mark.parametrize(
    ("times", "seconds"),
    [
        (lambda t: 1_600_000_000 + t, 1_600_000_003),
        (lambda t: 1_600_000_000_000 + t, 1_600_000_000.003),
        (lambda t: 1_600_000_000_000_000 + t, 1_600_000_000.000003),
        (lambda t: 1_600_000_000 + t + 0.5, 1_600_000_003.5),
        (lambda t: f"2020-09-13 12:26:4{t}", 1_600_000_003),
        (lambda t: f"2020-09-13T14:26:4{t}+02:00", 1_600_000_003),
    ],
)
def test_times_become_seconds(times, seconds):
    assert read_log(written(text(times=times))).timestamps.max() == pytest.approx(seconds, abs=1e-6)


def test_positions_are_no_clock():
    log = read_log(written(text(times=lambda t: t)))
    assert log.timestamps is None
    assert any("no Unix times" in note for note in log.notes)


def test_guesses_are_told():
    assert read_log(written(text())).notes == (
        "columns: split at ','",
        "user: column 'user', by its name",
        "item: column 'item', by its name",
        "time: column 'time', by its name",
        "times: in s, by their size",
    )
    told = read_log(
        written(text()), user="user", item="item", time="time", delimiter=",", header=True, unit="s"
    ).notes
    assert told == ()


def test_nanoseconds_sort_exactly():
    """Two times that differ by less than a double can hold keep their order."""
    base = 1_600_000_000_000_000_000
    assert histories(read_log(written(f"user,item,time\nu,b,{base + 2}\nu,a,{base + 1}\n"))) == {
        "u": ["a", "b"]
    }


def test_sorting_is_stable():
    rows = [("u", i, 0) for i in np.random.default_rng(0).permutation(5_000)]
    log = read_log(written(text(rows)))
    assert [log.item_ids[i] for i in log.items] == [row[1] for row in rows]


def test_written_logs_read_back():
    log = from_histories([["x", "y"], ["y", "z", "x"]], [[1e9, 1e9], [1e9 + 0.25, 1.1e9, 1.2e9]])
    write_log(log, "out.parquet")
    assert read_log("out.parquet").hash == log.hash
    assert os.listdir() == ["out.parquet"]


def test_a_failed_write_leaves_the_old_file(monkeypatch):
    log = from_histories([["x", "y"]])
    write_log(log, "out.parquet")
    with open("out.parquet", "rb") as file:
        before = file.read()
    monkeypatch.setattr(os, "replace", lambda *paths: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError):
        write_log(from_histories([["other"]]), "out.parquet")
    with open("out.parquet", "rb") as file:
        assert file.read() == before
    assert os.listdir() == ["out.parquet"]


# ---------------------------------------------------------------- the quick way with whole numbers


def quick_and_thorough(content, monkeypatch, **options):
    """What is read with the quick way and without it; whether the quick way was taken."""
    taken = []
    whole = whole_numbers.read
    monkeypatch.setattr(whole_numbers, "read", lambda *a: taken.append(whole(*a)) or taken[-1])
    quick = read_log(written(content), **options)
    monkeypatch.setattr(whole_numbers, "FITS", 0)
    return quick, read_log("log", **options), taken[0] is not None


@pytest.mark.parametrize("seed", range(6))
def test_the_quick_way_reads_the_same(seed, monkeypatch):
    rng = np.random.default_rng(seed)
    n = 500
    columns = [
        rng.integers(-5 if seed == 1 else 0, 30, n),
        rng.integers(1, 10 ** (3 * (seed + 1)), n),
        rng.integers(1, 6, n),
    ]
    columns.append(1_000_000_000 + rng.integers(100, size=n))
    header = "user,item,rating,time\n" if seed % 2 else ""
    content = header + "".join(",".join(map(str, row)) + "\n" for row in zip(*columns))
    quick, thorough, taken = quick_and_thorough(content, monkeypatch)
    assert taken
    for field in ("user_ids", "item_ids", "items", "offsets", "timestamps"):
        np.testing.assert_array_equal(getattr(quick, field), getattr(thorough, field))
        assert getattr(quick, field).dtype == getattr(thorough, field).dtype
    assert quick.notes == thorough.notes


@pytest.mark.parametrize(
    "content",
    [
        "1 7\n1 07\n2 7\n",
        "1 7\n1 +7\n",
        "1 7\n1 -0\n",
        "1 7\n1 1_000\n",
        "1 7\n1 07",  # the missing newline makes up for the zero
        "1 7\n1 7.0\n",
        "1 7\n1 1e3\n",
        "1 7\n1 1e999\n",
        "1 7\n1 true\n",
        "1 7\r\n1 8\r\n",
        "\ufeff1 7\n1 8\n",
        f"1 7\n1 {2**63}\n",
    ],
)
def test_the_quick_way_is_not_taken_for_anything_else(content, monkeypatch):
    quick, thorough, taken = quick_and_thorough(content, monkeypatch)
    assert not taken
    assert histories(quick) == histories(thorough)


def test_the_quick_way_gives_up_where_64_bits_do_not_hold_user_time_and_row(monkeypatch):
    content = "".join(
        f"{u * 10**17},{i},{1_600_000_000_000 + i}\n" for u in (3, 9, 1) for i in (5, 2)
    )
    quick, thorough, taken = quick_and_thorough("user,item,time\n" + content, monkeypatch)
    assert not taken
    assert (
        histories(quick) == histories(thorough) == {str(u * 10**17): ["2", "5"] for u in (1, 3, 9)}
    )


def test_a_time_is_known_by_the_end_of_its_name_if_one_column_has_it():
    rows = pd.DataFrame(
        {
            "user": [1, 1],
            "item": ["a", "b"],
            "bought_at": ["2024-01-02", "2024-01-01"],
            "price": [1, 2],
        }
    )
    assert "time: column 'bought_at', by the end of its name" in readers.read(rows).guesses
    assert readers.read(rows.assign(candidate="x")).timestamps is not None  # no word of a time
    two = readers.read(rows.assign(sent_at=rows["bought_at"]))
    assert two.timestamps is None
    assert any("not used: bought_at, price, sent_at" in note for note in two.guesses)
