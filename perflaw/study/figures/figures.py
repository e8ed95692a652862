"""Every figure and table of the book.

A figure is a function of data and of `narrow`, which asks for the layout that a phone
shows; `save_figure` draws both. Colours are Okabe and Ito's, told apart by all readers; sequences
run from light to dark, so they survive a grey print.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator, StrMethodFormatter
from pandas.io.formats.style import Styler

from perflaw.laws import families
from perflaw.laws.fitting import Fit
from perflaw.plotting import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    SEQUENCE,
    VERMILLION,
    panel_grid,
    set_log_axis,
    style_context,
)

HEADINGS = {
    "max_seq_len": "L",
    "n_layers": "N",
    "d_emb": "d",
    "r2": "R²",
    "aicc": "AICc",
    "printed_r2": "printed R²",
    "drawn_r2": "drawn R²",
    "refit_r2": "our R²",
    "parameters": "param.",
    "clean": "clean fits",
    "start": "D′ at start",
    "fitted": "fitted D′",
    "least": "least rank",
    "most": "largest rank",
    "not_identified": "surfaces short of it",
    "dataset": "log",
}
FORMATS = {
    "r2": "{:.3f}",
    "aicc": "{:.1f}",
    "printed_r2": "{:.4f}",
    "drawn_r2": "{:.4f}",
    "refit_r2": "{:.4f}",
}


def save_figure(name: str, draw: Callable[..., plt.Figure], *data) -> plt.Figure:
    """Draw `data` as figures/NAME.svg and, for phones, as figures/NAME-narrow.svg.

    Paths are relative to the working folder, where the book's builder looks for them.
    Returns the wide figure.
    """
    folder = Path("figures")
    folder.mkdir(exist_ok=True)
    with style_context():
        for narrow, path in ((True, f"{name}-narrow.svg"), (False, f"{name}.svg")):
            figure = draw(*data, narrow=narrow)
            figure.savefig(folder / path, metadata={"Date": None})
            plt.close(figure)
    return figure


def save_table(name: str, rows: pd.DataFrame, formats: Mapping[str, str] | None = None):
    """Keep `rows` as tables/NAME.csv, and return them as the page shows them.

    formats: of columns, where they are not those of `FORMATS`.
    """
    folder = Path("tables")
    folder.mkdir(exist_ok=True)
    rows.to_csv(folder / f"{name}.csv", index=False)
    known = {column: form for column, form in FORMATS.items() if column in rows}
    shown = (
        Styler(rows, uuid=name, cell_ids=False)
        .hide(axis="index")
        .format({**known, **(formats or {})}, na_rep="")
    )
    shown = shown.set_table_styles(
        {
            column: [{"selector": "", "props": "text-align: right"}]
            for column in rows.select_dtypes("number")
        }
    )
    shown = shown.relabel_index([HEADINGS.get(column, column) for column in rows], axis=1)
    return shown.set_table_attributes(f'class="dataframe" aria-label="{name.replace("_", " ")}"')


def glue_values(**values) -> None:
    """Keep numbers and words for the prose, which asks for them by name."""
    from myst_nb import glue as keep

    for name, value in values.items():
        keep(name, value.item() if isinstance(value, np.generic) else value, display=False)


# ---------------------------------------------------------------- the published surfaces


def plot_small_multiples(table: pd.DataFrame, fits: Mapping[tuple, Fit], narrow=False):
    """All surfaces, one panel each: points by N, one colour a d, and the fitted law through them."""
    figure, axes = panel_grid(len(fits), narrow, 5, 2, 1.65)
    for axis, ((dataset, length, metric), fit) in zip(axes, fits.items()):
        surface = table[
            (table["dataset"] == dataset)
            & (table["max_seq_len"] == length)
            & (table["metric"] == metric)
        ]
        layers, dimensions = (np.unique(surface[name]) for name in families.AXES)
        dense = np.geomspace(layers[0], layers[-1], 60)
        for i, d in enumerate(dimensions):
            colour = SEQUENCE(0.15 + 0.8 * i / (len(dimensions) - 1))
            cells = surface[surface["d_emb"] == d]
            axis.plot(cells["n_layers"], 100 * cells["value"], "o", ms=3, color=colour)
            curve = fit.predict(pd.DataFrame({"n_layers": dense, "d_emb": d}))
            axis.plot(dense, 100 * curve, "-", lw=1, color=colour)
        set_log_axis(axis, layers)
        axis.set_title(f"{dataset}\n{metric}, L {length}\nR² {fit.r2:.3f}", fontsize=7.5)
        axis.tick_params(labelsize=7, length=2)
    shades = [
        plt.Line2D([], [], color=SEQUENCE(0.15 + 0.8 * i / 3), marker="o", ms=3) for i in range(4)
    ]
    names = ["smallest d", "second", "third", "largest d"]
    figure.legend(shades, names, loc="outside upper center", ncols=2 if narrow else 4, fontsize=8)
    figure.supxlabel("layers N", fontsize=9)
    figure.supylabel("metric, %", fontsize=9)
    return figure


def plot_printed_against_recomputed(panels: pd.DataFrame, narrow=False):
    """R² of the 40 panels: printed (ring) against recomputed from the drawing (dot)."""
    figure, axes = panel_grid(2, narrow, 2, 1, 4.2)
    for axis, (law, rows) in zip(axes, panels.groupby("law", sort=False)):
        labels = [f"{r.dataset}, L {r.max_seq_len}, {r.metric}" for r in rows.itertuples()]
        place = np.arange(len(rows))[::-1]
        apart = (rows["printed_r2"] - rows["drawn_r2"]).abs().to_numpy() > 1e-6
        axis.hlines(place, rows["drawn_r2"], rows["printed_r2"], color=VERMILLION, lw=2)
        axis.plot(rows["printed_r2"], place, "o", ms=7, mfc="none", mec=VERMILLION, label="printed")
        axis.plot(rows["drawn_r2"], place, "o", ms=3.5, color=BLUE, label="recomputed")
        for y, row in zip(place[apart], rows[apart].itertuples()):
            axis.annotate(
                f"{row.printed_r2 - row.drawn_r2:+.2f}", (min(row.printed_r2, row.drawn_r2), y), (-8, 0),
                textcoords="offset points", ha="right", va="center", color=VERMILLION, fontsize=8,
            )  # fmt: skip
        axis.set_yticks(place, labels, fontsize=7)
        axis.set_title(f"{'Performance Law' if law == 'PerformanceLaw' else 'Scaling Law'} panels")
        axis.set_xlabel("R²")
        axis.set_xlim(0, 1.03)
    axes[0].legend(loc="lower left", fontsize=8)
    return figure


# ---------------------------------------------------------------- rival laws


def plot_errors_by_law(in_sample: pd.DataFrame, errors: pd.DataFrame, narrow=False):
    """One line a law: R² in sample, and the error on cells that the fit has not seen."""
    names = list(in_sample["law"])
    place = dict(zip(names, range(len(names) - 1, -1, -1)))
    splits = list(dict.fromkeys(errors["split"]))
    figure, axes = panel_grid(
        1 + len(splits), narrow, 1 + len(splits), 1, 2.9 if not narrow else 2.5
    )
    axes[0].plot(in_sample["r2"], in_sample["law"].map(place), "s", color=GREY, ms=5)
    axes[0].set_title("seen: R²\n(right is better)")
    axes[0].set_xlim(-0.05, 1.05)
    axes[0].set_xticks([0, 0.5, 1])
    axes[0].set_xlabel("R²")
    for axis, split in zip(axes[1:], splits):
        rows = errors[errors["split"] == split]
        best = rows["mape"].idxmin()
        colours = [ORANGE if index == best else BLUE for index in rows.index]
        axis.scatter(rows["mape"], rows["law"].map(place), c=colours, s=28, zorder=3)
        for row in rows.itertuples():
            axis.annotate(
                f"{row.mape:.2f}",
                (row.mape, place[row.law]),
                (5, 3),
                textcoords="offset points",
                fontsize=7,
            )
        axis.set_title(f"hidden: {split}\n(left is better)")
        axis.set_xlim(0, 1.35 * errors["mape"].max())
        axis.set_xlabel("mean error, %")
    for i, axis in enumerate(axes):
        axis.set_yticks(
            list(place.values()), list(place) if i == 0 or narrow else [""] * len(place), fontsize=8
        )
        axis.set_ylim(-0.6, len(names) - 0.4)
    return figure


def plot_recipe_against_search(panels: pd.DataFrame, narrow=False):
    """R² of each surface: one local search from ones (ring) against the global search (dot)."""
    figure, (axis,) = panel_grid(1, narrow, 1, 1, 3.8)
    place = np.arange(len(panels))[::-1]
    axis.hlines(place, panels["recipe_r2"], panels["global_r2"], color=GREY, lw=1)
    axis.plot(
        panels["recipe_r2"],
        place,
        "o",
        ms=7,
        mfc="none",
        mec=VERMILLION,
        label="one search from ones",
    )
    axis.plot(panels["global_r2"], place, "o", ms=4, color=BLUE, label="global search")
    axis.set_yticks(place, panels["surface"], fontsize=7)
    axis.set_xlabel("R² of the Performance Law, k = 2")
    axis.set_xlim(0, 1.03)
    figure.legend(loc="outside upper center", ncols=2, fontsize=8)
    return figure


# ---------------------------------------------------------------- identification


def plot_profiles(curves: Mapping[str, pd.DataFrame], limit: float, narrow=False):
    """Sum of squares, relative to the best, as one exponent is held at each value; the allowed share as a line."""
    figure, axes = panel_grid(len(curves), narrow, len(curves), 1, 2.6, sharey=True)
    for axis, (title, curve) in zip(axes, curves.items()):
        for (exponent, rows), colour in zip(curve.groupby("exponent", sort=False), (BLUE, ORANGE)):
            axis.plot(
                rows["value"],
                rows["ratio"],
                "-",
                lw=1.4,
                color=colour,
                label=exponent.replace("_", " of "),
            )
        axis.axhline(limit, color=GREY, lw=1, ls="--")
        axis.set_title(title)
        axis.set_xlabel("exponent held at")
        axis.set_yscale("log")
        axis.set_ylim(0.93, 12)
        axis.yaxis.set_major_locator(FixedLocator([1, 2, 5, 10]))
        axis.yaxis.set_minor_locator(NullLocator())
        axis.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes[0].set_ylabel("sum of squares over its minimum")
    axes[0].legend(fontsize=8)
    return figure


def plot_turning_points(turns: pd.DataFrame, narrow=False):
    """Where each surface's fitted law stops rising, with its interval, over the measured range."""
    figure, axes = panel_grid(2, narrow, 2, 1, 4.0)
    for number, (axis, (name, rows)) in enumerate(zip(axes, turns.groupby("axis", sort=False))):
        place = np.arange(len(rows))[::-1]
        right = 4 * rows["largest"].max()
        axis.barh(
            place,
            rows["largest"] - rows["smallest"],
            left=rows["smallest"],
            height=0.8,
            color="#eeeeee",
            zorder=0,
        )
        low, high = rows["low"].clip(1, right), rows["high"].clip(1, right)
        axis.hlines(place, low, high, color=BLUE, lw=1.5)
        for kind, marker, colour in (("maximum", "o", BLUE), ("minimum", "v", VERMILLION)):
            this = (rows["kind"] == kind).to_numpy() & (rows["estimate"] < right).to_numpy()
            axis.plot(rows["estimate"][this], place[this], marker, color=colour, ms=5, label=kind)
        axis.set_xscale("log")
        axis.set_xlim(1, right)
        axis.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axis.set_yticks(
            place, rows["surface"] if number == 0 or narrow else [""] * len(rows), fontsize=7
        )
        axis.set_xlabel(f"turning point in {'layers N' if name == 'n_layers' else 'dimension d'}")
    figure.legend(
        *axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=2, fontsize=8
    )
    return figure


# ---------------------------------------------------------------- the joint law and the plan


def plot_alone_or_joint(errors: pd.DataFrame, targets: Mapping[str, float], narrow=False):
    """Held-out error of each shape of law: each surface alone, jointly, jointly with a walk.

    errors: columns shape, how (alone, joint, joint with a walk), split, mape; targets: a
    line for each split.
    """
    shapes = list(dict.fromkeys(errors["shape"]))
    place = dict(zip(shapes, range(len(shapes) - 1, -1, -1)))
    figure, axes = panel_grid(len(targets), narrow, len(targets), 1, 2.6 if not narrow else 2.1)
    marks = {
        "alone": ("o", "white", GREY),
        "joint": ("o", BLUE, BLUE),
        "joint with a walk": ("D", ORANGE, ORANGE),
    }
    for number, (axis, (split, target)) in enumerate(zip(axes, targets.items())):
        axis.axvline(target, color=GREY, lw=1, ls="--", zorder=1)
        rows = errors[errors["split"] == split]
        for shape, line in rows.groupby("shape"):
            axis.hlines(
                place[shape],
                line["mape"].min(),
                line["mape"].max(),
                color="#bbbbbb",
                lw=1,
                zorder=1,
            )
        for how, (marker, face, edge) in marks.items():
            these = rows[rows["how"] == how]
            axis.plot(
                these["mape"],
                these["shape"].map(place),
                marker,
                mfc=face,
                mec=edge,
                ms=6,
                label=how,
                ls="",
                zorder=3,
            )
        axis.set_yticks(
            list(place.values()),
            shapes if number == 0 or narrow else [""] * len(shapes),
            fontsize=8,
        )
        axis.set_ylim(-0.6, len(shapes) - 0.4)
        axis.set_title(f"hidden: {split}")
        axis.set_xlabel("mean absolute error, %")
    figure.legend(
        *axes[0].get_legend_handles_labels(),
        loc="outside upper center",
        ncols=1 if narrow else 3,
        fontsize=8,
    )
    return figure


def plot_replayed_plan(counts: pd.DataFrame, surfaces: int, target: int, narrow=False):
    """On how many surfaces each rule's choice is within one noise unit of the best, and its mean regret.

    counts: columns split, rule, within, regret (%).
    """
    splits, rules = (list(dict.fromkeys(counts[name])) for name in ("split", "rule"))
    figure, axes = panel_grid(2, narrow, 2, 1, 2.4, sharey=not narrow)
    place = dict(zip(rules, range(len(rules) - 1, -1, -1)))
    for axis, column, label in zip(
        axes, ("within", "regret"), (f"within one noise unit, of {surfaces}", "mean regret, %")
    ):
        for split, marker, colour in zip(splits, "oD", (BLUE, ORANGE)):
            rows = counts[counts["split"] == split]
            axis.plot(
                rows[column],
                rows["rule"].map(place),
                marker,
                color=colour,
                ms=6,
                label=f"hidden: {split}",
                ls="",
            )
        axis.set_yticks(list(place.values()), rules, fontsize=8)
        axis.set_ylim(-0.6, len(rules) - 0.4)
        axis.set_xlabel(label)
    axes[0].axvline(target, color=GREY, lw=1, ls="--")
    axes[0].set_xlim(0, surfaces + 0.6)
    axes[1].set_xlim(0, None)
    figure.legend(
        *axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=2, fontsize=8
    )
    return figure


def plot_seeds(curves: pd.DataFrame, narrow=False):
    """Seeds that it takes to see a difference, one line for each noise between seeds.

    curves: columns noise, difference (both in %), seeds.
    """
    figure, (axis,) = panel_grid(1, narrow, 1, 1, 2.8)
    for i, (noise, rows) in enumerate(curves.groupby("noise")):
        axis.plot(
            rows["difference"],
            rows["seeds"],
            "-o",
            ms=3.5,
            color=SEQUENCE(0.25 + 0.25 * i),
            label=f"{noise:g} %",
        )
    axis.set_xscale("log")
    axis.set_yscale("log")
    for side in (axis.xaxis, axis.yaxis):
        side.set_major_formatter(StrMethodFormatter("{x:g}"))
        side.set_minor_formatter(StrMethodFormatter(""))
    axis.xaxis.set_major_locator(FixedLocator([1, 2, 3, 5, 10]))
    axis.set_xlabel("difference to be seen, %")
    axis.set_ylabel("seeds of each configuration")
    axis.legend(title="noise between seeds", fontsize=8)
    return figure


def plot_coverage(found: pd.DataFrame, level: float, target: tuple[float, float], narrow=False):
    """Share of simulated surfaces whose interval holds the truth, with its own sampling error."""
    scenarios = list(dict.fromkeys(found["scenario"]))
    names = list(dict.fromkeys(found["quantity"]))
    figure, axes = panel_grid(
        len(scenarios), narrow, len(scenarios), 1, 2.9 if not narrow else 2.5, sharex=True
    )
    for number, (axis, scenario) in enumerate(zip(axes, scenarios)):
        rows = found[found["scenario"] == scenario]
        place = rows["quantity"].map({name: len(names) - i for i, name in enumerate(names)})
        axis.axvspan(100 * target[0], 100 * target[1], color="#e8f0f7", zorder=0)
        axis.axvline(100 * level, color=GREY, lw=1)
        error = 100 * 2 * np.sqrt(rows["covered"] * (1 - rows["covered"]) / rows["draws"])
        axis.errorbar(100 * rows["covered"], place, xerr=error, fmt="o", ms=4, lw=1, color=BLUE)
        shown = names if number == 0 or narrow else [""] * len(names)
        axis.set_yticks(range(len(names), 0, -1), shown, fontsize=8)
        axis.set_ylim(0.4, len(names) + 0.6)
        axis.set_title(scenario)
        axis.set_xticks([100 * target[0], 100 * level, 100 * target[1]])
        axis.set_xlabel("truth inside, %")
    return figure


# ---------------------------------------------------------------- a sweep by others


def plot_dropout_and_size(surfaces: pd.DataFrame, changes: pd.DataFrame, narrow=False):
    """For each log the metric against d, and its last change: dropout held, and dropout chosen.

    surfaces: columns log, metric, regularisation, d_emb, value (averaged over the rest);
    changes: columns log, regularisation, change, low, high (in per cent).
    """
    logs = list(dict.fromkeys(surfaces["log"]))
    names = sorted(set(changes["regularisation"]), key=lambda name: (name == "chosen", name))
    colours = {name: SEQUENCE(0.3 + 0.3 * i) for i, name in enumerate(names[:-1])} | {
        "chosen": ORANGE
    }
    ratios = [2.6, 1.3]
    options = {"height_ratios": ratios * len(logs) if narrow else ratios}
    figure, axes = panel_grid(
        2 * len(logs), narrow, len(logs), 1, 2.15 if not narrow else 1.75, gridspec_kw=options
    )
    axes = np.reshape(axes, (len(logs), 2) if narrow else (2, len(logs)))
    for (curves, dots), log in zip(axes if narrow else axes.T, logs):
        rows = surfaces[surfaces["log"] == log]
        for name in names[::-1]:  # the bold line first, so that the others stay visible on it
            line = 100 * rows[rows["regularisation"] == name].groupby("d_emb")["value"].mean()
            width, size, label = (
                (5, 0, "chosen by validation") if name == "chosen" else (1.4, 4, name)
            )
            curves.plot(
                line.index,
                line,
                "-o",
                lw=width,
                ms=size,
                color=colours[name],
                solid_capstyle="round",
                label=label,
            )
        set_log_axis(curves, list(line.index))
        curves.yaxis.set_major_locator(MaxNLocator(5))
        curves.set_title(log)
        curves.set_xlabel("embedding dimension d")
        if narrow or log == logs[0]:
            curves.set_ylabel(f"{rows['metric'].iloc[0]}, %")
        told = changes[changes["log"] == log].set_index("regularisation").loc[names]
        place = np.arange(len(names))[::-1]
        dots.axvline(0, color=GREY, lw=1)
        for y, name, row in zip(place, names, told.itertuples()):
            dots.plot([row.low, row.high], [y, y], "-", lw=2, color=colours[name])
            dots.plot(row.change, y, "o", ms=7 if name == "chosen" else 5, color=colours[name])
        dots.set_yticks(place, names if narrow or log == logs[0] else [""] * len(names), fontsize=8)
        dots.set_ylim(-0.6, len(names) - 0.4)
        reach = 1.1 * changes[["low", "high"]].abs().max(axis=None)
        dots.set_xlim(-reach, reach)
        dots.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
        dots.set_xlabel(f"change from d {line.index[-2]} to {line.index[-1]}, %")
    handles, texts = axes[0, 0].get_legend_handles_labels()
    columns = 2 if narrow else len(names)
    figure.legend(handles[::-1], texts[::-1], loc="outside upper center", ncols=columns, fontsize=8)
    return figure


# ---------------------------------------------------------------- the points, read again


def plot_read_panel(view, surface: pd.DataFrame, panel, found: pd.DataFrame, narrow=False):
    """One published panel and how its view explains it, beside the distances of all dots from their lines.

    view: a `points.View`; surface: n_layers, d_emb, value of its dots; panel: the `points.Panel`
    of the PDF, or None; found: pixel_residual_pt and, if known, next_pt, a row a dot.
    """
    figure, (axis, right) = panel_grid(2, narrow, 2, 1, 3.6)
    axis.set_aspect("equal")
    axis.set_axis_off()
    for line in panel.lines if panel else ():
        axis.plot(*line.T, color="#cccccc", lw=3)
    for line in view.lines:
        axis.plot(*line.T, color=BLUE, lw=0.7)
    if panel:
        axis.plot(*panel.dots.T, "o", ms=7, color="#bbbbbb")
    (n0, n1), (d0, d1), (v0, v1) = view.limits
    walls = [
        [
            (n0, d0, v0),
            (n1, d0, v0),
            (n1, d1, v0),
            (n1, d1, v1),
            (n0, d1, v1),
            (n0, d0, v1),
            (n0, d0, v0),
        ]
    ]
    walls += [[(n0, d0, v0), (n0, d1, v0), (n1, d1, v0)], [(n0, d1, v0), (n0, d1, v1)]]
    for wall in walls:
        axis.plot(*view.project(wall).T, color=BLUE, lw=1)
    for n, d, value in surface[["n_layers", "d_emb", "value"]].to_numpy():
        axis.plot(*view.project([(n, d, v0), (n, d, v1)]).T, color=ORANGE, lw=0.7)
        axis.plot(*view.project((n, d, value)), "o", ms=3.5, color=VERMILLION)
    for n in (surface["n_layers"].min(), surface["n_layers"].max()):
        axis.annotate(
            f"N {n:g}",
            view.project((n, d0, v0)),
            (-2, -3),
            textcoords="offset points",
            ha="right",
            va="top",
            fontsize=8,
        )
    for d in (surface["d_emb"].min(), surface["d_emb"].max()):
        axis.annotate(
            f"d {d:g}",
            view.project((n1, d, v0)),
            (4, -3),
            textcoords="offset points",
            va="top",
            fontsize=8,
        )
    styles = [("#bbbbbb", 3, "o", "as in the PDF")] * bool(panel) + [(BLUE, 1, "", "our view")]
    styles += [(ORANGE, 1, "", "a cell (N, d)"), (VERMILLION, 0, "o", "cell and value")]
    marks = [
        plt.Line2D(
            [], [], color=colour, lw=width, marker=marker, ms=2 * width + 1 if width > 1 else 3.5
        )
        for colour, width, marker, _ in styles
    ]
    axis.legend(
        marks,
        [name for *_, name in styles],
        loc="lower center",
        bbox_to_anchor=(0.5, 1),
        ncols=2,
        fontsize=8,
    )

    names = {
        "pixel_residual_pt": (BLUE, "from the line of its cell"),
        "next_pt": (ORANGE, "from the next-best line"),
    }
    for name, (colour, label) in names.items():
        if name in found:
            apart = np.sort(found[name])
            right.plot(
                apart,
                np.arange(1, len(apart) + 1) / len(apart),
                color=colour,
                label=label,
                drawstyle="steps-post",
            )
    right.axvline(1e-6, color="black", lw=0.8, ls="--", label="last digit in the PDF")
    right.set_xscale("log")
    right.set_xlabel("distance of a dot, pt")
    right.set_ylabel("share of the dots")
    right.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=1 if narrow else 2, fontsize=8)
    return figure


# ---------------------------------------------------------------- logs


def log_colours(logs) -> dict[str, tuple]:
    """A colour and a dash for each log, the same in every figure: the synthetic log is black."""
    colours = [BLUE, ORANGE, GREEN, VERMILLION, "#56B4E9", "#CC79A7", "#8C6D1F", GREY]
    dashes = ["-", (0, (5, 1.5)), (0, (1.5, 1))]
    others = sorted(set(logs) - {"synthetic"})
    styles = {log: (colours[i % 8], dashes[i // 8 % 3]) for i, log in enumerate(others)}
    return {"synthetic": ("black", "-")} | styles


def plot_log_shapes(curves: pd.DataFrame, narrow=False):
    """Lengths, popularity and repeats of logs, a line a log.

    curves: columns log, curve (length, popularity, repeats), x, y (a share).
    """
    labels = {
        "length": ("interactions of a user", "share of users with as many or more"),
        "popularity": ("rank of the item", "share of interactions"),
        "repeats": ("place in the history", "share that are repeats"),
    }
    figure, axes = panel_grid(3, narrow, 3, 1, 2.9 if not narrow else 2.5)
    styles = log_colours(curves["log"])
    for axis, (curve, (across, up)) in zip(axes, labels.items()):
        for log, rows in curves[curves["curve"] == curve].groupby("log"):
            colour, dash = styles[log]
            axis.plot(
                rows["x"],
                rows["y"],
                color=colour,
                ls=dash,
                lw=2 if log == "synthetic" else 1.3,
                label=log,
            )
        axis.set_xscale("log")
        axis.set_xlabel(across)
        axis.set_title(up)
        if curve != "repeats":
            axis.set_yscale("log")
    figure.legend(
        *axes[0].get_legend_handles_labels(),
        loc="outside upper center",
        ncols=2 if narrow else 5,
        fontsize=8,
    )
    return figure


def plot_process_truth(truths: pd.DataFrame, narrow=False):
    """What the noise of the synthetic process does: its entropy rate, and the best hit rate there can be.

    truths: columns noise, repeat, entropy_rate, hit_rate; a line for each value of repeat.
    """
    figure, axes = panel_grid(2, narrow, 2, 1, 2.6)
    for i, (repeat, rows) in enumerate(truths.groupby("repeat")):
        for axis, column in zip(axes, ("entropy_rate", "hit_rate")):
            axis.plot(
                rows["noise"], rows[column], "-", color=SEQUENCE(0.2 + 0.3 * i), label=f"{repeat:g}"
            )
    for axis, label in zip(axes, ("entropy rate, nats", "best possible HR@10")):
        axis.set_xlabel("noise ε")
        axis.set_ylabel(label)
        axis.set_ylim(0, None)
    axes[1].legend(title="repeat ρ", fontsize=8)
    return figure


# ---------------------------------------------------------------- entropy


def plot_apen_by_length(curves: pd.DataFrame, formula: pd.DataFrame, narrow=False):
    """Mean symbolic ApEn of users against the length of their history, and the formula for histories without repeats.

    curves: columns log, length, apen; formula: length, apen.
    """
    figure, (axis,) = panel_grid(1, narrow, 1, 1, 3.2)
    styles = log_colours(curves["log"])
    axis.axhline(0, color=GREY, lw=0.8)
    for log, rows in curves.groupby("log"):
        colour, dash = styles[log]
        axis.plot(
            rows["length"],
            rows["apen"],
            color=colour,
            ls=dash,
            lw=2 if log == "synthetic" else 1.3,
            marker="o",
            ms=3,
            label=log,
        )
    axis.plot(
        formula["length"], formula["apen"], color="black", ls=":", lw=1.5, label="nothing repeats"
    )
    axis.set_xscale("log")
    axis.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.set_xlabel("interactions of a user")
    axis.set_ylabel("ApEn, nats")
    figure.legend(loc="outside upper center", ncols=2 if narrow else 5, fontsize=8)
    return figure


def plot_sensitivity(rows: pd.DataFrame, narrow=False):
    """The paper's ApEn (mean of absolute values) against L, a line for each m, a panel a log."""
    logs = list(dict.fromkeys(rows["log"]))
    figure, axes = panel_grid(len(logs), narrow, 3, 2, 1.7)
    orders = sorted(set(rows["m"]))
    for axis, log in zip(axes, logs):
        for i, m in enumerate(orders):
            line = rows[(rows["log"] == log) & (rows["m"] == m)]
            axis.plot(
                line["last"],
                line["mean_absolute"],
                "-o",
                ms=3,
                lw=1.2,
                color=SEQUENCE(0.2 + 0.22 * i),
                label=f"m = {m}",
            )
        set_log_axis(axis, sorted(set(rows["last"])))
        axis.set_title(log, fontsize=8)
        axis.set_ylim(0, None)
        axis.tick_params(labelsize=7)
    figure.legend(
        *axes[0].get_legend_handles_labels(),
        loc="outside upper center",
        ncols=len(orders),
        fontsize=8,
    )
    figure.supxlabel("last L interactions", fontsize=9)
    figure.supylabel("ApEn by user, mean of |value|, nats", fontsize=9)
    return figure


def plot_estimator_bias(rows: pd.DataFrame, truth: float, narrow=False):
    """What estimators say of logs of one process as they grow, and the entropy rate.

    rows: columns tokens, measure, value.
    """
    figure, (axis,) = panel_grid(1, narrow, 1, 1, 3.2)
    styles = {"plug-in": "--", "corrected": "-"}
    colours = {
        "m = 1": BLUE,
        "m = 2": ORANGE,
        "Lempel-Ziv by user": GREEN,
        "ApEn by user, absolute": VERMILLION,
    }
    axis.axhline(truth, color="black", lw=1.2, ls=":", label="entropy rate")
    for measure, line in rows.groupby("measure", sort=False):
        kind, _, order = measure.partition(", ")
        colour = colours.get(order if kind in styles else measure, GREY)
        axis.plot(
            line["tokens"],
            line["value"],
            ls=styles.get(kind, "-"),
            marker="o",
            ms=3,
            color=colour,
            label=measure,
        )
    axis.set_xscale("log")
    axis.set_ylim(0, None)
    axis.set_xlabel("tokens of the log")
    axis.set_ylabel("nats")
    figure.legend(loc="outside upper center", ncols=2 if narrow else 4, fontsize=8)
    return figure


def plot_perturbation_table(changes: pd.DataFrame, columns, narrow=False):
    """Change of each measure (columns) under each intervention (rows), in per cent, as arrows and colour.

    changes: columns intervention, measure, change, sd. A dot: less than 1 %, or not more than twice the sd.
    """
    table = changes.pivot(index="intervention", columns="measure", values="change")
    spread = changes.pivot(index="intervention", columns="measure", values="sd")
    order = list(dict.fromkeys(changes["intervention"]))
    table, spread = (t.loc[order, list(columns)].to_numpy(float) for t in (table, spread))
    figure, (axis,) = panel_grid(1, narrow, 1, 1, 3.9 if not narrow else 4.6)
    size = 6 if narrow else 8
    axis.imshow(np.clip(table, -40, 40), cmap="RdBu_r", vmin=-80, vmax=80, aspect="auto")
    for (i, j), change in np.ndenumerate(table):
        still = abs(change) < 1 or abs(change) <= 2 * spread[i, j]
        text = (
            "?"
            if np.isnan(change)
            else "·"
            if still
            else f"{'↑' if change > 0 else '↓'} {abs(change):.0f}"
        )
        axis.text(j, i, text, ha="center", va="center", fontsize=size)
    axis.axvline(0.5, color="black", lw=1)
    axis.set_xticks(
        range(len(columns)),
        columns,
        rotation=90 if narrow else 35,
        ha="center" if narrow else "left",
        fontsize=size,
    )
    axis.set_yticks(
        range(len(order)),
        [name.replace("_", "\n" if narrow else " ") for name in order],
        fontsize=size,
    )
    axis.xaxis.tick_top()
    axis.grid(False)
    axis.tick_params(length=0)
    for side in axis.spines.values():
        side.set_visible(False)
    return figure


# ---------------------------------------------------------------- backbones


def plot_published_rows(rows: pd.DataFrame, narrow=False):
    """Published and measured NDCG@10, a line a row; columns name, published_ndcg, measured_ndcg, se_ndcg."""
    figure, (axis,) = panel_grid(1, narrow, 1, 1, 0.9 + 0.32 * len(rows))
    place = np.arange(len(rows))[::-1]
    axis.errorbar(
        rows["measured_ndcg"],
        place,
        xerr=2 * rows["se_ndcg"],
        fmt="o",
        color=BLUE,
        ms=5,
        capsize=2,
        lw=1.2,
        label="ours, ± 2 se",
    )
    axis.plot(
        rows["published_ndcg"],
        place,
        "D",
        color=ORANGE,
        mfc="none",
        mew=1.5,
        ms=6,
        label="published",
    )
    axis.set_yticks(place, rows["name"])
    axis.set_ylim(-0.7, len(rows) - 0.3)
    axis.set_xlim(0, None)
    axis.set_xlabel("NDCG@10")
    figure.legend(loc="outside upper center", ncols=2, fontsize=8)
    return figure


# ---------------------------------------------------------------- sweeps


def plot_surfaces(
    cells: pd.DataFrame,
    lines: pd.DataFrame,
    metric: str,
    fits: Mapping[str, Fit] | None = None,
    narrow=False,
):
    """A metric over the dimension, a curve for each number of layers, a panel for each log; bars are ± one deviation between seeds.

    cells: of `sweeps.cells`. lines: log, label and the metric, of what is drawn across: floors, and a ceiling where one is known. fits: by log,
    laws whose curves are drawn instead of lines from dot to dot.
    """
    logs = list(dict.fromkeys(cells["log"]))
    figure, axes = panel_grid(
        len(logs), narrow, min(3, len(logs)), 1, 3.0 if len(logs) == 1 else 2.5
    )
    depths, dashes = sorted(cells["n_layers"].unique()), [":", "--", "-."]
    for axis, log in zip(axes, logs):
        here = cells[cells["log"] == log]
        for n, rows in here.groupby("n_layers"):
            colour = SEQUENCE(0.1 + 0.8 * depths.index(n) / max(1, len(depths) - 1))
            line = "" if fits else "-"
            axis.errorbar(
                rows["d_emb"],
                rows[metric],
                yerr=rows["sd"].fillna(0),
                color=colour,
                marker="o",
                ms=3.5,
                ls=line,
                lw=1.3,
                capsize=2,
                label=f"N = {n}",
            )
            if fits:
                across = np.geomspace(here["d_emb"].min(), here["d_emb"].max(), 40)
                axis.plot(
                    across,
                    fits[log].predict(pd.DataFrame({"n_layers": float(n), "d_emb": across})),
                    color=colour,
                    lw=1.2,
                )
        for dash, (label, value) in zip(
            dashes, lines.loc[lines["log"] == log, ["label", metric]].itertuples(index=False)
        ):
            axis.axhline(value, color="black", lw=1, ls=dash, label=label)
        set_log_axis(axis, sorted(here["d_emb"].unique()))
        axis.set_ylim(
            *((0.8 * here[metric].min(), 1.15 * here[metric].max()) if fits else (0, None))
        )
        axis.set_title(log)
    found = {
        label: handle for axis in axes for handle, label in zip(*axis.get_legend_handles_labels())
    }
    handles = {f"N = {n}": found.pop(f"N = {n}") for n in depths} | found
    figure.legend(
        handles.values(),
        handles.keys(),
        loc="outside upper center",
        ncols=3 if narrow else 7,
        fontsize=8,
    )
    figure.supxlabel("embedding dimension d", fontsize=9)
    figure.supylabel(metric, fontsize=9)
    return figure


def plot_beside_paper(cells: pd.DataFrame, metric: str, narrow=False):
    """A metric over the layers, a line for each dimension: as trained here and as published, both among 2,500 items; columns n_layers, d_emb, sampled, sampled sd, published.

    Where nothing is published, what was trained here alone, all items ranked: columns value and sd.
    """
    panels = (
        [("trained here", "sampled", cells["sampled sd"]), ("published", "published", None)]
        if cells["published"].notna().any()
        else [("trained here, all items ranked", "value", cells["sd"])]
    )
    figure, axes = panel_grid(len(panels), narrow, len(panels), 1, 2.8, sharey=not narrow)
    widths = sorted(cells["d_emb"].unique())
    for axis, (title, column, sd) in zip(axes, panels):
        for d, rows in cells.groupby("d_emb"):
            colour = SEQUENCE(0.1 + 0.8 * widths.index(d) / max(1, len(widths) - 1))
            axis.errorbar(
                rows["n_layers"],
                rows[column],
                yerr=None if sd is None else sd[rows.index].fillna(0),
                color=colour,
                marker="o",
                ms=4,
                lw=1.3,
                capsize=2,
                label=f"d = {d}",
            )
        axis.set_xticks(sorted(cells["n_layers"].unique()))
        axis.set_title(title)
    figure.legend(
        *axes[0].get_legend_handles_labels(),
        loc="outside upper center",
        ncols=len(widths),
        fontsize=8,
    )
    figure.supxlabel("layers N", fontsize=9)
    figure.supylabel(metric if len(panels) == 1 else f"{metric}, among 2,500 items", fontsize=9)
    return figure


def plot_cost_check(found: pd.DataFrame, narrow=False):
    """Seconds of runs as predicted from other runs against those measured; columns of `costs.held_out` and sweep."""
    columns = {"epochs as predicted": "predicted", "epochs known": "predicted, epochs known"}
    figure, axes = panel_grid(2, narrow, 2, 1, 3.0)
    colours = dict(
        zip(
            dict.fromkeys(found["sweep"]),
            (BLUE, ORANGE, GREEN, VERMILLION, "#56B4E9", "#CC79A7", "#8C6D1F", GREY),
        )
    )
    ends = found["seconds"].min() / 1.5, found["seconds"].max() * 1.5
    for axis, (title, column) in zip(axes, columns.items()):
        axis.plot(ends, ends, color="black", lw=0.8)
        for sweep, rows in found.groupby("sweep", sort=False):
            axis.plot(
                rows["seconds"],
                rows[column],
                "o",
                ms=3.5,
                alpha=0.7,
                mew=0,
                color=colours[sweep],
                label=sweep,
            )
        axis.set_xscale("log")
        axis.set_yscale("log")
        axis.set_title(title)
        axis.set_xlabel("measured, seconds")
    axes[0].set_ylabel("predicted, seconds")
    figure.legend(
        *axes[0].get_legend_handles_labels(),
        loc="outside upper center",
        ncols=2 if narrow else 4,
        fontsize=8,
    )
    return figure


def plot_growth(rows: pd.DataFrame, narrow=False):
    """Time of a token over what the FLOPs and over what the sum of work say, as each size grows; the grey band is within 1.3 times.

    rows: backbone, grows (which size), that size, by_sum, by_flops; the rows of which nothing grows are the reference, at 1.
    """
    sizes = {
        "n_layers": "layers N",
        "d_emb": "dimension d",
        "max_seq_len": "length L",
        "n_items": "items",
    }
    figure, axes = panel_grid(4, narrow, 4, 2, 2.6, sharey=True)
    colours = {"sasrec": BLUE, "llama": ORANGE}
    for axis, (size, label) in zip(axes, sizes.items()):
        axis.axhspan(1 / 1.3, 1.3, color="#eeeeee", lw=0)
        for (backbone, colour), (column, dash, word) in itertools.product(
            colours.items(), (("by_flops", "--", "FLOPs"), ("by_sum", "-", "sum of work"))
        ):
            line = rows[
                (rows["backbone"] == backbone) & ((rows["grows"] == size) | rows["grows"].isna())
            ].sort_values(size)
            axis.plot(
                line[size],
                line[column],
                ls=dash,
                marker="o",
                ms=3,
                lw=1.2,
                color=colour,
                label=f"{backbone}, over {word}",
            )
        set_log_axis(
            axis,
            sorted(rows.loc[rows["grows"] == size, size].unique())[
                :: 2 if size == "n_items" else 1
            ],
        )
        axis.set_yscale("log")
        axis.yaxis.set_major_locator(FixedLocator([0.5, 1, 2, 4, 8]))
        axis.yaxis.set_minor_locator(NullLocator())
        axis.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axis.set_xlabel(label)
        axis.tick_params(labelsize=7)
    axes[0].set_ylabel("measured / model")
    figure.legend(
        *axes[0].get_legend_handles_labels(),
        loc="outside upper center",
        ncols=1 if narrow else 2,
        fontsize=8,
    )
    return figure


def plot_marginal_gains(changes: pd.DataFrame, narrow=False):
    """What each step to a larger N or d changes, in per cent, with its interval: a panel a log; columns of `evidence.marginal_gains`."""
    logs = list(dict.fromkeys(changes["log"]))
    figure, axes = panel_grid(len(logs), narrow, min(3, len(logs)), 1, 2.6, sharey=True)
    colours, names = (
        {"n_layers": BLUE, "d_emb": ORANGE},
        {"n_layers": "layers N", "d_emb": "dimension d"},
    )
    for axis, log in zip(axes, logs):
        here = changes[changes["log"] == log].reset_index(drop=True)
        for name, rows in here.groupby("axis", sort=False):
            bars = [rows["change"] - rows["low"], rows["high"] - rows["change"]]
            axis.errorbar(
                rows.index,
                rows["change"],
                yerr=bars,
                fmt="o",
                ms=4,
                capsize=2,
                lw=1.2,
                color=colours[name],
                label=names[name],
            )
        axis.axhline(0, color="black", lw=0.8)
        axis.set_xticks(
            here.index,
            [f"{small}→{large}" for small, large in zip(here["smaller"], here["larger"])],
            rotation=60,
            fontsize=7,
        )
        axis.set_xlim(-0.6, len(here) - 0.4)
        axis.set_title(log)
        axis.grid(axis="x", visible=False)
    figure.legend(
        *axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=2, fontsize=8
    )
    figure.supylabel("change, per cent", fontsize=9)
    return figure


# ---------------------------------------------------------------- what was foretold


def plot_predictions(found: pd.DataFrame, chosen, metric: str, narrow=False):
    """Cells that no law had seen: measured means (black, ± one deviation of the mean between seeds) and what laws said before, with intervals.

    found: of `evidence.score_predictions`; chosen: laws to show. A panel a surface.
    """
    names = list(dict.fromkeys(found["dataset"]))
    figure, axes = panel_grid(len(names), narrow, 2, 1, 2.3)
    colours = dict(zip(chosen, (ORANGE, BLUE, GREEN, VERMILLION)))
    for axis, name in zip(axes, names):
        here = found[found["dataset"] == name]
        cells = list(dict.fromkeys(zip(here["n_layers"], here["d_emb"])))
        place = {cell: i for i, cell in enumerate(sorted(cells))}
        for i, law in enumerate(chosen):
            rows = here[here["law"] == law]
            x = (
                np.array([place[cell] for cell in zip(rows["n_layers"], rows["d_emb"])])
                + 0.16 * (i - (len(chosen) - 1) / 2)
                + 0.04
            )
            bars = np.clip(
                [rows["predicted"] - rows["low"], rows["high"] - rows["predicted"]], 0, None
            )
            axis.errorbar(
                x, rows["predicted"], yerr=bars, fmt="o", ms=3, lw=1, color=colours[law], label=law
            )
        rows = here.drop_duplicates(["n_layers", "d_emb"])
        x = np.array([place[cell] for cell in zip(rows["n_layers"], rows["d_emb"])]) - 0.36
        axis.errorbar(
            x,
            rows["value"],
            yerr=(rows["sd"] / np.sqrt(rows["seeds"])).fillna(0),
            fmt="D",
            ms=4,
            lw=1,
            color="black",
            label="measured",
        )
        axis.set_xticks(range(len(cells)), [f"N {n}\nd {d}" for n, d in sorted(cells)], fontsize=7)
        axis.set_ylim(max(0, 0.5 * rows["value"].min()), 1.5 * rows["value"].max())
        axis.set_title(name, fontsize=8)
        axis.grid(axis="x", visible=False)
    handles = {
        label: handle for axis in axes for handle, label in zip(*axis.get_legend_handles_labels())
    }
    figure.legend(
        handles.values(),
        handles.keys(),
        loc="outside upper center",
        ncols=2 if narrow else 5,
        fontsize=8,
    )
    figure.supylabel(metric, fontsize=9)
    return figure


def plot_chosen_sizes(counts: pd.DataFrame, target: float, narrow=False):
    """Of all surfaces and budgets, the share in which each rule's choice is within one noise unit of the best, and its mean regret; columns rule, as good, regret (%), and the
    same with ", kept": where a law is asked only for what was not measured.
    """
    figure, axes = panel_grid(2, narrow, 2, 1, 3.0, sharey=not narrow)
    place = np.arange(len(counts))[::-1]
    for axis, column, label in zip(
        axes, ("as good", "regret"), ("as good as the best, %", "mean regret, %")
    ):
        axis.plot(
            counts[f"{column}, kept"],
            place,
            "o",
            ms=8,
            mfc="none",
            color=ORANGE,
            label="asked only for what was not measured",
        )
        axis.plot(counts[column], place, "o", ms=5, color=BLUE, label="asked for all")
        axis.set_yticks(place, counts["rule"], fontsize=8)
        axis.set_ylim(-0.6, len(counts) - 0.4)
        axis.set_xlabel(label)
        axis.set_xlim(0, 103 if column == "as good" else None)
    axes[0].axvline(100 * target, color=GREY, lw=1, ls="--")
    figure.legend(
        *axes[0].get_legend_handles_labels(),
        loc="outside upper center",
        ncols=1 if narrow else 2,
        fontsize=8,
    )
    return figure


def plot_answer(
    panels: Mapping[str, tuple[pd.DataFrame, float, tuple[str, str]]], paper: set[str], narrow=False
):
    """The findings in one figure: a panel a question, with what is told (columns label, mean, low, high), where a dashed line stands, and what the axis tells and which way is better; what the paper says in orange."""
    figure, axes = panel_grid(len(panels), narrow, len(panels), 1, 2.3 if narrow else 3.1)
    for axis, (question, (rows, line, (label, better))) in zip(axes, panels.items()):
        rows = rows.sort_values("mean", ascending=better == "right")
        for y, row in enumerate(rows.itertuples()):
            of_paper = row.label in paper
            axis.plot(
                [row.low, row.high],
                [y, y],
                color=ORANGE if of_paper else BLUE,
                lw=1.8,
                solid_capstyle="butt",
            )
            axis.plot(
                row.mean,
                y,
                "D" if of_paper else "o",
                ms=6,
                color=ORANGE if of_paper else BLUE,
                clip_on=False,
                zorder=3,
            )
            axis.annotate(
                row.label,
                (0, y),
                (2, 5),
                xycoords=("axes fraction", "data"),
                textcoords="offset points",
                fontsize=8,
                fontweight="bold" if of_paper else "normal",
                zorder=2,
                bbox={"fc": "white", "ec": "none", "pad": 0.5},
            )
        axis.axvline(line, color=GREY, lw=1, ls="--", zorder=1)
        axis.set_yticks([])
        axis.set_ylim(-0.4, len(rows) - 0.2)
        axis.set_title(question, loc="left", fontweight="bold")
        axis.set_xlabel(f"{label}\n{better} is better", fontsize=8)
        axis.set_xlim(0, 1.08 * max(rows["high"].max(), line))
        axis.spines["left"].set_visible(False)
    return figure


# ---------------------------------------------------------------- which measure of data


def plot_data_measures(table: pd.DataFrame, narrow=False):
    """Each candidate for D′: the share of the squared changes that it foretells, more or less than tokens alone, with intervals; columns of `league.table`."""
    splits = {"intervention": "an intervention left out", "log": "a log left out"}
    splits = {split: label for split, label in splits.items() if f"edge {split}" in table}
    shown = table[table["candidate"] != "tokens"].sort_values(f"edge {list(splits)[-1]}")
    figure, axes = panel_grid(len(splits), narrow, 2, 1, 4.4, sharey=not narrow)
    place, floor = np.arange(len(shown)), -60.0
    for axis, (split, label) in zip(axes, splits.items()):
        edge, low, high = (
            100 * shown[f"{name} {split}"].to_numpy() for name in ("edge", "low", "high")
        )
        sure = np.where(low > 0, GREEN, np.where(high < 0, VERMILLION, GREY))
        for y, x, left, right, colour in zip(place, edge, low, high, sure):
            axis.plot([max(left, floor), max(right, floor)], [y, y], color=colour, lw=1.4)
            axis.plot(max(x, floor), y, "o" if x >= floor else "<", ms=5, color=colour)
        axis.axvline(0, color="black", lw=0.8)
        axis.set_yticks(place, shown["candidate"], fontsize=7)
        axis.set_ylim(-0.7, len(shown) - 0.3)
        axis.set_xlim(floor - 4, None)
        axis.set_title(label)
        axis.set_xlabel("more than tokens alone, points of 100", fontsize=7 if narrow else None)
    return figure


def plot_against_changes(found: pd.DataFrame, chosen: Mapping[str, np.ndarray], narrow=False):
    """What the metric changed (per cent) against what each chosen candidate for D′ changed (per cent); a colour an intervention, a mark a log."""
    figure, axes = panel_grid(len(chosen), narrow, 2, 1, 2.7, sharey=True)
    colours = dict(
        zip(
            dict.fromkeys(found["intervention"]),
            (BLUE, ORANGE, GREEN, VERMILLION, "#56B4E9", "#CC79A7", "#8C6D1F", GREY, "black"),
        )
    )
    marks = dict(zip(dict.fromkeys(found["log"]), "oD^sv*"))
    for axis, (name, x) in zip(axes, chosen.items()):
        for (intervention, log), rows in found.groupby(["intervention", "log"], sort=False):
            axis.plot(
                100 * x[rows.index],
                100 * rows["change"],
                marks[log],
                ms=4,
                mew=0,
                alpha=0.8,
                color=colours[intervention],
            )
        axis.axhline(0, color="black", lw=0.6)
        axis.axvline(0, color="black", lw=0.6)
        axis.set_title(name, fontsize=8)
        axis.tick_params(labelsize=7)
    handles = [plt.Line2D([], [], ls="", marker="o", color=colour) for colour in colours.values()]
    handles += [
        plt.Line2D([], [], ls="", marker=mark, color="black", mfc="none") for mark in marks.values()
    ]
    words = [name.replace("_", " ") for name in colours]
    figure.legend(
        handles, [*words, *marks], loc="outside upper center", ncols=2 if narrow else 5, fontsize=7
    )
    figure.supxlabel("change of the candidate, 100 × ln", fontsize=9)
    figure.supylabel("change of the metric, 100 × ln", fontsize=9)
    return figure


def plot_controls(rows: pd.DataFrame, metric: str, narrow=False):
    """Synthetic logs: the metric against users where the entropy rate is the same, and against the rate where all else is; and the best possible.

    rows: kind (size or rate), x, metric, best (nan where it is not known for the metric).
    """
    figure, axes = panel_grid(2, narrow, 2, 1, 2.7)
    for axis, kind, label in zip(
        axes, ("size", "rate"), ("users, at one entropy rate", "entropy rate (nats), at one size")
    ):
        here = rows[rows["kind"] == kind].sort_values("x")
        means = here.groupby("x")[[metric, "best"]].mean()
        axis.plot(here["x"], here[metric], "o", ms=4, color=BLUE, mfc="none")
        axis.plot(means.index, means[metric], "-", color=BLUE, label="trained")
        axis.plot(means.index, means["best"], ":", color="black", label="best possible")
        if kind == "size":
            set_log_axis(axis, list(means.index))
        axis.set_xlabel(label)
        axis.set_ylim(0, None)
    axes[0].set_ylabel(metric)
    figure.legend(
        *axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=2, fontsize=8
    )
    return figure


def plot_transfer_errors(errors: pd.DataFrame, floor: Mapping[str, float], narrow=False):
    """Error on the cells left against the runs of the target that were used, a panel a target; columns target, runs, rule, ape; floor: what noise alone gives."""
    targets = list(dict.fromkeys(errors["target"]))
    figure, axes = panel_grid(len(targets), narrow, min(3, len(targets)), 1, 2.5, sharey=True)
    colours = dict(zip(dict.fromkeys(errors["rule"]), (BLUE, GREY, ORANGE)))
    for axis, target in zip(axes, targets):
        for rule, rows in errors[errors["target"] == target].groupby("rule", sort=False):
            axis.plot(
                rows["runs"], rows["ape"], "-o", ms=3.5, lw=1.3, color=colours[rule], label=rule
            )
        axis.axhline(floor[target], color="black", lw=1, ls=":", label="noise alone")
        axis.set_title(target, fontsize=8)
        axis.set_xlabel("runs of the target")
    axes[0].set_ylim(0, 1.05 * errors["ape"].max())
    axes[0].set_ylabel("error on the rest, %")
    handles = {
        label: handle for axis in axes for handle, label in zip(*axis.get_legend_handles_labels())
    }
    figure.legend(
        handles.values(),
        handles.keys(),
        loc="outside upper center",
        ncols=2 if narrow else 4,
        fontsize=8,
    )
    return figure


# ---------------------------------------------------------------- the report on a log
