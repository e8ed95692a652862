"""References labelled as they are cited, e.g. Shen et al., 2024a, with links back to the pages."""

from collections import Counter
from collections.abc import Iterator, Sequence
from string import ascii_lowercase
from typing import Any

from docutils import nodes
from pybtex.database import Entry
from pybtex.plugin import register_plugin
from pybtex.style.formatting.plain import Style as PlainStyle
from pybtex.style.labels import BaseLabelStyle
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinxcontrib.bibtex.domain import get_docnames

STYLE = "author_year"


class AuthorYearLabels(BaseLabelStyle):
    """Labels of authors and year; works that would share one get letters."""

    def format_labels(self, sorted_entries: Sequence[Entry]) -> Iterator[str]:
        """Yield the label of each entry."""
        labels = [f"{_authors(entry)}, {entry.fields['year']}" for entry in sorted_entries]
        total = Counter(labels)
        used: Counter[str] = Counter()
        for label in labels:
            yield label + (ascii_lowercase[used[label]] if total[label] > 1 else "")
            used[label] += 1


def _authors(entry: Entry) -> str:
    names = [
        " ".join([*person.prelast_names, *person.last_names]).strip("{}")
        for person in entry.persons["author"]
    ]
    if len(names) > 2:
        return f"{names[0]} et al."
    return " and ".join(names)


class AuthorYearStyle(PlainStyle):
    """Entries in the order of authors, with labels of authors and year."""

    default_label_style = AuthorYearLabels


class LinkCitingPages(SphinxPostTransform):
    """Say below each reference which pages cite it."""

    default_priority = 6  # when references are made, before links are resolved
    formats = ("html",)

    def run(self, **_: Any) -> None:
        """Add a line to each reference of a page."""
        domain: Any = self.env.get_domain("cite")
        keys = {each.citation_id: each.key for each in domain.citations}
        order = list(get_docnames(self.env))
        for citation in self.document.findall(nodes.citation):
            key = keys.get(next(iter(citation["ids"]), ""))
            anchors = {  # of the first citation on each page
                ref.docname: ref.citation_ref_id
                for ref in reversed(domain.citation_refs)
                if key in {target.key for target in ref.targets}
            }
            if anchors:
                citation += self._list_pages(
                    sorted(anchors.items(), key=lambda x: order.index(x[0]))
                )

    def _list_pages(self, citing: list[tuple[str, str]]) -> nodes.paragraph:
        """Write the line with links to the places that cite a reference."""
        line = nodes.paragraph("", "Cited in ", classes=["cited-in"])
        for i, (page, anchor) in enumerate(citing):
            address = self.app.builder.get_relative_uri(self.env.docname, page)
            title = self.env.titles[page].astext()
            line += nodes.Text(", " if i else "")
            line += nodes.reference("", title, refuri=f"{address}#{anchor}", internal=True)
        line += nodes.Text(".")
        return line


register_plugin("pybtex.style.formatting", STYLE, AuthorYearStyle)
