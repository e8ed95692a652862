"""Figures of the joint law and of planning with it."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, StrMethodFormatter

from perflaw.plotting import (
    BASELINE,
    BLUE,
    JOINT_LAW,
    SEQUENCE,
    VERMILLION,
    legend_above,
    panel_grid,
)
from perflaw.study.figures.style import LABELS

# By how a law is fitted: marker, face and edge.
FIT_MARKS = {
    "alone": ("o", "white", BASELINE),
    "joint": ("o", JOINT_LAW, JOINT_LAW),
    "joint with a walk": ("D", "white", JOINT_LAW),
}


def plot_alone_or_joint(errors: pd.DataFrame, narrow: bool = False) -> Figure:
    """Plot held-out errors of each shape of law: each surface alone, jointly, with a walk.

    Parameters
    ----------
    errors
        Columns shape, how (alone, joint, joint with a walk), split and mape (per cent).
    narrow
        Whether the figure is for a phone.
    """
    shapes = list(dict.fromkeys(errors["shape"]))
    place = dict(zip(shapes, range(len(shapes) - 1, -1, -1)))
    splits = list(dict.fromkeys(errors["split"]))
    figure, axes = panel_grid(len(splits), narrow, len(splits), 1, 2.1 if narrow else 2.6)
    for number, (ax, split) in enumerate(zip(axes, splits)):
        rows = errors[errors["split"] == split]
        for shape, line in rows.groupby("shape"):
            ends = line["mape"].min(), line["mape"].max()
            ax.hlines(place[shape], *ends, color="#bbbbbb", lw=1, zorder=1)
        for how, (marker, face, edge) in FIT_MARKS.items():
            dots = rows[rows["how"] == how]
            style: dict[str, Any] = {
                "mfc": face,
                "mec": edge,
                "ms": 6,
                "ls": "",
                "label": how,
                "zorder": 3,
            }
            ax.plot(dots["mape"], dots["shape"].map(place), marker, **style)
        names = [LABELS.get(shape, shape) for shape in shapes]
        labels = names if number == 0 or narrow else [""] * len(shapes)
        ax.set_yticks(list(place.values()), labels)
        ax.set_ylim(-0.6, len(shapes) - 0.4)
        ax.set_title(f"hidden: {split}")
        ax.set_xlabel("mean absolute error, %")
    legend_above(figure, 1 if narrow else 3, axes[:1])
    return figure


def plot_replayed_plan(
    counts: pd.DataFrame, surfaces: int, target: int, narrow: bool = False
) -> Figure:
    """Plot how often each rule's choice is as good as the best, and its mean regret.

    Parameters
    ----------
    counts
        Columns split, rule, within (surfaces on which the choice is within one standard
        deviation of noise of the best) and 100 ln regret.
    surfaces
        Number of surfaces.
    target
        Where the dashed line stands.
    narrow
        Whether the figure is for a phone.
    """
    splits = list(dict.fromkeys(counts["split"]))
    rules = list(dict.fromkeys(counts["rule"]))
    figure, axes = panel_grid(2, narrow, 2, 1, 2.4, sharey=not narrow)
    place = dict(zip(rules, range(len(rules) - 1, -1, -1)))
    labels = {
        "within": f"surfaces within one s.d., of {surfaces}",
        "100 ln regret": "mean regret, 100 × ln",
    }
    for ax, (column, label) in zip(axes, labels.items()):
        # A little apart, so that one split does not hide the other.
        for split, marker, colour, shift in zip(
            splits, "oD", (BLUE, VERMILLION), (0.14, -0.14), strict=True
        ):
            rows = counts[counts["split"] == split]
            style: dict[str, Any] = {
                "color": colour,
                "ms": 6,
                "ls": "",
                "label": f"hidden: {split}",
            }
            ax.plot(rows[column], rows["rule"].map(place) + shift, marker, **style)
        ax.set_yticks(list(place.values()), rules)
        ax.set_ylim(-0.6, len(rules) - 0.4)
        ax.set_xlabel(label)
    axes[0].axvline(target, color=BASELINE, lw=1, ls="--")
    axes[0].set_xlim(0, surfaces + 0.6)
    axes[1].set_xlim(0, None)
    legend_above(figure, 2, axes[:1])
    return figure


def plot_seeds(curves: pd.DataFrame, narrow: bool = False) -> Figure:
    """Plot the seeds that it takes to see a difference, one line for each noise between seeds.

    Parameters
    ----------
    curves
        Columns noise, difference (both in per cent) and seeds.
    narrow
        Whether the figure is for a phone.
    """
    figure, (ax,) = panel_grid(1, narrow, 1, 1, 2.8)
    for i, (noise, rows) in enumerate(curves.groupby("noise")):
        style: dict[str, Any] = {
            "ms": 3.5,
            "color": SEQUENCE(0.25 + 0.25 * i),
            "label": f"{noise:g} %",
        }
        ax.plot(rows["difference"], rows["seeds"], "-o", **style)
    ax.set_xscale("log")
    ax.set_yscale("log")
    for side in (ax.xaxis, ax.yaxis):
        side.set_major_formatter(StrMethodFormatter("{x:g}"))
        side.set_minor_formatter(StrMethodFormatter(""))
    ax.xaxis.set_major_locator(FixedLocator([1, 2, 3, 5, 10]))
    ax.set_xlabel("difference to be seen, %")
    ax.set_ylabel("seeds of each configuration")
    ax.legend(title="noise between seeds")
    return figure
