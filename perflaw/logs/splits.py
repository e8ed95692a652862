"""Splits of a log into a training part and targets to validate and test on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from perflaw.errors import InputError, check_kind
from perflaw.logs import fingerprint
from perflaw.logs.describe import is_tied, summary_html
from perflaw.logs.interaction_log import InteractionLog

NO_TARGET = -1  # in place of the position of a target


@dataclass(frozen=True, eq=False, repr=False)
class Split:
    """A log, the part of it to train on, and at most one target a user to validate and test on.

    The history before a target is read from `log`: at test time that is training and
    validation together. Interventions replace `train` and leave the rest as it is.

    Attributes
    ----------
    log, train : InteractionLog
    validation, test : ndarray of int64, shape (log.n_users,)
        Position of each user's target in ``log.items``; −1 where the user has none.
    rule : str
        How it was split and what was done to the training part, in words.
    interventions : tuple of (name, strength, seed)
        What was done to the training part.
    sample : (share, seed, hash), optional
        Where the log is a share of the users of another one: that log's hash.
    """

    log: InteractionLog
    train: InteractionLog
    validation: np.ndarray
    test: np.ndarray
    rule: str
    interventions: tuple[tuple[str, float, int], ...] = ()
    sample: tuple[float, int, str] | None = None

    def __repr__(self) -> str:
        return (
            f"<Split of {self.log.name}, {self.rule}: {self.train.tokens:,} interactions to train"
            f" on, {_count_targets(self.validation):,} targets to validate and"
            f" {_count_targets(self.test):,} to test on>"
        )

    def _repr_html_(self) -> str:
        return summary_html(f"Split of {self.log.name}: {self.rule}", self.summary())

    @cached_property
    def hash(self) -> str:
        """sha256 (hex) of log, training part, targets, rule and size of the vocabulary."""
        return fingerprint.digest_split(self)

    def summary(self) -> dict[str, int | float | None]:
        """Give the sizes of the parts, and what decides the test targets.

        Returns
        -------
        dict
            ``train_users``, ``train_tokens``, ``validation_targets``, ``test_targets``; and of
            the test targets ``tied``, the share that share their time with the interaction
            before or after them, so that the file's order chose the target (None without a
            clock); ``repeated``, the share that the user had before; ``untrained``, the share
            whose item is not in the training part.
        """
        targets = self.test[self.test >= 0]
        is_trained = self.train.item_counts[self.log.items[targets]] > 0
        share_tied = None
        if self.log.timestamps is not None:
            share_tied = float(is_tied(self.log.timestamps, self.log.offsets)[targets].mean())
        return {
            "train_users": self.train.n_users,
            "train_tokens": self.train.tokens,
            "validation_targets": _count_targets(self.validation),
            "test_targets": len(targets),
            "tied": share_tied,
            "repeated": float(self.log.repeats[targets].mean()),
            "untrained": float(np.mean(~is_trained)),
        }


def leave_one_out(log: InteractionLog) -> Split:
    """Test on the last interaction of each user, validate on the one before, train on the rest.

    Users with fewer than three interactions train and have no targets.

    Raises
    ------
    InputError
        If no user has three interactions.

    Examples
    --------
    >>> from perflaw.logs import from_histories
    >>> leave_one_out(from_histories([["a", "b", "c"], ["b", "c"]])).train.lengths
    array([1, 2])
    """
    check_kind(log, InteractionLog, "read one with perflaw.logs.read_log")
    log = log.compact()
    ends = log.offsets[1:]
    long_enough = log.lengths >= 3
    if not long_enough.any():
        raise InputError(f"{log.name} cannot be split: no user has three interactions")
    test = np.where(long_enough, ends - 1, NO_TARGET)
    validation = np.where(long_enough, ends - 2, NO_TARGET)
    is_train = np.ones(log.tokens, bool)
    is_train[ends[long_enough] - 1] = False
    is_train[ends[long_enough] - 2] = False
    return Split(log, log.keep(is_train), validation, test, "leave one out")


def global_time(log: InteractionLog, validation: float = 0.1, test: float = 0.1) -> Split:
    """End training at one time for all users; the first later interaction of each is a target.

    The last share `test` of the interactions, and the share `validation` before them, set two
    times; interactions at exactly such a time are after it. A user is tested on the first
    interaction from the second time on, after all earlier ones, and validated on the first
    interaction between the two times; users without an earlier interaction have no target.

    Parameters
    ----------
    log : InteractionLog
    validation, test : float
        Shares of the interactions, above 0 and below 1 together.

    Raises
    ------
    InputError
        Where there is no clock, or where a part is empty.

    Examples
    --------
    >>> from perflaw.logs import from_histories
    >>> log = from_histories([list("abcde"), list("edcba")], [[0, 1, 2, 3, 4], [0, 1, 2, 3, 4]])
    >>> global_time(log, 0.2, 0.2).train.lengths
    array([3, 3])
    """
    if not (validation > 0 and test > 0 and validation + test < 1):
        raise InputError(
            f"the shares {validation} and {test} of a global-time split must be above 0 and"
            " below 1 together"
        )
    log = log.compact()
    times = log.clock("a global-time split")
    first_cut, second_cut = np.quantile(times, [1 - validation - test, 1 - test], method="higher")
    if first_cut == second_cut:
        raise InputError(
            f"{log.name} cannot be split by time: both cuts fall on {_date(first_cut)}"
        )
    starts, ends = log.offsets[:-1], log.offsets[1:]
    first_positions = starts + np.add.reduceat(times < first_cut, starts, dtype=np.int64)
    second_positions = starts + np.add.reduceat(times < second_cut, starts, dtype=np.int64)
    train = log.keep(
        times < first_cut, f"{log.name} cannot be split by time: nothing is before the first cut"
    )
    validation_targets = _targets_within(starts, first_positions, second_positions)
    test_targets = _targets_within(starts, second_positions, ends)
    if not (_count_targets(validation_targets) and _count_targets(test_targets)):
        raise InputError(
            f"{log.name} cannot be split by time: no user has interactions on both sides of a cut"
        )
    rule = f"global time, cut at {_date(first_cut)} and {_date(second_cut)}"
    return Split(log, train, validation_targets, test_targets, rule)


def _targets_within(starts: np.ndarray, positions: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Return positions strictly between start and end, and NO_TARGET in place of others."""
    return np.where((positions > starts) & (positions < ends), positions, NO_TARGET)


def _count_targets(targets: np.ndarray) -> int:
    return int((targets >= 0).sum())


def _date(seconds: float) -> str:
    return str(np.datetime64(int(seconds), "s"))
