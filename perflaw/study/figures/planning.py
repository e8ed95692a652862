"""Figures of the joint law and of planning with it."""

from __future__ import annotations

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
    name_rows,
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
    places = dict(zip(shapes, range(len(shapes))[::-1]))
    splits = errors.groupby("split", sort=False)
    height = 2.1 if narrow else 2.6
    figure, axes = panel_grid(len(splits), narrow, len(splits), 1, height, sharey=not narrow)
    for ax, (split, rows) in zip(axes, splits):
        for shape, of_shape in rows["mape"].groupby(rows["shape"]):
            y = places[str(shape)]
            ax.hlines(y, of_shape.min(), of_shape.max(), color="#bbbbbb", lw=1, zorder=1)
        for how, (marker, face, edge) in FIT_MARKS.items():
            dots = rows[rows["how"] == how]
            x, y = dots["mape"], dots["shape"].map(places)
            ax.plot(x, y, marker, mfc=face, mec=edge, ms=6, ls="", label=how, zorder=3)
        name_rows(ax, list(places.values()), [LABELS.get(shape, shape) for shape in shapes])
        ax.set(title=f"hidden: {LABELS.get(str(split), split)}", xlabel="mean absolute error, %")
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
    places = dict(zip(rules, range(len(rules))[::-1]))
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
            x, y = rows[column], rows["rule"].map(places) + shift
            ax.plot(x, y, marker, color=colour, ms=6, ls="", label=f"hidden: {split}")
        name_rows(ax, list(places.values()), rules)
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
        x, y, colour = rows["difference"], rows["seeds"], SEQUENCE(0.25 + 0.25 * i)
        ax.plot(x, y, "-o", ms=3.5, color=colour, label=f"{noise:g} %")
    ax.set(xscale="log", yscale="log")
    for side in (ax.xaxis, ax.yaxis):
        side.set_major_formatter(StrMethodFormatter("{x:g}"))
        side.set_minor_formatter(StrMethodFormatter(""))
    ax.xaxis.set_major_locator(FixedLocator([1, 2, 3, 5, 10]))
    ax.set(xlabel="difference to be seen, %", ylabel="seeds of each configuration")
    ax.legend(title="noise between seeds")
    return figure
