"""Figure of the external grids: dropout held or chosen, and the gain by dimension."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from perflaw.plotting import (
    BASELINE,
    SEQUENCE,
    VERMILLION,
    legend_above,
    name_rows,
    panel_grid,
    set_log_axis,
)

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
    colours: dict[str, Any] = {name: SEQUENCE(0.3 + 0.3 * i) for i, name in enumerate(names)}
    colours[CHOSEN] = VERMILLION
    heights = PANEL_HEIGHTS * len(logs) if narrow else PANEL_HEIGHTS
    mean_height = 1.75 if narrow else 2.15
    figure, axes = panel_grid(
        2 * len(logs), narrow, len(logs), 1, mean_height, height_ratios=heights
    )
    uppers, lowers = (axes[::2], axes[1::2]) if narrow else (axes[: len(logs)], axes[len(logs) :])
    reach = 1.1 * changes[["low", "high"]].abs().max().max()
    for upper, lower, log in zip(uppers, lowers, logs):
        rows = surfaces[surfaces["log"] == log]
        dimensions = _draw_curves(upper, rows, names, colours)
        upper.set_title(log)
        last_changes = changes[changes["log"] == log].set_index("regularisation").loc[names]
        is_first = narrow or log == logs[0]
        _draw_changes(lower, last_changes, colours, names if is_first else [""] * len(names))
        lower.set(
            xlim=(-reach, reach), xlabel=f"change from d {dimensions[-2]} to {dimensions[-1]}, %"
        )
        if is_first:
            upper.set_ylabel(f"{rows['metric'].iloc[0]}, %")
    handles, labels = uppers[0].get_legend_handles_labels()
    legend_above(figure, 2 if narrow else len(names), dict(zip(labels[::-1], handles[::-1])))
    return figure


def _draw_curves(
    ax: Axes, rows: pd.DataFrame, names: list[str], colours: Mapping[str, Any]
) -> list[int]:
    """Draw the metric by dimension for each regularisation; return the dimensions."""
    for name in names[::-1]:  # the bold line first, so that the others stay visible on it
        means = 100 * rows[rows["regularisation"] == name].groupby("d_emb")["value"].mean()
        style: dict[str, Any] = {"lw": 1.4, "ms": 4, "label": name}
        if name == CHOSEN:
            style = {"lw": 5, "ms": 0, "label": "chosen by validation"}
        ax.plot(means.index, means, "-o", color=colours[name], solid_capstyle="round", **style)
    dimensions = list(means.index)
    set_log_axis(ax, dimensions)
    ax.yaxis.set_major_locator(MaxNLocator(5))
    ax.set_xlabel("embedding dimension d")
    return dimensions


def _draw_changes(
    ax: Axes, changes: pd.DataFrame, colours: Mapping[str, Any], labels: list[str]
) -> None:
    """Draw the change of the metric between the two largest dimensions, with intervals."""
    ax.axvline(0, color=BASELINE, lw=1)
    places = range(len(changes) - 1, -1, -1)
    for y, (name, row) in zip(places, changes.iterrows()):
        ax.plot([row["low"], row["high"]], [y, y], "-", lw=2, color=colours[str(name)])
        ax.plot(row["change"], y, "o", ms=7 if name == CHOSEN else 5, color=colours[str(name)])
    name_rows(ax, places, labels)
    ax.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
