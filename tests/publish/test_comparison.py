"""Two built books: which numbers and tables moved, and how far."""

import json

import pytest
from click.testing import CliRunner

from perflaw.cli.main import main
from perflaw.errors import InputError
from perflaw.publish.comparison import compare_books

GLUED = "application/papermill.record/text/plain"


def write_book(folder, values, table="x,y\n1,2\n", page="one"):
    """A built book of one page that glues values and writes a table."""
    home = folder / "executed" / page
    (home / "tables").mkdir(parents=True)
    outputs = [
        {"data": {GLUED: repr(value)}, "metadata": {"scrapbook": {"name": name}}}
        for name, value in values.items()
    ]
    (home / f"{page}.ipynb").write_text(json.dumps({"cells": [{"outputs": outputs}]}))
    if table:
        (home / "tables" / "t.csv").write_text(table)
    return folder


def found(tmp_path, old, new, **tables):
    """Name to verdict of what differs between books with these values."""
    a = write_book(tmp_path / "a", old, **{"table": tables.get("old_table", "x\n1\n")})
    b = write_book(tmp_path / "b", new, **{"table": tables.get("new_table", "x\n1\n")})
    return {change.name: change.verdict for change in compare_books(a, b)}


def test_equal_books_have_no_difference(tmp_path):
    values = {"n": 3, "word": "law", "missing": float("nan")}
    assert found(tmp_path, values, values) == {}


def test_rounding_between_machines_is_no_difference(tmp_path):
    assert found(tmp_path, {"x": 0.1}, {"x": 0.1 + 1e-15}) == {}


@pytest.mark.parametrize(
    ("new", "verdict"),
    [(1.5, "inside its interval"), (2.5, "BEYOND its interval")],
)
@pytest.mark.parametrize("stem", ["gain", "gain_of_law"])
def test_a_number_is_judged_by_the_interval_beside_it(tmp_path, stem, new, verdict):
    name = {"gain": "gain", "gain_of_law": "gain_of_law_edge"}[stem]
    interval = {f"{stem}_low": 0.0, f"{stem}_high": 2.0}
    assert found(tmp_path, {name: 1.0, **interval}, {name: new, **interval}) == {name: verdict}


def test_a_number_without_an_interval_says_so(tmp_path):
    assert found(tmp_path, {"n": 3}, {"n": 4}) == {"n": "no interval"}


def test_a_word_that_changed_is_listed(tmp_path):
    assert found(tmp_path, {"best": "law"}, {"best": "line"}) == {"best": ""}


def test_a_value_that_is_new_is_listed(tmp_path):
    assert found(tmp_path, {}, {"best": "line"}) == {"best": ""}


def test_cells_of_tables_are_counted(tmp_path):
    tables = {"old_table": "x,y\n1,a\n2,\n", "new_table": "x,y\n1,b\n3,\n"}
    assert found(tmp_path, {}, {}, **tables) == {"t.csv": "2 of 4 cells differ"}


def test_another_shape_of_a_table_is_named(tmp_path):
    tables = {"old_table": "x\n1\n", "new_table": "x,y\n1,2\n"}
    assert found(tmp_path, {}, {}, **tables) == {"t.csv": "another shape"}


def test_pages_of_one_book_only_are_listed(tmp_path):
    write_book(tmp_path / "a", {})
    write_book(tmp_path / "b", {}, page="two")
    changes = compare_books(tmp_path / "a", tmp_path / "b")
    assert [(change.page, change.before, change.after) for change in changes] == [
        ("one", "there", ""),
        ("two", "", "there"),
    ]


def test_a_folder_that_is_no_book_is_refused(tmp_path):
    with pytest.raises(InputError, match="is no built book"):
        compare_books(tmp_path, tmp_path)


def test_a_book_is_not_compared_with_itself(tmp_path, monkeypatch):
    folder = write_book(tmp_path / "book" / "_build" / "default", {"x": 1.0})
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"default and .* are the same folder, .*; name two books"):
        compare_books("default", folder)


def test_the_command_prints_what_moved(tmp_path, monkeypatch):
    interval = {"x_low": 0.0, "x_high": 2.0}
    write_book(tmp_path / "book" / "_build" / "default", {"x": 1.0, **interval})
    write_book(tmp_path / "book" / "_build" / "mine", {"x": 3.0, **interval})
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, ["compare", "default", "mine"])
    assert result.exit_code == 0
    assert result.output.splitlines() == [
        "one",
        "  x  1 -> 3  BEYOND its interval",
        "differences: 1; beyond their intervals: 1",
    ]


def test_the_command_refuses_in_one_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, ["compare", "default", "mine"])
    assert result.exit_code != 0
    assert result.output.startswith("Error: default is no built book")


@pytest.mark.parametrize(
    ("place", "kind", "contents"),
    [
        ("executed/*/*.ipynb", "notebook", [b"", b"{", b"{}", b"[]", b"\xff"]),
        ("executed/*/tables/*.csv", "table", [b"", b"a,b\n1,2,3\n1\n1,2,3,4,5\n", b"\xff"]),
    ],
)
def test_a_damaged_file_is_named(tmp_path, place, kind, contents):
    books = [write_book(tmp_path / name, {"gain": "1.0"}) for name in ("old", "new")]
    [path] = books[1].glob(place)
    for content in contents:
        path.write_bytes(content)
        with pytest.raises(InputError, match=rf"{path.name} is no {kind}; build its book again"):
            compare_books(*books)
