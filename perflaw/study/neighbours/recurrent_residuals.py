"""A recurrent model of what an autoregression of counts leaves, and whether it lowers the error.

The autoregression of `forecastability` forecasts each count from those before it. A gated recurrent
unit of 8 units reads its last errors and forecasts the next, which is added. Like the
autoregression it is fitted to the first four fifths only: the last fifth of these decides when its
training stops, and 0 steps, which is no correction, can be the best.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from perflaw.errors import InputError
from perflaw.laws.families import Array
from perflaw.study.files import append_rows
from perflaw.study.intervals import interval_columns
from perflaw.study.neighbours import forecastability, script_grids
from perflaw.study.neighbours.forecastability import MOST_LAGS, TRAINED
from perflaw.study.neighbours.grid_runs import read_table

UNITS = 8
WINDOW = {"day": 14, "week": 8}  # errors before that it reads
STEPS = 200  # of Adam, each over all windows, at most
PATIENCE = 40  # steps without a lower error on what is held out
LEARNING_RATE = 0.01
GAIN = "over autoregression"
KEY = ["log", "step", "series", "seed"]
MEASURED = ("error", "corrected")


class Recurrent(NamedTuple):
    """A gated recurrent unit and the row that reads its last state."""

    unit: torch.nn.GRU
    readout: torch.nn.Linear

    def correct(self, windows: Tensor) -> Tensor:
        """Return the forecast of the error after each window (n, width)."""
        states, _ = self.unit(windows[..., None])
        return self.readout(states[:, -1])[:, 0]


def start_recurrent(seed: int) -> Recurrent:
    """Return a model that corrects nothing yet: its readout is 0."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Recurrent(torch.nn.GRU(1, UNITS, batch_first=True), torch.nn.Linear(UNITS, 1))
    for weight in model.readout.parameters():
        torch.nn.init.zeros_(weight)
    return model


def forecast_errors(errors: Array, trained: int, window: int, seed: int) -> Array:
    """Forecast each of errors[trained:] from the `window` errors before it.

    Parameters
    ----------
    errors : Array
        One a step. Only the first `trained` of them fit the model.
    trained, window, seed : int
        How many errors fit it, how many it reads, and the seed of its first weights.

    Returns
    -------
    Array
        As long as errors[trained:]; all 0 where no correction is best.
    """
    scale = float(errors[:trained].std()) or 1.0
    series = torch.tensor(errors / scale, dtype=torch.float32)
    windows, targets = series.unfold(0, window, 1)[:-1], series[window:]
    fitted = trained - window  # windows whose target may fit
    stopping = fitted - int((1 - TRAINED) * fitted)
    model = start_recurrent(seed)
    parameters = [*model.unit.parameters(), *model.readout.parameters()]
    optimizer = torch.optim.Adam(parameters, LEARNING_RATE)
    least, best_step = float("inf"), -1
    best = torch.zeros(len(targets) - fitted)
    for step in range(STEPS + 1):
        corrections = model.correct(windows)
        squares = (corrections - targets) ** 2
        held_out = float(squares[stopping:fitted].mean().detach())
        if held_out < least:
            least, best_step = held_out, step
            best = corrections[fitted:].detach()
        if step - best_step == PATIENCE:
            break
        optimizer.zero_grad()
        squares[:stopping].mean().backward()
        optimizer.step()
    return scale * best.double().numpy()


def score_series(y: Array, step: str, seed: int) -> dict[str, float]:
    """Score the autoregression of one series without and with the correction.

    Returns
    -------
    dict
        error and corrected, the mean absolute errors on the last fifth.
    """
    y = np.log1p(np.asarray(y, float))
    first = int(TRAINED * len(y))
    model = forecastability.choose_autoregression(y[:first], MOST_LAGS[step])
    begin = model.n_lags + model.difference
    errors = y[begin:] - forecastability.forecast(model, y, begin)
    trained = first - begin
    corrections = forecast_errors(errors, trained, WINDOW[step], seed)
    return {
        "error": float(np.abs(errors[trained:]).mean()),
        "corrected": float(np.abs(errors[trained:] - corrections).mean()),
    }


def complete_table(table: Path, grid: str | Path) -> Iterator[dict[str, Any]]:
    """Score each series that `forecastability.score_all` scores and a table lacks, by seed.

    Parameters
    ----------
    table : path
        CSV file, made if need be: log, step, series, seed, and what `score_series` returns.
    grid : str or path
        data/grids/recurrent-residuals.yaml, or another of its form.

    Yields
    ------
    dict
        The row, written.
    """
    values = script_grids.read_grid(grid, "scripts/recurrent_residuals.py", ["grid"])
    runs = script_grids.list_runs(
        values["grid"], {"step": list(WINDOW), "seed": script_grids.USABLE_SEEDS}
    )
    counts = forecastability.load_counts()
    if unknown := set(values["logs"]) - set(counts["log"]):
        known = ", ".join(counts["log"].unique())
        raise InputError(f"logs: data/neighbours/counts.csv has no {min(unknown)}; it has {known}")
    rows = script_grids.load_table(table, KEY, MEASURED)
    done = script_grids.known_runs(rows, KEY)
    counts = counts[counts["log"].isin(values["logs"])]
    for log, step, series, y in forecastability.iterate_series(counts):
        for seed in [run["seed"] for run in runs if run["step"] == step]:
            if (log, step, series, seed) not in done:
                row = dict(zip(KEY, (log, step, series, seed))) | score_series(y, step, seed)
                rows = append_rows(table, rows, [row])
                yield row


def load_gains() -> pd.DataFrame:
    """Load what scripts/recurrent_residuals.py made, in the mean of seeds.

    Returns
    -------
    pandas.DataFrame
        log, step, series and `GAIN`: by how much the correction lowers the error, in per cent.
    """
    scores = read_table("recurrent_residuals")
    means = scores.groupby(["log", "step", "series"])[["error", "corrected"]].mean()
    gains = 100 * (1 - means["corrected"] / means["error"])
    return gains.rename(GAIN).reset_index()


def summarise_gains(gains: pd.DataFrame, level: float = 0.9) -> pd.DataFrame:
    """Average what the correction brings, by day and by week.

    Returns
    -------
    pandas.DataFrame
        One row a step: the mean gain in per cent, a mean of logs, with Student's interval over
        them; lowered and series, in how many series the error is lower, and of how many.
    """
    rows: list[dict[str, Any]] = []
    for step, of_step in gains.groupby("step"):
        row = {"step": step, "lowered": int((of_step[GAIN] > 0).sum()), "series": len(of_step)}
        rows.append(row | interval_columns(of_step.groupby("log")[GAIN].mean(), level, "gain"))
    return pd.DataFrame(rows)
