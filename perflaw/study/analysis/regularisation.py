"""Dropout and learning rate by size, and layers that share their weights."""

from __future__ import annotations

from typing import cast

import numpy as np
import pandas as pd

from perflaw.laws import families


def tuned_by_size(runs: pd.DataFrame, metric: str = "NDCG@10") -> pd.DataFrame:
    """Tabulate each dropout, and the setting that validation chooses, by size.

    Parameters
    ----------
    runs
        One run a size, dropout and learning rate, with validation NDCG@10.
    metric
        Name of the metric.

    Returns
    -------
    DataFrame
        One row a size. Columns n_layers, d_emb, "dropout X" (each at the largest learning
        rate), chosen (by the best validation NDCG@10), its dropout and its rate.
    """
    size = list(families.AXES)
    fastest = runs[runs["learning_rate"] == runs["learning_rate"].max()]
    by_dropout = fastest.set_index([*size, "dropout"])[metric].unstack()
    table = by_dropout.rename(columns=lambda dropout: f"dropout {dropout:g}")
    best = runs.loc[runs.groupby(size)["validation NDCG@10"].idxmax()].set_index(size)
    table["chosen"] = best[metric]
    table["its dropout"] = best["dropout"]
    table["its rate"] = best["learning_rate"]
    return table.reset_index().rename_axis(columns=None)


def decline_from_best(by_size: pd.DataFrame, column: str) -> float:
    """Measure how far the largest size is below the best.

    In per cent (100 × the logarithm of the ratio); 0 where the largest is the best.
    """
    largest = by_size.sort_values(list(families.AXES))[column].iloc[-1]
    return float(100 * np.log(largest / by_size[column].max()))


def compare_shared_layers(
    runs: pd.DataFrame, noise: float, metric: str = "NDCG@10"
) -> pd.DataFrame:
    """Compare cells that were run with own layers and with one block shared by all layers.

    Parameters
    ----------
    runs
        Runs of both kinds.
    noise
        Standard deviation of a run between seeds, in per cent.
    metric
        Name of the metric.

    Returns
    -------
    DataFrame
        Columns d_emb, n_layers, apart, shared (means), runs (the fewer), change (per cent) and
        se.
    """
    cell = list(families.AXES)[::-1]
    means = runs.groupby([*cell, "shared_layers"])[metric].agg(["mean", "size"])
    both = cast("pd.DataFrame", means.unstack("shared_layers")).dropna()
    apart = both.xs(False, axis=1, level="shared_layers")
    shared = both.xs(True, axis=1, level="shared_layers")
    table = {
        "apart": apart["mean"],
        "shared": shared["mean"],
        "runs": np.minimum(apart["size"], shared["size"]),
        "change": 100 * np.log(shared["mean"] / apart["mean"]),
        "se": noise * np.sqrt(1 / apart["size"] + 1 / shared["size"]),
    }
    return pd.DataFrame(table).reset_index()
