"""Every layout is read exactly, and every malformed log gives the right result or one line that says what to mend."""

import gzip
import io
import os
import zipfile

import numpy as np
import pandas as pd
import pytest
import zstandard

from perflaw.errors import InputError
from perflaw.logs.interaction_log import from_histories, read_log, write_log
from perflaw.logs.readers import reading

ROWS = [
    ("u1", "a", 3),
    ("u2", "b", 1),
    ("u1", "c", 1),
    ("u1", "b", 2),
    ("u2", "a", 1),
]  # times: + 1e9 s; u2 has a tie
HISTORIES = {"u1": ["c", "b", "a"], "u2": ["b", "a"]}


def histories(log):
    return {
        str(id): [str(log.item_ids[i]) for i in log.history(u)] for u, id in enumerate(log.user_ids)
    }


def text(
    rows=ROWS, delimiter=",", header="user,item,time", times=lambda t: 1_000_000_000 + t, end="\n"
):
    lines = [delimiter.join([str(user), str(item), str(times(time))]) for user, item, time in rows]
    return end.join([header.replace(",", delimiter)] * bool(header) + lines) + end


def parquet(frame):
    import duckdb

    path = "written.parquet"
    duckdb.sql("select * from frame").write_parquet(path)
    with open(path, "rb") as file:
        return file.read()


def zipped(name, content):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(name, content)
    return buffer.getvalue()


FRAME = pd.DataFrame(ROWS, columns=["user", "item", "timestamp"]).assign(
    timestamp=lambda f: f["timestamp"] + 10**9
)
PLAIN = text().encode()
BY_ID = text([(1, 7, 3), (2, 8, 1), (1, 9, 1), (1, 8, 2), (2, 7, 1)])

GOOD = {  # name: content, options, histories
    "csv": (PLAIN, {}, HISTORIES),
    "tsv": (text(delimiter="\t"), {}, HISTORIES),
    "semicolon": (text(delimiter=";"), {}, HISTORIES),
    "gzip": (gzip.compress(PLAIN), {}, HISTORIES),
    "zstd": (zstandard.ZstdCompressor().compress(PLAIN), {}, HISTORIES),
    "zstd in two frames": (
        b"".join(zstandard.compress(part) for part in (PLAIN[:40], PLAIN[40:])),
        {},
        HISTORIES,
    ),
    "RecBole": (
        text(delimiter="\t", header="user_id:token,item_id:token,timestamp:float"),
        {},
        HISTORIES,
    ),
    "ratings.dat": (
        "".join(f"{u}::{i}::5::{t + 10**9}\n" for u, i, t in [(1, 7, 3), (2, 8, 1), (1, 9, 1)]),
        {},
        {"1": ["9", "7"], "2": ["8"]},
    ),
    "u.data": (
        "".join(f"{u}\t{i}\t5\t{t + 10**9}\n" for u, i, t in [(1, 7, 3), (2, 8, 1), (1, 9, 1)]),
        {},
        {"1": ["9", "7"], "2": ["8"]},
    ),
    "SASRec": ("1 7\n1 9\n2 8\n1 7\n", {}, {"1": ["7", "9", "7"], "2": ["8"]}),
    "S3-Rec": (
        "1 7 9 7\n2 8 9 7 8 1\n",
        {},
        {"1": ["7", "9", "7"], "2": ["8", "9", "7", "8", "1"]},
    ),
    "S3-Rec, said so": (
        "1 7 9\n2 8 1\n",
        {"layout": "sequences"},
        {"1": ["7", "9"], "2": ["8", "1"]},
    ),
    "parquet": (lambda: parquet(FRAME), {}, HISTORIES),
    "named columns": (
        text(header="who,what,when"),
        {"user": "who", "item": "what", "time": "when"},
        HISTORIES,
    ),
    "numbered columns": (
        text(header=""),
        {"user": 1, "item": 2, "time": 3, "header": False},
        HISTORIES,
    ),
    "other columns": (
        "rating,item,comment,user,ts\n5,a,x,u1,2000000000\n4,b,y,u1,1000000000\n",
        {},
        {"u1": ["b", "a"]},
    ),
    "BOM": (b"\xef\xbb\xbf" + PLAIN, {}, HISTORIES),
    "UTF-16": (text().encode("utf-16"), {}, HISTORIES),
    "Windows line ends": (text(end="\r\n"), {}, HISTORIES),
    "no newline at the end": (text().rstrip("\n"), {}, HISTORIES),
    "quotes": ('user,item\nu1,"a, b"\nu1,"c ""d"""\n', {}, {"u1": ["a, b", 'c "d"']}),
    "newline within quotes": ('user,item\nu1,"a\nb"\nu1,c\n', {}, {"u1": ["a\nb", "c"]}),
    "no times": (
        text(header="user,item", times=lambda t: "").replace(",\n", "\n"),
        {},
        {"u1": ["a", "c", "b"], "u2": ["b", "a"]},
    ),
    "ISO times": (text(times=lambda t: f"2020-01-01T00:00:0{t}Z"), {}, HISTORIES),
    "milliseconds": (text(times=lambda t: 1_600_000_000_000 + t), {}, HISTORIES),
    "positions for times": (text(times=lambda t: t), {}, HISTORIES),
    "negative positions": (text(times=lambda t: t - 2), {"unit": "order"}, HISTORIES),
    "times of 1971, said so": (text(times=lambda t: 31_536_000 + t), {"unit": "s"}, HISTORIES),
    "leading zeros are text": ("user,item\n007,a\n7,b\n", {}, {"007": ["a"], "7": ["b"]}),
    "NA is an id": ("user,item\nNA,null\nNA,nan\n", {}, {"NA": ["null", "nan"]}),
    "unicode": ("user,item\nzoë,日本\nzoë,ß\n", {}, {"zoë": ["日本", "ß"]}),
    "ids beyond 2^31": (
        BY_ID.replace("\n1,", f"\n{2**31 + 1},"),
        {},
        {"2": ["8", "7"], str(2**31 + 1): ["9", "8", "7"]},
    ),
    "ids beyond 2^63": (
        BY_ID.replace("\n1,", f"\n{2**63 + 1},"),
        {},
        {"2": ["8", "7"], str(2**63 + 1): ["9", "8", "7"]},
    ),
    "one user": ("user,item\nu,a\nu,b\n", {}, {"u": ["a", "b"]}),
    "one item": ("user,item\nu,a\nv,a\nu,a\n", {}, {"u": ["a", "a"], "v": ["a"]}),
    "one row": ("user,item\nu,a\n", {}, {"u": ["a"]}),
    "all ties": (text(times=lambda t: 10**9), {}, {"u1": ["a", "c", "b"], "u2": ["b", "a"]}),
    "exact duplicates are kept": (
        "user,item,time\n" + "u,a,1000000000\n" * 3,
        {},
        {"u": ["a", "a", "a"]},
    ),
    "whole numbers written as decimals in Parquet": (
        lambda: parquet(pd.DataFrame({"user": [1.0, 2.0], "item": [3, 4]})),
        {},
        {"1": ["3"], "2": ["4"]},
    ),
}


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


BAD = {  # name: content, options, what the one line says
    "empty": ("", {}, "log is empty"),
    "blank lines": ("\n\n \n", {}, "nothing but blank lines"),
    "header only": ("user,item,time\n", {}, "a header and no rows"),
    "one column": ("user\nu1\nu2\n", {}, "has one column; a log needs users and items"),
    "binary": (bytes(range(256)) * 8, {}, "neither text nor Parquet"),
    "Latin-1": ("user,item\nzoë,a\n".encode("latin-1"), {}, "not UTF-8 text; convert it"),
    "wrong delimiter": (PLAIN, {"delimiter": ";"}, "it seems to be split at ','"),
    "mixed delimiters": (
        "user,item\nu1,a\nu1;b\n",
        {},
        "log, line 3: 1 column where the first line has 2",
    ),
    "ragged": (
        "user,item,time\nu1,a,1000000000\nu1,b\n",
        {},
        "log, line 3: 2 columns where the first line has 3",
    ),
    "too wide": (
        "user,item\nu1,a\nu1,b,c\n",
        {},
        "log, line 3: 3 columns where the first line has 2",
    ),
    "no user": (
        "user,item\nu1,a\n,b\n",
        {},
        "log, row 2 after the header: no user; fill it in or remove the row",
    ),
    "no item": ("user,item\nu1,a\nu1, \n", {}, "log, row 2 after the header: no item"),
    "no time at all": (
        "user,item,time\nu1,a,\nu1,b,\n",
        {},
        "the column of times, 'time', is blank",
    ),
    "no time": (
        "user,item,time\nu1,a,1000000000\nu1,b,\n",
        {},
        "log, row 2 after the header: no time",
    ),
    "NaN time": (
        "user,item,time\nu1,a,1000000000.5\nu1,b,nan\n",
        {},
        "row 2 after the header: the time",
    ),
    "infinite time": (
        "user,item,time\nu1,a,1000000000.5\nu1,b,inf\n",
        {},
        "row 2 after the header: the time",
    ),
    "no number, no date": (
        "user,item,time\nu1,a,1000000000\nu1,b,noon\n",
        {},
        "the time 'noon' is no number and no ISO 8601 date",
    ),
    "mixed units": (
        "user,item,time\nu1,a,1600000000000\nu1,b,1600000000\n",
        {},
        "row 2 after the header: the time 1600000000, where others",
    ),
    "far future": ("user,item,time\nu1,a,1600000000\nu1,b,9600000000\n", {}, "after the year 2100"),
    "far future date": (
        "user,item,time\nu1,a,2020-01-01\nu1,b,2920-01-01\n",
        {},
        "after the year 2100",
    ),
    "negative time": (
        "user,item,time\nu1,a,1600000000\nu1,b,-5\n",
        {},
        "row 2 after the header: the time -5 is negative",
    ),
    "wrong unit": (
        PLAIN,
        {"unit": "min"},
        "there is no unit 'min' of times; there are s, ms, us, ns, order",
    ),
    "unit of dates": ("user,item,time\nu1,a,2020-01-01\n", {"unit": "ms"}, "these times are dates"),
    "header twice": (text() + text(), {}, "the header again; remove the line"),
    "column twice": ("user,item,user\nu1,a,u1\n", {}, "has the column 'user' twice"),
    "header or row?": ("alpha,beta\nu1,a\n", {}, "may be a header or a row"),
    "no column of that name": (
        PLAIN,
        {"user": "who"},
        "has no column 'who' for user; it has user, item, time",
    ),
    "no column for users": (
        "item,when,n\na,1,2\n",
        {},
        "which column holds the user? With user= name one of item, when, n",
    ),
    "one column for two": (PLAIN, {"user": "item"}, "one column cannot be two of"),
    "five columns, no header": ("1,2,3,4,5\n6,7,8,9,1\n", {}, "name them by number"),
    "quote without end": ('user,item\nu1,"a\nu1,b\n', {}, "a quote that does not end"),
    "mixed line ends": ("user,item\r\nu1,a\nu1,b\r\n", {}, "lines end in different ways"),
    "zero byte": (b"user,item\nu1,a\0\n", {}, "neither text nor Parquet"),
    "truncated gzip": (gzip.compress(PLAIN * 100)[:-20], {}, "is not a whole gzip file"),
    "gzip with a wrong checksum": (
        gzip.compress(PLAIN)[:-8] + b"12345678",
        {},
        "is not a whole gzip file",
    ),
    "gzip damaged within": (
        gzip.compress(PLAIN)[:10] + b"\xff" * 20,
        {},
        "is not a whole gzip file",
    ),
    "truncated zstd": (
        zstandard.compress(os.urandom(10_000))[:-20],
        {},
        "is not a whole zstd file",
    ),
    "truncated Parquet": (lambda: parquet(FRAME)[:-20], {}, "may be damaged or cut short"),
    "corrupt Parquet": (lambda: b"PAR1" + bytes(1000) + b"PAR1", {}, "may be damaged or cut short"),
    "zip": (zipped("log.csv", text()), {}, "is a zip archive: unzip it"),
    "zip that climbs out": (zipped("../../log.csv", text()), {}, "is a zip archive: unzip it"),
    "user with two lines": (
        "1 2 3 4 5 6\n1 7\n",
        {"layout": "sequences"},
        "user 1 has two lines, 1 and 2",
    ),
    "user without items": (
        "1 2 3 4 5 6\n2\n",
        {"layout": "sequences"},
        "log, line 2: a user without items",
    ),
    "no such layout": (PLAIN, {"layout": "xml"}, "there is no layout 'xml'"),
    "delimiter of Parquet": (
        lambda: parquet(FRAME),
        {"delimiter": ","},
        "has no use for delimiter=','",
    ),
    "half ids": (
        lambda: parquet(pd.DataFrame({"user": [1.5, 2], "item": [3, 4]})),
        {},
        "row 1: the user 1.5 is a number but not a whole one",
    ),
    "NaN ids": (
        lambda: parquet(pd.DataFrame({"user": [np.nan, 2], "item": [3, 4]})),
        {},
        "row 1: no user",
    ),
    "ids rounded": (
        lambda: parquet(pd.DataFrame({"user": [2.0**60, 2], "item": [3, 4]})),
        {},
        "too large to be exact",
    ),
    "dates for ids": (
        lambda: parquet(pd.DataFrame({"user": pd.to_datetime(["2020-01-01"]), "item": [3]})),
        {},
        "an id is a whole number or text",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad(name):
    content, options, told = BAD[name]
    with pytest.raises(InputError) as caught:
        read_log(written(content), **options)
    message = str(caught.value)
    assert told in message and "\n" not in message and len(message) < 300, message
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
    """7 and "7" in one column are one text or are refused; they are never two ids that print alike."""
    frame = pd.DataFrame({"user": ["u", "u", "u"], "item": pd.Series([7, "7", "x"], dtype=object)})
    try:
        log = read_log(frame)
    except InputError as error:
        assert "\n" not in str(error)
    else:
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
    assert log.timestamps is None and any("no Unix times" in note for note in log.notes)


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
    whole = reading._whole_numbers
    monkeypatch.setattr(reading, "_whole_numbers", lambda *a: taken.append(whole(*a)) or taken[-1])
    quick = read_log(written(content), **options)
    monkeypatch.setattr(reading, "FITS", 0)
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
    assert not taken and histories(quick) == histories(thorough)


def test_the_quick_way_gives_up_where_64_bits_do_not_hold_user_time_and_row(monkeypatch):
    content = "".join(
        f"{u * 10**17},{i},{1_600_000_000_000 + i}\n" for u in (3, 9, 1) for i in (5, 2)
    )
    quick, thorough, taken = quick_and_thorough("user,item,time\n" + content, monkeypatch)
    assert not taken and histories(quick) == histories(thorough) == {
        str(u * 10**17): ["2", "5"] for u in (1, 3, 9)
    }


def test_a_time_is_known_by_the_end_of_its_name_if_one_column_has_it():
    rows = pd.DataFrame(
        {
            "user": [1, 1],
            "item": ["a", "b"],
            "bought_at": ["2024-01-02", "2024-01-01"],
            "price": [1, 2],
        }
    )
    assert "time: column 'bought_at', by the end of its name" in reading.read(rows).notes
    assert reading.read(rows.assign(candidate="x")).timestamps is not None  # no word of a time
    two = reading.read(rows.assign(sent_at=rows["bought_at"]))
    assert two.timestamps is None and any(
        "not used: bought_at, price, sent_at" in note for note in two.notes
    )
