"""Sizes compared by their best recipe: eight recipes drawn at random, the best with new seeds.

The question, the measure and the verdicts were declared before the runs (data/grids/QUEUE.md).
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pandas as pd

from perflaw.laws import families
from perflaw.models.sweeps import grids, results
from perflaw.stats import check_level
from perflaw.study.analysis import study_runs
from perflaw.study.user_gains import load_user_gains

RECIPE = ("learning_rate", "dropout", "weight_decay")
MONOTONE, FALLS, UNDECIDED = "monotone", "falls", "undecided"
FALL_FROM = 32  # the dimension from which a fall was seen at one recipe
PREDICTED_CHANGES = {(32, 64): (0.0, 6.0), (64, 128): (-2.0, 4.0)}  # per cent, declared
_SIZE = list(families.AXES)


def load_recipe_runs(log: str) -> pd.DataFrame:
    """Load the runs of the grid `recipes` on a log, one row a size, recipe and seed.

    Sizes of which a recipe has not been trained yet are left out.
    """
    grid = grids.read_grid("recipes")
    settings = grid["settings"] | study_runs.USUAL_KIND | {"log": log}
    runs = study_runs.select_full_data_runs(study_runs.load_study_runs(growing=True), **settings)
    recipes = pd.DataFrame(grid["grid"])[list(RECIPE)].astype(float)
    recipes["recipe"] = recipes.index + 1
    named = runs.merge(recipes, on=list(RECIPE))
    n_trained = named.groupby(_SIZE)["recipe"].transform("nunique")
    return named[n_trained == len(recipes)].reset_index(drop=True)


def load_gains(runs: pd.DataFrame, metric: str = "NDCG@10") -> pd.Series:
    """Load what each test user adds to a metric in runs of one log with the same seeds.

    Parameters
    ----------
    runs
        Rows of `load_recipe_runs`.
    metric
        NDCG@10 or HR@10.

    Returns
    -------
    Series
        As `draw_values` takes them.
    """
    (log,) = runs["log"].unique()
    by_run: dict[str, np.ndarray] = {}
    for path in (results.sweeps_folder() / "growing").glob(f"{log}*.npz"):
        if not path.stem.endswith("-least"):
            by_run |= load_user_gains(path, runs["key"], metric)
    gains = {
        size: np.stack([by_run[key] for key in of_size.sort_values("seed")["key"]])
        for size, of_size in runs.groupby(_SIZE)
    }
    return pd.Series(gains).rename_axis(_SIZE)


def choose_by_validation(runs: pd.DataFrame, metric: str = "NDCG@10") -> pd.DataFrame:
    """Choose the recipe of each size by validation, and measure it with seeds it was not chosen by.

    Parameters
    ----------
    runs
        As `load_recipe_runs` returns them; the choice is among those of seed 0.
    metric
        Name of the metric.

    Returns
    -------
    DataFrame
        One row a size: n_layers, d_emb, the settings of the recipe, its number, validation (best
        NDCG@10 of seed 0), chosen (the metric on test of seed 0), value (its mean over the other
        seeds) and seeds (how many).
    """
    tried = runs[runs["seed"] == 0]
    best = tried.loc[tried.groupby(_SIZE)["validation NDCG@10"].idxmax()]
    table = best[[*_SIZE, *RECIPE, "recipe"]].assign(
        validation=best["validation NDCG@10"], chosen=best[metric]
    )
    again = runs[runs["seed"] > 0].groupby([*_SIZE, "recipe"])[metric].agg(["mean", "size"])
    again = again.rename(columns={"mean": "value", "size": "seeds"}).reset_index()
    return table.merge(again, how="left").fillna({"seeds": 0}).astype({"seeds": int})


def select_new_seeds(runs: pd.DataFrame, chosen: pd.DataFrame) -> pd.DataFrame:
    """Select the runs of the chosen recipes with seeds that they were not chosen by.

    Parameters
    ----------
    runs, chosen
        What `choose_by_validation` takes and returns.
    """
    return runs[runs["seed"] > 0].merge(chosen[[*_SIZE, "recipe"]])


def draw_values(
    gains: pd.Series, draws: int = 2000, seed: int = 0
) -> tuple[pd.Series, pd.DataFrame, pd.DataFrame]:
    """Draw what the metric of each size could have been with other users and other seeds.

    Parameters
    ----------
    gains
        Index n_layers, d_emb: arrays of as many seeds, two or more, by as many users, what each
        user adds to the metric in each run.
    draws
        How often users are drawn with replacement, the same for all sizes. To each size the mean
        of as many deviations of seeds is added, drawn from those of all sizes.
    seed
        Of the draws.

    Returns
    -------
    observed : Series
        The logarithm of the metric of each size, a mean over seeds.
    drawn : DataFrame
        The same drawn, a column a size and a row a draw. The noise of seeds is taken as known.
    wider : DataFrame
        The same draws, the noise of each scaled as Student's distribution has it: it is estimated
        from as many degrees of freedom as there are runs less sizes.
    """
    random = np.random.default_rng(seed)
    by_user = np.stack(list(gains))
    n_sizes, n_seeds, n_users = by_user.shape
    by_seed = np.log(by_user.mean(axis=2))
    observed = pd.Series(by_seed.mean(axis=1), gains.index)
    deviations = by_seed - by_seed.mean(axis=1, keepdims=True)
    deviations *= np.sqrt(n_seeds / (n_seeds - 1))  # those of few from their mean are short
    noise = random.choice(deviations.ravel(), size=(draws, n_sizes, n_seeds)).mean(axis=2)
    resampled = np.empty((draws, n_sizes))
    for row in resampled:
        weights = np.bincount(random.integers(n_users, size=n_users), minlength=n_users)
        row[:] = np.log(by_user @ (weights / n_users)).mean(axis=1)
    dof = n_sizes * (n_seeds - 1)
    scale = np.sqrt(dof / random.chisquare(dof, size=(draws, 1)))
    drawn, wider = (
        pd.DataFrame(resampled + part, columns=gains.index) for part in (noise, noise * scale)
    )
    return observed, drawn, wider


def compare_dimensions(
    observed: pd.Series, drawn: pd.DataFrame, level: float = 0.9
) -> pd.DataFrame:
    """Compare dimensions at each depth: every step, and the two changes that verdicts are about.

    Parameters
    ----------
    observed, drawn
        As `draw_values` returns them.
    level
        Of the intervals.

    Returns
    -------
    DataFrame
        Columns n_layers, from, to (dimensions), change (per cent), low and high.
    """
    check_level(level)
    rows = []
    for depth in drawn.columns.unique("n_layers"):
        values, of_depth = observed[depth], drawn[depth]
        smallest, largest = min(of_depth), max(of_depth)
        pairs = [*pairwise(of_depth), (smallest, largest), (FALL_FROM, largest)]
        for small, large in dict.fromkeys(pairs):
            change = of_depth[large] - of_depth[small]
            low, high = change.quantile([(1 - level) / 2, (1 + level) / 2])
            changes = 100 * np.expm1([values[large] - values[small], low, high])
            rows.append((depth, small, large, *changes))
    return pd.DataFrame(rows, columns=["n_layers", "from", "to", "change", "low", "high"])


def simulate_coverage(simulations: int) -> pd.DataFrame:
    """Count how often the intervals hold zero where all sizes are equally good.

    Eight sizes of two seeds share their users. Seeds differ by 5 %, far more than users do.

    Parameters
    ----------
    simulations
        How many.

    Returns
    -------
    DataFrame
        Rows declared and wider: simulations, and inside, those whose interval of the change from
        d = 32 to 64 at one layer holds zero.
    """
    sizes = pd.MultiIndex.from_product([(1, 3), (16, 32, 64, 128)], names=["n_layers", "d_emb"])
    inside = []
    for seed in range(simulations):
        random = np.random.default_rng(seed)
        shared = random.uniform(0.5, 1.5, size=400)
        noise = np.exp(0.05 * random.normal(size=(len(sizes), 2, 1)))
        observed, *both = draw_values(pd.Series(list(0.1 * noise * shared), sizes), draws=200)
        steps = [compare_dimensions(observed, drawn).iloc[1] for drawn in both]
        inside.append([step["low"] < 0 < step["high"] for step in steps])
    return pd.DataFrame(
        {"simulations": simulations, "inside": np.sum(inside, axis=0)}, ["declared", "wider"]
    ).rename_axis("interval")


def judge_depths(changes: pd.DataFrame) -> pd.Series:
    """Give the declared verdict on each depth.

    Parameters
    ----------
    changes
        As `compare_dimensions` returns them.

    Returns
    -------
    Series
        Index n_layers. `MONOTONE`: no step is a fall whose interval excludes zero, and from the
        smallest dimension to the largest there is a rise whose interval does. `FALLS`: from
        `FALL_FROM` to the largest there is a fall whose interval excludes zero. Else `UNDECIDED`.
    """
    verdicts = {}
    for depth, rows in changes.groupby("n_layers"):
        ends = rows.set_index(["from", "to"])
        dimensions = sorted({*rows["from"], *rows["to"]})
        smallest, largest = dimensions[0], dimensions[-1]
        has_fall = any(ends["high"][step] < 0 for step in pairwise(dimensions))
        rises = ends["low"][smallest, largest] > 0
        if ends["high"][FALL_FROM, largest] < 0:
            verdicts[depth] = FALLS
        else:
            verdicts[depth] = MONOTONE if rises and not has_fall else UNDECIDED
    return pd.Series(verdicts, name="verdict").rename_axis("n_layers")


def judge_predictions(
    chosen: pd.DataFrame, changes: pd.DataFrame, verdicts: pd.Series
) -> pd.DataFrame:
    """Set what was predicted before the runs, for any log and depth, beside what was observed.

    Parameters
    ----------
    chosen, changes, verdicts
        As `choose_by_validation`, `compare_dimensions` and `judge_depths` return them.

    Returns
    -------
    DataFrame
        One row a depth and prediction: n_layers, predicted and observed (texts), as_predicted.
        The dropout rises if it falls in no step and is higher at the largest dimension.
    """
    by_step = changes.set_index(["n_layers", "from", "to"])["change"]
    rows = []
    for depth, sizes in chosen.groupby("n_layers"):
        verdict = verdicts[depth]
        rows.append((depth, f"verdict: {MONOTONE}", verdict, verdict == MONOTONE))
        for (small, large), (low, high) in PREDICTED_CHANGES.items():
            change = by_step[depth, small, large]
            predicted = f"d = {small} to {large}: {low:g} to {high:g} %"
            rows.append((depth, predicted, f"{change:+.1f} %", low <= change <= high))
        dropouts = sizes.sort_values("d_emb")["dropout"]
        has_risen = dropouts.is_monotonic_increasing and dropouts.iloc[-1] > dropouts.iloc[0]
        observed = ", ".join(f"{dropout:g}" for dropout in dropouts)
        rows.append((depth, "dropout rises with d", observed, has_risen))
    return pd.DataFrame(rows, columns=["n_layers", "predicted", "observed", "as_predicted"])


def hold_recipes(runs: pd.DataFrame, metric: str = "NDCG@10") -> pd.DataFrame:
    """Tabulate each recipe held for all dimensions, one seed a run.

    Parameters
    ----------
    runs
        As `load_recipe_runs` returns them.
    metric
        Name of the metric.

    Returns
    -------
    DataFrame
        One row a recipe and depth: the settings of the recipe, recipe, n_layers, a column a
        dimension, and change, that from `FALL_FROM` to the largest, in per cent.
    """
    tried = runs[runs["seed"] == 0]
    table = tried.pivot(index=["recipe", *RECIPE, "n_layers"], columns="d_emb", values=metric)
    change = 100 * (table.iloc[:, -1] / table[FALL_FROM] - 1)
    table.columns = [f"d = {d}" for d in table]
    return table.assign(change=change).reset_index()


class LogOfRecipes(NamedTuple):
    """What the sweep of recipes says of one log; `analyse_log` makes it.

    `tried` and `again` are runs with all recipes and with the chosen ones, `usual` those with the
    study's usual recipe at the same depths, none smaller. `chosen` is a row a size, with the mean
    of the usual recipe, and the gain over it in per cent. `changes` is what `compare_dimensions`
    returns, with the ends of its wider interval, and the change at the usual recipe. `verdicts`,
    `predictions` and `held` are what `judge_depths`, `judge_predictions` and `hold_recipes` return.
    """

    tried: pd.DataFrame
    again: pd.DataFrame
    usual: pd.DataFrame
    chosen: pd.DataFrame
    changes: pd.DataFrame
    verdicts: pd.Series
    predictions: pd.DataFrame
    held: pd.DataFrame


def analyse_log(log: str, metric: str = "NDCG@10", level: float = 0.9) -> LogOfRecipes:
    """Do all that was declared for a log.

    Parameters
    ----------
    log
        Name of a log with runs of the grid `recipes`, and new seeds of its chosen recipes.
    metric
        NDCG@10 or HR@10.
    level
        Of the intervals.
    """
    tried = load_recipe_runs(log)
    chosen = choose_by_validation(tried, metric)
    again = select_new_seeds(tried, chosen)
    usual = study_runs.load_base_runs(grids.read_grid("base")["settings"], log)
    is_beside = usual["n_layers"].isin(chosen["n_layers"])
    usual = usual[is_beside & (usual["d_emb"] >= chosen["d_emb"].min())]
    means = usual.groupby(_SIZE)[metric].mean().rename("usual").reset_index()
    chosen = chosen.merge(means, how="left")
    chosen["gain"] = 100 * (chosen["value"] / chosen["usual"] - 1)
    observed, drawn, wider = draw_values(load_gains(again, metric))
    changes = compare_dimensions(observed, drawn, level)
    changes[["wider_low", "wider_high"]] = compare_dimensions(observed, wider, level)[
        ["low", "high"]
    ]
    by_size = chosen.set_index(_SIZE)["usual"]
    at_usual = [
        100 * (by_size[depth, large] / by_size[depth, small] - 1)
        for depth, small, large in changes[["n_layers", "from", "to"]].itertuples(index=False)
    ]
    verdicts = judge_depths(changes)
    predictions = judge_predictions(chosen, changes, verdicts)
    held = hold_recipes(tried, metric)
    return LogOfRecipes(
        tried, again, usual, chosen, changes.assign(usual=at_usual), verdicts, predictions, held
    )
