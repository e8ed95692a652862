"""Figures of the published surfaces: fits, printed against recomputed values, rival laws."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from perflaw.plotting import (
    BASELINE,
    BLUE,
    SEQUENCE,
    VERMILLION,
    legend_above,
    name_rows,
    panel_grid,
    set_log_axis,
)
from perflaw.study.figures.style import LABELS, law_colour

if TYPE_CHECKING:
    from perflaw.laws.fitting import Fit

PANEL_LAWS = {"PerformanceLaw": "Performance Law", "ScalingLaw": "Scaling Law"}
VISIBLE_R2 = 1e-6  # a difference below this is that of rounding


def plot_small_multiples(
    table: pd.DataFrame, fits: Mapping[tuple, Fit], narrow: bool = False
) -> Figure:
    """Plot all surfaces, one panel each: points by N, one colour a d, and the fitted law.

    Parameters
    ----------
    table
        Surfaces, as `load_surfaces` returns them.
    fits
        Fits by (dataset, max_seq_len, metric).
    narrow
        Whether the figure is for a phone.
    """
    surfaces = table.groupby(["dataset", "max_seq_len", "metric"])
    figure, axes = panel_grid(len(fits), narrow, 4 if len(fits) <= 9 else 5, 2, 1.65)
    for ax, ((dataset, length, metric), fit) in zip(axes, fits.items()):
        _draw_surface(ax, surfaces.get_group((dataset, length, metric)), fit)
        ax.set_title(f"{dataset}\n{metric}, L {length}\nR² {fit.r2:.3f}", fontsize=8)
        ax.tick_params(length=2)
    shades = [Line2D([], [], color=_shade(i, 4), marker="o", ms=3) for i in range(4)]
    names = ["smallest d", "second d", "third d", "largest d"]
    legend_above(figure, 2 if narrow else 4, dict(zip(names, shades)))
    figure.supxlabel("layers N")
    figure.supylabel("metric, %")
    return figure


def _shade(place: int, count: int) -> tuple:
    return SEQUENCE(0.15 + 0.8 * place / (count - 1))


def _draw_surface(ax: Axes, surface: pd.DataFrame, fit: Fit) -> None:
    layers = np.unique(surface["n_layers"])
    dimensions = np.unique(surface["d_emb"])
    dense = np.geomspace(layers[0], layers[-1], 60)
    for i, d_emb in enumerate(dimensions):
        colour = _shade(i, len(dimensions))
        points = surface[surface["d_emb"] == d_emb]
        ax.plot(points["n_layers"], 100 * points["value"], "o", ms=3, color=colour)
        curve = fit.predict(pd.DataFrame({"n_layers": dense, "d_emb": d_emb}))
        ax.plot(dense, 100 * curve, "-", lw=1, color=colour)
    set_log_axis(ax, list(layers))


def plot_printed_against_recomputed(panels: pd.DataFrame, narrow: bool = False) -> Figure:
    """Plot R² of the 40 panels: printed (ring) against recomputed from the drawing (dot).

    Parameters
    ----------
    panels
        As `printed_fits` returns them.
    narrow
        Whether the figure is for a phone.
    """
    figure, axes = panel_grid(2, narrow, 2, 1, 4.2)
    for ax, (law, rows) in zip(axes, panels.groupby("law", sort=False)):
        labels = [f"{row.dataset}, L {row.max_seq_len}, {row.metric}" for row in rows.itertuples()]
        places = np.arange(len(rows))[::-1]
        printed, drawn = rows["printed_r2"], rows["drawn_r2"]
        ax.hlines(places, drawn, printed, color=VERMILLION, lw=2)
        ax.plot(printed, places, "o", ms=7, mfc="none", mec=VERMILLION, label="printed")
        ax.plot(drawn, places, "o", ms=3.5, color=BLUE, label="recomputed")
        beside: dict[str, Any] = {"ha": "right", "va": "center", "textcoords": "offset points"}
        for y, left, difference in zip(places, np.minimum(printed, drawn), printed - drawn):
            if abs(difference) > VISIBLE_R2:
                text = f"{difference:+.2f}"
                ax.annotate(text, (left, y), (-8, 0), color=VERMILLION, fontsize=8, **beside)
        ax.set_yticks(places, labels, fontsize=7)
        ax.set(title=f"{PANEL_LAWS[str(law)]} panels", xlabel="R²", xlim=(0, 1.03))
    axes[0].legend(loc="lower left")
    return figure


def plot_errors_by_law(
    in_sample: pd.DataFrame, errors: pd.DataFrame, narrow: bool = False
) -> Figure:
    """Plot R² in sample, and the error on cells that the fit has not seen, one line a law.

    Parameters
    ----------
    in_sample
        Columns law and r2.
    errors
        Columns law, split and mape (per cent); the least of each split has a ring.
    narrow
        Whether the figure is for a phone.
    """
    names = list(in_sample["law"])
    places = dict(zip(names, range(len(names))[::-1]))
    splits = errors.groupby("split", sort=False)
    n_panels = 1 + len(splits)
    height = 2.5 if narrow else 2.9
    figure, axes = panel_grid(n_panels, narrow, n_panels, 1, height, sharey=not narrow)
    axes[0].plot(in_sample["r2"], in_sample["law"].map(places), "s", color="black", ms=4)
    axes[0].set(title="seen: R²\n(right is better)", xlim=(-0.05, 1.05))
    axes[0].set_xticks([0, 0.5, 1])
    axes[0].set_xlabel("R²")
    for ax, (split, rows) in zip(axes[1:], splits):
        for law, error in zip(rows["law"], rows["mape"]):
            y = places[law]
            ax.plot(error, y, "o", ms=5, color=law_colour(law), zorder=3)
            if error == rows["mape"].min():
                ax.plot(error, y, "o", ms=9, mfc="none", mec="black", zorder=2)
            ax.annotate(f"{error:.2f}", (error, y), (5, 3), textcoords="offset points", fontsize=7)
        ax.set(
            title=f"hidden: {LABELS.get(str(split), split)}\n(left is better)",
            xlim=(0, 1.35 * errors["mape"].max()),
            xlabel="mean error, %",
        )
    for ax in axes:
        name_rows(ax, list(places.values()), [LABELS.get(name, name) for name in names])
    return figure


def plot_recipe_against_search(panels: pd.DataFrame, narrow: bool = False) -> Figure:
    """Plot R² of each surface: one local search from ones (ring), and the global search (dot).

    Parameters
    ----------
    panels
        As `replication.recipe_against_search` returns them.
    narrow
        Whether the figure is for a phone.
    """
    figure, (ax,) = panel_grid(1, narrow, 1, 1, 3.8)
    places = np.arange(len(panels))[::-1]
    local, best = panels["recipe_r2"], panels["global_r2"]
    ax.hlines(places, local, best, color=BASELINE, lw=1)
    ax.plot(local, places, "o", ms=7, mfc="none", mec=VERMILLION, label="one search from ones")
    ax.plot(best, places, "o", ms=4, color=BLUE, label="global search")
    ax.set_yticks(places, panels["surface"], fontsize=7)
    ax.set(xlabel="R² of the Performance Law, k = 2", xlim=(0, 1.03))
    legend_above(figure, 2, [ax])
    return figure
