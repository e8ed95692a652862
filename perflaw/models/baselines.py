"""The floor: recommenders without weights, behind the same interface as the backbones (`ranking.Scorer`)."""

from __future__ import annotations

import numpy as np
import torch
from scipy import sparse

from perflaw.logs.interaction_log import Split, concatenated_ranges
from perflaw.models.ranking import Scorer

RECENT = 0.1  # share of the training part that recent popularity looks at
NEIGHBOURS = 100  # of an item, in item-kNN


def most_popular(split: Split) -> Scorer:
    """Items by how often they occur in the training part."""
    return _same_for_all(split.train.item_counts)


def recent_popular(split: Split) -> Scorer:
    """Items by how often they occur in the last tenth of the training part; without a clock, of each history."""
    train = split.train
    if train.timestamps is not None:
        return _same_for_all(train.sample_time(RECENT).item_counts)
    kept = np.ceil(RECENT * train.lengths).astype(int)
    recent = np.arange(train.tokens) >= np.repeat(train.offsets[1:] - kept, train.lengths)
    return _same_for_all(np.bincount(train.items[recent], minlength=train.n_items))


def markov(split: Split) -> Scorer:
    """Items by how often they came right after the user's last item; among equals the popular first."""
    train = split.train
    inside = np.ones(train.tokens, bool)
    inside[train.offsets[1:] - 1] = False
    pair = train.items[:-1][inside[:-1]], train.items[1:][inside[:-1]]
    counts = sparse.csr_array((np.ones(len(pair[0])), pair), (train.n_items, train.n_items))
    popularity = train.item_counts / (train.tokens + 1)

    def scorer(log, users, stops):
        rows = counts[log.items[stops - 1]].tocsc()
        return lambda first, until: torch.from_numpy(
            rows[:, first:until].toarray() + popularity[first:until]
        )

    return scorer


def item_knn(split: Split) -> Scorer:
    """Items by their similarity, summed over the history: the cosine of who had them, of the 100 nearest of each."""
    train = split.train
    had = sparse.csr_array(
        (np.ones(train.tokens), (train.users, train.items)), (train.n_users, train.n_items)
    )
    had.data[:] = 1  # once or often
    had = had / np.maximum(np.sqrt(had.sum(axis=0)), 1)
    alike = sparse.csr_array(had.T @ had)
    alike.setdiag(0)
    alike = _largest(alike, NEIGHBOURS)

    def scorer(log, users, stops):
        lengths = stops - log.offsets[users]
        at = concatenated_ranges(log.offsets[users], lengths)
        history = sparse.csr_array(
            (np.ones(len(at)), (np.repeat(np.arange(len(users)), lengths), log.items[at])),
            (len(users), log.n_items),
        )
        history.data[:] = 1
        scores = (history @ alike).tocsc()
        return lambda first, until: torch.from_numpy(scores[:, first:until].toarray())

    return scorer


BASELINES = {
    "most popular": most_popular,
    "recent popular": recent_popular,
    "first-order Markov": markov,
    "item-kNN": item_knn,
}


def _same_for_all(scores):
    scores = torch.from_numpy(np.asarray(scores, np.float64))
    return lambda log, users, stops: lambda first, until: scores[first:until].repeat(len(users), 1)


def _largest(matrix, k):
    """The k largest numbers of each row."""
    matrix.sort_indices()
    row = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    order = np.lexsort((matrix.indices, -matrix.data, row))
    kept = order[np.arange(matrix.nnz) - matrix.indptr[row] < k]
    return sparse.csr_array((matrix.data[kept], (row[kept], matrix.indices[kept])), matrix.shape)


def last_items(split: Split) -> Scorer:
    """Score items by how recently the user had them; those never had share the last place."""

    def scorer(log, users, stops):
        lengths = stops - log.offsets[users]
        at = concatenated_ranges(log.offsets[users], lengths)
        rows = np.repeat(np.arange(len(users)), lengths)
        items, place = log.items[at], at - np.repeat(log.offsets[users], lengths) + 1.0
        order = np.lexsort((place, items, rows))
        rows, items, place = rows[order], items[order], place[order]
        # Of an item had more than once the last place counts.
        last = np.append((np.diff(rows) != 0) | (np.diff(items) != 0), True)
        shape = (len(users), log.n_items)
        scores = sparse.csr_array((place[last], (rows[last], items[last])), shape).tocsc()
        return lambda first, until: torch.from_numpy(scores[:, first:until].toarray())

    return scorer
