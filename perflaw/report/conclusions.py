"""Draw conclusions from the runs of one log: larger models, more data, what to do next."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, cast

import numpy as np
import pandas as pd

from perflaw import stats
from perflaw.report import advice
from perflaw.report.findings import (
    AXIS_LABELS,
    METRICS,
    Advice,
    BaselineComparison,
    Bottleneck,
    Change,
    Findings,
    Growth,
    LeftOutRun,
    MetricFindings,
    NoiseTest,
    Recommendation,
    Size,
    Verdict,
    summarize_ratio,
)
from perflaw.report.forecast import Forecast, from_log_odds
from perflaw.report.measurements import measured_from_records, measured_from_table, on_all_data
from perflaw.report.outliers import drop_outliers, is_within_noise
from perflaw.report.prior import Prior
from perflaw.report.reasons import (
    no_better_than_popular,
    nothing_to_gain,
    reasons_in_fit,
    too_few_hits,
    too_few_runs,
    too_few_users,
)
from perflaw.report.rivals import RIVAL_LAWS, predict_by_rival
from perflaw.report.sentences import describe_findings, format_percent

if TYPE_CHECKING:
    from perflaw.models.baselines import BaselineGrowth

CONFIDENCE = 0.9  # of a verdict
REACH = 4  # times the largest size of the runs, that forecasts reach
CURVE_POINTS = 25
GROWTH_TIMES = (2, 4)

Cell = tuple[int, int, float]  # layers, dimension, times the data
Compared = Sequence[BaselineComparison]
Comparisons = Compared | Callable[[list[str], float], Compared]


def draw_conclusions(
    runs: pd.DataFrame,
    floor: Mapping[str, float] | None = None,
    level: float = 0.9,
    prior: Prior | None = None,
    baselines: Comparisons = (),
    metrics: Sequence[str] = METRICS,
    baseline_growth: BaselineGrowth | None = None,
) -> Findings:
    """Conclude from the recorded runs of one log what larger models and more data would bring.

    Parameters
    ----------
    runs
        A table of run records, as `perflaw.models.sweeps` reads it.
    floor
        Metrics of ranking by popularity.
    level
        Of the intervals.
    prior
        By default that of the package.
    baselines
        Compared with the best model, the best first; or what compares them, given the keys of the
        runs of that model and the level.
    metrics
        What is forecast. Conclusions are drawn from the first.
    baseline_growth
        What a Markov chain gains in log-odds as the users of the log double, if that is known.

    Returns
    -------
    Findings
        With `reasons`, where nothing can be claimed.

    Raises
    ------
    InputError
        For a level that is not between 0 and 1, and for a table that is not of records.

    Examples
    --------
    >>> from perflaw.models.sweeps import read_runs_table
    >>> runs = read_runs_table("ml-1m-sasrec")
    >>> runs = runs[(runs["backbone"] == "sasrec") & (runs["d_emb"] <= 32)]
    >>> draw_conclusions(runs).best
    Size(n_layers=6, d_emb=32)
    """
    stats.check_level(level)
    measured = measured_from_records(runs, metrics)
    return _conclude(measured, metrics, floor or {}, level, prior, baselines, baseline_growth)


def forecast_runs(
    runs: pd.DataFrame, metric: str = "NDCG@10", level: float = 0.9, prior: Prior | None = None
) -> Findings:
    """Conclude from a table of one's own runs what larger models and more data would bring.

    Parameters
    ----------
    runs
        One row a run: n_layers, d_emb, the metric on test, and `users`, the number of test users,
        or `METRIC se`, the standard error over them. Optional: tokens, or the share of the users
        that was trained on (1: all); seed; `validation METRIC`, by which the best is chosen;
        without it the best is chosen on test, and said to be.
    metric
        Name of its column, a rate between 0 and 1 such as NDCG@10 or HR@10.
    level
        Of the intervals.
    prior
        By default that of the package, which was learnt from NDCG@10 and HR@10.

    Returns
    -------
    Findings
        With `reasons`, where nothing can be claimed.

    Raises
    ------
    InputError
        For a column that is missing, and for a value that cannot be.

    Examples
    --------
    >>> sizes = [(n, d) for n in (1, 2) for d in (8, 16, 32)]
    >>> runs = pd.DataFrame(sizes, columns=["n_layers", "d_emb"])
    >>> runs["NDCG@10"] = [0.081, 0.097, 0.105, 0.083, 0.099, 0.108]
    >>> runs["users"] = 20_000
    >>> findings = forecast_runs(runs)
    >>> findings.best
    Size(n_layers=2, d_emb=32)
    """
    stats.check_level(level)
    measured = measured_from_table(runs, metric)
    return _conclude(measured, (metric,), {}, level, prior, (), without_log=True)


def _conclude(
    measured: pd.DataFrame,
    metrics: Sequence[str],
    floor: Mapping[str, float],
    level: float,
    prior: Prior | None,
    baselines: Comparisons,
    baseline_growth: BaselineGrowth | None = None,
    without_log: bool = False,
) -> Findings:
    done = measured[measured[metrics[0]].notna()].reset_index(drop=True)
    if reason := too_few_runs(done):
        findings = _findings_without_forecast(len(done), level, reason)
    elif reason := nothing_to_gain(done, metrics[0]):
        findings = _findings_without_forecast(len(done), level, reason, Advice.STAY)
    elif reason := too_few_users(done, metrics[0]):
        findings = _findings_without_forecast(len(done), level, reason)
        findings = replace(findings, lacks_users=True)
    else:
        findings = _forecast_all(done, metrics, floor, level, prior, baselines, baseline_growth)
    unfinished = len(measured) - len(done)
    findings = replace(findings, unfinished=unfinished, without_log=without_log)
    return replace(findings, says=describe_findings(findings))


def _findings_without_forecast(
    runs: int, level: float, reason: str, advice: Advice = Advice.UNKNOWN
) -> Findings:
    return Findings(
        level=level,
        runs=runs,
        reasons=(reason,),
        metrics={},
        bottleneck=_unknown(reason),
        recommendation=Recommendation(advice),
    )


def _forecast_all(
    done: pd.DataFrame,
    metrics: Sequence[str],
    floor: Mapping[str, float],
    level: float,
    prior: Prior | None,
    baselines: Comparisons,
    baseline_growth: BaselineGrowth | None,
) -> Findings:
    first, *others = metrics
    forecast, dropped = drop_outliers(done, first, prior)
    best = _find_best_size(forecast.runs, first)
    if callable(baselines):
        baselines = baselines(_keys_of_size(forecast.runs, best), level)
    by_metric = {first: _metric_findings(forecast, best, level)}
    not_forecast = {}
    for metric in others:
        if reason := nothing_to_gain(done, metric) or too_few_users(done, metric):
            not_forecast[metric] = reason
        else:
            of_metric = Forecast(forecast.runs, metric, prior)
            by_metric[metric] = _metric_findings(of_metric, best, level)
    few_hits = too_few_hits(forecast)
    in_data = (few_hits, no_better_than_popular(forecast, floor))
    in_fit = reasons_in_fit(by_metric[first], len(dropped), len(done))
    reasons = (*filter(None, in_data), *in_fit)
    growth = _growth(forecast, best, level, baseline_growth)
    candidates = advice.list_candidates(forecast)
    return Findings(
        level=level,
        runs=len(done),
        reasons=reasons,
        metrics=by_metric,
        bottleneck=_unknown(reasons[0]) if reasons else _bottleneck(forecast, best),
        next=advice.choose_next_runs(forecast, candidates, level),
        left_out=tuple(
            LeftOutRun(row["key"], int(row["n_layers"]), int(row["d_emb"]), row["sigmas"])
            for _, row in dropped.iterrows()
        ),
        best=best,
        baselines=tuple(baselines),
        recommendation=advice.recommend(candidates, growth, baselines, reasons, level),
        growth=growth,
        not_forecast=not_forecast,
        lacks_users=few_hits is not None,
        chosen_on_test=f"validation {first}" not in done,
    )


def _find_best_size(runs: pd.DataFrame, metric: str) -> Size:
    """Find the size on all data that is best, mean over seeds: by validation where runs have it."""
    validation = f"validation {metric}"
    deciding = validation if validation in runs else metric
    means = on_all_data(runs).groupby(["n_layers", "d_emb"])[deciding].mean()
    n_layers, d_emb = cast("tuple[int, int]", means.idxmax())
    return Size(int(n_layers), int(d_emb))


def _keys_of_size(runs: pd.DataFrame, size: Size) -> list[str]:
    full = on_all_data(runs)
    is_size = (full["n_layers"] == size.n_layers) & (full["d_emb"] == size.d_emb)
    return sorted(full.loc[is_size, "key"])


def _points(forecast: Forecast, cells: Iterable[Cell]) -> pd.DataFrame:
    """Give sizes, and times the data, as the points of a forecast."""
    rows = [(n, d, forecast.full_tokens * times) for n, d, times in cells]
    return pd.DataFrame(rows, columns=["n_layers", "d_emb", "tokens"])


# ---------------------------------------------------------------- one metric


def _metric_findings(forecast: Forecast, best: Size, level: float) -> MetricFindings:
    predictions = _predictions(forecast, best, level)
    larger = predictions.loc[predictions["data"] == 1, ["n_layers", "d_emb"]]
    measured = forecast.runs[["n_layers", "d_emb", "seed", forecast.metric]].rename(
        columns={forecast.metric: "value"}
    )
    loo = forecast.loo_predictions()
    # a step of log-odds in per cent of the rate
    percent = 100 * (1 - from_log_odds(loo["value"].to_numpy()))
    return MetricFindings(
        noise=float(np.median(percent) * np.median(forecast.noise)),
        fit=NoiseTest(
            cells=len(loo),
            error=(percent * loo["error"].abs()).mean(),
            expected=math.sqrt(2 / math.pi) * (percent * loo["sd"]).mean(),
            fits=is_within_noise(loo),
        ),
        predictions=predictions,
        curves={axis: _curve(forecast, best, axis, level) for axis in AXIS_LABELS},
        doublings=_doublings(forecast, best, level),
        laws={name: predict_by_rival(name, forecast, larger, level) for name in RIVAL_LAWS},
        measured=measured.assign(data=forecast.runs["tokens"] / forecast.full_tokens),
    )


def _predictions(forecast: Forecast, best: Size, level: float) -> pd.DataFrame:
    """Forecast two and four times the largest sizes and the data."""
    n, d = best.n_layers, best.d_emb
    most_n, most_d = int(forecast.runs["n_layers"].max()), int(forecast.runs["d_emb"].max())
    cells: list[Cell] = [
        (n_layers, d_emb, 1)
        for n_layers in sorted({n, 2 * most_n, REACH * most_n})
        for d_emb in sorted({d, 2 * most_d, REACH * most_d})
    ]
    cells += [(n, d, 2), (n, d, REACH), (n, 2 * most_d, 2), (n, REACH * most_d, REACH)]
    sizes = pd.DataFrame(cells, columns=["n_layers", "d_emb", "data"])
    return sizes.join(forecast.interval(_points(forecast, cells), level))


def _curve(forecast: Forecast, best: Size, axis: str, level: float) -> pd.DataFrame:
    """Forecast along one size, the others as in the best configuration."""
    runs = forecast.runs
    x = np.geomspace(runs[axis].min(), REACH * runs[axis].max(), CURVE_POINTS)
    fixed = {"n_layers": best.n_layers, "d_emb": best.d_emb, "tokens": forecast.full_tokens}
    curve = forecast.interval(pd.DataFrame(fixed | {axis: x}), level)
    return curve.assign(x=x / forecast.full_tokens if axis == "tokens" else x)


def _doublings(forecast: Forecast, best: Size, level: float) -> dict[str, Change]:
    """Say what doubling each size brings, without the noise of runs."""
    start, *doubled = from_log_odds(forecast.draws(_points(forecast, _doubled_cells(best)))).T
    return {
        axis: summarize_ratio(rates / start, level) for axis, rates in zip(AXIS_LABELS, doubled)
    }


def _growth(
    forecast: Forecast, best: Size, level: float, baseline_growth: BaselineGrowth | None
) -> tuple[Growth, ...]:
    """Say what growth as before brings; nothing where the prior has not learnt it."""
    if not forecast.knows_growth:
        return ()
    point = _points(forecast, [(best.n_layers, best.d_emb, 1)])
    rates = from_log_odds(forecast.draws(point))
    growth = []
    for times in GROWTH_TIMES:
        grown_rates = from_log_odds(forecast.growth_draws(point, times, baseline_growth))
        gain = summarize_ratio(grown_rates / rates, level)
        growth.append(Growth(times, gain.change, gain.low, gain.high))
    return tuple(growth)


def _doubled_cells(best: Size) -> list[Cell]:
    """Give the best size as it is, then doubled along each of AXIS_LABELS."""
    n, d = best.n_layers, best.d_emb
    return [(n, d, 1), (n, 2 * d, 1), (2 * n, d, 1), (n, d, 2)]


# ---------------------------------------------------------------- verdicts


def _unknown(why: str) -> Bottleneck:
    return Bottleneck(Verdict.UNKNOWN, None, why)


def _bottleneck(forecast: Forecast, best: Size) -> Bottleneck:
    """Compare doubled data with the doubled dimension or layers, whichever brings more."""
    if forecast.runs["tokens"].nunique() < 2:
        return _unknown(
            "no run had less data than there is, so that other logs alone say what more would bring"
        )
    start, wide, deep, more_data = forecast.draws(_points(forecast, _doubled_cells(best))).T
    model = max(wide, deep, key=np.mean)
    is_little = np.maximum(model, more_data) - start < np.median(forecast.noise)
    little_chance = float(is_little.mean())
    if little_chance >= CONFIDENCE:
        why = (
            "doubling either brings less than the noise of one run with a probability of "
            f"{format_percent(little_chance)}"
        )
        return Bottleneck(Verdict.NEITHER, little_chance, why)
    data_chance = float((more_data > model).mean())
    if data_chance >= 0.5:
        favoured, other, chance = Verdict.DATA, Verdict.MODEL, data_chance
    else:
        favoured, other, chance = Verdict.MODEL, Verdict.DATA, 1 - data_chance
    why = (
        f"doubling the {favoured} brings more than doubling the {other}, with a probability of "
        f"{format_percent(chance)}"
    )
    if chance < CONFIDENCE:
        why += f", less than the {format_percent(CONFIDENCE)} that a verdict needs"
        return Bottleneck(Verdict.UNKNOWN, chance, why)
    return Bottleneck(favoured, chance, why)
