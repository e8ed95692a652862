"""How a three-dimensional panel by matplotlib maps cells and values onto the page.

All published panels are in matplotlib's default view, which fixes the picture of a unit cube;
only the panel's place on the page and its limits are unknown. The clip rectangle is the place.
Grid lines with their tick labels give the limits, and a dot, which is two numbers on the page,
gives a cell of the grid and a value: each cell is one line of the picture.

Lengths are in points (pt) on the page.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from perflaw.errors import InputError
from perflaw.study.paper.pdf_panels import Panel

# The places of a grid line in the unit cube by axis: three points on its walls, 0 where the
# line's own coordinate goes.
WALLS = np.array(
    [
        [[0, 0, 0], [0, 1, 0], [0, 1, 1]],
        [[0, 0, 1], [0, 0, 0], [1, 0, 0]],
        [[1, 1, 0], [0, 1, 0], [0, 0, 0]],
    ],
    float,
)
BOX = np.array([0, 0, 327.72, 327.72])
"""The axes of a published panel, put at the page's corner, pt."""
TOLERANCE = 1e-3  # pt: a picture that is this far from its model is of something else
VALUE_AXIS = 2
DRAWN_BEYOND = [[0, 0], [-2, 2], [0, 0]]  # how far a surface is drawn beyond its points, by axis


class View(NamedTuple):
    """How a panel maps (N, d, value) onto the page.

    Attributes
    ----------
    box
        (4,): as in Panel.
    limits
        (3, 2): of N, d and the value, at the walls.
    lines
        (n, 3, 2): where it has the grid lines, pt.
    residuals
        (3,): how far from there the drawn ones of each axis are at most, pt.
    """

    box: np.ndarray
    limits: np.ndarray
    lines: np.ndarray
    residuals: np.ndarray

    def project(self, place: np.ndarray | Sequence) -> np.ndarray:
        """Map places (..., 3), N, d and value, to points (..., 2) on the page, pt."""
        return self.box[:2] + self.box[2:] * _picture(self.unit(place))

    def unit(self, place: np.ndarray | Sequence) -> np.ndarray:
        """Map places (..., 3) to the unit cube between the walls."""
        low, high = self.limits.T
        return (np.asarray(place, float) - low) / (high - low)


@functools.cache
def _projection() -> np.ndarray:
    """Take matplotlib's own projection: (3, 4), homogeneous.

    It maps the unit cube between the walls onto the unit square of the axes.
    """
    from matplotlib.figure import Figure

    # An Axes3D; the annotations of matplotlib know Axes only.
    ax: Any = Figure(figsize=(1, 1)).add_axes((0, 0, 1, 1), projection="3d", elev=30, azim=-60)
    ax.set_box_aspect((4, 4, 3))
    for set_limits in (ax.set_xlim, ax.set_ylim, ax.set_zlim):
        set_limits(0, 1, view_margin=0)
    return (ax.transData - ax.transAxes).get_matrix() @ ax.get_proj()[[0, 1, 3]]


def _homogeneous(unit: np.ndarray) -> np.ndarray:
    matrix = _projection()
    return unit @ matrix[:, :3].T + matrix[:, 3]


def _picture(unit: np.ndarray) -> np.ndarray:
    """Map places (..., 3) in the unit cube to fractions (..., 2) of the axes' box."""
    seen = _homogeneous(unit)
    return seen[..., :2] / seen[..., 2:]


def _along(axis: int, start: np.ndarray, fraction: np.ndarray) -> np.ndarray:
    """Find how far (...) along an axis from a wall the picture is nearest to a fraction.

    `start` is (..., 3), `fraction` (..., 2). A coordinate t of the line gives
    (h + t g) / (h3 + t g3): two linear equations for one unknown.
    """
    matrix = _projection()
    seen = _homogeneous(start)
    left = matrix[:2, axis] - fraction * matrix[2, axis]
    right = fraction * seen[..., 2:] - seen[..., :2]
    return (left * right).sum(-1) / (left**2).sum(-1)


def calibrate(panel: Panel) -> View:
    """Find the view of a panel from its grid lines and tick labels.

    A grid line of an axis is at one t of the unit cube; its label is low + t (high - low), so
    the limits are a straight line through (t, label).

    Parameters
    ----------
    panel
        The panel.

    Raises
    ------
    InputError
        If lines and labels do not match, or the view is not matplotlib's default one.
    """
    labels = _tick_labels(panel)
    drawn = (panel.lines - panel.box[:2]) / panel.box[2:]
    axis_of_line = np.repeat(range(3), [len(ticks) for ticks in labels])
    limits = np.empty((3, 2))
    fitted = np.empty((len(drawn), 3, 3))
    for axis, ticks in enumerate(labels):
        of_axis = axis_of_line == axis
        places = _along(axis, WALLS[axis], drawn[of_axis]).mean(1)
        slope, low = np.polyfit(places, ticks, 1)
        limits[axis] = low, low + slope
        shift = np.eye(3)[axis] * ((ticks - low) / slope)[:, None, None]
        fitted[of_axis] = WALLS[axis] + shift
    lines = panel.box[:2] + panel.box[2:] * _picture(fitted)
    distance = np.linalg.norm(lines - panel.lines, axis=-1).max(1)
    if not distance.max() < TOLERANCE:
        raise InputError(
            "a panel is not in matplotlib's default view: "
            f"its grid lines are off by {distance.max():.2g} pt"
        )
    residuals = np.array([distance[axis_of_line == axis].max() for axis in range(3)])
    return View(panel.box, limits, lines, residuals)


def _tick_labels(panel: Panel) -> list[np.ndarray]:
    """Read the tick labels by axis: numbers, up to the name of the axis."""
    groups: list[list[float]] = [[]]
    for text in panel.texts:
        if re.fullmatch(r"-?\d+(\.\d+)?", text):
            groups[-1].append(float(text))
        elif groups[-1]:
            groups.append([])
    labels = [np.array(ticks) for ticks in groups if ticks]
    counts = [len(ticks) for ticks in labels]
    if len(labels) != 3 or sum(counts) != len(panel.lines) or min(counts) < 2:
        raise InputError(
            "the tick labels of a panel do not match its grid lines: "
            "they must be plain numbers, two an axis at least"
        )
    return labels


def default_view(surface: pd.DataFrame) -> View:
    """Give the view that matplotlib chooses by itself for a surface drawn to 2 beyond its d.

    Each axis has 5 % of the range of what is drawn and then 1/48 of its length at both ends. In
    the published figures so are the limits of N and d; those of the value take in the drawn
    surface too. The view has no grid lines.

    Parameters
    ----------
    surface
        Columns n_layers, d_emb and value.
    """
    points = surface[["n_layers", "d_emb", "value"]]
    ends = points.agg(["min", "max"]).to_numpy().T + np.array(DRAWN_BEYOND)
    beyond = np.ptp(ends, axis=1) * (0.05 + 1.1 / 48)
    limits = ends + beyond[:, None] * [-1, 1]
    return View(BOX, limits, np.empty((0, 3, 2)), np.full(3, np.nan))


def locate_dots(
    panel: Panel, view: View, layers: Sequence[int], dimensions: Sequence[int]
) -> pd.DataFrame:
    """Find the cell and the value of each dot.

    The cell is the one whose line the dot lies on, within the limits.

    Parameters
    ----------
    panel, view
        The panel and its view.
    layers, dimensions
        The grid.

    Returns
    -------
    DataFrame
        Columns n_layers, d_emb, read (the value), pixel_residual_pt (distance from the line) and
        next_pt (that of the next-best cell, infinite if there is none within the limits), sorted
        by cell.

    Raises
    ------
    InputError
        Unless there is one dot on each cell.
    """
    cells = np.array([(n, d) for n in layers for d in dimensions])
    floor = view.unit(np.column_stack([cells, np.full(len(cells), view.limits[VALUE_AXIS, 0])]))
    fraction = ((panel.dots - panel.box[:2]) / panel.box[2:])[:, None]
    height = _along(VALUE_AXIS, floor, fraction)  # (dots, cells)
    on_line = floor + np.array([0, 0, 1]) * height[..., None]
    distance = np.linalg.norm((_picture(on_line) - fraction) * panel.box[2:], axis=-1)
    distance[(height < 0) | (height > 1)] = np.inf
    best = distance.argmin(1)
    ordered = np.sort(distance, axis=1)
    if sorted(best) != list(range(len(cells))) or not ordered[:, 0].max() < TOLERANCE:
        raise InputError(
            f"the {len(best)} dots of a panel are not one on each of the {len(cells)} cells"
        )
    low, high = view.limits[VALUE_AXIS]
    table = pd.DataFrame(cells[best], columns=["n_layers", "d_emb"])
    table["read"] = low + (high - low) * height[np.arange(len(best)), best]
    table["pixel_residual_pt"] = ordered[:, 0]
    table["next_pt"] = ordered[:, 1]
    return table.sort_values(["n_layers", "d_emb"], ignore_index=True)
