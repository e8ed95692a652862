"""Do the intervals keep their word? Simulated surfaces whose truth is known.

Three stated scenarios, all on the paper's grid of layers and dimensions and all drawn
from the Performance Law with k = 2 and normal noise of 1.7 % of the mean, about what the
published surfaces show:

- clean: an optimum inside the grid (N = 14, d = 60), each axis moving the metric by 10 %;
- flat: the same optimum, each axis moving the metric by 2.5 %;
- near log-linear: exponents of 0.02, a steady rise of 10 % along each axis.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
import pandas as pd

from perflaw.errors import InputError
from perflaw.laws import families, mixed, mixed_claims, mixed_design, profile, reml, varpro

LAYERS, DIMENSIONS = (4, 8, 12, 16, 24, 32), (25, 50, 75, 100)
GRID = pd.DataFrame(list(product(LAYERS, DIMENSIONS)), columns=list(families.AXES))
PREDICTED = {"inside": (12, 60), "corner": (32, 100), "beyond": (48, 150)}  # (N, d)
MEAN, NOISE = 0.3, 0.017
LAW = families.performance()


@dataclass(frozen=True)
class Scenario:
    exponents: tuple[float, float]  # of N and of d
    reach: float  # range of each axis's contribution over the grid, as a share of the mean; its sign is that of w
    optimum: tuple[float, float] | None  # N and d

    @property
    def truth(self) -> pd.Series:
        """The parameters, in the order of the law's."""
        columns = LAW.basis(_arrays(GRID), np.array(self.exponents))
        weights = self.reach * MEAN / np.ptp(columns[:, 1:], axis=0)
        intercept = MEAN - columns[:, 1:].mean(axis=0) @ weights
        return pd.Series([intercept, *weights, *self.exponents], index=list(LAW.parameters))


def _inside(n_layers, d_emb):
    return tuple(float(-np.log(2) / np.log(x)) for x in (n_layers, d_emb))  # N* = k^(-1/p)


SCENARIOS = {
    "clean": Scenario(_inside(14, 60), -0.10, (14, 60)),
    "flat": Scenario(_inside(14, 60), -0.025, (14, 60)),
    "near log-linear": Scenario((0.02, 0.02), -0.10, None),
}


def simulate_surfaces(scenario: Scenario, n_draws: int, seed: int) -> np.ndarray:
    """Surfaces (n_draws, 24) on GRID: the law's values plus normal noise."""
    _check_draws(n_draws)
    truth = scenario.truth.to_numpy()
    mean = LAW.basis(_arrays(GRID), truth[3:]) @ truth[:3]
    return mean + NOISE * MEAN * np.random.default_rng(seed).standard_normal((n_draws, len(GRID)))


def interval_coverage(n_draws: int = 1000, level: float = 0.95, seed: int = 0) -> pd.DataFrame:
    """How often the profile intervals of `level` hold the truth, scenario by scenario.

    A profile interval holds a value exactly if the fit that is held to the value stays
    within the allowed sum of squares, so each question is one batch of fits. An optimum is
    held by the exponent that puts it there, or by a fit that is flat along the axis.
    Columns: scenario, quantity, kind (exponent, predicted value, optimum), truth, covered
    (share of draws) and open (share of draws whose interval is open: it reaches a bound of
    the exponent's search, or the flat fit puts the optimum anywhere).
    """
    rows = []
    for number, (name, scenario) in enumerate(SCENARIOS.items()):
        y, truth = simulate_surfaces(scenario, n_draws, seed + number), scenario.truth
        rss = varpro.solve_batch(LAW, GRID, y).rss
        limit = profile.profile_threshold(rss, len(GRID) - len(LAW.parameters), level)

        def add(quantity, kind, value, within, open_share=np.nan):
            rows.append((name, quantity, kind, value, np.mean(within), open_share))

        for exponent, bounds in LAW.exponents.items():
            within = [_held(exponent, value, y) <= limit for value in (truth[exponent], *bounds)]
            add(exponent, "exponent", truth[exponent], within[0], np.mean(within[1] | within[2]))
        for place, point in PREDICTED.items():
            x = {axis: np.array([float(value)]) for axis, value in zip(families.AXES, point)}
            value = float(LAW.basis(x, truth.to_numpy()[3:])[0] @ truth.to_numpy()[:3])
            held = profile.constrained_rss(
                LAW, GRID, y, lambda theta: LAW.basis(x, theta)[..., 0, :], value
            )
            add(
                f"value at N {point[0]}, d {point[1]} ({place})",
                "predicted value",
                value,
                held <= limit,
            )
        for axis, exponent, weight in (
            zip(families.AXES, LAW.exponents, LAW.linear[1:]) if scenario.optimum else ()
        ):
            flat = (np.array(LAW.linear) == weight).astype(float)
            turned = _held(exponent, truth[exponent], y) <= limit
            flattened = (
                profile.constrained_rss(
                    LAW, GRID, y, lambda theta: np.tile(flat, (len(theta), 1)), 0.0
                )
                <= limit
            )
            value = scenario.optimum[families.AXES.index(axis)]
            add(
                f"optimum of {families.SYMBOLS[axis]}",
                "optimum",
                value,
                turned | flattened,
                np.mean(flattened),
            )
    return pd.DataFrame(rows, columns=["scenario", "quantity", "kind", "truth", "covered", "open"])


def _check_draws(n_draws):
    if n_draws < 1:
        raise InputError(f"{n_draws} draws show nothing; ask for 1 or more")


def _held(exponent, value, y):
    return varpro.solve_batch(profile.hold_exponent(LAW, exponent, value), GRID, y).rss


def _arrays(points):
    return {axis: points[axis].to_numpy(float) for axis in families.AXES}


# ---------------------------------------------------------------- negative control


def negative_control(
    kind: str, table: pd.DataFrame, n_draws: int = 1000, level: float = 0.95, seed: int = 0
) -> pd.DataFrame:
    """Simulated sets of surfaces on the cells of `table`, and what `joint.claims` says of them.

    kind: "no decline", where each log rises along each axis, in a straight line of the
    logarithm or levelling off, or "no effect of d", where it rises to a peak in N and falls
    again, d doing nothing. Heights are drawn anew each time; the noise is each log's own, as the
    joint law finds it in `table`. One row a draw and log and axis, as `joint.claims` gives
    them, with the column draw.
    """
    _check_draws(n_draws)
    data = mixed_design.make_cells(table)
    whole = mixed.fit_mixed(table)
    found = mixed_design.build_model(data.frame, data.frame, mixed_design.JOINT)
    noise = np.sqrt(
        np.diag(
            found.covariance(whole.variances[0]) - found.covariance(whole.variances[0], noise=False)
        )
    )
    places = [
        (axis + 1) / 2 for axis in mixed_design.scale_axes(data.frame, data.frame)
    ]  # from 0 to 1 on a log's grid
    rng, everything, parts = np.random.default_rng(seed), np.arange(len(data)), []
    for draw in range(n_draws):
        y = noise * rng.standard_normal(len(data))
        for log in data.frame["dataset"].unique():
            here = (data.frame["dataset"] == log).to_numpy()
            for axis, place in zip(families.AXES, places):
                height, bend = rng.uniform(0.02, 0.4 if axis == "d_emb" else 0.1), rng.uniform(1, 5)
                x = place[here]
                if kind == "no decline":
                    straight = rng.random() < 0.5
                    y[here] += height * (x if straight else np.expm1(-bend * x) / np.expm1(-bend))
                elif axis == "n_layers":
                    y[here] += height * (2.4 * x - 1.7 * x**2) / 0.847
        variances = reml.estimate_variances(found, y, everything, whole.variances[0])
        parts.append(
            mixed_claims.assess_claims_at(data.frame, found, variances, y, level).assign(draw=draw)
        )
    return pd.concat(parts, ignore_index=True)
