"""The measures of a log's quality that the study compares, each one number."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from perflaw.errors import InputError
from perflaw.logs.entropy import approximate, compression, conditional, lempel_ziv, predictability
from perflaw.logs.entropy.arrays import check_count, check_tolerance
from perflaw.logs.entropy.parallel import ByUser
from perflaw.logs.interaction_log import InteractionLog


class Measure(NamedTuple):
    """One number about the quality of a log.

    Attributes
    ----------
    name : str
    meaning : str
        In a line.
    compute : callable
        Takes a log, returns the number; raises InputError where it is undefined.
    pooled : bool
        Whether it takes all histories together, or each on its own.
    """

    name: str
    meaning: str
    compute: Callable[[InteractionLog], float]
    pooled: bool = True


def available_measures(m: int = 2, r: float = 0.0, last: int | None = None) -> list[Measure]:
    """List the measures that this study compares.

    Parameters
    ----------
    m, r, last
        Those of approximate entropy by user. With r > 0 items are numbered in the order of
        their ids.

    Raises
    ------
    InputError
        For an m, r or last that cannot be used.
    """
    m, r = check_count(m, "m"), check_tolerance(r)
    if last is not None:
        last = check_count(last, "last")
    return [
        Measure(
            "shannon",
            "entropy of the next item, knowing popularity only",
            conditional.shannon_entropy,
        ),
        *_measures_by_user(m, r, last),
        Measure(
            "sample",
            f"sample entropy: −ln of how often two equal runs of {m} items, of any users,"
            " go on alike",
            lambda log: approximate.sample_entropy(log, m),
        ),
        Measure(
            "pooled",
            f"entropy of the next item given the last {m}, plug-in: too low,"
            " and grows with the log",
            lambda log: conditional.apen_pooled(log, m),
        ),
        Measure(
            "plug-in",
            "entropy of the next item given the last one, plug-in",
            lambda log: conditional.apen_pooled(log, 1),
        ),
        Measure(
            "conditional",
            "the same, corrected for its bias: what this study divides D by",
            conditional.conditional_entropy,
        ),
        Measure(
            "lempel-ziv",
            "actual entropy of each history, mean",
            lambda log: lempel_ziv.lempel_ziv_by_user(log, last).mean,
            pooled=False,
        ),
        Measure(
            "compression",
            "bytes after compression over bytes before; depends on the order of users by id",
            compression.compression_ratio,
        ),
        Measure(
            "accuracy limit",
            "share of next items that can be guessed at most at that corrected entropy (Fano)",
            _accuracy_limit,
        ),
    ]


def _measures_by_user(m: int, r: float, last: int | None) -> list[Measure]:
    """List the two means of approximate entropy by user."""
    options = f"m = {m}, r = {r:g}"
    if last:
        options += f", last {last}"
    if r > 0:
        options += " on item numbers"

    def by_user(log: InteractionLog) -> ByUser:
        return approximate.apen_by_user(sort_items_by_id(log) if r > 0 else log, m, r, last)

    return [
        Measure(
            "apen signed",
            f"approximate entropy by user ({options}), mean",
            lambda log: by_user(log).mean,
            pooled=False,
        ),
        Measure(
            "apen absolute",
            "the same, mean of absolute values: what the paper divides D by",
            lambda log: by_user(log).mean_absolute,
            pooled=False,
        ),
    ]


def _accuracy_limit(log: InteractionLog) -> float:
    occurring = int(np.count_nonzero(log.item_counts))
    return float(predictability.accuracy_limit(conditional.conditional_entropy(log), occurring))


def measure_log(log: InteractionLog, measures: list[Measure]) -> dict[str, float | InputError]:
    """Take each measure of a log; where one is undefined, its entry is the error that says why.

    Examples
    --------
    >>> from perflaw.logs import from_histories
    >>> log = from_histories([["tea", "milk", "tea", "milk"], ["tea"]])
    >>> round(measure_log(log, available_measures())["shannon"], 4)
    0.673
    """
    values: dict[str, float | InputError] = {}
    for measure in measures:
        try:
            values[measure.name] = measure.compute(log)
        except InputError as error:
            values[measure.name] = error
    return values


def count_too_short(log: InteractionLog, m: int = 2, last: int | None = None) -> int:
    """Count users whose history, or its last items, has no template of length m + 1."""
    return int(np.count_nonzero(np.minimum(log.lengths, last or log.lengths) < m + 1))


def sort_items_by_id(log: InteractionLog) -> InteractionLog:
    """Code the items in the order of their ids: a log whose ids are 0, 1, … gets them back."""
    order = np.argsort(log.item_ids)
    ranks = np.empty(log.n_items, np.int32)
    ranks[order] = np.arange(log.n_items)
    return replace(log, items=ranks[log.items], item_ids=log.item_ids[order])
