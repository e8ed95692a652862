"""The study's models of the paper's sizes, beside the published surface."""

from __future__ import annotations

import pandas as pd

from perflaw.laws import families
from perflaw.models.sweeps import grids, results
from perflaw.study.analysis import study_runs
from perflaw.study.files import study_file
from perflaw.study.paper import published

LENGTH = 100
DATASET = "MovieLens-1M"


def load_surface(metric: str = "NDCG@10") -> pd.DataFrame:
    """Load the means over seeds of the grid `paper` at L = 100, all items ranked.

    Parameters
    ----------
    metric
        Name of the metric.

    Returns
    -------
    DataFrame
        As `mean_surfaces` returns it.
    """
    settings = grids.read_grid("paper")["settings"] | {"max_seq_len": LENGTH}
    runs = results.filter_runs(study_runs.load_study_runs(), settings)
    return study_runs.mean_surfaces(runs, (metric,))


def compare_with_paper(table: pd.DataFrame, metric: str = "NDCG@10") -> pd.DataFrame:
    """Put the published values, and ours under their protocol, beside our surface.

    Parameters
    ----------
    table
        As `load_surface` returns it.
    metric
        Name of the metric.

    Returns
    -------
    DataFrame
        Columns n_layers, d_emb, value, sd and seeds (all items ranked), published, sampled and
        sampled sd (ranked among 2,500 items, nan where data/paper_sizes.csv has no such metric)
        and ratio (sampled over published).
    """
    axes = list(families.AXES)
    surfaces = published.load_surfaces()
    is_same = (
        (surfaces["dataset"] == DATASET)
        & (surfaces["max_seq_len"] == LENGTH)
        & (surfaces["metric"] == metric)
    )
    theirs = surfaces.loc[is_same, [*axes, "value"]].rename(columns={"value": "published"})
    beside = table[[*axes, "value", "sd", "seeds"]].merge(theirs, on=axes, how="left")
    drawn = pd.read_csv(study_file("data", "paper_sizes.csv"))
    drawn = drawn[drawn["max_seq_len"] == LENGTH].reindex(columns=[*axes, metric])
    sampled = drawn.groupby(axes)[metric].agg(["mean", "std"])
    sampled.columns = ["sampled", "sampled sd"]
    beside = beside.join(sampled, on=axes)
    return beside.assign(ratio=beside["sampled"] / beside["published"])
