"""One PDF of a book: pages joined in order, links within it, one clear line without Chromium."""

import shutil

import pytest
from bs4 import BeautifulSoup
from click.testing import CliRunner

from perflaw.cli.main import main
from perflaw.errors import InputError
from perflaw.publish import pdf

PAGE = """<html><head><title>{title}</title><link rel="stylesheet" href="{up}_static/a.css"></head>
<body><nav>menu</nav><article><section id="top"><h1>{title}<a class="headerlink">#</a></h1>
<a href="{link}">see</a> <a href="https://example.org/x">out</a>
<a href="{up}_sources/a.csv">table</a>
<picture><source srcset="narrow.svg"><img src="{up}_images/a.svg" alt="A"></picture>
<script>alert(1)</script></section></article></body></html>
"""


@pytest.fixture
def home(tmp_path):
    """A built book of three pages, of which one is in a folder."""
    html = tmp_path / "html"
    (html / "executed").mkdir(parents=True)
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "_toc.yml").write_text(
        "root: index\nparts:\n- chapters:\n  - file: executed/one\n    sections:\n    - file: two\n"
    )
    for name, link in [
        ("index", "executed/one.html#top"),
        ("executed/one", "../two.html"),
        ("two", "#top"),
    ]:
        up = "../" if "/" in name else ""
        (html / f"{name}.html").write_text(PAGE.format(title=name, link=link, up=up))
    return tmp_path


def joined(home):
    names = ["index", "executed/one", "two"]
    return BeautifulSoup(pdf.join_pages(home / "html", names), "html.parser")


def test_pages_are_listed_in_the_order_of_the_contents():
    contents = {
        "root": "index",
        "parts": [{"chapters": [{"file": "a", "sections": [{"file": "b"}]}, {"file": "c"}]}],
    }
    assert pdf.list_pages(contents) == ["index", "a", "b", "c"]


def test_pages_are_joined_without_menus_scripts_and_narrow_pictures(home):
    whole = joined(home)
    assert [title.get_text() for title in whole.select("h1")] == ["index", "executed/one", "two"]
    assert not whole.select("nav, script, source, .headerlink")


def test_names_are_unique_and_every_link_within_leads_somewhere(home):
    whole = joined(home)
    names = [element["id"] for element in whole.select("[id]")]
    assert len(set(names)) == len(names)
    within = [link["href"] for link in whole.select('a[href^="#"]')]
    contents = ["#index", "#executed-one", "#two"]
    assert within == ["#executed-one--top", *contents, "#two", "#two--top"]
    assert {link[1:] for link in within} <= set(names)


def test_links_out_stay_and_files_lose_theirs(home):
    whole = joined(home)
    assert len(whole.select('a[href="https://example.org/x"]')) == 3
    assert [link.get_text() for link in whole.select("a:not([href])")] == ["table"] * 3


def test_pictures_are_found_from_the_top_folder(home):
    assert {image["src"] for image in joined(home).select("img")} == {"_images/a.svg"}


def test_without_chromium_there_is_one_clear_line(home, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(InputError, match="printed by Chromium, which is not installed"):
        pdf.print_book(home)
    result = CliRunner().invoke(main, ["book", "--pdf"])
    assert result.exit_code != 0
    assert result.output.startswith("Error: the PDF is printed by Chromium")
    assert result.output.count("\n") == 1


@pytest.mark.slow
def test_chromium_prints_it(home):
    try:
        pdf.find_chromium()
    except InputError:
        pytest.skip("needs Chromium, which is not installed")
    target = pdf.print_book(home)
    assert target.read_bytes().startswith(b"%PDF")
    assert not (home / "html" / "whole.html").exists()
