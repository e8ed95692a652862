"""What all figures share: colours with a fixed meaning, the style sheet, panels and axes.

A figure is a function of data and of `narrow`, which asks for the layout that a phone shows.
The palette is that of Wong (Nature Methods 8:441, 2011), after Okabe and Ito: readers with any
kind of colour vision tell its colours apart. Sequences run from light to dark, so that they
survive a grey print.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from importlib.resources import files
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator, StrMethodFormatter
from numpy.typing import ArrayLike

BLUE, ORANGE, GREEN, VERMILLION = "#0072B2", "#E69F00", "#009E73", "#D55E00"
SKY, PURPLE, BLACK, GREY = "#56B4E9", "#CC79A7", "#000000", "#777777"

PERFORMANCE_LAW = ORANGE
"""The Performance Law, and what its paper proposes; used for nothing else."""
JOINT_LAW = GREEN
"""The joint law of all surfaces; used for nothing else."""
BASELINE = GREY
"""Baselines, targets and what a reader may overlook."""
CATEGORIES = (BLUE, VERMILLION, SKY, PURPLE, BLACK, "#8C6D1F", GREY)
"""Colours of categories without a fixed meaning (logs, sweeps), in the order of their use."""

SEQUENCE = plt.get_cmap("viridis_r")
WIDE, NARROW = 7.2, 3.7  # inches: the width of the text on a screen and on a phone
CLOSEST_TICKS = 1.9  # ratio of two ticks of a logarithmic axis that leave room for each other


def style_context(settings: Mapping[str, Any] | None = None) -> AbstractContextManager[None]:
    """Draw in the style of perflaw.mplstyle.

    Parameters
    ----------
    settings
        Settings of matplotlib that hold on top of the style sheet.

    Returns
    -------
    AbstractContextManager
        For a ``with`` statement; settings are as before after it.
    """
    sheet = str(files("perflaw") / "perflaw.mplstyle")
    return mpl.style.context([sheet, dict(settings or {})])


def panel_grid(
    n_panels: int,
    narrow: bool,
    wide_columns: int,
    narrow_columns: int,
    row_height: float,
    **options: Any,
) -> tuple[Figure, list[Axes]]:
    """Make a figure of panels.

    Parameters
    ----------
    n_panels
        Number of panels; places of the grid beyond it stay empty.
    narrow
        Whether the figure is for a phone.
    wide_columns, narrow_columns
        Panels in a row, on a screen and on a phone.
    row_height
        Height of a row of panels, in inches.
    **options
        Further arguments of `matplotlib.pyplot.subplots`.

    Returns
    -------
    figure, axes
        The figure and its axes, row by row.
    """
    n_columns = narrow_columns if narrow else wide_columns
    n_rows = math.ceil(n_panels / n_columns)
    size = (NARROW if narrow else WIDE, row_height * n_rows)
    figure, axes = plt.subplots(n_rows, n_columns, figsize=size, squeeze=False, **options)
    for spare in axes.flat[n_panels:]:
        spare.remove()
    return figure, list(axes.flat[:n_panels])


def set_log_axis(ax: Axes, values: Sequence[float], vertical: bool = False) -> None:
    """Make an axis logarithmic, with ticks at those values that have room.

    Parameters
    ----------
    ax
        The axes.
    values
        Where a tick may stand, in increasing order; the first always has one.
    vertical
        Whether it is the vertical axis.
    """
    ticks = [values[0]]
    for value in values[1:]:
        if value >= CLOSEST_TICKS * ticks[-1]:
            ticks.append(value)
    if vertical:
        ax.set_yscale("log")
    else:
        ax.set_xscale("log")
    axis = ax.yaxis if vertical else ax.xaxis
    axis.set_major_locator(FixedLocator(ticks))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(StrMethodFormatter("{x:g}"))


def name_rows(
    ax: Axes, places: ArrayLike, names: Iterable[str], margin: float = 0.6, **options: Any
) -> None:
    """Name the rows of a panel at its left, and leave a margin above and below them.

    Parameters
    ----------
    ax
        The axes.
    places
        Heights of the rows: 0, 1, … in any order.
    names
        In the order of the places.
    margin
        Between the outer rows and the ends of the axis.
    **options
        Further arguments of `matplotlib.axes.Axes.set_yticks`.
    """
    ax.set_yticks(places, list(names), **options)
    ax.set_ylim(np.min(places) - margin, np.max(places) + margin)


def legend_above(
    figure: Figure, n_columns: int, handles: Mapping[str, Any] | Sequence[Axes], **options: Any
) -> None:
    """Put one legend above all panels.

    Parameters
    ----------
    figure
        The figure.
    n_columns
        Entries in a row.
    handles
        Artists by label, or the axes whose labelled artists are shown, each label once.
    **options
        Further arguments of `matplotlib.figure.Figure.legend`.
    """
    if not isinstance(handles, Mapping):
        handles_by_label: dict[str, Any] = {}
        for ax in handles:
            axes_handles, labels = ax.get_legend_handles_labels()
            handles_by_label |= zip(labels, axes_handles)
        handles = handles_by_label
    figure.legend(
        list(handles.values()),
        list(handles),
        loc="outside upper center",
        ncols=n_columns,
        **options,
    )
