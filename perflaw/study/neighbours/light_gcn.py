"""LightGCN: embeddings of users and items, averaged over the graph of who had what.

The model of He et al. (SIGIR 2020, arXiv 2002.02126), with the equations' numbers there. Layer 0 is
learnt. Each of N layers is Â times the one before, where Â = D^(−1/2) A D^(−1/2) and A is the
graph of users and items of the training part (equations 7 and 8). The final embeddings are the mean
of layers 0 to N (4, with 1 / (N + 1) for each), a score is their product (5), and the loss is that
of pairs (BPR) with λ times the squared norm of layer 0 (15). N = 0 is matrix factorisation.

It is no model of sequences: it has an embedding of each user, and does not read the order of a
history. At test it does not see the validation item, which sequence models read.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy import sparse
from torch import Tensor
from torch.nn.functional import embedding, softplus

from perflaw.errors import InputError
from perflaw.logs.interaction_log import InteractionLog
from perflaw.logs.splits import Split
from perflaw.models import ranking
from perflaw.study.analysis import study_runs

WEIGHT_DECAY = 1e-4  # λ, as in the paper
FIRST_SD = 0.1  # of layer 0 before training
BATCH = 8192  # pairs
EPOCHS = 400
PATIENCE = 10  # epochs without a better NDCG@10 on validation


class Options(NamedTuple):
    """What is varied of a model, and its seed.

    n_layers and d_emb are N, the number of propagations, and d; the seed is of the first
    embeddings, the order of pairs and the negatives; the rate is Adam's.
    """

    n_layers: int
    d_emb: int
    seed: int
    learning_rate: float


class Fitted(NamedTuple):
    """The final embeddings of the best epoch, users first, and NDCG@10 on validation by epoch."""

    embeddings: Tensor  # (n_users + n_items, d)
    curve: list[float]


def training_pairs(split: Split) -> np.ndarray:
    """(pairs, 2) distinct users and items of the training part.

    Raises
    ------
    InputError
        If a user has no training part.
    """
    log, train = split.log, split.train
    if train.n_users < log.n_users:
        raise InputError(
            f"{log.n_users - train.n_users} users of {log.name} have no training part, and so no "
            "embedding; split by leave_one_out"
        )
    return np.unique(np.stack([train.users, train.items], axis=1), axis=0).astype(np.int64)


def normalised_graph(pairs: np.ndarray, n_users: int, n_items: int) -> Tensor:
    """Â, a sparse (n, n) matrix of the n = n_users + n_items nodes, users first."""
    n = n_users + n_items
    users, items = pairs[:, 0], n_users + pairs[:, 1]
    ends = np.concatenate([users, items]), np.concatenate([items, users])
    degree = np.bincount(ends[0], minlength=n)
    weights = 1 / np.sqrt(degree[ends[0]] * degree[ends[1]])
    graph = sparse.csr_array((weights.astype(np.float32), ends), (n, n))
    starts, columns = (torch.from_numpy(part).long() for part in (graph.indptr, graph.indices))
    values = torch.from_numpy(graph.data)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta")
        return torch.sparse_csr_tensor(starts, columns, values, size=(n, n), check_invariants=True)


class _Neighbours(torch.autograd.Function):
    """Â times a layer; as Â is symmetric, so is its gradient, and nothing need be transposed."""

    @staticmethod
    def forward(ctx: Any, graph: Tensor, layer: Tensor) -> Tensor:
        ctx.graph = graph
        return torch.sparse.mm(graph, layer)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, Tensor]:
        return None, torch.sparse.mm(ctx.graph, gradient)


def propagate(graph: Tensor, embeddings: Tensor, n_layers: int) -> Tensor:
    """Return the mean of layers 0 to N, (n, d), from layer 0."""
    layer = total = embeddings
    for _ in range(n_layers):
        layer = _Neighbours.apply(graph, layer)
        total = total + layer
    return total / (n_layers + 1)


def pair_loss(first: Tensor, final: Tensor, triples: Tensor) -> Tensor:
    """BPR of (batch, 3) nodes: users, items that they had, and items that they had not.

    The mean of −ln σ(ŷ of the first − ŷ of the second), and λ/2 times the squared norms of
    layer 0.
    """
    user, positive, negative = embedding(triples, final).unbind(1)
    margin = (user * (positive - negative)).sum(1)
    times = torch.bincount(triples.flatten(), minlength=len(first))
    squares = (times * first.square().sum(1)).sum() / len(triples)
    return softplus(-margin).mean() + WEIGHT_DECAY / 2 * squares


def make_scorer(embeddings: Tensor, n_users: int) -> ranking.Scorer:
    """Score items by the product of the final embeddings."""
    of_users, of_items = embeddings[:n_users], embeddings[n_users:]

    def scorer(log: InteractionLog, users: np.ndarray, stops: np.ndarray) -> ranking.BlockScores:
        chosen = of_users[torch.from_numpy(users)]
        return lambda first, until: chosen @ of_items[first:until].T

    return scorer


def train_epochs(
    pairs: np.ndarray, sizes: tuple[int, int], options: Options, batch: int = BATCH
) -> Iterator[Tensor]:
    """Train without end, and yield the final embeddings after each epoch.

    Parameters
    ----------
    pairs : ndarray
        (pairs, 2) distinct users and items.
    sizes : (int, int)
        Numbers of users and of items.
    options : Options
    batch : int
        Pairs in a step.

    Raises
    ------
    InputError
        If a user has had every item.
    """
    n_users, n_items = sizes
    graph = normalised_graph(pairs, n_users, n_items)
    random = torch.Generator().manual_seed(options.seed)
    shape = n_users + n_items, options.d_emb
    first = (FIRST_SD * torch.randn(shape, generator=random)).requires_grad_()
    adam = torch.optim.Adam([first], lr=options.learning_rate)
    is_seen = torch.zeros(n_users, n_items, dtype=torch.bool)
    nodes = torch.from_numpy(pairs)
    is_seen[nodes[:, 0], nodes[:, 1]] = True
    if is_seen.all(1).any():
        raise InputError("a user has had every item: no negative is left; use a log of more items")
    while True:
        shuffled = nodes[torch.randperm(len(nodes), generator=random)]
        for part in shuffled.split(batch):
            negatives = _draw_unseen(part[:, 0], is_seen, random)
            triples = torch.stack([part[:, 0], n_users + part[:, 1], n_users + negatives], 1)
            adam.zero_grad()
            pair_loss(first, propagate(graph, first, options.n_layers), triples).backward()
            adam.step()
        yield propagate(graph, first.detach(), options.n_layers)


def fit(split: Split, options: Options, epochs: int = EPOCHS) -> Fitted:
    """Train until NDCG@10 on validation has not risen for `PATIENCE` epochs.

    Parameters
    ----------
    split : Split
        By leave-one-out.
    options : Options
    epochs : int
        At most.
    """
    n_users, n_items = split.log.n_users, split.log.n_items
    training = train_epochs(training_pairs(split), (n_users, n_items), options)
    curve: list[float] = []
    for final in itertools.islice(training, epochs):
        curve.append(study_runs.measure_on_validation(make_scorer(final, n_users), split))
        best_epoch = 1 + int(np.argmax(curve))
        if best_epoch == len(curve):
            best = final
        elif len(curve) - best_epoch >= PATIENCE:
            break
    return Fitted(best, curve)


def _draw_unseen(users: Tensor, is_seen: Tensor, random: torch.Generator) -> Tensor:
    """Draw an item uniformly for each user, of those that the user has not had."""
    n_items = is_seen.shape[1]
    items = torch.randint(n_items, (len(users),), generator=random)
    is_taken = is_seen[users, items]
    while is_taken.any():
        items[is_taken] = torch.randint(n_items, (int(is_taken.sum()),), generator=random)
        is_taken = is_seen[users, items]
    return items


def train_light_gcn(split: Split, options: Options) -> dict[str, Any]:
    """Train one model and measure it on test, once.

    Returns
    -------
    dict
        A row of data/neighbours/light_gcn.csv: the options, best_epoch and done_epochs,
        validation NDCG@10, and HR@10 and NDCG@10 by the rules of ranking; "removed" is the rule of
        record where nothing repeats.
    """
    fitted = fit(split, options)
    scorer = make_scorer(fitted.embeddings, split.log.n_users)
    measured = study_runs.measure_trained(scorer, split, fitted.curve)
    return {"log": split.log.name, **options._asdict(), **measured}
