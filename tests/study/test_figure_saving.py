"""Tables as a page shows them."""

import pandas as pd
import pytest

from perflaw.study import figures


@pytest.mark.parametrize(
    ("value", "text", "shown"),
    [(-0.01, "{:.1f}", "0.0"), (-0.01, "{:+.1f}", "0.0"), (-0.06, "{:.1f}", "−0.1")],
)
def test_a_number_that_rounds_to_zero_has_no_minus(value, text, shown, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = pd.DataFrame({"change": [value]})
    html = figures.save_table("changes", rows, {"change": text}).to_html()
    assert f">{shown}<" in html


def test_a_missing_number_is_blank(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = pd.DataFrame({"change": [float("nan"), 1.0]})
    html = figures.save_table("changes", rows, {"change": "{:.1f}"}).to_html()
    assert "nan" not in html


def test_a_cell_may_be_written_by_a_function(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = pd.DataFrame({"best": [float("inf"), 5.0]})
    formats = {"best": lambda d: "open" if d == float("inf") else f"{d:.0f}"}
    html = figures.save_table("best", rows, formats).to_html()
    assert ">open<" in html
    assert ">5<" in html


@pytest.mark.parametrize(
    ("column", "heading"), [("d_emb", "d"), ("mape", "error, %"), ("late_gain", "late gain")]
)
def test_a_heading_is_no_name_of_the_code(column, heading, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    html = figures.save_table("gains", pd.DataFrame({column: [1.0]})).to_html()
    assert f">{heading}</th>" in html
    assert (tmp_path / "tables" / "gains.csv").read_text().startswith(column)


def test_an_axis_is_shown_by_its_symbol(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = pd.DataFrame({"axis": ["n_layers", "d_emb"]})
    html = figures.save_table("axes", rows).to_html()
    assert ">N</td>" in html
    assert "d_emb" not in html
    assert "d_emb" in (tmp_path / "tables" / "axes.csv").read_text()


def test_a_law_is_shown_by_its_name_in_the_field(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = pd.DataFrame({"law": ["constant", "joint sum of powers, walk"], "mape": [2.0, 1.0]})
    shown = figures.save_table("errors", rows).to_html()
    assert "joint sum of power laws, walk" in shown
    assert "sum of powers" not in (tmp_path / "tables" / "errors.csv").read_text()
