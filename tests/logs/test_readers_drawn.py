"""Drawn logs in drawn dialects are read as they are, or refused; by every way there is."""

import io

import numpy as np
import pandas as pd
import pytest
from log_dialects import DELIMITERS, compare, draw_log, to_text, write, write_other

from perflaw.errors import InputError
from perflaw.logs.interaction_log import read_log
from perflaw.logs.readers import large_text, whole_numbers

DRAWN = 500
AT_A_TIME = 50


@pytest.mark.integration
@pytest.mark.parametrize("start", range(0, DRAWN, AT_A_TIME))
def test_drawn_logs_are_read_as_they_are(start, tmp_path, monkeypatch):
    """`benchmarks/log_dialects.py` does the same with thousands."""
    refused = 0
    for seed in range(start, start + AT_A_TIME):
        rng = np.random.default_rng(seed)
        drawn = draw_log(rng, plain=seed % 5 == 0)
        content, dialect, options = (write_other if seed % 5 == 0 else write)(rng, drawn)
        path = tmp_path / "log"
        path.write_bytes(content)
        if seed % 2:  # as if it were large
            monkeypatch.setattr(large_text, "SMALL", -1)
            monkeypatch.setattr(whole_numbers, "FITS", 0)
        log, message = None, ""
        try:
            log = read_log(path, **options)
        except InputError as error:
            refused += 1
            message = str(error)
        assert "\n" not in message
        if log is not None:
            assert compare(log, drawn) is None, f"{seed}: {dialect} {options}"
        monkeypatch.undo()
    assert refused <= AT_A_TIME // 10


def draw_table(seed):
    """A log drawn so that every reader of CSV can have it, and its text."""
    rng = np.random.default_rng(seed)
    drawn = draw_log(rng)
    columns = [drawn.users, drawn.items] + ([drawn.times] if drawn.times else [])
    names = ["user", "item", "time"][: len(columns)]
    delimiter = str(rng.choice([d for d in DELIMITERS if d in ",;|"]))
    text = to_text([names, *zip(*columns, strict=True)], delimiter, "minimal")
    return drawn, names, delimiter, text


@pytest.mark.parametrize("seed", range(40))
def test_pandas_reads_the_same(seed):
    drawn, _, delimiter, text = draw_table(seed)
    frame = pd.read_csv(io.StringIO(text), sep=delimiter, dtype=str, keep_default_na=False)
    assert compare(read_log(frame, **drawn.options), drawn) is None


@pytest.mark.parametrize("seed", range(40))
def test_pyarrow_reads_the_same(seed):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import csv

    drawn, names, delimiter, text = draw_table(seed)
    table = csv.read_csv(
        io.BytesIO(text.encode()),
        parse_options=csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
        convert_options=csv.ConvertOptions(
            column_types={name: pyarrow.string() for name in names}, strings_can_be_null=False
        ),
    )
    assert compare(read_log(table, **drawn.options), drawn) is None


@pytest.mark.parametrize("seed", range(20))
def test_polars_holds_the_same(seed):
    polars = pytest.importorskip("polars")
    drawn, names, _, _ = draw_table(seed)
    columns = [drawn.users, drawn.items, drawn.times]
    frame = polars.DataFrame(dict(zip(names, columns, strict=False)))
    assert compare(read_log(frame, **drawn.options), drawn) is None


def test_arrow_streams_that_can_be_read_once():
    pyarrow = pytest.importorskip("pyarrow")
    table = pyarrow.table({"user": [1, 1, 2], "item": ["a", "b", "a"], "user ": [1, 2, 3]})
    log = read_log(table.to_reader(), user="user", item="item")
    assert log.n_users == 2


def test_arrow_tables_may_have_names_twice():
    pyarrow = pytest.importorskip("pyarrow")
    values = [pyarrow.array([1, 2]), pyarrow.array(["a", "b"]), pyarrow.array([3, 4])]
    table = pyarrow.table(values, names=["user", "item", "other"])
    twice = pyarrow.table(values, names=["user", "item", "user"])
    assert read_log(table).n_users == 2
    with pytest.raises(InputError, match="has the column 'user' twice"):
        read_log(twice)


def test_an_object_that_only_streams():
    class Stream:
        def __init__(self, frame):
            self.frame = frame

        def __arrow_c_stream__(self, requested_schema=None):
            return self.frame.__arrow_c_stream__(requested_schema)

    polars = pytest.importorskip("polars")
    log = read_log(Stream(polars.DataFrame({"user": [1, 2], "item": [3, 4]})))
    assert log.n_users == 2
