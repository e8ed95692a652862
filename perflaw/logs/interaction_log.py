"""Interaction logs: histories in flat arrays, from any common file, filtered, split and named by a hash.

A log holds every history in one array of item codes, one after another in time order, and
the offsets at which they begin. All functions on logs are pure, keep the item codes (the
vocabulary) and drop users with nothing left. Interactions at the same time keep the order
of the file: that is the tie rule, and `InteractionLog.summary` says how often it decides.
"""

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

from perflaw.errors import InputError, require
from perflaw.logs import readers

BLOCK = (
    1 << 16
)  # interactions worked on at a time: memory stays near that of the log, and `_pairs` within 64 bits
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True, eq=False)
class InteractionLog:
    """The histories of users, each in time order.

    Build one with `read_log`, `from_histories` or `perflaw.logs.synthetic`.
    """

    items: np.ndarray  # (tokens,) int32, codes 0 … n_items − 1
    offsets: np.ndarray  # (n_users + 1,) int64; user u has items[offsets[u] : offsets[u + 1]]
    timestamps: (
        np.ndarray | None
    )  # (tokens,) float64 seconds since 1970 UTC; None where there is no clock
    user_ids: np.ndarray  # (n_users,) as in the file
    item_ids: (
        np.ndarray
    )  # (n_items,) the vocabulary: what each code stands for, whether it still occurs or not
    name: str = "log"
    notes: tuple[str, ...] = ()  # all there is to know about its reading, guesses among them
    guesses: tuple[str, ...] = ()  # what was guessed when it was read

    def __repr__(self):
        return f"<InteractionLog {self.name}: {self.n_users:,} users, {self.n_items:,} items, {self.tokens:,} interactions>"

    @property
    def n_users(self) -> int:
        return len(self.offsets) - 1

    @property
    def n_items(self) -> int:
        """The size of the vocabulary."""
        return len(self.item_ids)

    @property
    def tokens(self) -> int:
        """D, the number of interactions."""
        return len(self.items)

    @property
    def lengths(self) -> np.ndarray:
        """(n_users,) interactions of each user."""
        return np.diff(self.offsets)

    @property
    def users(self) -> np.ndarray:
        """(tokens,) int32, the user of each interaction."""
        return np.repeat(np.arange(self.n_users, dtype=np.int32), self.lengths)

    @cached_property
    def item_counts(self) -> np.ndarray:
        """(n_items,) interactions of each item."""
        return np.bincount(self.items, minlength=self.n_items)

    @cached_property
    def repeats(self) -> np.ndarray:
        """(tokens,) bool: has this user had this item before?"""
        again = np.zeros(self.tokens, bool)
        for start, stop, order, same in _pairs(self):
            again[start:stop][order[1:][same]] = True
        return again

    def history(self, user: int) -> np.ndarray:
        """Item codes of one user (a position, not an id), oldest first."""
        return self.items[self.offsets[user] : self.offsets[user + 1]]

    @cached_property
    def hash(self) -> str:
        """sha256 (hex) of who had what in which order and when, and of nothing else.

        Names of users and items, their numbering, the order of users and the file's layout do
        not matter: two logs have the same hash if renaming users and items makes one the other.
        (Renaming is undone by ordering users by what they did; should two users be alike in
        all that is looked at and yet not interchangeable, one log can have two hashes.
        Different logs never share one.)
        """
        digest = hashlib.sha256(
            f"{self.n_users} {self.tokens} {self.timestamps is not None}\n".encode()
        )
        _digest_histories(digest, self, *_canonical(self))
        return digest.hexdigest()

    @cached_property
    def order(self) -> str:
        """16 hex digits of what `hash` leaves out: the order of users and the numbering of items."""
        return hashlib.sha256(self.items.tobytes() + self.offsets.tobytes()).hexdigest()[:16]

    def summary(self) -> dict:
        """What the log is like, in plain numbers.

        Lengths are interactions a user; `repeats` is the share of interactions with an item
        that the user had before; `density` is distinct user-item pairs over all pairs of users
        and items that occur; `ties` is the share of interactions that share their time with
        another one of the same user (their order is the file's); `duplicates` counts
        interactions that repeat user, item and time. The last two, `first`, `last` (ISO dates) and
        `span_days` are None where there is no clock.
        """
        lengths, occurring = self.lengths, int(np.count_nonzero(self.item_counts))
        repeated = int(self.repeats.sum())
        quantiles = {
            f"length_q{100 * q:02.0f}": float(v)
            for q, v in zip(QUANTILES, np.quantile(lengths, QUANTILES))
        }
        told = {
            "users": self.n_users,
            "items": occurring,
            "tokens": self.tokens,
            "length_mean": float(lengths.mean()),
            "length_min": int(lengths.min()),
            **quantiles,
            "length_max": int(lengths.max()),
            "repeats": repeated / self.tokens,
            "density": (self.tokens - repeated) / (self.n_users * occurring),
        }
        clock = dict.fromkeys(("ties", "duplicates", "first", "last", "span_days"))
        if self.timestamps is not None:
            first, last = float(self.timestamps.min()), float(self.timestamps.max())
            clock = {
                "ties": float(_tied(self).mean()),
                "duplicates": _duplicates(self),
                "first": str(np.datetime64(int(first), "s"))[:10],
                "last": str(np.datetime64(int(last), "s"))[:10],
                "span_days": (last - first) / 86_400,
            }
        return told | clock

    # ------------------------------------------------------------ log → log

    def min_length(self, n: int) -> InteractionLog:
        """Users with at least n interactions."""
        return self.keep(
            np.repeat(self.lengths >= n, self.lengths), f"no user has {n} interactions"
        )

    def k_core(self, k: int) -> InteractionLog:
        """The largest part in which every user and every item has at least k interactions."""
        log = self
        while log.tokens:
            enough = np.repeat(log.lengths >= k, log.lengths) & (log.item_counts >= k)[log.items]
            if enough.all():
                return log
            log = log.keep(enough, f"nothing of {self.name} is left in its {k}-core")
        return log

    def last(self, n: int) -> InteractionLog:
        """The last n interactions of each user."""
        if n < 1:
            raise InputError(f"the last {n} interactions of a user are none; use 1 or more")
        ends = np.repeat(self.offsets[1:], self.lengths)
        return self.keep(np.arange(self.tokens) >= ends - n)

    def sample_users(self, share: float, seed: int = 0) -> InteractionLog:
        """A share of the users, chosen at random; with the same seed a smaller share is part of a larger one."""
        chosen = np.zeros(self.n_users, bool)
        chosen[
            np.random.default_rng(seed).permutation(self.n_users)[: _count(share, self.n_users)]
        ] = True
        return self.keep(np.repeat(chosen, self.lengths))

    def sample_tokens(self, share: float, seed: int = 0) -> InteractionLog:
        """A share of the interactions, chosen at random; nested like `sample_users`."""
        lots = np.random.default_rng(seed).random(self.tokens)
        kept = _count(share, self.tokens)
        return self.keep(lots <= np.partition(lots, kept - 1)[kept - 1])

    def sample_time(self, share: float, seed: int | None = None) -> InteractionLog:
        """The most recent share of the interactions or, with a seed, a span of time placed at random.

        Interactions at the same time stay together, so that the share may be exceeded.
        Raises InputError where there is no clock.
        """
        times = np.sort(self.clock("a span of time"))
        kept = _count(share, self.tokens)
        start = self.tokens - kept
        if seed is not None:
            start = int(np.random.default_rng(seed).integers(start + 1))
        return self.keep(
            (self.timestamps >= times[start]) & (self.timestamps <= times[start + kept - 1])
        )

    def reverse_ties(self) -> InteractionLog:
        """The log under the opposite tie rule: interactions of a user at one time in the reverse of the file's order."""
        times = self.clock("the order of ties")
        new = np.ones(self.tokens, bool)
        new[1:] = np.diff(times) != 0
        new[self.offsets[:-1]] = True
        starts = np.flatnonzero(new)
        sizes = np.diff(np.append(starts, self.tokens))
        mirrored = np.repeat(2 * starts + sizes - 1, sizes) - np.arange(self.tokens)
        return replace(self, items=self.items[mirrored])

    def keep(self, mask: np.ndarray, otherwise: str = "nothing is left") -> InteractionLog:
        """The interactions where mask (tokens,) is true; raises InputError(otherwise) if there are none."""
        if not mask.any():
            raise InputError(otherwise)
        counts = np.add.reduceat(mask, self.offsets[:-1], dtype=np.int64)
        return replace(
            self,
            items=self.items[mask],
            offsets=_offsets(counts[counts > 0]),
            timestamps=None if self.timestamps is None else self.timestamps[mask],
            user_ids=self.user_ids[counts > 0],
        )

    def compact(self) -> InteractionLog:
        """The same log with a vocabulary of the items that occur, in order of first appearance."""
        codes, seen = pd.factorize(self.items)
        return replace(self, items=codes.astype(np.int32), item_ids=self.item_ids[seen])

    def clock(self, purpose: str) -> np.ndarray:
        """The timestamps; raises InputError where there are none."""
        if self.timestamps is None:
            raise InputError(f"{self.name} has no timestamps, and {purpose} needs them")
        return self.timestamps


def read_log(
    source: str | os.PathLike | pd.DataFrame,
    *,
    user: str | int | None = None,
    item: str | int | None = None,
    time: str | int | None = None,
    layout: str | None = None,
    delimiter: str | None = None,
    header: bool | None = None,
    unit: str | None = None,
    time_format: str | None = None,
    timezone: str | None = None,
    drop_incomplete: bool = False,
    parts: bool = False,
    name: str | None = None,
) -> InteractionLog:
    r"""Read a log from a file, or from a table in memory.

    Files: text with columns split at a comma, tab, `;`, `|`, `::` or spaces (CSV, TSV, RecBole's
    .inter, MovieLens' u.data and ratings.dat, SASRec's `user item`); `user item item …` a line
    (S3-Rec); a list of items in each cell (HSTU, RecBole's `token_seq`); JSON lines, an
    interaction or a user with a list of events each; Parquet. All may be packed with gzip,
    bzip2, xz or zstd. What is not given is guessed, and `log.guesses` says how.

    Parameters
    ----------
    source : str, path, DataFrame, or any table with the Arrow C stream (Polars, PyArrow)
    user, item, time : str or int, optional
        Names of columns, or their numbers from 1 where there is no header.
    layout : {"parquet", "table", "sequences", "json"}, optional
        "sequences" is that of S3-Rec.
    delimiter, header : str, bool, optional
        Of a table of text.
    unit : {"s", "ms", "us", "ns", "filetime", "ticks", "order"}, optional
        Of times that are numbers: since 1970 UTC, as Windows and .NET have them, or "order" if
        they are no clock times and only order each history.
    time_format : str, optional
        Of times that are text, in the fields of strptime, as in ``"%d/%m/%y %H:%M"``. Without
        it dates are read where the year comes first.
    timezone : str, optional
        Of dates that do not say theirs, as in ``"Europe/Berlin"``; UTC without it.
    drop_incomplete : bool
        Leave out rows without a user, an item or a time, `NA` and the like among them; a note
        says how many.
    parts : bool
        Is the source a folder of Parquet files that are one log?
    name : str, optional
        Of the log; that of the file without it.

    Returns
    -------
    InteractionLog
        Each history is sorted by time; interactions at the same time, and those of a log
        without times, keep the order of the source. Ids are text unless all of them are whole
        numbers.

    Raises
    ------
    InputError
        With the source, the line and the mend, where it cannot be read in one way only.

    Examples
    --------
    >>> import pandas as pd
    >>> log = read_log(pd.DataFrame({"user": [7, 7], "item": ["b", "a"], "day": ["x", "y"]}))
    >>> log
    <InteractionLog log: 1 users, 2 items, 2 interactions>
    """
    options = readers.ReadOptions(
        user=user,
        item=item,
        time=time,
        layout=layout,
        delimiter=delimiter,
        header=header,
        unit=unit,
        time_format=time_format,
        timezone=timezone,
        drop_incomplete=drop_incomplete,
        parts=parts,
    )
    columns = readers.read(source, options)
    if name is None:
        name = Path(source).name.split(".")[0] if isinstance(source, str | os.PathLike) else "log"
    return InteractionLog(
        columns.items,
        columns.offsets,
        columns.timestamps,
        columns.user_ids,
        columns.item_ids,
        name,
        columns.guesses + columns.notes,
        columns.guesses,
    )


def from_histories(histories, timestamps=None, name: str = "log") -> InteractionLog:
    """A log of lists of items, one list a user, oldest first; timestamps likewise, in seconds."""
    lengths = np.array([len(history) for history in histories], np.int64)
    if not len(lengths) or not lengths.all():
        raise InputError("a log needs at least one user, and each user an item")
    codes, item_ids = pd.factorize(np.concatenate([np.asarray(history) for history in histories]))
    if timestamps is not None:
        timestamps = np.concatenate([np.asarray(times, np.float64) for times in timestamps])
        within = np.ones(len(codes), bool)
        within[_offsets(lengths)[:-1]] = False
        if (
            len(timestamps) != len(codes)
            or not np.isfinite(timestamps).all()
            or (np.diff(timestamps) < 0)[within[1:]].any()
        ):
            raise InputError("timestamps: one for each item, in order within each history")
    users = np.arange(len(lengths))
    return InteractionLog(
        codes.astype(np.int32), _offsets(lengths), timestamps, users, item_ids, name
    )


def write_log(log: InteractionLog, path: str | os.PathLike) -> None:
    """Write a Parquet file with columns user, item and, where there is a clock, timestamp; complete or not at all."""
    duckdb = require("duckdb")
    path = Path(path)
    columns = {"user": np.repeat(log.user_ids, log.lengths), "item": log.item_ids[log.items]}
    if log.timestamps is not None:
        columns["timestamp"] = log.timestamps
    frame = pd.DataFrame(columns)  # noqa: F841, read by its name below
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    os.close(handle)
    try:
        duckdb.sql("select * from frame").write_parquet(temporary, compression="zstd")
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


# ---------------------------------------------------------------- splits


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


# ---------------------------------------------------------------- blocks of users


def _blocks(offsets) -> Iterator[tuple[int, int]]:
    """Ranges of users with up to BLOCK interactions together, each at least one user."""
    user = 0
    while user < len(offsets) - 1:
        stop = int(np.searchsorted(offsets, offsets[user] + BLOCK, side="right")) - 1
        yield user, (user := max(stop, user + 1))


def _pairs(log):
    """In blocks: start, stop, the order of interactions by user, item and time, and where the pair is that before."""
    for first, until in _blocks(log.offsets):
        start, stop = log.offsets[first], log.offsets[until]
        users = np.repeat(
            np.arange(until - first, dtype=np.uint64), np.diff(log.offsets[first : until + 1])
        )
        pair = users * np.uint64(log.n_items) + log.items[start:stop].astype(np.uint64)
        bits = np.uint64(int(stop - start).bit_length())
        keys = np.sort(
            (pair << bits) | np.arange(stop - start, dtype=np.uint64)
        )  # one number each: a fast, stable sort
        yield (
            start,
            stop,
            (keys & ((np.uint64(1) << bits) - np.uint64(1))).astype(np.int64),
            np.diff(keys >> bits) == 0,
        )


def _tied(log):
    same = np.diff(log.timestamps) == 0
    same[log.offsets[1:-1] - 1] = False
    return np.concatenate([same, [False]]) | np.concatenate([[False], same])


def _duplicates(log):
    return sum(
        int(np.sum(same & (np.diff(log.timestamps[start:stop][order]) == 0)))
        for start, stop, order, same in _pairs(log)
    )


def concatenated_ranges(starts, lengths) -> np.ndarray:
    """start, start + 1, … of each start, `length` of them, one span after another."""
    return np.arange(lengths.sum()) + np.repeat(starts - _offsets(lengths)[:-1], lengths)


def _offsets(counts):
    return np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])


def _count(share, n):
    if not 0 < share <= 1:
        raise InputError(f"a share of {share} cannot be kept; it must be above 0 and at most 1")
    return max(1, round(share * n))


# ---------------------------------------------------------------- the hash


def _mixed(x):
    """Scatter whole numbers over 64 bits (the finaliser of SplitMix64, Steele et al. 2014)."""
    x = np.asarray(x).astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def _canonical(log):
    """An order of users and a numbering of items that do not depend on how either is named.

    Items are coloured by the places in which they stand, users by the colours of their items;
    users are ordered by colour, items numbered as they then appear, unused ones last.
    """
    colours = np.zeros(log.n_items, np.uint64)
    for start, stop, places in _places(log):
        np.add.at(colours, log.items[start:stop], _mixed(places))
    order = np.argsort(_user_colours(log, _mixed(colours)), kind="stable")
    codes = np.full(log.n_items, -1, np.int32)
    used = 0
    for items in _in_order(log, log.items, order):
        fresh = pd.unique(items[codes[items] < 0])
        codes[fresh] = np.arange(used, used + len(fresh))
        used += len(fresh)
    codes[codes < 0] = np.arange(used, log.n_items)
    return order, codes


def _user_colours(log, colours):
    """(n_users,) a number for each history, from the colours of its items and their places."""
    found = np.empty(log.n_users, np.uint64)
    for first, until in _blocks(log.offsets):
        start, stop = log.offsets[first], log.offsets[until]
        place = _mixed(_place(log, first, until))
        mixed = _mixed(colours[log.items[start:stop]] ^ place)
        found[first:until] = np.add.reduceat(mixed, log.offsets[first:until] - start)
    return found


def _places(log):
    for first, until in _blocks(log.offsets):
        yield log.offsets[first], log.offsets[until], _place(log, first, until)


def _place(log, first, until):
    """A number for each interaction from where in its history, and when, it stands."""
    offsets = log.offsets[first : until + 1]
    lengths = np.diff(offsets)
    place = np.arange(offsets[0], offsets[-1]) - np.repeat(offsets[:-1], lengths)
    place = place.astype(np.uint64) ^ np.repeat(_mixed(lengths), lengths)
    if log.timestamps is not None:
        place ^= _mixed(log.timestamps[offsets[0] : offsets[-1]].view(np.uint64))
    return place


def _in_order(log, values, order):
    """In blocks: the values (tokens,) of users in that order."""
    lengths = log.lengths[order]
    offsets = _offsets(lengths)
    for first, until in _blocks(offsets):
        size = lengths[first:until]
        within = np.arange(offsets[first], offsets[until]) - np.repeat(offsets[first:until], size)
        yield values[within + np.repeat(log.offsets[order[first:until]], size)]


def _digest_histories(digest, log, order, codes):
    """Add lengths, items (numbered by `codes`) and timestamps of users in that order."""
    digest.update(log.lengths[order].astype("<i8"))
    for items in _in_order(log, log.items, order):
        digest.update(codes[items].astype("<i4"))
    if log.timestamps is not None:
        for timestamps in _in_order(log, log.timestamps, order):
            digest.update(timestamps.astype("<f8"))
