"""Figures of logs, of the synthetic process, and of entropies."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import StrMethodFormatter

from perflaw.plotting import (
    BASELINE,
    BLUE,
    PERFORMANCE_LAW,
    PURPLE,
    SEQUENCE,
    SKY,
    legend_above,
    panel_grid,
    set_log_axis,
)
from perflaw.study.figures.style import log_styles

# By curve: the horizontal axis, and what is plotted.
SHAPES = {
    "length": ("interactions of a user", "share of users with as many or more"),
    "popularity": ("rank of the item", "share of interactions"),
    "repeats": ("place in the history", "share that are repeats"),
}
LEAST_ABOVE = 0.05  # nats above the formula: a log less above it is drawn in grey
ESTIMATOR_DASHES = {"plug-in": "--", "corrected": "-"}
ESTIMATOR_COLOURS = {
    "m = 1": BLUE,
    "m = 2": SKY,
    "Lempel-Ziv by user": PURPLE,
    "ApEn by user, absolute": PERFORMANCE_LAW,
}
MEASURE_LABELS = {
    "truth": "known",
    "apen absolute": "|ApEn|",
    "apen signed": "ApEn",
    "lempel-ziv": "LZ",
    "compression": "zip",
}


def plot_log_shapes(curves: pd.DataFrame, narrow: bool = False) -> Figure:
    """Plot lengths, popularity and repeats of logs, a line a log.

    Parameters
    ----------
    curves
        Columns log, curve (length, popularity, repeats), x and y (a share).
    narrow
        Whether the figure is for a phone.
    """
    figure, axes = panel_grid(3, narrow, 3, 1, 2.5 if narrow else 2.9)
    styles = log_styles(curves["log"])
    for ax, (curve, (xlabel, title)) in zip(axes, SHAPES.items()):
        for log, rows in curves[curves["curve"] == curve].groupby("log"):
            ax.plot(rows["x"], rows["y"], **styles[str(log)])
        ax.set(xscale="log", xlabel=xlabel, title=title)
        if curve != "repeats":
            ax.set_yscale("log")
    legend_above(figure, 2 if narrow else 5, axes[:1])
    return figure


def plot_process_truth(rates: pd.DataFrame, narrow: bool = False) -> Figure:
    """Plot what the noise of the synthetic process does to its entropy rate and best hit rate.

    Parameters
    ----------
    rates
        Columns noise, repeat, entropy_rate (nats) and hit_rate; a line for each value of repeat.
    narrow
        Whether the figure is for a phone.
    """
    figure, axes = panel_grid(2, narrow, 2, 1, 2.6)
    labels = {"entropy_rate": "entropy rate, nats", "hit_rate": "best possible HR@10"}
    for ax, (column, label) in zip(axes, labels.items()):
        for i, (repeat, rows) in enumerate(rates.groupby("repeat")):
            colour = SEQUENCE(0.2 + 0.3 * i)
            ax.plot(rows["noise"], rows[column], "-", color=colour, label=f"{repeat:g}")
        ax.set(xlabel="noise ε", ylabel=label, ylim=(0, None))
    axes[1].legend(title="repeat ρ")
    return figure


def plot_apen_by_length(
    curves: pd.DataFrame, formula: pd.DataFrame, narrow: bool = False
) -> Figure:
    """Plot mean symbolic ApEn of users against the length of their history.

    Parameters
    ----------
    curves
        Columns log, length and apen (nats). Logs that are nowhere above the formula are grey.
    formula
        Columns length and apen, of histories without repeats.
    narrow
        Whether the figure is for a phone.
    """
    figure, (ax,) = panel_grid(1, narrow, 1, 1, 3.2)
    styles = log_styles(curves["log"])
    ax.axhline(0, color=BASELINE, lw=0.8)
    for log, rows in curves.groupby("log"):
        style = styles[str(log)]
        expected = np.interp(rows["length"], formula["length"], formula["apen"])
        if (rows["apen"] - expected).max() < LEAST_ABOVE:
            style = {"color": BASELINE, "lw": 1, "label": "logs without repeats"}
        ax.plot(rows["length"], rows["apen"], marker="o", ms=3, **style)
    x, y = formula["length"], formula["apen"]
    ax.plot(x, y, color="black", ls=":", lw=1.5, label="nothing repeats")
    ax.set_xscale("log")
    ax.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    ax.set(xlabel="interactions of a user", ylabel="ApEn, nats")
    legend_above(figure, 2 if narrow else 4, [ax])
    return figure


def plot_sensitivity(rows: pd.DataFrame, narrow: bool = False) -> Figure:
    """Plot the paper's ApEn (mean of absolute values) against L, a line for each m.

    Parameters
    ----------
    rows
        Columns log (a panel each), m, last (interactions of each user) and mean_absolute (nats).
    narrow
        Whether the figure is for a phone.
    """
    logs = rows.groupby("log", sort=False)
    figure, axes = panel_grid(len(logs), narrow, 3, 2, 1.7)
    orders = sorted(set(rows["m"]))
    lengths = sorted(set(rows["last"]))
    for ax, (log, of_log) in zip(axes, logs):
        for i, m in enumerate(orders):
            of_order = of_log[of_log["m"] == m]
            x, y, colour = of_order["last"], of_order["mean_absolute"], SEQUENCE(0.2 + 0.22 * i)
            ax.plot(x, y, "-o", ms=3, lw=1.2, color=colour, label=f"m = {m}")
        set_log_axis(ax, lengths)
        ax.set_title(str(log), fontsize=8)
        ax.set_ylim(0, None)
    legend_above(figure, len(orders), axes[:1])
    figure.supxlabel("last L interactions")
    figure.supylabel("ApEn by user, mean of |value|, nats")
    return figure


def plot_estimator_bias(rows: pd.DataFrame, entropy_rate: float, narrow: bool = False) -> Figure:
    """Plot what estimators say of logs of one process as they grow, and the known entropy rate.

    Parameters
    ----------
    rows
        Columns tokens, measure and value (nats).
    entropy_rate
        The rate of the process, in nats.
    narrow
        Whether the figure is for a phone.
    """
    figure, (ax,) = panel_grid(1, narrow, 1, 1, 3.2)
    ax.axhline(entropy_rate, color="black", lw=1.2, ls=":", label="entropy rate")
    for measure, line in rows.groupby("measure", sort=False):
        kind, _, order = str(measure).partition(", ")
        name = order if kind in ESTIMATOR_DASHES else measure
        dash, colour = ESTIMATOR_DASHES.get(kind, "-"), ESTIMATOR_COLOURS.get(str(name), BASELINE)
        x, y = line["tokens"], line["value"]
        ax.plot(x, y, marker="o", ms=3, label=measure, ls=dash, color=colour)
    ax.set(xscale="log", ylim=(0, None), xlabel="tokens of the log", ylabel="nats")
    legend_above(figure, 2 if narrow else 4, [ax])
    return figure


def plot_perturbation_table(
    changes: pd.DataFrame, measures: Sequence[str], narrow: bool = False
) -> Figure:
    """Plot the change of each measure under each intervention, as arrows and colour.

    A dot is a change below 1 %, or not more than twice its standard deviation.

    Parameters
    ----------
    changes
        Columns intervention, measure, change and sd (per cent).
    measures
        The measures, in the order of the figure's columns.
    narrow
        Whether the figure is for a phone.
    """
    interventions = list(dict.fromkeys(changes["intervention"]))
    table = changes.pivot_table(
        index="intervention", columns="measure", values=["change", "sd"], dropna=False
    ).loc[interventions]
    means = table["change"][list(measures)].to_numpy(float)
    deviations = table["sd"][list(measures)].to_numpy(float)
    figure, (ax,) = panel_grid(1, narrow, 1, 1, 4.6 if narrow else 3.9)
    size = 7 if narrow else 8
    ax.imshow(np.clip(means, -40, 40), cmap="RdBu_r", vmin=-80, vmax=80, aspect="auto")
    for (i, j), change in np.ndenumerate(means):
        text = _change_text(float(change), float(deviations[i, j]))
        ax.text(j, i, text, ha="center", va="center", fontsize=size)
    ax.axvline(0.5, color="black", lw=1)
    names = [MEASURE_LABELS.get(name, name) for name in measures]
    rotation, side = (90, "center") if narrow else (35, "left")
    ax.set_xticks(range(len(names)), names, fontsize=size, rotation=rotation, ha=side)
    labels = [name.replace("_", "\n" if narrow else " ") for name in interventions]
    ax.set_yticks(range(len(labels)), labels, fontsize=size)
    ax.xaxis.tick_top()
    ax.grid(False)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return figure


def _change_text(change: float, sd: float) -> str:
    if np.isnan(change):
        return "?"
    if abs(change) < 1 or abs(change) <= 2 * sd:
        return "·"
    return f"{'↑' if change > 0 else '↓'} {abs(change):.0f}"
