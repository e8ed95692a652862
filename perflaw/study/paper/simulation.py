"""Coverage of the intervals: simulated surfaces whose true law is known.

Three stated scenarios, all on the paper's grid of layers and dimensions and all drawn from the
Performance Law with k = 2 and normal noise of 1.7 % of the mean, about what the published
surfaces show:

- clean: an optimum inside the grid (N = 14, d = 60), each axis moving the metric by 10 %;
- flat: the same optimum, each axis moving the metric by 2.5 %;
- near log-linear: exponents of 0.02, a steady rise of 10 % along each axis.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import pandas as pd

from perflaw.errors import InputError
from perflaw.laws import families, mixed, mixed_claims, mixed_design, profile, reml, varpro
from perflaw.study.paper.published import DIMENSIONS, LAYERS

GRID = pd.DataFrame(list(product(LAYERS, DIMENSIONS)), columns=list(families.AXES))
PREDICTED = {"inside": (12, 60), "corner": (32, 100), "beyond": (48, 150)}  # (N, d)
MEAN, NOISE = 0.3, 0.017
LAW = families.performance()
COVERAGE_COLUMNS = ["scenario", "quantity", "kind", "truth", "covered", "open"]
NO_DECLINE = "no decline"


@dataclass(frozen=True)
class Scenario:
    """A true law to draw surfaces from.

    Attributes
    ----------
    exponents
        Of N and of d.
    reach
        Range of each axis's contribution over the grid, as a share of the mean; its sign is that
        of w.
    optimum
        N and d of the optimum, if there is one.
    """

    exponents: tuple[float, float]
    reach: float
    optimum: tuple[float, float] | None

    @property
    def truth(self) -> pd.Series:
        """The parameters, in the order of the law's."""
        columns = LAW.basis(_arrays(GRID), np.array(self.exponents))
        weights = self.reach * MEAN / np.ptp(columns[:, 1:], axis=0)
        intercept = MEAN - columns[:, 1:].mean(axis=0) @ weights
        return pd.Series([intercept, *weights, *self.exponents], index=list(LAW.parameters))


def _arrays(points: pd.DataFrame) -> dict[str, np.ndarray]:
    return {axis: points[axis].to_numpy(float) for axis in families.AXES}


def _exponents_of(n_layers: float, d_emb: float) -> tuple[float, float]:
    """Give the exponents whose optimum is there: N* = k^(-1/p)."""
    return float(-np.log(2) / np.log(n_layers)), float(-np.log(2) / np.log(d_emb))


SCENARIOS = {
    "clean": Scenario(_exponents_of(14, 60), -0.10, (14, 60)),
    "flat": Scenario(_exponents_of(14, 60), -0.025, (14, 60)),
    "near log-linear": Scenario((0.02, 0.02), -0.10, None),
}


def simulate_surfaces(scenario: Scenario, n_draws: int, seed: int) -> np.ndarray:
    """Draw surfaces on GRID: the law's values plus normal noise.

    Parameters
    ----------
    scenario
        The true law.
    n_draws
        Number of surfaces.
    seed
        Seed of the draw.

    Returns
    -------
    ndarray
        (n_draws, 24).
    """
    _check_draws(n_draws)
    truth = scenario.truth.to_numpy()
    mean = LAW.basis(_arrays(GRID), truth[3:]) @ truth[:3]
    return mean + NOISE * MEAN * np.random.default_rng(seed).standard_normal((n_draws, len(GRID)))


def _check_draws(n_draws: int) -> None:
    if n_draws < 1:
        raise InputError(f"{n_draws} draws show nothing; ask for 1 or more")


def interval_coverage(n_draws: int = 1000, level: float = 0.95, seed: int = 0) -> pd.DataFrame:
    """Simulate how often the profile intervals hold the true value, scenario by scenario.

    A profile interval holds a value exactly if the fit that is held to the value stays within
    the allowed sum of squares, so each question is one batch of fits. An optimum is held by the
    exponent that puts it there, or by a fit that is flat along the axis.

    Parameters
    ----------
    n_draws
        Number of surfaces of each scenario.
    level
        Level of the intervals.
    seed
        Seed of the first scenario; each further one has the next.

    Returns
    -------
    DataFrame
        Columns scenario, quantity, kind (exponent, predicted value, optimum), truth, covered
        (share of draws) and open (share of draws whose interval is open: it reaches a bound of
        the exponent's search, or the flat fit puts the optimum anywhere).
    """
    rows = []
    for number, (name, scenario) in enumerate(SCENARIOS.items()):
        y = simulate_surfaces(scenario, n_draws, seed + number)
        rss = varpro.solve_batch(LAW, GRID, y).rss
        limit = profile.profile_threshold(rss, len(GRID) - len(LAW.parameters), level)
        for part in (_exponents_held, _values_held, _optima_held):
            rows += [(name, *row) for row in part(scenario, y, limit)]
    return pd.DataFrame(rows, columns=COVERAGE_COLUMNS)


def _exponents_held(scenario: Scenario, y: np.ndarray, limit: np.ndarray) -> Iterator[tuple]:
    """Yield, of each exponent, the coverage and how often its interval is open."""
    truth = scenario.truth
    for exponent, bounds in LAW.exponents.items():
        places = (truth[exponent], *bounds)
        covered, low, high = [_rss_at(exponent, value, y) <= limit for value in places]
        is_open = np.mean(low | high)
        yield exponent, "exponent", truth[exponent], np.mean(covered), is_open


def _values_held(scenario: Scenario, y: np.ndarray, limit: np.ndarray) -> Iterator[tuple]:
    """Yield, of each predicted value, the coverage."""
    truth = scenario.truth.to_numpy()
    for place, point in PREDICTED.items():
        x = {axis: np.array([float(value)]) for axis, value in zip(families.AXES, point)}

        def basis_there(theta: np.ndarray, x: dict = x) -> np.ndarray:
            return LAW.basis(x, theta)[..., 0, :]

        value = float(LAW.basis(x, truth[3:])[0] @ truth[:3])
        rss = profile.constrained_rss(LAW, GRID, y, basis_there, value)
        quantity = f"value at N {point[0]}, d {point[1]} ({place})"
        yield quantity, "predicted value", value, np.mean(rss <= limit), np.nan


def _optima_held(scenario: Scenario, y: np.ndarray, limit: np.ndarray) -> Iterator[tuple]:
    """Yield, of each axis's optimum, the coverage and how often it may be anywhere."""
    if scenario.optimum is None:
        return
    axes = zip(families.AXES, scenario.optimum, LAW.exponents, LAW.linear[1:])
    for axis, optimum, exponent, weight in axes:
        weight_alone = (np.array(LAW.linear) == weight).astype(float)

        def select_weight(theta: np.ndarray, row: np.ndarray = weight_alone) -> np.ndarray:
            return np.tile(row, (len(theta), 1))

        is_flat = profile.constrained_rss(LAW, GRID, y, select_weight, 0.0) <= limit
        is_there = _rss_at(exponent, scenario.truth[exponent], y) <= limit
        quantity = f"optimum of {families.SYMBOLS[axis]}"
        yield quantity, "optimum", optimum, np.mean(is_there | is_flat), np.mean(is_flat)


def _rss_at(exponent: str, value: float, y: np.ndarray) -> np.ndarray:
    """Least sums of squares, (draws,), with one exponent held."""
    return varpro.solve_batch(profile.hold_exponent(LAW, exponent, value), GRID, y).rss


def negative_control(
    kind: str, table: pd.DataFrame, n_draws: int = 1000, level: float = 0.95, seed: int = 0
) -> pd.DataFrame:
    """Simulate sets of surfaces where a claim is false, and ask the joint law.

    Heights are drawn anew each time; the noise is each log's own, as the joint law finds it in
    the table.

    Parameters
    ----------
    kind
        "no decline": each log rises along each axis, in a straight line of the logarithm or
        levelling off; "no effect of d": it rises to a peak in N and falls again, and d does
        nothing.
    table
        Surfaces whose cells are simulated.
    n_draws, seed
        Number of sets, and the seed of their draw.
    level
        Level of the claims.

    Returns
    -------
    DataFrame
        One row a draw and log and axis, as `mixed_claims.assess_claims_at` gives them, with draw.
    """
    _check_draws(n_draws)
    data = mixed_design.make_cells(table)
    fit = mixed.fit_mixed(table)
    start = fit.variances[0]
    model = mixed_design.build_model(data.frame, data.frame, mixed_design.JOINT)
    noise_covariance = model.covariance(start) - model.covariance(start, noise=False)
    noise = np.sqrt(np.diag(noise_covariance))
    places = [(axis + 1) / 2 for axis in mixed_design.scale_axes(data.frame, data.frame)]  # 0 to 1
    random = np.random.default_rng(seed)
    everything = np.arange(len(data))
    parts = []
    for draw in range(n_draws):
        y = noise * random.standard_normal(len(data))
        _add_means(kind, data.frame["dataset"].to_numpy(), places, y, random)
        variances = reml.estimate_variances(model, y, everything, start)
        claims = mixed_claims.assess_claims_at(data.frame, model, variances, y, level)
        parts.append(claims.assign(draw=draw))
    return pd.concat(parts, ignore_index=True)


def _add_means(
    kind: str,
    logs: np.ndarray,
    places: Sequence[np.ndarray],
    y: np.ndarray,
    random: np.random.Generator,
) -> None:
    """Draw the mean of every cell under one of the two controls, and add it to y.

    `places` are where cells are on each axis of their log's grid, from 0 to 1.
    """
    for log in dict.fromkeys(logs):
        of_log = logs == log
        for axis, place in zip(families.AXES, places):
            height = random.uniform(0.02, 0.4 if axis == "d_emb" else 0.1)
            bend = random.uniform(1, 5)
            x = place[of_log]
            if kind == NO_DECLINE:
                is_straight = random.random() < 0.5
                y[of_log] += height * (x if is_straight else np.expm1(-bend * x) / np.expm1(-bend))
            elif axis == "n_layers":
                y[of_log] += height * (2.4 * x - 1.7 * x**2) / 0.847
