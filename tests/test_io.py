"""Files: YAML that refuses what is ambiguous, and writes that are complete or not there."""

import os

import pytest

from perflaw.errors import InputError
from perflaw.io import atomic_path, load_yaml, suggest


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3", "in line 3: a is given twice"),
        ("settings: {n_layers: 1, n_layers: 2}", "in line 1: n_layers is given twice"),
        ("grid:\n  - {1: a, 1: b}", "in line 2: 1 is given twice"),
        ("a: [1", "is no YAML in line 1"),
        ("a: 1\nn_layers: 010", "in line 2: 010 is no plain number; write its digits"),
        ("n_layers: [1:30]", "in line 1: 1:30 is no plain number"),
        ("[" * 5000, "is nested too deeply"),
        ("a: 2026-13-01", "is no YAML: month must be in"),
    ],
)
def test_what_is_refused(tmp_path, text, message):
    path = tmp_path / "file.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=message) as error:
        load_yaml(path)
    assert "\n" not in str(error.value)


def test_merged_keys_may_be_given_again(tmp_path):
    path = tmp_path / "file.yaml"
    path.write_text("base: &base {a: 1, b: 2}\nmore: {<<: *base, b: 3}")
    assert load_yaml(path)["more"] == {"a": 1, "b": 3}


def test_equal_keys_of_different_mappings_are_two_keys(tmp_path):
    path = tmp_path / "file.yaml"
    path.write_text("x: {a: 1}\ny: {a: 2}")
    assert load_yaml(path) == {"x": {"a": 1}, "y": {"a": 2}}


def test_a_number_may_have_an_exponent(tmp_path):
    path = tmp_path / "file.yaml"
    path.write_text("[1e-3, 2.5E2, -1e0]")
    assert load_yaml(path) == [0.001, 250.0, -1.0]


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match="No such file or directory"):
        load_yaml(tmp_path / "none.yaml")


def test_the_nearest_name():
    assert suggest("lerning_rate", ["loss", "learning_rate"]) == "; did you mean learning_rate?"
    assert suggest("zzz", ["loss", "learning_rate"]) == ""


def test_a_write_that_fails_leaves_the_old_file(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), atomic_path(path) as temporary:
        temporary.write_text(str(1 / 0))
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_written_file_has_the_usual_permissions(tmp_path):
    path = tmp_path / "table.csv"
    before = os.umask(0o022)
    try:
        with atomic_path(path) as temporary:
            temporary.write_text("new")
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o644


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "target.csv").write_text("old")
    (tmp_path / "link.csv").symlink_to("target.csv")
    with atomic_path(tmp_path / "link.csv") as path:
        path.write_text("new")
    assert (tmp_path / "link.csv").is_symlink()
    assert (tmp_path / "target.csv").read_text() == "new"


def test_what_is_no_file_is_not_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="something else than a file"), atomic_path(tmp_path / "pipe"):
        pass
    assert (tmp_path / "pipe").is_fifo()
