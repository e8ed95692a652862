"""Figures of trained models: published rows, sweeps, their cost, and gains by size."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import cycle
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from perflaw.plotting import (
    BASELINE,
    BLUE,
    CATEGORIES,
    GREY,
    SEQUENCE,
    VERMILLION,
    legend_above,
    name_rows,
    panel_grid,
    set_log_axis,
)
from perflaw.study.figures.style import law_colours

if TYPE_CHECKING:
    from perflaw.laws.fitting import Fit

LEVEL_DASHES = (":", "--", "-.")
GROWING_SIZES = {
    "n_layers": "layers N",
    "d_emb": "dimension d",
    "max_seq_len": "length L",
    "n_items": "items",
}
BACKBONE_COLOURS = {"sasrec": BLUE, "llama": VERMILLION}
COST_MODELS = {"by_flops": ("--", "FLOPs"), "by_sum": ("-", "sum of work")}
ACCEPTED_RATIO = 1.3
PAPER_R2 = 0.95  # which the paper reports for the law of the loss


def plot_published_rows(rows: pd.DataFrame, narrow: bool = False) -> Figure:
    """Plot published and measured NDCG@10, a line a row.

    Parameters
    ----------
    rows
        Columns label, published_ndcg, measured_ndcg and se_ndcg.
    narrow
        Whether the figure is for a phone.
    """
    figure, (ax,) = panel_grid(1, narrow, 1, 1, 0.9 + 0.32 * len(rows))
    places = np.arange(len(rows))[::-1]
    ax.errorbar(
        rows["measured_ndcg"],
        places,
        xerr=2 * rows["se_ndcg"],
        fmt="o",
        ms=5,
        capsize=2,
        lw=1.2,
        color=BLUE,
        label="ours, ± 2 se",
    )
    diamond: dict[str, Any] = {"color": VERMILLION, "mfc": "none", "mew": 1.5, "ms": 6}
    ax.plot(rows["published_ndcg"], places, "D", label="published", **diamond)
    labels = rows["label"].str.replace(", ", ",\n", n=1) if narrow else rows["label"]
    name_rows(ax, places, labels, margin=0.7)
    ax.set(xlim=(0, None), xlabel="NDCG@10")
    legend_above(figure, 2, [ax])
    return figure


def plot_surfaces(
    cells: pd.DataFrame,
    levels: pd.DataFrame,
    metric: str,
    fits: Mapping[str, Fit] | None = None,
    narrow: bool = False,
) -> Figure:
    """Plot a metric over the dimension, a curve for each number of layers, a panel for each log.

    Parameters
    ----------
    cells
        Columns log, n_layers, d_emb, the metric and sd (between seeds, drawn as ±).
    levels
        Columns log, label and the metric, of what is drawn across: baselines, and a ceiling
        where one is known.
    metric
        Name of the metric.
    fits
        By log, laws whose curves are drawn instead of lines from dot to dot.
    narrow
        Whether the figure is for a phone.
    """
    logs = cells.groupby("log", sort=False)
    height = 3.0 if len(logs) == 1 else 2.5
    figure, axes = panel_grid(len(logs), narrow, min(3, len(logs)), 1, height)
    depths = sorted(cells["n_layers"].unique())
    colours = _shades(depths)
    for ax, (log, surface) in zip(axes, logs):
        _draw_depths(ax, surface, metric, colours, fits[str(log)] if fits else None)
        values = levels.loc[levels["log"] == log, ["label", metric]]
        for dash, (label, value) in zip(LEVEL_DASHES, values.itertuples(index=False)):
            ax.axhline(value, color="black", lw=1, ls=dash, label=label)
        set_log_axis(ax, sorted(surface["d_emb"].unique()))
        if fits:
            ax.set_ylim(0.8 * surface[metric].min(), 1.15 * surface[metric].max())
        else:
            ax.set_ylim(0, None)
        ax.set_title(str(log))
    handles: dict[str, Any] = dict.fromkeys(f"N = {depth}" for depth in depths)
    for ax in axes:
        artists, labels = ax.get_legend_handles_labels()
        handles |= dict(zip(labels, artists))
    legend_above(figure, 3 if narrow else 7, handles)
    figure.supxlabel("embedding dimension d")
    figure.supylabel(metric)
    return figure


def _shades(values: list) -> dict:
    last = max(1, len(values) - 1)
    return {value: SEQUENCE(0.1 + 0.8 * i / last) for i, value in enumerate(values)}


def _draw_depths(
    ax: Axes, surface: pd.DataFrame, metric: str, colours: Mapping, fit: Fit | None
) -> None:
    """Draw one line for each number of layers, or dots and the law's curve."""
    dense = np.geomspace(surface["d_emb"].min(), surface["d_emb"].max(), 40)
    for depth, rows in surface.groupby("n_layers"):
        x, y, sd = rows["d_emb"], rows[metric], rows["sd"].fillna(0)
        style = {"color": colours[depth], "marker": "o", "ms": 3.5, "lw": 1.3, "capsize": 2}
        ax.errorbar(x, y, yerr=sd, ls="" if fit else "-", label=f"N = {depth}", **style)
        if fit:
            points = pd.DataFrame({"n_layers": float(cast("int", depth)), "d_emb": dense})
            ax.plot(dense, fit.predict(points), color=colours[depth], lw=1.2)


def plot_beside_paper(cells: pd.DataFrame, metric: str, narrow: bool = False) -> Figure:
    """Plot a metric over the layers, as trained here and as published.

    Parameters
    ----------
    cells
        Columns n_layers, d_emb, sampled and sampled sd (trained here, among 2,500 items) and
        published. Where nothing is published: value and sd, all items ranked.
    metric
        Name of the metric.
    narrow
        Whether the figure is for a phone.
    """
    panels: list[tuple[str, str, str | None]] = [("trained here, all items ranked", "value", "sd")]
    if cells["published"].notna().any():
        panels = [("trained here", "sampled", "sampled sd"), ("published", "published", None)]
    figure, axes = panel_grid(len(panels), narrow, len(panels), 1, 2.8, sharey=not narrow)
    dimensions = sorted(cells["d_emb"].unique())
    colours = _shades(dimensions)
    for ax, (title, column, sd_column) in zip(axes, panels):
        for d_emb, rows in cells.groupby("d_emb"):
            x, y = rows["n_layers"], rows[column]
            sd = rows[sd_column].fillna(0) if sd_column else None
            style = {"color": colours[d_emb], "marker": "o", "ms": 4, "lw": 1.3, "capsize": 2}
            ax.errorbar(x, y, yerr=sd, label=f"d = {d_emb}", **style)
        ax.set_xticks(sorted(cells["n_layers"].unique()))
        ax.set_title(title)
    legend_above(figure, len(dimensions), axes[:1])
    figure.supxlabel("layers N")
    figure.supylabel(metric if len(panels) == 1 else f"{metric}, among 2,500 items")
    return figure


def plot_cost_check(costs: pd.DataFrame, narrow: bool = False) -> Figure:
    """Plot seconds of runs as predicted from other runs against those measured.

    Parameters
    ----------
    costs
        Columns sweep, seconds, predicted, and predicted, epochs known.
    narrow
        Whether the figure is for a phone.
    """
    columns = {"epochs as predicted": "predicted", "epochs known": "predicted, epochs known"}
    figure, axes = panel_grid(2, narrow, 2, 1, 3.0)
    ends = costs["seconds"].min() / 1.5, costs["seconds"].max() * 1.5
    for ax, (title, column) in zip(axes, columns.items()):
        ax.plot(ends, ends, color="black", lw=0.8)
        for (sweep, rows), colour in zip(costs.groupby("sweep", sort=False), cycle(CATEGORIES)):
            x, y = rows["seconds"], rows[column]
            ax.plot(x, y, "o", ms=3.5, alpha=0.7, mew=0, color=colour, label=sweep)
        ax.set(xscale="log", yscale="log", title=title, xlabel="measured, seconds")
    axes[0].set_ylabel("predicted, seconds")
    legend_above(figure, 2 if narrow else 4, axes[:1])
    return figure


def plot_training_cost(rows: pd.DataFrame, narrow: bool = False) -> Figure:
    """Plot the time of a token over what two models of cost say, as each size grows.

    Parameters
    ----------
    rows
        Columns backbone, grows (which size), that size, by_sum and by_flops; rows of which
        nothing grows are the reference, at 1. The grey band is within 1.3 times.
    narrow
        Whether the figure is for a phone.
    """
    figure, axes = panel_grid(4, narrow, 4, 2, 2.6, sharey=True)
    for ax, (size, size_name) in zip(axes, GROWING_SIZES.items()):
        ax.axhspan(1 / ACCEPTED_RATIO, ACCEPTED_RATIO, color="#eeeeee", lw=0)
        in_panel = rows[(rows["grows"] == size) | rows["grows"].isna()].sort_values(size)
        for backbone, colour in BACKBONE_COLOURS.items():
            curve = in_panel[in_panel["backbone"] == backbone]
            for column, (dash, name) in COST_MODELS.items():
                style: dict[str, Any] = {"ls": dash, "marker": "o", "ms": 3, "lw": 1.2}
                label = f"{backbone}, over {name}"
                ax.plot(curve[size], curve[column], color=colour, label=label, **style)
        ticks = sorted(rows.loc[rows["grows"] == size, size].unique())
        set_log_axis(ax, ticks[:: 2 if size == "n_items" else 1])
        set_log_axis(ax, [0.5, 1, 2, 4, 8], vertical=True)
        ax.set_xlabel(size_name)
    axes[0].set_ylabel("measured / model")
    legend_above(figure, 1 if narrow else 2, axes[:1])
    return figure


def plot_marginal_gains(gains: pd.DataFrame, older: pd.DataFrame, narrow: bool = False) -> Figure:
    """Plot what each step to a larger size changes under two ranking rules, a panel a surface.

    Parameters
    ----------
    gains
        As `marginal_gains` returns them, of one axis, but change, low and high in per cent:
        under the rule of record, drawn filled.
    older
        The same under the older rule, drawn as grey rings.
    narrow
        Whether the figure is for a phone.
    """
    surfaces = gains.groupby("log", sort=False)
    figure, axes = panel_grid(len(surfaces), narrow, min(3, len(surfaces)), 1, 2.2, sharey=True)
    rules = (
        (older, 0.15, GREY, "white", "validation item stays in"),
        (gains, -0.15, BLUE, BLUE, "whole history removed"),
    )
    for ax, (surface, steps) in zip(axes, surfaces):
        for table, shift, colour, face, label in rules:
            of_rule = table[table["log"] == surface]
            x, y = np.arange(len(of_rule)) + shift, of_rule["change"]
            error = [y - of_rule["low"], of_rule["high"] - y]
            style: dict[str, Any] = {"fmt": "o", "ms": 4.5, "mfc": face, "lw": 1.2}
            ax.errorbar(x, y, error, color=colour, label=label, **style)
        ax.axhline(0, color="black", lw=0.8)
        sizes = zip(steps["smaller"], steps["larger"])
        ax.set_xticks(range(len(steps)), [f"{small}→{large}" for small, large in sizes])
        ax.set(xlim=(-0.6, len(steps) - 0.4), title=surface)
        ax.grid(axis="x", visible=False)
    legend_above(figure, 1 if narrow else 2, axes[:1])
    name = GROWING_SIZES[gains["axis"].iloc[0]]
    figure.supxlabel(f"step in {name}")
    figure.supylabel("change, %")
    return figure


def plot_r2_and_ceiling(rows: pd.DataFrame, narrow: bool = False) -> Figure:
    """Plot R² in sample beside its noise ceiling, a row a surface and a panel a quantity.

    Parameters
    ----------
    rows
        Columns quantity, dataset, law, r2 and noise ceiling; two laws.
    narrow
        Whether the figure is for a phone.
    """
    quantities = rows.groupby("quantity", sort=False)
    names = list(dict.fromkeys(rows["dataset"]))[::-1]
    height = 0.8 + 0.24 * len(names)
    figure, axes = panel_grid(
        len(quantities), narrow, len(quantities), 1, height, sharey=not narrow
    )
    colours = law_colours(rows["law"].unique())
    for ax, (quantity, of_panel) in zip(axes, quantities):
        ceilings = of_panel.drop_duplicates("dataset")
        places = ceilings["dataset"].map(names.index)
        tick: dict[str, Any] = {"marker": "|", "ms": 13, "mew": 2, "ls": "", "color": BASELINE}
        ax.plot(ceilings["noise ceiling"], places, label="noise ceiling", **tick)
        for law, points in of_panel.groupby("law", sort=False):
            places = points["dataset"].map(names.index)
            ax.plot(points["r2"], places, "o", ms=5, color=colours[str(law)], label=law)
        ax.axvline(PAPER_R2, color="black", lw=0.8, ls=":")
        name_rows(ax, range(len(names)), names)
        ax.set(xlim=(-0.04, 1.03), title=quantity, xlabel="R² in sample")
    legend_above(figure, 2 if narrow else 3, axes[:1])
    return figure
