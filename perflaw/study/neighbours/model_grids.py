"""Grids of LightGCN and DiffuRec: a rate of Adam by validation on one cell, then every run.

The rate of a log is chosen among those of `tuning`, whose rows stay in the table. A run of `grid`
that names no learning_rate has that rate; one that names no log is of all logs.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from perflaw.errors import InputError
from perflaw.logs.splits import Split
from perflaw.study.files import append_rows
from perflaw.study.neighbours import diffu_rec, light_gcn, script_grids

LOG, RATE = "log", "learning_rate"


class Model(NamedTuple):
    """A model with a grid: its names, limits of its sizes, and what trains it to a row."""

    grid: str
    script: str
    sizes: script_grids.Allowed
    train: Callable[[Split, dict[str, Any]], dict[str, Any]]


MODELS = {
    "LightGCN": Model(
        "light-gcn",
        "scripts/light_gcn.py",
        {
            "n_layers": script_grids.USABLE_LAYERS,
            "d_emb": script_grids.USABLE_WIDTHS,
            "seed": script_grids.USABLE_SEEDS,
        },
        lambda split, run: light_gcn.train_light_gcn(split, light_gcn.Options(**run)),
    ),
    "DiffuRec": Model(
        "diffu-rec",
        "scripts/diffu_rec.py",
        {
            "n_layers": script_grids.USABLE_LAYERS[1:],
            "d_emb": range(diffu_rec.HEADS, script_grids.USABLE_WIDTHS.stop, diffu_rec.HEADS),
            "seed": script_grids.USABLE_SEEDS,
            "n_steps": script_grids.whole_numbers(1, 1000),
        },
        lambda split, run: diffu_rec.train_diffu_rec(split, **run),
    ),
}


@dataclass(frozen=True)
class ModelGrid:
    """What is trained of one model.

    Parameters
    ----------
    logs : list of str
    cell : dict
        Where rates are tried: what a run has beside its log and rate.
    rates : list of float
        Tried there.
    runs : list of dict
        By name; log and learning_rate may be missing.
    """

    logs: list[str]
    cell: dict[str, Any]
    rates: list[float]
    runs: list[dict[str, Any]]

    @property
    def key(self) -> list[str]:
        """The columns by which a table knows a run."""
        return [LOG, *self.cell, RATE]

    def plan_runs(self) -> Iterator[dict[str, Any]]:
        """Yield all runs: first what validation chooses from; without a rate where it chooses."""
        for log, rate in itertools.product(self.logs, self.rates):
            yield self.cell | {LOG: log, RATE: rate}
        for run in self.runs:
            for log in [run[LOG]] if LOG in run else self.logs:
                yield run | {LOG: log}


def read_grid(model: str, grid: str | Path | None = None) -> ModelGrid:
    """Read a grid of `LightGCN` or `DiffuRec`; the committed one if none is named.

    Raises
    ------
    InputError
        For a part, a name or a value that cannot be.
    """
    name, script, sizes, _ = MODELS[model]
    values = script_grids.read_grid(grid or name, script, ("tuning", "grid"))
    axes = {**sizes, RATE: script_grids.LEAST_RATE}
    tuning = script_grids.list_runs(values["tuning"], axes, "tuning")
    rates = [run.pop(RATE) for run in tuning]
    if any(run != tuning[0] for run in tuning):
        raise InputError("tuning needs one cell: lists belong to learning_rate alone")
    runs = script_grids.list_runs(
        values["grid"], {**axes, LOG: values["logs"]}, optional=(LOG, RATE)
    )
    return ModelGrid(values["logs"], tuning[0], rates, runs)


def choose_rate(rows: pd.DataFrame, log: str, cell: Mapping[str, Any]) -> float:
    """Return the learning rate with the best NDCG@10 on validation, at the cell of the tuning."""
    return float(script_grids.best_on_validation(rows, {**cell, LOG: log})[RATE])


def complete_table(
    model: str, table: Path, grid: str | Path, load_splits: script_grids.LoadSplits
) -> Iterator[dict[str, Any]]:
    """Train the runs whose rows a table lacks, and write it after each.

    Parameters
    ----------
    model : str
        One of `MODELS`.
    table : path
        CSV file, made if need be.
    grid : str or path
        What `read_grid` takes.
    load_splits : callable
        From its logs to their splits.

    Yields
    ------
    dict
        The run.
    """
    plan = read_grid(model, grid)
    rows = script_grids.load_table(table, plan.key, script_grids.MEASURED)
    splits = load_splits(plan.logs)
    done = script_grids.known_runs(rows, plan.key)
    for run in plan.plan_runs():
        log = run[LOG]
        if RATE not in run:
            tried = rows[rows[RATE].isin(plan.rates)]
            run = run | {RATE: choose_rate(tried, log, plan.cell)}
        key = tuple(run[name] for name in plan.key)
        if key not in done:
            values = {name: value for name, value in run.items() if name != LOG}
            rows = append_rows(table, rows, [MODELS[model].train(splits[log], values)])
            done.add(key)
            yield run
