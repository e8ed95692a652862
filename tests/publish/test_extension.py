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

Said {cite}`zhang2024one` and {cite}`zhang2024two`, after {cite}`kang2018self`.

A surface is a grid of laws. Another surface, and a `surface` in code; surfacelike.

It is 5 % of *all*, or *7* %; `1 %` in code, and a share in %. Here *d* = 64 and 2 = 2.

It fell by -3 to -0.5, not ml-100k, 1-2 or `-1`.
"""
GLOSSARY = """# Glossary

:::{glossary}
surface
  One metric over a grid.

law, form
  A formula.

run, run record
  A model.
:::
"""
WORKS = """
@article{zhang2024one,
  title = {A surface}, author = {Zhang, A. and Li, B. and Wu, C.}, journal = {J}, year = {2024}
}
@article{zhang2024two,
  title = {More}, author = {Zhang, D. and Li, B. and others}, journal = {J}, year = {2024}
}
@article{kang2018self, title = {Self}, author = {Kang, W. and Mc, J.}, journal = {J}, year = {2018}}
"""
SVG = '<svg xmlns="http://www.w3.org/2000/svg"/>'


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """The HTML of a page with formulas and figures, and of one without."""
    source = tmp_path_factory.mktemp("source")
    (source / "index.md").write_text(
        PAGE + "\n```{toctree}\nother\nglossary\nexecuted/one\nreferences\n```\n"
    )
    (source / "works.bib").write_text(WORKS)
    (source / "references.md").write_text("# Works\n\n```{bibliography}\n:all:\n```\n")
    (source / "glossary.md").write_text(GLOSSARY)
    (source / "executed").mkdir()
    (source / "executed" / "one.md").write_text("# One\n\nOf a run record.\n")
    (source / "executed" / "one.ipynb").write_text("{}")
    (source / "other.rst").write_text(
        "Other\n=====\n\n.. [A] One book.\n\n.. [B] Another, [A]_, [B]_.\n"
    )
    for name in ("a", "a-narrow"):
        (source / f"{name}.svg").write_text(SVG)
    settings = {
        "extensions": ["myst_parser", "perflaw.publish.extension"],
        "myst_enable_extensions": ["colon_fence", "dollarmath"],
        "bibtex_bibfiles": ["works.bib"],
        "bibtex_default_style": "author_year",
        "bibtex_reference_style": "label",
        "mathjax_path": "mathjax/tex.js",
        "perflaw_repository": "https://example.org/me/perflaw/",
    }
    app = sphinx_application.Sphinx(
        source, None, source / "out", source / "trees", "html", settings, status=None, warning=None
    )
    app.set_html_assets_policy("always")
    app.build()
    names = ("index", "other", "executed/one", "glossary", "references")
    return [(source / "out" / f"{name}.html").read_text() for name in names]


def test_a_narrow_image_is_for_narrow_screens(pages):
    picture = re.search(r"<figure.*?</picture>", pages[0], re.DOTALL)[0]
    assert '<source media="(max-width: 699.98px)" srcset="_images/a-narrow.svg" />' in picture
    assert re.search(r'<img alt="A curve." class="wide" src="_images/a.svg" /></picture>', picture)
    assert pages[0].count("<img alt=") == 1


@pytest.mark.integration
def test_a_formula_keeps_its_punctuation(pages):
    formulas = re.findall(r'<span class="unbroken">(.*?</span>.*?)</span>', pages[0])
    texts = [re.sub("<[^>]*>", "", formula) for formula in formulas]
    assert texts == [r"(\(x &lt; 1\)),", r"\(y\)."]


def test_a_number_keeps_its_symbol_and_its_per_cent_sign(pages):
    paragraph = re.search(r"<p>(It is 5.*?)</p>", pages[0])[1]
    text = re.sub("<[^>]*>", "", paragraph)
    expected = "It is 5\u00a0% of all, or 7\u00a0%; 1 % in code, and a share in %. "
    assert text == expected + "Here d\u00a0=\u00a064 and 2 = 2."


def test_a_negative_number_has_a_minus(pages):
    text = re.sub(r"<[^>]+>", "", re.search(r"<p>It fell.*?</p>", pages[0])[0])
    assert text == "It fell by −3 to −0.5, not ml-100k, 1-2 or -1."


def test_column_headers_are_named(pages):
    assert '<th scope="col" class="col_heading level0 col0" >' in pages[0]


def test_maths_is_loaded_where_there_is_some(pages):
    assert ["mathjax/tex.js" in page for page in pages[:2]] == [True, False]


def test_references_have_no_deprecated_role(pages):
    assert '<div class="citation-list">' in pages[1]
    assert "doc-biblioentry" not in pages[1]
    assert pages[1].count("<div") == pages[1].count("</div>")


def test_a_word_of_the_glossary_links_to_it_once_on_a_page(pages):
    links = re.findall(r'<a class="glossary-word[^>]*href="([^"]*)">([^<]*)</a>', pages[0])
    assert links == [
        ("glossary.html#term-surface", "surface"),
        ("glossary.html#term-law-form", "laws"),
    ]


def test_links_to_the_glossary_hold_in_folders_and_everyday_words_have_none(pages):
    links = re.findall(r'<a class="glossary-word[^>]*href="([^"]*)">([^<]*)</a>', pages[2])
    assert links == [("../glossary.html#term-run-run-record", "run record")]


def test_the_glossary_does_not_link_to_itself(pages):
    assert "glossary-word" not in pages[3]


def test_a_page_made_from_a_notebook_can_be_launched(pages):
    links = re.findall(r'<p class="launch">.*?</p>', pages[2])
    assert len(links) == 1
    assert "/git/https%3A%2F%2Fexample.org%2Fme%2Fperflaw/HEAD?" in links[0]
    assert "urlpath=lab/tree/notebooks/one.ipynb" in links[0]
    assert "https://example.org/me/perflaw/blob/HEAD/notebooks/one.ipynb" in links[0]


def test_other_pages_have_no_launch_button(pages):
    assert ["launch" in page for page in pages] == [False, False, True, False, False]


def test_works_are_cited_and_listed_by_the_same_labels(pages):
    labels = ["Kang and Mc, 2018", "Zhang et al., 2024a", "Zhang et al., 2024b"]
    cited = re.findall(r"references.html#[^>]*>([^<]*\d{4}\w?)</a>", pages[0])
    listed = re.findall(r'<span class="label">.*?([A-Z][^<]*\d{4}\w?)<', pages[4])
    assert (sorted(cited), listed) == (labels, labels)


def test_a_work_leads_back_to_where_it_is_cited(pages):
    links = re.findall(r'Cited in <a class="[^"]*" href="index.html#(\w+)">A page</a>\.', pages[4])
    assert len(links) == 3
    assert all(f'id="{anchor}"' in pages[0] for anchor in links)


def test_titles_of_works_have_no_links_to_the_glossary(pages):
    assert "glossary-word" not in pages[4]
