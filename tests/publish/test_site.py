"""What a copy of the book says of itself, and the API page's part on exercises."""

import subprocess

import pytest

from perflaw.publish import api_reference
from perflaw.publish.api_reference import api_page, names_used
from perflaw.publish.comparison import Change
from perflaw.publish.site import describe_changes, describe_copy, read_commit

CITATION = """\
title: A study
version: 1.2
license: MIT
authors:
  - {name: A group}
  - {given-names: Ada, family-names: Lovelace}
"""
CODE = """
from perflaw.laws import families, get_law
from perflaw.study.paper import published
import numpy as np

law = families.log_linear()
get_law("performance")
np.log(2)
families.AXES
published.SURFACE
"""


def git(folder, *arguments):
    settings = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    subprocess.run(
        ["git", "-C", str(folder), *settings, *arguments], check=True, capture_output=True
    )


def test_a_copy_names_version_date_authors_and_licence(tmp_path):
    (tmp_path / "CITATION.cff").write_text(CITATION)
    text = describe_copy(tmp_path, "2026-11-29T03:04:05+00:00")
    assert "**Version** 1.2" in text
    assert "2026-11-29." in text
    assert "**Authors**: A group, Ada Lovelace." in text
    assert "tables of our own runs, MIT." in text


def test_the_commit_is_that_of_the_clone_and_says_when_files_differ(tmp_path):
    git(tmp_path, "init")
    (tmp_path / "a").write_text("1")
    git(tmp_path, "add", "a")
    git(tmp_path, "commit", "-m", "a")
    commit = read_commit(tmp_path)
    assert len(commit) >= 7
    (tmp_path / "a").write_text("2")
    assert read_commit(tmp_path) == f"{commit}-dirty"


def test_without_a_clone_the_commit_is_unknown(tmp_path):
    assert read_commit(tmp_path / "nowhere") == "unknown"


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        (None, "every parameter at its default"),
        ([], "No number and no table of this copy differs"),
        ([Change("laws", "n", "1", "2", "no interval")], "| laws | `n` | 1 | 2 | no interval |"),
    ],
)
def test_a_copy_lists_what_moved(changes, text):
    assert text in describe_changes(changes)


def test_functions_and_classes_of_the_package_that_code_names_are_found():
    assert set(names_used(CODE)) == {"perflaw.laws.families.log_linear", "perflaw.laws.get_law"}


def test_the_example_at_the_top_of_the_api_page_runs():
    names = {}
    exec(api_reference.BLOCK.search(api_reference.HEAD)[1], names)
    assert len(names["predict"](names["law"], names["points"])) == len(names["points"])


def test_what_exercises_name_is_on_the_api_page_once():
    page = api_page([f"```python\n{CODE}```\n"])
    assert page.count("autofunction:: perflaw.laws.families.log_linear") == 1
    assert page.count("autofunction:: perflaw.laws.get_law") == 1
    assert "Used in exercises" not in api_page()
