"""Figures of a report on a log: what is expected of larger models, and what doubling brings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from perflaw.plotting import BLUE, GREY, VERMILLION, legend_above, panel_grid, set_log_axis

# By the name of a curve: the label of its axis, and the column of the runs.
OUTLOOK_AXES = {
    "d_emb": ("dimension d", "d_emb"),
    "n_layers": ("layers N", "n_layers"),
    "tokens": ("data, times what there is\n(same items, same test users)", "data"),
}
DATA_TICKS = [0.25, 0.5, 1, 2, 4]


def plot_outlook(
    conclusion: Mapping[str, Any],
    best: Mapping[str, int],
    metric: str,
    later: pd.DataFrame | None = None,
    narrow: bool = False,
) -> Figure:
    """Plot what is expected of a metric along the dimension, the layers and the data.

    The other sizes are those of the best configuration. The band is the interval for one run;
    the ground is grey beyond what was run.

    Parameters
    ----------
    conclusion
        That of `conclusions.draw_conclusions` on this metric, with `measured` and `curves`.
    best
        The best configuration: n_layers and d_emb.
    metric
        Name of the metric.
    later
        Runs that the forecast did not see: columns n_layers, d_emb and the metric.
    narrow
        Whether the figure is for a phone.

    Returns
    -------
    Figure
        Three panels.
    """
    runs = pd.DataFrame(conclusion["measured"])
    figure, axes = panel_grid(3, narrow, 3, 1, 2.4, sharey=not narrow)
    for ax, (name, (label, column)) in zip(axes, OUTLOOK_AXES.items()):
        curve = pd.DataFrame(conclusion["curves"][name])
        largest = runs[column].max()
        ax.axvspan(largest, curve["x"].max(), color=GREY, alpha=0.12, lw=0)
        band: dict[str, Any] = {"color": BLUE, "alpha": 0.2, "lw": 0}
        ax.fill_between(
            curve["x"], curve["low"], curve["high"], label="interval for one run", **band
        )
        ax.plot(curve["x"], curve["predicted"], color=BLUE, lw=1.6, label="expected")
        _draw_runs(ax, runs, column, best)
        if later is not None and column != "data":
            _draw_later(ax, later, column, best, metric)
        ticks = (
            DATA_TICKS if column == "data" else sorted({*runs[column], 2 * largest, 4 * largest})
        )
        set_log_axis(ax, ticks)
        ax.set_xlabel(label)
        ax.set_ylim(0, 1.25 * max(runs["value"].max(), curve["predicted"].max()))
    axes[0].set_ylabel(metric)
    legend_above(figure, 2 if narrow else 5, axes[:1])
    return figure


def _draw_runs(ax: Axes, runs: pd.DataFrame, column: str, best: Mapping[str, int]) -> None:
    """Draw the runs: filled where they differ from the best in this column alone."""
    fixed = {"n_layers": best["n_layers"], "d_emb": best["d_emb"], "data": 1.0}
    del fixed[column]
    on_curve = np.logical_and.reduce([runs[name] == value for name, value in fixed.items()])
    off: dict[str, Any] = {"ms": 3, "color": GREY, "mfc": "none", "mew": 0.8, "alpha": 0.8}
    others = runs[~on_curve]
    ax.plot(others[column], others["value"], "o", label="run of other sizes", **off)
    same = runs[on_curve]
    ax.plot(same[column], same["value"], "o", ms=5, color=VERMILLION, mew=0, label="run")


def _draw_later(
    ax: Axes, later: pd.DataFrame, column: str, best: Mapping[str, int], metric: str
) -> None:
    """Draw the later runs that differ from the best in this column alone."""
    other = "n_layers" if column == "d_emb" else "d_emb"
    along = later[later[other] == best[other]]
    label = "run not seen"
    ax.plot(along[column], along[metric], "D", ms=5, color="black", mfc="none", label=label)


def plot_doublings(
    doublings: Mapping[str, Mapping[str, Mapping[str, float]]], narrow: bool = False
) -> Figure:
    """Plot what doubling the dimension, the layers and the data brings, in per cent.

    Parameters
    ----------
    doublings
        By metric, at most two, the `doublings` of the findings: change, low and high.
    narrow
        Whether the figure is for a phone.

    Returns
    -------
    Figure
        One panel.
    """
    figure, (ax,) = panel_grid(1, narrow, 1, 1, 1.9)
    names = {"tokens": "data", "n_layers": "layers N", "d_emb": "dimension d"}
    styles = [(BLUE, 0.12), (VERMILLION, -0.12)]
    for (metric, gains), (colour, shift) in zip(doublings.items(), styles):
        rows = pd.DataFrame([gains[name] for name in names])
        ends = [rows["change"] - rows["low"], rows["high"] - rows["change"]]
        bars: dict[str, Any] = {"fmt": "o", "ms": 5, "capsize": 2, "lw": 1.4, "color": colour}
        ax.errorbar(rows["change"], np.arange(3) + shift, xerr=ends, label=metric, **bars)
    ax.axvline(0, color="black", lw=0.8)
    ax.set_yticks(range(3), list(names.values()))
    ax.set_ylim(-0.5, 2.5)
    ax.set_xlabel("change by doubling, per cent")
    legend_above(figure, 2, [ax])
    return figure
