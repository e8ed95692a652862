"""What following a report's advice costs against the best step that was open.

A pilot is the small models of a sweep. The steps that are open are to stay with the best trained
size, to raise the dimension, to add layers, and the best baseline. The sweep says what each of them
brings. More data is no step here: no sweep has a log that is larger than it is.

No report has learnt from the log that it advises on. Here regret is how far a step is below the
best one, in per cent of the best one's NDCG@10. In `selection` and `planning` it is a logarithm,
and named so.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from perflaw.report import advice, conclusions
from perflaw.report.findings import Advice, BaselineComparison, Size
from perflaw.report.outliers import drop_outliers
from perflaw.report.prior import Prior
from perflaw.stats import mean_interval
from perflaw.study.analysis import study_runs
from perflaw.study.files import study_file

METRIC = "NDCG@10"
PILOTS = {"d up to 16": (2, 16), "d up to 32": (3, 32)}  # the most layers and dimension
POLICIES = ("advised", "stay", "larger d")
LEVEL = 0.9


def load_best_baselines() -> pd.Series:
    """Load NDCG@10 of the best baseline of each whole log, by the rule of record."""
    values = study_runs.load_count_baselines(METRIC).max(axis=1)
    measured = pd.read_csv(study_file("data", "growth_slopes.csv"))
    whole = measured[measured["share"] == 1].set_index("log")[METRIC]
    return values.combine(whole, np.fmax)


def score_advice(
    sweeps: Mapping[tuple[str, str], pd.DataFrame],
    priors: Mapping[str, Prior],
    baselines: Mapping[str, float],
) -> pd.DataFrame:
    """Compare the advised step of each pilot with the steps that were open.

    Parameters
    ----------
    sweeps
        Runs by log and loss.
    priors
        By log, learnt without it.
    baselines
        By log, the value of the best baseline.

    Returns
    -------
    pandas.DataFrame
        A row a sweep and pilot: advice; the value of each open step and of the advised one; by
        policy the regret in per cent of the best value, and whether it is within noise of it.
    """
    rows = []
    for (log, loss), runs in sweeps.items():
        for pilot, (most_n, most_d) in PILOTS.items():
            is_small = (runs["n_layers"] <= most_n) & (runs["d_emb"] <= most_d)
            row = _score_pilot(runs, runs[is_small], priors[log], baselines[log])
            if row:
                rows.append({"log": log, "loss": loss, "pilot": pilot} | row)
    return pd.DataFrame(rows)


def _score_pilot(
    runs: pd.DataFrame, seen: pd.DataFrame, prior: Prior, baseline: float
) -> dict[str, Any] | None:
    """Score the advice of one pilot; None where the pilot shows no best size."""
    cells = runs[runs["sample_users"].isna()].groupby(["n_layers", "d_emb"])[METRIC]
    values, seeds = cells.mean(), cells.size()
    noise = np.sqrt((cells.var() / values**2).mean())  # of one run between seeds, relative
    findings = conclusions.draw_conclusions(seen, prior=prior)
    best = findings.best
    if best is None:
        return None
    error = float(seen[f"{METRIC} se"].median())
    comparison = compare_unpaired(values[best.n_layers, best.d_emb], baseline, error)
    forecast, _ = drop_outliers(seen, METRIC, prior)
    candidates = advice.list_candidates(forecast, values.index.tolist())  # sizes of the sweep only
    advised = advice.recommend(candidates, (), [comparison], findings.reasons, LEVEL)
    steps = _open_steps(best, seen, set(values.index))
    worth = {step: float(values[size]) for step, size in steps.items()}
    variances = {step: noise**2 / int(seeds[size]) for step, size in steps.items()}
    worth["baseline"], variances["baseline"] = baseline, 0.0
    if advised.size is not None:
        size = (advised.size.n_layers, advised.size.d_emb)
        worth["advised"], variances["advised"] = float(values[size]), noise**2 / int(seeds[size])
    else:
        step = "baseline" if advised.advice == Advice.NO_TRANSFORMER else "stay"
        worth["advised"], variances["advised"] = worth[step], variances[step]
    return {"advice": str(advised.advice), **worth} | _regrets(worth, variances)


def compare_unpaired(value: float, baseline: float, error: float) -> BaselineComparison:
    """Compare a model with a baseline, as if their users' errors were those of the model."""
    margin = stats.norm.ppf((1 + LEVEL) / 2) * error
    difference = value - baseline
    return BaselineComparison(
        "best baseline", METRIC, baseline, difference, difference - margin, difference + margin
    )


def _open_steps(
    best: Size, seen: pd.DataFrame, sizes: set[tuple[int, int]]
) -> dict[str, tuple[int, int]]:
    """Give the size of each step: the next one of the sweep along each axis."""
    steps = {"stay": (best.n_layers, best.d_emb)}
    wider = [d for n, d in sizes if n == best.n_layers and d > seen["d_emb"].max()]
    deeper = [n for n, d in sizes if d == best.d_emb and n > seen["n_layers"].max()]
    if wider:
        steps["larger d"] = (best.n_layers, min(wider))
    if deeper:
        steps["deeper"] = (min(deeper), best.d_emb)
    return steps


def _regrets(worth: Mapping[str, float], variances: Mapping[str, float]) -> dict[str, Any]:
    """Give regret and nearness to the best step, by policy; variances are relative."""
    best = max(worth, key=lambda step: worth[step])
    scores: dict[str, Any] = {"best": best}
    for policy in POLICIES:
        chosen = policy if policy in worth else "stay"
        regret = 1 - worth[chosen] / worth[best]
        sd = np.sqrt(variances[chosen] + variances[best])
        margin = stats.norm.ppf((1 + LEVEL) / 2) * sd
        scores[f"regret of {policy}"] = 100 * regret
        scores[f"{policy} within noise"] = bool(regret <= margin)
    return scores


def summarize_regret(scored: pd.DataFrame, level: float = LEVEL) -> pd.DataFrame:
    """Give the mean regret of each policy over logs, and of the advice minus the others.

    Parameters
    ----------
    scored
        Of `score_advice`.
    level
        Of the intervals, by Student's t over logs.

    Returns
    -------
    pandas.DataFrame
        Columns policy (or difference), "regret, %", low and high, and within noise: the share
        within noise of the best step (not for differences).
    """
    names = [f"regret of {policy}" for policy in POLICIES]
    by_log = scored.groupby("log")[names].mean()
    columns = {policy: by_log[name] for policy, name in zip(POLICIES, names)}
    for other in POLICIES[1:]:
        columns[f"advised minus {other}"] = columns["advised"] - columns[other]
    rows = []
    for name, values in columns.items():
        within = scored[f"{name} within noise"].mean() if name in POLICIES else np.nan
        rows.append((name, *mean_interval(values, level), within))
    return pd.DataFrame(rows, columns=["policy", "regret, %", "low", "high", "within noise"])
