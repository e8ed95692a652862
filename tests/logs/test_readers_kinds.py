"""Kinds of file that people report: each is read right, or refused in one line that mends it."""

import gzip
import json
import os
import sqlite3
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from log_files import histories

from perflaw.errors import InputError
from perflaw.logs.interaction_log import read_log
from perflaw.logs.readers import json_lines, whole_numbers
from perflaw.logs.readers import text as text_reader

ROWS = [("u1", "a", 3), ("u2", "b", 1), ("u1", "c", 1), ("u1", "b", 2), ("u2", "a", 1)]
ROWS += [("u2", "c", 4), ("u3", "a", 5), ("u3", "b", 6), ("u3", "d", 7)]
HISTORIES = {"u1": ["c", "b", "a"], "u2": ["b", "a", "c"], "u3": ["a", "b", "d"]}
START = 1_500_000_000
FIRST = "2017-07-14T02:40:01"


@pytest.fixture(autouse=True)
def _inside(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture(params=["lines", "engine"])
def way(request, monkeypatch):
    """Small files are read line by line, large ones by the engine: both ways read alike."""
    if request.param == "engine":
        monkeypatch.setattr(text_reader, "SMALL", -1)
        monkeypatch.setattr(json_lines, "SMALL", -1)
        monkeypatch.setattr(whole_numbers, "FITS", 0)
    return request.param


def table(delimiter=",", header="user,item,time", cell=str, time=lambda t: START + t, end="\n"):
    """The nine rows as text."""
    lines = [header.replace(",", delimiter)] if header else []
    lines += [delimiter.join(map(cell, (user, item, time(t)))) for user, item, t in ROWS]
    return end.join(lines) + end


def written(content, name="log.csv"):
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def parquet(frame, name):
    import duckdb

    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    duckdb.connect().sql("select * from frame").write_parquet("plain.parquet")
    os.replace("plain.parquet", path)
    return path


def first_time(log):
    return str(np.datetime64(int(log.timestamps.min()), "s"))


def refused(source, **options):
    with pytest.raises(InputError) as caught:
        read_log(source, **options)
    message = str(caught.value)
    assert "\n" not in message
    assert not set(message.lower().split()) & {
        "duckdb",
        "binder",
        "catalog",
        "parser",
        "pandas",
        "varchar",
    }
    return message


FRAME = pd.DataFrame(ROWS, columns=["user", "item", "time"]).assign(
    time=lambda f: f["time"] + START
)


# ---------------------------------------------------------------- 1: a path is a name


PATHS = [
    "log[1]",
    "log?",
    "log*",
    "a[!b]",
    "{a,b}",
    "quote'd",
    'double"d',
    "back\\slash",
    "sp ace",
    "per%20cent",
]
PATHS += [
    "$x",
    "semi;drop",
    "user=7/log",
    "date=2020-01-01/time=5/log",
    "[ab]/log",
    "été/日本",
    "~",
    "-o",
    "#1",
]


@pytest.mark.parametrize("stem", PATHS)
def test_a_path_of_text_is_a_name(stem, way):
    written(table().replace("u", "WRONG"), "log1.csv")
    path = written(table(), f"{stem}.csv")
    assert histories(read_log(path)) == HISTORIES


@pytest.mark.parametrize("stem", PATHS)
def test_a_path_of_parquet_is_a_name(stem):
    parquet(FRAME.assign(user="WRONG"), "log1.parquet")
    path = parquet(FRAME, f"{stem}.parquet")
    assert histories(read_log(path)) == HISTORIES


def test_a_pattern_names_no_file():
    parquet(FRAME, "log1.parquet")
    assert "does not exist" in refused("log*.parquet")


# ---------------------------------------------------------------- 2: quotes


QUOTES_AS_TEXT = {
    "tabs": ("\t", "log.tsv"),
    "RecBole": ("\t", "log.inter"),
    "colons": ("::", "ratings.dat"),
}


@pytest.mark.parametrize("kind", QUOTES_AS_TEXT)
@pytest.mark.parametrize("odd", ['"Heroes', '7"', '12" vinyl', '"', '""', '"a"b'])
def test_quotes_are_text_between_tabs(kind, odd, way):
    delimiter, name = QUOTES_AS_TEXT[kind]
    header = (
        "user_id:token,item_id:token,timestamp:float" if kind == "RecBole" else "user,item,time"
    )
    content = table(delimiter, header).replace(
        f"{delimiter}d{delimiter}", f"{delimiter}{odd}{delimiter}"
    )
    assert histories(read_log(written(content, name)))["u3"] == ["a", "b", odd]


@pytest.mark.parametrize("odd", ['12" vinyl', 'a"b"c', '7"'])
def test_a_quote_within_a_field_is_text(odd, way):
    content = table().replace(",d,", f",{odd},")
    assert histories(read_log(written(content)))["u3"] == ["a", "b", odd]


def test_a_quoted_field_may_hold_delimiters_quotes_and_line_ends(way):
    content = table().replace(",d,", ',"a, ""b""\nc",')
    assert histories(read_log(written(content)))["u3"] == ["a", "b", 'a, "b"\nc']


@pytest.mark.parametrize("column", ["item", "unused"])
def test_a_quoted_field_that_swallows_rows_is_refused(column, way):
    lines = table(header="user,item,title,time", cell=str).splitlines()
    lines = [
        lines[0],
        *[line.replace(f",{START // 10**6}", f",t,{START // 10**6}") for line in lines[1:]],
    ]
    place = 1 if column == "item" else 2
    for row, mark in ((2, '"{}'), (6, '{}"')):
        cells = lines[row].split(",")
        cells[place] = mark.format(cells[place])
        lines[row] = ",".join(cells)
    assert "line 3: a quoted field goes over 5 lines that are rows" in refused(
        written("\n".join(lines))
    )


def test_a_quote_that_does_not_end_is_refused_at_its_line(way):
    assert "line 10: a quote that does not end" in refused(written(table().replace(",d,", ',"d,')))


def test_text_after_a_closing_quote_is_refused_at_its_line(way):
    assert "line 10: text after the end of a quoted" in refused(
        written(table().replace(",d,", ',"d"x,'))
    )


# ---------------------------------------------------------------- 3: lists in a cell

LISTS = {"u1": "c b a", "u2": "b a c", "u3": "a b d"}
NUMBERED = {"1": "3 2 1", "2": "2 1 3 7", "3": "1 2 4"}


def listed(lists, form, header="user_id,item_list", delimiter=","):
    lines = [header.replace(",", delimiter)]
    lines += [f"{user}{delimiter}{form(text.split())}" for user, text in lists.items()]
    return "\n".join(lines) + "\n"


FORMS = {
    "commas": lambda items: f'"{",".join(items)}"',
    "spaces": " ".join,
    "bars": "|".join,
    "JSON": lambda items: '"[' + ", ".join(items) + ']"',
    "Python": lambda items: '"[' + ", ".join(f"'{item}'" for item in items) + ']"',
    "NumPy": lambda items: "[" + " ".join(items) + "]",
    "tuples": lambda items: '"(' + ", ".join(items) + ')"',
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ["item_list", "sequence_item_ids", "history", "item_id"])
def test_lists_in_cells_are_histories(form, name, way):
    log = read_log(written(listed(NUMBERED, FORMS[form], f"user_id,{name}")))
    assert histories(log) == {user: items.split() for user, items in NUMBERED.items()}
    assert any("a list of items in each cell" in guess for guess in log.guesses)


def test_lists_of_words_go_by_the_name_of_the_column(way):
    log = read_log(written(listed(LISTS, " ".join)))
    assert histories(log) == HISTORIES


def test_token_seq_is_a_list(way):
    content = listed(LISTS, " ".join, "user_id:token,item_id_list:token_seq", "\t")
    assert histories(read_log(written(content, "log.inter"))) == HISTORIES


def test_the_item_after_the_list_is_the_last(way):
    lines = ["session_id:token\titem_id_list:token_seq\titem_id:token", "s1\tc b\ta", "s2\tb\ta"]
    assert histories(read_log(written("\n".join(lines)))) == {
        "s1": ["c", "b", "a"],
        "s2": ["b", "a"],
    }


def test_lists_of_times_belong_to_lists_of_items(way):
    lines = ["user_id,sequence_item_ids,sequence_timestamps", f'1,"3,4","{START + 2},{START + 1}"']
    lines += [f'2,"5","{START}"']
    log = read_log(written("\n".join(lines)))
    assert histories(log) == {"1": ["4", "3"], "2": ["5"]}


def test_lists_of_unequal_length_are_refused(way):
    lines = ["user_id,item_list,timestamp_list", f'1,"3,4","{START}"', f'2,"5","{START}"']
    assert "line 2: 1 times in 'timestamp_list' and 2 items in 'item_list'" in refused(
        written("\n".join(lines))
    )


def test_two_lists_of_a_user_are_refused(way):
    content = "session_id:token\titem_id_list:token_seq\titem_id:token\ns1\t1\t2\ns1\t1 2\t3\n"
    assert "line 3: a second list of the user 's1' in 'item_id_list'" in refused(written(content))


def test_lists_of_users_are_refused(way):
    assert "'user' holds lists" in refused(written('item,user\na,"[1, 2]"\nb,"[2]"\n'))


def test_names_with_spaces_are_no_lists(way):
    content = "user,item\nu1,the beatles\nu1,new order\nu2,blink 182\n"
    assert histories(read_log(written(content))) == {
        "u1": ["the beatles", "new order"],
        "u2": ["blink 182"],
    }


def test_lists_of_parquet():
    frame = pd.DataFrame(
        {
            "user": [1, 2],
            "items": [[3, 2, 1], [5]],
            "times": [[START + k for k in (5, 1, 3)], [START]],
        }
    )
    assert histories(read_log(parquet(frame, "log.parquet"))) == {"1": ["2", "1", "3"], "2": ["5"]}
    assert histories(read_log(frame)) == {"1": ["2", "1", "3"], "2": ["5"]}


# ---------------------------------------------------------------- 4: numbers that are dates

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


@pytest.mark.parametrize("unit, zero", [("filetime", 11_644_473_600), ("ticks", 62_135_596_800)])
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
    "form, pattern",
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


# ---------------------------------------------------------------- 5: coarse and fine


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


# ---------------------------------------------------------------- 6, 10: names


@pytest.mark.parametrize(
    "names", ["User,user,item", "user,item,Item", "user,user,item", "user_id,userId,item"]
)
def test_names_given_twice_are_refused_by_name(names, way):
    message = refused(written(f"{names}\na,b,c\nd,e,f\n"))
    assert "twice" in message or "may both hold" in message
    assert names.split(",")[1] in message


def test_columns_that_differ_in_case_are_kept_apart():
    frame = FRAME.assign(User="WRONG")
    assert histories(read_log(frame, user="user", item="item")) == HISTORIES
    assert "may both hold the user" in refused(frame)


@pytest.mark.parametrize(
    "name", ["select", "rowid", "place", "user", 'a"b', "c0", "file_row_number", "filename", ""]
)
def test_names_that_an_engine_reserves(name, way):
    frame = FRAME.rename(columns={"item": name or "item"}).assign(**{"other " + name: 1})
    assert (
        histories(read_log(frame, user="user", item=name or "item")) == HISTORIES
        if name != "user"
        else True
    )
    content = table(header=f"user,{name.replace(chr(34), '')},time")
    if name not in ("user", ""):
        assert histories(read_log(written(content), item=name.replace('"', ""))) == HISTORIES


@pytest.mark.parametrize("how", ["index", "comma", "comma in rows", "two", "row names"])
def test_columns_without_a_name_are_left_out(how, way):
    lines = table().splitlines()
    ends = {
        "index": lambda k, line: f"{k - 1},{line}" if k else f",{line}",
        "comma": lambda _, line: f"{line},",
        "comma in rows": lambda k, line: f"{line}," if k else line,
        "two": lambda k, line: f"{k - 1},{line}," if k else f",{line},",
        "row names": lambda k, line: f"{k},{line}" if k else line,
    }
    content = "\n".join(ends[how](k, line) for k, line in enumerate(lines)) + "\n"
    log = read_log(written(content))
    assert histories(log) == HISTORIES
    assert any("left out" in note for note in log.notes)


def test_pandas_with_its_index_is_read_back():
    FRAME.to_csv("log.csv")
    assert histories(read_log("log.csv")) == HISTORIES


# ---------------------------------------------------------------- 7, 8: headers


SECOND = {
    "as it was": "user,item,time",
    "capitals": "USER,Item,TIME",
    "mark": "\ufeffuser,item,time",
    "types": "user:token,item:token,time:float",
    "quoted": '"user","item","time"',
    "spaces": " user , item , time ",
    "other names": "user_id,movie_id,timestamp",
}


@pytest.mark.parametrize("kind", SECOND)
def test_a_second_header_is_refused_at_its_line(kind, way):
    lines = table().splitlines()
    content = "\n".join([*lines[:5], SECOND[kind], *lines[5:]])
    assert "line 6: the header again" in refused(written(content))


def test_a_second_header_of_a_table_without_times(way):
    assert "line 3: the header again" in refused(written("uid,iid\nu1,a\nUID,IID\nu2,b\n"))


def test_a_mark_within_the_file_is_refused(way):
    assert "line 3: a byte-order mark" in refused(written("user,item\nu1,a\n\ufeffu2,b\nu2,c\n"))


@pytest.mark.parametrize("first", ["0,1,2", "1,2,3", "0,7,5", "2019,2020,2021"])
def test_numbers_above_words_are_asked_about(first, way):
    message = refused(written(table(header=first)))
    assert "header=True or header=False" in message


@pytest.mark.parametrize(
    "content",
    [
        "client,book,1500000000\nclient,news,1500000001\nother,news,1500000002\n",
        "u1,news\nu1,sports\nu2,news\n",
        "u1,item,2020-01-01\nu1,track,2020-01-02\n",
    ],
)
def test_ids_that_are_names_of_columns_are_no_header_without_a_word(content, way):
    assert "may be a header or a row" in refused(written(content))
    assert read_log(written(content), header=False, user=1, item=2).tokens == content.count("\n")


@pytest.mark.parametrize("header", [True, False])
def test_numbers_above_words_when_told(header, way):
    path = written(table(header="0,1,2").replace(str(START // 10**6), ""), "log.csv")
    options = {"user": 1, "item": 2} if not header else {"user": "0", "item": "1"}
    log = read_log(path, header=header, **options)
    assert log.n_users == (3 if header else 4)


@pytest.mark.parametrize(
    "content",
    [
        "1,2014-04-07T10:51:09.277Z,214536502,0\n1,2014-04-07T10:54:09.868Z,214536500,0\n",
        "1\t1500000001\tx\n1\t1500000002\ty\n",
        "1,a,01/02/2020\n1,b,03/02/2020\n",
        "1,2,3,4,5\n6,7,8,9,10\n",
    ],
)
def test_columns_without_a_header_that_are_not_as_usual_are_asked_about(content, way):
    assert "name them by number, as in user=1" in refused(written(content))


# ---------------------------------------------------------------- what else would go unseen


@pytest.mark.parametrize(
    "content, told",
    [
        ("user,item\n'u1',a\n'u2',b\n", "2 ids have quotes around them"),
        ("user,item\n\u00a0u1,a\nu1,b\n", "1 ids begin or end with a character that is not seen"),
        ("user,item\nu1,1.23E+15\nu1,1.24E+15\n", "a spreadsheet may have rounded them"),
        ("user,item,date\nu1,a,2020-01-02\nu1,b,2020-01-01\n", "times: whole days"),
        ("user,item\n" + "-1,a\n" * 15 + "u,b\n" * 10, "-1 has 15 of 25 rows"),
        ("user,item\nu1,a \nu1,a\nu2,b\n", "spaces around ids are not part of them"),
    ],
)
def test_what_would_go_unseen_is_noted(content, told, tmp_path):
    assert any(told in note for note in read_log(written(content)).notes)


def test_times_that_a_spreadsheet_has_rounded_are_refused(way):
    assert "line 2: the time 1.5E+09 has lost digits" in refused(
        written(table(time=lambda t: "1.5E+09"))
    )


@pytest.mark.parametrize(
    "content, told",
    [
        ("1 -1 2 -1 -2\n3 -1 4 -1 5 -1 -2\n", "SPMF"),
        ("1 3:1 5:1\n2 4:1 7:1 8:1\n", "LIBSVM"),
    ],
)
def test_sequences_of_other_programs_are_named(content, told, way):
    assert told in refused(written(content))


# ---------------------------------------------------------------- 9: precision


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


# ---------------------------------------------------------------- 11, 12: what stands above; columns in spaces


ABOVE = {
    "blank lines": "\n  \n",
    "sep": "sep=,\n",
    "quoted sep": '"sep=,"\n',
    "comments": "# exported 2020\n# by a script\n",
    "per cents": "% exported 2020\n",
    "mark": "\ufeff",
    "mark and sep": "\ufeffsep=,\n",
    "comment and blank line": "# exported\n\n",
}


@pytest.mark.parametrize("kind", ABOVE)
def test_what_stands_above_a_table_is_skipped(kind, way):
    assert histories(read_log(written(ABOVE[kind] + table()))) == HISTORIES


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_sep_says_the_delimiter(delimiter, way):
    assert histories(read_log(written(f"sep={delimiter}\n{table(delimiter)}"))) == HISTORIES


def test_a_header_behind_a_comment_sign_names_the_columns(way):
    assert histories(read_log(written("# " + table("\t")))) == HISTORIES


def test_comments_above_numbers(way):
    content = "# Directed graph\n# From To\n1\t97\n2\t98\n1\t99\n"
    log = read_log(written(content))
    assert histories(log) == {"1": ["97", "99"], "2": ["98"]}
    assert any("2 lines of comment above" in note for note in log.notes)


@pytest.mark.parametrize("title", ["Report of July", "Report;2020"])
def test_a_title_is_refused_at_its_line(title, way):
    message = refused(written(f"{title}\n{table()}"))
    assert "line 1: 1 column where the lines below have 3; mend the line, or remove it" in message


@pytest.mark.parametrize(
    "content",
    ["1:\n11,3,2005-09-06\n12,5,2005-05-13\n2:\n11,4,2005-10-19\n", "u1:\na\nb\nu2:\nc\n"],
)
def test_blocks_are_named(content, way):
    assert "blocks of one item or user each" in refused(written(content))


SHELLS = {
    "psql": (
        " user | item |    time    \n------+------+------------\n"
        + "".join(f" {u}   | {i}    | {START + t}\n" for u, i, t in ROWS)
        + "(9 rows)\n\n"
    ),
    "mysql": (
        "+------+------+------------+\n| user | item | time       |\n+------+------+------------+\n"
        + "".join(f"| {u}   | {i}    | {START + t} |\n" for u, i, t in ROWS)
        + "+------+------+------------+\n9 rows in set (0.00 sec)\n"
    ),
    "markdown": (
        "| user | item | time |\n|---|:---|---:|\n"
        + "".join(f"| {u} | {i} | {START + t} |\n" for u, i, t in ROWS)
    ),
    "sqlite": "user  item  time\n----  ----  ----------\n"
    + "".join(f"{u}    {i}     {START + t}\n" for u, i, t in ROWS),
    "aligned": "user item time\n" + "".join(f"{u}   {i}   {START + t}\n" for u, i, t in ROWS),
    "right": "  user item       time\n"
    + "".join(f"    {u}    {i} {START + t}\n" for u, i, t in ROWS),
    "names with spaces": "user    item name    time\n".replace("item name", "item     ")
    + "".join(f"{u}      {i}     {START + t}\n" for u, i, t in ROWS),
    "tabs and spaces": "user\titem\ttime\n"
    + "".join(f"{u} \t {i}\t{START + t}\n" for u, i, t in ROWS),
}


@pytest.mark.parametrize("kind", SHELLS)
def test_tables_as_shells_print_them(kind, way):
    assert histories(read_log(written(SHELLS[kind]))) == HISTORIES


def test_a_printed_table_that_lacks_rows_is_refused(way):
    assert "says 19 rows" in refused(written(SHELLS["psql"].replace("(9 rows)", "(19 rows)")))


# ---------------------------------------------------------------- 13: long lines


@pytest.mark.parametrize("size", [50_000, 3_000_000])
def test_long_lines(size, way):
    header = "user,item,time," + "x" * size
    content = "\n".join([header, *[line + ",1" for line in table().splitlines()[1:]]])
    assert histories(read_log(written(content))) == HISTORIES


def test_a_long_history_on_a_line(way):
    items = [str(k % 5000) for k in range(200_000)]
    log = read_log(written("1 2 3 4\n2 " + " ".join(items) + "\n3 4\n"))
    assert histories(log)["2"] == items


def test_a_long_list_in_a_cell(way):
    items = [str(k % 5000) for k in range(100_000)]
    log = read_log(written(f"user,item_list\n1,{' '.join(items)}\n2,4 5\n"))
    assert histories(log)["1"] == items


# ---------------------------------------------------------------- 14: JSON


def test_json_lines(way):
    records = [
        {"rating": 5.0, "asin": i, "user_id": u, "timestamp": (START + t) * 1000}
        for u, i, t in ROWS
    ]
    content = "".join(json.dumps(record) + "\n" for record in records)
    assert histories(read_log(written(content, "reviews.jsonl"))) == HISTORIES
    assert histories(read_log(written(json.dumps(records), "reviews.json"))) == HISTORIES
    assert (
        histories(read_log(written(gzip.compress(content.encode()), "reviews.jsonl.gz")))
        == HISTORIES
    )


def test_json_with_a_list_of_events_a_user(way):
    groups: dict = {}
    for u, i, t in ROWS:
        groups.setdefault(u, []).append({"aid": i, "ts": (START + t) * 1000, "type": "clicks"})
    content = "".join(json.dumps({"session": u, "events": e}) + "\n" for u, e in groups.items())
    log = read_log(written(content))
    assert histories(log) == HISTORIES
    assert first_time(log) == FIRST


def test_json_with_lists_of_items_and_times(way):
    content = '{"user": 1, "items": [3, 2], "times": [1500000002, 1500000001]}\n{"user": 2, "items": [3], "times": [1500000000]}\n'
    assert histories(read_log(written(content))) == {"1": ["2", "3"], "2": ["3"]}


def test_python_dicts_a_line(way):
    content = "".join(
        f"{{u'user_id': u'{u}', u'product_id': '{i}', 'time': {START + t}}}\n" for u, i, t in ROWS
    )
    assert histories(read_log(written(content))) == HISTORIES


def test_yelp(way):
    records = [
        {"review_id": t, "user_id": u, "business_id": i, "date": f"2017-07-14 02:40:0{t}"}
        for u, i, t in ROWS
    ]
    content = "".join(json.dumps(record) + "\n" for record in records)
    assert histories(read_log(written(content))) == HISTORIES


BAD_JSON = {
    "cut short": ('{"user": 1, "item": 2}\n{"user": 1, "it\n', "line 2: no whole JSON record"),
    "key twice": ('{"user": 1, "item": 2, "user": 3}\n', "line 1: the key 'user' stands twice"),
    "over lines": ('{\n "user": 1,\n "item": 2\n}\n', "line 1: no whole JSON record"),
    "no user": ('{"user": 1, "item": 2}\n{"item": 2}\n', "line 2: no user"),
    "null": ('{"user": 1, "item": 2}\n{"user": null, "item": 2}\n', "line 2: no user"),
    "object": ('{"user": {"id": 1, "x": 2}, "item": 2}\n', "line 1: 'user' holds an object"),
    "true": ('{"user": true, "item": 2}\n', "line 1: the user is"),
    "half": ('{"user": 1.5, "item": 2}\n', "line 1: the user 1.5 is a number but not a whole one"),
    "no record": ('{"user": 1, "item": 2}\n3\n', "line 2: 3 is no record"),
    "no such key": ('{"who": 1, "item": 2}\n', "which column holds the user?"),
}


@pytest.mark.parametrize("kind", BAD_JSON)
def test_bad_json(kind, way):
    content, told = BAD_JSON[kind]
    assert told in refused(written(content, "log.jsonl"))


# ---------------------------------------------------------------- 15: missing users


@pytest.mark.parametrize("token", ["NA", "\\N", "nan", "null", "NULL", "None", "N/A"])
def test_ids_that_look_missing_are_noted(token, way):
    log = read_log(written(table().replace("u2", token)))
    assert log.n_users == 3
    assert any(f"3 of 9 rows have the user {token!r}" in note for note in log.notes)


@pytest.mark.parametrize("token", ["NA", "\\N", "nan", "null", "", " "])
@pytest.mark.parametrize("role", ["user", "item", "time"])
def test_drop_incomplete(token, role, way):
    part = {"user": "u2", "item": "d", "time": str(START + 4)}[role]
    left = {"user": 6, "item": 8, "time": 8}[role]
    log = read_log(written(table().replace(part, token)), drop_incomplete=True)
    assert log.tokens == left
    assert any(f"left out as incomplete: {9 - left} of 9" in note for note in log.notes)


@pytest.mark.parametrize("role", ["user", "item", "time"])
def test_blank_cells_are_refused(role, way):
    part = {"user": "u2", "item": "d", "time": str(START + 4)}[role]
    assert f"no {role}; fill it in or remove the row, or leave all such rows out" in refused(
        written(table().replace(part, ""))
    )


def test_missing_times_are_refused(way):
    assert "line 7: no time" in refused(written(table().replace(str(START + 4), "NA")))


def test_nothing_left_is_refused(way):
    assert "all of 2 rows are incomplete" in refused(
        written("user,item\nNA,a\n,b\n"), drop_incomplete=True
    )


# ---------------------------------------------------------------- 16: ids beside names


@pytest.mark.parametrize(
    "names, chosen",
    [
        ("user,user_id,movie,movie_id", ("user_id", "movie_id")),
        ("userId,user,itemId,item", ("userId", "itemId")),
        ("customer,customer_id,product,product_id", ("customer_id", "product_id")),
        ("song,song_id,user,uid", ("uid", "song_id")),
    ],
)
def test_ids_are_preferred(names, chosen, way):
    columns = names.split(",")
    lines = [names]
    for row in range(4):
        lines.append(",".join(f"id{row}" if name in chosen else "Alex" for name in columns))
    log = read_log(written("\n".join(lines)))
    assert log.n_users == 4
    assert log.n_items == 4


# ---------------------------------------------------------------- 17: kinds of column


def test_kinds_of_pandas_that_can_be_read():
    day = pd.to_datetime(FRAME["time"] * 86_400 - START * 86_400, unit="s")
    for frame in (
        FRAME.astype({"user": "category", "item": "string"}),
        FRAME.assign(time=day.dt.to_period("D")),
        FRAME.assign(time=pd.arrays.SparseArray(FRAME["time"])),
        FRAME.assign(time=day.dt.date),
        FRAME.convert_dtypes(),
    ):
        assert histories(read_log(frame)) == HISTORIES


N = len(FRAME)
ODD = {
    "levels": (
        FRAME.set_axis(pd.MultiIndex.from_product([["x"], FRAME.columns]), axis=1),
        "columns of several levels",
    ),
    "index": (FRAME.set_index("user"), "reset_index"),
    "intervals": (FRAME.assign(item=pd.interval_range(0, N)), "'item' holds interval"),
    "complex": (FRAME.assign(item=np.arange(N) * 1j), "'item' holds complex"),
    "durations": (
        FRAME.assign(item=pd.to_timedelta(np.arange(N), unit="s")),
        "'item' holds timedelta",
    ),
    "bytes": (FRAME.assign(item=[b"x"] * N), "item"),
    "dicts": (FRAME.assign(item=[{"a": 1}] * N), "'item' holds"),
    "true": (FRAME.assign(item=[True] * N), "the item column holds true or false"),
    "dates": (
        FRAME.assign(item=pd.to_datetime(FRAME["time"], unit="s")),
        "the item column holds dates",
    ),
    "time of day": (
        FRAME.assign(time=pd.to_datetime(FRAME["time"], unit="s").dt.time),
        "times of day",
    ),
    "duration for time": (FRAME.assign(time=pd.to_timedelta(np.arange(N), unit="s")), "time"),
    "true for time": (FRAME.assign(time=[True] * N), "neither numbers nor dates"),
    "users in lists": (FRAME.assign(user=[[1]] * N), "the user column holds lists"),
}


@pytest.mark.parametrize("kind", ODD)
def test_kinds_of_pandas_that_are_refused(kind):
    frame, told = ODD[kind]
    assert told in refused(frame)


@pytest.mark.parametrize(
    "sql, told",
    [
        ("{'a': 1} as item", "holds records"),
        ("time '10:00:00' as item", "holds times of day"),
        ("interval 1 day as item", "holds durations"),
        ("map {'a': 1} as item", "holds maps"),
        ("'a'::blob as item", "holds bytes"),
        ("[[1]] as item", "holds lists"),
        ("1.5::decimal(4, 2) as item", "not a whole one"),
        ("null as item", "no item"),
        ("1 as item, interval 1 day as time", "neither numbers nor dates"),
        ("1 as item, time '10:00:00' as time", "times of day"),
        ("1 as item, {'a': 1} as time", "neither numbers nor dates"),
        ("1 as item, 'infinity'::timestamp as time", "infinite"),
    ],
)
def test_kinds_of_parquet_that_are_refused(sql, told):
    import duckdb

    duckdb.connect().sql(f"select 'u' as user, {sql}").write_parquet("log.parquet")
    assert told in refused("log.parquet")


# ---------------------------------------------------------------- 18: other files


def make_sqlite():
    with sqlite3.connect("made") as base:
        base.execute("create table log (user, item)")


def make_tar():
    written(table(), "inside.csv")
    with tarfile.open("made", "w") as archive:
        archive.add("inside.csv")


def make_tar_gz():
    written(table(), "inside.csv")
    with tarfile.open("made", "w:gz") as archive:
        archive.add("inside.csv")


def make_zip(*names):
    def make():
        with zipfile.ZipFile("made", "w") as archive:
            for name in names:
                archive.writestr(name, "x")

    return make


def put(content):
    return lambda: written(content, "made")


OTHERS = {
    "workbook": (
        make_zip("[Content_Types].xml", "xl/workbook.xml"),
        "is a workbook (.xlsx): save the sheet as CSV",
    ),
    "OpenDocument": (make_zip("mimetype", "content.xml"), "is a workbook (OpenDocument)"),
    "old workbook": (
        put(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600)),
        "is a workbook of the old kind",
    ),
    "zip": (make_zip("log.csv"), "is a zip archive: unzip it"),
    "broken zip": (put(b"PK\x03\x04" + bytes(30)), "is a damaged zip archive"),
    "npz": (make_zip("a.npy", "b.npy"), "is an archive of NumPy arrays"),
    "SQLite": (make_sqlite, "is an SQLite database: export"),
    "tar": (make_tar, "is a tar archive: unpack it"),
    "tar.gz": (make_tar_gz, "is a tar archive: unpack it"),
    "npy": (
        lambda: np.save("made.npy", np.zeros(3)) or os.rename("made.npy", "made"),
        "is a NumPy array",
    ),
    "pickle": (lambda: FRAME.to_pickle("made"), "is a Python pickle"),
    "web page": (put("<!DOCTYPE html><html><body>404</body></html>"), "is a web page"),
    "XML": (put("<?xml version='1.0'?><log/>"), "is XML"),
    "PDF": (put(b"%PDF-1.7\n" + bytes(20)), "is a PDF"),
    "LFS": (
        put("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"),
        "is a pointer of Git LFS",
    ),
    "7z": (put(b"7z\xbc\xaf\x27\x1c" + bytes(30)), "is a 7z archive"),
    "Arrow": (put(b"ARROW1\0\0" + bytes(30)), "is an Arrow or Feather file"),
    "HDF5": (put(b"\x89HDF\r\n\x1a\n" + bytes(30)), "is an HDF5 file"),
    "folder": (lambda: os.mkdir("made"), "is a folder: name a file in it"),
    "pipe": (lambda: os.mkfifo("made"), "is no regular file"),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_other_files_are_named(kind):
    make, told = OTHERS[kind]
    make()
    assert told in refused("made")


@pytest.mark.parametrize("packing", ["bz2", "xz"])
def test_packed_files(packing, way):
    import bz2
    import lzma

    packed = {"bz2": bz2.compress, "xz": lzma.compress}[packing](table().encode())
    assert histories(read_log(written(packed))) == HISTORIES
    assert "is not a whole" in refused(written(packed[:-10]))


# ---------------------------------------------------------------- parts


def test_parts_are_one_log():
    for k in range(3):
        parquet(FRAME[3 * k : 3 * k + 3], f"parts/part-{k}.parquet")
    written("", "parts/_SUCCESS")
    log = read_log("parts", parts=True)
    assert histories(log) == HISTORIES
    assert "is a folder: name a file in it, or read its Parquet parts with parts=True" in refused(
        "parts"
    )


def test_parts_that_differ_are_refused():
    parquet(FRAME, "parts/a.parquet")
    parquet(FRAME.rename(columns={"item": "other"}), "parts/b.parquet")
    assert "has other columns" in refused("parts", parts=True)
    parquet(FRAME.assign(item=1), "parts/b.parquet")
    assert "columns of other kinds" in refused("parts", parts=True)
    written("user,item\n", "parts/b.parquet")
    assert "is no Parquet file" in refused("parts", parts=True)
