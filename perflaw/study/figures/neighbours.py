"""Figures of the page on neighbouring systems."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from perflaw.plotting import (
    BLUE,
    GREY,
    NARROW,
    VERMILLION,
    WIDE,
    legend_above,
    name_rows,
    panel_grid,
    set_log_axis,
)
from perflaw.study.figures.style import BASELINES, law_colour, log_styles
from perflaw.study.neighbours import grid_runs, hstu_parts
from perflaw.study.neighbours.augmented_data import MORE_USERS
from perflaw.study.neighbours.layer_sharing import APART, PARTLY, WHOLLY

# the compute-only law, under its two names, stands out
COMPUTE = {"compute of one token": VERMILLION, "compute spent": VERMILLION}
# colour, marker, and offsets of labels: of the way at its deepest point, of a depth at its point
SHARING = {
    APART: (BLUE, "o", (-32, -22), (4, 5)),
    PARTLY: (VERMILLION, "s", (8, -14), (4, 5)),
    WHOLLY: (GREY, "^", (10, -4), (-12, -3)),
}
SIZES = (5_000, 10_000, 20_000, 50_000)  # ticks


def plot_compute_errors(errors: pd.DataFrame, narrow: bool = False) -> plt.Figure:
    """Draw the mean error of each rule at the largest d, one panel for each source.

    errors: `compute_law.summarise` of each source, with a column source. Baselines are grey, the
    compute-only law vermillion, other laws blue; the line is the nearest trained cell.
    """
    rows = errors[errors["hidden"] == "largest d"]
    sources = rows.groupby("source", sort=False)
    names = list(dict.fromkeys(rows["law"]))[::-1]
    colours = [COMPUTE.get(name) or law_colour(name) for name in names]
    figure, axes = panel_grid(len(sources), narrow, len(sources), 1, 2.7, sharey=not narrow)
    for ax, (source, of_source) in zip(axes, sources):
        by_law = of_source.set_index("law")["ape"].reindex(names)
        ax.scatter(by_law, range(len(names)), c=colours, s=28, zorder=3)
        ax.axvline(by_law["nearest trained cell"], color=GREY, lw=1)
        name_rows(ax, range(len(names)), names)
        ax.set(xlim=(0, None), title=source, xlabel="mean error at the largest d, %")
    return figure


def plot_robust_fits(summary: pd.DataFrame, collapsed: int, narrow: bool = False) -> plt.Figure:
    """Draw what each rule names: collapsed runs that it finds, and others that it names falsely.

    summary: what `robust_fits.summarise` returns; collapsed: how many runs collapsed.
    """
    rows = summary[~summary["rule"].isin(BASELINES)].iloc[::-1]
    figure, ax = plt.subplots(figsize=(NARROW if narrow else 0.7 * WIDE, 2.7))
    places = np.arange(len(rows))
    ax.barh(places + 0.18, rows["found"], 0.34, color=BLUE, label="collapsed, found")
    ax.barh(places - 0.18, rows["falsely"], 0.34, color=GREY, label="not collapsed, named")
    ax.axvline(collapsed, color="black", lw=1, ls=":")
    top = len(rows) - 0.55
    ax.annotate(f"{collapsed} collapsed", (collapsed, top), (3, 0), textcoords="offset points")
    ax.set_ylim(-0.5, len(rows) - 0.2)
    ax.set_yticks(places, rows["rule"])
    ax.set_xlabel("visible runs")
    legend_above(figure, 2, [ax])
    return figure


def plot_layer_sharing(means: pd.DataFrame, narrow: bool = False) -> plt.Figure:
    """Draw the metric against the parameters of layers, a line for each way, a panel for each log.

    means: what `layer_sharing.average_seeds` returns, log by log. Numbers beside points are depths.
    """
    logs = means.groupby("log", sort=False)
    figure, axes = panel_grid(len(logs), narrow, 2, 1, 3.1)
    for ax, (log, of_log) in zip(axes, logs):
        for way, (colour, marker, way_offset, depth_offset) in SHARING.items():
            of_way = of_log[of_log["way"] == way].sort_values("n_layers")
            x, y = of_way["parameters"], of_way["value"]
            ax.vlines(x, of_way["low"], of_way["high"], color=colour, lw=0.8, alpha=0.6)
            ax.plot(x, y, marker=marker, ms=5, color=colour)
            for depth, *point in zip(of_way["n_layers"], x, y):
                _label_point(ax, f"{depth}", point, depth_offset, colour)
            _label_point(ax, way, (x.iloc[-1], y.iloc[-1]), way_offset, colour)
        set_log_axis(ax, SIZES)
        ax.set(xlim=(SIZES[0], None), title=log, xlabel="parameters of layers, without embeddings")
    for ax in axes[:: 1 if narrow else 2]:
        ax.set_ylabel("NDCG@10 on test")
    return figure


def _label_point(ax: Axes, text: str, point: Any, offset: tuple[int, int], colour: str) -> None:
    """Write a text beside a point; the offset is in typographic points."""
    ax.annotate(text, point, offset, textcoords="offset points", fontsize=9, color=colour)


def plot_forecasts(scored: pd.DataFrame, narrow: bool = False) -> plt.Figure:
    """Draw the gain of the forecast over the mean against ApEn, by day and by week.

    scored: what `forecastability.score_all` returns.
    """
    steps = scored.groupby("step")
    figure, axes = panel_grid(2, narrow, 2, 1, 2.7 if narrow else 2.9, sharey=True)
    styles = log_styles(scored["log"])
    for ax, (step, of_step) in zip(axes, steps):
        for log, points in of_step.groupby("log"):
            colour = styles[str(log)]["color"]
            ax.plot(points["apen"], points["over mean"], "o", ms=4, color=colour, label=log)
        ax.axhline(0, color="black", lw=0.8)
        ax.set(title=f"counts by {step}", xlabel="approximate entropy, nats")
    for ax in axes[:: 1 if narrow else 2]:
        ax.set_ylabel("error below that\nof the mean, %")
    legend_above(figure, 2 if narrow else 4, axes[:1])
    return figure


def plot_augmented_gains(means: pd.DataFrame, narrow: bool = False) -> plt.Figure:
    """Draw what each augmentation brings, and what twice the users bring, a panel for each log.

    means: what `augmented_data.average_over_shares` returns, log by log.
    """
    logs = means.groupby("log", sort=False)
    figure, axes = panel_grid(len(logs), narrow, 2, 1, 2.6, sharex=True)
    for ax, (log, of_log) in zip(axes, logs):
        rows = of_log.iloc[::-1]
        places = np.arange(len(rows))
        colours = np.where(rows["augmentation"] == MORE_USERS, VERMILLION, BLUE)
        ax.hlines(places, rows["low"], rows["high"], color=colours, lw=1.5)
        ax.scatter(rows["gain"], places, s=24, color=colours, zorder=3)
        ax.axvline(0, color="black", lw=0.8)
        ax.set_yticks(places, rows["augmentation"])
        ax.set(title=log, xlabel=f"change of {grid_runs.METRIC}, %")
    return figure


def plot_hstu_parts(runs: pd.DataFrame, narrow: bool = False) -> plt.Figure:
    """Draw the metric against the depth: each changed part beside the published block.

    runs: what `hstu_parts.load_parts_runs` returns. Dots are seeds, lines their means; each log is
    named at its lines.
    """
    changes = [change for change in runs["change"].unique() if change != hstu_parts.PUBLISHED]
    figure, axes = panel_grid(len(changes), narrow, 3, 2, 2.5, sharey=True)
    depths = sorted(runs["n_layers"].unique())
    for ax, change in zip(axes, changes):
        for log, of_log in runs.groupby("log"):
            for name, colour in ((hstu_parts.PUBLISHED, BLUE), (change, VERMILLION)):
                of_change = of_log[of_log["change"] == name]
                ax.plot(of_change.groupby("n_layers")["value"].mean(), color=colour, lw=1.4)
                ax.plot(of_change["n_layers"], of_change["value"], "o", ms=3, color=colour)
            _label_point(ax, str(log), (depths[0], of_log["value"].max()), (0, 6), "black")
        ax.set_title(change, color=VERMILLION)
        set_log_axis(ax, depths)
        ax.set(ylim=(0, 1.2 * runs["value"].max()), xlabel="layers N")
    for ax in axes[:: 2 if narrow else 3]:
        ax.set_ylabel(grid_runs.METRIC)
    return figure
