"""How accuracy grows with a log: nested samples of its users, with their own items and test users.

A sample is taken before the split, as a smaller log. In the older runs (`sample_users`) only the
training part is sampled: vocabulary and test users stay those of the whole log.

A table of *points* has the columns log, model, share (of the log's users), draw (which sample),
value (of the metric) and se (its standard error over test users).
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from perflaw.errors import InputError
from perflaw.models.sweeps import grids, results
from perflaw.stats import mean_interval
from perflaw.study.analysis import study_runs
from perflaw.study.analysis.seed_noise import MEAN_ABSOLUTE_NORMAL
from perflaw.study.files import study_file
from perflaw.study.intervals import to_percent

METRIC = "NDCG@10"  # on test, under the ranking rule of record
TIMES = (2, 4, 8)  # by how much a log grows until it is whole
NETWORK = "SASRec"
RULES = ("no growth", "growth of other logs", "own slope")


def load_growth_points() -> pd.DataFrame:
    """Load the runs of the grid `growth`, of logs of which samples were trained.

    Returns
    -------
    DataFrame
        Points; models are named "SASRec, d = …".
    """
    grid = grids.read_grid("growth")
    sizes = {d for block in grid["grid"] for d in block["d_emb"]}
    runs = study_runs.apply_ranking_rule(study_runs.read_real_runs(growing=True))
    is_wanted = results.is_unperturbed(runs) & runs["d_emb"].isin(sizes)
    settings = grid["settings"] | study_runs.USUAL_KIND | {"shared_layers": False}
    points = _make_points(runs[is_wanted & study_runs.has_settings(runs, settings)], "sample_log")
    sampled = points.loc[points["share"] < 1, "log"].unique()
    return points[points["log"].isin(sampled)].reset_index(drop=True)


def load_fixed_points() -> pd.DataFrame:
    """Load runs on samples of the training part, vocabulary and test users being fixed.

    Returns
    -------
    DataFrame
        Points, as those of `load_growth_points`, of models with two layers.
    """
    model = study_runs.USUAL_KIND | {"shared_layers": False, "n_layers": 2}
    settings = grids.read_grid("survey")["settings"] | model
    runs = results.filter_runs(study_runs.load_study_runs(growing=True), settings)
    points = _make_points(runs[results.is_unperturbed(runs, but="sample_users")], "sample_users")
    is_sampled = points["share"] < 1
    sampled = points.loc[is_sampled, ["log", "model"]].drop_duplicates()
    return points.merge(sampled, on=["log", "model"])


def load_baseline_points() -> pd.DataFrame:
    """Load count-based baselines on the same samples, as points with a column users.

    They are made by scripts/growth_baselines.py.
    """
    table = pd.read_csv(study_file("data", "growth_baselines.csv"))
    table = table.rename(columns={"recommender": "model", METRIC: "value", f"{METRIC} se": "se"})
    return table[["log", "model", "share", "draw", "value", "se", "users"]]


def _make_points(runs: pd.DataFrame, share: str) -> pd.DataFrame:
    """Make points of runs, given the column of their share; nan there is the whole log."""
    return pd.DataFrame(
        {
            "log": runs["log"],
            "model": f"{NETWORK}, d = " + runs["d_emb"].astype(str),
            "share": runs[share].fillna(1.0),
            "draw": runs["data_seed"],
            "value": runs[METRIC],
            "se": runs[f"{METRIC} se"],
        }
    ).reset_index(drop=True)


def average_draws(points: pd.DataFrame) -> pd.DataFrame:
    """Average points over draws and seeds.

    Seeds of a draw are tested on the same users. Two draws of a share s have that share of their
    users in common, so that their errors correlate by s.

    Parameters
    ----------
    points
        See the module.

    Returns
    -------
    DataFrame
        Columns log, model, share, value (mean), runs (how many) and relative_se (standard error
        over test users, as a fraction of the mean; training seeds not included).
    """
    squared = points.assign(variance=points["se"] ** 2)
    by_draw = squared.groupby(["log", "model", "share", "draw"]).agg(
        value=("value", "mean"), runs=("value", "size"), variance=("variance", "mean")
    )
    table = by_draw.groupby(["log", "model", "share"]).agg(
        value=("value", "mean"),
        runs=("runs", "sum"),
        variance=("variance", "mean"),
        draws=("runs", "size"),
    )
    table = table.reset_index()
    n_draws = table.pop("draws")
    shared = (1 + (n_draws - 1) * table["share"]) / n_draws
    table["relative_se"] = np.sqrt(table.pop("variance") * shared) / table["value"]
    return table


def growth_by_log(levels: pd.DataFrame) -> pd.DataFrame:
    """Compare the whole log with its samples.

    Parameters
    ----------
    levels
        As `average_draws` returns them.

    Returns
    -------
    DataFrame
        One row a log, model and times of `TIMES`, where both values are above zero. Columns log,
        model, times (how many times as many users the whole log has), growth (of ln metric) and
        se (over test users, as if the two had none in common).
    """
    rows = []
    for (log, model), table in levels[levels["value"] > 0].groupby(["log", "model"], sort=False):
        by_share = table.set_index("share")
        for factor in TIMES:
            if 1.0 in by_share.index and 1 / factor in by_share.index:
                whole, part = by_share.loc[1.0], by_share.loc[1 / factor]
                growth = np.log(whole["value"] / part["value"])
                se = np.hypot(whole["relative_se"], part["relative_se"])
                rows.append((log, model, factor, growth, se))
    return pd.DataFrame(rows, columns=["log", "model", "times", "growth", "se"])


def average_sizes(growth: pd.DataFrame) -> pd.DataFrame:
    """Average the growth of the network's sizes on each log; the model is then "SASRec"."""
    networks = growth[growth["model"].str.startswith(NETWORK)]
    means = networks.groupby(["log", "times"], sort=False)[["growth", "se"]].mean().reset_index()
    return means.assign(model=NETWORK)


def mean_growth(growth: pd.DataFrame, level: float = 0.9) -> pd.DataFrame:
    """Average growth over logs.

    Parameters
    ----------
    growth
        Columns log, model, times and growth (of ln metric), one row a log, model and times.
    level
        Level of the intervals: Student's t over logs.

    Returns
    -------
    DataFrame
        Columns model, times, logs, growth, low and high, in per cent of the metric.
    """
    rows = []
    for (model, times), values in growth.groupby(["model", "times"], sort=False)["growth"]:
        percents = 100 * np.expm1(mean_interval(values, level))
        rows.append((model, times, len(values), *percents))
    return pd.DataFrame(rows, columns=["model", "times", "logs", "growth", "low", "high"])


def compare_growth(growth: pd.DataFrame, other: pd.DataFrame, level: float = 0.9) -> pd.DataFrame:
    """Subtract one growth from another on the logs that have both.

    Parameters
    ----------
    growth, other
        Columns log, times and growth (of ln metric), one row a log and times.
    level
        Level of the intervals: Student's t over logs.

    Returns
    -------
    DataFrame
        Columns times, logs, growth and other (means over those logs, per cent), difference, low
        and high (of the former's growth factor to the latter's, per cent).
    """
    both = growth.merge(other, on=["log", "times"], suffixes=("", " other"))
    rows = []
    for times, part in both.groupby("times"):
        interval = mean_interval(100 * (part["growth"] - part["growth other"]), level)
        difference = [to_percent(end) for end in interval]
        means = 100 * np.expm1([part["growth"].mean(), part["growth other"].mean()])
        rows.append((times, len(part), *means, *difference))
    columns = ["times", "logs", "growth", "other", "difference", "low", "high"]
    return pd.DataFrame(rows, columns=columns)


def predict_whole_logs(levels: pd.DataFrame) -> pd.DataFrame:
    """Predict the metric on each whole log from its small samples, by three rules.

    *No growth* repeats the value of the largest visible sample. *Growth of other logs* multiplies
    it by the mean growth of the others, without the log itself. *Own slope* extends the line of
    ln metric over ln share through the log's visible samples, weighted by their errors.

    Parameters
    ----------
    levels
        As `average_draws` returns them.

    Returns
    -------
    DataFrame
        One row a log, model, times of `TIMES` and rule, the visible samples having at most one
        over that many of the users. Columns log, model, times, rule, predicted,
        observed, error (absolute, per cent of the observed) and noise (what the test users alone
        would make of it, in expectation).

    Raises
    ------
    InputError
        For fewer than two logs.
    """
    growth = growth_by_log(levels)
    if growth["log"].nunique() < 2:
        raise InputError("growth of other logs needs samples of two logs or more")
    rows = []
    for (log, model), table in levels.groupby(["log", "model"], sort=False):
        is_mine = (growth["log"] == log) & (growth["model"] == model)
        observed = table.loc[table["share"] == 1, "value"].sum()
        for factor, se in growth.loc[is_mine, ["times", "se"]].to_numpy():
            visible = table[(table["share"] <= 1 / factor) & (table["value"] > 0)]
            is_same = (growth["model"] == model) & (growth["times"] == factor)
            others = growth.loc[is_same & (growth["log"] != log), "growth"].mean()
            last = visible.loc[visible["share"].idxmax(), "value"]
            predictions = (last, last * np.exp(others), _extend_line(visible))
            noise = 100 * MEAN_ABSOLUTE_NORMAL * se
            for rule, predicted in zip(RULES, predictions):
                error = 100 * abs(predicted / observed - 1)
                rows.append((log, model, int(factor), rule, predicted, observed, error, noise))
    columns = ["log", "model", "times", "rule", "predicted", "observed", "error", "noise"]
    return pd.DataFrame(rows, columns=columns)


def _extend_line(visible: pd.DataFrame) -> float:
    """Extend the line of ln value over ln share to the whole log; nan from fewer than two."""
    if len(visible) < 2:
        return np.nan
    weights = 1 / visible["relative_se"]
    x, y = np.log(visible["share"]), np.log(visible["value"])
    return float(np.exp(np.polyfit(x, y, 1, w=weights)[1]))


def summarise_errors(predictions: pd.DataFrame, level: float = 0.9) -> pd.DataFrame:
    """Average errors over logs, sizes within a log first, beside those of "no growth".

    Parameters
    ----------
    predictions
        As `predict_whole_logs` returns them.
    level
        Level of the intervals: Student's t over logs.

    Returns
    -------
    DataFrame
        One row a times and rule. Columns times, rule, logs, error (mean, per cent), noise (of it,
        from the test users), and gain, low and high: how much smaller the error is than that of
        "no growth", on the logs that have both.
    """
    means = predictions.groupby(["times", "rule", "log"])[["error", "noise"]].mean().dropna()
    rows = []
    for times in predictions["times"].unique():
        reference = means.xs((times, RULES[0]))["error"]
        for rule in RULES:
            of_rule = means.xs((times, rule))
            gain = mean_interval((reference - of_rule["error"]).dropna(), level)
            error, noise = of_rule["error"].mean(), of_rule["noise"].mean()
            rows.append((times, rule, len(of_rule), error, noise, *gain))
    columns = ["times", "rule", "logs", "error", "noise", "gain", "low", "high"]
    return pd.DataFrame(rows, columns=columns).sort_values("times", ignore_index=True)
