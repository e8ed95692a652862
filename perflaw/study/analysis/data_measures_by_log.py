"""The comparison of data measures, log by log: logs are few, and one may outweigh the others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.stats import false_discovery_control, ttest_1samp

from perflaw.errors import InputError
from perflaw.stats import check_level, mean_interval
from perflaw.study.analysis import data_measures

HIDDEN = ("intervention", "log")  # what the slopes have not seen, of one split each


def scores_by_log(
    conditions: pd.DataFrame,
    names: Sequence[str],
    reference: str = data_measures.TOKENS,
    level: float = 0.9,
    draws: int = 4000,
) -> pd.DataFrame:
    """Score candidates for D′ on each log.

    Parameters
    ----------
    conditions
        As `data_measures.paired_conditions` returns them.
    names
        Names of candidates.
    reference
        Name of the candidate whose score is subtracted.
    level
        Level of the intervals.
    draws
        Number of bootstrap samples of the log's interventions.

    Returns
    -------
    DataFrame
        One row a split, candidate and log. Columns split (what was hidden), candidate, log, share
        (of the log's squared change that is predicted), low and high (its interval), and edge
        (share less that of the reference).

    Raises
    ------
    InputError
        For a candidate that does not exist.
    """
    check_level(level)
    candidates = data_measures.candidate_measures(conditions)
    for name in (reference, *names):
        if name not in candidates:
            raise InputError(f"no candidate {name!r}; there are {', '.join(candidates)}")
    squared = conditions["change"].to_numpy() ** 2
    rows = []
    for split in HIDDEN:
        reference_errors = _squared_errors(conditions, candidates[reference], split)
        for name in names:
            errors = _squared_errors(conditions, candidates[name], split)
            for log, of_log in conditions.groupby("log", sort=False):
                part = of_log.index
                total = squared[part].sum()
                drawn = _bootstrap_share(errors[part], squared[part], of_log["intervention"], draws)
                low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
                share = 1 - errors[part].sum() / total
                edge = (reference_errors - errors)[part].sum() / total
                rows.append((split, name, log, share, low, high, edge))
    return pd.DataFrame(rows, columns=["split", "candidate", "log", "share", "low", "high", "edge"])


def _squared_errors(conditions: pd.DataFrame, columns: np.ndarray, hide: str) -> np.ndarray:
    """(conditions,) squared error of each change; no change is predicted where none can be."""
    predicted = np.nan_to_num(data_measures.predict_changes(conditions, columns, hide))
    return (conditions["change"].to_numpy() - predicted) ** 2


def _bootstrap_share(
    errors: np.ndarray, squared: np.ndarray, interventions: pd.Series, draws: int
) -> np.ndarray:
    """(draws,) share of the squared change that is predicted, interventions drawn anew."""
    codes, distinct = pd.factorize(interventions)
    counts = data_measures.draw_counts(len(distinct), draws)
    return 1 - (counts @ np.bincount(codes, errors)) / (counts @ np.bincount(codes, squared))


def weigh_logs_equally(scores: pd.DataFrame, level: float = 0.9) -> pd.DataFrame:
    """Average scores over logs, each with the same weight.

    Parameters
    ----------
    scores
        As `scores_by_log` returns them.
    level
        Level of the intervals: Student's, with one degree of freedom less than there are logs.

    Returns
    -------
    DataFrame
        One row a split and candidate. Columns split, candidate, logs, share, edge, low and high
        (interval of edge over logs), p (two-sided, of no edge) and q (Benjamini-Hochberg over
        all rows; the reference itself has neither).

    Raises
    ------
    InputError
        For fewer than two logs.
    """
    check_level(level)
    if scores["log"].nunique() < 2:
        raise InputError("intervals over logs need two logs or more")
    rows = []
    for key, part in scores.groupby(["split", "candidate"], sort=False):
        edges = part["edge"].to_numpy()
        p = ttest_1samp(edges, 0).pvalue if np.ptp(edges) > 0 else np.nan
        rows.append((*key, len(part), part["share"].mean(), *mean_interval(edges, level), p))
    columns = ["split", "candidate", "logs", "share", "edge", "low", "high", "p"]
    table = pd.DataFrame(rows, columns=columns)
    tested = table["p"].notna()
    table.loc[tested, "q"] = false_discovery_control(table.loc[tested, "p"])
    return table
