"""What a notebook read: which of it is kept, and how it is compared."""

import os

import pytest

from perflaw.publish.provenance import ABSENT, PACKAGE_PARENT, digest_reads, parse_reads

READ = [
    "data/points.csv",
    "data/sweeps/",
    "data/none.csv",
    "book/_static/explorer.js",
    "perflaw/report/style.css",
]
LEFT_OUT = ["book/_build/default/x.ipynb", "perflaw/laws/", "perflaw/io.py", ".git/HEAD", ""]


@pytest.fixture
def record(tmp_path):
    """A study's folder, and a record of what a kernel opened there."""
    lines = [f"{tmp_path}{os.sep}{name}" for name in READ + LEFT_OUT]
    path = tmp_path / "one.reads"
    path.write_text("\n".join([*lines, f"{PACKAGE_PARENT}/perflaw/prior.json", "/etc/passwd"]))
    return path


def test_data_templates_and_styles_are_kept(record):
    assert parse_reads(record.parent, record) == sorted([*READ, "perflaw/prior.json"])


def test_a_notebook_that_read_nothing_has_no_record(tmp_path):
    assert parse_reads(tmp_path, tmp_path / "none.reads") == []


def test_a_file_of_the_package_is_found_outside_the_study(tmp_path):
    digests = digest_reads(tmp_path, ["perflaw/errors.py", "perflaw/nonesuch.css"])
    assert len(digests["perflaw/errors.py"]) == 64
    assert digests["perflaw/nonesuch.css"] == ABSENT


def test_a_folder_is_compared_by_its_names(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.csv").write_text("1")
    before = digest_reads(tmp_path, ["data/"])
    (tmp_path / "data" / "a.csv").write_text("2")
    assert digest_reads(tmp_path, ["data/"]) == before
    (tmp_path / "data" / "b.csv").write_text("1")
    assert digest_reads(tmp_path, ["data/"]) != before
