"""A Sphinx extension: what the book's pages need beyond the theme.

- A figure that follows an image of the class `narrow` shows that image on narrow screens.
- An inline formula stays in one line with the punctuation around it, and a number with its "%"
  and with the symbol that it is of.
- Column headers of tables and the sidebar have names that a screen reader can read out.
- A page loads no script that it does not use.
- A name like NDCG@10 in a docstring is no address.
- A word of the glossary links to it where a page uses it first.
- Each reference names the pages that cite it; its label is that of the text.
- A page made from a notebook has a launch button if the repository's address is configured.
"""

import posixpath
import re
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.writers.html5 import HTML5Translator

from perflaw.publish.citations import LinkCitingPages

NARROW_SCREEN = "(max-width: 699.98px)"
# The theme loads this script of 1.5 MB; its style sheet has the same icons as a font.
ICON_SCRIPT = re.compile(r"<script [^>]*/fontawesome\.js[^>]*></script>")
SIDEBAR = '<div id="pst-primary-sidebar" '
NAMED_SIDEBAR = SIDEBAR + 'role="region" aria-label="Book" '
# Spaces between a number and its "%", and around an "=" that begins a text: it follows a symbol.
UNBREAKABLE = re.compile(r"(?:(?<=\d)|^) %|^ = ?")
MINUS = re.compile(r"(?<![\w.])-(?=\d)")
GLOSSARY = "glossary"
# Words of the glossary that usually mean something else.
EVERYDAY = {"run", "stack", "walk", "condition", "hidden", "held out", "history"}
BINDER = "https://mybinder.org/v2/git/{repository}/HEAD?urlpath=lab/tree/notebooks/{name}.ipynb"


class PageTransform(SphinxPostTransform):
    """A change of each page, made after links and outputs of cells are resolved."""

    default_priority = 900
    formats = ("html",)


class picture(nodes.General, nodes.Element):  # noqa: N801 as docutils names its nodes
    """Two images of the same: for narrow screens, and for all others."""


class PairPictures(PageTransform):
    """Move an image of the class `narrow` into the figure that follows it."""

    def run(self, **_: Any) -> None:
        """Pair the images of a page."""
        for narrow in list(self.document.findall(nodes.image)):
            figure = narrow.next_node(descend=False, siblings=True)
            if "narrow" not in narrow["classes"] or not isinstance(figure, nodes.figure):
                continue
            wide = next(figure.findall(nodes.image))
            narrow.parent.remove(narrow)
            pair = picture()
            wide.parent.replace(wide, pair)
            pair.extend([narrow, wide])


class KeepMetricNames(PageTransform):
    """Take back the links that docutils makes of names like NDCG@10, which are no addresses."""

    def run(self, **_: Any) -> None:
        """Put the text of each such link in its place."""
        for link in list(self.document.findall(nodes.reference)):
            if link.get("refuri", "").startswith("mailto:"):
                link.parent.replace(link, nodes.Text(link.astext()))


class KeepFormulasUnbroken(PageTransform):
    """Wrap an inline formula with the punctuation around it, so that no line begins with it."""

    def run(self, **_: Any) -> None:
        """Wrap the formulas of a page."""
        for formula in list(self.document.findall(nodes.math)):
            wrapper = nodes.inline(classes=["unbroken"])
            before = formula.previous_sibling()
            after = formula.next_node(descend=False, siblings=True)
            formula.parent.replace(formula, wrapper)
            if isinstance(before, nodes.Text) and before.endswith("("):
                before.parent.replace(before, nodes.Text(before[:-1]))
                wrapper += nodes.Text("(")
            wrapper += formula
            if isinstance(after, nodes.Text):
                rest = after.lstrip(".,;:?)")
                after.parent.replace(after, nodes.Text(rest))
                wrapper += nodes.Text(after[: len(after) - len(rest)])


class SetNumbers(PageTransform):
    """Set a minus before negative numbers, and spaces that do not break before "%" and "="."""

    def run(self, **_: Any) -> None:
        """Rewrite the texts of a page; a text that begins with " %" follows a glued number."""
        for text in list(self.document.findall(nodes.Text)):
            if isinstance(text.parent, (nodes.FixedTextElement, nodes.literal, nodes.raw)):
                continue
            rewritten = UNBREAKABLE.sub(lambda match: match[0].replace(" ", "\u00a0"), text)
            rewritten = MINUS.sub("\u2212", rewritten)
            if rewritten != text:
                text.parent.replace(text, nodes.Text(rewritten))


class NameColumnHeaders(PageTransform):
    """Say of the headers of pandas' tables that they are those of columns."""

    def run(self, **_: Any) -> None:
        """Rewrite the tables of a page."""
        for raw in self.document.findall(nodes.raw):
            html = raw.astext()
            if '<th class="col_heading' in html:
                html = html.replace('<th class="col_heading', '<th scope="col" class="col_heading')
                raw.children = [nodes.Text(html)]


class LinkGlossary(PageTransform):
    """Link the first use of each word of the glossary on a page."""

    default_priority = PageTransform.default_priority + 10

    def run(self, **_: Any) -> None:
        """Link the words of a page."""
        if self.env.docname in (GLOSSARY, "CHANGELOG", "api"):
            return
        terms = dict(_glossary_terms(self.env))
        if not terms:
            return
        words = "|".join(map(re.escape, sorted(terms, key=len, reverse=True)))
        pattern = re.compile(rf"(?<![\w-])({words})(?![\w-])", re.IGNORECASE)
        seen: set[str] = set()
        for paragraph in list(self.document.findall(nodes.paragraph)):
            if isinstance(paragraph.parent, nodes.citation):
                continue  # titles of works
            for text in [child for child in paragraph.children if isinstance(child, nodes.Text)]:
                self._link(text, pattern, terms, seen)

    def _link(
        self, text: nodes.Text, pattern: re.Pattern[str], terms: dict[str, str], seen: set[str]
    ) -> None:
        """Link the words of one text that are not linked yet, and add their anchors to `seen`."""
        address = self.app.builder.get_relative_uri(self.env.docname, GLOSSARY)
        pieces: list[nodes.Node] = []
        end = 0
        for match in pattern.finditer(text):
            anchor = terms[match[0].lower()]
            if anchor in seen:
                continue
            seen.add(anchor)
            link = nodes.reference(
                "", match[0], refuri=f"{address}#{anchor}", internal=True, classes=["glossary-word"]
            )
            pieces += [nodes.Text(text[end : match.start()]), link]
            end = match.end()
        if pieces:
            text.parent.replace(text, [*pieces, nodes.Text(text[end:])])


def _glossary_terms(env: Any) -> Iterator[tuple[str, str]]:
    """Yield every name of a glossary entry, singular and plural, with its anchor."""
    for name, _, kind, page, anchor, _ in env.get_domain("std").get_objects():
        if kind != "term" or page != GLOSSARY:
            continue
        names = re.sub(r" [A-Za-z]\W?$", "", name.lower())  # without a symbol, as of "tokens D"
        for word in names.split(", "):
            if word and word not in EVERYDAY:
                yield word, anchor
                yield f"{word}s", anchor


def visit_picture(translator: HTML5Translator, node: picture) -> None:
    """Write both images as one HTML picture."""
    narrow, wide = node.children
    builder = translator.builder
    uri = narrow["uri"]
    if uri in builder.images:
        uri = posixpath.join(builder.imgpath, urllib.parse.quote(builder.images[uri]))
    translator.body.append(f'<picture><source media="{NARROW_SCREEN}" srcset="{uri}" />')
    wide.walkabout(translator)
    translator.body[-1] = translator.body[-1].rstrip()
    translator.body.append("</picture>\n")
    raise nodes.SkipNode


def visit_citation(translator: HTML5Translator, node: nodes.citation) -> None:
    """Write a reference without the roles that docutils gives it, which are deprecated."""
    if not isinstance(node.previous_sibling(), nodes.citation):
        translator.body.append('<div class="citation-list">\n')
    translator.body.append(translator.starttag(node, "div", classes=[node.tagname]))


def remove_unused_maths(
    app: Sphinx, _page: str, _template: str, context: dict[str, Any], _doctree: object
) -> None:
    """Leave MathJax out of a page without formulas."""
    if 'class="math' in context.get("body", ""):
        return
    context["script_files"] = [
        script
        for script in context["script_files"]
        if app.config.mathjax_path not in str(getattr(script, "filename", script))
    ]


def add_launch_button(
    app: Sphinx, page: str, _template: str, context: dict[str, Any], _doctree: object
) -> None:
    """Put links to run a notebook and to its source under the title of its page."""
    repository = app.config.perflaw_repository.rstrip("/")
    folder, _, name = page.rpartition("/")
    source = Path(app.srcdir) / f"{page}.ipynb"
    if not repository or folder != "executed" or not source.is_file():
        return
    launch = BINDER.format(repository=urllib.parse.quote(repository, safe=""), name=name)
    links = (
        f'<p class="launch"><a href="{launch}">Run this page on Binder</a> '
        f'<a href="{repository}/blob/HEAD/notebooks/{name}.ipynb">Source of this page</a></p>'
    )
    context["body"] = context["body"].replace("</h1>", f"</h1>\n{links}", 1)


def finish_pages(app: Sphinx, exception: Exception | None) -> None:
    """Change in written pages what the theme's templates offer no setting for."""
    if exception is not None or app.builder.format != "html":
        return
    for page in Path(app.outdir).rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        finished = ICON_SCRIPT.sub("", text).replace(SIDEBAR, NAMED_SIDEBAR)
        if finished != text:
            page.write_text(finished, encoding="utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the transforms, nodes and hooks of this module with Sphinx."""
    app.setup_extension("sphinxcontrib.bibtex")
    app.add_node(picture, html=(visit_picture, None))
    app.add_node(
        nodes.citation, override=True, html=(visit_citation, HTML5Translator.depart_citation)
    )
    app.add_post_transform(PairPictures)
    app.add_post_transform(KeepMetricNames)
    app.add_post_transform(KeepFormulasUnbroken)
    app.add_post_transform(SetNumbers)
    app.add_post_transform(NameColumnHeaders)
    app.add_post_transform(LinkGlossary)
    app.add_post_transform(LinkCitingPages)
    app.add_config_value("perflaw_repository", "", "html", [str])
    app.connect("html-page-context", add_launch_button)
    app.connect("html-page-context", remove_unused_maths, priority=900)
    app.connect("build-finished", finish_pages)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
