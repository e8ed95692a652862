"""Laws with data as a third axis, on logs of which shares of the users were trained on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from perflaw.laws import families, fitting, validation
from perflaw.models.sweeps import results
from perflaw.study.analysis import seed_noise
from perflaw.study.analysis.extrapolation import is_determined

LEAST_SCALES = 4
POINT = ["n_layers", "d_emb", "tokens"]
COLUMNS = ["log", "metric", "points", "scales", "r2", "noise ceiling"]
COLUMNS += [validation.LEAVE_ONE_OUT, "floor", "p_D"]


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
        Columns log, metric, points, scales (of data), r2, noise ceiling (of R², from the noise
        between the runs of a point; nan where no point has two), leave-one-out (mean error, per
        cent, each point in turn left out of the fit), floor (the same of the mean of the others)
        and p_D (nan where the law has no such exponent).
    """
    sampled_only = results.is_unperturbed(runs, but="sample_users")
    is_used = sampled_only & ~runs["shared_layers"].astype(bool)
    rows = []
    for log, of_log in runs[is_used].groupby("log", sort=False):
        by_share = _average_tokens(of_log)
        points = by_share.groupby(POINT)[list(metrics)].mean().reset_index()
        if not _can_be_fitted(law, points):
            continue
        scales = points["tokens"].nunique()
        for metric in metrics:
            y = points[metric].to_numpy()
            fit = fitting.fit(law, points, y)
            ceiling = _noise_ceiling(by_share, metric)
            error = _mean_error(validation.loo_predictions(law, points, y), y)
            floor = _mean_error((y.sum() - y) / (len(y) - 1), y)
            exponent = fit.parameters.get("p_D", np.nan)
            rows.append((log, metric, len(y), scales, fit.r2, ceiling, error, floor, exponent))
    return pd.DataFrame(rows, columns=COLUMNS)


def _average_tokens(runs: pd.DataFrame) -> pd.DataFrame:
    """Give runs on one share of the users its mean number of tokens."""
    share = runs["sample_users"].fillna(1.0)
    return runs.assign(tokens=runs.groupby(share)["tokens"].transform("mean"))


def _noise_ceiling(runs: pd.DataFrame, metric: str) -> float:
    """Estimate the R² that the true law would have on the means of one log's points."""
    points = runs.groupby(POINT)[metric].agg(value="mean", sd="std", seeds="size")
    if (points["seeds"] < 2).all():
        return np.nan
    noise = seed_noise.seed_sd_by_log(points.assign(log="all"), "value")
    return float(seed_noise.r2_noise_ceiling(points.assign(dataset="all"), noise).item())


def _can_be_fitted(law: families.Law, points: pd.DataFrame) -> bool:
    """Say whether there are scales of data enough, and two points to leave out of a fit."""
    return (
        points["tokens"].nunique() >= LEAST_SCALES
        and len(points) > len(law.parameters) + 2
        and is_determined(law, points)
    )


def _mean_error(predicted: np.ndarray, y: np.ndarray) -> float:
    """Give the mean absolute error in per cent."""
    return 100 * np.abs(predicted / y - 1).mean()
