"""Three-dimensional panels of a PDF that matplotlib drew: boxes, grid lines, texts and dots.

Lengths are in points (pt) on the page.
"""

from __future__ import annotations

import os
from typing import Any, NamedTuple

import numpy as np

from perflaw.errors import InputError

GRID_LINE = "mll"  # move, two lines: an open line of three points
DOT = "m" + 8 * "c" + "h"  # move, eight arcs, close: a circle


class Panel(NamedTuple):
    """What is drawn in one pair of axes.

    Attributes
    ----------
    box
        (4,): left, bottom, width and height of the axes, pt.
    lines
        (n, 3, 2): the grid lines, three points each, pt.
    texts
        In the order of drawing: ticks and name of x, of y, of z, title, legend.
    dots
        (n, 2): centres of the dots, pt.
    """

    box: np.ndarray
    lines: np.ndarray
    texts: tuple[str, ...]
    dots: np.ndarray


def read_pdf(path: str | os.PathLike) -> list[Panel]:
    """Read the three-dimensional panels on the first page of a PDF by matplotlib.

    Of all that is drawn three shapes matter, known by their operators: an open line of three
    points is a grid line, a rectangle that clips is the axes' box, a filled circle (eight arcs)
    within it is a dot.

    Parameters
    ----------
    path
        The PDF.

    Returns
    -------
    list of Panel
        In the order of drawing.

    Raises
    ------
    InputError
        If the file is no such PDF.
    """
    from pypdf import PdfReader

    try:
        contents = PdfReader(os.fspath(path)).pages[0].get_contents()
        operations = [] if contents is None else contents.operations
    except Exception as error:  # a file that is no PDF can break a reader anywhere
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{path} cannot be read as a PDF: {reason}") from None
    page = _Page()
    for operands, operator in operations:
        page.draw(operator.decode(), operands)
    if not page.panels or not all(panel["box"] and panel["dots"] for panel in page.panels):
        raise InputError(
            f"{path} does not hold three-dimensional panels with dots, as matplotlib draws them"
        )
    return [
        Panel(
            np.array(panel["box"]),
            np.array(panel["lines"]),
            tuple(panel["texts"]),
            np.array(panel["dots"]),
        )
        for panel in page.panels
    ]


class _Page:
    """The state of a page while its operators are followed."""

    def __init__(self) -> None:
        self.panels: list[dict[str, Any]] = []
        self._shape = ""  # operators of the path since its start
        self._points: list[list[float]] = []  # where each of them ends
        self._rectangle: list[float] | None = None
        self._is_clipped = False

    def draw(self, operator: str, operands: list) -> None:
        """Follow one operator of the page's content."""
        if operator in ("m", "l", "c", "h"):  # move, line, curve, close
            self._extend(operator, operands)
        elif operator == "re":
            self._rectangle = [float(x) for x in operands]
        elif operator in ("W", "Q"):  # clip, and the end of it
            self._is_clipped = operator == "W"
            if self._is_clipped and self.panels:
                self.panels[-1]["box"] = self._rectangle
        elif operator == "S":
            self._stroke()
        elif operator in ("f", "B"):
            self._fill()
        elif operator in ("Tj", "TJ") and self.panels:
            parts = operands[0] if operator == "TJ" else operands  # TJ: with kerning between
            text = "".join(part for part in parts if isinstance(part, str))
            self.panels[-1]["texts"].append(text)

    def _extend(self, operator: str, operands: list) -> None:
        if operator == "m":
            self._shape, self._points = "", []
        self._shape += operator
        if operands:
            self._points.append([float(x) for x in operands[-2:]])

    def _stroke(self) -> None:
        """Take a grid line; the first one after a panel's box begins a new panel."""
        if self._shape != GRID_LINE or self._is_clipped:
            return
        if not self.panels or self.panels[-1]["box"]:
            self.panels.append({"box": None, "lines": [], "texts": [], "dots": []})
        self.panels[-1]["lines"].append(self._points)

    def _fill(self) -> None:
        """Take a dot: its centre is the mean of the ends of its arcs."""
        if self._shape == DOT and self._is_clipped and self.panels:
            self.panels[-1]["dots"].append(np.mean(self._points[1:], axis=0))
