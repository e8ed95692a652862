"""Figure of the page on ensembles."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from perflaw.plotting import BLACK, BLUE, PURPLE, VERMILLION, legend_above, panel_grid
from perflaw.study.neighbours.cetnet_runs import ALONE, STUDENT, TOGETHER, WIDER
from perflaw.study.neighbours.grid_runs import METRIC

# colour, marker, label, and the factor that shifts the way to the side
WAYS = {
    TOGETHER: (BLUE, "o", "members together", 0.97),
    ALONE: (VERMILLION, "s", "members alone, averaged", 1.0),
    WIDER: (BLACK, "^", "one wider model", 1.03),
}
LIMIT_GAP = 1.8  # ratio of the place of the asymptotes to the largest m
STUDENT_PLACE = 0.9  # left of m = 1


def plot_growth(
    growth: pd.DataFrame, asymptotes: pd.DataFrame, students: pd.DataFrame, narrow: bool = False
) -> Figure:
    """Draw the metric against the number of members, and the asymptotes at the right.

    Parameters
    ----------
    growth
        As `ensemble_growth.growth_by_way` returns it; small marks are seeds, lines their means.
    asymptotes
        As `ensemble_growth.compare_asymptotes` returns them; bars are intervals.
    students
        log, seed and value of the distilled model.
    narrow
        Whether the figure is for a phone.
    """
    logs = asymptotes.groupby("log", sort=False)
    figure, axes = panel_grid(len(logs), narrow, min(2, len(logs)), 1, 3.0)
    for ax, (log, limits) in zip(axes, logs):
        of_log = growth[growth["log"] == log]
        members = sorted(of_log["members"].unique())
        at_infinity = LIMIT_GAP * members[-1]
        for way, (colour, marker, label, shift) in WAYS.items():
            of_way = of_log[of_log["way"] == way]
            m, values = of_way["members"], of_way["value"]
            ax.plot(shift * m, values, marker, ms=3, color=colour, alpha=0.5)
            means = of_way.groupby("members")["value"].mean()
            ax.plot(shift * means.index, means, color=colour, marker=marker, ms=6, label=label)
            limit = limits.set_index("way").loc[way]
            x = at_infinity * shift**3
            ax.plot(x, limit["asymptote"], marker, ms=6, mfc="white", color=colour)
            ax.vlines(x, limit["low"], limit["high"], color=colour, lw=1)
        values = students.loc[students["log"] == log, "value"]
        ax.plot([STUDENT_PLACE] * len(values), values, "D", ms=3, color=PURPLE, alpha=0.5)
        ax.plot(STUDENT_PLACE, values.mean(), "D", ms=6, color=PURPLE, label=STUDENT)
        ax.set_xscale("log")
        ax.set_xticks([*members, at_infinity], [*map(str, members), "∞"])
        ax.xaxis.set_minor_locator(NullLocator())
        ax.set(
            xlim=(0.8, 1.25 * at_infinity),
            title=log,
            xlabel="members m (or their parameters in one model)",
            ylabel=f"{METRIC} on test",
        )
    legend_above(figure, 2 if narrow else 4, axes[:1])
    return figure
