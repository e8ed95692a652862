"""Measures of each history of a log, in threads; no result depends on their number."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import NamedTuple, TypeVar

import numpy as np

from perflaw.cores import count_cores
from perflaw.errors import InputError, require
from perflaw.logs.entropy.arrays import Histories, check_count, log_arrays
from perflaw.logs.histories import user_blocks

Piece = TypeVar("Piece")
Result = TypeVar("Result")

# Threads of the compiled loops; the environment variable is numba's.
THREADS = int(os.environ.get("NUMBA_NUM_THREADS") or count_cores())


class ByUser(NamedTuple):
    """A measure of each history, in nats.

    Attributes
    ----------
    values : ndarray of float64, shape (n_users,)
        nan where the history is too short.
    too_short : int
        Number of users whose history is too short.
    mean : float
        Mean of the signed values, over users with a long enough history.
    mean_absolute : float
        Mean of their absolute values: what the paper calls ApEn.
    """

    values: np.ndarray
    too_short: int
    mean: float
    mean_absolute: float


def load_kernels(name: str = "kernels") -> ModuleType:
    """Import a module of compiled loops; it imports numba, so it is imported where it is used."""
    return require(f"perflaw.logs.entropy.{name}")


def run_in_threads(task: Callable[[Piece], Result], pieces: Iterable[Piece]) -> list[Result]:
    """Apply a task to each piece; the results are in the order of the pieces."""
    pieces = list(pieces)
    if THREADS == 1 or len(pieces) == 1:
        return [task(piece) for piece in pieces]
    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(task, pieces))


def measure_by_user(
    log: Histories,
    last: int | None,
    needed: int,
    purpose: str,
    measure: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray],
) -> ByUser:
    """Measure each history of a log, or its last items, a block of users at a time.

    Parameters
    ----------
    log : Histories
    last : int or None
        How many items of each history count, from its end; None: all.
    needed : int
        How many items a history must have.
    purpose : str
        What needs them, for the message.
    measure : callable
        ``measure(items, starts, stops)`` returns a value for each start and stop.

    Raises
    ------
    InputError
        If every history is too short.
    """
    items, offsets, _ = log_arrays(log)
    starts, stops = offsets[:-1], offsets[1:]
    if last is not None:
        starts = np.maximum(starts, stops - check_count(last, "last"))

    def measure_block(users: tuple[int, int]) -> np.ndarray:
        first, until = users
        return measure(items, starts[first:until], stops[first:until])

    values = np.concatenate(run_in_threads(measure_block, user_blocks(offsets)))
    defined = values[~np.isnan(values)]
    if not len(defined):
        longest = int((stops - starts).max())
        hint = "" if last is None else " or a larger last"
        raise InputError(
            f"every history is too short: the longest has {longest} of the {needed} items that"
            f" {purpose} needs; use longer histories{hint}"
        )
    too_short = len(values) - len(defined)
    return ByUser(values, too_short, float(defined.mean()), float(np.abs(defined).mean()))
