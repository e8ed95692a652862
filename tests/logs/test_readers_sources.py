"""Kinds of column, files that are no logs, and folders of parts."""

import os
import sqlite3
import tarfile
import zipfile

import numpy as np
import pandas as pd
import pytest
from log_files import histories
from log_kinds import FRAME, HISTORIES, START, parquet, refused, table, written

from perflaw.logs.interaction_log import read_log

# ---------------------------------------------------------------- kinds of column


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
    ("sql", "told"),
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


# ---------------------------------------------------------------- other files


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
