"""What more members bring: together, alone and averaged, or as parameters of one wider model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from perflaw.study.analysis import study_runs
from perflaw.study.intervals import gain_columns, interval_columns
from perflaw.study.neighbours.cetnet_runs import (
    ALONE,
    CONFIDENCE,
    EQUAL,
    MEAN_MEMBER,
    STUDENT,
    TOGETHER,
    WIDER,
)
from perflaw.study.neighbours.grid_runs import METRIC, read_table
from perflaw.study.neighbours.script_grids import best_on_validation

GROWING = (TOGETHER, ALONE, WIDER)  # ways that go from one model to m
SINGLE = "single"
VARIANT = ["dropout", "weight_decay", "strength"]
# a row of the comparison: way, fusion, and what it is compared with
PAIRS = (
    (TOGETHER, CONFIDENCE, ALONE, EQUAL),
    (TOGETHER, CONFIDENCE, WIDER, CONFIDENCE),
    (ALONE, EQUAL, WIDER, CONFIDENCE),
    (TOGETHER, CONFIDENCE, TOGETHER, EQUAL),
    (TOGETHER, MEAN_MEMBER, ALONE, MEAN_MEMBER),
    (TOGETHER, CONFIDENCE, SINGLE, CONFIDENCE),
    (ALONE, EQUAL, SINGLE, CONFIDENCE),
    (WIDER, CONFIDENCE, SINGLE, CONFIDENCE),
    (STUDENT, CONFIDENCE, SINGLE, CONFIDENCE),
    (STUDENT, CONFIDENCE, TOGETHER, CONFIDENCE),
)


def load_rows(metric: str = METRIC) -> pd.DataFrame:
    """Load data/neighbours/cetnet.csv by the ranking rule of record, the metric also as value."""
    rows = study_runs.apply_ranking_rule(read_table("cetnet"))
    return rows.assign(value=rows[metric])


def keep_chosen(rows: pd.DataFrame) -> pd.DataFrame:
    """Keep, of each log, training and m, the recipe and λ of the best validation.

    It is looked for where more than one was tried: on the first seed, by the fusion by confidence.
    """
    groups = rows.groupby(["log", "training", "members"], sort=False)
    return pd.concat([_keep_best(group) for _, group in groups], ignore_index=True)


def _keep_best(group: pd.DataFrame) -> pd.DataFrame:
    best = best_on_validation(group, {"seed": group["seed"].min(), "fusion": CONFIDENCE})
    return group[(group[VARIANT] == best[VARIANT]).all(axis=1)]


def value_by_seed(rows: pd.DataFrame) -> pd.DataFrame:
    """Arrange the metric: index log, members and seed, columns (way, fusion).

    Parameters
    ----------
    rows : pandas.DataFrame
        What `keep_chosen` returns. The single model, of m = 1 trained alone, is a way of its own,
        beside every m.
    """
    index = ["log", "members", "seed"]
    several = rows[rows["members"] > 1]
    wide = several.pivot(index=index, columns=["training", "fusion"], values="value")
    single = rows[(rows["members"] == 1) & (rows["training"] == ALONE)]
    of_single = single.set_index(["log", "seed"])["value"]
    keys = wide.droplevel("members").index
    wide[SINGLE, CONFIDENCE] = of_single.reindex(keys).to_numpy()
    return wide


def compare_ways(
    rows: pd.DataFrame, level: float = 0.9, pairs: Sequence[tuple[str, ...]] = PAIRS
) -> pd.DataFrame:
    """Compare ways at the same m, seed by seed.

    Parameters
    ----------
    rows : pandas.DataFrame
        What `keep_chosen` returns.
    level : float
        Of Student's intervals, over seeds.
    pairs : sequence of tuple
        What is compared, in the form of `PAIRS`.

    Returns
    -------
    pandas.DataFrame
        One row a log, pair and m: way, fusion, against, against_fusion, members, gain,
        low and high (of the metric, in per cent), and seeds. Two seeds are the least.
    """
    wide = value_by_seed(rows.assign(value=100 * np.log(rows["value"])))
    table: list[dict[str, Any]] = []
    for way, fusion, against, other in pairs:
        if not {(way, fusion), (against, other)} <= set(wide.columns):
            continue
        pair = {"way": way, "fusion": fusion, "against": against, "against_fusion": other}
        changes = (wide[way, fusion] - wide[against, other]).rename("change").dropna()
        by_ensemble = changes.reset_index().groupby(["log", "members"], sort=False)
        for (log, members), seeds in by_ensemble:
            if len(seeds) > 1:
                labels = {"log": log, "members": members} | pair
                interval = gain_columns(seeds["change"], level)
                table.append(labels | interval | {"seeds": len(seeds)})
    return pd.DataFrame(table)


def growth_by_way(rows: pd.DataFrame) -> pd.DataFrame:
    """Return log, way (of `GROWING`), members, seed and value, from one model to the most.

    rows: what `keep_chosen` returns. Ensembles are fused as in `PAIRS`.
    """
    fusions = {TOGETHER: CONFIDENCE, ALONE: EQUAL, WIDER: CONFIDENCE}
    columns = ["log", "members", "seed", "value"]
    several = rows[rows["members"] > 1]
    single = rows[(rows["members"] == 1) & (rows["training"] == ALONE)]
    parts = []
    for way, fusion in fusions.items():
        of_way = several[(several["training"] == way) & (several["fusion"] == fusion)]
        parts.append(pd.concat([single, of_way])[columns].assign(way=way))
    return pd.concat(parts, ignore_index=True)


def fit_asymptotes(growth: pd.DataFrame) -> pd.DataFrame:
    """Fit value(m) = A − B / m by least squares, for each log, way and seed.

    Parameters
    ----------
    growth : pandas.DataFrame
        What `growth_by_way` returns; seeds that lack an m of their log are left out, and logs
        without a whole seed.

    Returns
    -------
    pandas.DataFrame
        log, way, seed, asymptote (A) and rise (B).
    """
    table = []
    for log, of_log in growth.groupby("log", sort=False):
        wide = of_log.pivot(index="members", columns=["way", "seed"], values="value")
        wide = wide.dropna(axis=1)
        if wide.empty:
            continue
        rise, asymptote = np.polyfit(-1 / wide.index.to_numpy(float), wide.to_numpy(), 1)
        columns = {"asymptote": asymptote, "rise": rise}
        table.append(pd.DataFrame(columns, wide.columns).reset_index().assign(log=log))
    return pd.concat(table, ignore_index=True)


def compare_asymptotes(fitted: pd.DataFrame, level: float = 0.9) -> pd.DataFrame:
    """Average asymptotes over seeds, and compare those of ensembles with one wider model's.

    Parameters
    ----------
    fitted : pandas.DataFrame
        What `fit_asymptotes` returns.
    level : float
        Of Student's intervals, over seeds.

    Returns
    -------
    pandas.DataFrame
        One row a log and way: asymptote with low and high, seeds; and more, with more_low and
        more_high, by how much it is above that of `WIDER`, seed by seed (missing for `WIDER`).
    """
    table: list[dict[str, Any]] = []
    for log, of_log in fitted.groupby("log", sort=False):
        wide = of_log.pivot(index="seed", columns="way", values="asymptote")
        wide = wide.reindex(columns=GROWING)
        for way in GROWING:
            row: dict[str, Any] = {"log": log, "way": way, "seeds": int(wide[way].count())}
            row |= interval_columns(wide[way], level, "asymptote")
            if way != WIDER:
                row |= interval_columns(wide[way] - wide[WIDER], level, "more", "more_")
            table.append(row)
    return pd.DataFrame(table)
