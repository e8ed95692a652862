"""Choosing a model by a law: what that costs, and how often the best can be found at all.

Here regret is logarithmic, and its column is named so: "100 ln regret" is 100 × ln of the ratio of
the best measured value to that of the choice. It is also counted in standard deviations of such a
difference, from seeds and from test users ("noises").
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product

import numpy as np
import pandas as pd

from perflaw import model_size
from perflaw.laws import families, fitting
from perflaw.study.analysis.extrapolation import EXTRAPOLATED_LAWS, is_determined, is_small
from perflaw.study.analysis.seed_noise import SHARED_USER_CORRELATION
from perflaw.study.analysis.study_runs import (
    mean_surfaces,
    select_full_data_runs,
    surface_names,
)
from perflaw.study.intervals import compare_with_reference, interval_over_logs, mean_over_logs

BUDGETS = (1.0, 0.5, 0.25)
VOCABULARY = 257  # items in the count of FLOPs; the same for all cells of a surface
REGRET = "100 ln regret"
COLUMNS = ["dataset", "log", "cost", "budget", "rule"]
COLUMNS += [*families.AXES, "value", "best", REGRET, "noises"]
SAME_SEED, OTHER_SEED = "same seed", "other seed"


def selection_regret(
    table: pd.DataFrame,
    metric: str,
    noise: pd.Series,
    users: pd.Series | None = None,
    budgets: Sequence[float] = BUDGETS,
    keep_measured: bool = False,
) -> pd.DataFrame:
    """Let each law choose among all cells, having seen the small ones, and count the cost.

    Choices are made by validation values and judged on test: a rule that chose by the values
    that judge it would have its luck counted twice. A table without validation values is chosen
    from by value.

    Parameters
    ----------
    table
        Surfaces, as `mean_surfaces` returns them.
    metric
        Name of the metric.
    noise
        By surface, the standard deviation of a run between seeds, in per cent.
    users
        By surface, the standard error of a run over users, in per cent (`user_standard_error`),
        of which two models share what SHARED_USER_CORRELATION says; None: not counted.
    budgets
        Shares of the most parameters, or of the most FLOPs by token, that a cell of the surface
        has; 1, which is none, is in once, as of parameters.
    keep_measured
        Whether a law's score of a seen cell is its measured value instead of its prediction.

    Returns
    -------
    DataFrame
        One row a surface, budget and rule (the laws, "best seen", "largest model"). Columns
        dataset, log, cost (parameters or FLOPs), budget, rule, n_layers, d_emb, value, best,
        "100 ln regret" and noises (see the module).
    """
    rows = []
    for dataset, group in table[table["metric"] == metric].groupby("dataset", sort=False):
        surface = group.reset_index(drop=True)
        log = surface["log"].iloc[0]
        values = surface["value"].to_numpy()
        seed_sd = noise[dataset] / np.sqrt(surface["seeds"].to_numpy())
        user_se = 0.0 if users is None else users[dataset]
        scores = _rule_scores(surface, keep_measured)
        for cost, budget, is_allowed in _budgets(surface, budgets):
            best = np.where(is_allowed, values, -np.inf).argmax()
            for rule, score in scores.items():
                chosen = np.where(is_allowed, score, -np.inf).argmax()
                regret = 100 * np.log(values[best] / values[chosen])
                sd = _difference_sd(seed_sd[best], seed_sd[chosen], user_se)
                size = surface.loc[chosen, list(families.AXES)]
                row = (rule, *size, values[chosen], values[best], regret, regret / sd)
                rows.append((dataset, log, cost, budget, *row))
    return pd.DataFrame(rows, columns=COLUMNS)


def regret_by_seed(
    runs: pd.DataFrame,
    metric: str,
    noise: pd.Series,
    users: pd.Series | None = None,
) -> pd.DataFrame:
    """Choose by seed 0 or 1 of the small cells, and judge by the same seed or by the other.

    Where a seed both chooses and judges, its luck counts for whoever keeps what it saw.

    Parameters
    ----------
    runs
        Runs. Surfaces of which a small cell lacks one of the seeds are left out; larger cells,
        whose validation values no rule reads, keep all their seeds.
    metric, noise, users
        As for `selection_regret`.

    Returns
    -------
    DataFrame
        As `selection_regret` returns it, with judge (SAME_SEED or OTHER_SEED) and seeds (which
        chose, which judged).
    """
    full = select_full_data_runs(runs)
    is_seen = is_small(full)
    surface = surface_names(full)
    seeds = full[is_seen].groupby([surface[is_seen], *families.AXES])["seed"].agg(set)
    has_both = seeds.map({0, 1}.issubset).groupby(level=0).all()
    is_used = surface.isin(has_both.index[has_both])
    tables = [
        mean_surfaces(full[is_used & (~is_seen | (full["seed"] == seed))], (metric,))
        for seed in (0, 1)
    ]
    parts = []
    for chooser, judge in product((0, 1), repeat=2):
        table = tables[judge].assign(validation=tables[chooser]["validation"].to_numpy())
        regrets = selection_regret(table, metric, noise, users)
        kind = SAME_SEED if chooser == judge else OTHER_SEED
        parts.append(regrets.assign(judge=kind, seeds=f"{chooser}, {judge}"))
    return pd.concat(parts, ignore_index=True)


def _rule_scores(surface: pd.DataFrame, keep_measured: bool) -> dict[str, np.ndarray]:
    """Score all cells by each rule; the highest score is the choice."""
    is_seen = is_small(surface).to_numpy()
    known = surface["value"].to_numpy()
    if "validation" in surface and surface["validation"].notna().all():
        known = surface["validation"].to_numpy()
    size = surface["parameters"].to_numpy(float) + 1e-3 * surface["n_layers"].to_numpy()
    scores = {"best seen": np.where(is_seen, known, -np.inf), "largest model": size}
    visible = surface[is_seen].reset_index(drop=True)
    rivals = families.rival_laws()
    for name in EXTRAPOLATED_LAWS[1:]:
        if is_determined(rivals[name], visible):
            predicted = fitting.fit(rivals[name], visible, known[is_seen]).predict(surface)
            scores[name] = np.where(is_seen, known, predicted) if keep_measured else predicted
    return scores


def _difference_sd(one: np.ndarray, other: np.ndarray, user_se: float) -> np.ndarray:
    """Combine the standard deviations of two cells' means, from seeds and from users."""
    user_variance = 2 * (1 - SHARED_USER_CORRELATION) * user_se**2
    return np.sqrt(one**2 + other**2 + user_variance)


def _budgets(
    surface: pd.DataFrame, budgets: Sequence[float]
) -> Iterator[tuple[str, float, np.ndarray]]:
    """Yield the name of a cost, the budget as a share of its most, and which cells it allows."""
    columns = [*families.AXES, "max_seq_len", "backbone"]
    flops = [
        model_size.flops_per_token(n, d, length, VOCABULARY, backbone)
        for n, d, length, backbone in surface[columns].itertuples(index=False)
    ]
    costs = {
        "parameters": surface["parameters"].to_numpy(float),
        "FLOPs": np.array(flops, float),
    }
    for name, cost in costs.items():
        for budget in budgets:
            is_allowed = cost <= budget * cost.max() * (1 + 1e-9)
            is_repeated = name == "FLOPs" and budget == 1  # no budget, once
            if is_allowed.any() and not is_repeated:
                yield name, budget, is_allowed


def oracle_success_rate(
    table: pd.DataFrame,
    metric: str,
    noise: pd.Series,
    users: pd.Series | None = None,
    budgets: Sequence[float] = BUDGETS,
    draws: int = 2000,
    seed: int = 0,
) -> pd.DataFrame:
    """Simulate how often the choice by expected values is as good as the best that is measured.

    The best that is measured owes part of its value to luck, so that is not always. Expected
    values are not known; two stand in for them: smooth, a log-quadratic through all cells, and
    rough, the measured values themselves, whose differences are too large.

    Parameters
    ----------
    table, metric, noise, users, budgets
        As for `selection_regret`.
    draws, seed
        Number of simulated measurements, and the seed of their draw.

    Returns
    -------
    DataFrame
        One row a surface and budget. Columns dataset, log, cost, budget, smooth and rough: per
        cent of draws within one standard deviation of the best.
    """
    law = families.rival_laws()["log-quadratic"]
    random = np.random.default_rng(seed)
    rows = []
    for dataset, group in table[table["metric"] == metric].groupby("dataset", sort=False):
        surface = group.reset_index(drop=True)
        values = surface["value"].to_numpy()
        seed_sd = noise[dataset] / 100 / np.sqrt(surface["seeds"].to_numpy())
        user_se = 0.0 if users is None else users[dataset] / 100
        smooth = fitting.fit(law, surface, values).predict(surface)
        for cost, budget, is_allowed in _budgets(surface, budgets):
            log = surface["log"].iloc[0]
            row = {"dataset": dataset, "log": log, "cost": cost, "budget": budget}
            for name, expected in (("smooth", smooth), ("rough", values)):
                log_values = np.where(is_allowed, np.log(expected), -np.inf)
                row[name] = _success_rate(log_values, seed_sd, user_se, draws, random)
            rows.append(row)
    return pd.DataFrame(rows)


def _success_rate(
    log_values: np.ndarray,
    seed_sd: np.ndarray,
    user_se: float,
    draws: int,
    random: np.random.Generator,
) -> float:
    own_user_sd = np.sqrt(1 - SHARED_USER_CORRELATION) * user_se
    sd = np.hypot(seed_sd, own_user_sd)
    measured = log_values + sd * random.normal(size=(draws, len(log_values)))
    chosen, best = log_values.argmax(), measured.argmax(axis=1)
    regret = measured[np.arange(draws), best] - measured[:, chosen]
    return 100 * np.mean(regret <= _difference_sd(seed_sd[best], seed_sd[chosen], user_se))


def summarise_by_rule(regrets: pd.DataFrame, level: float = 0.9) -> pd.DataFrame:
    """Summarise choices by rule.

    Parameters
    ----------
    regrets
        As `selection_regret` returns them.
    level
        Level of the intervals, which are Student's, over logs.

    Returns
    -------
    DataFrame
        Columns rule, as good (per cent of choices within one standard deviation of the best),
        100 ln regret, worst (of it), the first two without a budget, and the ends of their
        intervals, "as good, low" … "100 ln regret, high". As good and regret are means over the
        choices of a surface, over surfaces, then over logs.
    """
    rated = regrets.assign(**{"as good": 100.0 * (regrets["noises"] <= 1)})
    means = _rule_means(rated).assign(worst=rated.groupby("rule")[REGRET].max())
    free = _rule_means(rated[rated["budget"] == 1.0]).add_suffix(", no budget")
    summary = means.join(free)
    for column in ("as good", REGRET):
        interval = interval_over_logs(rated, "rule", column, level).set_index("rule")
        interval = interval.clip(lower=0.0, upper=100.0 if column == "as good" else None)
        summary[f"{column}, low"] = interval["low"]
        summary[f"{column}, high"] = interval["high"]
    return summary.reset_index()


def _rule_means(rated: pd.DataFrame) -> pd.DataFrame:
    columns = ["as good", REGRET]
    by_surface = rated.groupby(["rule", "log", "dataset"], sort=False)[columns].mean()
    return mean_over_logs(by_surface.reset_index(), columns, ["rule"])


def compare_rules(
    choices: pd.DataFrame, reference: str = "best seen", level: float = 0.9, value: str = REGRET
) -> pd.DataFrame:
    """Compare each rule's choices with those of a reference, with intervals over logs.

    Parameters
    ----------
    choices
        As `selection_regret` returns them.
    reference
        Name of a rule.
    level
        Level of the intervals.
    value
        Column that is compared.

    Returns
    -------
    DataFrame
        Columns rule, mean (of the rule's value minus that of the reference), low, high and logs.
    """
    place = [name for name in ("dataset", "cost", "budget", "seeds") if name in choices]
    return compare_with_reference(choices, "rule", value, reference, place, level)
