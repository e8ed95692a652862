"""Figure of the external grids: dropout held or chosen, and the gain by dimension."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from perflaw.plotting import BASELINE, SEQUENCE, VERMILLION, legend_above, panel_grid, set_log_axis

CHOSEN = "chosen"
PANEL_HEIGHTS = [2.6, 1.3]


def plot_dropout_and_size(
    surfaces: pd.DataFrame, changes: pd.DataFrame, narrow: bool = False
) -> Figure:
    """Plot for each log the metric against d, and its last change: dropout held, and chosen.

    Parameters
    ----------
    surfaces
        Columns log, metric, regularisation, d_emb and value (averaged over the rest).
    changes
        Columns log, regularisation, change, low and high (per cent).
    narrow
        Whether the figure is for a phone.
    """
    logs = list(dict.fromkeys(surfaces["log"]))
    names = sorted(set(changes["regularisation"]), key=lambda name: (name == CHOSEN, name))
    colours: dict[str, Any] = {name: SEQUENCE(0.3 + 0.3 * i) for i, name in enumerate(names[:-1])}
    colours[CHOSEN] = VERMILLION
    heights = PANEL_HEIGHTS * len(logs) if narrow else PANEL_HEIGHTS
    layout = {"gridspec_kw": {"height_ratios": heights}}
    panel_height = 1.75 if narrow else 2.15
    figure, axes = panel_grid(2 * len(logs), narrow, len(logs), 1, panel_height, **layout)
    panels = np.array(axes, dtype=object)
    pairs = panels.reshape(len(logs), 2) if narrow else panels.reshape(2, len(logs)).T
    reach = 1.1 * changes[["low", "high"]].abs().max().max()
    for (upper, lower), log in zip(pairs, logs):
        rows = surfaces[surfaces["log"] == log]
        dimensions = _draw_curves(upper, rows, names, colours)
        upper.set_title(log)
        last_changes = changes[changes["log"] == log].set_index("regularisation").loc[names]
        _draw_changes(lower, last_changes, colours)
        lower.set_xlim(-reach, reach)
        lower.set_xlabel(f"change from d {dimensions[-2]} to {dimensions[-1]}, %")
        first = narrow or log == logs[0]
        if first:
            upper.set_ylabel(f"{rows['metric'].iloc[0]}, %")
        place = np.arange(len(names))[::-1]
        lower.set_yticks(place, names if first else [""] * len(names))
    handles = dict(zip(*pairs[0][0].get_legend_handles_labels()[::-1]))
    legend_above(figure, 2 if narrow else len(names), dict(reversed(handles.items())))
    return figure


def _draw_curves(
    ax: Axes, rows: pd.DataFrame, names: list[str], colours: Mapping[str, Any]
) -> list[int]:
    """Draw the metric by dimension for each regularisation; return the dimensions."""
    for name in names[::-1]:  # the bold line first, so that the others stay visible on it
        line = 100 * rows[rows["regularisation"] == name].groupby("d_emb")["value"].mean()
        style: dict[str, Any] = {"lw": 1.4, "ms": 4, "label": name}
        if name == CHOSEN:
            style = {"lw": 5, "ms": 0, "label": "chosen by validation"}
        ax.plot(line.index, line, "-o", color=colours[name], solid_capstyle="round", **style)
    dimensions = list(line.index)
    set_log_axis(ax, dimensions)
    ax.yaxis.set_major_locator(MaxNLocator(5))
    ax.set_xlabel("embedding dimension d")
    return dimensions


def _draw_changes(ax: Axes, changes: pd.DataFrame, colours: Mapping[str, Any]) -> None:
    """Draw the change of the metric between the two largest dimensions, with intervals."""
    ax.axvline(0, color=BASELINE, lw=1)
    place = range(len(changes) - 1, -1, -1)
    row: Any
    for y, row in zip(place, changes.itertuples()):
        colour = colours[row.Index]
        ax.plot([row.low, row.high], [y, y], "-", lw=2, color=colour)
        ax.plot(row.change, y, "o", ms=7 if row.Index == CHOSEN else 5, color=colour)
    ax.set_ylim(-0.6, len(changes) - 0.4)
    ax.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
