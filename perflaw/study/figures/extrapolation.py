"""Figures of predictions: cells that no law had seen, choices, transfer, and the findings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from perflaw.plotting import (
    BASELINE,
    BLUE,
    PERFORMANCE_LAW,
    legend_above,
    name_rows,
    panel_grid,
)
from perflaw.study.analysis import transfer
from perflaw.study.figures.style import LABELS, law_colour
from perflaw.study.intervals import mean_over_logs

TRANSFER_COLOURS = {
    transfer.CARRIED: PERFORMANCE_LAW,
    transfer.MEAN: BASELINE,
    transfer.PLANE: BLUE,
}
SIMPLE_RULES = ("best seen", "largest model")
UNTRAINED_ONLY = "law predicts untrained cells only"
ERROR_RANGE = 60  # per cent; what is beyond stands at the edge


def plot_signed_errors(
    scored: pd.DataFrame, laws: Mapping[str, str], narrow: bool = False
) -> Figure:
    """Plot the signed error of every predicted cell, a row a surface and a panel a law.

    Parameters
    ----------
    scored
        As `score_predictions` returns them.
    laws
        Laws that are shown, each with the title of its panel.
    narrow
        Whether the figure is for a phone.
    """
    names = sorted(set(scored["dataset"]), reverse=True)
    height = 0.9 + 0.2 * len(names)
    figure, axes = panel_grid(
        len(laws), narrow, len(laws), 1, height, sharex=True, sharey=not narrow
    )
    for ax, (law, title) in zip(axes, laws.items()):
        rows = scored[scored["law"] == law]
        places = rows["dataset"].map(names.index)
        errors = rows["error"].clip(-ERROR_RANGE, ERROR_RANGE)
        colour = law_colour(law)
        ax.plot(errors, places, "o", clip_on=False, ms=4, alpha=0.6, mew=0, color=colour)
        means = rows.groupby("dataset")["error"].mean().clip(-ERROR_RANGE, ERROR_RANGE)
        ax.plot(means, means.index.map(names.index), "|", ms=9, mew=1.6, color="black")
        ax.axvline(0, color="black", lw=0.8)
        name_rows(ax, range(len(names)), names)
        ax.set_xlim(-ERROR_RANGE, ERROR_RANGE)
        ax.set_xticks([-ERROR_RANGE, 0, ERROR_RANGE])
        ax.set_title(title)
    figure.supxlabel("error of the prediction, % of the observation")
    return figure


def plot_chosen_sizes(counts: pd.DataFrame, target: float, narrow: bool = False) -> Figure:
    """Plot how often each rule's choice is as good as the best, and its mean regret.

    Parameters
    ----------
    counts
        Columns rule; as good (per cent) and 100 ln regret; the ends of their intervals, with
        ", low" and ", high"; and the same with ", kept": where a law is evaluated only on
        untrained cells.
    target
        The share at which the dashed line stands.
    narrow
        Whether the figure is for a phone.
    """
    figure, axes = panel_grid(2, narrow, 2, 1, 3.0, sharey=not narrow)
    places = np.arange(len(counts))[::-1]
    labels = {"as good": "as good as the best, %", "100 ln regret": "mean regret, 100 × ln"}
    colours = [BASELINE if rule in SIMPLE_RULES else law_colour(rule) for rule in counts["rule"]]
    for ax, (column, label) in zip(axes, labels.items()):
        untrained = counts[f"{column}, kept"]
        ring: dict[str, Any] = {"facecolors": "none", "edgecolors": "black", "lw": 0.8}
        ax.scatter(untrained, places, s=80, label=UNTRAINED_ONLY, **ring)
        low, high = counts[f"{column}, low"], counts[f"{column}, high"]
        ax.hlines(places, low, high, color=colours, lw=1.5)
        ax.scatter(counts[column], places, s=28, c=colours, zorder=3)
        name_rows(ax, places, counts["rule"].replace(LABELS))
        ax.set(xlabel=label, xlim=(0, 103 if column == "as good" else None))
    axes[0].axvline(100 * target, color=BASELINE, lw=1, ls="--")
    legend_above(figure, 1, axes[:1])
    return figure


def plot_answer(
    panels: Mapping[str, tuple[pd.DataFrame, float, tuple[str, str, str]]],
    paper: set[str],
    simple: set[str],
    narrow: bool = False,
) -> Figure:
    """Plot the findings in one figure, a panel a question.

    Parameters
    ----------
    panels
        By question: rows (columns label, mean, low, high), where the dashed line stands, and
        what the axis is, which way is better (left or right) and what the line is.
    paper
        Labels of what the paper proposes.
    simple
        Labels of baselines, which are grey.
    narrow
        Whether the figure is for a phone.
    """
    shares = {"height_ratios": [len(rows) + 1 for rows, *_ in panels.values()]} if narrow else {}
    figure, axes = panel_grid(len(panels), narrow, len(panels), 1, 3.1 if narrow else 3.7, **shares)
    for ax, (question, (rows, line, (label, better, line_label))) in zip(axes, panels.items()):
        ordered = rows.sort_values("mean", ascending=better == "right")
        for y, row in enumerate(ordered.itertuples()):
            colour = BASELINE if row.label in simple else law_colour(str(row.label))
            _draw_finding(ax, y, row, colour, row.label in paper)
        # One dash a row, below its label, so that none strikes a label through.
        places = np.arange(len(rows))
        dashes: dict[str, Any] = {"color": BASELINE, "lw": 1, "ls": (0, (2, 1)), "zorder": 1}
        ax.vlines(np.full(len(rows), line), places - 0.4, places + 0.15, **dashes)
        ax.set_yticks([])
        ax.set_ylim(-0.4, len(rows) + 0.4)
        side = "center" if line < rows["high"].max() / 2 else "right"
        ax.text(line, len(rows) - 0.05, line_label, ha=side, color=BASELINE, fontsize=8)
        ax.set_title(question, loc="left", fontweight="bold")
        ax.set_xlabel(f"{label}\n{better} is better", fontsize=8)
        ax.set_xlim(min(0, rows["low"].min()), 1.08 * max(rows["high"].max(), line))
        ax.spines["left"].set_visible(False)
    return figure


def _draw_finding(ax: Axes, y: int, row: Any, colour: str, of_paper: bool) -> None:
    marker, weight = "o", "normal"
    if of_paper:
        colour, marker, weight = PERFORMANCE_LAW, "D", "bold"
    ax.plot([row.low, row.high], [y, y], color=colour, lw=1.8, solid_capstyle="butt")
    ax.plot(row.mean, y, marker, ms=6, color=colour, clip_on=False, zorder=3)
    ax.annotate(
        row.label,
        (0, y),
        (2, 5),
        xycoords=("axes fraction", "data"),
        textcoords="offset points",
        fontsize=8,
        fontweight=weight,
        zorder=2,
        bbox={"fc": "white", "ec": "none", "pad": 0.5},
    )


def plot_transfer_errors(errors: pd.DataFrame, narrow: bool = False) -> Figure:
    """Plot the error on the cells left against the cells of the target that were used.

    Dots are means over logs; the dotted line is what noise alone gives.

    Parameters
    ----------
    errors
        As `errors_by_target` returns them; a panel a kind of target.
    narrow
        Whether the figure is for a phone.
    """
    kinds = errors.groupby("kind", sort=False)
    figure, axes = panel_grid(len(kinds), narrow, len(kinds), 1, 2.8, sharey=True)
    for ax, (kind, of_kind) in zip(axes, kinds):
        means = mean_over_logs(of_kind, ["ape"], ["rule", "cells"])["ape"]
        for rule, colour in TRANSFER_COLOURS.items():
            of_rule = means[rule]
            ax.plot(of_rule.index, of_rule, "-o", ms=4, lw=1.4, color=colour, label=rule)
        noise = mean_over_logs(of_kind, ["noise alone"], ["kind"])["noise alone"].item()
        ax.axhline(noise, color="black", lw=1, ls=":", label="noise alone")
        ax.set(
            title=f"{kind} ({of_kind['target'].nunique()} targets)",
            xlabel="cells of the target that were used",
        )
    axes[0].set(ylim=(0, None), ylabel="error on the rest, %")
    legend_above(figure, 2 if narrow else 4, axes)
    return figure
