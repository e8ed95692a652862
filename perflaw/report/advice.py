"""What to do next: stay, train a larger model, get more data, or use a baseline."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import astuple, dataclass
from itertools import product

import numpy as np
import pandas as pd

from perflaw.laws import design
from perflaw.models.sweeps import cost_model
from perflaw.report.findings import (
    Advice,
    BaselineComparison,
    Growth,
    NextRun,
    Promising,
    Recommendation,
    Size,
    summarize_ratio,
)
from perflaw.report.forecast import Forecast, from_log_odds
from perflaw.report.measurements import on_all_data

NEXT_LAYERS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128)
NEXT_DIMENSIONS = tuple(2**i for i in range(3, 15))
NEXT_REACH = 2  # times the sizes of the runs, beyond which no next run lies, up or down
NEXT_COUNT = 3
WORTHWHILE = 0.01  # relative gain below which nothing is trained


@dataclass(frozen=True, eq=False)
class Candidates:
    """Sizes that were trained and sizes that could be, with what the forecast says of each."""

    points: pd.DataFrame  # n_layers, d_emb, tokens, seconds (of one core; nan where nobody knows)
    draws: np.ndarray  # (draws, sizes) of `Forecast.draws`
    trained: np.ndarray  # positions
    affordable: np.ndarray  # positions of what is not trained and costs no more than all runs did

    def size(self, place: int) -> Size:
        """Give the size at a position."""
        point = self.points.iloc[place]
        return Size(int(point["n_layers"]), int(point["d_emb"]))

    def best_of(self, places: np.ndarray) -> int:
        """Find the position of the size that is expected to be best."""
        return int(places[self.draws[:, places].mean(axis=0).argmax()])


def list_candidates(
    forecast: Forecast, within: Collection[tuple[int, int]] | None = None
) -> Candidates:
    """List the trained sizes, those up to twice as large, and those down to half as small.

    Parameters
    ----------
    forecast
        Of the runs of a pilot.
    within
        Layers and dimension of the sizes that may be trained; by default any.

    Returns
    -------
    Candidates
        On all data.
    """
    runs = forecast.runs
    full = on_all_data(runs)
    trained_sizes = set(zip(full["n_layers"].astype(int), full["d_emb"].astype(int)))
    layers, dimensions = (
        [size for size in sizes if least / NEXT_REACH <= size <= NEXT_REACH * most]
        for sizes, least, most in (
            (NEXT_LAYERS, runs["n_layers"].min(), runs["n_layers"].max()),
            (NEXT_DIMENSIONS, runs["d_emb"].min(), runs["d_emb"].max()),
        )
    )
    near = set(product(layers, dimensions))
    if within is not None:
        near &= set(within)
    sizes = sorted(near | trained_sizes)
    points = pd.DataFrame(sizes, columns=["n_layers", "d_emb"]).assign(tokens=forecast.full_tokens)
    is_trained = np.array([size in trained_sizes for size in sizes])
    points["seconds"], budget = _predict_seconds(full, runs, points)
    return Candidates(
        points=points,
        draws=forecast.draws(points),
        trained=np.flatnonzero(is_trained),
        affordable=np.flatnonzero(~is_trained & ~(points["seconds"] > budget)),
    )


def _predict_seconds(
    full: pd.DataFrame, runs: pd.DataFrame, points: pd.DataFrame
) -> tuple[np.ndarray, float]:
    """Predict the seconds of runs of other sizes, and add up those of the runs that were done."""
    if "seconds" not in runs or "positions" not in runs:
        return np.full(len(points), np.nan), np.inf
    rows = pd.concat([full.head(1)] * len(points), ignore_index=True)
    rows = rows.assign(n_layers=points["n_layers"], d_emb=points["d_emb"])
    return cost_model.CostModel(runs).seconds(rows), float(runs["seconds"].sum())


def choose_next_runs(
    forecast: Forecast, candidates: Candidates, level: float
) -> tuple[NextRun, ...]:
    """Choose sizes to train next.

    They are expected to raise the best known value most (`design.next_runs`). The likeliest to
    be better comes first.

    Parameters
    ----------
    forecast
        Of the runs of a pilot.
    candidates
        Of that forecast.
    level
        Of the intervals.

    Returns
    -------
    tuple of NextRun
        At most three, none where nothing is affordable.
    """
    if not len(candidates.affordable):
        return ()
    draws, trained = candidates.draws, candidates.trained
    chances = (draws > draws[:, trained].max(axis=1, keepdims=True)).mean(axis=0)
    # The best known value may be that of a trained size, which may be trained again.
    places = np.append(trained, candidates.affordable)
    noise = np.full(len(places), np.median(forecast.noise) ** 2)
    mean, covariance = draws[:, places].mean(axis=0), np.cov(draws[:, places].T)
    order = places[design.next_runs(mean, covariance, noise, len(places))]
    chosen = [place for place in order if place not in trained][:NEXT_COUNT]
    forecasts = forecast.interval(candidates.points, level)
    forecasts = forecasts.assign(seconds=candidates.points["seconds"], chance=chances)
    return tuple(
        NextRun(*astuple(candidates.size(place)), **forecasts.loc[place].to_dict())
        for place in sorted(chosen, key=lambda place: -chances[place])
    )


def name_step(before: Size, after: Size) -> Advice:
    """Say what grows from one size to another."""
    is_larger, is_deeper = after.d_emb > before.d_emb, after.n_layers > before.n_layers
    if is_larger and is_deeper:
        return Advice.LARGER_AND_DEEPER
    if is_larger:
        return Advice.LARGER_DIMENSION
    return Advice.DEEPER if is_deeper else Advice.SMALLER


def recommend(
    candidates: Candidates,
    growth: Sequence[Growth],
    baselines: Sequence[BaselineComparison],
    reasons: Sequence[str],
    level: float,
) -> Recommendation:
    """Give one advice.

    Like is compared with like: the expected value of the advised size with that of the best
    trained one, both by the forecast, neither as it was measured.

    Parameters
    ----------
    candidates
        Trained and affordable sizes.
    growth
        What the log brings once it has grown, first to twice its users; none where nobody knows.
    baselines
        Compared with the best model, the best first.
    reasons
        Why nothing can be claimed of models.
    level
        Of the interval of the gain.

    Returns
    -------
    Recommendation
        With a size where one is to be trained.
    """
    if baselines and baselines[0].is_within_noise:
        return Recommendation(Advice.NO_TRANSFORMER, baseline=baselines[0])
    if reasons:
        return Recommendation(Advice.UNKNOWN)
    if not len(candidates.affordable):
        return Recommendation(Advice.STAY)
    promising = _find_promising(candidates, level)
    if promising.gain.change >= 100 * WORTHWHILE:
        return Recommendation(name_step(promising.best, promising.size), promising)
    if growth and growth[0].low > max(0.0, promising.gain.change):
        return Recommendation(Advice.MORE_DATA, promising)
    return Recommendation(Advice.STAY, promising)


def _find_promising(candidates: Candidates, level: float) -> Promising:
    """Compare the size that is expected to be best with the best trained one."""
    best = candidates.best_of(candidates.trained)
    place = candidates.best_of(candidates.affordable)
    best_rates, rates = from_log_odds(candidates.draws[:, [best, place]]).T
    ratios = rates / best_rates
    return Promising(
        size=candidates.size(place),
        best=candidates.size(best),
        value=float(np.median(rates)),
        best_value=float(np.median(best_rates)),
        gain=summarize_ratio(ratios, level),
        chance=float((ratios > 1).mean()),
        seconds=float(candidates.points["seconds"][place]),
    )
