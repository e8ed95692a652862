"""The page of a report, from its values."""

import re

import pytest
from simulated_pilots import FLOOR, report_values, simulate_pilot

from perflaw.report import conclusions, render


@pytest.fixture(scope="module")
def page(findings, log):
    return render.render_page(report_values(simulate_pilot(), findings, log))


def test_the_page_needs_nothing_from_elsewhere(page):
    inside = page.replace('xlink:href="#', "").replace('href="#', "")
    assert not re.search(r"(src|href)=|url\((?!#)|@import|<script", inside)


def test_the_page_is_for_all_readers(page):
    assert 'lang="en"' in page
    assert "width=device-width" in page
    assert "prefers-color-scheme: dark" in page


def test_the_page_has_each_figure_twice_with_one_text(page):
    assert page.count("<svg") == 6
    assert page.count('role="img" aria-label="') == 3


def test_figures_have_the_colours_of_the_page(page):
    body = page.split("</style>", 1)[1].lower()
    assert "#0072b2" not in body
    assert "var(--blue)" in body


def test_identifiers_on_the_page_are_unique_and_found(page):
    ids = re.findall(r' id="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'(?:href="#|url\(#)([^")]+)', page)) <= set(ids)


def test_no_line_of_the_page_begins_with_a_per_cent_sign(page):
    assert re.search(r"\d\u00a0%", page)
    assert not re.search(r"\d[ \n]%", page)


@pytest.mark.integration
def test_the_page_says_what_was_found(page, findings):
    for sentence in findings.says:
        escaped = str(render.jinja2.utils.markupsafe.escape(sentence))
        assert escaped in page.replace("\u00a0", " ")


def test_an_undefined_entropy_is_said_to_be_so(page):
    assert "<td>undefined</td>" in page


@pytest.fixture(scope="module")
def page_without_claims(log):
    runs = simulate_pilot().head(4)
    failed = runs.assign(**{"NDCG@10": None, "HR@10": None, "seconds": None, "done_epochs": None})
    findings = conclusions.draw_conclusions(runs, FLOOR)
    return render.render_page(report_values(failed, findings, log, name="a<b"))


def test_a_page_without_claims_looks_like_one(page_without_claims):
    assert 'class="says none"' in page_without_claims
    assert "<svg" not in page_without_claims


def test_names_are_escaped(page_without_claims):
    assert "a<b" not in page_without_claims
    assert "a&lt;b" in page_without_claims


def test_the_page_says_first_that_it_is_of_a_part(page):
    box = page[page.index('class="says') : page.index("</div>")]
    assert "is of 60 of the log&#39;s 200 users" in box.split("</p>")[0]
