"""Text is read with NumPy and pandas alone; what needs more says which package, in one line."""

import gzip
import json
import subprocess
import sys

import pandas as pd
import pytest
import zstandard

WITHOUT = """
import json, sys
for name in ("duckdb", "zstandard", "pyarrow", "numba", "torch"):
    sys.modules[name] = None  # as if it were not installed
from perflaw.errors import InputError
from perflaw.logs.interaction_log import read_log
from perflaw.logs.readers import tables
try:
    if sys.argv[1] == "table":
        print(json.dumps(tables.read_table(sys.argv[2]).to_dict("list")))
    else:
        log = read_log(sys.argv[2])
        print(json.dumps([log.n_users, log.n_items, log.tokens, str(log.user_ids[0])]))
except InputError as error:
    print(json.dumps(str(error)))
"""

TEXT = "user,item,time\nu,a,2020-01-02\nv,b,2020-01-01\nu,b,2020-01-01\n"


def read_without(what, path):
    command = [sys.executable, "-c", WITHOUT, what, str(path)]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(found.stdout)


@pytest.mark.parametrize(
    "content",
    [
        TEXT.encode(),
        gzip.compress(TEXT.encode(), mtime=0),
        TEXT.encode("utf-16"),
        TEXT.replace("u,", "1,").replace("v,", "2,").encode(),
        b'{"user": "u", "item": 1}\n{"user": "v", "item": 2}\n{"user": "u", "item": 2}\n',
        b"user,item_list\nu,1 2\nv,1\n",
        b"u 1 2\nv 1\n",
    ],
)
def test_text_is_read_with_the_base_install(content, tmp_path):
    (tmp_path / "log").write_bytes(content)
    users, items, tokens, first = read_without("log", tmp_path / "log")
    assert (users, items, tokens) == (2, 2, 3)
    assert first in ("u", "1")


def test_large_text_is_read_with_the_base_install(tmp_path):
    rows = [f"user{k % 999},item{k % 77},{k}" for k in range(300_000)]
    (tmp_path / "log").write_text("user,item,time\n" + "\n".join(rows))
    assert read_without("log", tmp_path / "log") == [999, 77, 300_000, "user0"]


def test_what_needs_more_says_what(tmp_path):
    import duckdb

    (tmp_path / "log.zst").write_bytes(zstandard.compress(TEXT.encode()))
    duckdb.connect().sql("select 1 as user, 2 as item").write_parquet(str(tmp_path / "log.parquet"))
    for name, package in (("log.zst", "zstandard"), ("log.parquet", "duckdb")):
        for what in ("log", "table"):
            message = read_without(what, tmp_path / name)
            assert f"{package}, which is not installed: pip install 'perflaw[logs]'" in message


def test_tables_are_read_with_the_base_install(tmp_path):
    table = pd.DataFrame({"n_layers": [1, 2], "value": [0.1, 0.2]})
    (tmp_path / "runs").write_bytes(
        gzip.compress(table.to_csv(index=False, sep="\t").encode("utf-16"))
    )
    assert read_without("table", tmp_path / "runs") == table.to_dict("list")
