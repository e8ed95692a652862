"""What may be claimed of a log's axes: a decline towards the largest value, any effect at all."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.stats import f as fisher
from scipy.stats import norm
from scipy.stats import t as student

from perflaw.laws.families import AXES, Array
from perflaw.laws.mixed_design import JOINT, MixedModel, build_model, make_cells
from perflaw.laws.reml import condition, estimate_variances
from perflaw.stats import check_level


def assess_claims(table: pd.DataFrame, level: float = 0.95, over_logs: bool = True) -> pd.DataFrame:
    """Test whether the metric declines towards the largest N or d of a log, and if they matter.

    A claim needs two tests of different kinds: the joint law, which borrows from other logs, and a
    two-way analysis of variance of the log's own cells, which knows no law (a quadratic bends
    down also where the metric only flattens). Both read the metrics' common level, in logarithms.

    Parameters
    ----------
    table : pandas.DataFrame
        As `make_cells` takes it.
    level : float
        Confidence level: each claim is tested at 1 - level, shared out over contrasts (Bonferroni).
    over_logs : bool
        Whether it is shared out over logs too, or each log is tested as if it were alone.

    Returns
    -------
    pandas.DataFrame
        One row a log and axis: dataset, axis, decline and effect (booleans), and which test sees
        each: law_decline, free_decline, law_effect, free_effect.
    """
    check_level(level)
    data = make_cells(table)
    y = data.rotated[:, 0]
    model = build_model(data.frame, data.frame, JOINT)
    variances = estimate_variances(model, y, np.arange(len(y)))
    return assess_claims_at(data.frame, model, variances, y, level, over_logs)


def assess_claims_at(
    frame: pd.DataFrame,
    model: MixedModel,
    variances: Array,
    y: Array,
    level: float,
    over_logs: bool = True,
) -> pd.DataFrame:
    """Apply `assess_claims` to cells with the common level `y`, a model and its log-variances."""
    everything = np.arange(len(y))
    posterior = condition(model, variances, y, everything, everything)
    logs = frame["dataset"].unique()
    alpha = (1 - level) / (len(logs) if over_logs else 1)
    rows = []
    for name in logs:
        is_own = (frame["dataset"] == name).to_numpy()
        for axis, other in (AXES, AXES[::-1]):
            values = np.unique(frame.loc[is_own, axis])
            shares = np.array([(is_own & (frame[axis] == value)) for value in values], float)
            shares /= shares.sum(axis=1, keepdims=True)
            drops = shares[-1] - shares[:-1]  # the largest value against each smaller one
            tail = alpha / len(drops)
            z = _standardise(drops, *posterior)
            t, dof, f = two_way_contrasts(frame[is_own], axis, other, y[is_own])
            tests = {
                "law_decline": bool((z < -norm.ppf(1 - tail)).any()),
                "free_decline": bool((t < -student.ppf(1 - tail, dof)).any()),
                "law_effect": bool((np.abs(z) > norm.ppf(1 - tail / 2)).any()),
                "free_effect": bool(f > fisher.ppf(1 - alpha, len(drops), dof)),
            }
            claims = {
                "decline": tests["law_decline"] and tests["free_decline"],
                "effect": tests["law_effect"] and tests["free_effect"],
            }
            rows.append({"dataset": name, "axis": axis, **claims, **tests})
    return pd.DataFrame(rows)


def _standardise(contrasts: Array, mean: Array, covariance: Array) -> Array:
    """Return each contrast (c, n) of the cells over its standard error, (c,)."""
    variance = np.einsum("cn,nm,cm->c", contrasts, covariance, contrasts)
    return np.asarray(contrasts @ mean / np.sqrt(np.maximum(variance, 1e-300)))


def two_way_contrasts(
    frame: pd.DataFrame, axis: str, other: str, y: Array
) -> tuple[Array, int, float]:
    """Compare the largest value of an axis with the smaller ones in a two-way layout.

    Parameters
    ----------
    frame : pandas.DataFrame
        The cells of one log, n rows.
    axis, other : str
        The axis that is tested, and the one that, with the length, makes blocks.
    y : numpy.ndarray
        Values (n,).

    Returns
    -------
    t : numpy.ndarray
        Contrasts of the largest value's mean against each smaller one, over their errors.
    dof : int
        Their degrees of freedom.
    f : float
        The F statistic of the axis.
    """
    _, block = np.unique(frame[["max_seq_len", other]].to_numpy(float), axis=0, return_inverse=True)
    _, value = np.unique(frame[axis], return_inverse=True)
    by_block = np.eye(block.max() + 1)[block.ravel()]
    by_value = np.eye(value.max() + 1)[value]
    design = np.hstack([by_value, by_block[:, 1:]])
    effects = np.linalg.lstsq(design, y)[0]
    dof = int(len(y) - np.linalg.matrix_rank(design))
    variance = np.sum((y - design @ effects) ** 2) / dof
    inverse = np.linalg.pinv(design.T @ design)
    n_smaller = by_value.shape[1] - 1
    contrasts = -np.eye(n_smaller, design.shape[1])
    contrasts[:, n_smaller] = 1
    difference = contrasts @ effects
    spread = contrasts @ inverse @ contrasts.T
    t = difference / np.sqrt(variance * np.diag(spread))
    f = float(difference @ np.linalg.solve(spread, difference) / n_smaller / variance)
    return t, dof, f
