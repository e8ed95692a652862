"""Figures of the page on neighbouring systems."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from perflaw.plotting import BLUE, GREY, NARROW, VERMILLION, WIDE, panel_grid, set_log_axis
from perflaw.study.figures.style import BASELINES, law_colour, log_styles
from perflaw.study.neighbours import grid_runs, hstu_parts
from perflaw.study.neighbours.augmented_data import MORE_USERS
from perflaw.study.neighbours.layer_sharing import APART, PARTLY, WHOLLY

# the compute-only law, under its two names, stands out
COMPUTE = {"compute of one token": VERMILLION, "compute spent": VERMILLION}
# colour, marker, and where the way is named beside its deepest point, and a depth beside its point
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
    sources = list(rows["source"].unique())
    names = list(dict.fromkeys(rows["law"]))[::-1]
    shape = (len(sources), 1) if narrow else (1, len(sources))
    size = (NARROW if narrow else WIDE, 5.4 if narrow else 2.7)
    figure, axes = plt.subplots(*shape, figsize=size, squeeze=False)
    for i, (ax, source) in enumerate(zip(axes.flat, sources)):
        of_source = rows[rows["source"] == source].set_index("law")["ape"].reindex(names)
        colours = [COMPUTE.get(name) or law_colour(name) for name in names]
        ax.scatter(of_source, np.arange(len(names)), c=colours, s=28, zorder=3)
        ax.axvline(of_source["nearest trained cell"], color=GREY, lw=1)
        ax.set_yticks(np.arange(len(names)), names if narrow or not i else [""] * len(names))
        ax.tick_params(labelsize=8)
        ax.set_ylim(-0.6, len(names) - 0.4)
        ax.set_xlim(0, None)
        ax.set_title(source)
        ax.set_xlabel("mean error at the largest d, %")
    return figure


def plot_robust_fits(summary: pd.DataFrame, collapsed: int, narrow: bool = False) -> plt.Figure:
    """Draw what each rule names: collapsed runs that it finds, and others that it names falsely.

    summary: what `robust_fits.summarise` returns; collapsed: how many runs collapsed.
    """
    rows = summary[~summary["rule"].isin(BASELINES)].iloc[::-1]
    figure, ax = plt.subplots(figsize=(NARROW if narrow else 0.7 * WIDE, 2.7))
    places = np.arange(len(rows))
    found, falsely = (rows[name].to_numpy(float) for name in ("found", "falsely"))
    ax.barh(places + 0.18, found, 0.34, color=BLUE, label="collapsed, found")
    ax.barh(places - 0.18, falsely, 0.34, color=GREY, label="not collapsed, named")
    ax.axvline(collapsed, color="black", lw=1, ls=":")
    top = len(rows) - 0.55
    ax.annotate(f"{collapsed} collapsed", (collapsed, top), (3, 0), textcoords="offset points")
    ax.set_ylim(-0.5, len(rows) - 0.2)
    ax.set_yticks(places, rows["rule"])
    ax.tick_params(labelsize=8)
    ax.set_xlabel("visible runs")
    figure.legend(loc="outside upper center", ncols=2, fontsize=8)
    return figure


def plot_layer_sharing(means: pd.DataFrame, narrow: bool = False) -> plt.Figure:
    """Draw the metric against the parameters of layers, a line for each way, a panel for each log.

    means: what `layer_sharing.average_seeds` returns, log by log. Numbers beside points are depths.
    """
    logs = list(means["log"].unique())
    figure, axes = panel_grid(len(logs), narrow, 2, 1, 3.1)
    for ax, log in zip(axes, logs):
        for way, (colour, marker, beside_end, beside_point) in SHARING.items():
            of_way = means[(means["way"] == way) & (means["log"] == log)].sort_values("n_layers")
            x, y = of_way["parameters"], of_way["value"]
            ax.vlines(x, of_way["low"], of_way["high"], color=colour, lw=0.8, alpha=0.6)
            ax.plot(x, y, marker=marker, ms=5, color=colour)
            for depth, *place in zip(of_way["n_layers"], x, y):
                _label(ax, f"{depth}", place, beside_point, colour)
            _label(ax, way, of_way[["parameters", "value"]].iloc[-1], beside_end, colour)
        set_log_axis(ax, SIZES)
        ax.set_xlim(SIZES[0], None)
        ax.set_title(log)
        ax.set_xlabel("parameters of layers, without embeddings")
        ax.tick_params(labelsize=8)
    for ax in axes[:: 1 if narrow else 2]:
        ax.set_ylabel("NDCG@10 on test")
    return figure


def _label(ax: Axes, text: str, place: Any, offset: tuple[int, int], colour: str) -> None:
    """Write a text so many points beside a place."""
    ax.annotate(text, place, offset, textcoords="offset points", fontsize=9, color=colour)


def plot_forecasts(scored: pd.DataFrame, narrow: bool = False) -> plt.Figure:
    """Draw the gain of the forecast over the mean against ApEn, by day and by week.

    scored: what `forecastability.score_all` returns.
    """
    steps = ("day", "week")
    shape = (2, 1) if narrow else (1, 2)
    size = (NARROW if narrow else WIDE, 5.4 if narrow else 2.9)
    figure, axes = plt.subplots(*shape, figsize=size, sharey=True)
    for ax, step in zip(axes.flat, steps):
        of_step = scored[scored["step"] == step]
        for log, style in log_styles(scored["log"]).items():
            points = of_step[of_step["log"] == log]
            ax.plot(points["apen"], points["over mean"], "o", ms=4, color=style["color"], label=log)
        ax.axhline(0, color="black", lw=0.8)
        ax.set_title(f"counts by {step}")
        ax.set_xlabel("approximate entropy, nats")
        ax.tick_params(labelsize=8)
    axes.flat[0].set_ylabel("error below that\nof the mean, %")
    if narrow:
        axes.flat[1].set_ylabel("error below that\nof the mean, %")
    marks, names = axes.flat[0].get_legend_handles_labels()
    kept = [i for i, name in enumerate(names) if name in set(scored["log"])]
    figure.legend(
        [marks[i] for i in kept],
        [names[i] for i in kept],
        loc="outside upper center",
        ncols=2 if narrow else 4,
        fontsize=8,
    )
    return figure


def plot_augmented_gains(means: pd.DataFrame, narrow: bool = False) -> plt.Figure:
    """Draw what each augmentation brings, and what twice the users bring, a panel for each log.

    means: what `augmented_data.average_over_shares` returns, log by log.
    """
    logs = list(means["log"].unique())
    figure, axes = panel_grid(len(logs), narrow, 2, 1, 2.6, sharex=True)
    for ax, log in zip(axes, logs):
        rows = means[means["log"] == log].iloc[::-1]
        places = np.arange(len(rows))
        is_real = rows["augmentation"] == MORE_USERS
        colours = np.where(is_real, VERMILLION, BLUE)
        ax.hlines(places, rows["low"], rows["high"], color=colours, lw=1.5)
        ax.scatter(rows["gain"], places, s=24, color=colours, zorder=3)
        ax.axvline(0, color="black", lw=0.8)
        ax.set_yticks(places, rows["augmentation"])
        ax.set_title(log)
        ax.set_xlabel(f"change of {grid_runs.METRIC}, %")
        ax.tick_params(labelsize=8)
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
                dots = of_log[of_log["change"] == name]
                ax.plot(dots.groupby("n_layers")["value"].mean(), color=colour, lw=1.4)
                ax.plot(dots["n_layers"], dots["value"], "o", ms=3, color=colour)
            _label(ax, str(log), (depths[0], of_log["value"].max()), (0, 6), "black")
        ax.set_title(change, color=VERMILLION)
        set_log_axis(ax, depths)
        ax.set_ylim(0, 1.2 * runs["value"].max())
        ax.set_xlabel("layers N")
    for ax in axes[:: 2 if narrow else 3]:
        ax.set_ylabel(grid_runs.METRIC)
    return figure
