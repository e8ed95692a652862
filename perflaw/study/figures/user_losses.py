"""The figure of losses of the worst users."""

from __future__ import annotations

import matplotlib.pyplot as plt
import pandas as pd

from perflaw.plotting import BLUE, GREY, VERMILLION, legend_above, panel_grid, set_log_axis
from perflaw.study.neighbours.user_losses import LOSSES

LOSS_COLOURS = dict(zip(LOSSES, (GREY, BLUE, VERMILLION)))


def plot_user_losses(averages: pd.DataFrame, narrow: bool = False) -> plt.Figure:
    """Draw NDCG@10 against d under each loss, a panel for each log and group of users.

    averages: what `user_losses.average_groups` returns. Lines are means over seeds, dots are runs;
    the mean over positions is grey.
    """
    sizes = sorted(averages["d_emb"].unique())
    panels = averages.groupby(["log", "group"], sort=False)
    figure, axes = panel_grid(len(panels), narrow, 4, 2, 2.5, sharex=True)
    for ax, ((log, group), of_group) in zip(axes, panels):
        for loss, colour in LOSS_COLOURS.items():
            runs = of_group[of_group["loss"] == loss]
            means = runs.groupby("d_emb")["value"].mean()
            ax.plot(means.index, means, color=colour, label=loss)
            ax.plot(runs["d_emb"], runs["value"], "o", ms=3, color=colour, alpha=0.6)
        set_log_axis(ax, sizes)
        ax.set(ylim=(0, None), title=f"{log}\n{group}", xlabel="d")
    for ax in axes[:: 2 if narrow else 4]:
        ax.set_ylabel("NDCG@10 × 100")
    legend_above(figure, 3, axes[:1])
    return figure
