"""The study's models of the paper's sizes, beside the published surface."""

from __future__ import annotations

import numpy as np
import pandas as pd

from perflaw.laws import families
from perflaw.models.ranking import Seen
from perflaw.models.sweeps import grids, results
from perflaw.study import trained_cells
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
    return study_runs.mean_surfaces(_filter_paper_runs(study_runs.load_study_runs()), (metric,))


def _filter_paper_runs(runs: pd.DataFrame) -> pd.DataFrame:
    """Keep the runs of the grid `paper` at L = 100."""
    settings = grids.read_grid("paper")["settings"] | {"max_seq_len": LENGTH}
    return results.filter_runs(runs, settings)


def load_published(metric: str = "NDCG@10") -> pd.DataFrame:
    """Load the paper's surface of the same log and length: columns n_layers, d_emb and value."""
    surfaces = published.load_surfaces()
    is_same = (
        (surfaces["dataset"] == DATASET)
        & (surfaces["max_seq_len"] == LENGTH)
        & (surfaces["metric"] == metric)
    )
    return surfaces.loc[is_same, [*families.AXES, "value"]]


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
    theirs = load_published(metric).rename(columns={"value": "published"})
    beside = table[[*axes, "value", "sd", "seeds"]].merge(theirs, on=axes, how="left")
    drawn = pd.read_csv(study_file("data", "paper_sizes.csv"))
    drawn = drawn[drawn["max_seq_len"] == LENGTH].reindex(columns=[*axes, metric])
    sampled = drawn.groupby(axes)[metric].agg(["mean", "std"])
    sampled.columns = ["sampled", "sampled sd"]
    beside = beside.join(sampled, on=axes)
    return beside.assign(ratio=beside["sampled"] / beside["published"])


def _mean_cells(metric: str, seen: str, growing: bool) -> pd.DataFrame:
    """Average the metric over the seeds of a size: columns n_layers, d_emb, value and seeds."""
    runs = _filter_paper_runs(study_runs.load_study_runs(seen, growing))
    by_size = runs.groupby(list(families.AXES), as_index=False)
    return by_size.agg(value=(metric, "mean"), seeds=(metric, "size"))


def load_later_cells(metric: str = "NDCG@10", seen: str = Seen.HISTORY) -> pd.DataFrame:
    """Load the sizes that were trained after the surface of `load_surface`.

    Parameters
    ----------
    metric
        Name of the metric.
    seen
        The ranking rule of the values.

    Returns
    -------
    DataFrame
        Columns n_layers, d_emb, value (the mean over seeds) and seeds.
    """
    axes = list(families.AXES)
    all_cells = _mean_cells(metric, seen, growing=True)
    first = _mean_cells(metric, seen, growing=False)[axes]
    marked = all_cells.merge(first, on=axes, how="left", indicator=True)
    is_later = marked.pop("_merge") == "left_only"
    return marked[is_later].reset_index(drop=True)


def judge_predictions(seen: str = Seen.TRAINING) -> pd.DataFrame:
    """Judge what was written of the grid's larger cells before they were trained.

    Predictions of data/predictions-paper.csv stand under the older ranking rule, and so do the
    values by default. The nearest trained cell was not written down; it is added afterwards.

    Parameters
    ----------
    seen
        The ranking rule of the values. Under another than the default only the nearest trained
        cell is judged fairly.

    Returns
    -------
    DataFrame
        One row a metric, cell that has been trained since, and rule: metric, n_layers, d_emb, law,
        predicted, low and high (nan for the nearest cell), measured and seeds, error
        (100 × ln of predicted over measured) and inside, whether the interval has it.
    """
    axes = list(families.AXES)
    written = pd.read_csv(study_file("data", "predictions-paper.csv"))
    tables = []
    for metric, predicted in written.groupby("metric"):
        known = _mean_cells(str(metric), seen, growing=False)
        asked = load_later_cells(str(metric), seen).merge(predicted[axes].drop_duplicates())
        nearest = asked[axes].assign(
            law=trained_cells.NEAREST,
            metric=metric,
            predicted=trained_cells.nearest_values(known, asked),
        )
        tables.append(pd.concat([predicted, nearest]).merge(asked, on=axes))
    judged = pd.concat(tables, ignore_index=True).rename(columns={"value": "measured"})
    judged["error"] = 100 * np.log(judged["predicted"] / judged["measured"])
    judged["inside"] = judged["measured"].between(judged["low"], judged["high"])
    columns = ["metric", *axes, "law", "predicted", "low", "high", "measured", "seeds"]
    return judged[[*columns, "error", "inside"]]
