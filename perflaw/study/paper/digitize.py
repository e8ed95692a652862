"""The published points, read from the authors' four vector figures by geometry.

A vector figure keeps what it draws as coordinates. Each of the four PDFs holds ten
three-dimensional panels by matplotlib, in its default view, which fixes the picture of a
unit cube; only the panel's place on the page and its limits are unknown. The clip rectangle
is the place. Grid lines with their tick labels give the limits, and a dot, which is two
numbers on the page, gives a cell of the grid and a value: each cell is one line of the picture.

Lengths are in points (pt) on the page, the coordinates of the PDFs rounded to 1e-6.
"""

from __future__ import annotations

import functools
import hashlib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from perflaw.errors import InputError
from perflaw.logs import datasets
from perflaw.paths import HOME
from perflaw.study.paper.published import SURFACE

FOLDER = "PERFLAW_FIGURES"
DOWNLOAD = "download"  # in the place of a folder
REPOSITORY = "https://raw.githubusercontent.com/USTC-StarTeam/Performance-Law/HEAD/Performance_Law_Appendix_Result/"
SHA256 = {
    "PerformanceLaw_HR.pdf": "a06414f2050d78af1ccdd96ae8d551b798033bc60d613b5dd20a910707639cb2",
    "PerformanceLaw_NDCG.pdf": "d0372c9ab13cd99883c435ee918e482dedd610b321a23cf76ff7bd25f6b1f022",
    "ScalingLaw_HR.pdf": "35b0a03885e011c7f1c8c660519a3287f22182b58871bf1abfa463d6b9313206",
    "ScalingLaw_NDCG.pdf": "ae74cb363558c21510edddaef3321ab99b8b5e17cb5e1cfc880b458b9b623ce1",
}
# The panels of a figure in order. Names of logs are inferred; a panel's title has its length alone.
LOGS = ("MovieLens-1M",) * 3 + ("KuaiRand-Pure",) * 2 + ("Amazon-Books",) * 3 + ("Industrial",) * 2
GRID = (4, 8, 12, 16, 24, 32), (25, 50, 75, 100)  # layers and dimensions, as the paper has them
GRIDS = {"Industrial": ((8, 16, 32, 64), (128, 256, 512, 1024))}  # others than GRID
# The places of a grid line in the unit cube by axis: three points on its walls, 0 where the line's own coordinate goes.
WALLS = np.array(
    [
        [[0, 0, 0], [0, 1, 0], [0, 1, 1]],
        [[0, 0, 1], [0, 0, 0], [1, 0, 0]],
        [[1, 1, 0], [0, 1, 0], [0, 0, 0]],
    ],
    float,
)
BOX = np.array(
    [0, 0, 327.72, 327.72]
)  # pt: the axes of a published panel, put at the page's corner
TOLERANCE = 1e-3  # pt: a picture that is this far from its model is of something else


class Panel(NamedTuple):
    """What is drawn in one pair of axes."""

    box: np.ndarray  # (4,): left, bottom, width, height of the axes, pt
    lines: np.ndarray  # (n, 3, 2): the grid lines, three points each, pt
    texts: tuple[
        str, ...
    ]  # in the order of drawing: ticks and name of x, of y, of z, title, legend
    dots: np.ndarray  # (n, 2): centres of the dots, pt


class View(NamedTuple):
    """How a panel maps (N, d, value) onto the page."""

    box: np.ndarray  # (4,): as in Panel
    limits: np.ndarray  # (3, 2): of N, d and the value, at the walls
    lines: np.ndarray  # (n, 3, 2): where it has the grid lines, pt
    residuals: np.ndarray  # (3,): how far from there the drawn ones of each axis are at most, pt

    def project(self, place) -> np.ndarray:
        """Points (..., 2) on the page, pt, of places (..., 3): N, d, value."""
        return self.box[:2] + self.box[2:] * _picture(self.unit(place))

    def unit(self, place) -> np.ndarray:
        """Places (..., 3) in the unit cube between the walls."""
        low, high = self.limits.T
        return (np.asarray(place, float) - low) / (high - low)


# ---------------------------------------------------------------- files


def find_figures(folder: str | os.PathLike = "") -> dict[str, Path]:
    """The authors' four PDFs by name, each one's sha256 verified; {} if no folder is named.

    folder: absolute or from the project's root; "download" fetches them from the authors'
    public repository into the cache; empty: what the environment variable PERFLAW_FIGURES
    says. Raises InputError for a file that is missing or is not the published one.
    """
    folder = os.fspath(folder) or os.environ.get(FOLDER, "")
    if not folder:
        return {}
    files = {
        name: datasets.fetch("the authors' figure", REPOSITORY + name, f"sha256:{SHA256[name]}")
        if folder == DOWNLOAD
        else HOME / folder / name
        for name in SHA256
    }
    for name, path in files.items():
        if not path.is_file():
            raise InputError(
                f"{path} is not there: name a folder with {', '.join(SHA256)} (from {REPOSITORY}), or '{DOWNLOAD}'"
            )
        if hashlib.sha256(path.read_bytes()).hexdigest() != SHA256[name]:
            raise InputError(
                f"{path} is not the published figure: its sha256 is not {SHA256[name]}"
            )
    return files


def read_pdf(path: str | os.PathLike) -> list[Panel]:
    """The three-dimensional panels on the first page of a PDF by matplotlib, in the order of drawing.

    Of all that is drawn three shapes matter, told by their operators: an open line of three
    points is a grid line, a rectangle that clips is the axes' box, a filled circle (eight
    arcs) within it is a dot. Raises InputError for what is no such PDF.
    """
    from pypdf import PdfReader

    try:
        contents = PdfReader(path).pages[0].get_contents()
        operations = [] if contents is None else contents.operations
    except Exception as error:  # a file that is no PDF can break a reader anywhere
        raise InputError(
            f"{path} cannot be read as a PDF: {' '.join(str(error).split()) or type(error).__name__}"
        ) from None
    found, shape, points, clip, clipped = [], "", [], None, False
    for operands, operator in operations:
        name = operator.decode()
        if name in ("m", "l", "c", "h"):  # move, line, curve, close
            shape, points = (name, []) if name == "m" else (shape + name, points)
            points += [[float(x) for x in operands[-2:]]] if operands else []
        elif name == "re":
            clip = [float(x) for x in operands]
        elif name in ("W", "Q"):  # clip, and the end of it
            clipped = name == "W"
            if clipped and found:
                found[-1]["box"] = clip
        elif name == "S" and shape == "mll" and not clipped:
            if not found or found[-1]["box"]:
                found.append({"box": None, "lines": [], "texts": [], "dots": []})
            found[-1]["lines"].append(points)
        elif name in ("f", "B") and shape == "m" + 8 * "c" + "h" and clipped and found:
            found[-1]["dots"].append(np.mean(points[1:], axis=0))
        elif name in ("Tj", "TJ") and found:
            parts = operands[0] if name == "TJ" else operands  # TJ: with kerning between
            found[-1]["texts"].append("".join(part for part in parts if isinstance(part, str)))
    if not found or not all(panel["box"] and panel["dots"] for panel in found):
        raise InputError(
            f"{path} does not hold three-dimensional panels with dots, as matplotlib draws them"
        )
    return [
        Panel(np.array(p["box"]), np.array(p["lines"]), tuple(p["texts"]), np.array(p["dots"]))
        for p in found
    ]


# ---------------------------------------------------------------- geometry


@functools.cache
def _view() -> np.ndarray:
    """(3, 4): matplotlib's own projection of the unit cube between the walls, homogeneous, onto the unit square of the axes."""
    from matplotlib.figure import Figure

    axes = Figure(figsize=(1, 1)).add_axes((0, 0, 1, 1), projection="3d", elev=30, azim=-60)
    axes.set_box_aspect((4, 4, 3))
    for limit in (axes.set_xlim, axes.set_ylim, axes.set_zlim):
        limit(0, 1, view_margin=0)
    return (axes.transData - axes.transAxes).get_matrix() @ axes.get_proj()[[0, 1, 3]]


def _picture(unit):
    """Fractions (..., 2) of the axes' box for places (..., 3) in the unit cube."""
    view = _view()
    seen = unit @ view[:, :3].T + view[:, 3]
    return seen[..., :2] / seen[..., 2:]


def _along(axis, start, fraction):
    """How far (...) along an axis from `start` (..., 3), on a wall, the picture is nearest to `fraction` (..., 2).

    A coordinate t of the line gives (h + t g) / (h3 + t g3): two linear equations for one unknown.
    """
    view = _view()
    seen = start @ view[:, :3].T + view[:, 3]
    left, right = (
        view[:2, axis] - fraction * view[2, axis],
        fraction * seen[..., 2:] - seen[..., :2],
    )
    return (left * right).sum(-1) / (left**2).sum(-1)


def calibrate(panel: Panel) -> View:
    """The view of a panel, from its grid lines and tick labels.

    A grid line of an axis is at one t of the unit cube; its label is low + t (high - low), so
    the limits are a straight line through (t, label). Raises InputError if lines and labels
    do not match, or the view is not matplotlib's default one.
    """
    labels = [[]]
    for text in panel.texts:  # numbers, up to the name of the axis
        if re.fullmatch(r"-?\d+(\.\d+)?", text):
            labels[-1].append(float(text))
        elif labels[-1]:
            labels.append([])
    labels = [np.array(ticks) for ticks in labels if ticks]
    if len(labels) != 3 or sum(map(len, labels)) != len(panel.lines) or min(map(len, labels)) < 2:
        raise InputError(
            "the tick labels of a panel do not match its grid lines: they must be plain numbers, two an axis at least"
        )
    drawn = (panel.lines - panel.box[:2]) / panel.box[2:]
    which = np.repeat(range(3), [len(ticks) for ticks in labels])
    limits, fitted = np.empty((3, 2)), np.empty((len(drawn), 3, 3))
    for axis, ticks in enumerate(labels):
        slope, low = np.polyfit(_along(axis, WALLS[axis], drawn[which == axis]).mean(1), ticks, 1)
        limits[axis] = low, low + slope
        fitted[which == axis] = (
            WALLS[axis] + np.eye(3)[axis] * ((ticks - low) / slope)[:, None, None]
        )
    lines = panel.box[:2] + panel.box[2:] * _picture(fitted)
    apart = np.linalg.norm(lines - panel.lines, axis=-1).max(1)
    if not apart.max() < TOLERANCE:
        raise InputError(
            f"a panel is not in matplotlib's default view: its grid lines are off by {apart.max():.2g} pt"
        )
    return View(
        panel.box, limits, lines, np.array([apart[which == axis].max() for axis in range(3)])
    )


def default_view(surface: pd.DataFrame) -> View:
    """The view that matplotlib gives by itself to a surface (columns n_layers, d_emb, value) drawn to 2 beyond its d.

    Each axis has 5 % of the range of what is drawn and then 1/48 of its length at both ends. In the published
    figures so are the limits of N and d; those of the value take in the drawn surface too. It has no grid lines.
    """
    ends = [
        *surface[["n_layers", "d_emb", "value"]].agg(["min", "max"]).to_numpy().T,
        [0, 0],
        [-2, 2],
        [0, 0],
    ]
    beyond = np.ptp(ends, axis=1) * (0.05 + 1.1 / 48)
    return View(BOX, ends + beyond[:, None] * [-1, 1], np.empty((0, 3, 2)), np.full(3, np.nan))


def locate_dots(panel: Panel, view: View, layers, dimensions) -> pd.DataFrame:
    """The cell and the value of each dot: the cell is the one whose line the dot lies on, within the limits.

    Columns n_layers, d_emb, read (the value), pixel_residual_pt (distance from the line) and
    next_pt (that of the next-best cell, infinite if there is none within the limits), sorted
    by cell. Raises InputError unless there is one dot on each cell.
    """
    cells = np.array([(n, d) for n in layers for d in dimensions])
    floor = view.unit(np.column_stack([cells, np.full(len(cells), view.limits[2, 0])]))
    fraction = ((panel.dots - panel.box[:2]) / panel.box[2:])[:, None]
    height = _along(2, floor, fraction)  # (dots, cells)
    on_line = floor + np.array([0, 0, 1]) * height[..., None]
    apart = np.linalg.norm((_picture(on_line) - fraction) * panel.box[2:], axis=-1)
    apart[(height < 0) | (height > 1)] = np.inf
    best, order = apart.argmin(1), np.sort(apart, axis=1)
    if sorted(best) != list(range(len(cells))) or not order[:, 0].max() < TOLERANCE:
        raise InputError(
            f"the {len(best)} dots of a panel are not one on each of the {len(cells)} cells"
        )
    low, high = view.limits[2]
    found = pd.DataFrame(cells[best], columns=["n_layers", "d_emb"])
    found["read"] = low + (high - low) * height[np.arange(len(best)), best]
    return found.assign(pixel_residual_pt=order[:, 0], next_pt=order[:, 1]).sort_values(
        ["n_layers", "d_emb"], ignore_index=True
    )


# ---------------------------------------------------------------- the published figures


def recover_points(files: Mapping[str, Path]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """All dots of the published figures, and how well each panel is calibrated; files: those of `find_figures`.

    The first table has one row a dot and figure: the columns of data/published/surfaces.csv,
    the value rounded to four decimals, then read (unrounded) and next_pt of `locate_dots`. The
    second has one row a panel: source_pdf, dataset, max_seq_len, metric, grid_lines, their
    largest residual by axis (n_pt, d_pt, value_pt), the largest dot_pt and the least next_pt.
    """
    points, panels = [], []
    for source, path in files.items():
        for panel, dataset in zip(read_pdf(path), LOGS, strict=True):
            length = int(re.search(r"Max Sequence Length = (\d+)", " ".join(panel.texts))[1])
            name = {
                "dataset": dataset,
                "max_seq_len": length,
                "metric": f"{Path(source).stem.partition('_')[2]}@10",
            }
            view = calibrate(panel)
            found = locate_dots(panel, view, *GRIDS.get(dataset, GRID))
            points.append(found.assign(**name, value=found["read"].round(4), source_pdf=source))
            residuals = dict(zip(("n_pt", "d_pt", "value_pt"), view.residuals))
            ends = {"dot_pt": found["pixel_residual_pt"].max(), "next_pt": found["next_pt"].min()}
            panels.append(
                {"source_pdf": source, **name, "grid_lines": len(panel.lines), **residuals, **ends}
            )
    columns = [
        *SURFACE,
        "n_layers",
        "d_emb",
        "value",
        "pixel_residual_pt",
        "source_pdf",
        "read",
        "next_pt",
    ]
    return pd.concat(points, ignore_index=True)[columns], pd.DataFrame(panels)


def compare_points(found: pd.DataFrame, recorded: pd.DataFrame) -> dict[str, float]:
    """What `recover_points` found against the recorded table: counts, and largest differences.

    rows; rows_apart (in one table only, by surface, cell and source_pdf); values_apart (not
    the same four decimals); read (unrounded against recorded); residual_pt; and figures, the
    unrounded value against that of the other figure of the same metric.
    """
    cell = [*SURFACE, "n_layers", "d_emb"]
    mine = found["source_pdf"].isin(recorded["source_pdf"])
    both = recorded.merge(
        found[mine],
        on=[*cell, "source_pdf"],
        how="outer",
        suffixes=("", "_read"),
        indicator="where",
    )
    twice = found[mine].merge(found[~mine], on=cell, suffixes=("", "_other"))
    return {
        "rows": int(mine.sum()),
        "rows_apart": int((both["where"] != "both").sum()),
        "values_apart": int((both["value"] != both["value_read"]).sum()),
        "read": (both["read"] - both["value"]).abs().max(),
        "residual_pt": (both["pixel_residual_pt"] - both["pixel_residual_pt_read"]).abs().max(),
        "figures": (twice["read"] - twice["read_other"]).abs().max(),
    }
