"""Print a built book as one PDF: its pages in the order of the contents, by Chromium."""

from __future__ import annotations

import os
import posixpath
import re
import shutil
import subprocess
from collections.abc import Iterator
from html import escape
from pathlib import Path
from urllib.parse import urldefrag

import yaml
from bs4 import BeautifulSoup, Tag

from perflaw.errors import InputError

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
TIMEOUT = 600  # seconds of Chromium
VIRTUAL_TIME = 120_000  # milliseconds of the page's own clock, in which formulas are set
LEFT_OUT = "script, button, form, nav, .headerlink, .explorer, .law-term, .slides-button, source"
REFERRING = ("aria-labelledby", "aria-describedby", "for")


def find_chromium() -> str:
    """Return the path of Chromium.

    Raises
    ------
    InputError
        If there is none.
    """
    for name in BROWSERS:
        if path := shutil.which(name):
            return path
    raise InputError(
        "the PDF is printed by Chromium, which is not installed; on Debian and Ubuntu: "
        "apt install chromium"
    )


def print_book(home: Path) -> Path:
    """Print a built book.

    Parameters
    ----------
    home
        Folder of the book, e.g. book/_build/default.

    Returns
    -------
    pathlib.Path
        `home`/book.pdf.

    Raises
    ------
    InputError
        If Chromium is absent or fails.
    """
    chromium = find_chromium()
    contents = yaml.safe_load((home / "source" / "_toc.yml").read_text(encoding="utf-8"))
    whole = home / "html" / "whole.html"
    target = home / "book.pdf"
    command = [
        chromium,
        "--headless",
        "--disable-gpu",
        "--no-pdf-header-footer",
        "--generate-pdf-document-outline",
        f"--virtual-time-budget={VIRTUAL_TIME}",
        f"--print-to-pdf={target}",
        *(["--no-sandbox"] if os.geteuid() == 0 else []),
        whole.as_uri(),
    ]
    target.unlink(missing_ok=True)
    try:
        whole.write_text(join_pages(home / "html", list_pages(contents)), encoding="utf-8")
        process = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT)
    except subprocess.TimeoutExpired:
        raise InputError(f"Chromium did not print the book within {TIMEOUT} s") from None
    finally:
        whole.unlink(missing_ok=True)
    if not target.is_file():
        last = (process.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise InputError(f"Chromium could not print the book: {last}")
    return target


def list_pages(contents: dict) -> list[str]:
    """List the names of a book's pages in the order of its table of contents."""
    names = [contents["root"]]
    for part in contents.get("parts", [contents]):
        names += _list_files(part["chapters"])
    return names


def _list_files(entries: list[dict]) -> Iterator[str]:
    """Yield the page of each entry, and those of its sections after it."""
    for entry in entries:
        yield entry["file"]
        yield from _list_files(entry.get("sections", []))


def join_pages(html: Path, names: list[str]) -> str:
    """Join pages to one, with links between them turned into links within it.

    Parameters
    ----------
    html
        Folder of the pages.
    names
        Their names, in order, without suffix; those that are not there are left out.
    """
    names = [name for name in names if (html / f"{name}.html").is_file()]
    pages = {
        name: BeautifulSoup((html / f"{name}.html").read_text(encoding="utf-8"), "html.parser")
        for name in names
    }
    whole = pages[names[0]]
    articles = [_take_article(page, name, names) for name, page in pages.items()]
    scripts = next(filter(None, (_formula_scripts(page, name) for name, page in pages.items())), "")
    styles = "".join(map(str, whole.select("head link[rel=stylesheet], head style")))
    title = whole.title.get_text() if whole.title else ""
    body = "\n".join([articles[0], _list_contents(pages), *articles[1:]])
    return (
        '<!DOCTYPE html><html lang="en" data-theme="light" data-mode="light"><head>'
        f'<meta charset="utf-8"><title>{title}</title>{styles}{scripts}</head>'
        f'<body><main class="bd-article whole-book">{body}</main></body></html>'
    )


def _list_contents(pages: dict[str, BeautifulSoup]) -> str:
    """List the titles of pages, each a link into the joined page."""
    links = []
    for name, page in pages.items():
        if title := page.select_one("h1"):
            text = escape(title.get_text(strip=True))
            links.append(f'<li><a href="#{_slug(name)}">{text}</a></li>')
    return f'<article class="whole-contents"><h2>Contents</h2><ul>{"".join(links)}</ul></article>'


def _formula_scripts(page: BeautifulSoup, name: str) -> str:
    """Return the scripts of a page that set formulas, with addresses from the top folder."""
    scripts = [script for script in page.select("script") if "athJax" in str(script)]
    scripts += [script for script in page.select("script[src]") if "mathjax/" in script["src"]]
    for script in scripts:
        if script.get("src"):
            script["src"] = _from_top(name, str(script["src"]))
    return "".join(map(str, dict.fromkeys(scripts)))


def _take_article(page: BeautifulSoup, name: str, names: list[str]) -> str:
    """Return the article of a page, with links and ids that are valid in the joined page."""
    article = page.select_one("article") or page
    for element in article.select(LEFT_OUT):
        element.decompose()
    slug = _slug(name)
    for element in article.select("[id]"):
        if not str(element["id"]).startswith("T_"):  # the style of a table refers to its id
            element["id"] = f"{slug}--{element['id']}"
    for attribute in REFERRING:
        for element in article.select(f"[{attribute}]"):
            element[attribute] = f"{slug}--{element[attribute]}"
    for image in article.select("img[src]"):
        image["src"] = _from_top(name, str(image["src"]))
    for link in article.select("a[href]"):
        _redirect(link, name, names)
    article["id"] = slug
    return str(article)


def _redirect(link: Tag, name: str, names: list[str]) -> None:
    """Point a link into the joined page; one to a file that is not in it loses its address."""
    address, anchor = urldefrag(str(link["href"]))
    if re.match(r"\w+:", address):
        return
    target = _from_top(name, address).removesuffix(".html") if address else name
    if target in names:
        link["href"] = f"#{_slug(target)}--{anchor}" if anchor else f"#{_slug(target)}"
    else:
        del link["href"]


def _from_top(name: str, address: str) -> str:
    """Return an address that a page has, as seen from the top folder."""
    if re.match(r"\w+:", address):
        return address
    return posixpath.normpath(posixpath.join(posixpath.dirname(name), address))


def _slug(name: str) -> str:
    return re.sub(r"\W", "-", name)
