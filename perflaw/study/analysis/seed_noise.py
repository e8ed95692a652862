"""Noise between seeds, and steps to larger models with intervals from it.

Noise is that between seeds on the same users: how much another training run would differ, not
how much other users would. It is estimated from few seeds, so intervals are Student's.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from scipy.stats import false_discovery_control, t

from perflaw.errors import InputError
from perflaw.laws import families
from perflaw.stats import check_level, student_quantile
from perflaw.study.analysis.study_runs import mean_surfaces, surface_names

FALSE_DISCOVERY_RATE = 0.1
SHARED_USER_CORRELATION = 0.6
"""Correlation of two models' gains of the same users, their N and d apart.

On the study's six logs it is 0.46 to 0.75 in the mean (scripts/shared_users.py).
"""
MEAN_ABSOLUTE_NORMAL = float(np.sqrt(2 / np.pi))
"""Mean absolute value of a normal variable of standard deviation one."""
STEP = ["log", "axis", "smaller", "larger", "change", "se", "pairs"]


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


def noise_of_means(table: pd.DataFrame, metric: str) -> pd.Series:
    """Say how far the noise between seeds puts each cell's mean off, in the mean and in per cent.

    Parameters
    ----------
    table
        As `mean_surfaces` returns it.
    metric
        Name of the metric.

    Returns
    -------
    Series
        By row of the table that has the metric.
    """
    cells = table[table["metric"] == metric]
    noise = cells["dataset"].map(seed_sd_by_surface(table, metric))
    return MEAN_ABSOLUTE_NORMAL * noise / np.sqrt(cells["seeds"])


def user_standard_error(runs: pd.DataFrame, metric: str = "NDCG@10") -> pd.Series:
    """Take the median standard error of a run over users, in per cent of its value, by surface."""
    relative = 100 * runs[f"{metric} se"] / runs[metric]
    return relative.groupby(surface_names(runs)).median().rename("users")


def marginal_gains(
    cells: pd.DataFrame, metric: str = "NDCG@10", level: float = 0.9
) -> pd.DataFrame:
    """Estimate what each step to the next larger N, or d, changes.

    A step is the mean over the values of the other axis that have both its ends. Its error comes
    from the noise between seeds, a pooled estimate with as many degrees of freedom as the log has
    seeds beyond the first of each cell; intervals and p-values are Student's.

    Parameters
    ----------
    cells
        As `results.aggregate_seeds` returns them.
    metric
        Name of the metric.
    level
        Level of the intervals.

    Returns
    -------
    DataFrame
        Columns log, axis, smaller, larger, change (100 × the logarithm of the ratio), se, pairs,
        dof (of the noise), low, high, p (two-sided, of no change) and discovered (whether the
        step is told from none by Benjamini and Hochberg's procedure over all rows, at a false
        discovery rate of FALSE_DISCOVERY_RATE).
    """
    check_level(level)
    noise = seed_sd_by_log(cells, metric)
    dof = (cells["seeds"] - 1).groupby(cells["log"]).sum()
    rows = [
        step
        for log, of_log in cells.groupby("log", sort=False)
        for axis, other in (families.AXES, families.AXES[::-1])
        for step in _axis_steps(of_log, axis, other, metric, noise[log])
    ]
    gains = pd.DataFrame(rows, columns=STEP)
    gains["dof"] = gains["log"].map(dof)
    reach = student_quantile(level, gains["dof"]) * gains["se"]
    gains["low"], gains["high"] = gains["change"] - reach, gains["change"] + reach
    gains["p"] = 2 * t.sf((gains["change"] / gains["se"]).abs(), gains["dof"])
    gains["discovered"] = false_discovery_control(gains["p"]) <= FALSE_DISCOVERY_RATE
    return gains


def surface_gains(table: pd.DataFrame, metric: str = "NDCG@10", level: float = 0.9) -> pd.DataFrame:
    """Estimate the steps of `marginal_gains` on surfaces, whose names stand for logs.

    Parameters
    ----------
    table
        As `mean_surfaces` returns it.
    metric, level
        As for `marginal_gains`.
    """
    cells = table[table["metric"] == metric].rename(columns={"value": metric})
    return marginal_gains(cells.assign(log=cells["dataset"]), metric, level)


def ranking_rule_effects(
    runs: pd.DataFrame, older: pd.DataFrame, metric: str = "NDCG@10", level: float = 0.9
) -> pd.DataFrame:
    """Estimate by how much another ranking rule changes each step, run by run.

    Both rules rank with the same trained model, so most of the noise between seeds cancels in
    the ratio of a run's two values.

    Parameters
    ----------
    runs, older
        The same runs under the two rules, as `study_runs.load_surface_runs` returns them.
    metric, level
        As for `marginal_gains`.

    Returns
    -------
    DataFrame
        As `marginal_gains`: change is that under the older rule less that under the other.

    Raises
    ------
    InputError
        If a run is not in both tables, or the rules rank alike in all of them.
    """
    under_rule = runs.set_index("key")[metric].reindex(older["key"])
    if under_rule.isna().any():
        run = under_rule.isna().idxmax()
        raise InputError(f"run {run} has no {metric} under the other rule; give the same runs")
    ratios = older.assign(**{metric: older[metric] / under_rule.to_numpy()})
    if (ratios[metric] == 1).all():
        raise InputError(f"{metric} is the same under both rules in every run; give two rules")
    return surface_gains(mean_surfaces(ratios, (metric,)), metric, level)


def describe_surfaces(
    table: pd.DataFrame, runs: pd.DataFrame, metric: str = "NDCG@10"
) -> pd.DataFrame:
    """Describe surfaces: their size, best cell and noise.

    Parameters
    ----------
    table
        As `mean_surfaces` returns it.
    runs
        The runs that it averages.
    metric
        Name of the metric.

    Returns
    -------
    DataFrame
        Columns dataset, cells, runs, best, and the standard deviation of a run between seeds and
        its standard error over users, in per cent.
    """
    cells = table[table["metric"] == metric]
    groups = cells.groupby("dataset", sort=False)
    described = groups.agg(cells=("seeds", "size"), runs=("seeds", "sum"), best=("value", "max"))
    described["between seeds, %"] = seed_sd_by_surface(table, metric)
    described["over users, %"] = user_standard_error(runs, metric)
    return described.reset_index()


def count_gains(gains: pd.DataFrame) -> pd.DataFrame:
    """Count the steps that help and hurt, by axis.

    Parameters
    ----------
    gains
        As `marginal_gains` returns them.

    Returns
    -------
    DataFrame
        Index axis. Columns steps; up and down (the interval excludes zero); "up,
        corrected" and "down, corrected" (the same after correction for the number of steps).
    """
    up, down = gains["low"] > 0, gains["high"] < 0
    columns = {
        "steps": gains["change"].notna(),
        "up": up,
        "down": down,
        "up, corrected": gains["discovered"] & (gains["change"] > 0),
        "down, corrected": gains["discovered"] & (gains["change"] < 0),
    }
    return pd.DataFrame(columns).groupby(gains["axis"], sort=False).sum().astype(int)


def _axis_steps(
    cells: pd.DataFrame, axis: str, other: str, metric: str, noise: float
) -> Iterator[tuple]:
    """Yield the steps along one axis of one log, with the columns STEP."""
    grid = cells.set_index([other, axis]).sort_index()
    values = grid[metric].unstack()
    seeds = grid["seeds"].unstack()
    for small, large in zip(values.columns, values.columns[1:]):
        both = values[[small, large]].notna().all(axis=1)
        if not both.any():
            continue
        change = 100 * np.log(values.loc[both, large] / values.loc[both, small])
        variance = noise**2 * (1 / seeds.loc[both, small] + 1 / seeds.loc[both, large])
        se = np.sqrt(variance.sum()) / len(change)
        yield cells["log"].iloc[0], axis, small, large, change.mean(), se, len(change)


def r2_noise_ceiling(table: pd.DataFrame, noise: pd.Series) -> pd.Series:
    """Estimate the R² that the true law of a surface would have on what was measured.

    It is 1 less the share of the squared deviations from the mean that the noise between seeds
    makes. A law fitted to the same cells may exceed it, as it fits part of the noise.

    Parameters
    ----------
    table
        Surfaces of one metric, as `mean_surfaces` returns them.
    noise
        By surface, the standard deviation of a run between seeds, in per cent.

    Returns
    -------
    Series
        By surface; 0 where noise alone explains all deviations.
    """
    sd = table["dataset"].map(noise) / 100 * table["value"] / np.sqrt(table["seeds"])
    of_noise = (sd**2).groupby(table["dataset"], sort=False).sum()
    in_all = table.groupby("dataset", sort=False)["value"].agg(
        lambda y: ((y - y.mean()) ** 2).sum()
    )
    return (1 - of_noise / in_all).clip(lower=0).rename("noise ceiling")
