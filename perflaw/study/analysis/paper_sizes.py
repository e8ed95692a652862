"""The study's models of the paper's sizes, beside the published surface."""

from __future__ import annotations

import numpy as np
import pandas as pd

from perflaw.laws import families
from perflaw.models.ranking import Seen
from perflaw.models.sweeps import grids, results
from perflaw.stats import student_quantile
from perflaw.study import trained_cells
from perflaw.study.analysis import seed_noise, study_runs
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
    runs = study_runs.load_study_runs(growing=True)
    return study_runs.mean_surfaces(_filter_paper_runs(runs), (metric,))


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


def judge_predictions(seen: str = Seen.TRAINING) -> pd.DataFrame:
    """Judge what was written of the grid's larger cells before they were trained.

    Predictions of data/predictions-paper.csv stand under the older ranking rule, and so do the
    values by default. The nearest and the best of the cells that were trained then were not
    written down; they are added afterwards.

    Parameters
    ----------
    seen
        The ranking rule of the values. Under another than the default only the nearest and the
        best trained cell are judged fairly.

    Returns
    -------
    DataFrame
        One row a metric, cell that has been trained since, and rule: metric, n_layers, d_emb, law,
        predicted, low and high (nan for what was added), measured and seeds, error
        (100 × ln of predicted over measured) and inside, whether the interval has it.
    """
    axes = list(families.AXES)
    written = pd.read_csv(study_file("data", "predictions-paper.csv"))
    tables = []
    runs_then, runs_now = (
        _filter_paper_runs(study_runs.load_study_runs(seen, growing)) for growing in (False, True)
    )
    for metric, predicted in written.groupby("metric"):
        known = _mean_cells(runs_then, str(metric))
        trained = _mean_cells(runs_now, str(metric))
        asked = trained.merge(predicted[axes].drop_duplicates())
        copied = trained_cells.predict_by_trained(known, asked)
        added = [
            asked[axes].assign(metric=metric, law=name, predicted=copied[name])
            for name in (trained_cells.NEAREST, trained_cells.BEST)
        ]
        tables.append(pd.concat([predicted, *added]).merge(asked, on=axes))
    judged = pd.concat(tables, ignore_index=True).rename(columns={"value": "measured"})
    judged["error"] = 100 * np.log(judged["predicted"] / judged["measured"])
    judged["inside"] = judged["measured"].between(judged["low"], judged["high"])
    columns = ["metric", *axes, "law", "predicted", "low", "high", "measured", "seeds"]
    return judged[[*columns, "error", "inside"]]


def summarise_predictions(judged: pd.DataFrame) -> pd.DataFrame:
    """Average the errors of `judge_predictions` over cells.

    Returns
    -------
    DataFrame
        One row a metric and rule: cells, mean absolute error and bias (the mean error), both in
        100 × ln; inside, how many intervals hold the value (nan where none were written).
    """
    by_law = judged.groupby(["metric", "law"], sort=False)
    summary = by_law["error"].agg(
        cells="size", error=lambda errors: errors.abs().mean(), bias="mean"
    )
    inside = by_law["inside"].sum().where(by_law["low"].count() > 0)
    return summary.assign(inside=inside).reset_index()


def _mean_cells(runs: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Average the metric over the seeds of a size: columns n_layers, d_emb, value and seeds."""
    by_size = runs.groupby(list(families.AXES), as_index=False)
    return by_size.agg(value=(metric, "mean"), seeds=(metric, "size"))


def compare_depths(beside: pd.DataFrame, level: float = 0.9) -> pd.DataFrame:
    """Compare each size with the next deeper one of the same dimension, ours and the paper's.

    Parameters
    ----------
    beside
        As `compare_with_paper` returns it. Both are ranked among 2,500 items.
    level
        Level of the intervals.

    Returns
    -------
    DataFrame
        One row a step: d_emb, smaller and larger (layers), change with low and high (ours;
        Student's interval, by the noise between seeds of all cells that have two), published (the
        change of the paper's values) and seeds (of the two cells, such as "2, 1"). Changes are
        100 × the logarithm of the ratio.
    """
    cells = beside.dropna(subset=["sampled", "published"]).sort_values(["d_emb", "n_layers"])
    seeds = cells[["seeds", "sampled"]].assign(log=DATASET, sd=cells["sampled sd"])
    noise = seed_noise.seed_sd_by_log(seeds, "sampled").item()
    dof = (cells["seeds"] - 1).sum()
    earlier = cells.groupby("d_emb").shift()
    se = noise * np.sqrt(1 / cells["seeds"] + 1 / earlier["seeds"])
    change = 100 * np.log(cells["sampled"] / earlier["sampled"])
    reach = student_quantile(level, dof) * se
    steps = pd.DataFrame(
        {
            "d_emb": cells["d_emb"],
            "smaller": earlier["n_layers"],
            "larger": cells["n_layers"],
            "change": change,
            "low": change - reach,
            "high": change + reach,
            "published": 100 * np.log(cells["published"] / earlier["published"]),
            "seeds": earlier["seeds"].map("{:.0f}, ".format) + cells["seeds"].map(str),
        }
    ).dropna()
    return steps.astype({"smaller": int}).reset_index(drop=True)
