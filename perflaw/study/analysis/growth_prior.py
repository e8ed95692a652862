"""How a metric grows as a log grows by its own users and items: the prior of reports, and its test.

The runs are those of the grid `growth`: nested samples of the users of a log, each with its own
items and tested on its own users. y is the log-odds of a metric, x counts doublings of the users.
A log's y rises by θ a doubling. The prior says θ ~ N(α + β b + γ (y - y₀), τ²), where b is
the rise of a first-order Markov chain on the same log, and y₀ the log-odds of a rate of 0.1. b is
measured with an error, and is shrunk to its mean over logs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from perflaw.models.baselines import GROWS, BaselineGrowth
from perflaw.models.sweeps import grids, results
from perflaw.report.forecast import LEVEL_ORIGIN, Forecast, from_log_odds, to_log_odds
from perflaw.report.prior import Prior
from perflaw.report.reasons import FEWEST_HITS
from perflaw.study.analysis import study_runs
from perflaw.study.files import study_file
from perflaw.study.intervals import mean_over_logs

METRICS = ("NDCG@10", "HR@10")
CELL = ["log", "share", "data_seed", "d_emb"]
SETTINGS = {"n_layers": 2, "backbone": "sasrec", "split": "leave one out"}
FEWEST_USERS = 200  # tested on a sample, below which its metric says next to nothing
FEWEST_LOGS = 3
CELL_NOISE = 0.03  # of y between samples, were there users without number
SAMPLE_SD = 0.05  # of b between samples of a log, were there users without number
START = {"α": (0.0, 0.1), "β": (0.5, 0.5), "γ": (0.0, 0.1)}  # before any log is seen
START_SD, START_WEIGHT = 0.1, 2.0  # of θ and of b between logs; how many logs it counts for
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
    paths = sorted(results.sweeps_folder().rglob("*.csv"))
    runs = pd.concat([results.read_runs_table(path) for path in paths], ignore_index=True)
    runs = runs.drop_duplicates("key")
    settings = grids.read_grid("survey")["settings"] | SETTINGS
    is_wanted = results.is_unperturbed(runs) & (runs["NDCG@10"] > 0)
    for name, value in settings.items():
        is_wanted &= runs[name] == value
    shares = runs["sample_log"].fillna(1.0)
    wanted = runs[is_wanted].copy()  # in one piece: pandas reads so many columns as many
    runs = study_runs.apply_ranking_rule(wanted.assign(share=shares))
    sampled = set(runs.loc[runs["share"] < 1, "d_emb"])
    n_shares = runs.groupby("log")["share"].transform("nunique")
    is_used = runs["d_emb"].isin(sampled) & (runs["test_targets"] >= FEWEST_USERS) & (n_shares > 1)
    return runs[is_used].reset_index(drop=True)


def load_baseline_slopes() -> pd.DataFrame:
    """Load what baselines gain on each sample as its users double: `Markov slope` and so on."""
    return pd.read_csv(study_file("data", "growth_slopes.csv"))


def make_baseline_growth(sample: pd.Series) -> BaselineGrowth | None:
    """Make the growth of the Markov chain from a row of `load_baseline_slopes`."""
    if np.isnan(sample["Markov slope"]):
        return None
    return BaselineGrowth(GROWS, float(sample["Markov slope"]), float(sample["Markov slope se"]))


def average_seeds(runs: pd.DataFrame) -> pd.DataFrame:
    """Average runs that differ in their seed alone; seeds (how many) is a column more.

    They are tested on the same users, so the mean of their standard errors over users is that of
    their mean.
    """
    cells = runs.groupby(CELL)
    means = cells.mean(numeric_only=True).copy()  # in one piece, as they have many columns
    return means.assign(seeds=cells.size()).reset_index()


def estimate_slopes(runs: pd.DataFrame, baselines: pd.DataFrame) -> pd.DataFrame:
    """Estimate the rise of each log, and what it may be known by.

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
        By log: θ, its variance, b and level (y - y₀), the latter two means over its samples.
    """
    runs = average_seeds(runs)
    samples = runs[runs["share"] < 1]
    keys = samples[["log", "share", "data_seed"]].drop_duplicates()
    measured = keys.merge(
        baselines.rename(columns={"draw": "data_seed"}), on=list(keys), how="left"
    ).dropna(subset="Markov slope")
    weight = 1 / (measured["Markov slope se"] ** 2 + SAMPLE_SD**2)
    total = (weight * measured["Markov slope"]).groupby(measured["log"]).sum()
    chains = total / weight.groupby(measured["log"]).sum()
    y = pd.Series(to_log_odds(samples[list(METRICS)].to_numpy()).mean(axis=1), samples.index)
    levels = y.groupby(samples["log"]).mean()
    rows = {}
    for log, of_log in runs.groupby("log"):
        parts = [
            fit_slope(rows_of_size, metric)
            for metric in METRICS
            for _, rows_of_size in of_log.groupby("d_emb")
            if rows_of_size["share"].nunique() > 1
        ]
        if parts:
            slope, variance = np.mean(parts, axis=0)
            rows[log] = {"θ": slope, "variance": variance, "b": chains.get(log, np.nan)}
    table = pd.DataFrame.from_dict(rows, orient="index")
    return table.assign(level=levels.reindex(table.index) - LEVEL_ORIGIN)


def fit_slope(runs: pd.DataFrame, metric: str) -> tuple[float, float]:
    """Fit y, the log-odds of a metric, by doublings of users: the slope and its variance."""
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
        "growth": α, β, γ and the standard deviation of a new log's θ. "baseline growth": mean
        and standard deviation of b between logs. Empty where there are too few logs.
    """
    known = slopes.dropna()
    if len(known) < FEWEST_LOGS:
        return {}
    design = np.column_stack([np.ones(len(known)), known["b"], known["level"]])
    coefficients, sd = fit_hierarchy(known, design, list(START.values()))
    mean = float(known["b"].mean())
    squares = START_WEIGHT * START_SD**2 + ((known["b"] - mean) ** 2).sum()
    spread = float(np.sqrt(squares / (START_WEIGHT + len(known))))
    return {"growth": (*coefficients, sd), "baseline growth": (mean, spread)}


def fit_hierarchy(
    slopes: pd.DataFrame, design: np.ndarray, starts: Sequence[tuple[float, float]]
) -> tuple[tuple[float, ...], float]:
    """Fit θ ~ N(design · coefficients, τ²) by expectation-maximisation.

    Parameters
    ----------
    slopes
        Columns θ and variance.
    design
        (logs, coefficients).
    starts
        Mean and standard deviation of each coefficient, before any log is seen.

    Returns
    -------
    tuple of float
        The coefficients.
    float
        The standard deviation of a new log in the middle of those seen.
    """
    theta, variance = slopes["θ"].to_numpy(), slopes["variance"].to_numpy()
    start, start_sd = np.array(starts).T
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
        that the two samples have of their users; noise, the same of their users and of the seeds
        of their runs; covered, share of the runs in the interval.
    """
    slopes = estimate_slopes(runs, baselines)
    growths = {
        (row["log"], row["share"], row["draw"]): make_baseline_growth(row)
        for _, row in baselines.iterrows()
    }
    rows = []
    for step, seen, larger in list_steps(runs):
        log = step["log"]
        if log not in priors:
            continue
        prior = dict(priors[log]) | learn_growth(slopes.drop(index=log, errors="ignore"))
        known = growths.get((log, step["share"], step["draw"]))
        for metric in METRICS:
            forecast = Forecast(seen, metric, prior)
            for d_emb, later in larger.groupby("d_emb"):
                before = seen[seen["d_emb"] == d_emb]
                if before.empty:
                    continue
                row = _predict_step(forecast, before, later, step["times"], known)
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
        logs, rows; mean absolute errors in per cent, by predictor, and what the users' own errors,
        and the noise of seeds too, would give, as means over the rows of a log, then over logs;
        inside, the share of all rows whose runs are mostly in the interval, with its exact
        binomial 95 % interval.
    """
    predictors = ["predicted", "without_baseline", "unchanged", "held_vocabulary"]
    noises = ["error_of_value", "noise"]
    errors = scored[predictors].div(scored["value"], axis=0).sub(1).abs()
    errors = errors.join(np.sqrt(2 / np.pi) * scored[noises])
    means = mean_over_logs(
        scored[["log", "times"]].join(100 * errors), [*predictors, *noises], ["times"]
    )
    summaries = []
    for times, part in scored.groupby("times"):
        inside = int((part["covered"] >= 0.5).sum())
        ends = binomtest(inside, len(part)).proportion_ci(0.95, "exact")
        summaries.append(
            {"times": times, "logs": part["log"].nunique(), "rows": len(part)}
            | means.loc[times].to_dict()
            | {"inside": inside / len(part), "from": ends.low, "to": ends.high}
        )
    return pd.DataFrame(summaries)


def _predict_step(
    forecast: Forecast,
    before: pd.DataFrame,
    later: pd.DataFrame,
    times: float,
    known: BaselineGrowth | None,
) -> dict[str, float]:
    metric = forecast.metric
    point = before[["n_layers", "d_emb", "tokens"]].head(1)
    grown = forecast.growth_interval(point, times, known, LEVEL)
    assert grown is not None  # the prior has learnt it
    blind = forecast.growth_interval(point, times, None, LEVEL)
    assert blind is not None
    held = forecast.draws(point.assign(tokens=point["tokens"] * times))
    rate = before[metric].mean()
    users = before[f"{metric} se"].mean() / rate * np.sqrt(1 - 1 / times)
    seed = np.sqrt((forecast.noise**2).mean()) * (1 - rate)  # of one run, relative
    seeds = seed * np.sqrt(1 / len(before) + 1 / (times * len(later)))
    is_inside = later[metric].between(grown["low"].iloc[0], grown["high"].iloc[0])
    return {
        "value": later[metric].mean(),
        "unchanged": rate,
        **{name: float(grown[name].iloc[0]) for name in ("predicted", "low", "high")},
        "without_baseline": blind["predicted"].iloc[0],
        "held_vocabulary": float(from_log_odds(np.median(held))),
        "error_of_value": users,
        "noise": np.hypot(users, seeds),
        "covered": is_inside.mean(),
    }
