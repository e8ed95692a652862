"""How a metric grows as a log grows by its own users and items: the prior of reports, and its test.

The runs are those of the grid `growth`: nested samples of the users of a log, each with its own
items and tested on its own users. y is the log-odds of a metric, x counts doublings of the users.
A log's y rises by θ a doubling. The prior says θ ~ N(α + β b, τ²), where b is the rise of the
best baseline on the same log; and, where b is not known, θ ~ N(μ, τ²).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from perflaw.logs.perturbations import PERTURBATIONS
from perflaw.models.sweeps import grids, results
from perflaw.report.conclusions import FEWEST_HITS
from perflaw.report.forecast import Forecast, from_log_odds, to_log_odds
from perflaw.report.prior import Prior
from perflaw.study.analysis import study_runs
from perflaw.study.files import study_file

METRICS = ("NDCG@10", "HR@10")
SETTINGS = {"n_layers": 2, "backbone": "sasrec", "split": "leave one out"}
FEWEST_USERS = 200  # tested on a sample, below which its metric says next to nothing
FEWEST_LOGS = 3
CELL_NOISE = 0.03  # of y between samples, were there users without number
START = {"α": (0.0, 0.1), "β": (0.5, 0.5), "μ": (0.1, 0.1)}  # before any log is seen
START_SD, START_WEIGHT = 0.1, 2.0  # τ, and the logs that it counts for
ROUNDS = 50
TIMES = (2, 4, 8)
LEVEL = 0.9


def load_growth_runs() -> pd.DataFrame:
    """Load the runs on nested samples of logs, and on the whole logs, by the rule of record.

    Returns
    -------
    pandas.DataFrame
        Records, with the column share (of the users).
    """
    # of a run that was trained twice, the one in the file that is first by name
    paths = sorted(results.SWEEPS_FOLDER.rglob("*.csv"))
    runs = pd.concat([results.read_runs_table(path) for path in paths], ignore_index=True)
    runs = runs.drop_duplicates("key")
    settings = grids.read_grid("survey")["settings"] | SETTINGS
    is_wanted = runs[list(PERTURBATIONS)].isna().all(axis=1) & (runs["NDCG@10"] > 0)
    for name, value in settings.items():
        is_wanted &= runs[name] == value
    shares = runs["sample_log"].fillna(1.0)
    runs = study_runs.apply_ranking_rule(runs[is_wanted].assign(share=shares))
    sampled = set(runs.loc[runs["share"] < 1, "d_emb"])
    n_shares = runs.groupby("log")["share"].transform("nunique")
    is_used = runs["d_emb"].isin(sampled) & (runs["test_targets"] >= FEWEST_USERS) & (n_shares > 1)
    return runs[is_used].reset_index(drop=True)


def load_baseline_slopes() -> pd.DataFrame:
    """Load what the best baseline gains on each sample as its users double: `slope`."""
    return pd.read_csv(study_file("data", "growth_slopes.csv"))


def estimate_slopes(runs: pd.DataFrame, baselines: pd.DataFrame) -> pd.DataFrame:
    """Estimate the rise of each log.

    Sizes and metrics share users, so that their variances are averaged, not reduced.

    Parameters
    ----------
    runs
        Of `load_growth_runs`.
    baselines
        Of `load_baseline_slopes`.

    Returns
    -------
    pandas.DataFrame
        By log: θ, its variance, and b on the whole log.
    """
    whole = baselines[baselines["share"] == 1].set_index("log")["slope"]
    rows = {}
    for log, of_log in runs.groupby("log"):
        parts = [
            _fit_slope(rows_of_size, metric)
            for metric in METRICS
            for _, rows_of_size in of_log.groupby("d_emb")
            if rows_of_size["share"].nunique() > 1
        ]
        if parts:
            slope, variance = np.mean(parts, axis=0)
            rows[log] = {"θ": slope, "variance": variance, "b": whole.get(log, np.nan)}
    return pd.DataFrame.from_dict(rows, orient="index")


def _fit_slope(runs: pd.DataFrame, metric: str) -> tuple[float, float]:
    """Fit y by doublings of users: the slope and its variance."""
    rate = runs[metric].to_numpy()
    x = np.log2(runs["share"].to_numpy())
    errors = runs[f"{metric} se"].to_numpy() / (rate * (1 - rate))
    weight = 1 / (errors**2 + CELL_NOISE**2)
    deviation = x - weight @ x / weight.sum()
    spread = weight @ deviation**2
    return float(weight @ (deviation * to_log_odds(rate)) / spread), float(1 / spread)


def learn_growth(slopes: pd.DataFrame) -> dict[str, tuple[float, ...]]:
    """Learn the prior of growth from the rises of logs.

    Parameters
    ----------
    slopes
        Of `estimate_slopes`.

    Returns
    -------
    dict
        "growth": μ and the standard deviation of a new log's θ. "growth by baseline": α, β and
        the same. Empty where there are too few logs.
    """
    if len(slopes) < FEWEST_LOGS:
        return {}
    mean, sd = _fit_hierarchy(slopes, np.ones((len(slopes), 1)), ["μ"])
    learnt = {"growth": (*mean, sd)}
    known = slopes.dropna(subset="b")
    if len(known) >= FEWEST_LOGS:
        design = np.column_stack([np.ones(len(known)), known["b"]])
        mean, sd = _fit_hierarchy(known, design, ["α", "β"])
        learnt["growth by baseline"] = (*mean, sd)
    return learnt


def _fit_hierarchy(
    slopes: pd.DataFrame, design: np.ndarray, names: list[str]
) -> tuple[tuple[float, ...], float]:
    """Fit θ ~ N(design · coefficients, τ²) by expectation-maximisation, from START.

    Returns the coefficients, and the standard deviation of a new log in the middle of those seen.
    """
    theta, variance = slopes["θ"].to_numpy(), slopes["variance"].to_numpy()
    start, start_sd = np.array([START[name] for name in names]).T
    tau = START_SD
    for _ in range(ROUNDS):
        weight = 1 / (variance + tau**2)
        covariance = np.linalg.inv((design.T * weight) @ design + np.diag(start_sd**-2.0))
        mean = covariance @ (design.T @ (weight * theta) + start / start_sd**2)
        fitted = design @ mean
        posterior = 1 / (1 / variance + 1 / tau**2)
        residual = posterior * (theta - fitted) / variance
        total = START_WEIGHT * START_SD**2 + (residual**2 + posterior).sum()
        tau = np.sqrt(total / (START_WEIGHT + len(theta)))
    middle = design.mean(axis=0)
    sd = np.sqrt(tau**2 + middle @ covariance @ middle)
    return tuple(map(float, mean)), float(sd)


def list_steps(runs: pd.DataFrame) -> Iterator[tuple[dict[str, Any], pd.DataFrame, pd.DataFrame]]:
    """List each step from a sample to a larger one that holds it.

    Yields
    ------
    dict
        log, share, draw, times, users (that are tested on the smaller sample) and claims: whether
        a report on the smaller sample has hits enough to claim anything.
    pandas.DataFrame
        The runs on the smaller sample.
    pandas.DataFrame
        Those on the larger one.
    """
    for _, seen in runs[runs["share"] < 1].groupby(["log", "share", "data_seed"]):
        log, share, draw = seen[["log", "share", "data_seed"]].iloc[0]
        for times in TIMES:
            is_larger = (runs["log"] == log) & np.isclose(runs["share"], share * times)
            is_larger &= (runs["data_seed"] == draw) | (runs["share"] == 1)
            if is_larger.any():
                step = {"log": log, "share": share, "draw": int(draw), "times": times}
                step["users"] = int(seen["test_targets"].max())
                hits = float((seen["HR@10"] * seen["test_targets"]).median())
                step["claims"] = hits >= FEWEST_HITS
                yield step, seen, runs[is_larger]


def score_growth(
    runs: pd.DataFrame, baselines: pd.DataFrame, priors: Mapping[str, Prior]
) -> pd.DataFrame:
    """Predict runs on larger samples from those on smaller ones.

    Parameters
    ----------
    runs
        Of `load_growth_runs`.
    baselines
        Of `load_baseline_slopes`.
    priors
        By log, of forecasts, learnt without that log; their part on growth is learnt here, without
        it too.

    Returns
    -------
    pandas.DataFrame
        A row a step, size and metric: value (mean of the larger sample's runs), unchanged (mean of
        the smaller one's), predicted, low, high; held_vocabulary, by the effect of more data of
        the same items on the same users; error_of_value, of one standard deviation and relative,
        that the two samples have of their users; covered, share of the runs in the interval.
    """
    slopes = estimate_slopes(runs, baselines)
    by_sample = baselines.set_index(["log", "share", "draw"])["slope"]
    rows = []
    for step, seen, larger in list_steps(runs):
        log = step["log"]
        if log not in priors:
            continue
        prior = dict(priors[log]) | learn_growth(slopes.drop(index=log, errors="ignore"))
        slope = by_sample.get((log, step["share"], step["draw"]), np.nan)
        for metric in METRICS:
            forecast = Forecast(seen, metric, prior)
            for d_emb, later in larger.groupby("d_emb"):
                before = seen[seen["d_emb"] == d_emb]
                if before.empty:
                    continue
                row = _predict_step(forecast, before, later, step["times"], slope)
                rows.append(step | {"metric": metric, "d_emb": d_emb} | row)
    return pd.DataFrame(rows)


def summarize_steps(scored: pd.DataFrame) -> pd.DataFrame:
    """Summarize how growth was predicted, by times as many users.

    Parameters
    ----------
    scored
        Of `score_growth`, of one metric.

    Returns
    -------
    pandas.DataFrame
        logs, rows; mean absolute errors in per cent, by predictor, and what the users' own errors
        would give; by_log, the error of the prediction as a mean over logs; inside, the share of
        rows whose runs are mostly in the interval, with its exact binomial 95 % interval.
    """
    summaries = []
    for times, part in scored.groupby("times"):
        columns = ("predicted", "without_baseline", "unchanged", "held_vocabulary")
        errors = {name: 100 * (part[name] / part["value"] - 1).abs() for name in columns}
        inside = int((part["covered"] >= 0.5).sum())
        ends = binomtest(inside, len(part)).proportion_ci(0.95, "exact")
        summaries.append(
            {"times": times, "logs": part["log"].nunique(), "rows": len(part)}
            | {name: error.mean() for name, error in errors.items()}
            | {
                "by_log": errors["predicted"].groupby(part["log"]).mean().mean(),
                "error_of_value": 100 * part["error_of_value"].mean() * np.sqrt(2 / np.pi),
                "inside": inside / len(part),
                "from": ends.low,
                "to": ends.high,
            }
        )
    return pd.DataFrame(summaries)


def _predict_step(
    forecast: Forecast, before: pd.DataFrame, later: pd.DataFrame, times: float, slope: float
) -> dict[str, float]:
    metric = forecast.metric
    point = before[["n_layers", "d_emb", "tokens"]].head(1)
    known = None if np.isnan(slope) else float(slope)
    grown = forecast.growth_interval(point, times, known, LEVEL)
    assert grown is not None  # the prior has learnt it
    blind = forecast.growth_interval(point, times, None, LEVEL)
    assert blind is not None
    held = forecast.draws(point.assign(tokens=point["tokens"] * times))
    users = before[f"{metric} se"].mean() / before[metric].mean() * np.sqrt(1 - 1 / times)
    is_inside = later[metric].between(grown["low"].iloc[0], grown["high"].iloc[0])
    return {
        "value": later[metric].mean(),
        "unchanged": before[metric].mean(),
        **{name: float(grown[name].iloc[0]) for name in ("predicted", "low", "high")},
        "without_baseline": blind["predicted"].iloc[0],
        "held_vocabulary": float(from_log_odds(np.median(held))),
        "error_of_value": users,
        "covered": is_inside.mean(),
    }
