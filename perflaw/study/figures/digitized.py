"""Figure of a published panel as it was read from the authors' drawing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from perflaw.plotting import BLUE, SKY, VERMILLION, panel_grid

if TYPE_CHECKING:
    from perflaw.study.paper.panel_view import View
    from perflaw.study.paper.pdf_panels import Panel

DRAWN = "#bbbbbb"
DISTANCES = {
    "pixel_residual_pt": (BLUE, "from the line of its cell"),
    "next_pt": (VERMILLION, "from the next-best line"),
}
LAST_DIGIT = 1e-6  # pt: coordinates of the PDFs are rounded to this


def plot_read_panel(
    view: View,
    surface: pd.DataFrame,
    panel: Panel | None,
    dots: pd.DataFrame,
    narrow: bool = False,
) -> Figure:
    """Plot one published panel and how its view explains it, and how far dots are off.

    Parameters
    ----------
    view
        How the panel maps cells and values onto the page.
    surface
        Columns n_layers, d_emb and value of the panel's dots.
    panel
        The panel of the PDF, or None where the PDF was not read.
    dots
        One row a dot of all panels: pixel_residual_pt and, if known, next_pt.
    narrow
        Whether the figure is for a phone.
    """
    figure, (left, right) = panel_grid(2, narrow, 2, 1, 3.6)
    left.set_aspect("equal")
    left.set_axis_off()
    if panel:
        for line in panel.lines:
            left.plot(*line.T, color="#cccccc", lw=3)
    _draw_walls(left, view)
    if panel:
        left.plot(*panel.dots.T, "o", ms=7, color=DRAWN)
    _draw_cells(left, view, surface)
    _draw_key(left, panel is not None)
    for name, (colour, label) in DISTANCES.items():
        if name in dots:
            distance = np.sort(dots[name])
            share = np.arange(1, len(distance) + 1) / len(distance)
            right.plot(distance, share, color=colour, label=label, drawstyle="steps-post")
    right.axvline(LAST_DIGIT, color="black", lw=0.8, ls="--", label="last digit in the PDF")
    right.set(xscale="log", xlabel="distance of a dot, pt", ylabel="share of the dots")
    right.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=1 if narrow else 2)
    return figure


def _draw_walls(ax: Axes, view: View) -> None:
    """Draw the grid lines and the edges of the walls, as the view has them."""
    for line in view.lines:
        ax.plot(*line.T, color=BLUE, lw=0.7)
    (n0, n1), (d0, d1), (v0, v1) = view.limits
    near, far, side = (n0, d0, v0), (n1, d1, v0), (n0, d1, v0)
    above_near, above_far, above_side = (n0, d0, v1), (n1, d1, v1), (n0, d1, v1)
    walls = [
        [near, (n1, d0, v0), far, above_far, above_side, above_near, near],
        [near, side, far],
        [side, above_side],
    ]
    for wall in walls:
        ax.plot(*view.project(wall).T, color=BLUE, lw=1)


def _draw_cells(ax: Axes, view: View, surface: pd.DataFrame) -> None:
    """Draw each cell's line and its value, and name the ends of both axes."""
    (_, n1), (d0, _), (v0, v1) = view.limits
    for n, d, value in surface[["n_layers", "d_emb", "value"]].to_numpy():
        ax.plot(*view.project([(n, d, v0), (n, d, v1)]).T, color=SKY, lw=0.7)
        ax.plot(*view.project((n, d, value)), "o", ms=3.5, color=VERMILLION)
    label: dict[str, Any] = {"textcoords": "offset points", "va": "top", "fontsize": 8}
    for n in (surface["n_layers"].min(), surface["n_layers"].max()):
        ax.annotate(f"N {n:g}", tuple(view.project((n, d0, v0))), (-2, -3), ha="right", **label)
    for d in (surface["d_emb"].min(), surface["d_emb"].max()):
        ax.annotate(f"d {d:g}", tuple(view.project((n1, d, v0))), (4, -3), **label)


def _draw_key(ax: Axes, with_pdf: bool) -> None:
    entries = {
        "our view": Line2D([], [], color=BLUE, lw=1),
        "a cell (N, d)": Line2D([], [], color=SKY, lw=1),
        "cell and value": Line2D([], [], color=VERMILLION, lw=0, marker="o", ms=3.5),
    }
    if with_pdf:
        drawn = Line2D([], [], color=DRAWN, lw=3, marker="o", ms=7)
        entries = {"as in the PDF": drawn} | entries
    ax.legend(
        list(entries.values()), list(entries), loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2
    )
