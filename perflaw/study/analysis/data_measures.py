"""Which measure of the data explains what a model reaches on it: candidates for D′, and how far each one foretells.

A *condition* is a log whose training part had one intervention; its *base* is the same log without. Model, test users, targets and
vocabulary are those of the base, so what the model loses or gains is due to the data alone. With y the logarithm of the metric
and x that of a candidate for D′, everything here is told as the change from the base, and a candidate is judged by

    Δy = b Δx          one number: tokens, tokens / ApEn, …
    Δy = b Δx + c Δz   two: tokens, and a measure with an exponent of its own

on conditions that its slopes have not seen. Near a point every smooth law of D′ is such a line, the paper's too, whose data term
is −D′^−w/k − w ln D′ in other units.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from perflaw.errors import InputError
from perflaw.logs.perturbations import PERTURBATIONS
from perflaw.models.sweeps.runner import SWEEPS_FOLDER, filter_runs
from perflaw.stats import check_level

MEASURES = {  # of `sweeps.load`, above 0 on any log; and what it is called here
    "entropy apen absolute": "ApEn by user",
    "entropy conditional": "conditional entropy",
    "entropy plug-in": "plug-in entropy, m = 1",
    "entropy pooled": "plug-in entropy, m = 2",
    "entropy sample": "sample entropy",
    "entropy lempel-ziv": "Lempel-Ziv entropy",
    "entropy shannon": "Shannon entropy",
    "entropy compression": "compression ratio",
}
MODEL = {
    "backbone": "sasrec",
    "n_layers": 2,
    "d_emb": 32,
    "split": "leave one out",
    "shared_layers": False,
}  # that the study trained on changed training parts
PROBES = SWEEPS_FOLDER.parent / "probes.csv"
RATE = 4.7  # nats: entropy rate of the synthetic logs whose size varies
TOKENS = "tokens"
PAPER, OURS = "tokens / ApEn by user", "tokens / conditional entropy"


def perturbation_runs(runs: pd.DataFrame, model: Mapping = MODEL) -> pd.DataFrame:
    """Of the runs those of the model on logs on which four kinds of intervention or more were tried, with the probes of their training parts."""
    runs = add_probes(filter_runs(runs, model), pd.read_csv(PROBES))
    kinds = (
        runs.groupby("log")[list(PERTURBATIONS)]
        .agg(lambda column: column.notna().any())
        .sum(axis=1)
    )
    return runs[runs["log"].isin(kinds.index[kinds > 3])]


def paired_conditions(
    runs: pd.DataFrame, metric: str = "NDCG@10", noise: Mapping[str, float] | None = None
) -> pd.DataFrame:
    """One row a log and condition: what the metric and the data changed, against the log's base.

    runs: of one model by log, as `sweeps.load` gives them; columns that start with "probe" are taken as measures too. Columns: log, intervention,
    strength, runs (how many), value (mean), change (of ln value), noise (standard deviation that the noise between runs gives to
    change: by log, per cent of a run, as `evidence.seed_sd_by_surface` has it; or else pooled over the log's conditions), "Δ tokens" and "Δ MEASURE" (changes of their logarithms). Conditions that left the data as they were
    are dropped. Raises InputError for a log without a base, for runs of several models, and for a training part with two interventions.
    """
    runs = runs[runs[metric].notna()].copy()
    for log, here in runs.groupby("log"):
        for name in (
            "backbone",
            "n_layers",
            "d_emb",
            "max_seq_len",
            "split",
            "loss",
            "shared_layers",
        ):
            if here[name].nunique() > 1:
                raise InputError(f"the runs on {log} differ in {name}; choose those of one model")
    done = runs[list(PERTURBATIONS)].notna()
    if (done.sum(axis=1) > 1).any():
        raise InputError(
            f"run {runs.loc[done.sum(axis=1) > 1, 'key'].iloc[0]} had two interventions; a condition has one"
        )
    runs["intervention"] = np.where(done.any(axis=1), done.idxmax(axis=1), "")
    runs["strength"] = runs[list(PERTURBATIONS)].sum(axis=1)
    found = _changes(runs, metric, {} if noise is None else noise)
    moved = found.filter(like="Δ ").abs().max(axis=1) > 1e-9
    return found[moved].reset_index(drop=True)


def _changes(runs, metric, noise):
    """Means over the runs of each log, intervention and strength, against those of the log's intervention ""."""
    known = {TOKENS: TOKENS} | {column: name for column, name in MEASURES.items() if column in runs}
    known |= {column: column for column in runs if column.startswith("probe")}
    runs = runs.assign(
        y=np.log(runs[metric]),
        **{column: np.log(runs[column].where(runs[column] > 0)) for column in known},
    )
    found = []
    for log, here in runs.groupby("log", sort=False):
        told = here.groupby(["intervention", "strength"], sort=False).agg(
            runs=("y", "size"),
            value=(metric, "mean"),
            y=("y", "mean"),
            spread=("y", "var"),
            **{column: (column, "mean") for column in known},
        )
        if "" not in told.index.get_level_values(0):
            raise InputError(
                f"{log} was not trained without an intervention; there is nothing to compare with"
            )
        enough = told[told["runs"] > 1]
        sigma = (
            np.sqrt((enough["spread"] * (enough["runs"] - 1)).sum() / (enough["runs"] - 1).sum())
            if len(enough)
            else np.nan
        )
        sigma = noise[log] / 100 if log in noise else sigma
        base, told = told.loc[""].iloc[0], told[told.index.get_level_values(0) != ""].reset_index()
        told["change"], told["noise"] = (
            told["y"] - base["y"],
            sigma * np.sqrt(1 / told["runs"] + 1 / base["runs"]),
        )
        for column, name in known.items():
            told[f"Δ {name}"] = told[column] - base[column]
        found.append(told.drop(columns=["y", "spread", *known]).assign(log=log))
    found = pd.concat(found, ignore_index=True)
    return found[["log", *[name for name in found if name != "log"]]]


def synthetic_controls(
    runs: pd.DataFrame, metric: str = "NDCG@10"
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Runs on synthetic logs named "synthetic, KIND X" (benchmarks/controls.py), as points and as conditions.

    Points: one row a run, with kind (size: users, at one entropy rate; rate: nats, at one size) and x. Conditions: as `paired_conditions` gives them, the
    log being the kind, and its base the middle of its x.
    """
    told = runs["log"].str.extract(r"^synthetic, (size|rate) ([\d.]+)$")
    points = runs.assign(kind=told[0], x=told[1].astype(float))[told[0].notna().to_numpy()]
    middle = points.groupby("kind")["x"].transform(lambda x: np.sort(x.unique())[x.nunique() // 2])
    varied = points.assign(
        log=points["kind"],
        intervention=np.where(points["x"] == middle, "", points["kind"]),
        strength=points["x"],
    )
    return points, _changes(varied, metric, {})


def add_probes(runs: pd.DataFrame, probes: pd.DataFrame) -> pd.DataFrame:
    """Runs, and beside each the probes (columns "probe: …", data/probes.csv) of its training part; nan where there are none."""
    keys = ["log", *PERTURBATIONS, "data_seed"]
    missing = -1.0
    left = runs.assign(**{name: runs[name].fillna(missing).astype(float) for name in PERTURBATIONS})
    right = probes.assign(
        **{name: probes[name].fillna(missing).astype(float) for name in PERTURBATIONS}
    )
    found = left[keys].merge(right, how="left", on=keys)
    added = found[[column for column in probes if column.startswith("probe")]].set_axis(runs.index)
    return pd.concat([runs, added], axis=1)


def candidate_measures(found: pd.DataFrame) -> dict[str, np.ndarray]:
    """The candidates for D′ by name: columns (conditions, 1 or 2) of changes in their logarithms. Not all are finite on every log."""
    tokens = found[f"Δ {TOKENS}"].to_numpy()
    told = {TOKENS: tokens[:, None]}
    for name in MEASURES.values():
        if f"Δ {name}" in found:
            told[f"tokens / {name}"] = (tokens - found[f"Δ {name}"].to_numpy())[:, None]
    told["tokens × conditional entropy"] = (tokens + found["Δ conditional entropy"].to_numpy())[
        :, None
    ]
    for name in MEASURES.values():
        if f"Δ {name}" in found:
            told[f"tokens and {name}"] = np.column_stack([tokens, found[f"Δ {name}"]])
    for column in found.filter(like="Δ probe"):
        told[column.removeprefix("Δ ")] = found[[column]].to_numpy()
    return told


def predict_changes(found: pd.DataFrame, columns: np.ndarray, hide: str) -> np.ndarray:
    """Changes of each condition, from slopes that have not seen it; nan where they cannot be had.

    hide: "intervention", slopes from the log's other interventions; "log", from all other logs; "", from all, itself included.
    """
    y, predicted = found["change"].to_numpy(), np.full(len(found), np.nan)
    usable = np.isfinite(columns).all(axis=1)
    for _, rows in found.groupby(
        [*(["log"] if hide != "" else []), *(["intervention"] if hide == "intervention" else [])]
        or [np.zeros(len(found))]
    ):
        here = np.zeros(len(found), bool)
        here[rows.index] = True
        pool = {
            "": usable,
            "log": usable & ~here,
            "intervention": usable & ~here & (found["log"] == rows["log"].iloc[0]).to_numpy(),
        }[hide]
        if pool.sum() > columns.shape[1]:
            slope = np.linalg.lstsq(columns[pool], y[pool])[0]
            predicted[here & usable] = columns[here & usable] @ slope
    return predicted


def comparison_table(
    found: pd.DataFrame, level: float = 0.9, draws: int = 4000, seed: int = 0
) -> pd.DataFrame:
    """The league: each candidate's share of the squared change that it foretells, and its edge over tokens alone.

    Columns: candidate, numbers (1 or 2), slope (of all conditions, of its first number), and, for the splits "in sample", "intervention" and "log":
    the share explained, 1 − Σ(Δy − predicted)² / ΣΔy² (0 is "nothing changes", below it worse than that); `edge SPLIT` over tokens
    alone, and its interval (low, high) from a bootstrap over interventions within logs. An undefined measure counts as "nothing changes" there.
    """
    check_level(level)
    y = found["change"].to_numpy()
    groups = found.groupby(["log", "intervention"], sort=False).ngroup().to_numpy()
    counts = np.random.default_rng(seed).multinomial(
        groups.max() + 1, np.full(groups.max() + 1, 1 / (groups.max() + 1)), size=draws
    )
    total = np.bincount(groups, y**2)
    splits, lost, rows = {"in sample": "", "intervention": "intervention", "log": "log"}, {}, []
    for name, columns in candidate_measures(found).items():
        usable = np.isfinite(columns).all(axis=1)
        told = {
            "candidate": name,
            "numbers": columns.shape[1],
            "slope": np.linalg.lstsq(columns[usable], y[usable])[0][0],
        }
        for split, hide in splits.items():
            if hide == "log" and found["log"].nunique() < 2:
                continue
            error = np.bincount(
                groups, (y - np.nan_to_num(predict_changes(found, columns, hide))) ** 2
            )
            lost[name, split] = error
            told[split] = 1 - error.sum() / total.sum()
            gain = lost[TOKENS, split] - error
            told[f"edge {split}"] = gain.sum() / total.sum()
            drawn = (counts @ gain) / (counts @ total)
            told[f"low {split}"], told[f"high {split}"] = np.quantile(
                drawn, [(1 - level) / 2, (1 + level) / 2]
            )
        rows.append(told)
    return pd.DataFrame(rows)


def noise_ceiling(found: pd.DataFrame) -> float:
    """The share that a perfect measure would explain: the rest is noise between runs."""
    return float(1 - (found["noise"] ** 2).sum() / (found["change"] ** 2).sum())
