"""Nine rows in every form, for the tests of kinds of files that people report."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from perflaw.errors import InputError
from perflaw.logs.interaction_log import read_log

ROWS = [("u1", "a", 3), ("u2", "b", 1), ("u1", "c", 1), ("u1", "b", 2), ("u2", "a", 1)]
ROWS += [("u2", "c", 4), ("u3", "a", 5), ("u3", "b", 6), ("u3", "d", 7)]
HISTORIES = {"u1": ["c", "b", "a"], "u2": ["b", "a", "c"], "u3": ["a", "b", "d"]}
START = 1_500_000_000
FIRST = "2017-07-14T02:40:01"


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
