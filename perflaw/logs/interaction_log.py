"""The interaction log: histories in flat arrays, read from a file, filtered and sampled.

A log holds all histories, each in time order, in one array of item codes, and the offsets at which
they begin. Functions on logs are pure, keep the item codes (the vocabulary) and drop users without
interactions. Interactions of a user at the same time keep the order of the file: that is the tie
rule, and `InteractionLog.summary` says how often it decides.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from perflaw.errors import InputError, require
from perflaw.io import atomic_path
from perflaw.logs import describe, fingerprint, readers
from perflaw.logs.histories import history_starts, sorted_pairs, to_offsets
from perflaw.logs.readers.number_times import LAST


@dataclass(frozen=True, eq=False, repr=False)
class InteractionLog:
    """The histories of users, each in time order.

    Build one with `read_log`, `from_histories` or `perflaw.logs.synthetic`.

    Attributes
    ----------
    items : ndarray of int32, shape (tokens,)
        Item codes, 0 to n_items − 1.
    offsets : ndarray of int64, shape (n_users + 1,)
        User u has ``items[offsets[u] : offsets[u + 1]]``.
    timestamps : ndarray of float64, shape (tokens,), or None
        Seconds since 1970 UTC; None where there is no clock.
    user_ids : ndarray, shape (n_users,)
        As in the file.
    item_ids : ndarray, shape (n_items,)
        The vocabulary: what each code stands for, whether it still occurs or not.
    name : str
    notes : tuple of str
        How it was read, a line each; `guesses` are among them.
    guesses : tuple of str
        What was guessed when it was read.
    """

    items: np.ndarray
    offsets: np.ndarray
    timestamps: np.ndarray | None
    user_ids: np.ndarray
    item_ids: np.ndarray
    name: str = "log"
    notes: tuple[str, ...] = ()
    guesses: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return (
            f"<InteractionLog {self.name}: {self.n_users:,} users, {self.n_items:,} items,"
            f" {self.tokens:,} interactions>"
        )

    def _repr_html_(self) -> str:
        return describe.summary_html(f"Interaction log {self.name}", self.summary())

    @property
    def n_users(self) -> int:
        """The number of users, each with at least one interaction."""
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
        """(tokens,) bool, whether the user had the item before."""
        repeated = np.zeros(self.tokens, bool)
        for start, stop, order, same in sorted_pairs(self):
            repeated[start:stop][order[1:][same]] = True
        return repeated

    def history(self, user: int) -> np.ndarray:
        """Item codes of one user (a position, not an id), oldest first."""
        return self.items[self.offsets[user] : self.offsets[user + 1]]

    @cached_property
    def hash(self) -> str:
        """sha256 (hex) of who had what in which order and when, and of nothing else.

        Names of users and items, their numbering, the order of users and the file's layout do
        not matter: two logs have the same hash if renaming users and items turns one into the
        other.
        """
        return fingerprint.digest_log(self)

    @cached_property
    def order(self) -> str:
        """16 hex digits of what `hash` leaves out: order of users and numbering of items."""
        return fingerprint.digest_numbering(self)

    def summary(self) -> dict[str, int | float | str | None]:
        """Describe the log in plain numbers.

        Returns
        -------
        dict
            ``users``, ``items`` (that occur) and ``tokens``. ``length_…``: mean, minimum,
            quantiles and maximum of the interactions a user. ``repeats``: share of
            interactions with an item that the user had before. ``density``: distinct user-item
            pairs over all pairs of users and items that occur. ``ties``: share of interactions
            that share their time with another one of the same user, so that the file decides
            their order. ``duplicates``: interactions that repeat user, item and time. ``first``
            and ``last``: ISO dates. ``span_days``. The last five are None without a clock.
        """
        return describe.summarize_log(self)

    def min_length(self, n: int) -> InteractionLog:
        """Keep the users with at least n interactions."""
        long_enough = np.repeat(self.lengths >= n, self.lengths)
        return self.keep(long_enough, f"no user has {n} interactions")

    def k_core(self, k: int) -> InteractionLog:
        """Keep the largest part in which every user and item has at least k interactions."""
        log = self
        while True:
            enough = np.repeat(log.lengths >= k, log.lengths) & (log.item_counts >= k)[log.items]
            if enough.all():
                return log
            log = log.keep(enough, f"nothing of {self.name} is left in its {k}-core")

    def last(self, n: int) -> InteractionLog:
        """Keep the last n interactions of each user."""
        if n < 1:
            raise InputError(f"the last {n} interactions of a user are none; use 1 or more")
        ends = np.repeat(self.offsets[1:], self.lengths)
        return self.keep(np.arange(self.tokens) >= ends - n)

    def sample_users(self, share: float, seed: int = 0) -> InteractionLog:
        """Keep a share of the users, chosen at random.

        With the same seed a smaller share is part of a larger one.
        """
        shuffled = np.random.default_rng(seed).permutation(self.n_users)
        chosen = np.zeros(self.n_users, bool)
        chosen[shuffled[: _size_of_share(share, self.n_users)]] = True
        return self.keep(np.repeat(chosen, self.lengths))

    def sample_time(self, share: float, seed: int | None = None) -> InteractionLog:
        """Keep the most recent share of the interactions or, with a seed, a random span of time.

        Interactions at the same time stay together, so that the share may be exceeded.
        Raises InputError where there is no clock.
        """
        timestamps = self.clock("a span of time")
        times = np.sort(timestamps)
        count = _size_of_share(share, self.tokens)
        start = self.tokens - count
        if seed is not None:
            start = int(np.random.default_rng(seed).integers(start + 1))
        first, last = times[start], times[start + count - 1]
        return self.keep((timestamps >= first) & (timestamps <= last))

    def reverse_ties(self) -> InteractionLog:
        """Reverse the order of interactions of a user at one time: the opposite tie rule."""
        times = self.clock("the order of ties")
        is_new_time = history_starts(self.offsets, self.tokens)
        is_new_time[1:] |= np.diff(times) != 0
        starts = np.flatnonzero(is_new_time)
        sizes = np.diff(np.append(starts, self.tokens))
        mirrored = np.repeat(2 * starts + sizes - 1, sizes) - np.arange(self.tokens)
        return replace(self, items=self.items[mirrored])

    def keep(self, mask: np.ndarray, otherwise: str = "nothing is left") -> InteractionLog:
        """Keep the interactions where mask, (tokens,), is true; InputError(otherwise) if none."""
        if mask.dtype != bool or len(mask) != self.tokens:
            raise InputError("a mask has one true or false for each interaction")
        if not mask.any():
            raise InputError(otherwise)
        counts = np.add.reduceat(mask, self.offsets[:-1], dtype=np.int64)
        return replace(
            self,
            items=self.items[mask],
            offsets=to_offsets(counts[counts > 0]),
            timestamps=None if self.timestamps is None else self.timestamps[mask],
            user_ids=self.user_ids[counts > 0],
        )

    def compact(self) -> InteractionLog:
        """Reduce the vocabulary to the items that occur, in order of first appearance."""
        codes, occurring = pd.factorize(self.items)
        return replace(self, items=codes.astype(np.int32), item_ids=self.item_ids[occurring])

    def clock(self, purpose: str) -> np.ndarray:
        """Return the timestamps; raise InputError, which names the purpose, without any."""
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
        user=None if user is None else str(user),
        item=None if item is None else str(item),
        time=None if time is None else str(time),
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


def from_histories(
    histories: Iterable[Sequence],
    timestamps: Iterable[Sequence[float]] | None = None,
    name: str = "log",
) -> InteractionLog:
    """Make a log of lists of items.

    Parameters
    ----------
    histories : iterable of sequences
        The items of each user, oldest first.
    timestamps : iterable of sequences of float, optional
        Seconds since 1970 UTC, one for each item, in order within each history.
    name : str

    Raises
    ------
    InputError
        For a history without items or with a missing one, and for timestamps that do not fit.

    Examples
    --------
    >>> from_histories([["tea", "milk", "tea"], ["milk"]])
    <InteractionLog log: 2 users, 2 items, 4 interactions>
    """
    arrays = [np.asarray(history) for history in histories]
    if any(array.ndim != 1 for array in arrays):
        raise InputError("a history is no flat sequence; give the items of each user as a list")
    lengths = [len(array) for array in arrays]
    if not lengths or not all(lengths):
        raise InputError("a log needs at least one user, and each user an item")
    codes, item_ids = pd.factorize(np.concatenate(arrays))
    if codes.min() < 0:
        raise InputError("a history has a missing item; leave it out, or give it a name")
    offsets = to_offsets(np.array(lengths))
    times = None
    if timestamps is not None:
        times_by_user = [np.asarray(seconds, np.float64) for seconds in timestamps]
        times = np.concatenate([[], *times_by_user])
        if (
            [len(seconds) for seconds in times_by_user] != lengths
            or not np.abs(times).max() <= LAST
            or (np.diff(times) < 0)[~history_starts(offsets, len(codes))[1:]].any()
        ):
            raise InputError(
                "timestamps: seconds since 1970 up to the year 2100, one for each item, in order "
                "within each history"
            )
    users = np.arange(len(lengths))
    return InteractionLog(codes.astype(np.int32), offsets, times, users, item_ids, name)


def write_log(log: InteractionLog, path: str | os.PathLike) -> None:
    """Write a Parquet file with columns user, item and, where there is a clock, timestamp.

    The file is complete or not there at all.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_log(from_histories([["a", "b"]]), f"{folder}/shop.parquet")
    ...     read_log(f"{folder}/shop.parquet")
    <InteractionLog shop: 1 users, 2 items, 2 interactions>
    """
    duckdb = require("duckdb")
    columns = {"user": np.repeat(log.user_ids, log.lengths), "item": log.item_ids[log.items]}
    if log.timestamps is not None:
        columns["timestamp"] = log.timestamps
    frame = pd.DataFrame(columns)  # noqa: F841, read by its name below
    with atomic_path(path) as temporary:
        duckdb.sql("select * from frame").write_parquet(str(temporary), compression="zstd")


def _size_of_share(share: float, n: int) -> int:
    """Return how many of n are this share, at least one."""
    if not 0 < share <= 1:
        raise InputError(f"a share of {share} cannot be kept; it must be above 0 and at most 1")
    return max(1, round(share * n))
