"""Laws with data as a third axis, on logs of which shares of the users were trained on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from perflaw.laws import families, fitting, identifiability, validation
from perflaw.logs import perturbations

LEAST_SCALES = 4
COLUMNS = ["log", "metric", "points", "scales", "r2", "leave-one-out", "floor", "p_D"]


def fit_with_data(
    runs: pd.DataFrame, law: families.Law, metrics: Sequence[str] = ("log-loss", "NDCG@10")
) -> pd.DataFrame:
    """Fit a law of n_layers, d_emb and tokens to each log.

    Logs with fewer than four scales of data, or too few points, are left out.

    Parameters
    ----------
    runs
        Runs of one model kind by log, on shares of the users (`sample_users`).
    law
        The law.
    metrics
        Metrics to fit.

    Returns
    -------
    DataFrame
        Columns log, metric, points, scales (of data), r2, leave-one-out (mean error of left-out
        points, per cent), floor (the same of the mean of the others) and p_D (nan where the law
        has no such exponent).
    """
    others = [name for name in perturbations.PERTURBATIONS if name != "sample_users"]
    is_plain = runs[others].isna().all(axis=1) & ~runs["shared_layers"].astype(bool)
    rows = []
    for log, of_log in runs[is_plain].groupby("log", sort=False):
        points = _mean_points(of_log, metrics)
        if not _determines(points, law):
            continue
        scales = points["tokens"].nunique()
        for metric in metrics:
            y = points[metric].to_numpy()
            fit = fitting.fit(law, points, y)
            error = _mean_error(validation.loo_predictions(law, points, y), y)
            floor = _mean_error((y.sum() - y) / (len(y) - 1), y)
            exponent = fit.parameters.get("p_D", np.nan)
            rows.append((log, metric, len(y), scales, fit.r2, error, floor, exponent))
    return pd.DataFrame(rows, columns=COLUMNS)


def _mean_points(runs: pd.DataFrame, metrics: Sequence[str]) -> pd.DataFrame:
    """Average over seeds; runs on one share of the users have its mean number of tokens."""
    share = runs["sample_users"].fillna(1.0)
    runs = runs.assign(tokens=runs.groupby(share)["tokens"].transform("mean"))
    return runs.groupby(["n_layers", "d_emb", "tokens"])[list(metrics)].mean().reset_index()


def _determines(points: pd.DataFrame, law: families.Law) -> bool:
    n_parameters = len(law.parameters)
    return (
        points["tokens"].nunique() >= LEAST_SCALES
        and len(points) > n_parameters + 2
        and identifiability.identifiable_rank(law, points) >= n_parameters
    )


def _mean_error(predicted: np.ndarray, y: np.ndarray) -> float:
    return 100 * np.abs(predicted / y - 1).mean()
