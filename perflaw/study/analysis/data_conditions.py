"""Runs on changed training parts: which there are, how many, and the probes of their data."""

from __future__ import annotations

import pandas as pd

from perflaw.logs.perturbations import PERTURBATIONS
from perflaw.models.sweeps import grids, results
from perflaw.study.analysis import study_runs

PROBE = "probe"  # prefix of the columns of data/probes.csv that are measures


def load_perturbed_runs() -> pd.DataFrame:
    """Load runs with the settings of the grid `survey`, those of unfinished sweeps included.

    A log may be read at any length, such as that of its longest history.
    """
    settings = dict(grids.read_grid("survey")["settings"])
    del settings["max_seq_len"]
    return results.filter_runs(study_runs.load_study_runs(growing=True), settings)


def count_conditions(runs: pd.DataFrame, conditions: pd.DataFrame) -> pd.DataFrame:
    """Count runs and conditions, and summarise the changes of the metric, by log.

    Parameters
    ----------
    runs
        As `data_measures.perturbation_runs` returns them.
    conditions
        What `data_measures.paired_conditions` makes of them.

    Returns
    -------
    DataFrame
        Columns log, conditions, runs (of these), base runs (on the log as it is), idle (conditions
        that left the training part as it was), idle runs, least and most (change of ln metric),
        noise (mean standard deviation of a change between seeds), ceiling (share of the squared
        change that is not noise) and weight (share of the log in the squared change of all).
    """
    changed = conditions.assign(
        squared=conditions["change"] ** 2, noise_sq=conditions["noise"] ** 2
    )
    table = changed.groupby("log", sort=False).agg(
        conditions=("change", "size"),
        runs=("runs", "sum"),
        least=("change", "min"),
        most=("change", "max"),
        noise=("noise", "mean"),
        squared=("squared", "sum"),
        noise_sq=("noise_sq", "sum"),
    )
    is_changed = ~results.is_unperturbed(runs)
    tried = runs[is_changed].drop_duplicates(["log", *PERTURBATIONS])
    table["idle"] = tried.groupby("log").size() - table["conditions"]
    table["base runs"] = (~is_changed).groupby(runs["log"]).sum()
    table["idle runs"] = is_changed.groupby(runs["log"]).sum() - table["runs"]
    table["ceiling"] = 1 - table["noise_sq"] / table["squared"]
    table["weight"] = table["squared"] / table["squared"].sum()
    columns = ["conditions", "runs", "base runs", "idle", "idle runs", "least", "most", "noise"]
    return table[[*columns, "ceiling", "weight"]].reset_index()


def add_probes(runs: pd.DataFrame, probes: pd.DataFrame) -> pd.DataFrame:
    """Put the probes of its training part beside each run; nan where there are none.

    Parameters
    ----------
    runs
        Runs, with the columns of PERTURBATIONS.
    probes
        As data/probes.csv: columns "probe: …".
    """
    keys = ["log", *PERTURBATIONS, "data_seed"]
    merged = _fill_strengths(runs)[keys].merge(_fill_strengths(probes), how="left", on=keys)
    columns = [column for column in probes if str(column).startswith(PROBE)]
    return pd.concat([runs, merged[columns].set_axis(runs.index)], axis=1)


def _fill_strengths(table: pd.DataFrame) -> pd.DataFrame:
    """Write -1 for the strength of an intervention that was not made, so that tables can merge."""
    return table.assign(**{name: table[name].fillna(-1.0).astype(float) for name in PERTURBATIONS})
