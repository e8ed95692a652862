"""The training part of a split, shuffled every epoch into batches of one shape.

Every step then costs the same, hardly any position is padding, and nothing is done history by
history.
"""

from __future__ import annotations

import functools
import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from perflaw.logs.splits import Split
from perflaw.models.layers import Layout

# positions of padding that cost about as much as one more rectangle of a batch
RECTANGLE_COST = {"cpu": 64, "cuda": 4096}


class Batch(NamedTuple):
    """The positions (…, T) of a batch."""

    places: Tensor  # in the log's training part
    items: Tensor
    targets: Tensor  # the items that follow
    real: Tensor  # bool, False for padding


class EpochBatches:
    """The training part of a split in batches of one shape.

    Histories (their last L + 1 items) are sorted by length and cut into ranks: as many ranks as a
    batch has rows, each of as many histories as there are batches. Every batch gets one history of
    each rank, at random. So row i is about as long in every batch, and rows of like length form a
    rectangle.

    Parameters
    ----------
    split : Split
        Its training part has a user with two interactions.
    max_seq_len : int
        L.
    batch_size : int
        Histories in a batch, at most.
    device : str
        Where the batches are.

    Attributes
    ----------
    batches, rows, tokens : int
        Batches of an epoch, histories of a batch, positions trained on in an epoch.
    layout : Layout
        Of every batch.
    """

    def __init__(
        self, split: Split, max_seq_len: int, batch_size: int, device: torch.device | str = "cpu"
    ) -> None:
        train = split.train
        lengths = np.minimum(train.lengths - 1, max_seq_len)
        users = np.flatnonzero(lengths > 0)
        users = users[np.argsort(-lengths[users], kind="stable")]
        self.batches = math.ceil(len(users) / batch_size)
        self.rows = math.ceil(len(users) / self.batches)
        self.tokens = int(lengths.sum())
        widths = lengths[users][:: self.batches]
        rectangles = merge_rows(widths, RECTANGLE_COST[torch.device(device).type])
        self.layout = Layout.of(rectangles, device)
        # after the users comes one of length 0, who fills the rows that remain
        stops = train.offsets[1:][users]
        self.lengths = torch.tensor([*lengths[users], 0], device=device)
        self.starts = torch.tensor([*(stops - 1 - lengths[users]), 0], device=device)
        self.items = torch.from_numpy(train.items.astype(np.int64)).to(device)
        self.times = (
            None if train.timestamps is None else torch.from_numpy(train.timestamps).to(device)
        )
        self.n_items = train.n_items
        self._train, self._users = train, users

    @functools.cached_property
    def seen_pairs(self) -> Tensor:
        """User · n_items + item of all that users have in the training part, sorted.

        Users are numbered in the order of `starts`.
        """
        train, users = self._train, self._users
        number = np.full(train.n_users, len(users))
        number[users] = np.arange(len(users))
        pairs = np.repeat(number, train.lengths) * self.n_items + train.items
        return torch.from_numpy(np.unique(pairs)).to(self.items.device)

    def is_seen(self, batch: Tensor, items: Tensor) -> Tensor:
        """Say which of the items (…, T, k) the user of each position has in the training part."""
        pairs = batch[..., self.layout.row, None] * self.n_items + items
        nearest = torch.searchsorted(self.seen_pairs, pairs).clamp(max=len(self.seen_pairs) - 1)
        return self.seen_pairs[nearest] == pairs

    def shuffle(self, seed: int, epoch: int) -> Tensor:
        """(batches, rows) users of each batch of an epoch, numbered in the order of `starts`."""
        random = np.random.default_rng((seed, epoch))
        order = random.random((self.rows, self.batches)).argsort(axis=1)
        first_of_rank = self.batches * np.arange(self.rows)[:, None]
        users = np.minimum(order + first_of_rank, len(self.starts) - 1)
        return torch.from_numpy(np.ascontiguousarray(users.T)).to(self.starts.device)

    def gather(self, batch: Tensor) -> Batch:
        """Return the positions of a batch of users (…, rows)."""
        user = batch[..., self.layout.row]
        real = self.layout.place < self.lengths[user]
        places = torch.where(real, self.starts[user] + self.layout.place, 0)
        return Batch(places, self.items[places], self.items[places + 1], real)


def merge_rows(widths: np.ndarray, rectangle_cost: int) -> list[tuple[int, int]]:
    """Merge rows of falling width into rectangles (rows, width) of the least cost.

    The cost is padding, plus `rectangle_cost` positions for each rectangle. `least_cost[n]` is that
    of the first n rows, of which the last rectangle begins at row `last_start[n]`.

    Examples
    --------
    >>> merge_rows(np.array([9, 9, 2, 2]), rectangle_cost=3)
    [(2, 9), (2, 2)]
    """
    n = len(widths)
    least_cost = np.zeros(n + 1)
    last_start = np.zeros(n + 1, int)
    for stop in range(1, n + 1):
        starts = np.arange(stop)
        cost = least_cost[:stop] + (stop - starts) * widths[:stop] + rectangle_cost
        last_start[stop] = cost.argmin()
        least_cost[stop] = cost.min()
    rectangles = []
    stop = n
    while stop:
        start = last_start[stop]
        rectangles.append((int(stop - start), int(widths[start])))
        stop = start
    return rectangles[::-1]
