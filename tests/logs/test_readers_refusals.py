"""What no log can be read from is refused in one line; what can be is read alike both ways."""

import duckdb
import numpy as np
import pandas as pd
import pytest

from perflaw.errors import InputError
from perflaw.logs.interaction_log import read_log

TIMES = "user,item,time\n"
DIGITS = "20200731120000"
HUGE = f"1{'0' * 400}"  # no float is as large
ZONED = "2020-01-01T00:00:00Z"


def write(content):
    """Write a file into the folder of the test."""
    with open("log", "wb") as file:
        file.write(content if isinstance(content, bytes) else content.encode())
    return "log"


def histories(log):
    return {
        str(name): [str(log.item_ids[item]) for item in log.history(user)]
        for user, name in enumerate(log.user_ids)
    }


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ('[{"user":1,"item":2},{"user":1,"item":3}]', {"1": ["2", "3"]}),
        ('{"user":1,"item":2}\n\n{"user":1,"item":3.0}\n', {"1": ["2", "3"]}),
        ('{"user":{"$oid":"u"},"item":1}\n', {"u": ["1"]}),
        ('{"user":"\\ud83d\\ude00","item":2}\n', {"😀": ["2"]}),
        ('{"user":1,"events":[{"user":9,"item":2}]}\n', {"1": ["2"]}),
        ('user,items\n1,"(3)"\n2,"(1, 2)"\n', {"1": ["3"], "2": ["1", "2"]}),
        ("user,item\r1,2\r1,3\r", {"1": ["2", "3"]}),
        ("user,item\n1,2\n1,3\n".encode("utf-16-le"), {"1": ["2", "3"]}),
        ("user,item\n1,2\n1,3\n".encode("utf-16-be"), {"1": ["2", "3"]}),
        ("user,item\n1,2\n1,3\n".encode("utf-32"), {"1": ["2", "3"]}),
        ("//a\nuser,item\n/b,c\n/d,e\n", {"/b": ["c"], "/d": ["e"]}),
        (f"{TIMES}1,2,13010022\n1,3,12010021\n1,4,11010020\n", {"1": ["4", "3", "2"]}),
        ('{"1":5,"user":1,"events":[{"item":2}]}\n', {"1": ["2"]}),
    ],
)
def test_odd_files_are_read(content, expected):
    assert histories(read_log(write(content))) == expected


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize(
    ("times", "options"),
    [
        (['"time":1600000002000', '"time":1600000001000'], {"unit": "ms"}),
        (['"date":"2020-09-13","time":"12:27"', '"date":"2020-09-13","time":"12:26"'], {}),
    ],
)
def test_events_have_times(times, options):
    events = ",".join(f'{{"item":{item},{time}}}' for item, time in enumerate(times))
    log = read_log(write(f'{{"user":1,"events":[{events}]}}\n'), **options)
    assert histories(log) == {"1": ["1", "0"]}
    np.testing.assert_allclose(log.timestamps, 1.6e9, atol=60)


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ('[{"user":1,"item":2,"item":3}]', "the key 'item' stands twice in a record; remove one"),
        ('[{"user":1,"item":2},\n{"user":1,', "log, line 2: no whole JSON list"),
        ('[{"user":1,"item":2}, 3]', "log, record 2: 3 is no record"),
        ("[1,2]\n[3,4]\n", r"log, line 1: \[1, 2\] is no record"),
        ('{"user":1,"item":1.5}\n', "line 1: the item 1.5 is a number but not a whole one"),
        ('{"user":1,"item":1e17}\n', "line 1: the item 1e\\+17 is a decimal number too large"),
        ('{"user":1,"item":2,"time":true}\n', "line 1: the time"),
        (
            f'{{"user":1,"item":2,"time":5}}\n{{"user":1,"item":3,"time":{HUGE}}}\n',
            "line 2: .* inf",
        ),
        (f'{{"user":1,"item":2,"time":-{HUGE}}}\n', "line 1: the time -inf"),
        (f'{{"user":1,"items":[2,3],"times":[5,{HUGE}]}}\n', "line 1: the time inf"),
        (f'user,items,times\n1,"[2, 3]","[5, {HUGE}]"\n', "line 2: the time inf"),
        ('{"user":1,"events":[{"item":2}]}\n{"user":2,"events":5}\n', "line 2: no list of inter"),
        ('{"user":1,"events":[{"item":2}, 3]}\n', "line 1: 3 in 'events' is no record"),
        ('{"user":"\\ud800","item":2}\n', r"line 1: '\\ud800' is half of a character"),
        ('[{"user":"\\uDE00","item":2}]', r"record 1: '\\ude00' is half of a character"),
        ("{}\n", "which column holds the user"),
        ("user,item_list\n1,\n2,3 4\n", "line 2: an empty list in 'item_list'; remove the row"),
        (
            'user,items\n1,"[3, [4]]"\n2,"[1]"\n',
            "line 2: '\\[3, \\[4\\]\\]' in 'items' is no plain",
        ),
        ('user,items\n1,"[1, 2]"\n2,"[3, 4"\n', "line 3: '\\[3, 4' in 'items' is no plain list"),
        ("a,b;c\n1,2;3\n4,5;6\n", "may be split at ',' or ';'; say which with delimiter="),
        ("#a,b\n#c,d\nx,y\n#e,f\n", "may be a header or a row"),
        (b"user,item\n1,\xe9\n", "line 2: not UTF-8 text; convert it"),
        ("user,item\n1,2\n".encode("utf-16")[:-1], "is not whole UTF-16 text"),
        ("+---+---+\n| user | item |\n+---+---+\n", "has a header and no rows"),
        ("sep=;\n", "has no rows: fetch or write it again"),
        ("//a\n/b,c\n/d,e\n", "may be a header or a row"),
        ("user,item,time\n1,2,-5\n1,3,1500000000\n", "line 2: the time -5 is negative"),
        ("user,item,time\n1,2,1500000000\n1,3,9999999999\n", "line 3: .* after the year 2100 in s"),
        ("user,item,time\n1,2,1500000000\n1,3,1500000000000\n", "line 2: .* others are like"),
        (f"{TIMES}1,2,1600000000\n1,3,1600000001\n1,4,99999999999999\n", "line 4: .* in s; mend"),
        (f"{TIMES}1,2,5\n1,3,7\n1,4,1600000000000\n", "line 4: .* like 7, which are no Unix times"),
        (f"{TIMES}1,2,1600000000000\n1,3,1600000001000\n1,4,1600000000\n", "line 4: .* in ms; m"),
        (f"{TIMES}1,2,20201331120000\n1,3,{DIGITS}\n1,4,{DIGITS}\n", "line 2: .* digits of a date"),
        ("user,item,time\n1,2,110120\n1,3,120120\n1,4,130120\n", "is it the digits of a date?"),
        ("user,item,time\n1,2,11012020\n1,3,12012020\n1,4,13012020\n", "the digits of a date?"),
        ("user,item,item\n1,2,3\n", "has the column 'item' twice: rename one"),
        ("user,item,time\n1,2,2020-01-01T00:00:00Z\n1,3,2020-01-01T00:00:00\n", "no time zone"),
        (f"{TIMES}1,2,{ZONED}\n1,3,2020-01-01\n1,4,2020-01-02\n", "line 2: .* and others have not"),
        (
            f"{TIMES}1,2,2020-01-01\n1,3,{ZONED}\n1,4,2021{ZONED[4:]}\n",
            "line 2: .* others have one",
        ),
        ('{"user":1,"item":2.0}\n{"user":1,"item":NaN}\n', "line 2: no item; fill it in"),
        ("user,item,time\n1,2,2020-01-01\n1,3,2020-13-01\n", "line 3: .* no day of the calendar"),
        ("user,item\n# c\n1,2\n1,3\n", "line 2: 1 column where the header has 2; mend the line"),
    ],
)
def test_bad_files_are_refused_in_one_line(content, reason):
    with pytest.raises(InputError, match=reason) as error:
        read_log(write(content))
    assert "\n" not in str(error.value)


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"unit": "parsec"}, "there is no unit 'parsec' of times"),
        ({"layout": "xml"}, "there is no layout 'xml'"),
        ({"unit": "filetime"}, "line 2: the time 100 is not between 1970 and 2100 in filetime"),
        ({"timezone": "UTC"}, "is for dates, and these times are numbers; leave it out"),
        ({"time_format": "%d/%m"}, "line 2: the time '100' is not of the form '%d/%m'"),
        ({"time_format": "%Q"}, "time_format='%Q' cannot be used"),
    ],
)
def test_options_that_do_not_fit_are_refused(options, reason):
    with pytest.raises(InputError, match=reason):
        read_log(write("user,item,time\n1,2,100\n1,3,200\n"), **options)


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("log", "log is no folder of Parquet parts; leave parts=True out"),
        (".", "has no files; name a folder of Parquet files"),
        (5, "parts=True is for a folder of Parquet files; leave it out"),
        (pd.DataFrame({"user": [1], "item": [2]}), "has no use for parts=True"),
    ],
)
def test_parts_are_a_folder(source, reason):
    with pytest.raises(InputError, match=reason):
        read_log(source, parts=True)


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize(
    ("content", "layout", "note"),
    [
        ("user,items\n1,\n2,3 4\n", None, "lists left out as empty: 1"),
        ("1 2 3\n2\n3 4\n5 6 7 8\n", "sequences", "lines left out as incomplete: 1 of 4"),
        ("user,item\n1,2\n1,3\n", None, "rows left out as incomplete: 0"),
        ("user,item\n1,2\n,3\n", None, "rows left out as incomplete: 1 of 2"),
    ],
)
def test_what_is_left_out_is_said_once(content, layout, note):
    log = read_log(write(content), layout=layout, drop_incomplete=True)
    assert [text for text in log.notes if "left out" in text] == [note]


# ---------------------------------------------------------------- Arrow


class Stream:
    """A table of which nothing is known but its Arrow stream, made by DuckDB."""

    def __init__(self, query):
        self.connection = duckdb.connect()
        self.relation = self.connection.sql(query)

    def __arrow_c_stream__(self, requested_schema=None):
        return self.relation.__arrow_c_stream__(requested_schema)


def stream_of(columns, *rows):
    return Stream(f"select * from (values {', '.join(rows)}) as t({columns})")


USER_ITEM = '"user", item'
USER_ITEM_TIME = '"user", item, time'


@pytest.mark.parametrize(
    ("columns", "rows", "expected"),
    [
        (USER_ITEM, ["(1, 'a')", "(2, 'b')", "(1, 'c')"], {"1": ["a", "c"], "2": ["b"]}),
        (USER_ITEM_TIME, ["(1, 'a', 10)", "(1, 'b', 5)"], {"1": ["b", "a"]}),
        (USER_ITEM_TIME, ["(1, 'a', timestamp '2020-01-01')", "(1, 'b', timestamp '2019-01-01')"],
         {"1": ["b", "a"]}),
        (USER_ITEM, ["('u', [7, 8])", "('v', [9])"], {"u": ["7", "8"], "v": ["9"]}),
        (USER_ITEM_TIME, ["(1, [7, 8], [20, 10])"], {"1": ["8", "7"]}),
        (USER_ITEM_TIME, ["(1, [7, 8], 5)"], {"1": ["7", "8"]}),
    ],
)  # fmt: skip
def test_an_arrow_stream_is_read(columns, rows, expected):
    assert histories(read_log(stream_of(columns, *rows))) == expected


@pytest.mark.parametrize(
    ("columns", "rows", "reason"),
    [
        (USER_ITEM, ["(1, [1])", "(1, [2])"], "row 2: a second list of a user in 'item'"),
        (USER_ITEM, ["(1, [1])", "(2, [])"], "row 2: no item; fill it in"),
        (USER_ITEM_TIME, ["(1, [1, 2], [1])"], "row 1: as many times as items are needed"),
        (USER_ITEM_TIME, ["(1, 'a', 'inf'::double)", "(1, 'b', 1.0)"], "row 1: the time is no"),
        ('"user", other', ["(1, 2)"], "which column holds the item"),
        (USER_ITEM, ["(1, 5.0::double)", "(1, 'nan'::double)"], "row 2: no item; fill it in"),
        (USER_ITEM, ["(1, [5.0::double, 'nan'::double])"], "interaction 2: no item; fill it in"),
        (USER_ITEM, ["(1, 1.5::double)"], "row 1: the item 1.5 is a number but not a whole one"),
    ],
)
def test_a_bad_arrow_stream_is_refused(columns, rows, reason):
    with pytest.raises(InputError, match=f"the Stream.*{reason}"):
        read_log(stream_of(columns, *rows))


@pytest.mark.parametrize(
    ("users", "items"), [([1, 1], [5.0, np.nan]), ([1], [[5.0, np.nan]]), ([1, 1], ["5", np.nan])]
)
def test_not_a_number_is_no_item(users, items):
    frame = pd.DataFrame({"user": users, "item": items})
    with pytest.raises(InputError, match="no item; fill it in"):
        read_log(frame)
    assert histories(read_log(frame, drop_incomplete=True)) == {"1": ["5"]}


@pytest.mark.parametrize("item", ["'a'", "[1]"])
def test_an_empty_arrow_stream_is_refused(item):
    with pytest.raises(InputError, match="no rows: fetch or write it again"):
        read_log(Stream(f'select 1 as "user", {item} as item where false'))


def test_empty_lists_of_an_arrow_stream_can_be_left_out():
    log = read_log(stream_of(USER_ITEM, "(1, [5])", "(2, [])"), drop_incomplete=True)
    assert histories(log) == {"1": ["5"]}
    assert "lists left out as empty: 1" in log.notes
    with pytest.raises(InputError, match="all lists are empty"):
        read_log(stream_of(USER_ITEM, "(2, []::int[])"), drop_incomplete=True)


def test_local_times_of_an_arrow_stream():
    stream = stream_of(USER_ITEM_TIME, "(1, 'a', timestamp '2020-01-01 05:30:00')")
    log = read_log(stream, timezone="Asia/Kolkata")
    assert log.timestamps.tolist() == [1_577_836_800]


def test_what_is_no_arrow_table_is_refused():
    class Broken:
        def __arrow_c_stream__(self, requested_schema=None):
            raise RuntimeError("no stream")

    with pytest.raises(InputError, match="the Broken cannot be read as an Arrow table"):
        read_log(Broken())


# ---------------------------------------------------------------- pandas


@pytest.mark.parametrize(
    ("users", "expected"),
    [
        (pd.Series([1, 2], dtype=object), {"1": ["7"], "2": ["8"]}),
        (pd.Series([1.0, 2.0], dtype=object), {"1": ["7"], "2": ["8"]}),
        (pd.Series([1, "a"], dtype=object), {"1": ["7"], "a": ["8"]}),
        (pd.Categorical([1.0, 2.0]), {"1": ["7"], "2": ["8"]}),
    ],
)
def test_ids_of_pandas_are_read_as_what_they_are(users, expected):
    assert histories(read_log(pd.DataFrame({"user": users, "item": [7, 8]}))) == expected


def test_arrays_in_cells_of_pandas_are_lists():
    items = [np.array([1, 2]), np.array([3])]
    assert histories(read_log(pd.DataFrame({"user": [1, 2], "item": items}))) == {
        "1": ["1", "2"],
        "2": ["3"],
    }


@pytest.mark.parametrize("role", ["user", "time"])
@pytest.mark.parametrize("other", [np.nan, None, 3, "a"])
def test_lists_among_other_cells_of_pandas_are_refused(role, other):
    """DuckDB crashes on some of these columns."""
    frame = pd.DataFrame({"user": [1, 2], "item": [3, 2], "time": [5, 6]}).astype(object)
    frame[role] = pd.Series([[1], other], dtype=object)
    with pytest.raises(InputError, match=f"the {role} column holds lists"):
        read_log(frame)


def test_complex_numbers_of_pandas_are_no_ids():
    with pytest.raises(InputError, match="holds complex128 values, which are neither ids nor"):
        read_log(pd.DataFrame({"user": [1, 2], "item": [1 + 2j, 3]}))


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("name", ["log.csv.gz", "log.bz2", "log.xz", "log.zip", "log.tar.gz"])
def test_a_plain_table_may_be_called_what_packed_ones_are(tmp_path, name):
    (tmp_path / name).write_text("user,item,time\n1,2,5\n1,3,6\n")
    assert histories(read_log(tmp_path / name)) == {"1": ["2", "3"]}


@pytest.mark.parametrize("name", ["bought_at", "Bought At", "BOUGHT-AT", "boughtAt"])
def test_a_column_whose_name_ends_as_those_of_times_do_has_them(name):
    log = read_log(write(f"user,item,{name}\n1,2,1607056020\n1,3,1607056000\n"))
    assert histories(log) == {"1": ["3", "2"]}
