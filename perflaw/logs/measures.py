"""Tables of what logs are like, and what was recorded of logs that may not be handed on.

Public logs are measured once and the numbers kept in data/logs/ (data/README.md says how);
`with_recorded_logs` lays them beside those of the logs that are here.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.optimize import minimize_scalar
from scipy.special import entr

from perflaw.errors import InputError
from perflaw.logs import datasets, perturbations, synthetic
from perflaw.logs.entropy import (
    approximate,
    arrays,
    compression,
    conditional,
    lempel_ziv,
    predictability,
)
from perflaw.logs.interaction_log import InteractionLog
from perflaw.logs.splits import Split, global_time, leave_one_out
from perflaw.models import ranking
from perflaw.paths import HOME


def _targets(split):
    """(n_users,) ids of the test targets; of users without one, the last item."""
    return split.log.item_ids[
        split.log.items[np.where(split.test < 0, split.log.offsets[1:] - 1, split.test)]
    ]


def _spread(n, points=40):
    """Whole numbers from 1 to n, about evenly spread on a logarithmic axis."""
    return np.unique(np.round(np.geomspace(1, n, points)).astype(int))


# ---------------------------------------------------------------- entropy


class Measure(NamedTuple):
    """One number about the quality of a log."""

    name: str
    meaning: str  # in a line
    of: Callable[[InteractionLog], float]  # raises InputError where it is undefined
    pooled: bool = True  # over all histories together, or each on its own


def available_measures(m: int = 2, r: float = 0.0, last: int | None = None) -> list[Measure]:
    """The measures of this study; m, r and last are those of approximate entropy by user.

    With r > 0 items are numbered in the order of their ids. Raises InputError for unusable m, r or last.
    """
    m, r, last = arrays.check_apen_options(m, r, last)
    whose = f"m = {m}, r = {r:g}" + (f", last {last}" if last else "")
    whose += " on item numbers" * (r > 0)
    by_user = lambda log: approximate.apen_by_user(
        sort_items_by_id(log) if r > 0 else log, m, r, last
    )
    return [
        Measure(
            "shannon",
            "entropy of the next item, knowing popularity only",
            conditional.shannon_entropy,
        ),
        Measure(
            "apen signed",
            f"approximate entropy by user ({whose}), mean",
            lambda log: by_user(log).mean,
            False,
        ),
        Measure(
            "apen absolute",
            "the same, mean of absolute values: what the paper divides D by",
            lambda log: by_user(log).mean_absolute,
            False,
        ),
        Measure(
            "sample",
            f"sample entropy: −ln of how often two equal runs of {m} items, of any users, go on alike",
            lambda log: approximate.sample_entropy(log, m),
        ),
        Measure(
            "pooled",
            f"entropy of the next item given the last {m}, plug-in: too low, and grows with the log",
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
            False,
        ),
        Measure(
            "compression",
            "bytes after compression over bytes before",
            compression.compression_ratio,
        ),
        Measure(
            "accuracy limit",
            "share of next items that can be guessed at most at that corrected entropy (Fano)",
            _accuracy_limit,
        ),
    ]


def _accuracy_limit(log):
    return predictability.accuracy_limit(
        conditional.conditional_entropy(log), int(np.count_nonzero(log.item_counts))
    )


def measure_log(log: InteractionLog, wanted: list[Measure]) -> dict[str, float | InputError]:
    """Each measure of a log by name; where it is undefined, the error that says why."""
    told = {}
    for measure in wanted:
        try:
            told[measure.name] = measure.of(log)
        except InputError as error:
            told[measure.name] = error
    return told


def count_too_short(log: InteractionLog, m: int = 2, last: int | None = None) -> int:
    """Users whose history, or its last `last` interactions, has no template of length m + 1."""
    return int(np.count_nonzero(np.minimum(log.lengths, last or log.lengths) < m + 1))


def sort_items_by_id(log: InteractionLog) -> InteractionLog:
    """The log with items coded in the order of their ids: a log whose ids are 0, 1, … gets them back."""
    order = np.argsort(log.item_ids)
    ranks = np.empty(log.n_items, np.int32)
    ranks[order] = np.arange(log.n_items)
    return replace(log, items=ranks[log.items], item_ids=log.item_ids[order])


# ---------------------------------------------------------------- against a known truth
