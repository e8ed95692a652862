"""Figures of the page on public grids."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from perflaw.plotting import BLUE, GREY, NARROW, WIDE
from perflaw.study.figures.style import law_colour


def plot_held_or_chosen(judged: pd.DataFrame, narrow: bool = False) -> plt.Figure:
    """Draw what the last step in d changes on each surface, dropout held (ring) and chosen (dot).

    judged: what `public_grids.judge_regularisation` returns, its changes in per cent. Bars are its
    intervals.
    """
    backbones = list(judged["backbone"].unique())
    least = judged[["held_low", "chosen_low"]].to_numpy().min()
    most = judged[["held_high", "chosen_high"]].to_numpy().max()
    columns = 1 if narrow else len(backbones)
    size = (NARROW if narrow else WIDE, 3.1 * len(backbones) if narrow else 3.3)
    figure, axes = plt.subplots(
        len(backbones) // columns, columns, figsize=size, sharex=True, squeeze=False
    )
    for ax, backbone in zip(axes.flat, backbones):
        rows = judged[judged["backbone"] == backbone].reset_index(drop=True)
        places = np.arange(len(rows))[::-1]
        for name, offset, colour, face in (
            ("held", 0.16, GREY, "none"),
            ("chosen", -0.16, BLUE, BLUE),
        ):
            ax.hlines(places + offset, rows[f"{name}_low"], rows[f"{name}_high"], color=colour)
            ax.plot(rows[name], places + offset, "o", ms=5, mec=colour, mfc=face, label=name)
        ax.axvline(0, color="black", lw=0.8)
        ax.set_xlim(1.05 * least, 1.05 * most)
        ax.set_title(backbone)
        labels = [f"{row.log}, {row.split}" for row in rows.itertuples()]
        first = narrow or ax is axes.flat[0]
        ax.set_yticks(places, labels if first else [""] * len(rows), fontsize=8)
        ax.set_xlabel("change of the metric, %")
    marks, names = axes.flat[0].get_legend_handles_labels()
    labels = [f"dropout {name}" for name in names]
    figure.legend(marks, labels, loc="outside upper center", ncols=2, fontsize=8)
    return figure


def plot_hidden_errors(errors: pd.DataFrame, narrow: bool = False) -> plt.Figure:
    """Draw the mean error of each law and baseline at the largest d, by backbone.

    errors: what `public_grids.mean_errors` returns. Baselines are grey, the Performance Law
    orange, the joint law green, other laws blue; the line is the nearest trained cell.
    """
    rows = errors[errors["hidden"] == "largest d"].sort_values("all", ascending=False)
    groups = ("SASRec", "BERT4Rec", "GRU4Rec", "all")
    columns = 1 if narrow else 4
    size = (NARROW if narrow else WIDE, 10.4 if narrow else 2.9)
    figure, axes = plt.subplots(len(groups) // columns, columns, figsize=size, squeeze=False)
    places = np.arange(len(rows))
    for i, (ax, group) in enumerate(zip(axes.flat, groups)):
        colours = [law_colour(law) for law in rows["law"]]
        ax.scatter(rows[group], places, c=colours, s=26, zorder=3)
        nearest = rows.loc[rows["law"] == "nearest trained cell", group].iloc[0]
        ax.axvline(nearest, color=GREY, lw=1)
        ax.set_yticks(places, rows["law"] if i % columns == 0 else [""] * len(rows), fontsize=8)
        ax.set_title("mean of all" if group == "all" else group)
        ax.set_xlim(0, 1.08 * rows[group].max())
        ax.set_xlabel("mean error, %")
    return figure
