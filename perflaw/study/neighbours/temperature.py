"""Lists drawn at a temperature: what coverage costs in accuracy, beside what a smaller model costs.

A list of ten is drawn without replacement, item by item, with probabilities proportional to
exp(score / T). Adding Gumbel noise to score / T and ranking does just that (Kool et al., 2019). So
the study's own ranking, with its rules, measures the drawn lists. T = 0 is the list of the best.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from perflaw.errors import InputError
from perflaw.logs.interaction_log import InteractionLog
from perflaw.logs.splits import Split
from perflaw.models import configuration, ranking, ranking_metrics, trained_model
from perflaw.models.sweeps import grids
from perflaw.models.training import loop
from perflaw.study.files import append_rows
from perflaw.study.intervals import interval_columns
from perflaw.study.neighbours import script_grids
from perflaw.study.neighbours.grid_runs import METRIC, read_table

COVERAGE = "coverage@10"
KEY = ["log", "d_emb", "seed", "temperature"]
MEASURED = (METRIC, COVERAGE)
_OF_MODEL = ("d_emb", "seed")  # of the grid, hence not of the settings
_AXES: script_grids.Allowed = {
    "d_emb": script_grids.whole_numbers(2),
    "seed": script_grids.USABLE_SEEDS,
    "temperature": 0.0,
}


class Grid(NamedTuple):
    """Logs, settings of all models, and runs: log, d_emb, seed and temperature of each."""

    logs: list[str]
    settings: dict[str, Any]
    runs: list[dict[str, Any]]


def read_grid(grid: str | Path = "temperature") -> Grid:
    """Read the grid of data/neighbours/temperature.csv, or another of its form.

    Raises
    ------
    InputError
        For a part, a name or a value that cannot be.
    """
    values = script_grids.read_grid(grid, "scripts/temperature.py", ["settings", "grid"])
    settings = grids.check_mapping(values["settings"], "settings")
    if taken := [name for name in _OF_MODEL if name in settings]:
        raise InputError(f"settings: {taken[0]} belongs to grid; remove it from settings")
    sizes = script_grids.list_runs(values["grid"], _AXES)
    for run in sizes:
        _configure(settings, run)
    runs = [{"log": log} | run for log in values["logs"] for run in sizes]
    return Grid(values["logs"], settings, runs)


def _configure(settings: dict[str, Any], run: dict[str, Any]) -> configuration.Config:
    return configuration.make_config(**(settings | {name: run[name] for name in _OF_MODEL}))


def add_gumbel_noise(scorer: ranking.Scorer, temperature: float, seed: int) -> ranking.Scorer:
    """Return a scorer whose ranking is drawn at a temperature above 0.

    Every block of users and items has noise of its own, and the same whenever it is asked for.
    """
    import torch

    def score(log: InteractionLog, users: np.ndarray, stops: np.ndarray) -> ranking.BlockScores:
        plain = scorer(log, users, stops)

        def scores(first: int, until: int) -> torch.Tensor:
            block = plain(first, until) / temperature
            rng = np.random.default_rng([seed, int(users[0]), first])
            return block + torch.from_numpy(rng.gumbel(size=tuple(block.shape))).to(block.dtype)

        return scores

    return score


def complete_table(
    table: Path, grid: str | Path, load_splits: script_grids.LoadSplits
) -> Iterator[dict[str, Any]]:
    """Train each model whose rows a table lacks, and measure its lists at each temperature.

    Parameters
    ----------
    table : path
        CSV file, made if need be: log, d_emb, seed, temperature, `METRIC` and `COVERAGE`, of the
        test targets by the ranking rule of record.
    grid : str or path
        What `read_grid` takes.
    load_splits : callable
        From its logs to their splits.

    Yields
    ------
    dict
        The run, written.
    """
    logs, settings, runs = read_grid(grid)
    rows = script_grids.load_table(table, KEY, MEASURED)
    splits = load_splits(logs)
    done = script_grids.known_runs(rows, KEY)
    runs_by_model: dict[tuple[str, configuration.Config], list[dict[str, Any]]] = {}
    for run in runs:
        if tuple(run[name] for name in KEY) not in done:
            model = (run["log"], _configure(settings, run))
            runs_by_model.setdefault(model, []).append(run)
    for (log, config), of_model in runs_by_model.items():
        split = splits[log]
        fitted = loop.fit_model(config, split, progress=False)
        scorer = trained_model.scorer(fitted.weights, config)
        for run in of_model:
            rows = append_rows(table, rows, [run | measure_lists(scorer, split, run)])
            yield run


def measure_lists(scorer: ranking.Scorer, split: Split, run: Mapping[str, Any]) -> dict[str, float]:
    """Return `METRIC` and `COVERAGE` of the lists that a model draws at a temperature and seed."""
    if run["temperature"]:
        scorer = add_gumbel_noise(scorer, run["temperature"], run["seed"])
    ranked = ranking.rank_targets(scorer, split, split.test, top=10, seen=ranking.Seen.HISTORY)
    measured = ranking_metrics.metrics(ranked, split.log.n_items, cutoffs=(10,))
    return {name: measured[name] for name in (METRIC, COVERAGE)}


def load_temperatures() -> pd.DataFrame:
    """Load the rows of the committed grid."""
    return read_table("temperature")


def compare_at_equal_accuracy(table: pd.DataFrame, level: float = 0.9) -> pd.DataFrame:
    """Compare the widest model at a temperature with narrower ones at 0, at equal accuracy.

    Parameters
    ----------
    table : pandas.DataFrame
        What `load_temperatures` returns of one log.
    level : float
        Of Student's intervals, over seeds.

    Returns
    -------
    pandas.DataFrame
        One row a narrower d_emb: temperature at which the widest has its accuracy, interpolated
        between measured ones; coverage of the narrower model, and that of the widest there;
        more, their difference, with low and high; seeds in which the accuracy is reached.
    """
    widest = table["d_emb"].max()
    rows: list[dict[str, Any]] = []
    for d_emb in sorted(set(table["d_emb"]) - {widest}):
        by_seed = []
        for _, of_seed in table.groupby("seed"):
            curve = of_seed[of_seed["d_emb"] == widest].sort_values(METRIC)
            narrow = of_seed[(of_seed["d_emb"] == d_emb) & (of_seed["temperature"] == 0)].iloc[0]
            if curve[METRIC].iloc[0] <= narrow[METRIC] <= curve[METRIC].iloc[-1]:
                temperature, coverage = (
                    np.interp(narrow[METRIC], curve[METRIC], curve[name])
                    for name in ("temperature", COVERAGE)
                )
                by_seed.append((temperature, narrow[COVERAGE], coverage))
        pairs = pd.DataFrame(by_seed, columns=["temperature", "narrow", "widest"])
        if len(pairs) > 1:
            row = {"d_emb": d_emb, **pairs.mean(), "seeds": len(pairs)}
            rows.append(row | interval_columns(pairs["widest"] - pairs["narrow"], level, "more"))
    return pd.DataFrame(rows)


def compare_temperatures(table: pd.DataFrame, level: float = 0.9) -> pd.DataFrame:
    """Compare each temperature with the best items, in the mean of the widths, seed by seed.

    Parameters
    ----------
    table : pandas.DataFrame
        What `load_temperatures` returns of one log.
    level : float
        Of Student's intervals, over seeds.

    Returns
    -------
    pandas.DataFrame
        One row a temperature above 0: loss, how far the metric falls in per cent of it, with
        loss_low and loss_high; more, coverage gained, with low and high.
    """
    means = table.groupby(["temperature", "seed"])[[METRIC, COVERAGE]].mean()
    best = means.loc[0]
    rows: list[dict[str, Any]] = []
    for temperature in means.index.unique("temperature").drop([0]):
        drawn = means.loc[temperature]
        losses = 100 * (1 - drawn[METRIC] / best[METRIC])
        rows.append(
            {"temperature": temperature, METRIC: drawn[METRIC].mean()}
            | interval_columns(losses, level, "loss", "loss_")
            | {COVERAGE: drawn[COVERAGE].mean()}
            | interval_columns(drawn[COVERAGE] - best[COVERAGE], level, "more")
        )
    return pd.DataFrame(rows)
