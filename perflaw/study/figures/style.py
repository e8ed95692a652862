"""Colours of laws and logs: the same in every figure of the book."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import cycle, product

from perflaw.logs.datasets import SYNTHETIC
from perflaw.plotting import (
    BASELINE,
    BLACK,
    BLUE,
    CATEGORIES,
    JOINT_LAW,
    PERFORMANCE_LAW,
    PURPLE,
    SKY,
    VERMILLION,
)
from perflaw.study.trained_cells import BASELINES

# What pages and figures call a law, where it is not the law's name in tables.
LABELS = {
    "sum of powers": "sum of power laws",
    "power law of parameters": "power of parameters",
    "best seen": "keep the best trained model",
    "leave-one-out": "one cell",  # hidden; pages keep the other name for the split of a log
}
DASHES = ("-", (0, (5, 1.5)), (0, (1.5, 1)), (0, (6, 1, 1, 1)))


def law_colour(name: str) -> str:
    """Give a law its colour.

    Parameters
    ----------
    name
        Name of the law.

    Returns
    -------
    str
        Orange for the Performance Law, green for the joint law, grey for baselines, blue for
        others.
    """
    return _fixed_colour(name) or BLUE


def law_colours(names: Iterable[str]) -> dict[str, str]:
    """Give the laws of one figure their colours; those without a fixed one take turns."""
    others = cycle((BLUE, VERMILLION, SKY, PURPLE))
    return {name: _fixed_colour(name) or next(others) for name in names}


def _fixed_colour(name: str) -> str | None:
    if name.startswith("Performance Law"):
        return PERFORMANCE_LAW
    if "joint law" in name:
        return JOINT_LAW
    return BASELINE if name in BASELINES else None


def log_styles(logs: Iterable[str]) -> dict[str, dict]:
    """Give each log its line: colour, dash and width, the synthetic log in bold black.

    Parameters
    ----------
    logs
        Names of logs, repeated or not.

    Returns
    -------
    dict
        By name, arguments of `matplotlib.axes.Axes.plot`, the label among them.
    """
    colours = [colour for colour in CATEGORIES if colour != BLACK]
    lines = cycle(product(DASHES, colours))
    styles = {SYNTHETIC: {"color": "black", "ls": "-", "lw": 2, "label": SYNTHETIC}}
    for log, (dash, colour) in zip(sorted(set(logs) - {SYNTHETIC}), lines):
        styles[log] = {"color": colour, "ls": dash, "lw": 1.3, "label": log}
    return styles
