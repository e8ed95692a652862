"""Weights of layers apart, in part shared, or wholly shared: at equal depth, at equal parameters.

Runs of the grid `mpo-sharing` on two logs, in data/neighbours/mpo_sharing.csv. In part shared are
matrix product operators: all layers have one central tensor, and each has two small tensors of its
own.
Parameters are those of layers and norms. The embeddings of items and positions, the same for all,
are not among them.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from perflaw.study.intervals import gain_columns, interval_columns
from perflaw.study.neighbours.grid_runs import load_grid_runs

APART, PARTLY, WHOLLY = "apart", "partly shared", "wholly shared"
PAIRS = ((PARTLY, APART), (WHOLLY, APART), (PARTLY, WHOLLY))  # that are compared at equal depth
DEPTH, PARAMETERS = "depth", "parameters"  # what is equal in a comparison


def load_runs() -> pd.DataFrame:
    """Load the runs of the grid.

    Returns
    -------
    pandas.DataFrame
        log, way, n_layers, seed, value (`grid_runs.METRIC`), parameters (of layers) and all
        parameters.
    """
    runs = load_grid_runs("mpo_sharing")
    table = runs.assign(
        way=np.select([runs["mpo_side"].notna(), runs["shared_layers"]], [PARTLY, WHOLLY], APART),
        parameters=runs["parameters"] - runs["parameters embedding"],
        **{"all parameters": runs["parameters"]},
    )
    keys = ["log", "way", "n_layers", "seed"]
    columns = [*keys, "value", "parameters", "all parameters"]
    return table[columns].sort_values(keys, ignore_index=True)


def average_seeds(runs: pd.DataFrame, level: float = 0.9) -> pd.DataFrame:
    """Average the metric of each size over seeds.

    Parameters
    ----------
    runs : pandas.DataFrame
        What `load_runs` returns of one log.
    level : float
        Of Student's intervals, over seeds.

    Returns
    -------
    pandas.DataFrame
        way, n_layers, parameters, all parameters, value with its interval (low, high), and seeds.
    """
    size = ["way", "n_layers", "parameters", "all parameters"]
    rows = [
        dict(zip(size, labels)) | interval_columns(values, level, "value") | {"seeds": len(values)}
        for labels, values in runs.groupby(size)["value"]
    ]
    return pd.DataFrame(rows)


def compare_ways(runs: pd.DataFrame, level: float = 0.9) -> pd.DataFrame:
    """Compare ways of sharing, seed by seed, at equal depth and at equal parameters.

    Parameters
    ----------
    runs : pandas.DataFrame
        What `load_runs` returns of one log.
    level : float
        Of Student's intervals, over seeds.

    Returns
    -------
    pandas.DataFrame
        One row a comparison: equal, way, against, n_layers (of `way`), gain, low and high (of the
        metric, in per cent), and seeds. At equal parameters the other value is that of layers
        apart, ln metric being interpolated in ln parameters between their depths.
    """
    logs = runs.assign(value=100 * np.log(runs["value"]), size=np.log(runs["parameters"]))
    wide = logs.pivot(index="seed", columns=["way", "n_layers"], values="value")
    sizes = logs.groupby(["way", "n_layers"])["size"].first()
    apart = wide[APART].dropna()
    apart_sizes = sizes[APART][apart.columns]
    rows = []
    for way, against in PAIRS:
        for depth in wide[way].columns.intersection(wide[against].columns):
            labels = {"equal": DEPTH, "way": way, "against": against, "n_layers": depth}
            rows.append(labels | _average_gain(wide[way, depth] - wide[against, depth], level))
    for way in (PARTLY, WHOLLY):
        for depth in wide[way].columns:
            labels = {"equal": PARAMETERS, "way": way, "against": APART, "n_layers": depth}
            at_size = [
                np.interp(sizes[way, depth], apart_sizes, values) for values in apart.to_numpy()
            ]
            differences = wide[way, depth] - pd.Series(at_size, apart.index)
            rows.append(labels | _average_gain(differences, level))
    return pd.DataFrame(rows)


def compare_depths(runs: pd.DataFrame, level: float = 0.9) -> pd.DataFrame:
    """Compare the deepest layers apart with one layer, seed by seed.

    Parameters
    ----------
    runs : pandas.DataFrame
        What `load_runs` returns of one log.
    level : float
        Of Student's interval, over seeds.

    Returns
    -------
    pandas.DataFrame
        One row: gain, low and high (of the metric, in per cent), and seeds.
    """
    of_apart = runs[runs["way"] == APART]
    logs = of_apart.assign(value=100 * np.log(of_apart["value"]))
    apart = logs.pivot(index="seed", columns="n_layers", values="value")
    return pd.DataFrame([_average_gain(apart[apart.columns.max()] - apart[1], level)])


def _average_gain(differences: pd.Series, level: float) -> dict[str, float]:
    """Average differences of 100 × ln metric over seeds, as a gain with its interval."""
    differences = differences.dropna()
    return gain_columns(differences, level) | {"seeds": len(differences)}
