"""The worked examples of CONTRIBUTING.md run, each section on its own."""

import re
from pathlib import Path

import pytest

from perflaw.laws import families

TEXT = (Path(__file__).parent.parent / "CONTRIBUTING.md").read_text(encoding="utf-8")
SECTIONS = {
    title: re.findall(r"^```python\n(.*?)^```", body, re.MULTILINE | re.DOTALL)
    for title, body in re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL)
}


@pytest.mark.parametrize("title", [title for title, blocks in SECTIONS.items() if blocks])
def test_a_worked_example_runs(title, monkeypatch):
    monkeypatch.setattr(families, "FAMILIES", dict(families.FAMILIES))
    names = {"__name__": "example"}
    for block in SECTIONS[title]:
        exec(compile(block, f"CONTRIBUTING.md: {title}", "exec"), names)


def test_law_backbone_measure_and_page_have_an_example():
    with_examples = {title for title, blocks in SECTIONS.items() if blocks}
    assert with_examples == {
        "Add a law",
        "Add a measure of data",
        "Add a backbone",
        "Add a page",
    }
