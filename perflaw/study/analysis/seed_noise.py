"""Noise between seeds, steps to larger models, and means over surfaces with intervals.

Noise is that between seeds on the same users: how much another training run would differ, not
how much other users would.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from scipy.stats import norm

from perflaw.errors import InputError
from perflaw.laws import families
from perflaw.stats import check_level
from perflaw.study.analysis.study_runs import surface_names


def seed_sd_by_log(cells: pd.DataFrame, metric: str = "NDCG@10") -> pd.Series:
    """Estimate the standard deviation of one run between seeds, of each log.

    Parameters
    ----------
    cells
        As `results.aggregate_seeds` returns them: log, the metric's mean, sd and seeds.
    metric
        Name of the metric.

    Returns
    -------
    Series
        In per cent of a run's value, by log, pooled over cells.

    Raises
    ------
    InputError
        For a log of which no cell has two seeds.
    """
    by_log = {}
    for log, rows in cells.groupby("log", sort=False):
        repeated = rows[rows["seeds"] > 1]
        if repeated.empty:
            raise InputError(
                f"no cell of {log} was run with two seeds; the noise between seeds is not known"
            )
        dof = repeated["seeds"] - 1
        variance = ((repeated["sd"] / repeated[metric]) ** 2 * dof).sum() / dof.sum()
        by_log[log] = 100 * float(np.sqrt(variance))
    return pd.Series(by_log, name="noise")


def seed_sd_by_surface(table: pd.DataFrame, metric: str = "NDCG@10") -> pd.Series:
    """Estimate the standard deviation of one run between seeds, of each surface.

    Parameters
    ----------
    table
        As `mean_surfaces` returns it.
    metric
        Name of the metric.

    Returns
    -------
    Series
        In per cent of a run's value, by surface; that of the log's other surfaces where a
        surface has no two seeds.
    """
    cells = table[table["metric"] == metric].rename(columns={"value": metric})
    repeated = cells[cells["seeds"] > 1]
    by_surface = seed_sd_by_log(repeated.assign(log=repeated["dataset"]), metric)
    by_log = seed_sd_by_log(repeated, metric)
    logs = cells.drop_duplicates("dataset").set_index("dataset")["log"]
    return by_surface.reindex(logs.index).fillna(logs.map(by_log)).rename("noise")


def user_standard_error(runs: pd.DataFrame, metric: str = "NDCG@10") -> pd.Series:
    """Take the median standard error of a run over users, in per cent of its value, by surface."""
    relative = 100 * runs[f"{metric} se"] / runs[metric]
    return relative.groupby(surface_names(runs)).median().rename("users")


def marginal_gains(
    cells: pd.DataFrame, metric: str = "NDCG@10", level: float = 0.9
) -> pd.DataFrame:
    """Estimate what each step to the next larger N, or d, changes.

    A step is the mean over the values of the other axis that have both its ends.

    Parameters
    ----------
    cells
        As `results.aggregate_seeds` returns them.
    metric
        Name of the metric.
    level
        Level of the intervals, which are normal.

    Returns
    -------
    DataFrame
        Columns log, axis, smaller, larger, change (100 × the logarithm of the ratio), se (from
        the noise between seeds), low, high and pairs.
    """
    check_level(level)
    noise = seed_sd_by_log(cells, metric)
    rows = [
        step
        for log, of_log in cells.groupby("log", sort=False)
        for axis, other in (families.AXES, families.AXES[::-1])
        for step in _axis_steps(of_log, axis, other, metric, noise[log])
    ]
    gains = pd.DataFrame(rows, columns=_STEP_COLUMNS)
    reach = norm.ppf((1 + level) / 2) * gains["se"]
    return gains.assign(low=gains["change"] - reach, high=gains["change"] + reach)


_STEP_COLUMNS = ["log", "axis", "smaller", "larger", "change", "se", "pairs"]


def _axis_steps(
    cells: pd.DataFrame, axis: str, other: str, metric: str, noise: float
) -> Iterator[tuple]:
    """Yield the steps along one axis of one log, in the order of _STEP_COLUMNS."""
    grid = cells.set_index([other, axis]).sort_index()
    values = grid[metric].unstack()
    seeds = grid["seeds"].unstack()
    for small, large in zip(values.columns, values.columns[1:]):
        both = values[[small, large]].notna().all(axis=1)
        n_pairs = int(both.sum())
        if n_pairs == 0:
            continue
        change = 100 * np.log(values.loc[both, large] / values.loc[both, small])
        variance = noise**2 * (1 / seeds.loc[both, small] + 1 / seeds.loc[both, large])
        se = np.sqrt(variance.sum()) / n_pairs
        yield cells["log"].iloc[0], axis, small, large, change.mean(), se, n_pairs


def bootstrap_means(
    rows: pd.DataFrame, by: str, value: str, level: float = 0.9, draws: int = 4000, seed: int = 0
) -> pd.DataFrame:
    """Average a column over surfaces, with an interval from a bootstrap over these.

    Parameters
    ----------
    rows
        Columns dataset (the surface), BY and VALUE.
    by
        Column of what the means are of.
    value
        Column to average.
    level
        Level of the intervals.
    draws, seed
        Number of bootstrap samples, and the seed of their draw.

    Returns
    -------
    DataFrame
        Columns BY, mean, low and high.
    """
    by_surface = rows.groupby([by, "dataset"], sort=False)[value].mean()
    means = by_surface.unstack("dataset")
    n_surfaces = means.shape[1]
    drawn = np.random.default_rng(seed).integers(n_surfaces, size=(draws, n_surfaces))
    replicates = np.nanmean(means.to_numpy()[:, drawn], axis=2)
    low, high = np.nanquantile(replicates, [(1 - level) / 2, (1 + level) / 2], axis=1)
    mean = means.mean(axis=1).to_numpy()
    return pd.DataFrame({by: means.index, "mean": mean, "low": low, "high": high})
