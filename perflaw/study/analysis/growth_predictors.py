"""How much of the error of growth forecasts is noise, and which predictors of growth were tried.

A predictor says by how much the log-odds of a metric rise a doubling of a log's users. It is linear
in covariates of the sample that is seen, its coefficients are learnt from the other logs, and the
slopes of baselines are shrunk by their errors, as in `perflaw.study.analysis.growth_prior`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.stats import norm

from perflaw.report.forecast import LEVEL_ORIGIN, from_log_odds, to_log_odds
from perflaw.study.analysis import growth_prior
from perflaw.study.analysis.growth import METRIC
from perflaw.study.analysis.growth_prior import LEVEL, METRICS
from perflaw.study.analysis.seed_noise import MEAN_ABSOLUTE_NORMAL
from perflaw.study.files import study_file
from perflaw.study.intervals import mean_over_logs

SAMPLE = ["log", "share", "draw"]
BASELINES = ("Markov", "item-kNN", "popular")
COUNTS = ("users", "interactions per user", "interactions per item", "items per user")
PREDICTORS: dict[str, tuple[str, ...]] = {
    "mean of other logs": (),
    "Markov": ("Markov",),
    "item-kNN": ("item-kNN",),
    "popular": ("popular",),
    "level": ("level",),
    **{name: (name,) for name in COUNTS},
    "repeats": ("repeats",),
    "Markov and level": ("Markov", "level"),
    "item-kNN and level": ("item-kNN", "level"),
    "popular and level": ("popular", "level"),
    "Markov and users": ("Markov", "users"),
    "Markov and repeats": ("Markov", "repeats"),
}
REPORTED = "Markov and level"  # that of reports
OWN_SAMPLES = "Markov and level, own smaller samples"
NO_GROWTH, NESTED, ORACLE = "no growth", "chosen on the other logs", "the log's own rise, known"
BASELINE_START, OTHER_START = (0.5, 0.5), (0.0, 0.1)  # of a coefficient, before any log is seen
MEAN_START, REST_START = (0.1, 0.1), (0.0, 0.1)  # of the intercept, without a baseline and with


def load_steps() -> pd.DataFrame:
    """Load the steps from a sample to a larger one, with the forecasts of reports."""
    steps = pd.read_csv(study_file("data", "growth_forecasts.csv"))
    return steps[steps["metric"] == METRIC].reset_index(drop=True)


def decompose_errors(steps: pd.DataFrame) -> pd.DataFrame:
    """Compare the errors of growth forecasts with what users and seeds alone would give.

    The log grows fourfold.

    Parameters
    ----------
    steps
        Of `load_steps`.

    Returns
    -------
    pandas.DataFrame
        One row a log, and "all", the mean over logs. In per cent: error and no_growth (mean
        absolute ones of the forecast and of no growth), bias (mean), users and noise (mean absolute
        errors expected of the users drawn, and of seeds too), excess (the mean absolute error that
        is left: of a normal error with the mean square error less that of the noise, 0 where it is
        less). within: share of values that are nearer to the
        forecast than their own 90 % noise. rows: steps.
    """
    part = steps[steps["times"] == 4]
    error = pd.Series(np.log(part["predicted"] / part["value"]), part.index)
    table = pd.DataFrame(
        {
            "log": part["log"],
            "error": 100 * (part["predicted"] / part["value"] - 1).abs(),
            "no_growth": 100 * (part["unchanged"] / part["value"] - 1).abs(),
            "bias": 100 * (part["predicted"] / part["value"] - 1),
            "users": 100 * MEAN_ABSOLUTE_NORMAL * part["error_of_value"],
            "noise": 100 * MEAN_ABSOLUTE_NORMAL * part["noise"],
            "square": error**2 - part["noise"] ** 2,
            "within": error.abs() <= norm.ppf((1 + LEVEL) / 2) * part["noise"],
        }
    )
    by_log = table.groupby("log", sort=False)
    means = by_log.mean()
    means.loc["all"] = means.mean()
    means["rows"] = by_log.size().reindex(means.index, fill_value=len(table))
    means["excess"] = 100 * MEAN_ABSOLUTE_NORMAL * np.sqrt(means.pop("square").clip(lower=0))
    return means.reset_index()


def compare_draws(runs: pd.DataFrame, seed_factor: float) -> float:
    """Compare how two draws of a sample differ with the noise that the forecasts assume.

    Parameters
    ----------
    runs
        Of `growth_prior.load_growth_runs`.
    seed_factor
        Standard deviation of a run between seeds, by its standard error over users.

    Returns
    -------
    float
        Root mean square difference over what users and seeds would give; 1 where these are all.
    """
    samples = growth_prior.average_seeds(runs[runs["share"] < 1])
    rate = samples[METRIC]
    variance = (samples[f"{METRIC} se"] / (rate * (1 - rate))) ** 2
    noise = variance * (1 - samples["share"] + seed_factor**2 / samples["seeds"])
    y = samples[["log", "share", "d_emb"]].assign(y=to_log_odds(rate.to_numpy()), noise=noise)
    cells = y.groupby(["log", "share", "d_emb"])
    differences, expected = cells["y"].var(), cells["noise"].mean()
    return float(np.sqrt((differences / expected).mean()))


def tabulate_covariates(runs: pd.DataFrame, baselines: pd.DataFrame) -> pd.DataFrame:
    """Tabulate what may say how a log grows.

    Parameters
    ----------
    runs
        Of `growth_prior.load_growth_runs`.
    baselines
        Of `growth_prior.load_baseline_slopes`.

    Returns
    -------
    pandas.DataFrame
        By log, share and draw of a sample: level (log-odds from a rate of 0.1), doublings of
        COUNTS, repeats, slope and standard error of BASELINES, and of the rise over the sample's
        own smaller samples (own, own se).
    """
    samples = growth_prior.average_seeds(runs[runs["share"] < 1])
    samples = samples.rename(columns={"data_seed": "draw"})
    samples = samples.assign(y=to_log_odds(samples[list(METRICS)].to_numpy()).mean(axis=1))
    by_sample = samples.groupby(SAMPLE)
    counts = by_sample[["users", "items", "tokens"]].first()
    table = pd.DataFrame(
        {
            "level": by_sample["y"].mean() - LEVEL_ORIGIN,
            "users": np.log2(counts["users"]),
            "interactions per user": np.log2(counts["tokens"] / counts["users"]),
            "interactions per item": np.log2(counts["tokens"] / counts["items"]),
            "items per user": np.log2(counts["items"] / counts["users"]),
            "repeats": by_sample["repeats"].first().astype(float),
        }
    )
    columns = {f"{name} slope": name for name in BASELINES}
    columns |= {f"{name} slope se": f"{name} se" for name in BASELINES}
    table = table.join(baselines.set_index(SAMPLE)[list(columns)].rename(columns=columns))
    table[["own", "own se"]] = [_own_slope(samples, *sample) for sample in table.index]
    return table


def _own_slope(samples: pd.DataFrame, log: str, share: float, draw: int) -> tuple[float, float]:
    """Fit the rise over a sample and the smaller ones in it; nan where there are none."""
    is_visible = (samples["log"] == log) & (samples["draw"] == draw) & (samples["share"] <= share)
    slope, variance = growth_prior.fit_mean_slope(samples[is_visible])
    return slope, np.sqrt(variance)


def predict_slopes(
    covariates: pd.DataFrame, slopes: pd.DataFrame, names: Sequence[str], log: str
) -> tuple[pd.Series, float]:
    """Predict the rise of a log from each of its samples, as other logs rose.

    Parameters
    ----------
    covariates
        Of `tabulate_covariates`.
    slopes
        Of `growth_prior.estimate_slopes`, of the logs to learn from.
    names
        Of the covariates.
    log
        That is predicted, and not learnt from.

    Returns
    -------
    pandas.Series
        Rise a doubling, by share and draw.
    float
        Its standard deviation.
    """
    train = slopes.drop(index=log, errors="ignore")
    has_baseline = bool(set(names) & set(BASELINES))
    starts = [REST_START if has_baseline else MEAN_START]
    design, seen = [np.ones(len(train))], [np.ones(len(covariates.loc[log]))]
    for name in names:
        means, values = _prepare_covariate(covariates, name, list(train.index), log)
        starts.append(BASELINE_START if name in BASELINES else OTHER_START)
        design.append(means)
        seen.append(values)
    coefficients, sd = growth_prior.fit_hierarchy(train, np.column_stack(design), starts)
    predicted = np.column_stack(seen) @ np.array(coefficients)
    return pd.Series(predicted, covariates.loc[log].index), sd


def _prepare_covariate(
    covariates: pd.DataFrame, name: str, train: list[str], log: str
) -> tuple[np.ndarray, np.ndarray]:
    """Give a covariate's mean over the samples of each log to learn from, and those of the log."""
    values = covariates[name]
    if name not in BASELINES:
        means = values.groupby("log").mean().loc[train]
        origin = means.mean() if name in COUNTS else 0.0
        return (means - origin).to_numpy(), (values.loc[log] - origin).to_numpy()
    errors = covariates[f"{name} se"]
    means = growth_prior.average_baseline_slopes(values, errors).loc[train]
    mean, variance = means.mean(), growth_prior.variance_between_logs(means)
    trust = variance / (variance + errors.xs(log) ** 2)
    shrunk = mean + trust * (values.loc[log] - mean)
    return means.to_numpy(), shrunk.fillna(mean).to_numpy()


def score_predictors(
    steps: pd.DataFrame, covariates: pd.DataFrame, slopes: pd.DataFrame
) -> pd.DataFrame:
    """Score each predictor on each log, which it has not learnt from.

    Parameters
    ----------
    steps
        Of `load_steps`.
    covariates
        Of `tabulate_covariates`.
    slopes
        Of `growth_prior.estimate_slopes`.

    Returns
    -------
    pandas.DataFrame
        The steps' log and times, and by predictor the error in per cent of the value. NESTED is,
        for each log, the predictor of the least error at four times as many users, mean over the
        other logs, each predicted without itself and without that log.
    """
    table = steps[["log", "times"]].join(_score_logs(steps, covariates, slopes))
    for log in slopes.index:
        scores = _score_logs(steps, covariates, slopes.drop(index=log))
        at_four = scores[steps.loc[scores.index, "times"] == 4].abs()
        errors = at_four.groupby(steps["log"]).mean().mean()
        chosen = errors[list(PREDICTORS)].idxmin()
        is_own = table["log"] == log
        table.loc[is_own, NESTED] = table.loc[is_own, chosen]
        table.loc[is_own, "chosen"] = chosen
    return table


def _score_logs(
    steps: pd.DataFrame, covariates: pd.DataFrame, slopes: pd.DataFrame
) -> pd.DataFrame:
    """Score each predictor on the steps of each log that has a slope, learnt from the others."""
    return pd.concat([_score_log(steps, covariates, slopes, log) for log in slopes.index])


def _score_log(
    steps: pd.DataFrame, covariates: pd.DataFrame, slopes: pd.DataFrame, log: str
) -> pd.DataFrame:
    """Score each predictor on the steps of one log: errors in per cent, signed."""
    part = steps[steps["log"] == log]
    key = pd.MultiIndex.from_frame(part[["share", "draw"]])
    rises: dict[str, np.ndarray | float] = {NO_GROWTH: 0.0}
    for predictor, names in PREDICTORS.items():
        predicted, sd = predict_slopes(covariates, slopes, names, log)
        rises[predictor] = predicted.reindex(key).to_numpy()
        if predictor == REPORTED:
            own = covariates.loc[log, ["own", "own se"]]
            trust = (sd**2 / (sd**2 + own["own se"] ** 2)).fillna(0)
            both = predicted + trust * (own["own"].fillna(0) - predicted)
            rises[OWN_SAMPLES] = both.reindex(key).to_numpy()
    if log in slopes.index:
        rises[ORACLE] = slopes["θ"].to_dict()[log]
    start, doublings = to_log_odds(part["unchanged"].to_numpy()), np.log2(part["times"])
    errors = {
        name: 100 * (from_log_odds(start + doublings * rise) / part["value"] - 1)
        for name, rise in rises.items()
    }
    return pd.DataFrame(errors, index=part.index)


def summarize_predictors(scores: pd.DataFrame) -> pd.DataFrame:
    """Summarize the errors of predictors: mean absolute ones by times, over logs, in per cent.

    Parameters
    ----------
    scores
        Of `score_predictors`.

    Returns
    -------
    pandas.DataFrame
        By predictor: ×2, ×4 and ×8, means over the steps of a log, then over logs.
    """
    names = [NO_GROWTH, *PREDICTORS, OWN_SAMPLES, NESTED, ORACLE]
    sizes = scores[["log", "times"]].join(scores[names].abs())
    by_times = mean_over_logs(sizes, names, ["times"]).sort_index().T
    table = by_times.rename(columns={times: f"×{times}" for times in by_times})
    return table.rename_axis("predictor").rename_axis(columns=None).reset_index()
