"""Figures as SVG inside a page, in the page's colours."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import matplotlib.pyplot as plt
from markupsafe import Markup

from perflaw import plotting

PAGE_COLOURS = {
    "#000000": "currentColor",
    plotting.BLUE: "var(--blue)",
    plotting.VERMILLION: "var(--orange)",
    plotting.GREY: "var(--grey)",
    "#dddddd": "var(--line)",
}
"""By the colour of a figure, what the style sheet of the page calls it."""


class Drawing(NamedTuple):
    """One figure, for broad and for narrow screens."""

    broad: Markup
    narrow: Markup


def draw_figure(draw: Callable[..., plt.Figure], *data: Any, salt: str) -> Drawing:
    """Draw a figure for a page.

    Parameters
    ----------
    draw
        A function of data and of `narrow`.
    *data
        What it draws.
    salt
        A text that is of this figure alone, from which names inside the drawing are made.

    Returns
    -------
    Drawing
        SVG elements; the same figure gives the same text.
    """
    return Drawing(*(_to_svg(draw, data, narrow, f"{salt}{narrow}") for narrow in (False, True)))


def _to_svg(draw: Callable[..., plt.Figure], data: tuple, narrow: bool, salt: str) -> Markup:
    settings = {"svg.fonttype": "none", "svg.hashsalt": salt, "savefig.transparent": True}
    no_metadata = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    file = io.StringIO()
    with plotting.style_context(settings):
        figure = draw(*data, narrow=narrow)
        figure.savefig(file, format="svg", metadata=no_metadata)
        plt.close(figure)
    svg = file.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r' id="[\w.]+_\d+"', "", svg)  # nothing refers to these
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    for colour, name in PAGE_COLOURS.items():
        svg = re.sub(colour, name, svg, flags=re.IGNORECASE)
    return Markup(svg)  # matplotlib escapes the texts that it writes
