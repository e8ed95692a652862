"""TODO: what this module holds."""

from __future__ import annotations
import hashlib
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
import numpy as np
import pandas as pd
from perflaw.errors import InputError
from perflaw.logs import readers
from perflaw.logs.interaction_log import InteractionLog, _canonical, _digest_histories, _mixed, _user_colours


@dataclass(frozen=True, eq=False)
class Split:
    """A log, the part of it to train on, and for each user at most one target to validate on and one to test on.

    The history before a target is read from `log`: at test time that is training and
    validation together. Interventions replace `train` and leave the rest as it is.
    """

    log: InteractionLog
    train: InteractionLog
    validation: (
        np.ndarray
    )  # (log.n_users,) int64, the target's position in log.items; −1: the user has none
    test: np.ndarray  # (log.n_users,) likewise
    rule: str  # how it was split and what was done to the training part, in words
    interventions: tuple[
        tuple[str, float, int], ...
    ] = ()  # on the training part: name, strength, seed
    sample: tuple[float, int, str] | None = (
        None  # where the log is a share of the users of another: share, seed, hash of that other
    )

    @cached_property
    def hash(self) -> str:
        """sha256 (hex) of the log, the training part, the targets, the rule and the size of the vocabulary."""
        order, codes = _canonical(self.log)
        digest = hashlib.sha256(f"{self.rule}\n{self.log.n_items}\n".encode())
        _digest_histories(digest, self.log, order, codes)
        for targets in (self.validation, self.test):
            digest.update(
                np.where(targets < 0, -1, targets - self.log.offsets[:-1])[order].astype("<i8")
            )
        colours = _user_colours(self.train, _mixed(codes))
        _digest_histories(digest, self.train, np.argsort(colours, kind="stable"), codes)
        return digest.hexdigest()

    def summary(self) -> dict:
        """Sizes of the parts, and what decides the test targets.

        `tied`: share of test targets that share their time with the interaction before or after
        them, so that the file's order chose the target (None without a clock); `repeated`: share
        that the user had before; `untrained`: share whose item is not in the training part.
        """
        log, test = self.log, self.test[self.test >= 0]
        tied = None
        if log.timestamps is not None:
            user = np.flatnonzero(self.test >= 0)
            before, here = log.timestamps[test - 1], log.timestamps[test]
            after = log.timestamps[np.minimum(test + 1, log.tokens - 1)]
            tied = float(
                np.mean((before == here) | ((after == here) & (test + 1 < log.offsets[user + 1])))
            )
        return {
            "train_users": self.train.n_users,
            "train_tokens": self.train.tokens,
            "validation_targets": int((self.validation >= 0).sum()),
            "test_targets": len(test),
            "tied": tied,
            "repeated": float(log.repeats[test].mean()),
            "untrained": float(np.mean(self.train.item_counts[log.items[test]] == 0)),
        }


def leave_one_out(log: InteractionLog) -> Split:
    """The last interaction of each user is the test target, the one before it the validation target, the rest trains.

    Users with fewer than three interactions train and have no targets. Raises InputError if no user has three.
    """
    log = log.compact()
    ends, long = log.offsets[1:], log.lengths >= 3
    if not long.any():
        raise InputError(f"{log.name} cannot be split: no user has three interactions")
    test = np.where(long, ends - 1, -1)
    validation = np.where(long, ends - 2, -1)
    mask = np.ones(log.tokens, bool)
    mask[test[long]] = mask[validation[long]] = False
    return Split(log, log.keep(mask), validation, test, "leave one out")


def global_time(log: InteractionLog, validation: float = 0.1, test: float = 0.1) -> Split:
    """One time for all users ends training: earlier interactions train, the first later one of each user is a target.

    The last share `test` of the interactions, and the share `validation` before them, set the
    two times; interactions at exactly that time are after it. A user is tested on the first
    interaction from the second time on, after all earlier ones, and validated on the first
    interaction between the two times; users without an earlier interaction have no target.
    Raises InputError where there is no clock, or where a part is empty.
    """
    if not (validation > 0 and test > 0 and validation + test < 1):
        raise InputError(
            f"the shares {validation} and {test} of a global-time split must be above 0 and below 1 together"
        )
    log = log.compact()
    times = log.clock("a global-time split")
    cuts = np.quantile(times, [1 - validation - test, 1 - test], method="higher")
    if cuts[0] == cuts[1]:
        raise InputError(
            f"{log.name} cannot be split by time: both cuts fall on {np.datetime64(int(cuts[0]), 's')}"
        )
    starts, ends = log.offsets[:-1], log.offsets[1:]
    first = [
        starts + np.add.reduceat(times < cut, starts, dtype=np.int64) for cut in cuts
    ]  # positions from the cut on
    targets = [
        np.where((at > starts) & (at < until), at, -1) for at, until in zip(first, (first[1], ends))
    ]
    train = log.keep(
        times < cuts[0], f"{log.name} cannot be split by time: nothing is before the first cut"
    )
    if not all((part >= 0).any() for part in targets):
        raise InputError(
            f"{log.name} cannot be split by time: no user has interactions on both sides of a cut"
        )
    days = [str(np.datetime64(int(cut), "s")) for cut in cuts]
    return Split(log, train, *targets, f"global time, cut at {days[0]} and {days[1]}")
