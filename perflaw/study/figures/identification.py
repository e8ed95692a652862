"""Figures of what the published points determine: profiles, turning points, coverage."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import StrMethodFormatter

from perflaw.plotting import (
    BASELINE,
    BLUE,
    PERFORMANCE_LAW,
    VERMILLION,
    legend_above,
    name_rows,
    panel_grid,
    set_log_axis,
)

TURNING_AXES = {"n_layers": "layers N", "d_emb": "dimension d"}


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
        ax.set(title=title, xlabel="exponent held at")
        set_log_axis(ax, [1, 2, 5, 10], vertical=True)
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
    for i, (ax, (name, rows)) in enumerate(zip(axes, turns.groupby("axis", sort=False))):
        places = np.arange(len(rows))[::-1]
        right = 4 * rows["largest"].max()
        smallest, width = rows["smallest"], rows["largest"] - rows["smallest"]
        ax.barh(places, width, left=smallest, height=0.8, color="#eeeeee", zorder=0)
        low, high = rows["low"].clip(1, right), rows["high"].clip(1, right)
        ax.hlines(places, low, high, color=PERFORMANCE_LAW, lw=1.5)
        for kind, marker, fill in (("maximum", "o", PERFORMANCE_LAW), ("minimum", "v", "white")):
            is_shown = ((rows["kind"] == kind) & (rows["estimate"] < right)).to_numpy()
            x, y = rows.loc[is_shown, "estimate"], places[is_shown]
            ax.plot(x, y, marker, color=PERFORMANCE_LAW, mfc=fill, ms=5, label=kind)
        ax.set(xscale="log", xlim=(1, right))
        ax.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        labels = rows["surface"] if i == 0 or narrow else [""] * len(rows)
        ax.set_yticks(places, labels, fontsize=7)
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
    scenarios = coverage.groupby("scenario", sort=False)
    names = coverage["quantity"].unique()
    places = dict(zip(names, range(len(names))[::-1]))
    height = 2.5 if narrow else 2.9
    figure, axes = panel_grid(
        len(scenarios), narrow, len(scenarios), 1, height, sharex=True, sharey=not narrow
    )
    for ax, (scenario, rows) in zip(axes, scenarios):
        ax.axvspan(100 * target[0], 100 * target[1], color="#e8f0f7", zorder=0)
        ax.axvline(100 * level, color=BASELINE, lw=1)
        share = rows["covered"]
        error = 100 * 2 * np.sqrt(share * (1 - share) / rows["draws"])
        y = rows["quantity"].map(places)
        ax.errorbar(100 * share, y, xerr=error, fmt="o", ms=4, lw=1, color=BLUE)
        name_rows(ax, list(places.values()), names)
        ax.set_title(str(scenario))
        ax.set_xticks([100 * target[0], 100 * level, 100 * target[1]])
        ax.set_xlabel("true value inside, %")
    return figure
