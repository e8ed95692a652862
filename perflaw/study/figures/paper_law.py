"""Figures of the page that explains the paper's law."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np

from perflaw.plotting import GREY, NARROW, PERFORMANCE_LAW, WIDE

BOXES = {
    "data": ("Data", "448 published points\n3,200 public models\nour own sweeps"),
    "fits": ("Fits", "Performance Law\nrival laws\njoint law"),
    "tests": ("Tests", "hidden cells\npredictions written first\nchanged data"),
    "verdicts": ("Verdicts", "claim by claim,\nwith intervals\nand limits"),
}


def term(x: np.ndarray, p: float, k: float = 2.0) -> np.ndarray:
    """Evaluate one term of the law, −1 / (k x^p) − p ln x, for a weight of one.

    Source: arXiv 2412.00430, the Performance Law.
    """
    return -1 / (k * x**p) - p * np.log(x)


def plot_term(exponents: Sequence[float], k: float = 2.0, narrow: bool = False) -> plt.Figure:
    """Draw one term of the law against a size, one curve an exponent, with its turning point.

    Each curve is shifted and scaled to rise from 0 to 1, so that its shape can be seen. A dot marks
    the turning point x* = k^(−1/p) where it lies inside the picture.
    """
    figure, ax = plt.subplots(figsize=(NARROW if narrow else WIDE, 3.2))
    x = np.geomspace(1, 256, 400)
    for opacity, p in zip(np.linspace(0.35, 1.0, len(exponents)), exponents):
        y = term(x, p, k)
        ax.plot(x, (y - y.min()) / (y.max() - y.min()), color=PERFORMANCE_LAW, alpha=opacity)
        turn = k ** (-1 / p)
        if x[0] < turn < x[-1]:
            ax.plot(turn, 1, "o", color=PERFORMANCE_LAW, ms=6)
            ax.annotate(
                f"p = {p:g}\nx* = {turn:.0f}",
                (turn, 1),
                (0, 7),
                textcoords="offset points",
                ha="center",
                fontsize=8,
            )
    ax.set_xscale("log", base=2)
    ax.set_xticks([1, 4, 16, 64, 256], ["1", "4", "16", "64", "256"])
    ax.set_ylim(-0.05, 1.35)
    ax.set_yticks([0, 0.5, 1])
    ax.set(xlabel="size x (layers N or dimension d)", ylabel="term, scaled to 0…1")
    return figure


def plot_overview(narrow: bool = False) -> plt.Figure:
    """Draw how the study goes from data to verdicts."""
    figure, ax = plt.subplots(figsize=(NARROW, 6.0) if narrow else (WIDE, 1.9))
    ax.set_axis_off()
    places = [(0, -i) if narrow else (i, 0) for i in range(len(BOXES))]
    frame = {"boxstyle": "round,pad=0.6", "fc": "white", "ec": GREY}
    boxes = [
        ax.text(*place, f"{title}\n\n{text}", ha="center", va="center", fontsize=9, bbox=frame)
        for (title, text), place in zip(BOXES.values(), places)
    ]
    for (start, tail), (stop, head) in itertools.pairwise(zip(places, boxes)):
        ends = {"patchA": tail.get_bbox_patch(), "patchB": head.get_bbox_patch()}
        arrow = {"arrowstyle": "->", "color": GREY, "lw": 1.5, "shrinkA": 3, "shrinkB": 3} | ends
        ax.annotate("", stop, start, arrowprops=arrow)
    if narrow:
        ax.set(xlim=(-0.6, 0.6), ylim=(-3.6, 0.6))
    else:
        ax.set(xlim=(-0.5, 3.5), ylim=(-0.6, 0.6))
    return figure
