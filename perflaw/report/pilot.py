"""The pilot: small runs on a log that fit a budget, planned and trained."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from perflaw.errors import InputError
from perflaw.logs.interaction_log import InteractionLog
from perflaw.models.sweeps import cost_model, runner
from perflaw.models.training import run_records
from perflaw.report import forecast
from perflaw.report.options import minutes_for
from perflaw.report.prior import load_prior

SETTINGS: dict[str, Any] = {
    "loss": "sampled_softmax",
    "negatives": 256,
    "max_seq_len": 50,
    "batch_size": 64,
    "learning_rate": 0.003,
    "epochs": 200,
    "patience": 5,
    "validate_every": 2,
    "dropout": 0.2,
}
"""Those of the preset survey, with which the prior was learnt."""

CORE_RUNS = [(2, 8, 0), (1, 32, 0), (2, 16, 0), (2, 16, 1), (1, 8, 0), (2, 32, 0)]
"""Layers, dimension and seed of the runs without which nothing is concluded."""

FURTHER_RUNS = [(n, d, seed) for seed in (0, 1, 2) for n in (1, 2, 3) for d in (8, 16, 32)]
SHARE_RUNS = [(2, d, seed, share) for seed in (0, 1) for share in (0.5, 0.25) for d in (16, 32)]

TARGET_SIZES = [(2, 64, 1), (2, 128, 1), (6, 32, 1), (3, 128, 1), (2, 32, 2), (2, 32, 4)]
"""Layers, dimension and times the data that the pilot is to forecast."""

EXPECTED_EPOCHS = 48  # of a run, in the mean of the study's own sweeps
EXPECTED_NOISE = 0.05  # of ln NDCG@10 between seeds
FEWEST_USERS = 500  # that a pilot on a part of a log has at the least
BUDGET_SHARE = 0.5  # of the budget, that the core takes at the most where users can be left out
ENLARGING_SHARE = 0.3  # likewise, where a pilot is given more users than its records have
SMALLEST_SHARE = 1 / 16  # of the users, that a pilot sees unless less is accepted
PACE = 4.0  # seconds of a core by those of `cost_model.PACES`, the median of the study's own runs
START_AND_PAGE = 15.0  # seconds that a report takes whatever the log
# Seconds of reading, entropy and baselines, on a server's core and the study's own logs.
SECONDS_BY_TOKEN = 5e-6
SECONDS_BY_PAIR = 7e-8  # a user of the pilot and an item
LARGEST_OVERRUN = 3  # times the budget, for the core: costs are rough before any run is done


@dataclass(frozen=True)
class Pilot:
    """A planned pilot."""

    log: InteractionLog  # of the users that are used
    share: float  # of the users of the whole log
    grid: dict[str, Any]  # for `runner.run`, the most informative runs first
    seconds: float  # of one core, that the core runs are expected to take


def plan_pilot(
    log: InteractionLog,
    seconds: float,
    workers: int,
    out: str | os.PathLike | None = None,
    changes: Mapping[str, Any] | None = None,
    accepts_sample: bool = False,
) -> Pilot:
    """Plan the runs that tell most by second, on as many users as the budget allows.

    The plan follows from the log, the budget and the number of workers alone: the time of a run is
    that of a stored cost model, whatever the machine's pace at the moment.

    Parameters
    ----------
    log
        The whole log.
    seconds
        Budget, of all workers together.
    workers
        Runs that are trained at a time.
    out
        A folder of records. If some are of a share of this log, that share is used again, unless
        the budget clearly allows a larger one.
    changes
        Settings that differ from SETTINGS: of a configuration, or split.
    accepts_sample
        Whether a pilot may see fewer than one in sixteen of the users.

    Returns
    -------
    Pilot
        Its core takes half of the budget or less where a smaller share of the users can do that.

    Raises
    ------
    InputError
        If the core does not fit even on the fewest users: with a budget that would do.
    """
    runs: list[dict[str, Any]] = [
        {"n_layers": n, "d_emb": d, "seed": seed}
        for n, d, seed in dict.fromkeys(CORE_RUNS + FURTHER_RUNS)
    ]
    runs += [
        {"n_layers": n, "d_emb": d, "seed": seed, "data_seed": seed, "sample_users": share}
        for n, d, seed, share in SHARE_RUNS
    ]
    settings = SETTINGS | dict(changes or {})
    frame = runner.plan_sweep({"settings": settings, "grid": runs}, log).frame
    expected = float(min(EXPECTED_EPOCHS, settings["epochs"]))
    costs = cost_model.CostModel().seconds(frame, np.full(len(frame), expected))
    core_seconds = PACE * costs[: len(CORE_RUNS)].sum()
    share = _choose_share(log, core_seconds / workers, seconds, out, accepts_sample)
    return Pilot(
        log if share == 1 else log.sample_users(share),
        share,
        {"settings": settings, "grid": [runs[place] for place in _by_information(frame, costs)]},
        core_seconds * share,
    )


def check_fixed_work(log: InteractionLog, plan: Pilot, minutes: float, workers: int) -> None:
    """Refuse a budget that reading, entropy, baselines and the page use up.

    Parameters
    ----------
    log
        The whole log.
    plan
        Its pilot, on whose users the baselines are measured.
    minutes
        The budget.
    workers
        Runs that are trained at a time.

    Raises
    ------
    InputError
        With a budget that would do.
    """
    pairs = plan.log.n_users * plan.log.n_items
    fixed = START_AND_PAGE + SECONDS_BY_TOKEN * log.tokens + SECONDS_BY_PAIR * pairs
    if fixed > 60 * minutes:
        enough = minutes_for(fixed + plan.seconds / workers)
        raise InputError(
            f"reading, entropy, baselines and the page of {log.name} take about {fixed:.0f} s, "
            f"more than the budget of {60 * minutes:g} s: give --budget {enough}, in minutes"
        )


def _choose_share(
    log: InteractionLog,
    core_seconds: float,
    budget: float,
    out: str | os.PathLike | None,
    accepts_sample: bool,
) -> float:
    """Choose the largest share of the users that the budget allows.

    That of records is kept unless the budget clearly allows more.
    """
    halvings = [2.0**-i for i in range(20)]
    shares = [share for share in halvings if share == 1 or share * log.n_users >= FEWEST_USERS]
    affordable = [share for share in shares if share * core_seconds <= BUDGET_SHARE * budget]
    share = max(affordable, default=shares[-1])
    recorded = _recorded_share(log, shares, out)
    if recorded is not None:
        enlarges = share > recorded and share * core_seconds <= ENLARGING_SHARE * budget
        return share if enlarges else recorded
    if share < SMALLEST_SHARE and not accepts_sample:
        minutes = minutes_for(SMALLEST_SHARE * core_seconds / BUDGET_SHARE)
        raise InputError(
            f"in this budget a pilot sees only {round(share * log.n_users):,} of the "
            f"{log.n_users:,} users of {log.name}, fewer than one in {1 / SMALLEST_SHARE:.0f}: "
            f"give --budget {minutes}, in minutes, or accept that with --sample"
        )
    needed = share * core_seconds
    if needed > LARGEST_OVERRUN * budget:
        raise InputError(
            f"{log.name} needs more time for a pilot, even on {round(share * log.n_users):,} of "
            f"its users: give --budget {minutes_for(needed)}, in minutes"
        )
    return share


def _recorded_share(
    log: InteractionLog, shares: list[float], out: str | os.PathLike | None
) -> float | None:
    """Find the largest share of the users that the records of a folder are of."""
    hashes = set()
    for path in Path(out).glob("*.json") if out else ():
        with suppress(InputError):  # the sweep names a record that cannot be read
            hashes.add(run_records.read_record(path)["data_hash"])
    for share in shares:
        if hashes and log.sample_users(share).compact().hash in hashes:
            return share
    return None


def _by_information(frame: pd.DataFrame, costs: np.ndarray) -> list[int]:
    """Order the runs: the core, then each that takes most off the variance by second of its cost.

    The variance is that of the forecasts of TARGET_SIZES.
    """
    prior = load_prior()
    targets = pd.DataFrame(TARGET_SIZES, columns=["n_layers", "d_emb", "tokens"])
    runs = frame[["n_layers", "d_emb"]].assign(tokens=frame["sample_users"].fillna(1.0))
    x = forecast.forecast_design(runs, prior["p"][0], 1.0)
    x_targets = forecast.forecast_design(targets, prior["p"][0], 1.0)
    sds = [forecast.LEVEL_SD, *(prior[name][1] for name in forecast.COEFFICIENTS)]
    covariance = np.diag(np.square(sds))
    noise = EXPECTED_NOISE**2 + prior["cell"] ** 2
    order: list[int] = []
    while len(order) < len(frame):
        variances = np.einsum("ij,jk,ik->i", x, covariance, x) + noise
        gains = ((x_targets @ covariance @ x.T) ** 2).sum(axis=0) / variances / costs
        gains[order] = -1
        chosen = len(order) if len(order) < len(CORE_RUNS) else int(gains.argmax())
        step = covariance @ x[chosen]
        covariance = covariance - np.outer(step, step) / (x[chosen] @ step + noise)
        order.append(chosen)
    return order
