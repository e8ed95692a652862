"""Why nothing, or less than was asked for, is concluded from runs."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from perflaw.report.findings import FULL, TOO_LITTLE_DATA, MetricFindings
from perflaw.report.forecast import Forecast

FEWEST_RUNS = 5
FEWEST_HITS = 30  # of a run, below which nothing is claimed
WIDEST_INTERVAL = 2.0  # ratio of its ends at four times the dimension, above which nothing is


def too_few_runs(done: pd.DataFrame) -> str | None:
    """Say why so few runs do not bear a forecast at all."""
    full = done[done["tokens"] == done["tokens"].max()]
    depths, dimensions = full["n_layers"].nunique(), full["d_emb"].nunique()
    if depths < 2 or dimensions < 2 or len(done) < FEWEST_RUNS:
        return (
            f"too little was run: {len(done)} runs of {depths} depths and {dimensions} dimensions; "
            "five of two each are the least"
        )
    return None


def no_forecast(done: pd.DataFrame, metric: str) -> str | None:
    """Say why a metric of these runs cannot be forecast."""
    values, errors = done[metric], done[f"{metric} se"]
    if errors.isna().any():
        return (
            f"{TOO_LITTLE_DATA}: of so few test users nobody knows how uncertain a metric is "
            f"({done['test_targets'].min():.0f} in the smallest run)"
        )
    if empty := int((values <= 0).sum()):
        return (
            f"{TOO_LITTLE_DATA}: in {empty} of {len(done)} runs no test user finds the target "
            "among the first ten"
        )
    if (is_one := values >= 1).any():
        what = f"{metric} is 1, the most that it can be, in {is_one.sum()} of {len(done)} runs"
        is_firm = (done["tokens"] == done["tokens"].max()) & (done["test_targets"] >= FEWEST_HITS)
        if (is_one & is_firm).any():
            return f"{FULL}: {what}"
        return f"{TOO_LITTLE_DATA}: {what}, none on all data with {FEWEST_HITS} test users or more"
    if (errors <= 0).any():
        return f"{TOO_LITTLE_DATA}: all test users of a run have the same rank"
    return None


def reasons_in_data(forecast: Forecast, floor: Mapping[str, float]) -> list[str]:
    """Say why the measurements do not bear a claim."""
    runs, metric, reasons = forecast.runs, forecast.metric, []
    error = runs[f"{metric} se"]
    hits = np.inf
    if "HR@10" in runs:  # of one's own runs it may be anything
        hit_rates = pd.to_numeric(runs["HR@10"], errors="coerce")
        hits = float((hit_rates * runs["test_targets"]).median())
    if hits < FEWEST_HITS:
        reasons.append(
            f"{TOO_LITTLE_DATA}: a run hits {hits:.0f} of {int(runs['test_targets'].max()):,} test "
            f"users, which leaves its {metric} uncertain by {(error / runs[metric]).median():.0%}"
        )
    if metric in floor and runs[metric].max() <= floor[metric] + error.median():
        reasons.append(
            f"no run is better than ranking by popularity ({metric} {floor[metric]:.4f}) by more "
            "than its standard error"
        )
    return reasons


def reasons_in_fit(findings: MetricFindings, dropped: int, runs: int) -> list[str]:
    """Say why the forecast does not bear a claim."""
    reasons = []
    if not findings.fit.fits:
        reasons.append(
            f"the law does not fit: a cell left out is {findings.fit.error:.0f} % from what the "
            f"others say, where noise would have {findings.fit.expected:.0f} %"
        )
    if 4 * (dropped + 1) > runs:
        reasons.append(f"{dropped} of {runs} runs do not agree with the others")
    end = findings.curves["d_emb"].iloc[-1]
    if end["high"] > WIDEST_INTERVAL * end["low"]:
        reasons.append(
            "what is said of four times the dimension spans a factor of "
            f"{end['high'] / end['low']:.1f}, too wide to plan by"
        )
    return reasons
