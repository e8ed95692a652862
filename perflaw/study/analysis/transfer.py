"""From one surface, or log, to another: what a fit to the first says of the second."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from perflaw.errors import InputError
from perflaw.laws import families, fitting
from perflaw.study.analysis import seed_noise, study_runs
from perflaw.study.intervals import compare_with_reference

SLOPE_PRIOR_SD, NOISE_SD = 0.5, 0.05  # of the slope around 1, and of ln of a run's value
LEAST_RUNS_OF_PLANE = 4
CARRIED, MEAN, PLANE = "carried law", "mean of the cells", "log-linear, target alone"
SAME_LOG, OTHER_LOG = "same log", "another log"
COUNT_PREFIX = "count-based: "
DESCRIBED_SIZE = {"n_layers": 2, "d_emb": 32}


def transfer_errors(
    table: pd.DataFrame,
    source: str,
    target: str,
    metric: str = "NDCG@10",
    law: families.Law | None = None,
    n_cells: Sequence[int] = (1, 2, 3, 4, 6),
    draws: int = 300,
    seed: int = 0,
) -> pd.DataFrame:
    """Recalibrate the law of one surface with a few cells of another, and predict the rest.

    With z the logarithm of the source's law, ln y = a + b z, b drawn towards 1 (a normal prior
    of standard deviation one half, against noise of 5 %).

    Parameters
    ----------
    table
        Surfaces, as `mean_surfaces` returns them.
    source, target
        Names of the two surfaces.
    metric
        Name of the metric.
    law
        The law; by default the Performance Law.
    n_cells
        Numbers of cells of the target that are used.
    draws, seed
        Number of random choices of these cells, and their seed.

    Returns
    -------
    DataFrame
        Columns cells, rule and ape: the mean over draws and over the cells left, in per cent.
        Rules: the carried law, the mean of the same cells, and, from four on, a plane in the
        logarithms of N and d.

    Raises
    ------
    InputError
        If a surface is not in the table.
    """
    law = law or families.performance()
    random = np.random.default_rng(seed)
    of_metric = table[table["metric"] == metric]
    known, other = (_select_surface(of_metric, name) for name in (source, target))
    z = np.log(fitting.fit(law, known, known["value"].to_numpy()).predict(other))
    y = np.log(other["value"].to_numpy())
    plane = np.column_stack([np.ones(len(y)), *(np.log(other[axis]) for axis in families.AXES)])
    errors: dict[tuple[int, str], list[float]] = {}
    for used_cells in n_cells:
        for _ in range(draws):
            order = random.permutation(len(y))
            used, left = order[:used_cells], order[used_cells:]
            for rule, predicted in _predictions(z, y, plane, used, left).items():
                error = 100 * np.abs(np.expm1(predicted - y[left])).mean()
                errors.setdefault((used_cells, rule), []).append(error)
    rows = [(used_cells, rule, np.mean(values)) for (used_cells, rule), values in errors.items()]
    return pd.DataFrame(rows, columns=["cells", "rule", "ape"])


def errors_by_target(
    table: pd.DataFrame, source: str, metric: str, law: families.Law, draws: int, seed: int
) -> pd.DataFrame:
    """Carry the law of one surface to every other one.

    Parameters
    ----------
    table, source, metric, law, draws, seed
        As for `transfer_errors`.

    Returns
    -------
    DataFrame
        Columns of `transfer_errors`, target, log, kind (SAME_LOG or OTHER_LOG) and noise alone (the
        error that seed noise gives the target's means, per cent).
    """
    cells = table[table["metric"] == metric]
    logs = cells.drop_duplicates("dataset").set_index("dataset")["log"]
    noise = seed_noise.noise_of_means(table, metric).groupby(table["dataset"]).mean()
    parts = [
        transfer_errors(table, source, target, metric, law, draws=draws, seed=seed).assign(
            target=target,
            log=logs[target],
            kind=SAME_LOG if logs[target] == logs[source] else OTHER_LOG,
        )
        for target in logs.index
        if target != source
    ]
    errors = pd.concat(parts, ignore_index=True)
    return errors.assign(**{"noise alone": errors["target"].map(noise)})


def compare_with_mean(errors: pd.DataFrame, n_cells: int, level: float = 0.9) -> pd.Series:
    """Compare the carried law with the mean of the same cells, over targets.

    Parameters
    ----------
    errors
        As `errors_by_target` returns them.
    n_cells
        How many cells of the target were used.
    level
        Level of the interval, which is Student's, over logs.

    Returns
    -------
    Series
        mean (error of the carried law less that of the mean, in points of per cent), low, high
        and logs.
    """
    used = errors[errors["cells"] == n_cells].rename(columns={"target": "dataset"})
    compared = compare_with_reference(used, "rule", "ape", MEAN, ["dataset"], level)
    return compared[compared["rule"] == CARRIED].iloc[0]


def ensemble_gains(
    averaged: pd.DataFrame, metric: str = "NDCG@10"
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Compare averaged small models with one larger model of the same total dimension.

    Parameters
    ----------
    averaged
        As data/ensembles.csv.
    metric
        Name of the metric.

    Returns
    -------
    shown, gains
        By log, total d and members: d_emb, parameters, the metric's mean, sd and groups of seeds;
        and the gain of two members or more over one, in per cent.
    """
    total = averaged.assign(**{"total d": averaged["d_emb"] * averaged["members"]})
    groups = total.groupby(["log", "total d", "members"])
    shown = groups.agg(
        d_emb=("d_emb", "first"),
        parameters=("parameters", "first"),
        mean=(metric, "mean"),
        sd=(metric, "std"),
        groups=(metric, "size"),
    ).reset_index()
    one = shown[shown["members"] == 1].set_index(["log", "total d"])["mean"].rename("mean of one")
    several = shown[shown["members"] > 1].join(one, on=["log", "total d"])
    several["gain"] = 100 * (several["mean"] / several["mean of one"] - 1)
    gains = several.dropna(subset="gain")
    columns = ["log", "total d", "members", "gain"]
    return shown.rename(columns={"mean": metric}), gains[columns].reset_index(drop=True)


def _select_surface(table: pd.DataFrame, name: str) -> pd.DataFrame:
    rows = table[table["dataset"] == name].reset_index(drop=True)
    if rows.empty:
        names = ", ".join(table["dataset"].unique())
        raise InputError(f"there is no surface {name!r}; there are {names}")
    return rows


def _predictions(
    z: np.ndarray, y: np.ndarray, plane: np.ndarray, used: np.ndarray, left: np.ndarray
) -> dict[str, np.ndarray]:
    """Predict ln y of the cells left from those used, by each rule."""
    middle, level = z[used].mean(), y[used].mean()
    covariance = (z[used] - middle) @ (y[used] - level - z[used] + middle)
    shrinkage = (NOISE_SD / SLOPE_PRIOR_SD) ** 2
    slope = 1 + covariance / (((z[used] - middle) ** 2).sum() + shrinkage)
    predicted = {
        CARRIED: level + slope * (z[left] - middle),
        MEAN: np.full(len(left), level),
    }
    is_plane = len(used) >= LEAST_RUNS_OF_PLANE and np.linalg.matrix_rank(plane[used]) == 3
    if is_plane:
        predicted[PLANE] = plane[left] @ np.linalg.lstsq(plane[used], y[used])[0]
    return predicted


def describe_logs(runs: pd.DataFrame, metric: str = "NDCG@10") -> pd.DataFrame:
    """Describe each log by its size, its entropies and its count-based baselines.

    Parameters
    ----------
    runs
        Runs, as `study_runs.load_study_runs` returns them.
    metric
        Name of the metric.

    Returns
    -------
    DataFrame
        One row a log: log, METRIC (of runs of `DESCRIBED_SIZE` and the usual kind, the mean over
        seeds), and logarithms of tokens, items, tokens over entropies, the accuracy limit and each
        baseline; the entropies h and shannon in nats.
    """
    cell = study_runs.select_full_data_runs(runs, **study_runs.USUAL_KIND, **DESCRIBED_SIZE)
    groups = cell.groupby("log", sort=False)
    first = groups.first()
    described = pd.DataFrame(
        {
            metric: groups[metric].mean(),
            "h": first["entropy conditional"],
            "shannon": first["entropy shannon"],
            "ln tokens": np.log(first["tokens"]),
            "ln items": np.log(first["items"]),
            "ln limit": np.log(first["entropy accuracy limit"]),
            "ln D / H": np.log(first["tokens"] / first["entropy conditional"]),
            "ln D / ApEn": np.log(first["tokens"] / first["entropy apen absolute"]),
        }
    )
    baselines = study_runs.load_count_baselines(metric).apply(np.log).add_prefix(COUNT_PREFIX)
    return described.join(baselines).reset_index()


def candidate_columns(logs: pd.DataFrame) -> dict[str, list[str]]:
    """List the candidates of `leave_one_log_out` for logs as `describe_logs` returns them."""
    named: dict[str, list[str]] = {
        "mean of logs": [],
        "tokens": ["ln tokens"],
        "tokens / ApEn by user": ["ln D / ApEn"],
        "tokens / conditional entropy": ["ln D / H"],
        "conditional entropy": ["h"],
        "accuracy limit (Fano)": ["ln limit"],
        "Shannon entropy": ["shannon"],
        "items": ["ln items"],
    }
    return named | {str(name): [str(name)] for name in logs if str(name).startswith(COUNT_PREFIX)}


def leave_one_log_out(
    logs: pd.DataFrame, candidates: Mapping[str, Sequence[str]], value: str = "NDCG@10"
) -> pd.DataFrame:
    """Leave each log out of a fit, and predict its value from the others: ln y = a + b x + ….

    Parameters
    ----------
    logs
        One row a log: log, VALUE and the columns that candidates name.
    candidates
        By name, columns that are x; without columns it is the mean of the others.
    value
        Column to predict.

    Returns
    -------
    DataFrame
        Columns log, candidate, value, predicted and ape (per cent).

    Raises
    ------
    InputError
        If there are too few logs for a candidate's columns.
    """
    y = np.log(logs[value].to_numpy())
    rows = []
    for name, columns in candidates.items():
        predictors = [logs[column].to_numpy(float) for column in columns]
        x = np.column_stack([np.ones(len(logs)), *predictors])
        if len(logs) < x.shape[1] + 2:
            raise InputError(f"{len(logs)} logs are too few for {len(columns)} columns")
        for i, log in enumerate(logs["log"]):
            others = np.arange(len(logs)) != i
            predicted = np.exp(x[i] @ np.linalg.lstsq(x[others], y[others])[0])
            ape = 100 * abs(predicted / np.exp(y[i]) - 1)
            rows.append((log, name, np.exp(y[i]), predicted, ape))
    return pd.DataFrame(rows, columns=["log", "candidate", "value", "predicted", "ape"])
