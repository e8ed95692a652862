"""What the study's own sweeps say: noise between seeds, whether more layers or dimensions still help, and how well laws foretell.

`seed_sd_by_log` and `marginal_gains` read cells, as `sweeps.cells` makes them of runs: log, n_layers, d_emb, the metric's mean over seeds, their
standard deviation (sd) and number (seeds). Noise is that between seeds on the same users: how much another training run
would differ, and not how much other users would.

The rest reads surfaces: cells of one log, backbone and split over N and d (`mean_surfaces`).
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.stats import norm, spearmanr

from perflaw import model_size
from perflaw.errors import InputError
from perflaw.laws import families, fitting, identifiability, mixed, validation
from perflaw.models.sweeps import runner
from perflaw.stats import check_level

SURFACE = ["log", "backbone", "split", "loss", "max_seq_len"]
DEFAULT_KIND = (
    "sasrec",
    "leave one out",
    "sampled_softmax",
)  # of these a surface's name does not tell
SMALL_GRID = (
    3,
    32,
)  # N and d up to which a surface is its small half, from which the rest is foretold
SHARED_USER_CORRELATION = 0.6  # correlation of two models' gains of the same users, N and d apart: .46 to .75 in the mean on the study's six logs (benchmarks/shared.py)
EXTRAPOLATED_LAWS = (
    "constant",
    "log-linear",
    "log-quadratic",
    "sum of powers",
    "power of parameters",
    "Performance Law, k = 2",
)


def seed_sd_by_log(cells: pd.DataFrame, metric: str = "NDCG@10") -> pd.Series:
    """Of each log, the standard deviation of one run between seeds, in per cent of its value, pooled over cells.

    Raises InputError for a log of which no cell has two seeds.
    """
    told = {}
    for log, rows in cells.groupby("log", sort=False):
        rows = rows[rows["seeds"] > 1]
        if rows.empty:
            raise InputError(
                f"no cell of {log} was run with two seeds; the noise between seeds is not known"
            )
        weight = rows["seeds"] - 1
        told[log] = 100 * float(
            np.sqrt(((rows["sd"] / rows[metric]) ** 2 * weight).sum() / weight.sum())
        )
    return pd.Series(told, name="noise")


def marginal_gains(
    cells: pd.DataFrame, metric: str = "NDCG@10", level: float = 0.9
) -> pd.DataFrame:
    """What each step to the next larger N, or d, changes, in per cent (100 × the logarithm of the ratio).

    A step is the mean over the values of the other axis that have both its ends. Columns log, axis, smaller, larger, change, se (from the
    noise between seeds), low and high (a normal interval at that level), pairs.
    """
    check_level(level)
    sigma, rows = seed_sd_by_log(cells, metric), []
    for log, here in cells.groupby("log", sort=False):
        for axis, other in (families.AXES, families.AXES[::-1]):
            values = here.pivot(index=other, columns=axis, values=metric)
            seeds = here.pivot(index=other, columns=axis, values="seeds")
            for small, large in zip(values.columns, values.columns[1:]):
                both = values[[small, large]].notna().all(axis=1)
                if not both.any():
                    continue
                change = 100 * np.log(values.loc[both, large] / values.loc[both, small])
                variance = sigma[log] ** 2 * (
                    1 / seeds.loc[both, small] + 1 / seeds.loc[both, large]
                )
                rows.append(
                    (
                        log,
                        axis,
                        small,
                        large,
                        change.mean(),
                        np.sqrt(variance.sum()) / both.sum(),
                        int(both.sum()),
                    )
                )
    found = pd.DataFrame(
        rows, columns=["log", "axis", "smaller", "larger", "change", "se", "pairs"]
    )
    reach = norm.ppf((1 + level) / 2) * found["se"]
    return found.assign(low=found["change"] - reach, high=found["change"] + reach)


# ---------------------------------------------------------------- surfaces


def load_study_runs() -> pd.DataFrame:
    """All runs of data/sweeps on real logs and all of their users, each once."""
    runs = pd.concat(
        [runner.read_runs_table(path) for path in sorted(runner.SWEEPS_FOLDER.glob("*.csv"))],
        ignore_index=True,
    )
    return runner.select_whole_log(runs[~runs["log"].str.startswith("synthetic")]).drop_duplicates(
        "key", ignore_index=True
    )


def load_survey_runs() -> pd.DataFrame:
    """Of those the runs with the settings of the grid `survey`, whatever the backbone, size, split and data."""
    return runner.filter_runs(
        load_study_runs(), runner.read_grid("survey")["settings"]
    ).reset_index(drop=True)


def select_full_data_runs(runs: pd.DataFrame, **settings) -> pd.DataFrame:
    """Runs on whole training parts, layers apart unless `settings` says otherwise, that have these settings."""
    plain = runs[runs[list(runner.PERTURBATIONS)].isna().all(axis=1)]
    return runner.filter_runs(plain, {"shared_layers": False} | settings).reset_index(drop=True)


def mean_surfaces(runs: pd.DataFrame, metrics=("HR@10", "NDCG@10")) -> pd.DataFrame:
    """The means over seeds of runs on whole training parts, one row a cell and metric.

    Columns: dataset (the surface's name: its log, and what of backbone, split and loss is not the usual), those of
    SURFACE, n_layers, d_emb, metric, value, sd (between seeds), seeds, validation (the metric there; nan where the runs do not have it), parameters. Raises InputError where runs of a surface differ in anything else.
    """
    plain = select_full_data_runs(runs)
    free = (*SURFACE, *families.AXES, "seed")
    fixed = [
        name for name in runner.Config.__dataclass_fields__ if name in plain and name not in free
    ]
    for of, here in plain.groupby(SURFACE):
        if vary := [name for name in fixed if here[name].nunique(dropna=False) > 1]:
            raise InputError(
                f"runs on {of[0]} differ in {', '.join(vary)}; choose those of one setting with sweeps.having"
            )
    parts = []
    for metric in metrics:
        told = plain[plain[metric].notna()].groupby([*SURFACE, *families.AXES], sort=False)
        found = (
            told.agg(
                value=(metric, "mean"),
                sd=(metric, "std"),
                seeds=(metric, "size"),
                parameters=("parameters", "first"),
            )
            .reset_index()
            .assign(metric=metric)
        )
        known = (
            told[f"validation {metric}"].mean().to_numpy()
            if f"validation {metric}" in plain
            else np.nan
        )
        parts.append(found.assign(validation=known))
    table = pd.concat(parts, ignore_index=True)
    return table.assign(dataset=surface_names(table)).sort_values(
        ["dataset", "metric", *families.AXES], ignore_index=True
    )


def surface_names(rows: pd.DataFrame) -> pd.Series:
    """What the surface of each row is called: its log, and what of backbone, split and loss is not the usual."""
    told = [
        ", ".join([log, *(value for value in others if value not in DEFAULT_KIND)])
        for log, *others in rows[SURFACE[:4]].itertuples(index=False)
    ]
    return pd.Series(told, index=rows.index, name="dataset", dtype=object)


def user_standard_error(runs: pd.DataFrame, metric: str = "NDCG@10") -> pd.Series:
    """The standard error of a run over users, in per cent of its value: of each surface the median, by name."""
    return (
        (100 * runs[f"{metric} se"] / runs[metric])
        .groupby(surface_names(runs))
        .median()
        .rename("users")
    )


def mean_over_surfaces(judged: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Means over surfaces of what `validation.compare_laws` returned, by law; twice, the second with the law as index.

    A surface on which a split leaves too few values for a sum of powers takes no part in the mean of that split; a law that then still has no entry on one has none.
    """
    means = judged.groupby("law", sort=False)[["parameters", "r2"]].mean()
    means["r2"] = means["r2"].round(9) + 0.0  # a mean has no -0.000
    plain = judged[judged["law"] == "sum of powers"].set_index("dataset")
    for split in ("leave-one-out", "largest N", "largest d"):
        told = judged[judged["dataset"].map(plain[split].notna())]
        means[split] = told.groupby("law")[split].agg(lambda column: column.mean(skipna=False))
    return means.reset_index(), means


# ---------------------------------------------------------------- regularisation, depth, data


def tuned_by_size(runs: pd.DataFrame, metric: str = "NDCG@10") -> pd.DataFrame:
    """One row a size: the metric of each dropout at the largest learning rate, and of the setting with the best validation NDCG@10.

    runs: one a size, dropout and learning rate. Columns n_layers, d_emb, "dropout X", chosen, its dropout, its rate.
    """
    cell = list(families.AXES)
    fast = runs[runs["learning_rate"] == runs["learning_rate"].max()]
    told = fast.pivot(index=cell, columns="dropout", values=metric).rename(
        columns=lambda value: f"dropout {value:g}"
    )
    best = runs.loc[runs.groupby(cell)["validation NDCG@10"].idxmax()].set_index(cell)
    return (
        told.assign(
            chosen=best[metric],
            **{"its dropout": best["dropout"], "its rate": best["learning_rate"]},
        )
        .reset_index()
        .rename_axis(columns=None)
    )


def decline_from_best(told: pd.DataFrame, column: str) -> float:
    """How far the largest size is below the best, in per cent (100 × the logarithm of the ratio); 0 where it is the best."""
    return float(
        100 * np.log(told.sort_values(list(families.AXES))[column].iloc[-1] / told[column].max())
    )


def compare_shared_layers(
    runs: pd.DataFrame, noise: float, metric: str = "NDCG@10"
) -> pd.DataFrame:
    """Cells that were run with layers apart and with one block shared by all: means, change (per cent) and its standard error from noise (per cent of a run)."""
    cell = list(families.AXES)[::-1]
    told = (
        runs.groupby([*cell, "shared_layers"])[metric]
        .agg(["mean", "size"])
        .unstack("shared_layers")
        .dropna()
    )
    apart, shared = (told.xs(kind, axis=1, level="shared_layers") for kind in (False, True))
    change, se = (
        100 * np.log(shared["mean"] / apart["mean"]),
        noise * np.sqrt(1 / apart["size"] + 1 / shared["size"]),
    )
    return pd.DataFrame(
        {
            "apart": apart["mean"],
            "shared": shared["mean"],
            "runs": np.minimum(apart["size"], shared["size"]),
            "change": change,
            "se": se,
        }
    ).reset_index()


def fit_with_data(
    runs: pd.DataFrame, law: families.Law, metrics=("log-loss", "NDCG@10")
) -> pd.DataFrame:
    """A law of n_layers, d_emb and tokens on the logs of which shares of the users were trained on, of one model kind by log.

    Columns log, metric, points, scales (of data), r2, leave-one-out (per cent), floor (the same of the mean of all), p_D where the law has it. Logs with fewer than four scales, or
    too few points, are left out.
    """
    others = [name for name in runner.PERTURBATIONS if name != "sample_users"]
    plain, rows = runs[runs[others].isna().all(axis=1) & ~runs["shared_layers"].astype(bool)], []
    for log, here in plain.groupby("log", sort=False):
        here = here.assign(
            tokens=here.groupby(here["sample_users"].fillna(1.0))["tokens"].transform("mean")
        )
        points = here.groupby(["n_layers", "d_emb", "tokens"])[list(metrics)].mean().reset_index()
        if (
            points["tokens"].nunique() < 4
            or len(points) <= len(law.parameters) + 2
            or identifiability.identifiable_rank(law, points) < len(law.parameters)
        ):
            continue
        for metric in metrics:
            y = points[metric].to_numpy()
            fit = fitting.fit(law, points, y)
            error, floor = (
                100 * np.abs(guess / y - 1).mean()
                for guess in (
                    validation.loo_predictions(law, points, y),
                    (y.sum() - y) / (len(y) - 1),
                )
            )
            rows.append(
                (
                    log,
                    metric,
                    len(y),
                    points["tokens"].nunique(),
                    fit.r2,
                    error,
                    floor,
                    fit.parameters.get("p_D", np.nan),
                )
            )
    return pd.DataFrame(
        rows, columns=["log", "metric", "points", "scales", "r2", "leave-one-out", "floor", "p_D"]
    )


def compare_splits(
    table: pd.DataFrame, metric: str, noise: pd.Series, splits=("leave one out", "global time")
) -> pd.DataFrame:
    """Surfaces that were trained under both splits: does what is seen under the first hold under the second?

    One row a log and backbone. Columns log, backbone, cells (in both), correlation (Spearman's, of the cells' values), best under each split (N, d), regret: how far the first's best
    is below the second's under the second (100 × ln of the ratio), noises: over the standard deviation of such a difference between seeds, and each split's noise (per cent of a run).
    """
    rows, same = [], [name for name in SURFACE if name != "split"]
    for key, here in table[(table["metric"] == metric) & table["split"].isin(splits)].groupby(
        same, sort=False
    ):
        one, other = (
            here[here["split"] == split].set_index(list(families.AXES)) for split in splits
        )
        both = one.index.intersection(other.index)
        if len(both) < 3:
            continue
        one, other = one.loc[both], other.loc[both]
        first, best = one["value"].argmax(), other["value"].argmax()
        regret, unit = (
            100 * np.log(other["value"].iloc[best] / other["value"].iloc[first]),
            noise[other["dataset"].iloc[0]] / np.sqrt(other["seeds"]),
        )
        told = {
            "cells": len(both),
            "correlation": spearmanr(one["value"], other["value"]).statistic,
        }
        told |= {
            f"best, {split}": "N {}, d {}".format(*both[place])
            for split, place in zip(splits, (first, best))
        }
        told |= {
            "regret": regret,
            "noises": regret / np.hypot(unit.iloc[first], unit.iloc[best]),
        } | {
            f"noise, {split}": noise[part["dataset"].iloc[0]]
            for split, part in zip(splits, (one, other))
        }
        rows.append(dict(zip(same, key)) | told)
    return pd.DataFrame(rows)


# ---------------------------------------------------------------- predicted before it was trained


def extrapolate(seen: pd.DataFrame, asked: pd.DataFrame, level: float = 0.9) -> pd.DataFrame:
    """What each law of LAWS, fitted to each surface alone, and the joint law of all, say of cells not seen.

    seen: what `mean_surfaces` returned. asked: n_layers and d_emb, asked of every surface. Columns: dataset, metric, law, n_layers, d_emb, predicted,
    low, high (an interval for the mean of as many seeds as the seen cells have). A law that the values along an
    axis do not determine is left out.
    """
    check_level(level)
    asked, rows = asked[list(families.AXES)].reset_index(drop=True), []
    rivals = families.rival_laws()
    for (dataset, metric), surface in seen.groupby(["dataset", "metric"], sort=False):
        for name in EXTRAPOLATED_LAWS:
            law = rivals[name]
            if identifiability.identifiable_rank(law, surface) < len(law.parameters) or len(
                surface
            ) <= len(law.parameters):
                continue
            found = fitting.fit(
                law, surface.reset_index(drop=True), surface["value"].to_numpy()
            ).interval(asked, level)
            rows.append(
                asked.assign(
                    dataset=dataset,
                    metric=metric,
                    law=name,
                    predicted=found["prediction"],
                    low=found["low"],
                    high=found["high"],
                )
            )
    together = mixed.fit_mixed(seen)
    for (dataset, length), _ in seen.groupby(["dataset", "max_seq_len"], sort=False):
        points = asked.assign(dataset=dataset, max_seq_len=length)
        for metric in together.data.metrics:
            found = together.predict(points, metric, level)
            rows.append(
                asked.assign(
                    dataset=dataset,
                    metric=metric,
                    law="joint law",
                    predicted=found["prediction"],
                    low=found["low"],
                    high=found["high"],
                )
            )
    return pd.concat(rows, ignore_index=True)[
        ["dataset", "metric", "law", *families.AXES, "predicted", "low", "high"]
    ]


def score_predictions(
    foretold: pd.DataFrame, measured: pd.DataFrame, noise: pd.Series | None = None
) -> pd.DataFrame:
    """Predictions beside the means over seeds measured later: columns of both, ape (per cent), covered, and, given each surface's
    noise (per cent of a run), unit: the standard deviation of such a mean, and noises: how many of them the error is.
    """
    found = foretold.merge(
        measured[["dataset", "metric", *families.AXES, "value", "sd", "seeds"]],
        on=["dataset", "metric", *families.AXES],
    )
    found["ape"] = 100 * (found["predicted"] / found["value"] - 1).abs()
    found["covered"] = (found["low"] <= found["value"]) & (found["value"] <= found["high"])
    if noise is not None:
        found["unit"] = found["dataset"].map(noise) / np.sqrt(found["seeds"])
        found["noises"] = found["ape"] / found["unit"]
    return found


def first_large_run(runs: pd.DataFrame, small=SMALL_GRID) -> pd.Series:
    """When the first model beyond `small` (N, d) was finished, of each surface, by name."""
    late = runs[(runs["n_layers"] > small[0]) | (runs["d_emb"] > small[1])]
    return late.groupby(surface_names(late))["finished"].min()


def summarise_by_law(
    found: pd.DataFrame, users: pd.Series, small=SMALL_GRID
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What `score_predictions` found (with noises), judged: the cells again, with allowed and within, and the means of each law.

    A prediction is within what is allowed if it is off by at most 1.5 noise units, those of seeds and of users (per cent, by surface) together, or 3 %. Columns of
    the means: law, cells, error, larger N, larger d only, worst, noises, within, covered, width (the median half), all but cells and noises in per cent.
    """
    found = found.assign(allowed=error_tolerance(found["unit"], found["dataset"].map(users)))
    found["within"] = found["ape"] <= found["allowed"]
    found["width"] = 50 * (found["high"] - found["low"]) / found["predicted"]
    deep = found["n_layers"] > small[0]
    told = found.groupby("law", sort=False).agg(cells=("ape", "size"), error=("ape", "mean"))
    told["larger N"], told["larger d only"] = (
        found[part].groupby("law")["ape"].mean() for part in (deep, ~deep)
    )
    of_law = found.groupby("law")
    told["worst"], told["noises"], told["width"] = (
        of_law["ape"].max(),
        of_law["noises"].mean(),
        of_law["width"].median(),
    )
    told["within"], told["covered"] = 100 * of_law["within"].mean(), 100 * of_law["covered"].mean()
    return found, told.reset_index()


def error_tolerance(unit: pd.Series, users: pd.Series) -> pd.Series:
    """How far a prediction may be off (per cent): 1.5 noise units, those of the mean between seeds and of the users together, or 3 %, whichever is larger."""
    return np.maximum(3.0, 1.5 * np.hypot(unit, users))


def bootstrap_means(
    found: pd.DataFrame, by: str, value: str, level: float = 0.9, draws: int = 4000, seed: int = 0
) -> pd.DataFrame:
    """The mean of a column for each of `by`, over surfaces (column dataset), and an interval from a bootstrap over these; columns BY, mean, low, high."""
    means = found.groupby([by, "dataset"], sort=False)[value].mean().unstack("dataset")
    drawn = np.random.default_rng(seed).integers(means.shape[1], size=(draws, means.shape[1]))
    told = np.nanmean(means.to_numpy()[:, drawn], axis=2)
    low, high = np.nanquantile(told, [(1 - level) / 2, (1 + level) / 2], axis=1)
    return pd.DataFrame(
        {by: means.index, "mean": means.mean(axis=1).to_numpy(), "low": low, "high": high}
    )


def shrink_predictions(found: pd.DataFrame, law: str = "joint law", learn=None) -> pd.DataFrame:
    """How much of the change that a law foretells should be believed: what came over what was told, both as ln of the ratio to what the law "constant" says.

    found: of `score_predictions`, one metric. One row a surface. Columns dataset, share (by least squares from the surfaces `learn`, itself left out; None: from all others), and the mean absolute
    errors, in per cent, of law, constant and tempered: the constant, moved by that share of what the law says.
    """
    cell = ["dataset", *families.AXES]
    told = np.log(found.pivot(index=cell, columns="law", values="predicted").clip(lower=1e-6))
    truth = np.log(found.drop_duplicates(cell).set_index(cell)["value"]).reindex(told.index)
    says, came, rows = told[law] - told["constant"], truth - told["constant"], []
    of = told.index.get_level_values("dataset")
    for name in of.unique():
        here, rest = (
            of == name,
            (of != name) & (np.ones(len(of), bool) if learn is None else of.isin(learn)),
        )
        share = float(says[rest] @ came[rest] / (says[rest] @ says[rest]))
        off = {law: says - came, "constant": -came, "tempered": share * says - came}
        rows.append(
            (name, share, *(100 * np.abs(np.expm1(error[here])).mean() for error in off.values()))
        )
    return pd.DataFrame(rows, columns=["dataset", "share", law, "constant", "tempered"])


def seed_sd_by_surface(table: pd.DataFrame, metric: str = "NDCG@10") -> pd.Series:
    """`seed_sd_by_log` of each surface of that metric, in per cent of a run, by its name; that of the log's other surfaces where it has no two seeds."""
    here = table[table["metric"] == metric].rename(columns={"value": metric})
    repeated = here[here["seeds"] > 1]
    own = seed_sd_by_log(repeated.assign(log=repeated["dataset"]), metric)
    of_log = seed_sd_by_log(repeated, metric)
    names = here.drop_duplicates("dataset").set_index("dataset")["log"]
    return own.reindex(names.index).fillna(names.map(of_log)).rename("noise")


# ---------------------------------------------------------------- the optimum


def selection_regret(
    table: pd.DataFrame,
    metric: str,
    noise: pd.Series,
    users: pd.Series | None = None,
    budgets=(1.0, 0.5, 0.25),
    small=SMALL_GRID,
    kept: bool = False,
) -> pd.DataFrame:
    """What each law would choose of all cells, having seen those up to `small` (N, d) only, and what that costs.

    Chosen by validation, judged on test: a rule that chose by the values that judge it would have its luck counted twice. (A table without validation values is chosen from by value.)
    kept: the cells that were seen keep their measured values, and the law is asked for the others alone. noise and users: of each surface, of a run, in per cent: between seeds, and over users
    (`user_standard_error`), of which two models share what SHARED says; None: users are not counted.
    A budget is a share of the most parameters, or of the most FLOPs by token, that a cell of the surface has; 1, which is none, is in once, as of parameters. Rules: the laws of LAWS, the
    best cell seen, and the largest model. Columns: dataset, of (parameters or FLOPs), budget, rule, n_layers, d_emb, value, best (measured), regret (100 × ln of
    their ratio) and noises (regret over the standard deviation that noise gives to such a difference: of the seeds and of the users).
    """
    rows, rivals = [], families.rival_laws()
    for dataset, surface in table[table["metric"] == metric].groupby("dataset", sort=False):
        surface = surface.reset_index(drop=True)
        seen = ((surface["n_layers"] <= small[0]) & (surface["d_emb"] <= small[1])).to_numpy()
        values, sigma = (
            surface["value"].to_numpy(),
            noise[dataset] / np.sqrt(surface["seeds"].to_numpy()),
        )
        known = (
            surface["validation"].to_numpy()
            if "validation" in surface and surface["validation"].notna().all()
            else values
        )
        scores = {
            "best seen": np.where(seen, known, -np.inf),
            "largest model": surface["parameters"].to_numpy(float)
            + 1e-3 * surface["n_layers"].to_numpy(),
        }
        for name in EXTRAPOLATED_LAWS[1:]:
            visible = surface[seen].reset_index(drop=True)
            if (
                identifiability.identifiable_rank(rivals[name], visible)
                == len(rivals[name].parameters)
                < len(visible)
            ):
                told = fitting.fit(rivals[name], visible, known[seen]).predict(surface)
                scores[name] = np.where(seen, known, told) if kept else told
        for of, budget, within in _budgets(surface, budgets):
            best = np.where(within, values, -np.inf).argmax()
            for rule, score in scores.items():
                chosen = np.where(within, score, -np.inf).argmax()
                regret = 100 * np.log(values[best] / values[chosen])
                unit = _unit(sigma[best], sigma[chosen], 0.0 if users is None else users[dataset])
                rows.append(
                    (
                        dataset,
                        of,
                        budget,
                        rule,
                        *surface.loc[chosen, list(families.AXES)],
                        values[chosen],
                        values[best],
                        regret,
                        regret / unit,
                    )
                )
    return pd.DataFrame(
        rows,
        columns=[
            "dataset",
            "of",
            "budget",
            "rule",
            *families.AXES,
            "value",
            "best",
            "regret",
            "noises",
        ],
    )


def _unit(one, other, users):
    """The standard deviation of the difference of two cells' means, from those between seeds and the standard error over users."""
    return np.sqrt(one**2 + other**2 + 2 * (1 - SHARED_USER_CORRELATION) * users**2)


def _budgets(surface, budgets):
    """What costs, the budget as a share of the most that a cell costs, and which cells it allows."""
    flops = [
        model_size.flops_per_token(n, d, length, 257, backbone)
        for n, d, length, backbone in surface[
            [*families.AXES, "max_seq_len", "backbone"]
        ].itertuples(index=False)
    ]
    for of, cost in (
        ("parameters", surface["parameters"].to_numpy(float)),
        ("FLOPs", np.array(flops, float)),
    ):
        for budget in budgets:
            if of == "FLOPs" and budget == 1:
                continue  # no budget, once
            within = cost <= budget * cost.max() * (1 + 1e-9)
            if within.any():
                yield of, budget, within


def oracle_success_rate(
    table: pd.DataFrame,
    metric: str,
    noise: pd.Series,
    users: pd.Series | None = None,
    budgets=(1.0, 0.5, 0.25),
    draws: int = 2000,
    seed: int = 0,
) -> pd.DataFrame:
    """How often the choice of one who knew the true values would be within one noise unit of the best that is measured, in per cent.

    The best that is measured owes part of its value to luck, so that is not always. Nobody knows the true values; two stand in for them, as columns: smooth, a log-quadratic through all
    cells, and rough, the measured values themselves, noise and all, whose differences are too large. One row a surface and budget, as in `selection_regret`.
    """
    law, random, rows = families.rival_laws()["log-quadratic"], np.random.default_rng(seed), []
    for dataset, surface in table[table["metric"] == metric].groupby("dataset", sort=False):
        surface = surface.reset_index(drop=True)
        values, sigma = (
            surface["value"].to_numpy(),
            noise[dataset] / 100 / np.sqrt(surface["seeds"].to_numpy()),
        )
        over = 0.0 if users is None else users[dataset] / 100
        for of, budget, within in _budgets(surface, budgets):
            told = {}
            for name, true in (
                ("smooth", fitting.fit(law, surface, values).predict(surface)),
                ("rough", values),
            ):
                true = np.where(within, np.log(true), -np.inf)
                measured = true + np.hypot(
                    sigma, np.sqrt(1 - SHARED_USER_CORRELATION) * over
                ) * random.normal(size=(draws, len(true)))
                chosen, best = true.argmax(), measured.argmax(axis=1)
                regret = measured[np.arange(draws), best] - measured[:, chosen]
                told[name] = 100 * np.mean(regret <= _unit(sigma[best], sigma[chosen], over))
            rows.append({"dataset": dataset, "of": of, "budget": budget, **told})
    return pd.DataFrame(rows)


def summarise_by_rule(found: pd.DataFrame) -> pd.DataFrame:
    """What `selection_regret` found, by rule: as good (per cent of choices within one noise unit of the best), regret (mean) and worst, and the first two without a budget."""
    means = lambda rows: rows.groupby("rule", sort=False).agg(
        good=("noises", lambda v: 100 * (v <= 1).mean()),
        regret=("regret", "mean"),
        worst=("regret", "max"),
    )
    whole, free = means(found), means(found[found["budget"] == 1.0])
    return (
        whole.join(free[["good", "regret"]].add_suffix(", no budget"))
        .reset_index()
        .rename(columns=lambda name: name.replace("good", "as good"))
    )


# ---------------------------------------------------------------- from one backbone, or log, to another


def transfer_errors(
    table: pd.DataFrame,
    source: str,
    target: str,
    metric: str = "NDCG@10",
    law: families.Law | None = None,
    runs=(1, 2, 3, 4, 6),
    draws: int = 300,
    seed: int = 0,
) -> pd.DataFrame:
    """The law of one surface, recalibrated with a few cells of another, and asked for the rest.

    With z the logarithm of the source's law, ln y = a + b z, b drawn towards 1 (a normal prior of deviation one half, against noise of 5 %).
    Beside it the mean of the same cells, and, from four on, a line in the logarithms of N and d. Columns runs, rule, ape (mean over draws of cells
    and over the cells left), in per cent.
    """
    law, random = law or families.performance(), np.random.default_rng(seed)
    whole = table[table["metric"] == metric]
    known, other = (
        whole[whole["dataset"] == name].reset_index(drop=True) for name in (source, target)
    )
    for name, rows in ((source, known), (target, other)):
        if rows.empty:
            raise InputError(
                f"there is no surface {name!r}; there are {', '.join(whole['dataset'].unique())}"
            )
    z = np.log(fitting.fit(law, known, known["value"].to_numpy()).predict(other))
    y = np.log(other["value"].to_numpy())
    plane = np.column_stack([np.ones(len(y)), *(np.log(other[axis]) for axis in families.AXES)])
    errors = {}
    for k in runs:
        for _ in range(draws):
            order = random.permutation(len(y))
            seen, left = order[:k], order[k:]
            middle, level = z[seen].mean(), y[seen].mean()
            slope = 1 + ((z[seen] - middle) @ (y[seen] - level - z[seen] + middle)) / (
                ((z[seen] - middle) ** 2).sum() + (0.05 / 0.5) ** 2
            )
            told = {
                "carried law": level + slope * (z[left] - middle),
                "mean of the runs": np.full(len(left), level),
            }
            if k >= 4 and np.linalg.matrix_rank(plane[seen]) == 3:
                told["a line of its own"] = plane[left] @ np.linalg.lstsq(plane[seen], y[seen])[0]
            for rule, predicted in told.items():
                errors.setdefault((k, rule), []).append(
                    100 * np.abs(np.expm1(predicted - y[left])).mean()
                )
    return pd.DataFrame(
        [(k, rule, np.mean(found)) for (k, rule), found in errors.items()],
        columns=["runs", "rule", "ape"],
    )


def leave_one_log_out(
    logs: pd.DataFrame, candidates: dict[str, list[str]], value: str = "NDCG@10"
) -> pd.DataFrame:
    """A log's best value predicted from that of the others: ln y = a + b x + …, x being columns of `logs`, one row a log.

    No columns: the mean of the others. Columns log, candidate, value, predicted, ape.
    """
    rows, y = [], np.log(logs[value].to_numpy())
    for name, columns in candidates.items():
        x = np.column_stack(
            [np.ones(len(logs)), *(logs[column].to_numpy(float) for column in columns)]
        )
        if len(logs) < x.shape[1] + 2:
            raise InputError(f"{len(logs)} logs are too few for {len(columns)} columns")
        for i, log in enumerate(logs["log"]):
            others = np.arange(len(logs)) != i
            predicted = np.exp(x[i] @ np.linalg.lstsq(x[others], y[others])[0])
            rows.append(
                (log, name, np.exp(y[i]), predicted, 100 * abs(predicted / np.exp(y[i]) - 1))
            )
    return pd.DataFrame(rows, columns=["log", "candidate", "value", "predicted", "ape"])
