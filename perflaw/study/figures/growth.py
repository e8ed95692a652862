"""Figures of how accuracy grows with a log."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from perflaw.plotting import (
    BASELINE,
    BLUE,
    PURPLE,
    SKY,
    legend_above,
    name_rows,
    panel_grid,
    set_log_axis,
)

STYLES: dict[str, dict[str, Any]] = {
    "SASRec, d = 16": {"color": SKY, "ls": "-", "marker": "o"},
    "SASRec, d = 64": {"color": BLUE, "ls": "-", "marker": "o"},
    "first-order Markov": {"color": BASELINE, "ls": "-", "marker": "s"},
    "item-kNN": {"color": BASELINE, "ls": "--", "marker": "^"},
    "most popular": {"color": BASELINE, "ls": ":", "marker": "v"},
}
SETTINGS = {  # label of a row of `plot_mean_growth`, and its colour
    "SASRec": BLUE,
    "SASRec, test fixed": PURPLE,
    "first-order Markov": BASELINE,
    "item-kNN": BASELINE,
    "most popular": BASELINE,
    "recent popular": BASELINE,
}
SHARE_NAMES = {1 / 16: "1/16", 1 / 8: "1/8", 1 / 4: "1/4", 1 / 2: "1/2", 1.0: "1"}
CHANGES = (-50, -25, 0, 25, 50, 100, 200, 400)  # per cent: where the axis of growth has ticks


def plot_learning_curves(levels: pd.DataFrame, metric: str, narrow: bool = False) -> Figure:
    """Plot the metric on nested samples of each log's users, a panel a log.

    Parameters
    ----------
    levels
        As `growth.average_draws` returns them, of models that STYLES names.
    metric
        Name of the metric.
    narrow
        Whether the figure is for a phone.
    """
    logs = levels.groupby("log")
    figure, axes = panel_grid(len(logs), narrow, 3, 2, 2.1 if narrow else 2.4)
    for ax, (log, of_log) in zip(axes, logs):
        for model, style in STYLES.items():
            curve = of_log[of_log["model"] == model].sort_values("share")
            x, y, error = curve["share"], curve["value"], curve["value"] * curve["relative_se"]
            ax.errorbar(x, y, error, ms=3, lw=1.2, elinewidth=0.7, label=model, **style)
        set_log_axis(ax, list(SHARE_NAMES))
        ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: SHARE_NAMES.get(x, "")))
        ax.set(ylim=(0, None), title=log)
    legend_above(figure, 2 if narrow else 5, axes)
    figure.supxlabel("share of the log's users")
    figure.supylabel(f"{metric} on the sample's own test users")
    return figure


def plot_mean_growth(means: pd.DataFrame, narrow: bool = False) -> Figure:
    """Plot the mean growth over logs with its interval, a panel for each growth of the users.

    Parameters
    ----------
    means
        As `growth.mean_growth` returns them; models as in SETTINGS.
    narrow
        Whether the figure is for a phone.
    """
    factors = means.groupby("times")
    height = 1.7 if narrow else 2.3
    figure, axes = panel_grid(len(factors), narrow, 3, 1, height, sharex=True, sharey=not narrow)
    names = list(SETTINGS)[::-1]
    for ax, (factor, of_factor) in zip(axes, factors):
        rows = of_factor.set_index("model")
        for place, name in enumerate(names):
            if name in rows.index:
                changes = rows.loc[name, ["growth", "low", "high"]].astype(float)
                growth, low, high = np.log1p(changes / 100)
                ax.plot([low, high], [place, place], "-", lw=1.6, color=SETTINGS[name])
                ax.plot(growth, place, "o", ms=5, color=SETTINGS[name])
        ax.axvline(0, color="black", lw=0.8)
        name_rows(ax, range(len(names)), names)
        ax.set_title(f"{factor} times as many users")
        _label_changes(ax)
    figure.supxlabel("growth of the metric, per cent (logarithmic axis)")
    return figure


def _label_changes(ax: Axes) -> None:
    """Label an axis of logarithms of ratios with the changes in per cent."""
    ax.xaxis.set_major_locator(FixedLocator([float(np.log1p(c / 100)) for c in CHANGES]))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{100 * np.expm1(x) + 1e-9:.0f}"))
