"""Which measure of the data explains what a model reaches on it: candidates for D′ compared.

A *condition* is a log whose training part had one intervention; its *base* is the same log
without. Model, test users, targets and vocabulary are those of the base, so that what the model
loses or gains is due to the data alone. With y the logarithm of the metric and x that of a
candidate for D′, everything is a change from the base, and a candidate is judged by ::

    Δy = b Δx          one number: tokens, tokens / ApEn, …
    Δy = b Δx + c Δz   two: tokens, and a measure with an exponent of its own

on conditions that its slopes have not seen. Near a point every smooth law of D′ is such a line,
the paper's too, whose data term is −D′^−w/k − w ln D′ in other units.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from perflaw.errors import InputError
from perflaw.logs.perturbations import PERTURBATIONS
from perflaw.models.sweeps.results import filter_runs
from perflaw.stats import check_level
from perflaw.study.analysis.data_conditions import PROBE, add_probes
from perflaw.study.analysis.study_runs import USUAL_KIND
from perflaw.study.files import study_file

# By column of a table of runs: what it is called here. All are above 0 on any log.
MEASURES = {
    "entropy apen absolute": "ApEn by user",
    "entropy conditional": "conditional entropy",
    "entropy plug-in": "plug-in entropy, m = 1",
    "entropy pooled": "plug-in entropy, m = 2",
    "entropy sample": "sample entropy",
    "entropy lempel-ziv": "Lempel-Ziv entropy",
    "entropy shannon": "Shannon entropy",
    "entropy compression": "compression ratio",
}
MODEL = USUAL_KIND | {"n_layers": 2, "d_emb": 32, "shared_layers": False}
"""The model that the study trained on changed training parts."""
MODEL_SETTINGS = (
    "backbone",
    "n_layers",
    "d_emb",
    "max_seq_len",
    "split",
    "loss",
    "shared_layers",
)
RATE = 4.7  # nats: entropy rate of the synthetic logs whose size varies
TOKENS, POSITIONS = "tokens", "trained positions"
PAPER, OURS = "tokens / ApEn by user", "tokens / conditional entropy"
P_LAW = "tokens / Lempel-Ziv entropy"
"""The measure of the paper's NeurIPS 2025 version, called P-Law."""
PRODUCT = "tokens × ApEn by user"
CHANGE = "Δ "  # prefix of the columns that are changes of a logarithm
LEAST_KINDS = 4
# Measures that also multiply tokens, and that trained positions are divided and multiplied by.
MULTIPLIERS = ("ApEn by user", "Lempel-Ziv entropy", "conditional entropy")
# By name of a column of `comparison_table`: what is hidden from the slopes.
SPLITS = {"in sample": "", "intervention": "intervention", "log": "log"}


def perturbation_runs(runs: pd.DataFrame, model: Mapping[str, Any] = MODEL) -> pd.DataFrame:
    """Select a model's runs on logs on which four kinds of intervention or more were tried.

    Parameters
    ----------
    runs
        Runs, as `study_runs.load_study_runs` returns them.
    model
        Settings of the model.

    Returns
    -------
    DataFrame
        The runs, with the probes of their training parts (`add_probes`).
    """
    probes = pd.read_csv(study_file("data", "probes.csv"))
    runs = add_probes(filter_runs(runs, model), probes)
    tried = runs[list(PERTURBATIONS)].notna().groupby(runs["log"]).any()
    n_kinds = tried.sum(axis=1)
    return runs[runs["log"].isin(n_kinds.index[n_kinds >= LEAST_KINDS])]


def paired_conditions(
    runs: pd.DataFrame, metric: str = "NDCG@10", noise: pd.Series | None = None
) -> pd.DataFrame:
    """Tabulate by how much each condition changes the metric and the data, against the base.

    Parameters
    ----------
    runs
        Runs of one model by log; columns that start with "probe" are taken as measures too.
    metric
        Name of the metric.
    noise
        By log, the standard deviation of a run between seeds, in per cent; by default pooled
        over the log's conditions.

    Returns
    -------
    DataFrame
        One row a log and condition; those that left the data as they were are dropped. Columns
        log, intervention, strength, runs (how many), value (mean), change (of ln value), noise
        (the standard deviation that seeds give to change), "Δ tokens" and "Δ MEASURE" (changes
        of their logarithms).

    Raises
    ------
    InputError
        For a log without a base, for runs of several models, and for a training part with two
        interventions.
    """
    runs = runs[runs[metric].notna()].copy()
    _check_one_model(runs)
    has_step = runs[list(PERTURBATIONS)].notna()
    n_steps = has_step.sum(axis=1)
    if (n_steps > 1).any():
        key = runs.loc[n_steps > 1, "key"].iloc[0]
        raise InputError(f"run {key} had two interventions; a condition has one")
    runs["intervention"] = np.where(n_steps > 0, has_step.idxmax(axis=1), "")
    runs["strength"] = runs[list(PERTURBATIONS)].sum(axis=1)
    conditions = _changes(runs, metric, noise)
    is_moved = conditions.filter(like=CHANGE).abs().max(axis=1) > 1e-9
    return conditions[is_moved].reset_index(drop=True)


def _check_one_model(runs: pd.DataFrame) -> None:
    for log, of_log in runs.groupby("log"):
        for name in MODEL_SETTINGS:
            if len(of_log[name].dropna().unique()) > 1:
                raise InputError(f"the runs on {log} differ in {name}; choose those of one model")


def _changes(runs: pd.DataFrame, metric: str, noise: pd.Series | None) -> pd.DataFrame:
    """Compare means of each log, intervention and strength with those of intervention ""."""
    measures = {TOKENS: TOKENS, "positions": POSITIONS, **MEASURES}
    names = {column: name for column, name in measures.items() if column in runs}
    names |= {str(column): str(column) for column in runs if str(column).startswith(PROBE)}
    logarithms = {column: np.log(runs[column].where(runs[column] > 0)) for column in names}
    runs = runs.assign(y=np.log(runs[metric]), **logarithms)
    tables = []
    for log, of_log in runs.groupby("log", sort=False):
        sd = noise[log] / 100 if noise is not None and log in noise else None
        tables.append(_changes_of_log(of_log, str(log), metric, names, sd))
    table = pd.concat(tables, ignore_index=True)
    return table[["log", *table.columns.drop("log")]]


def _changes_of_log(
    runs: pd.DataFrame, log: str, metric: str, names: Mapping[str, str], sd: float | None
) -> pd.DataFrame:
    """Compare one log's conditions with its base; `sd` is of a run, None: pooled over them."""
    means = runs.groupby(["intervention", "strength"], sort=False).agg(
        runs=("y", "size"),
        value=(metric, "mean"),
        y=("y", "mean"),
        spread=("y", "var"),
        **{column: (column, "mean") for column in names},
    )
    is_base = means.index.get_level_values(0) == ""
    if not is_base.any():
        raise InputError(
            f"{log} was not trained without an intervention; there is nothing to compare with"
        )
    if sd is None:
        sd = _pooled_sd(means)
    base = means[is_base].iloc[0]
    changed = means[~is_base].reset_index()
    changed["change"] = changed["y"] - base["y"]
    changed["noise"] = sd * np.sqrt(1 / changed["runs"] + 1 / base["runs"])
    for column, name in names.items():
        changed[f"{CHANGE}{name}"] = changed[column] - base[column]
    return changed.drop(columns=["y", "spread", *names]).assign(log=log)


def _pooled_sd(means: pd.DataFrame) -> float:
    """Pool the standard deviation of ln metric between runs of a condition; nan of single runs."""
    repeated = means[means["runs"] > 1]
    if repeated.empty:
        return np.nan
    dof = repeated["runs"] - 1
    return np.sqrt((repeated["spread"] * dof).sum() / dof.sum())


def synthetic_controls(
    runs: pd.DataFrame, metric: str = "NDCG@10"
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Tabulate runs on synthetic logs named "synthetic, KIND X" (scripts/controls.py).

    Parameters
    ----------
    runs
        Runs, as `results.read_runs_table` returns them.
    metric
        Name of the metric.

    Returns
    -------
    points, conditions
        One row a run, with kind (size: users, at one entropy rate; rate: nats, at one size) and
        x; and as `paired_conditions` returns them, the log being the kind, and its base the
        middle of its x.
    """
    parsed = runs["log"].str.extract(r"^synthetic, (size|rate) ([\d.]+)$")
    points = runs.assign(kind=parsed[0], x=parsed[1].astype(float))[parsed[0].notna().to_numpy()]
    middle = points.groupby("kind")["x"].transform(_middle)
    varied = points.assign(
        log=points["kind"],
        intervention=np.where(points["x"] == middle, "", points["kind"]),
        strength=points["x"],
    )
    return points, _changes(varied, metric, None)


def _middle(values: pd.Series) -> float:
    distinct = np.sort(values.unique())
    return distinct[len(distinct) // 2]


def candidate_measures(conditions: pd.DataFrame) -> dict[str, np.ndarray]:
    """Form the candidates for D′.

    Parameters
    ----------
    conditions
        As `paired_conditions` returns them.

    Returns
    -------
    dict
        By name, changes in the logarithms, (conditions, 1 or 2). Not all are finite on every
        log.
    """
    tokens = conditions[f"{CHANGE}{TOKENS}"].to_numpy()
    measures = {
        name: conditions[f"{CHANGE}{name}"].to_numpy()
        for name in MEASURES.values()
        if f"{CHANGE}{name}" in conditions
    }
    multipliers = {name: measures[name] for name in MULTIPLIERS if name in measures}
    candidates = {TOKENS: tokens[:, None]}
    for name, change in measures.items():
        candidates[f"{TOKENS} / {name}"] = (tokens - change)[:, None]
    for name, change in multipliers.items():
        candidates[f"{TOKENS} × {name}"] = (tokens + change)[:, None]
    if f"{CHANGE}{POSITIONS}" in conditions:
        positions = conditions[f"{CHANGE}{POSITIONS}"].to_numpy()
        candidates[POSITIONS] = positions[:, None]
        for name, change in multipliers.items():
            candidates[f"{POSITIONS} / {name}"] = (positions - change)[:, None]
            candidates[f"{POSITIONS} × {name}"] = (positions + change)[:, None]
    for name, change in measures.items():
        candidates[f"{TOKENS} and {name}"] = np.column_stack([tokens, change])
    for column in conditions.filter(like=f"{CHANGE}{PROBE}"):
        candidates[str(column).removeprefix(CHANGE)] = conditions[[column]].to_numpy()
    return candidates


def predict_changes(conditions: pd.DataFrame, columns: np.ndarray, hide: str) -> np.ndarray:
    """Predict the change of each condition, from slopes that have not seen it.

    Parameters
    ----------
    conditions
        As `paired_conditions` returns them, with the index 0, 1, ….
    columns
        A candidate, (conditions, 1 or 2).
    hide
        "intervention": slopes from the log's other interventions; "log": from all other logs;
        "": from all conditions, that condition included.

    Returns
    -------
    ndarray
        (conditions,); nan where too few conditions are left.
    """
    y = conditions["change"].to_numpy()
    logs = conditions["log"].to_numpy()
    usable = np.isfinite(columns).all(axis=1)
    predicted = np.full(len(conditions), np.nan)
    keys = {"": [], "log": ["log"], "intervention": ["log", "intervention"]}[hide]
    for _, hidden in conditions.groupby(keys or np.zeros(len(conditions))):
        is_hidden = conditions.index.isin(hidden.index)
        can_teach = usable & ~is_hidden if hide else usable
        if hide == "intervention":
            can_teach &= logs == hidden["log"].iloc[0]
        if can_teach.sum() > columns.shape[1]:
            slopes = np.linalg.lstsq(columns[can_teach], y[can_teach])[0]
            predicted[is_hidden & usable] = columns[is_hidden & usable] @ slopes
    return predicted


def comparison_table(
    conditions: pd.DataFrame, level: float = 0.9, draws: int = 4000
) -> pd.DataFrame:
    """Compare the candidates: which share of the squared change each one predicts.

    The share is 1 − Σ(Δy − predicted)² / ΣΔy²: 0 is to predict no change. Where a measure
    is not defined, the prediction is that of the constant baseline.

    Parameters
    ----------
    conditions
        As `paired_conditions` returns them.
    level
        Level of the intervals.
    draws
        Number of bootstrap samples, of pairs of a log and an intervention.

    Returns
    -------
    DataFrame
        Columns candidate, numbers (1 or 2), slope (of all conditions, of its first number) and,
        for the splits "in sample", "intervention" and "log": the share, "edge SPLIT" over tokens
        alone, and its interval, "low SPLIT" and "high SPLIT".
    """
    check_level(level)
    y = conditions["change"].to_numpy()
    groups = conditions.groupby(["log", "intervention"], sort=False).ngroup().to_numpy()
    counts = draw_counts(groups.max() + 1, draws)
    total = np.bincount(groups, y**2)
    splits = dict(SPLITS)
    if conditions["log"].nunique() < 2:
        del splits["log"]
    tails = [(1 - level) / 2, (1 + level) / 2]
    reference: dict[str, np.ndarray] = {}
    rows = []
    for name, columns in candidate_measures(conditions).items():
        usable = np.isfinite(columns).all(axis=1)
        slope = np.linalg.lstsq(columns[usable], y[usable])[0][0]
        row = {"candidate": name, "numbers": columns.shape[1], "slope": slope}
        for split, hide in splits.items():
            residual = y - np.nan_to_num(predict_changes(conditions, columns, hide))
            error = np.bincount(groups, residual**2)
            gain = reference.setdefault(split, error) - error  # tokens come first
            row[split] = 1 - error.sum() / total.sum()
            row[f"edge {split}"] = gain.sum() / total.sum()
            drawn = (counts @ gain) / (counts @ total)
            row[f"low {split}"], row[f"high {split}"] = np.quantile(drawn, tails)
        rows.append(row)
    return pd.DataFrame(rows)


def draw_counts(n_groups: int, draws: int) -> np.ndarray:
    """(draws, n_groups) how often each group is in a bootstrap sample, of seed 0."""
    weights = np.full(n_groups, 1 / n_groups)
    return np.random.default_rng(0).multinomial(n_groups, weights, size=draws)


def control_table(known: pd.DataFrame, names: Iterable[str]) -> pd.DataFrame:
    """Explain the synthetic controls in sample: their sizes, their rates, and both at once.

    Parameters
    ----------
    known
        Conditions of the kinds size and rate, as `synthetic_controls` returns them.
    names
        Names of candidates.

    Returns
    -------
    DataFrame
        Columns candidate, "size varies", "rate varies" and "both at once" (shares of the squared
        change), "slope, size varies" (of the candidate's first number) and "slope, rate varies"
        (of its last number; nan for tokens, which then do not vary).
    """
    change = known["change"].to_numpy()
    parts = {
        "size varies": (known["log"] == "size").to_numpy(),
        "rate varies": (known["log"] == "rate").to_numpy(),
        "both at once": np.full(len(known), True),
    }
    candidates = candidate_measures(known)
    rows = []
    for name in names:
        shares, slopes = {}, {}
        for label, part in parts.items():
            x, y = candidates[name][part], change[part]
            slopes[label] = np.linalg.lstsq(x, y)[0]
            shares[label] = 1 - ((y - x @ slopes[label]) ** 2).sum() / (y**2).sum()
        slope_by_rate = np.nan if name == TOKENS else slopes["rate varies"][-1]
        rows.append((name, *shares.values(), slopes["size varies"][0], slope_by_rate))
    columns = ["candidate", *parts, "slope, size varies", "slope, rate varies"]
    return pd.DataFrame(rows, columns=columns)


def noise_ceiling(conditions: pd.DataFrame) -> float:
    """Give the share that a perfect measure would explain: the rest is noise between runs."""
    return float(1 - (conditions["noise"] ** 2).sum() / (conditions["change"] ** 2).sum())
