"""Figure of the pages on other kinds of model: LightGCN and DiffuRec."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from perflaw.plotting import BASELINE, BLACK, SEQUENCE, panel_grid, set_log_axis

LABEL_GAP = 0.055  # of the height of a panel, between two labels


def plot_model_surfaces(
    cells: pd.DataFrame, baselines: pd.DataFrame, metric: str, narrow: bool = False
) -> Figure:
    """Draw a metric against d, a line for each N, a panel for each log.

    Parameters
    ----------
    cells
        As `model_laws.mean_cells` returns them.
    baselines
        As `study_runs.load_count_baselines` returns them: grey lines.
    metric
        Its name.
    narrow
        Whether the figure is for a phone.
    """
    logs = cells.groupby("log", sort=False)
    figure, axes = panel_grid(len(logs), narrow, 2, 1, 3.2)
    for ax, (log, surface) in zip(axes, logs):
        depths = sorted(surface["n_layers"].unique())
        dimensions = sorted(surface["d_emb"].unique())
        line_ends: dict[str, tuple[float, Any]] = {}
        for i, depth in enumerate(depths):
            rows = surface[surface["n_layers"] == depth].sort_values("d_emb")
            colour = SEQUENCE(0.1 + 0.8 * i / (len(depths) - 1)) if depth else BLACK
            style: dict[str, Any] = {"color": colour, "ls": "-" if depth else ":", "lw": 1.3}
            x, y, sd = rows["d_emb"], rows["value"], rows["sd"].fillna(0)
            ax.errorbar(x, y, sd, capsize=2, marker="o", ms=3, **style)
            line_ends[f"N = {depth}"] = y.iloc[-1], colour
        floors = baselines.loc[log].to_dict()
        for value in floors.values():
            ax.axhline(value, color=BASELINE, lw=0.8, zorder=0)
        set_log_axis(ax, dimensions)
        ax.set(
            xlim=(dimensions[0] / 4.2, dimensions[-1] * 1.9),
            title=log,
            xlabel="dimension d",
            ylabel=metric,
        )
        _label_lines(ax, line_ends, dimensions[-1] * 1.12, "center")
        floor_ends = {str(name): (value, BASELINE) for name, value in floors.items()}
        _label_lines(ax, floor_ends, dimensions[0] / 4, "bottom")
    return figure


def _label_lines(ax: Axes, ends: Mapping[str, tuple[float, Any]], x: float, va: str) -> None:
    """Write names of lines in their colours at x, upwards from their ends, none on another."""
    low, high = ax.get_ylim()
    gap = LABEL_GAP * (high - low)
    y = -np.inf
    for name, (value, colour) in sorted(ends.items(), key=lambda end: end[1][0]):
        y = max(value, y + gap)
        ax.text(x, y, name, color=colour, fontsize=8, va=va)
