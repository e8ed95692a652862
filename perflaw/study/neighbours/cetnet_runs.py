"""Runs of data/neighbours/cetnet.csv: members together, members alone, one wider model, a student.

Settings are those of a member; one wider model has as many parameters as m members. The recipe
(dropout and weight decay) is chosen by validation for each width, and λ for each log at the least
m, both on the first seed.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
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
from perflaw.study.neighbours.script_grids import VALIDATION, best_on_validation

SEEDS_APART = 8  # between the first members of two ensembles, the most that one can have
STUDENT_SEED = 1000

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
    for recipe in plan.recipes:  # refused here, before anything is trained
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


def resolve(job: Job, rows: pd.DataFrame, grid: Grid) -> Job:
    """Fill in what validation chooses, from the rows that are there and the grid still tries."""
    recipe, strength = job.recipe, job.strength
    first: dict[str, Any] = {"log": job.log, "seed": grid.seeds[0]}
    if recipe is None:
        width = job.members if job.training == WIDER else 1
        tried = rows[pd.MultiIndex.from_frame(rows[RECIPE]).isin(grid.recipes)]
        best = best_on_validation(tried, first | {"training": WIDER, "members": width})
        recipe = float(best["dropout"]), float(best["weight_decay"])
    if job.training != TOGETHER:
        strength = 0.0
    elif strength is None:
        tried = rows[rows["strength"].isin(grid.strengths)]
        of_least = {"training": TOGETHER, "members": grid.members[0], "fusion": CONFIDENCE}
        best = best_on_validation(tried, first | of_least | dict(zip(RECIPE, recipe)))
        strength = float(best["strength"])
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
    is_wider = job.training == WIDER
    width = equal_width(job.members if is_wider else 1, split.log.n_items, grid)
    config = _configure(grid, job.recipe, d_emb=width)
    n_models = 1 if is_wider else job.members
    configs = [replace(config, seed=SEEDS_APART * job.seed + i) for i in range(n_models)]
    if job.training == ALONE:
        fitted = [cetnet.fit(split, [of_member]) for of_member in configs]
        rows = []
        for members in (1, *grid.members):
            rows += _make_rows(replace(job, members=members), config, split, fitted[:members])
        return rows
    together = cetnet.fit(split, configs, job.strength or 0.0)
    rows = _make_rows(job, config, split, [together])
    if job.training == TOGETHER and job.members == grid.members[-1]:
        pupil = replace(config, seed=STUDENT_SEED + job.seed)
        student = cetnet.fit(split, [pupil], 1.0, together.weights)
        rows += _make_rows(replace(job, training=STUDENT), config, split, [student])
    return rows


def _make_rows(
    job: Job, config: Config, split: Split, fitted: Sequence[cetnet.Fitted]
) -> list[dict[str, Any]]:
    """Measure the ensemble of all members that were fitted, by each fusion; one row a fusion."""
    weights = [of_member for part in fitted for of_member in part.weights]
    size = sum(backbones.count_parameters(config, split.log.n_items).values())

    def epoch_of(n_validations: int) -> int:
        return min(config.epochs, config.validate_every * n_validations)

    shared = {
        "log": job.log,
        "training": job.training,
        "members": job.members,
        "seed": job.seed,
        "strength": job.strength,
        "dropout": config.dropout,
        "weight_decay": config.weight_decay,
        "d_emb": config.d_emb,
        "parameters": len(weights) * size,
        "best_epoch": sum(epoch_of(1 + int(np.argmax(part.curve))) for part in fitted),
        "done_epochs": sum(epoch_of(len(part.curve)) for part in fitted),
        "repeats": not ranking.removes_seen(split),
    }
    measured = _measure_fusions(weights, config, split)
    return [shared | {"fusion": name} | metrics for name, metrics in measured.items()]


def _measure_fusions(
    weights: Sequence[Weights], config: Config, split: Split
) -> dict[str, dict[str, float]]:
    """Measure an ensemble by each fusion, and its members; a single model fuses nothing."""

    def measure(members: Sequence[Weights], fusion: cetnet.Fusion) -> dict[str, float]:
        scorer = cetnet.make_scorer(members, config, fusion)
        validated = {VALIDATION: study_runs.measure_on_validation(scorer, split)}
        return validated | study_runs.measure_on_test(scorer, split)

    if len(weights) == 1:
        return {CONFIDENCE: measure(weights, cetnet.fuse_by_confidence)}
    measured = {name: measure(weights, fusion) for name, fusion in FUSIONS.items()}
    alone = [measure([of_member], cetnet.average_equally) for of_member in weights]
    means = {name: float(np.mean([metrics[name] for metrics in alone])) for name in alone[0]}
    return measured | {MEAN_MEMBER: means}


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
