"""Figures of the comparison of data measures, and of its synthetic controls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from perflaw.plotting import (
    BASELINE,
    BLUE,
    PERFORMANCE_LAW,
    SKY,
    VERMILLION,
    legend_above,
    name_rows,
    panel_grid,
    set_log_axis,
)
from perflaw.study.analysis.data_measures import P_LAW, PAPER, POSITIONS

SPLITS = {"log": "a log left out", "intervention": "an intervention left out"}
RANGE = (-60.0, 60.0)  # points of 100 that are shown; a triangle lies beyond
OF_THE_PAPER = (PAPER, P_LAW)
CONTROLS = {"size": "users, at one entropy rate", "rate": "entropy rate (nats), at one size"}
GROUPS = {  # what an intervention does: its colour, and the interventions
    "fewer interactions": (BLUE, ("sample_users", "sample_time", "truncate", "k_core")),
    "order or items spoilt": (VERMILLION, ("shuffle_order", "replace_random")),
    "copies and repeats": (SKY, ("duplicate_users", "insert_repeats", "remove_repeats")),
}


def plot_data_measures(
    pooled: pd.DataFrame, equal: pd.DataFrame, scores: pd.DataFrame, narrow: bool = False
) -> Figure:
    """Plot what candidates for D′ explain beyond tokens alone, logs pooled and weighted equally.

    Parameters
    ----------
    pooled
        As `data_measures.comparison_table` returns it.
    equal, scores
        As `weigh_logs_equally` and `scores_by_log` return them, of the candidates to show; tokens
        themselves are left out.
    narrow
        Whether the figure is for a phone.
    """
    names = [name for name in equal["candidate"].unique() if name != "tokens"][::-1]
    figure, axes = panel_grid(2, narrow, 2, 1, 3.6, sharey=not narrow)
    by_name = pooled.set_index("candidate")
    for ax, (split, title) in zip(axes, SPLITS.items()):
        means = equal[equal["split"] == split].set_index("candidate")
        points = scores[scores["split"] == split]
        for place, name in enumerate(names):
            colour = _candidate_colour(name)
            edges = 100 * points.loc[points["candidate"] == name, "edge"].to_numpy()
            _mark(ax, edges, place + 0.3, ".", color=BASELINE, ms=4, alpha=0.8)
            low, mean, high = 100 * means.loc[name, ["low", "edge", "high"]].to_numpy(float)
            _draw_interval(ax, (low, high), place + 0.08, color=colour, lw=2.4)
            _mark(ax, [mean], place + 0.08, "o", color=colour, ms=5.5)
            columns = [f"{part} {split}" for part in ("low", "edge", "high")]
            low, mean, high = 100 * by_name.loc[name, columns].to_numpy(float)
            _draw_interval(ax, (low, high), place - 0.2, color=colour, lw=0.9)
            _mark(ax, [mean], place - 0.2, "s", color=colour, ms=4, mfc="white")
        ax.axvline(0, color="black", lw=0.8)
        labels = [name.replace("trained ", "trained\n") if narrow else name for name in names]
        name_rows(ax, range(len(names)), labels, margin=0.7)
        ax.set(xlim=(RANGE[0] - 4, RANGE[1] + 4), title=title)
    figure.supxlabel("score minus that of tokens alone, points")
    legend_above(figure, 1 if narrow else 3, _data_measures_legend())
    return figure


def _candidate_colour(name: str) -> str:
    if name in OF_THE_PAPER:
        return PERFORMANCE_LAW
    return BASELINE if name == POSITIONS else BLUE


def _draw_interval(ax: Axes, ends: tuple[float, float], place: float, **style: Any) -> None:
    ax.plot(np.clip(ends, *RANGE), [place, place], "-", **style)


def _mark(ax: Axes, values: Any, place: float, marker: str, **style: Any) -> None:
    """Mark values; a triangle at the edge stands for one that lies beyond it."""
    for value in values:
        shape = marker
        if not RANGE[0] <= value <= RANGE[1]:
            shape = "<" if value < RANGE[0] else ">"
        ax.plot(np.clip(value, *RANGE), place, shape, **style)


def _data_measures_legend() -> dict[str, Line2D]:
    equally = Line2D([], [], marker="o", lw=2.4, color="black")
    pooled = Line2D([], [], marker="s", mfc="white", lw=0.9, color="black")
    return {
        "logs weighted equally, interval over logs": equally,
        "pooled, interval over log–intervention pairs": pooled,
        "one log": Line2D([], [], marker=".", ls="", color=BASELINE),
    }


def plot_against_changes(
    conditions: pd.DataFrame, candidates: Mapping[str, np.ndarray], narrow: bool = False
) -> Figure:
    """Plot what the metric changed against what each chosen candidate for D′ changed.

    Parameters
    ----------
    conditions
        As `paired_conditions` returns them; colours say what the intervention does.
    candidates
        By name, changes of the logarithm, (conditions,).
    narrow
        Whether the figure is for a phone.
    """
    figure, axes = panel_grid(len(candidates), narrow, 2, 1, 2.5, sharey=True)
    for ax, (name, changes) in zip(axes, candidates.items()):
        for label, (colour, interventions) in GROUPS.items():
            rows = conditions[conditions["intervention"].isin(interventions)]
            x, y = 100 * changes[rows.index], 100 * rows["change"]
            ax.plot(x, y, "o", ms=4, mew=0, alpha=0.8, color=colour, label=label)
        ax.axhline(0, color="black", lw=0.6)
        ax.axvline(0, color="black", lw=0.6)
        ax.set_title(name)
    legend_above(figure, 1 if narrow else 3, axes[:1])
    figure.supxlabel("change of the candidate, 100 × ln")
    figure.supylabel("change of the metric, 100 × ln")
    return figure


def plot_controls(rows: pd.DataFrame, metric: str, narrow: bool = False) -> Figure:
    """Plot the metric on synthetic logs: against users at one entropy rate, and against the rate.

    Parameters
    ----------
    rows
        Columns kind (size or rate), x, the metric, and best (the best possible, nan where it is
        not known).
    metric
        Name of the metric.
    narrow
        Whether the figure is for a phone.
    """
    figure, axes = panel_grid(2, narrow, 2, 1, 2.7)
    for ax, (kind, label) in zip(axes, CONTROLS.items()):
        points = rows[rows["kind"] == kind].sort_values("x")
        means = points.groupby("x")[[metric, "best"]].mean()
        ax.plot(points["x"], points[metric], "o", ms=4, color=BLUE, mfc="none")
        ax.plot(means.index, means[metric], "-", color=BLUE, label="trained")
        ax.plot(means.index, means["best"], ":", color="black", label="best possible")
        if kind == "size":
            set_log_axis(ax, list(means.index))
        ax.set(xlabel=label, ylim=(0, None))
    axes[0].set_ylabel(metric)
    legend_above(figure, 2, axes[:1])
    return figure
