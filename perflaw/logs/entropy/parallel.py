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
from perflaw.logs.entropy.arrays import Histories, check_whole, log_arrays

Piece = TypeVar("Piece")
Result = TypeVar("Result")


# Threads of the compiled loops. The environment variable, which is numba's, sets their number.
THREADS = int(os.environ.get("NUMBA_NUM_THREADS") or count_cores())


class ByUser(NamedTuple):
    """A measure of each history, in nats.

    Attributes
    ----------
    values : ndarray of float64, shape (n_users,)
        nan where the history is too short.
    too_short : int
        How many users that are.
    mean : float
        Of the signed values, over users with a long enough history.
    mean_absolute : float
        Of their absolute values: what the paper calls ApEn.
    """

    values: np.ndarray
    too_short: int
    mean: float
    mean_absolute: float


def load_kernels(name: str = "kernels") -> ModuleType:
    """Import a module of compiled loops, when it is first needed: it imports numba."""
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
    """Measure each history, or its last items, by parts of the log of about equal size.

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
        starts = np.maximum(starts, stops - check_whole(last, "last"))
    pieces = min(16 * THREADS, 1 + len(items) // 4096)
    even = np.linspace(0, len(items), pieces + 1)
    cuts = np.unique(np.searchsorted(offsets, even).clip(0, len(starts)))
    cuts[0], cuts[-1] = 0, len(starts)
    parts = run_in_threads(
        lambda cut: measure(items, starts[cut], stops[cut]), map(slice, cuts[:-1], cuts[1:])
    )
    values = np.concatenate(parts)
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
