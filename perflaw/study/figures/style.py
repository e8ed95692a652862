"""Colours of laws and logs: the same in every figure of the book."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import cycle

from perflaw.plotting import (
    BASELINE,
    BLUE,
    CATEGORIES,
    JOINT_LAW,
    PERFORMANCE_LAW,
    PURPLE,
    SKY,
    VERMILLION,
)
from perflaw.study.trained_cells import BASELINES

SYNTHETIC = "synthetic"
# Names of laws, which are keys, that a page and a figure show in other words.
LABELS = {
    "sum of powers": "sum of power laws",
    "power law of parameters": "power of parameters",
    "best seen": "keep the best trained model",
}
DASHES = ("-", (0, (5, 1.5)), (0, (1.5, 1)), (0, (6, 1, 1, 1)))


def law_colour(name: str, other: str = BLUE) -> str:
    """Give a law its colour.

    Parameters
    ----------
    name
        Name of the law.
    other
        Colour of a law without a fixed one.

    Returns
    -------
    str
        Orange for the Performance Law, green for the joint law, grey for baselines.
    """
    if name.startswith("Performance Law"):
        return PERFORMANCE_LAW
    if "joint law" in name:
        return JOINT_LAW
    return BASELINE if name in BASELINES else other


def law_colours(names: Iterable[str]) -> dict[str, str]:
    """Give the laws of one figure their colours; those without a fixed one take turns."""
    others = cycle((BLUE, VERMILLION, SKY, PURPLE))
    colours = {}
    for name in names:
        colours[name] = law_colour(name, "") or next(others)
    return colours


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
    names = sorted(set(logs) - {SYNTHETIC})
    colours = [colour for colour in CATEGORIES if colour != "#000000"]
    styles = {SYNTHETIC: {"color": "black", "ls": "-", "lw": 2, "label": SYNTHETIC}}
    for i, log in enumerate(names):
        dash = DASHES[i // len(colours) % len(DASHES)]
        styles[log] = {"color": colours[i % len(colours)], "ls": dash, "lw": 1.3, "label": log}
    return styles


def category_colours(names: Iterable[str]) -> dict[str, str]:
    """Give each category a colour, in the order of their first appearance."""
    return dict(zip(dict.fromkeys(names), cycle(CATEGORIES)))
