"""Figures of the comparison of data measures, and of its synthetic controls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from perflaw.plotting import BASELINE, BLUE, VERMILLION, legend_above, panel_grid, set_log_axis
from perflaw.study.figures.style import category_colours

SPLITS = {"intervention": "an intervention left out", "log": "a log left out"}
LEAST_EDGE = -60.0  # points of 100: below it a marker stands at the edge
CONTROLS = {"size": "users, at one entropy rate", "rate": "entropy rate (nats), at one size"}


def plot_data_measures(table: pd.DataFrame, narrow: bool = False) -> Figure:
    """Plot what each candidate for D′ explains, more or less than tokens alone.

    Parameters
    ----------
    table
        As `comparison_table` returns it. Blue: the interval is above zero; vermillion: below;
        grey: neither.
    narrow
        Whether the figure is for a phone.
    """
    splits = {split: label for split, label in SPLITS.items() if f"edge {split}" in table}
    last = list(splits)[-1]
    shown = table[table["candidate"] != "tokens"].sort_values(f"edge {last}")
    figure, axes = panel_grid(len(splits), narrow, 2, 1, 4.4, sharey=not narrow)
    place = np.arange(len(shown))
    for ax, (split, label) in zip(axes, splits.items()):
        edge, low, high = (
            100 * shown[f"{name} {split}"].to_numpy() for name in ("edge", "low", "high")
        )
        colours = np.where(low > 0, BLUE, np.where(high < 0, VERMILLION, BASELINE))
        for y, x, left, right, colour in zip(place, edge, low, high, colours):
            ends = [max(left, LEAST_EDGE), max(right, LEAST_EDGE)]
            ax.plot(ends, [y, y], color=colour, lw=1.4)
            ax.plot(max(x, LEAST_EDGE), y, "o" if x >= LEAST_EDGE else "<", ms=5, color=colour)
        ax.axvline(0, color="black", lw=0.8)
        ax.set_yticks(place, shown["candidate"], fontsize=7)
        ax.set_ylim(-0.7, len(shown) - 0.3)
        ax.set_xlim(LEAST_EDGE - 4, None)
        ax.set_title(label)
        ax.set_xlabel("more than tokens alone, points of 100", fontsize=7 if narrow else None)
    return figure


def plot_against_changes(
    conditions: pd.DataFrame, candidates: Mapping[str, np.ndarray], narrow: bool = False
) -> Figure:
    """Plot what the metric changed against what each chosen candidate for D′ changed.

    Parameters
    ----------
    conditions
        As `paired_conditions` returns them; a colour an intervention, a mark a log.
    candidates
        By name, changes of the logarithm, (conditions,).
    narrow
        Whether the figure is for a phone.
    """
    figure, axes = panel_grid(len(candidates), narrow, 2, 1, 2.7, sharey=True)
    colours = category_colours(conditions["intervention"])
    marks: dict[Any, str] = dict(zip(dict.fromkeys(conditions["log"]), "oD^sv*"))
    groups = list(conditions.groupby(["intervention", "log"], sort=False))
    for ax, (name, x) in zip(axes, candidates.items()):
        for (intervention, log), rows in groups:
            style: dict[str, Any] = {
                "ms": 4,
                "mew": 0,
                "alpha": 0.8,
                "color": colours[str(intervention)],
            }
            ax.plot(100 * x[rows.index], 100 * rows["change"], marks[log], **style)
        ax.axhline(0, color="black", lw=0.6)
        ax.axvline(0, color="black", lw=0.6)
        ax.set_title(name, fontsize=8)
    handles = {
        name.replace("_", " "): Line2D([], [], ls="", marker="o", color=colour)
        for name, colour in colours.items()
    }
    for log, mark in marks.items():
        handles[log] = Line2D([], [], ls="", marker=mark, color="black", mfc="none")
    legend_above(figure, 2 if narrow else 5, handles, fontsize=7)
    figure.supxlabel("change of the candidate, 100 × ln", fontsize=9)
    figure.supylabel("change of the metric, 100 × ln", fontsize=9)
    return figure


def plot_controls(rows: pd.DataFrame, metric: str, narrow: bool = False) -> Figure:
    """Plot the metric on synthetic logs: against users at one entropy rate, and against the rate.

    Parameters
    ----------
    rows
        Columns kind (size or rate), x, the metric, and best (the best possible, nan where it is
        not known).
    metric
        Name of the metric.
    narrow
        Whether the figure is for a phone.
    """
    figure, axes = panel_grid(2, narrow, 2, 1, 2.7)
    for ax, (kind, label) in zip(axes, CONTROLS.items()):
        points = rows[rows["kind"] == kind].sort_values("x")
        means = points.groupby("x")[[metric, "best"]].mean()
        ax.plot(points["x"], points[metric], "o", ms=4, color=BLUE, mfc="none")
        ax.plot(means.index, means[metric], "-", color=BLUE, label="trained")
        ax.plot(means.index, means["best"], ":", color="black", label="best possible")
        if kind == "size":
            set_log_axis(ax, list(means.index))
        ax.set_xlabel(label)
        ax.set_ylim(0, None)
    axes[0].set_ylabel(metric)
    legend_above(figure, 2, axes[:1])
    return figure
