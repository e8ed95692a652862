"""Figures of recipes: sizes compared at one recipe, and at the recipe that validation chooses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from perflaw.plotting import BLUE, GREY, VERMILLION, legend_above, panel_grid, set_log_axis

DROPOUT_DASHES = (":", "--", "-.", "-")


def plot_recipes(by_size: pd.DataFrame, metric: str, noise: float, narrow: bool = False) -> Figure:
    """Plot a metric over model size: each dropout held, and the recipe that validation chooses.

    Sizes are in the order of their layers' weights, about 6·N·d².

    Parameters
    ----------
    by_size
        As `regularisation.tuned_by_size` returns it.
    metric
        Name of the metric.
    noise
        Standard deviation of a run between seeds, in per cent; the bars of what is chosen.
    narrow
        Whether the figure is for a phone.
    """
    figure, (ax,) = panel_grid(1, narrow, 1, 1, 3.0)
    layer_weights = 6 * by_size["n_layers"] * by_size["d_emb"] ** 2
    by_size = by_size.iloc[np.argsort(layer_weights.to_numpy(), kind="stable")]
    places = np.arange(len(by_size))
    held = by_size.filter(like="dropout ")
    for name, dash in zip(held, DROPOUT_DASHES):
        ax.plot(places, held[name], marker="o", ms=4, color=GREY, lw=1.2, ls=dash, label=name)
    chosen = by_size["chosen"]
    style: dict[str, Any] = {"fmt": "-D", "ms": 5, "lw": 1.6, "capsize": 2, "color": BLUE}
    label = "dropout and rate chosen by validation"
    ax.errorbar(places, chosen, noise / 100 * chosen, label=label, **style)
    sizes = zip(by_size["n_layers"], by_size["d_emb"])
    ax.set_xticks(places, [f"N {n}, d {d}" for n, d in sizes])
    ax.set(xlabel="model size, by the weights of its layers", ylabel=metric)
    legend_above(figure, 1 if narrow else 4, [ax])
    return figure


def plot_tuned_sizes(
    held: pd.DataFrame, tuned: pd.DataFrame, usual: pd.DataFrame, metric: str, narrow: bool = False
) -> Figure:
    """Plot a metric over the dimension, a panel a depth: recipes held, and the recipe chosen.

    Parameters
    ----------
    held
        As `tuned_sizes.hold_recipes` returns it.
    tuned
        Runs with the chosen recipes and new seeds: n_layers, d_emb, seed and the metric.
    usual
        Runs with the study's usual recipe: the same columns.
    metric
        Name of the metric.
    narrow
        Whether the figure is for a phone.
    """
    depths = held.groupby("n_layers")
    figure, axes = panel_grid(len(depths), narrow, 2, 1, 3.0, sharey=True)
    for ax, (depth, recipes) in zip(axes, depths):
        values = recipes.filter(like="d = ")
        dimensions = [int(str(name).removeprefix("d = ")) for name in values]
        style: dict[str, Any] = {"color": GREY, "lw": 0.8, "marker": ".", "ms": 4}
        ax.plot(dimensions, values.to_numpy().T, label="a drawn recipe, held", **style)
        for runs, colour, marker, label in (
            (usual, VERMILLION, "s", "usual recipe"),
            (tuned, BLUE, "D", "recipe chosen by validation"),
        ):
            of_depth = runs[runs["n_layers"] == depth]
            mean = of_depth.groupby("d_emb")[metric].mean()
            ax.plot(of_depth["d_emb"], of_depth[metric], ".", ms=4, color=colour)
            ax.plot(mean.index, mean, marker=marker, ms=5, lw=1.6, color=colour, label=label)
        set_log_axis(ax, dimensions)
        ax.set(title=f"N = {depth}", xlabel="dimension d")
    axes[0].set_ylabel(metric)
    legend_above(figure, 1 if narrow else 3, axes[:1])
    return figure
