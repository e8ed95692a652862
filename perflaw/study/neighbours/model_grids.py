"""Grids of LightGCN and DiffuRec: a rate of Adam by validation on one cell, then every run.

The rate of a log is chosen among those of `tuning`, whose rows stay in the table. A run of `grid`
that names no learning_rate has that rate; one that names no log is of all logs.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from perflaw.errors import InputError
from perflaw.logs.splits import Split
from perflaw.study.files import append_rows
from perflaw.study.neighbours import script_grids

LOG, RATE = "log", "learning_rate"
NAMES = {"LightGCN": "light-gcn", "DiffuRec": "diffu-rec"}  # of grids, by model
SCRIPTS = {"LightGCN": "scripts/light_gcn.py", "DiffuRec": "scripts/diffu_rec.py"}
_SIZES: dict[str, script_grids.Allowed] = {
    "LightGCN": {"n_layers": 0, "d_emb": 1, "seed": 0},
    "DiffuRec": {"n_layers": 1, "d_emb": 4, "seed": 0, "n_steps": 1},
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
    grid = grid or NAMES[model]
    values = script_grids.read_grid(grid, SCRIPTS[model], ("tuning", "grid"))
    sizes = _SIZES[model]
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
    at_cell = rows[(rows[list(cell)] == pd.Series(cell)).all(axis=1) & (rows[LOG] == log)]
    return float(at_cell[RATE].iloc[at_cell["validation NDCG@10"].argmax()])


def complete_table(
    table: Path,
    grid: ModelGrid,
    load_splits: script_grids.LoadSplits,
    train: Callable[[Split, dict[str, Any]], dict[str, Any]],
) -> Iterator[dict[str, Any]]:
    """Train the runs whose rows a table lacks, and write it after each.

    Parameters
    ----------
    table : path
        CSV file, made if need be.
    grid : ModelGrid
    load_splits : callable
        From its logs to their splits.
    train : callable
        From a split and the other values of a run to its row.

    Yields
    ------
    dict
        The run.
    """
    rows = script_grids.load_table(table, grid.key)
    splits = load_splits(grid.logs)
    done = script_grids.known_runs(rows, grid.key)
    for run in grid.plan_runs():
        log = run[LOG]
        run = run | {RATE: run.get(RATE) or choose_rate(rows, log, grid.cell)}
        if (known := tuple(run[name] for name in grid.key)) in done:
            continue
        values = {name: value for name, value in run.items() if name != LOG}
        rows = append_rows(table, rows, [train(splits[log], values)])
        done.add(known)
        yield run
