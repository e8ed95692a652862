"""Logs that are read and logs that are refused, for the tests of all that takes a log."""

import gzip
import io
import os
import zipfile

import numpy as np
import pandas as pd
import zstandard

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
    "mixed line ends": (text(end="\r\n").replace("\r\n", "\n", 2), {}, HISTORIES),
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
        "log, line 3: 1 column where the header has 2",
    ),
    "ragged": (
        "user,item,time\nu1,a,1000000000\nu1,b\n",
        {},
        "log, line 3: 2 columns where the header has 3",
    ),
    "too wide": ("user,item\nu1,a\nu1,b,c\n", {}, "log, line 3: 3 columns where the header has 2"),
    "no user": ("user,item\nu1,a\n,b\n", {}, "log, line 3: no user; fill it in or remove the row"),
    "no item": ("user,item\nu1,a\nu1, \n", {}, "log, line 3: no item"),
    "no time at all": ("user,item,time\nu1,a,\nu1,b,\n", {}, "the column of times is blank"),
    "no time": ("user,item,time\nu1,a,1000000000\nu1,b,\n", {}, "log, line 3: no time"),
    "NaN time": ("user,item,time\nu1,a,1000000000.5\nu1,b,nan\n", {}, "line 3: no time"),
    "infinite time": ("user,item,time\nu1,a,1000000000.5\nu1,b,inf\n", {}, "line 3: the time"),
    "no number, no date": (
        "user,item,time\nu1,a,1000000000\nu1,b,noon\n",
        {},
        "the time 'noon' is no number and no ISO 8601 date",
    ),
    "mixed units": (
        "user,item,time\nu1,a,1600000000000\nu1,b,1600000000\n",
        {},
        "line 3: the time 1600000000, where others",
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
        "line 3: the time -5 is negative",
    ),
    "wrong unit": (
        PLAIN,
        {"unit": "min"},
        "there is no unit 'min' of times; there are s, ms, us, ns, filetime, ticks, order",
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
