"""Why nothing, or less than was asked for, is concluded from runs: a reason each, or None."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from perflaw.report.findings import MetricFindings
from perflaw.report.forecast import Forecast
from perflaw.report.measurements import on_all_data
from perflaw.report.outliers import OUTLIER_SHARE

FEWEST_RUNS = 5
FEWEST_HITS = 30  # of a run, below which nothing is claimed
WIDEST_INTERVAL = 2.0  # ratio of its ends at four times the dimension; if wider, nothing is claimed


def too_few_runs(done: pd.DataFrame) -> str | None:
    """Say why there are too few runs for a forecast."""
    full = on_all_data(done)
    depths, dimensions = full["n_layers"].nunique(), full["d_emb"].nunique()
    if depths < 2 or dimensions < 2 or len(done) < FEWEST_RUNS:
        return (
            f"too little was run: {len(done)} runs of {depths} depths and {dimensions} dimensions; "
            "five of two each are the least"
        )
    return None


def nothing_to_gain(done: pd.DataFrame, metric: str) -> str | None:
    """Say that a run on all data, with enough test users, has the most that a metric can be."""
    full = on_all_data(done)
    if ((full[metric] >= 1) & (full["test_targets"] >= FEWEST_HITS)).any():
        return f"nothing is left to gain: {_count_ones(done[metric], metric)}"
    return None


def too_few_users(done: pd.DataFrame, metric: str) -> str | None:
    """Say why there are too few test users for a forecast."""
    values, errors = done[metric], done[f"{metric} se"]
    if errors.isna().any():
        return (
            "too little data: of so few test users nobody knows how uncertain a metric is "
            f"({done['test_targets'].min():.0f} in the smallest run)"
        )
    is_zero = values <= 0
    if is_zero.any():
        return (
            f"too little data: in {is_zero.sum()} of {len(done)} runs no test user finds the "
            "target among the first ten"
        )
    if (values >= 1).any():
        return (
            f"too little data: {_count_ones(values, metric)}, none on all data with {FEWEST_HITS} "
            "test users or more"
        )
    if (errors <= 0).any():
        return "too little data: all test users of a run have the same rank"
    return None


def too_few_hits(forecast: Forecast) -> str | None:
    """Say why there are too few hits for a claim."""
    runs, metric = forecast.runs, forecast.metric
    if "HR@10" not in runs:
        return None
    hit_rates = pd.to_numeric(runs["HR@10"], errors="coerce")  # of one's own runs it may be text
    hits = float((hit_rates * runs["test_targets"]).median())
    if not hits < FEWEST_HITS:
        return None
    uncertainty = (runs[f"{metric} se"] / runs[metric]).median()
    return (
        f"too little data: a run hits {hits:.0f} of {int(runs['test_targets'].max()):,} test "
        f"users, which leaves its {metric} uncertain by {100 * uncertainty:.0f} %"
    )


def no_better_than_popular(forecast: Forecast, floor: Mapping[str, float]) -> str | None:
    """Say that no model is clearly better than ranking by popularity."""
    runs, metric = forecast.runs, forecast.metric
    if metric not in floor or runs[metric].max() > floor[metric] + runs[f"{metric} se"].median():
        return None
    return (
        f"no run is better than ranking by popularity ({metric} {floor[metric]:.4f}) by more "
        "than its standard error"
    )


def reasons_in_fit(findings: MetricFindings, dropped: int, runs: int) -> list[str]:
    """List why the forecast is too poor for a claim."""
    reasons = []
    if not findings.fit.fits:
        reasons.append(
            f"the law does not fit: a cell left out is {findings.fit.error:.0f} % from what the "
            f"others say, where noise would have {findings.fit.expected:.0f} %"
        )
    if dropped + 1 > OUTLIER_SHARE * runs:
        reasons.append(f"{dropped} of {runs} runs do not agree with the others")
    end = findings.curves["d_emb"].iloc[-1]
    if end["high"] > WIDEST_INTERVAL * end["low"]:
        reasons.append(
            "what is said of four times the dimension spans a factor of "
            f"{end['high'] / end['low']:.1f}, too wide to plan by"
        )
    return reasons


def _count_ones(values: pd.Series, metric: str) -> str:
    ones = (values >= 1).sum()
    return f"{metric} is 1, the most that it can be, in {ones} of {len(values)} runs"
