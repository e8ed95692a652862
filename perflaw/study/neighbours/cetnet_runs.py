"""Runs of data/neighbours/cetnet.csv: members together, members alone, one wider model, a student.

Settings are those of a member; one wider model has as many parameters as m members. The recipe
(dropout and weight decay) is chosen by validation for each width, and λ for each log at the least
m, both on the first seed.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from perflaw.errors import InputError
from perflaw.logs.splits import Split
from perflaw.models import backbones, ranking
from perflaw.models.configuration import MOST_DIMENSIONS, MOST_WHOLE, Config, make_config
from perflaw.models.layers import Weights
from perflaw.study.analysis import study_runs
from perflaw.study.files import append_rows
from perflaw.study.neighbours import cetnet, script_grids

SEEDS_APART = 8  # between the first members of two ensembles, the most that one can have
STUDENT_SEED = 1000
VALIDATION = "validation NDCG@10"

ALONE, TOGETHER, WIDER, STUDENT = "alone", "together", "one wider", "student"
CONFIDENCE, EQUAL, MEAN_MEMBER = "confidence", "equal", "mean member"
FUSIONS = {CONFIDENCE: cetnet.fuse_by_confidence, EQUAL: cetnet.average_equally}


_COUNTS = ("negatives", "max_seq_len", "batch_size", "epochs", "patience", "validate_every")
_SETTINGS: script_grids.Allowed = {
    **dict.fromkeys((*_COUNTS, "n_layers"), script_grids.whole_numbers(1)),
    "learning_rate": script_grids.LEAST_RATE,
    "d_emb": script_grids.whole_numbers(2, MOST_DIMENSIONS // SEEDS_APART),  # one wider has more
}
RECIPE = ["dropout", "weight_decay"]
_PARTS = ("settings", "recipes", "tuning", "grid")
_RECIPE_LIMITS: script_grids.Allowed = dict.fromkeys(RECIPE, 0.0)
_RUN: script_grids.Allowed = {
    "members": script_grids.whole_numbers(2, SEEDS_APART),
    "seed": script_grids.whole_numbers(0, MOST_WHOLE // SEEDS_APART - 1),  # each has SEEDS_APART
}


@dataclass(frozen=True)
class Grid:
    """What is trained.

    Parameters
    ----------
    logs : list of str
    settings : dict
        Of a member's `Config`, all but the recipe and the seed.
    recipes : list of tuple
        Dropout and weight decay that are tried.
    strengths : list of float
        λ that are tried.
    members, seeds : list of int
        m, from the least on, and seeds.
    """

    logs: list[str]
    settings: dict[str, Any]
    recipes: list[tuple[float, float]]
    strengths: list[float]
    members: list[int]
    seeds: list[int]


def read_grid(grid: str | Path = "cetnet") -> Grid:
    """Read the grid of data/neighbours/cetnet.csv, or another of its form.

    Raises
    ------
    InputError
        For a part, a name or a value that cannot be.
    """
    values = script_grids.read_grid(grid, "scripts/cetnet.py", _PARTS)
    settings = script_grids.check_values(values["settings"], _SETTINGS, "settings")
    settings["loss"] = "sampled_softmax"  # the only one that cetnet.fit has
    recipes = script_grids.list_runs(values["recipes"], _RECIPE_LIMITS, "recipes")
    tried = script_grids.list_runs(values["tuning"], {"strength": 0.0}, "tuning")
    runs = script_grids.list_runs(values["grid"], _RUN)
    members = sorted({run["members"] for run in runs})
    seeds = list(dict.fromkeys(run["seed"] for run in runs))
    if len(runs) != len(members) * len(seeds):
        raise InputError("grid needs each number of members with each seed")
    plan = Grid(
        values["logs"],
        settings,
        [(recipe["dropout"], recipe["weight_decay"]) for recipe in recipes],
        [run["strength"] for run in tried],
        members,
        seeds,
    )
    for recipe in plan.recipes:
        _configure(plan, recipe)
    return plan


def _configure(grid: Grid, recipe: tuple[float, float] | None, **others: Any) -> Config:
    """Make the configuration of a member, or of a model like it."""
    dropout, weight_decay = recipe or (0.0, 0.0)
    return make_config(**(grid.settings | others), dropout=dropout, weight_decay=weight_decay)


@dataclass(frozen=True)
class Job:
    """What is trained at once.

    Parameters
    ----------
    log, training : str
        The log, and one of `ALONE`, `TOGETHER`, `WIDER`. A job of the most members together also
        trains their student.
    members : int
        m; of one wider model, how many members have its parameters.
    seed : int
        Of the replicate.
    recipe : tuple of float, optional
        Dropout and weight decay; None: those chosen by validation.
    strength : float, optional
        λ, of members together; None: that chosen by validation.
    """

    log: str
    training: str
    members: int
    seed: int
    recipe: tuple[float, float] | None = None
    strength: float | None = None


KEY = ["log", "training", "members", "seed", *RECIPE, "strength"]
ROW_KEY = [*KEY, "fusion"]
MEASURED = ("d_emb", "parameters", *script_grids.MEASURED)


def plan_jobs(grid: Grid) -> Iterator[Job]:
    """Yield all jobs of each log: first what validation chooses from, then seed by seed."""
    least, most, first = grid.members[0], grid.members[-1], grid.seeds[0]
    for log in grid.logs:
        for members, recipe in itertools.product((1, *grid.members), grid.recipes):
            yield Job(log, WIDER, members, first, recipe)
        for strength in grid.strengths:
            yield Job(log, TOGETHER, least, first, None, strength)
        for seed in grid.seeds:
            yield Job(log, ALONE, most, seed)
            for training, members in itertools.product((TOGETHER, WIDER), grid.members):
                yield Job(log, training, members, seed)


def choose(rows: pd.DataFrame, columns: Sequence[str], **where: Any) -> tuple[float, ...]:
    """Return the values of columns in the row of the best validation, of rows with these values."""
    tried = rows
    for name, value in where.items():
        tried = tried[tried[name] == value]
    best = tried.iloc[tried[VALIDATION].argmax()]
    return tuple(float(best[name]) for name in columns)


def resolve(job: Job, rows: pd.DataFrame, grid: Grid) -> Job:
    """Fill in what validation chooses, from the rows that are there and the grid still tries."""
    recipe, strength = job.recipe, job.strength
    of_log = {"log": job.log, "seed": grid.seeds[0]}
    if recipe is None:
        width = job.members if job.training == WIDER else 1
        where = of_log | {"training": WIDER, "members": width}
        tried = rows[pd.MultiIndex.from_frame(rows[RECIPE]).isin(grid.recipes)]
        dropout, weight_decay = choose(tried, RECIPE, **where)
        recipe = dropout, weight_decay
    if job.training != TOGETHER:
        strength = 0.0
    elif strength is None:
        where = of_log | {"training": TOGETHER, "members": grid.members[0], "fusion": CONFIDENCE}
        where |= dict(zip(RECIPE, recipe or ()))
        tried = rows[rows["strength"].isin(grid.strengths)]
        strength = choose(tried, ("strength",), **where)[0]
    return replace(job, recipe=recipe, strength=strength)


def equal_width(members: int, n_items: int, grid: Grid) -> int:
    """Return the dimension of one model with the parameters of so many members, as near as can be.

    Examples
    --------
    >>> equal_width(1, 1682, read_grid()), equal_width(4, 1682, read_grid())
    (32, 94)
    """

    def size(d_emb: int) -> int:
        config = _configure(grid, None, d_emb=d_emb)
        return sum(backbones.count_parameters(config, n_items).values())

    of_member = grid.settings["d_emb"]
    wanted = members * size(of_member)
    widths = range(of_member, members * of_member + 1)
    return min(widths, key=lambda d_emb: abs(size(d_emb) - wanted))


def list_keys(job: Job, grid: Grid) -> list[tuple[Any, ...]]:
    """List the values of `ROW_KEY` in the rows that `run_job` makes of a job."""
    trained = [(job.training, job.members)]
    if job.training == ALONE:
        trained = [(ALONE, members) for members in (1, *grid.members)]
    if job.training == TOGETHER and job.members == grid.members[-1]:
        trained.append((STUDENT, job.members))
    keys: list[tuple[Any, ...]] = []
    for training, members in trained:
        is_single = members == 1 or training in (WIDER, STUDENT)
        for fusion in [CONFIDENCE] if is_single else [*FUSIONS, MEAN_MEMBER]:
            chosen = (*(job.recipe or ()), job.strength, fusion)
            keys.append((job.log, training, members, job.seed, *chosen))
    return keys


def run_job(job: Job, split: Split, grid: Grid) -> list[dict[str, Any]]:
    """Train what a job is of and measure it on test, once.

    Parameters
    ----------
    job : Job
        With nothing left to choose.
    split : Split
        Of the log.
    grid : Grid

    Returns
    -------
    list of dict
        Rows of the table: `KEY`, fusion (`CONFIDENCE`, `EQUAL`, or `MEAN_MEMBER`, the mean of the
        members' own metrics), d_emb and parameters of all members, best_epoch and done_epochs
        (sums over members trained alone), repeats, NDCG@10 on validation, and HR@10 and NDCG@10
        on test by the rules of ranking; "removed" is the rule of record where nothing repeats.
    """
    wider = job.members if job.training == WIDER else 1
    width = equal_width(wider, split.log.n_items, grid)
    config = _configure(grid, job.recipe, d_emb=width)
    seeds = range(SEEDS_APART * job.seed, SEEDS_APART * job.seed + job.members)
    configs = [replace(config, seed=seed) for seed in seeds]
    if job.training == WIDER:
        configs = configs[:1]
    if job.training != ALONE:
        together = cetnet.fit(split, configs, job.strength or 0.0)
        rows = _measure_all(job, config, split, together.weights, [together])
        if job.training == TOGETHER and job.members == grid.members[-1]:
            pupil = replace(config, seed=STUDENT_SEED + job.seed)
            student = cetnet.fit(split, [pupil], 1.0, together.weights)
            rows += _measure_all(
                replace(job, training=STUDENT), config, split, student.weights, [student]
            )
        return rows
    fitted = [cetnet.fit(split, [of_member]) for of_member in configs]
    rows = []
    for members in (1, *grid.members):
        of_ensemble = fitted[:members]
        weights = [of_member.weights[0] for of_member in of_ensemble]
        rows += _measure_all(replace(job, members=members), config, split, weights, of_ensemble)
    return rows


def _measure_all(
    job: Job,
    config: Config,
    split: Split,
    weights: Sequence[Weights],
    fitted: Sequence[cetnet.Fitted],
) -> list[dict[str, Any]]:
    """Measure an ensemble by each fusion, and its members."""
    size = sum(backbones.count_parameters(config, split.log.n_items).values())
    validations = [np.array([np.argmax(part.curve), len(part.curve) - 1]) + 1 for part in fitted]
    epochs = np.minimum(config.epochs, config.validate_every * np.stack(validations))
    best, done = epochs.sum(axis=0)
    shared = {name: value for name, value in asdict(job).items() if name != "recipe"}
    shared |= {"dropout": config.dropout, "weight_decay": config.weight_decay}
    shared |= {"d_emb": config.d_emb, "parameters": len(weights) * size}
    shared |= {"best_epoch": int(best), "done_epochs": int(done)}
    shared["repeats"] = not ranking.removes_seen(split)

    def measure(parts: Sequence[Weights], fusion: cetnet.Fusion) -> dict[str, float]:
        scorer = cetnet.make_scorer(parts, config, fusion)
        validated = {VALIDATION: study_runs.measure_on_validation(scorer, split)}
        return validated | study_runs.measure_on_test(scorer, split)

    measured = {name: measure(weights, fusion) for name, fusion in FUSIONS.items()}
    alone = [measure([of_member], cetnet.average_equally) for of_member in weights]
    measured[MEAN_MEMBER] = {
        name: float(np.mean([metrics[name] for metrics in alone])) for name in alone[0]
    }
    if len(weights) == 1:
        measured = {CONFIDENCE: measured[CONFIDENCE]}
    return [shared | {"fusion": name} | metrics for name, metrics in measured.items()]


def complete_table(
    table: Path, grid: str | Path, load_splits: script_grids.LoadSplits
) -> Iterator[Job]:
    """Run the jobs whose rows a table lacks, and write it after each.

    Parameters
    ----------
    table : path
        CSV file, made if need be.
    grid : str or path
        What `read_grid` takes.
    load_splits : callable
        From its logs to their splits.

    Yields
    ------
    Job
        That was run.
    """
    plan = read_grid(grid)
    rows = script_grids.load_table(table, ROW_KEY, MEASURED)
    splits = load_splits(plan.logs)
    for planned in plan_jobs(plan):
        job = resolve(planned, rows, plan)
        lacking = set(list_keys(job, plan)) - script_grids.known_runs(rows, ROW_KEY)
        if lacking:
            made = run_job(job, splits[job.log], plan)
            new = [row for row in made if tuple(row[name] for name in ROW_KEY) in lacking]
            rows = append_rows(table, rows, new)
            yield job
