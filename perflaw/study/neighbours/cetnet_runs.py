"""Runs of data/neighbours/cetnet.csv: members together, members alone, one wider model, a student.

All have two layers. A member has the dimension `D_EMB`; one wider model has as many parameters as m
members. The recipe (dropout and weight decay) is chosen by validation for each width, and λ for
each log at m = 2, both on the first seed.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from perflaw.logs.splits import Split
from perflaw.models import backbones, ranking
from perflaw.models.configuration import Config, make_config
from perflaw.models.layers import Weights
from perflaw.study.analysis import study_runs
from perflaw.study.files import append_rows
from perflaw.study.neighbours import cetnet

LOGS = ("ml-100k", "lastfm-s3rec")
SETTINGS: dict[str, Any] = {
    "loss": "sampled_softmax",
    "negatives": 256,
    "max_seq_len": 20,
    "batch_size": 64,
    "learning_rate": 0.003,
    "epochs": 200,
    "patience": 5,
    "validate_every": 2,
    "n_layers": 2,
}
D_EMB = 32
MEMBERS = (2, 4)
SEEDS = (0, 1, 2)
SEEDS_APART = 8  # between the first members of two ensembles, more than any has members
STUDENT_SEED = 1000
RECIPES = ((0.2, 0.0), (0.5, 0.5))  # dropout and weight decay: as elsewhere in the study; strong
STRENGTHS = (0.3, 1.0, 3.0)  # λ
VALIDATION = "validation NDCG@10"

ALONE, TOGETHER, WIDER, STUDENT = "alone", "together", "one wider", "student"
CONFIDENCE, EQUAL, MEAN_MEMBER = "confidence", "equal", "mean member"
FUSIONS = {CONFIDENCE: cetnet.fuse_by_confidence, EQUAL: cetnet.average_equally}


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


KEY = ["log", "training", "members", "seed", "dropout", "weight_decay", "strength"]


def plan_jobs(logs: Sequence[str] = LOGS) -> Iterator[Job]:
    """Yield all jobs of each log: first what validation chooses from, then seed by seed."""
    for log in logs:
        for members, recipe in itertools.product((1, *MEMBERS), RECIPES):
            yield Job(log, WIDER, members, SEEDS[0], recipe)
        for strength in STRENGTHS:
            yield Job(log, TOGETHER, MEMBERS[0], SEEDS[0], None, strength)
        for seed in SEEDS:
            yield Job(log, ALONE, max(MEMBERS), seed)
            for training, members in itertools.product((TOGETHER, WIDER), MEMBERS):
                yield Job(log, training, members, seed)


def choose(rows: pd.DataFrame, columns: Sequence[str], **where: Any) -> tuple[float, ...]:
    """Return the values of columns in the row of the best validation, of the first seed's rows."""
    tried = rows[rows["seed"] == SEEDS[0]]
    for name, value in where.items():
        tried = tried[tried[name] == value]
    best = tried.iloc[tried[VALIDATION].argmax()]
    return tuple(float(best[name]) for name in columns)


def resolve(job: Job, rows: pd.DataFrame) -> Job:
    """Fill in what validation chooses, from the rows that are there."""
    recipe, strength = job.recipe, job.strength
    if recipe is None:
        width = job.members if job.training == WIDER else 1
        where = {"log": job.log, "training": WIDER, "members": width}
        recipe = choose(rows, ("dropout", "weight_decay"), **where)  # type: ignore[assignment]
    if job.training != TOGETHER:
        strength = 0.0
    elif strength is None:
        where = {"log": job.log, "training": TOGETHER, "members": MEMBERS[0], "fusion": CONFIDENCE}
        strength = choose(rows, ("strength",), **where)[0]
    return replace(job, recipe=recipe, strength=strength)


def equal_width(members: int, n_items: int, settings: Mapping[str, Any] = SETTINGS) -> int:
    """Return the dimension of one model with the parameters of so many members, as near as can be.

    Examples
    --------
    >>> equal_width(1, 1682), equal_width(4, 1682)
    (32, 94)
    """

    def size(d_emb: int) -> int:
        config = make_config(**(dict(settings) | {"d_emb": d_emb}))
        return sum(backbones.count_parameters(config, n_items).values())

    wanted = members * size(D_EMB)
    return min(range(D_EMB, members * D_EMB + 1), key=lambda d_emb: abs(size(d_emb) - wanted))


def run_job(job: Job, split: Split, settings: Mapping[str, Any] = SETTINGS) -> list[dict[str, Any]]:
    """Train what a job is of and measure it on test, once.

    Parameters
    ----------
    job : Job
        With nothing left to choose.
    split : Split
        Of the log.
    settings : mapping
        Of all members.

    Returns
    -------
    list of dict
        Rows of the table: `KEY`, fusion (`CONFIDENCE`, `EQUAL`, or `MEAN_MEMBER`, the mean of the
        members' own metrics), d_emb and parameters of all members, best_epoch and done_epochs
        (sums over members trained alone), repeats, NDCG@10 on validation, and HR@10 and NDCG@10
        on test by the rules of ranking; "removed" is the rule of record where nothing repeats.
    """
    dropout, weight_decay = job.recipe or RECIPES[0]
    width = (
        equal_width(job.members, split.log.n_items, settings) if job.training == WIDER else D_EMB
    )
    config = make_config(**settings, d_emb=width, dropout=dropout, weight_decay=weight_decay)
    seeds = range(SEEDS_APART * job.seed, SEEDS_APART * job.seed + job.members)
    configs = [replace(config, seed=seed) for seed in seeds]
    if job.training == WIDER:
        configs = configs[:1]
    if job.training != ALONE:
        together = cetnet.fit(split, configs, job.strength or 0.0)
        rows = _measure_all(job, config, split, together.weights, [together])
        if job.training == TOGETHER and job.members == max(MEMBERS):
            pupil = replace(config, seed=STUDENT_SEED + job.seed)
            student = cetnet.fit(split, [pupil], 1.0, together.weights)
            rows += _measure_all(
                replace(job, training=STUDENT), config, split, student.weights, [student]
            )
        return rows
    fitted = [cetnet.fit(split, [of_member]) for of_member in configs]
    rows = []
    for members in (1, *MEMBERS):
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
    epochs = [np.array([np.argmax(part.curve), len(part.curve) - 1]) + 1 for part in fitted]
    best, done = config.validate_every * np.sum(epochs, axis=0)
    shared = {name: value for name, value in asdict(job).items() if name != "recipe"}
    shared |= {"dropout": config.dropout, "weight_decay": config.weight_decay}
    shared |= {"d_emb": config.d_emb, "parameters": len(weights) * size}
    shared |= {"best_epoch": int(best), "done_epochs": int(done)}
    shared["repeats"] = not ranking.removes_seen(split)

    def measure(parts: Sequence[Weights], fusion: cetnet.Fusion) -> dict[str, float]:
        scorer = cetnet.make_scorer(parts, config, fusion)
        return {VALIDATION: cetnet.validate(scorer, split)} | study_runs.measure_on_test(
            scorer, split
        )

    measured = {name: measure(weights, fusion) for name, fusion in FUSIONS.items()}
    alone = [measure([of_member], cetnet.average_equally) for of_member in weights]
    measured[MEAN_MEMBER] = {
        name: float(np.mean([metrics[name] for metrics in alone])) for name in alone[0]
    }
    if len(weights) == 1:
        measured = {CONFIDENCE: measured[CONFIDENCE]}
    return [shared | {"fusion": name} | metrics for name, metrics in measured.items()]


def complete_table(
    path: Path,
    splits: Mapping[str, Split],
    settings: Mapping[str, Any] = SETTINGS,
) -> Iterator[Job]:
    """Run the jobs whose rows a table lacks, and write it after each.

    Parameters
    ----------
    path : Path
        Of the table, which is made if need be.
    splits : mapping
        From a log's name to its split.
    settings : mapping
        Of all members.

    Yields
    ------
    Job
        That was run.
    """
    rows = pd.read_csv(path) if path.exists() else pd.DataFrame(columns=KEY)
    for planned in plan_jobs(list(splits)):
        job = resolve(planned, rows)
        key = (job.log, job.training, job.members, job.seed, *(job.recipe or ()), job.strength)
        if key in set(rows[KEY].itertuples(index=False, name=None)):
            continue
        new = run_job(job, splits[job.log], settings)
        rows = append_rows(path, rows, new)
        yield job
