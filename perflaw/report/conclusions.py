"""Draw conclusions from the runs of one log: larger models, more data, what to train next."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np
import pandas as pd

from perflaw import stats
from perflaw.laws import design, families, fitting, identifiability
from perflaw.models.sweeps import cost_model, results
from perflaw.report.findings import (
    AXIS_LABELS,
    METRICS,
    Bottleneck,
    Change,
    Findings,
    LeftOutRun,
    MetricFindings,
    NextRun,
    NoiseTest,
    Size,
    Verdict,
)
from perflaw.report.forecast import Forecast, drop_outliers, is_within_noise
from perflaw.report.prior import Prior
from perflaw.report.sentences import describe_findings, format_percent

FEWEST_RUNS = 5
FEWEST_HITS = 30  # of a run, below which nothing is claimed
WIDEST_INTERVAL = 2.0  # ratio of its ends at four times the dimension, above which nothing is
CONFIDENCE = 0.9  # of a verdict
REACH = 4  # times the largest size of the runs, that forecasts reach
RIVAL_LAWS = ("log-linear", "Performance Law, k = 2")
NEXT_LAYERS = (1, 2, 3, 4, 6, 8, 12, 16)
NEXT_DIMENSIONS = tuple(2**i for i in range(3, 11))
CURVE_POINTS = 25

Cell = tuple[int, int, float]  # layers, dimension, times the data


def draw_conclusions(
    runs: pd.DataFrame,
    floor: Mapping[str, float] | None = None,
    level: float = 0.9,
    prior: Prior | None = None,
) -> Findings:
    """Conclude from the runs of one log what larger models and more data would bring.

    Parameters
    ----------
    runs
        A table of runs, as `perflaw.models.sweeps` reads it.
    floor
        HR@10 and NDCG@10 of ranking by popularity.
    level
        Of the intervals.
    prior
        By default that of the package.

    Returns
    -------
    Findings
        With `reasons`, where nothing can be claimed.

    Raises
    ------
    InputError
        For a level that is not between 0 and 1.
    """
    stats.check_level(level)
    runs = results.select_whole_log(runs)
    done = runs[runs["NDCG@10"].notna()].sort_values("key", ignore_index=True)
    unfinished = len(runs) - len(done)
    if reason := _too_little(done):
        findings = Findings(level, len(done), unfinished, (reason,), {}, _unknown(reason))
    else:
        findings = _conclude(done, unfinished, floor or {}, level, prior)
    return replace(findings, says=describe_findings(findings))


def _too_little(done: pd.DataFrame) -> str | None:
    """Say why the runs do not bear a forecast at all."""
    full = done[done["tokens"] == done["tokens"].max()]
    depths, dimensions = full["n_layers"].nunique(), full["d_emb"].nunique()
    if depths < 2 or dimensions < 2 or len(done) < FEWEST_RUNS:
        return (
            f"too little was run: {len(done)} runs of {depths} depths and {dimensions} dimensions; "
            "five of two each are the least"
        )
    if empty := int((done[list(METRICS)] <= 0).any(axis=1).sum()):
        return (
            f"too little data: in {empty} of {len(done)} runs no test user finds the target among "
            "the first ten"
        )
    return None


def _conclude(
    done: pd.DataFrame,
    unfinished: int,
    floor: Mapping[str, float],
    level: float,
    prior: Prior | None,
) -> Findings:
    forecast, dropped = drop_outliers(done, METRICS[0], prior)
    best = _best_size(forecast.runs)
    forecasts = [forecast, *(Forecast(forecast.runs, metric, prior) for metric in METRICS[1:])]
    metrics = {one.metric: _metric_findings(one, best, level) for one in forecasts}
    reasons = (
        *_reasons_in_data(forecast.runs, floor),
        *_reasons_in_fit(metrics[METRICS[0]], len(dropped), len(done)),
    )
    return Findings(
        level,
        len(done),
        unfinished,
        reasons,
        metrics,
        _unknown(reasons[0]) if reasons else _bottleneck(forecast, best),
        tuple(_next_runs(forecast, level)),
        tuple(
            LeftOutRun(row["key"], int(row["n_layers"]), int(row["d_emb"]), row["sigmas"])
            for _, row in dropped.iterrows()
        ),
        best,
    )


def _best_size(runs: pd.DataFrame) -> Size:
    """Size of the best cell on all data by validation, mean over seeds."""
    full = runs[runs["tokens"] == runs["tokens"].max()]
    means = full.groupby(["n_layers", "d_emb"])["validation NDCG@10"].mean()
    n_layers, d_emb = means.idxmax()
    return Size(int(n_layers), int(d_emb))


def _points(forecast: Forecast, cells: Iterable[Cell]) -> pd.DataFrame:
    """Give sizes, and times the data, as the points of a forecast."""
    rows = [(n, d, forecast.full_tokens * times) for n, d, times in cells]
    return pd.DataFrame(rows, columns=["n_layers", "d_emb", "tokens"])


# ---------------------------------------------------------------- one metric


def _metric_findings(forecast: Forecast, best: Size, level: float) -> MetricFindings:
    predictions = _predictions(forecast, best, level)
    loo = forecast.loo_predictions()
    fit = NoiseTest(
        len(loo),
        100 * loo["error"].abs().mean(),
        100 * math.sqrt(2 / math.pi) * loo["sd"].mean(),
        is_within_noise(loo),
    )
    measured = forecast.runs[["n_layers", "d_emb", "seed", forecast.metric, "tokens"]].rename(
        columns={forecast.metric: "value"}
    )
    measured["data"] = measured.pop("tokens") / forecast.full_tokens
    larger = predictions.loc[predictions["data"] == 1, ["n_layers", "d_emb"]]
    return MetricFindings(
        100 * float(np.median(forecast.noise)),
        fit,
        predictions,
        {axis: _curve(forecast, best, axis, level) for axis in AXIS_LABELS},
        _doublings(forecast, best, level),
        {name: _rival_predictions(name, forecast, larger, level) for name in RIVAL_LAWS},
        measured,
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
    points = _points(forecast, cells)
    table = points[["n_layers", "d_emb"]].assign(data=[times for *_, times in cells])
    return table.join(forecast.interval(points, level))


def _curve(forecast: Forecast, best: Size, axis: str, level: float) -> pd.DataFrame:
    """Forecast along one size, the others as in the best configuration."""
    runs = forecast.runs
    x = np.geomspace(runs[axis].min(), REACH * runs[axis].max(), CURVE_POINTS)
    fixed = {"n_layers": best.n_layers, "d_emb": best.d_emb, "tokens": forecast.full_tokens}
    curve = forecast.interval(pd.DataFrame(fixed | {axis: x}), level)
    return curve.assign(x=x / forecast.full_tokens if axis == "tokens" else x)


def _doublings(forecast: Forecast, best: Size, level: float) -> dict[str, Change]:
    """Say what doubling each size brings, without the noise of runs."""
    draws = forecast.draws(_points(forecast, _doubled_cells(best)))
    probabilities = [0.5, (1 - level) / 2, (1 + level) / 2]
    gains = np.quantile(100 * np.expm1(draws[:, 1:] - draws[:, :1]), probabilities, axis=0)
    return {axis: Change(*gain) for axis, gain in zip(AXIS_LABELS, gains.T)}


def _doubled_cells(best: Size) -> list[Cell]:
    """Give the best size as it is, then doubled along each of AXIS_LABELS."""
    n, d = best.n_layers, best.d_emb
    return [(n, d, 1), (n, 2 * d, 1), (2 * n, d, 1), (n, d, 2)]


def _rival_predictions(
    name: str, forecast: Forecast, points: pd.DataFrame, level: float
) -> pd.DataFrame:
    """Predict by another law, fitted to the cells on all data; empty where these do not do."""
    metric, runs = forecast.metric, forecast.runs
    full = runs[runs["tokens"] == forecast.full_tokens]
    cells = full.groupby(["n_layers", "d_emb"])[metric].mean().reset_index()
    law = families.rival_laws()[name]
    determined = (
        len(cells) > len(law.parameters) == identifiability.identifiable_rank(law, cells)
        and np.ptp(cells[metric]) > 0
    )
    if not determined:
        return pd.DataFrame()
    intervals = fitting.fit(law, cells, list(cells[metric])).interval(points, level)
    intervals = intervals.rename(columns={"prediction": "predicted"})
    return points.join(intervals[["predicted", "low", "high"]])


# ---------------------------------------------------------------- verdicts


def _reasons_in_data(runs: pd.DataFrame, floor: Mapping[str, float]) -> list[str]:
    """Say why the measurements do not bear a claim."""
    reasons = []
    users = int(runs["test_targets"].max())
    hits = float((runs["HR@10"] * runs["test_targets"]).median())
    if hits < FEWEST_HITS:
        uncertain = (runs["NDCG@10 se"] / runs["NDCG@10"]).median()
        reasons.append(
            f"too little data: a run hits {hits:.0f} of {users:,} test users, which leaves its "
            f"NDCG@10 uncertain by {uncertain:.0%}"
        )
    if floor and runs["NDCG@10"].max() <= floor["NDCG@10"] + runs["NDCG@10 se"].median():
        reasons.append(
            f"no run is better than ranking by popularity (NDCG@10 {floor['NDCG@10']:.4f}) by more "
            "than its standard error"
        )
    return reasons


def _reasons_in_fit(ndcg: MetricFindings, dropped: int, runs: int) -> list[str]:
    """Say why the forecast does not bear a claim."""
    reasons = []
    if not ndcg.fit.fits:
        reasons.append(
            f"the law does not fit: a cell left out is {ndcg.fit.error:.0f} % from what the others "
            f"say, where noise would have {ndcg.fit.expected:.0f} %"
        )
    if 4 * (dropped + 1) > runs:
        reasons.append(f"{dropped} of {runs} runs do not agree with the others")
    end = ndcg.curves["d_emb"].iloc[-1]
    if end["high"] > WIDEST_INTERVAL * end["low"]:
        reasons.append(
            "what is said of four times the dimension spans a factor of "
            f"{end['high'] / end['low']:.1f}, too wide to plan by"
        )
    return reasons


def _unknown(why: str) -> Bottleneck:
    return Bottleneck(Verdict.UNKNOWN, None, why)


def _bottleneck(forecast: Forecast, best: Size) -> Bottleneck:
    """Compare doubled data with the doubled dimension or layers, whichever brings more."""
    if forecast.runs["tokens"].nunique() < 2:
        return _unknown("no run had less data than there is")
    start, wide, deep, more_data = forecast.draws(_points(forecast, _doubled_cells(best))).T
    model = max(wide, deep, key=np.mean)
    noise = np.median(forecast.noise)
    little = float((np.maximum(model, more_data) - start < noise).mean())
    if little >= CONFIDENCE:
        return Bottleneck(
            Verdict.NEITHER,
            little,
            "doubling either brings less than the noise of one run with a probability of "
            + format_percent(little),
        )
    data_chance = float((more_data > model).mean())
    chance = max(data_chance, 1 - data_chance)
    favoured = Verdict.DATA if data_chance >= 0.5 else Verdict.MODEL
    why = f"doubling the {favoured} brings more with a probability of {format_percent(chance)}"
    return Bottleneck(favoured if chance >= CONFIDENCE else Verdict.UNKNOWN, chance, why)


def _next_runs(forecast: Forecast, level: float, count: int = 3) -> list[NextRun]:
    """Choose sizes to train next.

    They are up to twice as large as those of the pilot, cost no more than it did, and are
    expected to raise the best known value most (`design.next_runs`). The likeliest to be better
    comes first.
    """
    runs = forecast.runs
    cells: list[Cell] = [
        (n, d, 1)
        for n in NEXT_LAYERS
        for d in NEXT_DIMENSIONS
        if n <= 2 * runs["n_layers"].max() and d <= 2 * runs["d_emb"].max()
    ]
    points = _points(forecast, cells)
    full = runs[runs["tokens"] == forecast.full_tokens]
    trained_sizes = set(zip(full["n_layers"], full["d_emb"]))
    trained = np.array([(n, d) in trained_sizes for n, d, _ in cells])
    seconds = _seconds(runs, points)
    affordable = np.flatnonzero((seconds <= runs["seconds"].sum()) & ~trained)
    if not len(affordable):
        return []
    draws = forecast.draws(points)
    chance = (draws > draws[:, trained].max(axis=1, keepdims=True)).mean(axis=0)
    # The best known value may be that of a trained cell, which may be trained again.
    candidates = np.append(np.flatnonzero(trained), affordable)
    noise = np.full(len(candidates), np.median(forecast.noise) ** 2)
    mean, covariance = draws[:, candidates].mean(axis=0), np.cov(draws[:, candidates].T)
    order = candidates[design.next_runs(mean, covariance, noise, len(candidates))]
    chosen = [place for place in order if not trained[place]][:count]
    intervals = forecast.interval(points, level)
    next_runs = []
    for place in sorted(chosen, key=lambda place: -chance[place]):
        n_layers, d_emb, _ = cells[place]
        forecast_row = {name: float(value) for name, value in intervals.loc[place].items()}
        costs = {"seconds": float(seconds[place]), "chance": float(chance[place])}
        next_runs.append(NextRun(n_layers, d_emb, **forecast_row, **costs))
    return next_runs


def _seconds(runs: pd.DataFrame, points: pd.DataFrame) -> np.ndarray:
    """Predict the seconds that runs of other sizes take on all data."""
    full = runs[runs["tokens"] == runs["tokens"].max()]
    rows = pd.concat([full.head(1)] * len(points), ignore_index=True)
    rows = rows.assign(n_layers=points["n_layers"], d_emb=points["d_emb"])
    return cost_model.CostModel(runs).seconds(rows)
