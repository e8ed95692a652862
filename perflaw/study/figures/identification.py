"""Figures of what the published points determine: profiles, turning points, coverage."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator, StrMethodFormatter

from perflaw.plotting import (
    BASELINE,
    BLUE,
    PERFORMANCE_LAW,
    VERMILLION,
    legend_above,
    panel_grid,
)

TURNING_AXES = {"n_layers": "layers N", "d_emb": "dimension d"}


def set_ratio_axis(ax: Axes, ticks: list[float]) -> None:
    """Make the vertical axis logarithmic, with these ticks alone."""
    ax.set_yscale("log")
    ax.yaxis.set_major_locator(FixedLocator(ticks))
    ax.yaxis.set_minor_locator(NullLocator())
    ax.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))


def plot_profiles(curves: Mapping[str, pd.DataFrame], limit: float, narrow: bool = False) -> Figure:
    """Plot the sum of squares as one exponent is held at each value, over its minimum.

    Parameters
    ----------
    curves
        By title, columns exponent, value and ratio.
    limit
        The ratio up to which a value is in the interval.
    narrow
        Whether the figure is for a phone.
    """
    figure, axes = panel_grid(len(curves), narrow, len(curves), 1, 2.6, sharey=True)
    for ax, (title, curve) in zip(axes, curves.items()):
        groups = curve.groupby("exponent", sort=False)
        for (exponent, rows), colour in zip(groups, (BLUE, VERMILLION)):
            label = str(exponent).replace("_", " of ")
            ax.plot(rows["value"], rows["ratio"], "-", lw=1.4, color=colour, label=label)
        ax.axhline(limit, color=BASELINE, lw=1, ls="--")
        ax.set_title(title)
        ax.set_xlabel("exponent held at")
        set_ratio_axis(ax, [1, 2, 5, 10])
        ax.set_ylim(0.93, 12)
    axes[0].set_ylabel("sum of squares over its minimum")
    axes[0].legend()
    return figure


def plot_turning_points(turns: pd.DataFrame, narrow: bool = False) -> Figure:
    """Plot where each surface's law stops rising, with its interval, over the measured range.

    Parameters
    ----------
    turns
        Columns axis, surface, smallest, largest (of what was measured), kind (maximum or
        minimum), estimate, low and high.
    narrow
        Whether the figure is for a phone.
    """
    figure, axes = panel_grid(2, narrow, 2, 1, 4.0)
    for number, (ax, (name, rows)) in enumerate(zip(axes, turns.groupby("axis", sort=False))):
        place = np.arange(len(rows))[::-1]
        right = 4 * rows["largest"].max()
        width = rows["largest"] - rows["smallest"]
        bar: dict[str, Any] = {
            "left": rows["smallest"],
            "height": 0.8,
            "color": "#eeeeee",
            "zorder": 0,
        }
        ax.barh(place, width, **bar)
        low, high = rows["low"].clip(1, right), rows["high"].clip(1, right)
        ax.hlines(place, low, high, color=PERFORMANCE_LAW, lw=1.5)
        estimate = rows["estimate"].to_numpy()
        for kind, marker, fill in (("maximum", "o", PERFORMANCE_LAW), ("minimum", "v", "white")):
            shown = (rows["kind"] == kind).to_numpy() & (estimate < right)
            style: dict[str, Any] = {"color": PERFORMANCE_LAW, "mfc": fill, "ms": 5, "label": kind}
            ax.plot(estimate[shown], place[shown], marker, **style)
        ax.set_xscale("log")
        ax.set_xlim(1, right)
        ax.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        labels = rows["surface"] if number == 0 or narrow else [""] * len(rows)
        ax.set_yticks(place, labels, fontsize=7)
        ax.set_xlabel(f"turning point in {TURNING_AXES[str(name)]}")
    legend_above(figure, 2, axes[:1])
    return figure


def plot_coverage(
    coverage: pd.DataFrame, level: float, target: tuple[float, float], narrow: bool = False
) -> Figure:
    """Plot the share of simulated surfaces whose interval holds the true value.

    Parameters
    ----------
    coverage
        Columns scenario, quantity, covered (a share) and draws; bars are ± 2 standard errors.
    level
        Level of the intervals.
    target
        Between which shares coverage is right.
    narrow
        Whether the figure is for a phone.
    """
    scenarios = list(dict.fromkeys(coverage["scenario"]))
    names = list(dict.fromkeys(coverage["quantity"]))
    place = {name: len(names) - i for i, name in enumerate(names)}
    height = 2.5 if narrow else 2.9
    figure, axes = panel_grid(len(scenarios), narrow, len(scenarios), 1, height, sharex=True)
    for number, (ax, scenario) in enumerate(zip(axes, scenarios)):
        rows = coverage[coverage["scenario"] == scenario]
        ax.axvspan(100 * target[0], 100 * target[1], color="#e8f0f7", zorder=0)
        ax.axvline(100 * level, color=BASELINE, lw=1)
        share = rows["covered"]
        error = 100 * 2 * np.sqrt(share * (1 - share) / rows["draws"])
        bars = {"xerr": error, "fmt": "o", "ms": 4, "lw": 1, "color": BLUE}
        ax.errorbar(100 * share, rows["quantity"].map(place), **bars)
        labels = names if number == 0 or narrow else [""] * len(names)
        ax.set_yticks(range(len(names), 0, -1), labels)
        ax.set_ylim(0.4, len(names) + 0.6)
        ax.set_title(scenario)
        ax.set_xticks([100 * target[0], 100 * level, 100 * target[1]])
        ax.set_xlabel("true value inside, %")
    return figure
