"""Text is read with NumPy and pandas alone; what needs more says which package, in one line."""

import gzip
import json
import subprocess
import sys

import pandas as pd
import pytest
import zstandard

pytestmark = pytest.mark.integration

WITHOUT = """
import json, sys
for name in ("duckdb", "zstandard", "pyarrow", "numba", "torch"):
    sys.modules[name] = None  # as if it were not installed
from perflaw.errors import InputError
from perflaw.logs.interaction_log import read_log
from perflaw.logs.readers import tables

def read(what, path):
    try:
        if what == "table":
            return tables.read_table(path).to_dict("list")
        log = read_log(path)
        return [log.n_users, log.n_items, log.tokens, str(log.user_ids[0])]
    except InputError as error:
        return str(error)

print(json.dumps([read(what, path) for path in sys.argv[2:] for what in sys.argv[1].split()]))
"""

TEXT = "user,item,time\nu,a,2020-01-02\nv,b,2020-01-01\nu,b,2020-01-01\n"


CONTENTS = [
    TEXT.encode(),
    gzip.compress(TEXT.encode(), mtime=0),
    TEXT.encode("utf-16"),
    TEXT.replace("u,", "1,").replace("v,", "2,").encode(),
    b'{"user": "u", "item": 1}\n{"user": "v", "item": 2}\n{"user": "u", "item": 2}\n',
    b"user,item_list\nu,1 2\nv,1\n",
    b"u 1 2\nv 1\n",
]


def read_without(what, *paths):
    """What is read of each path as a "log", as a "table", or as "log table", both of them."""
    command = [sys.executable, "-c", WITHOUT, what, *map(str, paths)]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(found.stdout)


@pytest.fixture(scope="module")
def read_contents(tmp_path_factory):
    """What is read of CONTENTS, in one process."""
    folder = tmp_path_factory.mktemp("contents")
    for number, content in enumerate(CONTENTS):
        (folder / f"log{number}").write_bytes(content)
    return read_without("log", *(folder / f"log{number}" for number in range(len(CONTENTS))))


@pytest.mark.parametrize("number", range(len(CONTENTS)))
def test_text_is_read_with_the_base_install(read_contents, number):
    users, items, tokens, first = read_contents[number]
    assert (users, items, tokens) == (2, 2, 3)
    assert first in ("u", "1")


def test_large_text_is_read_with_the_base_install(tmp_path):
    rows = [f"user{k % 999},item{k % 77},{k}" for k in range(300_000)]
    (tmp_path / "log").write_text("user,item,time\n" + "\n".join(rows))
    assert read_without("log", tmp_path / "log") == [[999, 77, 300_000, "user0"]]


def test_what_needs_more_says_what(tmp_path):
    import duckdb

    (tmp_path / "log.zst").write_bytes(zstandard.compress(TEXT.encode()))
    duckdb.connect().sql("select 1 as user, 2 as item").write_parquet(str(tmp_path / "log.parquet"))
    messages = read_without("log table", tmp_path / "log.zst", tmp_path / "log.parquet")
    for message, package in zip(messages, ["zstandard"] * 2 + ["duckdb"] * 2, strict=True):
        assert f"{package}, which is not installed: pip install 'perflaw[logs]'" in message


def test_tables_are_read_with_the_base_install(tmp_path):
    table = pd.DataFrame({"n_layers": [1, 2], "value": [0.1, 0.2]})
    (tmp_path / "runs").write_bytes(
        gzip.compress(table.to_csv(index=False, sep="\t").encode("utf-16"))
    )
    assert read_without("table", tmp_path / "runs") == [table.to_dict("list")]
