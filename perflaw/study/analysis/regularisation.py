"""Dropout and learning rate by size, and layers that share their weights."""

from __future__ import annotations

from typing import cast

import numpy as np
import pandas as pd
from scipy.stats import norm

from perflaw.laws import families
from perflaw.models.sweeps import grids
from perflaw.stats import check_level
from perflaw.study.analysis import study_runs
from perflaw.study.intervals import to_percent

TUNED_LOG, TUNED_GRID = "ml-100k", "choose"


def load_tuned_runs() -> pd.DataFrame:
    """Load SASRec's runs of the grid `choose`: each size with several recipes, one seed each."""
    grid = grids.read_grid(TUNED_GRID)
    settings = grid["settings"] | study_runs.USUAL_KIND | {"log": TUNED_LOG, "seed": 0}
    runs = study_runs.select_full_data_runs(study_runs.load_study_runs(), **settings)
    is_of_grid = runs[list(grid["grid"])].isin(grid["grid"]).all(axis=1)
    return runs[is_of_grid].reset_index(drop=True)


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

    As 100 × the logarithm of the ratio; 0 where the largest is the best.
    """
    largest = by_size.sort_values(list(families.AXES))[column].iloc[-1]
    return float(100 * np.log(largest / by_size[column].max()))


def expected_luck(n_sizes: int) -> float:
    """Say how far one of several equal sizes is below the best of them, in standard deviations."""
    return float(n_sizes * norm.expect(lambda z: z * norm.cdf(z) ** (n_sizes - 1)))


def chance_of_decline(decline: float, n_sizes: int) -> float:
    """Say how likely one of several equal sizes is at least so far below the best of them.

    Parameters
    ----------
    decline
        In standard deviations of a run, positive.
    n_sizes
        How many sizes are compared, one run each.
    """
    return float(1 - norm.expect(lambda z: norm.cdf(z + decline) ** (n_sizes - 1)))


def decline_intervals(by_size: pd.DataFrame, noise: float, level: float = 0.9) -> pd.DataFrame:
    """Compare the largest size with the best of each recipe, both single runs.

    Parameters
    ----------
    by_size
        As `tuned_by_size` returns it.
    noise
        Standard deviation of a run between seeds, in per cent.
    level
        Level of the intervals, which are normal, as the noise is pooled over many cells.

    Returns
    -------
    DataFrame
        Columns recipe, change (`decline_from_best` in per cent), low and high (its interval, from
        that of the logarithm), and by luck, the per cent of cases in which equal sizes would show
        as much (`chance_of_decline`). The interval is that of two sizes chosen beforehand, which
        the best is not. Where the largest size is the best, change is 0 and the others are nan.
    """
    check_level(level)
    reach = norm.ppf((1 + level) / 2) * np.sqrt(2) * noise
    recipes = [str(name) for name in by_size if str(name).startswith("dropout ")] + ["chosen"]
    changes = [decline_from_best(by_size, name) for name in recipes]
    table = pd.DataFrame({"recipe": recipes, "change": changes})
    table["low"] = table["change"] - reach
    table["high"] = table["change"] + reach
    ends = ["change", "low", "high"]
    table[ends] = table[ends].map(to_percent)
    chances = [100 * chance_of_decline(-change / noise, len(by_size)) for change in changes]
    table["by luck"] = chances
    table.loc[table["change"] == 0, ["low", "high", "by luck"]] = np.nan
    return table


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
        Columns d_emb, n_layers, apart, shared (means), runs (the fewer), change (100 × ln of the
        ratio of shared to apart) and its se.
    """
    cell = list(families.AXES)[::-1]
    means = runs.groupby([*cell, "shared_layers"])[metric].agg(["mean", "size"])
    both = cast("pd.DataFrame", means.unstack("shared_layers")).dropna()
    apart = both.xs(False, axis=1, level="shared_layers")
    shared = both.xs(True, axis=1, level="shared_layers")
    columns = {
        "apart": apart["mean"],
        "shared": shared["mean"],
        "runs": np.minimum(apart["size"], shared["size"]),
        "change": 100 * np.log(shared["mean"] / apart["mean"]),
        "se": noise * np.sqrt(1 / apart["size"] + 1 / shared["size"]),
    }
    return pd.DataFrame(columns).reset_index()
