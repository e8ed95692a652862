"""What a fitted law says about the next model.

Where does more stop helping (`turning_point`, `find_optimum`), which configuration should be
trained next (`choose_by_law`, `next_runs`), what would following the plan have cost on surfaces that
are known (`replay_plans`), and how many seeds does it take to see a difference (`seeds_needed`)?
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.stats import norm

from perflaw.errors import InputError
from perflaw.laws import families, fitting, mixed, varpro
from perflaw.laws.families import Law
from perflaw.laws.fitting import Fit, contrast_estimates
from perflaw.study.paper import published

STEP = 1e-4  # in the logarithm of an axis, for its slope
REACH = 16.0  # turning points are looked for up to this many times the largest measured value


@dataclass(frozen=True)
class TurningPoint:
    """Where a law stops rising or falling along an axis, `estimate` in that axis's unit.

    kind: maximum, minimum, or none; without one, estimate is nan. low and high bound the
    places where the slope may be zero; they are 1 or less, and infinite, where the data
    leave that end open.
    """

    kind: str
    estimate: float
    low: float
    high: float

    @property
    def open(self) -> bool:
        return bool(self.low <= 1 or np.isinf(self.high))


def axis_slope(law: Law, x: dict[str, np.ndarray], axis: str, theta: np.ndarray) -> np.ndarray:
    """Coefficients (..., n, p) of the linear parameters in dy / d ln(axis) at the points x."""
    up, down = (law.basis({**x, axis: x[axis] * np.exp(sign * STEP)}, theta) for sign in (1, -1))
    return (up - down) / (2 * STEP)


def turning_points(fits: Mapping[tuple, Fit], level: float = 0.95) -> pd.DataFrame:
    """The turning point of every fit along every axis, one row each.

    fits: by (dataset, max_seq_len, metric), as `fitting.fit_surfaces` returns them.

    Columns: surface, axis, kind, estimate, low, high, open, and the smallest and largest
    measured value of the axis.
    """
    rows = []
    for key, fit in fits.items():
        for axis in fit.law.axes:
            turn, measured = turning_point(fit, axis, level), fit.points[axis]
            told = {
                "surface": published.surface_label(key),
                "axis": axis,
                **asdict(turn),
                "open": turn.open,
            }
            rows.append({**told, "smallest": measured.min(), "largest": measured.max()})
    return pd.DataFrame(rows)


def turning_point(
    fit: Fit, axis: str, level: float = 0.95, at: dict[str, float] | None = None
) -> TurningPoint:
    """The turning point of a fitted law along `axis`, with its profile interval.

    at: values of the other axes, their geometric means over the measured points unless
    told; only a law with an interaction depends on them. The search goes from 1 to 16
    times the largest measured value. The interval spans the turning points of every fit
    that stays within the sum of squares of this level, the exponent of the axis held at
    one value after another. An end is open (1, or infinite) where such a fit turns beyond
    the search, or not at all, or where a bound of the exponent, and not the data, sets it.
    Raises InputError if the law does not read the axis.
    """
    law = fit.law
    for name in (axis, *(at or {})):
        if name not in law.axes:
            raise InputError(
                f"the law {law.name} has no axis '{name}'; it has {', '.join(law.axes)}"
            )
    fitting.check_level(level)
    middle = {name: float(np.exp(np.log(fit.points[name]).mean())) for name in law.axes} | (
        at or {}
    )
    places = np.exp(np.linspace(0, np.log(REACH * fit.points[axis].max()), 400))

    def rows(values, theta):
        x = {name: np.full(len(values), value) for name, value in middle.items()} | {
            axis: np.asarray(values)
        }
        return varpro.design_columns(
            replace(law, basis=lambda x, theta: axis_slope(law, x, axis, theta)), x, theta
        )

    theta, beta, _, _ = fit.candidates(level)  # the first of them is the fit itself
    rise = rows(places, theta[:1])[0] @ beta[0]
    turns = np.flatnonzero(np.sign(rise[1:]) * np.sign(rise[:-1]) < 0)
    kind, estimate = "none", np.nan
    if len(turns):
        kind = "maximum" if rise[turns[0]] > 0 else "minimum"
        bracket = places[turns[0] : turns[0] + 2]
        estimate = brentq(lambda value: (rows([value], theta[:1])[0] @ beta[0])[0], *bracket)

    theta, beta, triangle, slack, at_bound = _fits_within(fit, axis, level)
    rise, spread = contrast_estimates(rows(places, theta), beta, triangle)
    flat = rise**2 <= slack[:, None] * spread  # level there, within what is allowed
    flips = np.sign(rise[:, 1:]) * np.sign(rise[:, :-1]) < 0
    share = rise[:, :-1] / np.where(flips, rise[:, :-1] - rise[:, 1:], 1.0)
    crossings = np.exp(np.log(places[:-1]) + share * np.diff(np.log(places)))
    told = (flips.any(axis=1) & ~at_bound) | flat.any(axis=1)
    open_ends = set()
    reached = np.concatenate(
        [crossings[told][flips[told]], np.broadcast_to(places, flat.shape)[flat]]
    )
    for i in np.flatnonzero(~told):
        if flips[i].any():  # the exponent's bound sets it
            open_ends.add(
                "low"
                if crossings[i][flips[i]].mean() < np.nan_to_num(estimate, nan=places[200])
                else "high"
            )
        else:  # it rises or falls throughout: the turn lies beyond an end of the search, or is none
            rising = rise[i, 0] > 0
            open_ends |= (
                {"low", "high"}
                if rising and kind == "minimum"
                else {"high" if rising or kind == "minimum" else "low"}
            )
    low = (
        1.0
        if "low" in open_ends or not len(reached) or reached.min() <= places[0]
        else reached.min()
    )
    high = (
        np.inf
        if "high" in open_ends or not len(reached) or reached.max() >= places[-1]
        else reached.max()
    )
    return TurningPoint(kind, float(estimate), float(low), float(high))


def _fits_within(fit, axis, level):
    """Fits that stay within the level, and which of them have the axis's exponent at a bound.

    With an exponent of its own for the axis, that exponent is held at many values and all
    the rest follows along; otherwise the fit's own candidates serve. Exponents, linear
    parameters, triangular factors, slack.
    """
    theta, beta, triangle, slack = fit.candidates(level)
    within = slack >= 0
    own = f"p_{families.SYMBOLS.get(axis, axis)}"
    if own not in fit.law.exponents:
        return (
            theta[within],
            beta[within],
            triangle[within],
            slack[within],
            np.zeros(within.sum(), bool),
        )
    bounds = fit.law.exponents[own]
    ends = [bound if np.isinf(end) else end for bound, end in zip(bounds, fit.profile(own, level))]
    known = theta[within, list(fit.law.exponents).index(own)]
    held = np.unique(np.concatenate([np.linspace(*ends, 161), known]))
    theta = fit.pinned(own, held).theta
    x = {name: fit.points[name].to_numpy(float) for name in fit.law.axes}
    beta, rss, _, triangle = varpro.least_squares(
        varpro.design_columns(fit.law, x, theta), fit.y, fit.weights
    )
    slack = fitting.profile_threshold(fit.rss, fit.dof, level) * (1 + 1e-6) - rss
    within = slack >= 0
    return (
        theta[within],
        beta[within],
        triangle[within],
        slack[within],
        np.isin(held[within], bounds),
    )


# ---------------------------------------------------------------- the optimum of one fitted law


@dataclass(frozen=True)
class Optimum:
    """The best configuration that a fitted law knows, N and d continuous.

    edge: the axes along which it lies at an edge of the search, so that no optimum was
    found there. low and high: intervals over bootstrap fits. regret: how much worse
    than each bootstrap fit's own optimum this one is, on average, in the metric's unit.
    """

    n_layers: float
    d_emb: float
    value: float
    edge: tuple[str, ...]
    low: dict[str, float]
    high: dict[str, float]
    regret: float


def find_optimum(
    fit: Fit,
    parameters: float | None = None,
    flops: float | None = None,
    max_seq_len: float | None = None,
    reach: float = 1.0,
    level: float = 0.9,
    n_draws: int = 500,
    seed: int = 0,
) -> Optimum:
    """The global optimum of a fitted law, alone or under a budget, with its uncertainty.

    parameters: at most so many non-embedding parameters (`laws.parameters`); flops: at
    most so many floating-point operations a training token (`laws.flops_per_token`), at
    that maximum sequence length. The search covers the measured range of N and d, stretched by `reach` at its upper end,
    on a fine grid, so a law that has no optimum inside ends at an edge, and says so.
    Raises InputError for a law without N and d, a reach below 1, and a budget that
    nothing in the range meets.
    """
    if missing := [axis for axis in families.AXES if axis not in fit.law.axes]:
        raise InputError(f"the law {fit.law.name} has no axis {' and '.join(missing)} to choose")
    if reach < 1:
        raise InputError(f"reach is {reach:g}; it must be 1 or more")
    spans = [
        np.geomspace(fit.points[axis].min(), reach * fit.points[axis].max(), 81)
        for axis in families.AXES
    ]
    grid = pd.DataFrame(
        np.stack(np.meshgrid(*spans, indexing="ij"), -1).reshape(-1, 2), columns=list(families.AXES)
    )
    for axis in fit.law.axes:
        if axis not in grid:
            grid[axis] = fit.points[axis].median()
    if max_seq_len is not None:
        grid["max_seq_len"] = float(max_seq_len)
    grid = within_budget(grid, parameters, flops)
    value = fit.predict(grid)
    best = int(value.argmax())
    drawn = fit.bootstrap(n_draws, seed).to_numpy()
    linear = len(fit.law.linear)
    surfaces = fitting.predict_many(fit.law, grid, drawn[:, linear:], drawn[:, :linear])
    tops = surfaces.argmax(axis=1)
    found = {axis: grid[axis].to_numpy()[tops] for axis in families.AXES} | {
        "value": surfaces[np.arange(n_draws), tops]
    }
    low, high = (
        {name: float(np.quantile(v, q)) for name, v in found.items()}
        for q in ((1 - level) / 2, (1 + level) / 2)
    )
    place = grid.iloc[best]
    edge = tuple(
        a
        for a, span in zip(families.AXES, spans)
        if place[a] <= span[0] or place[a] >= span[-1] * (1 - 1e-9)
    )
    regret = float(np.mean(surfaces[np.arange(n_draws), tops] - surfaces[:, best]))
    return Optimum(
        float(place["n_layers"]), float(place["d_emb"]), float(value[best]), edge, low, high, regret
    )


def closed_form_optimum(fit: Fit) -> dict[str, dict]:
    """The Performance Law's stationary points, x* = k^(-1/p), and whether each is a valid maximum.

    For each axis: estimate, maximum (the paper's weight w / p is positive), and beyond_one
    (the point is above 1, which for k > 1 needs a negative exponent). Raises InputError
    for another law. Source: arXiv 2412.00430, the global optimum.
    """
    if fit.law.family != "performance":
        raise InputError(f"the closed form is the Performance Law's; this is {fit.law.name}")
    k, answer = fit.law.options["k"], {}
    for axis in fit.law.axes:
        p, w = (fit.parameters[f"{letter}_{families.SYMBOLS.get(axis, axis)}"] for letter in "pw")
        place = float(k ** (-1 / p)) if p else float("nan")
        answer[axis] = {
            "estimate": place,
            "maximum": bool(w / p > 0) if p else False,
            "beyond_one": place > 1,
        }
    return answer


def within_budget(
    candidates: pd.DataFrame, parameters: float | None = None, flops: float | None = None
) -> pd.DataFrame:
    """The candidates within a budget of non-embedding parameters and of FLOPs a token.

    FLOPs need the column max_seq_len. Raises InputError if there is no candidate, or none
    that the budget allows.
    """
    if candidates.empty:
        raise InputError("there is no candidate to choose from")
    costs = {"parameters": (parameters, _weights), "FLOPs a token": (flops, _flops)}
    kept = np.ones(len(candidates), bool)
    for name, (budget, price) in costs.items():
        if budget is None:
            continue
        cost = price(candidates)
        if not (cost <= budget).any():
            raise InputError(
                f"no candidate has at most {budget:g} {name}; the smallest has {cost.min():g}"
            )
        kept &= cost <= budget
    if not kept.any():
        raise InputError("no candidate meets both budgets")
    return candidates[kept]


def _weights(points):
    groups = families.parameters_by_group(points["n_layers"], points["d_emb"])
    return groups["attention"] + groups["feed_forward"]


def _flops(points):
    if "max_seq_len" not in points:
        raise InputError(
            "a budget of FLOPs needs the column max_seq_len; give it, or a budget of parameters"
        )
    return families.flops_per_token(points["n_layers"], points["d_emb"], points["max_seq_len"])


# ---------------------------------------------------------------- the next run


@dataclass(frozen=True)
class PlannedChoice:
    """A choice among candidates, by position.

    choice: what to use or train next; best_seen: the best measured candidate; best_mean:
    the candidate that the law thinks best; chance: that an unmeasured choice (or, if the
    advice is to stay, the most promising unmeasured one) beats all measured; regret:
    expected loss against the truly best candidate, in the draws' unit.
    """

    choice: int
    best_seen: int
    best_mean: int
    chance: float
    regret: float


def choose_by_law(
    draws: np.ndarray, measured: np.ndarray, confidence: float = 0.9
) -> PlannedChoice:
    """Stay with the best measured candidate, unless the law is confident that another is better.

    draws: noise-free surfaces (draws, m) that the data allow, as `joint.JointFit.draws` gives
    them; measured: (m,) values, nan where there is none. An unmeasured candidate is chosen
    if it beats every measured one with probability `confidence` or more; of several, the
    one of highest mean. Raises InputError for an empty candidate set.
    """
    fitting.check_level(confidence)
    measured = np.asarray(measured, float)
    if not measured.size:
        raise InputError("there is no candidate to choose from")
    seen, mean = np.isfinite(measured), draws.mean(axis=0)
    best_seen = int(np.where(seen, measured, -np.inf).argmax())
    chance = np.where(
        seen, 0.0, (draws > draws[:, seen].max(axis=1, initial=-np.inf, keepdims=True)).mean(axis=0)
    )
    sure = np.flatnonzero(chance >= confidence)
    choice = int(sure[mean[sure].argmax()]) if len(sure) else best_seen
    told = chance[choice] if len(sure) else chance.max()
    regret = float((draws.max(axis=1) - draws[:, choice]).mean())
    return PlannedChoice(choice, best_seen, int(mean.argmax()), float(told), regret)


def next_runs(mean: np.ndarray, covariance: np.ndarray, noise: np.ndarray, n: int = 3) -> list[int]:
    """The runs that would tell most: positions of `n` candidates, one after another.

    Each is the one whose measurement is expected to raise the best mean most (knowledge
    gradient; Frazier et al. 2009), given those chosen before. mean (m,), covariance (m, m)
    and noise variance (m,) as `joint.JointFit.posterior` gives them.
    """
    if not len(mean):
        raise InputError("there is no candidate to choose from")
    nodes, weights = np.polynomial.hermite_e.hermegauss(41)
    covariance, chosen = covariance.copy(), []
    for _ in range(min(n, len(mean))):
        moves = covariance / np.sqrt(
            np.diag(covariance) + noise
        )  # column j: how a run at j may move every mean
        best = (
            (mean[:, None, None] + moves[:, :, None] * nodes).max(axis=0) @ weights / weights.sum()
        )
        best[chosen] = -np.inf
        j = int(best.argmax())
        chosen.append(j)
        covariance = covariance - np.outer(moves[:, j], moves[:, j])
    return chosen


def seeds_needed(
    difference: float, seed_sd: float, user_sd: float = 0.0, power: float = 0.8, level: float = 0.95
) -> float:
    """Seeds of each of two configurations that it takes to see a difference between them.

    All relative to the metric: difference (.03 is 3 %), seed_sd, the standard deviation
    between seeds, and user_sd, the standard error of the difference that the finite set
    of test users leaves, which no seed averages out. Infinite if user_sd alone hides it.
    """
    if difference <= 0 or seed_sd < 0 or user_sd < 0:
        raise InputError("a difference must be above 0, and standard deviations 0 or more")
    resolved = (difference / (norm.ppf((1 + level) / 2) + norm.ppf(power))) ** 2 - user_sd**2
    return float(max(1, np.ceil(2 * seed_sd**2 / resolved))) if resolved > 0 else float("inf")


# ---------------------------------------------------------------- the plan, replayed


def replay_plans(
    table: pd.DataFrame,
    budgets=(1.0, 0.5),
    confidence: float = 0.9,
    n_draws: int = 4000,
    seed: int = 0,
):
    """Plan on known surfaces as if their largest N or d had not been trained.

    For each log in turn its cells beyond half of the largest N, or at the largest d, are
    hidden, in all its surfaces and metrics. Each rule then chooses among all cells of a
    surface, hidden or not, within a share of the largest parameter count. One row a split,
    surface, metric, budget and rule: the chosen n_layers and d_emb, its measured value,
    the best measured value within the budget, regret (difference of their logarithms) and
    noises (regret over the standard deviation of one run's logarithm). Rules: the guarded
    plan, the joint law's best mean, the best visible cell, a log-quadratic of the surface
    alone, and the largest model.
    """
    whole = mixed.fit_mixed(table)
    rows = []
    for name, log in whole.data.frame.groupby("dataset"):
        for split, mask in fitting.hidden_cells(log).items():
            if split == "leave-one-out":
                continue
            hidden = log[mask[0]]
            law = mixed.fit_mixed(table, hide=hidden)
            for metric in whole.data.metrics:
                draws = law.draws(log, metric, n_draws, seed)
                unit = np.sqrt(whole.posterior(log, metric)[2])
                truth = np.exp(whole.data.log[log.index, whole.data.metrics.index(metric)])
                measured = np.where(mask[0], np.nan, truth)
                for length, surface in log.reset_index(drop=True).groupby("max_seq_len"):
                    alone = surface[~mask[0][surface.index]]
                    single = fitting.fit(
                        families.log_quadratic(), alone, truth[alone.index]
                    ).predict(surface)
                    cost = _weights(surface)
                    for budget in budgets:
                        allowed = cost <= budget * cost.max() * (1 + 1e-9)
                        at = surface.index[allowed]
                        told = choose_by_law(draws[:, at], measured[at], confidence)
                        choices = {
                            "guarded plan": told.choice,
                            "joint law's best": told.best_mean,
                            "best visible cell": told.best_seen,
                            "log-quadratic alone": int(single[allowed].argmax()),
                            "largest model": int(cost[allowed].argmax()),
                        }
                        for rule, choice in choices.items():
                            value, best = truth[at[choice]], truth[at].max()
                            regret = np.log(best / value)
                            rows.append(
                                {
                                    **{
                                        "split": split,
                                        "dataset": name,
                                        "max_seq_len": length,
                                        "metric": metric,
                                        "budget": budget,
                                        "rule": rule,
                                    },
                                    **surface.loc[at[choice], list(families.AXES)].to_dict(),
                                    **{
                                        "value": value,
                                        "best": best,
                                        "regret": regret,
                                        "noises": regret / unit[at[choice]],
                                    },
                                }
                            )
    return pd.DataFrame(rows)
