"""Repeat runs of a consolidated sweep, and compare the results."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Mapping
from typing import Any

import pandas as pd
import torch

from perflaw.errors import InputError
from perflaw.logs.interaction_log import InteractionLog
from perflaw.logs.perturbations import PERTURBATIONS
from perflaw.models.configuration import LATER_SETTINGS, Config
from perflaw.models.sweeps.grids import LATER, RUN_DEFAULTS, GridPoint, grid_point, split_of
from perflaw.models.sweeps.results import read_runs_table
from perflaw.models.training import run_records, trainer

COMPARED = ["log", "n_layers", "d_emb", "seed"]  # columns
COLUMNS = ["key", *COMPARED, "was", "now", "within", "equal"]


def verify(
    name: str | os.PathLike,
    runs: int = 3,
    log: InteractionLog | None = None,
    tolerance: float = 0.1,
    seed: int = 0,
    progress: bool = True,
) -> pd.DataFrame:
    """Repeat runs of a consolidated sweep, drawn at random, on the CPU.

    Parameters
    ----------
    name : path or str
        What `read_runs_table` takes.
    runs : int
        How many.
    log : InteractionLog, optional
        Whose runs are drawn, if the table has some; by default the logs that the table names.
    tolerance : float
        Share of the old value by which the new one may differ. On another machine, or with other
        versions, rounding grows into the noise between seeds, which is some per cent.
    seed : int
        Of the draw.

    Returns
    -------
    DataFrame
        key, log, n_layers, d_emb, seed, was and now (NDCG@10 on test), `within` (the tolerance) and
        `equal` (to six digits, as on the same machine it should be).

    Raises
    ------
    InputError
        For a log or a version that gives another key: then it would be another run.
    """
    if not tolerance >= 0:
        raise InputError(f"a tolerance of {tolerance} is no share; use one such as 0.1")
    table = _repeatable_runs(name)
    if log is not None and (on_log := table["data_hash"] == log.hash).any():
        table = table[on_log]
    drawn = table.sample(min(runs, len(table)), random_state=seed)
    _check_drawn(name, drawn)
    logs = {log_name: log or _load_named(log_name) for log_name in drawn["log"].unique()}
    rows = []
    for _, old in drawn.iterrows():
        key, now = _repeat(old, logs[old["log"]], progress)
        was = old["NDCG@10"]
        equal = float(f"{now:.6g}") == was
        within = equal or abs(now - was) <= tolerance * was
        rows.append((key, *old[COMPARED], was, now, within, equal))
    return pd.DataFrame(rows, columns=COLUMNS)


def _repeatable_runs(name: str | os.PathLike) -> pd.DataFrame:
    """Return the runs of a table that came to an end."""
    table = read_runs_table(name)
    required = (*RUN_DEFAULTS, "data_hash", "threads", "NDCG@10")
    if missing := [column for column in required if column not in table and column not in LATER]:
        raise InputError(f"{name} cannot be repeated: it has no column {missing[0]}")
    finished = table[table["NDCG@10"].notna()]
    if finished.empty:
        raise InputError(f"{name} has no run that came to an end")
    return finished


def _check_drawn(name: str | os.PathLike, drawn: pd.DataFrame) -> None:
    """Refuse values that no run can have, before any is trained."""
    finite = sys.float_info.max
    optional = [column for column in ("sample_log", *PERTURBATIONS) if column in drawn]
    limits = {"NDCG@10": (0, 1), "threads": (1, 1024), "data_seed": (0, finite)}
    for column, (least, most) in (limits | dict.fromkeys(optional, (0, finite))).items():
        given = drawn[column].dropna() if column in optional else drawn[column]
        is_usable = pd.to_numeric(given, errors="coerce").between(least, most)
        wrong = given[~is_usable]
        if len(wrong):
            raise InputError(
                f"{name}: {column} = {wrong.iloc[0]} of run {drawn.loc[wrong.index[0], 'key']} "
                "is not usable; consolidate the table again"
            )


def _repeat(old: pd.Series, log: InteractionLog, progress: bool) -> tuple[str, float]:
    """Return the key of a run, and its NDCG@10 when it is trained anew."""
    point = point_of(old)
    split = split_of(log, point.data)
    key = run_records.run_key(point.config, split)
    if key != old["key"]:
        reason = "its configuration, or the order of users or items, is another"
        if split.log.hash != old["data_hash"]:
            reason = "its hash is another"
        raise InputError(
            f"{old['key']} was not trained on this {log.name} ({reason}); it would now be {key}"
        )
    torch.set_num_threads(int(old["threads"]))
    record = trainer.train(point.config, split, None, progress=progress)
    return key, record["metrics"]["test"]["NDCG@10"] if "metrics" in record else math.nan


def point_of(row: Mapping[str, Any] | pd.Series) -> GridPoint:
    """Return the run that a row of a table is of."""
    values = {
        name: None if isinstance(row[name], float) and math.isnan(row[name]) else row[name]
        for name in Config.__dataclass_fields__
        if name not in LATER_SETTINGS
    }
    values |= {name: row[name] for name in LATER_SETTINGS if not pd.isna(row.get(name))}
    for name in ("sample_log", *PERTURBATIONS):
        if not pd.isna(row.get(name)):
            values[name] = float(row[name])
    return grid_point(values | {"split": row["split"], "data_seed": int(row["data_seed"])})


def _load_named(name: str) -> InteractionLog:
    from perflaw.logs import datasets

    try:
        return datasets.load_log(name)
    except InputError as error:
        raise InputError(
            f"{error}; or say which it is with log=, on the command line with --log"
        ) from None
