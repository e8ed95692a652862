"""Figures of the page on public grids."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from perflaw.plotting import BLUE, GREY, legend_above, panel_grid
from perflaw.study.figures.style import law_colour


def plot_held_or_chosen(judged: pd.DataFrame, narrow: bool = False) -> plt.Figure:
    """Draw what the last step in d changes on each surface, dropout held (ring) and chosen (dot).

    judged: what `public_grids.judge_regularisation` returns, its changes in per cent. Bars are its
    intervals.
    """
    backbones = judged.groupby("backbone", sort=False)
    least = judged[["held_low", "chosen_low"]].to_numpy().min()
    most = judged[["held_high", "chosen_high"]].to_numpy().max()
    height = 3.1 if narrow else 3.3
    figure, axes = panel_grid(len(backbones), narrow, len(backbones), 1, height, sharex=True)
    for ax, (backbone, rows) in zip(axes, backbones):
        places = np.arange(len(rows))[::-1]
        for name, shift, colour, face in (
            ("held", 0.16, GREY, "none"),
            ("chosen", -0.16, BLUE, BLUE),
        ):
            y, label = places + shift, f"dropout {name}"
            ax.hlines(y, rows[f"{name}_low"], rows[f"{name}_high"], color=colour)
            ax.plot(rows[name], y, "o", ms=5, mec=colour, mfc=face, label=label)
        ax.axvline(0, color="black", lw=0.8)
        ax.set(xlim=(1.05 * least, 1.05 * most), title=backbone)
        is_first = narrow or ax is axes[0]
        labels = rows["log"] + ", " + rows["split"] if is_first else [""] * len(rows)
        ax.set_yticks(places, labels)
        ax.set_xlabel("change of the metric, %")
    legend_above(figure, 2, axes[:1])
    return figure


def plot_hidden_errors(errors: pd.DataFrame, narrow: bool = False) -> plt.Figure:
    """Draw the mean error of each law and baseline at the largest d, by backbone.

    errors: what `public_grids.mean_errors` returns. Baselines are grey, the Performance Law
    orange, the joint law green, other laws blue; the line is the nearest trained cell.
    """
    rows = errors[errors["hidden"] == "largest d"].sort_values("all", ascending=False)
    groups = ("SASRec", "BERT4Rec", "GRU4Rec", "all")
    height = 2.6 if narrow else 2.9
    figure, axes = panel_grid(len(groups), narrow, len(groups), 1, height, sharey=not narrow)
    places = np.arange(len(rows))
    colours = rows["law"].map(law_colour)
    for ax, group in zip(axes, groups):
        ax.scatter(rows[group], places, c=colours, s=26, zorder=3)
        nearest = rows.loc[rows["law"] == "nearest trained cell", group].iloc[0]
        ax.axvline(nearest, color=GREY, lw=1)
        ax.set_yticks(places, rows["law"])
        ax.set(
            title="mean of all" if group == "all" else group,
            xlim=(0, 1.08 * rows[group].max()),
            xlabel="mean error, %",
        )
    return figure
