"""The Sphinx extension: what it makes of a small page."""

import re

import pytest

sphinx_application = pytest.importorskip("sphinx.application", reason="needs Sphinx")

PAGE = """
# A page

```{image} a-narrow.svg
:alt: The same.
:class: narrow
```

:::{figure} a.svg
:alt: A curve.
:class: wide

Caption.
:::

A number ($x < 1$), and $y$.

<table><tr><th class="col_heading level0 col0" >n</th></tr></table>

```{rubric} References
```

[see](other.md)
"""
SVG = '<svg xmlns="http://www.w3.org/2000/svg"/>'


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """The HTML of a page with formulas and figures, and of one without."""
    source = tmp_path_factory.mktemp("source")
    (source / "index.md").write_text(PAGE + "\n```{toctree}\nother\n```\n")
    (source / "other.rst").write_text(
        "Other\n=====\n\n.. [A] One book.\n\n.. [B] Another, [A]_, [B]_.\n"
    )
    for name in ("a", "a-narrow"):
        (source / f"{name}.svg").write_text(SVG)
    settings = {
        "extensions": ["myst_parser", "perflaw.publish.extension"],
        "myst_enable_extensions": ["colon_fence", "dollarmath"],
        "mathjax_path": "mathjax/tex.js",
    }
    app = sphinx_application.Sphinx(
        source, None, source / "out", source / "trees", "html", settings, status=None, warning=None
    )
    app.set_html_assets_policy("always")
    app.build()
    return [(source / "out" / f"{name}.html").read_text() for name in ("index", "other")]


def test_a_narrow_image_is_for_narrow_screens(pages):
    picture = re.search(r"<figure.*?</picture>", pages[0], re.DOTALL)[0]
    assert '<source media="(max-width: 699.98px)" srcset="_images/a-narrow.svg" />' in picture
    assert re.search(r'<img alt="A curve." class="wide" src="_images/a.svg" /></picture>', picture)
    assert pages[0].count("<img alt=") == 1


def test_a_formula_keeps_its_punctuation(pages):
    formulas = re.findall(r'<span class="unbroken">(.*?</span>.*?)</span>', pages[0])
    texts = [re.sub("<[^>]*>", "", formula) for formula in formulas]
    assert texts == [r"(\(x &lt; 1\)),", r"\(y\)."]


def test_column_headers_are_named(pages):
    assert '<th scope="col" class="col_heading level0 col0" >' in pages[0]


def test_maths_is_loaded_where_there_is_some(pages):
    assert ["mathjax/tex.js" in page for page in pages] == [True, False]


def test_references_have_no_deprecated_role(pages):
    assert '<div class="citation-list">' in pages[1]
    assert "doc-biblioentry" not in pages[1]
    assert pages[1].count("<div") == pages[1].count("</div>")
