"""CETNet for the next item: models with tables of their own that learn from each other.

Of Liu et al. (arXiv 2411.13700), who predict clicks, it takes three parts. Each of m members has
its own embeddings. A collaboration loss draws the members' probabilities together. The prediction
is their mean, weighted by confidence: a softmax over members of the negative entropies.

Here a probability is of the next item and not of a click. A member j has the probabilities p_j. The
loss of a position with target t is the sum over members j of

    −ln p_j(t) + λ / (m − 1) · Σ_{k ≠ j} D(p_j, p_k),
    D(p, q) = (KL(p ‖ q) + KL(q ‖ p)) / 2,

so that λ = 0 trains members apart, and m = 1 is the plain model. As in the sampled softmax of the
study, the probabilities of training are over the target and negatives, the same for all members.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from perflaw.logs.interaction_log import InteractionLog
from perflaw.logs.splits import Split
from perflaw.models import backbones, layers, ranking, trained_model
from perflaw.models.configuration import Config
from perflaw.models.training.batching import EpochBatches
from perflaw.models.training.loss_functions import NEGATIVES_GROUP
from perflaw.models.training.preparation import prepare
from perflaw.models.training.run_state import RunState
from perflaw.study.analysis import study_runs

EXCLUDED = -1e4  # score of a negative that is the target: a probability of 0, and 0 · ln 0 = 0

Fusion = Callable[[Tensor], Tensor]
"""(m, …, items) log-probabilities of members → (…, items) of the ensemble."""


class Fitted(NamedTuple):
    """The weights of each member at the best validation, and NDCG@10 of the ensemble at each."""

    weights: list[layers.Weights]
    curve: list[float]


def fuse_by_confidence(log_p: Tensor) -> Tensor:
    """Average members' probabilities, weighted by a softmax of their negative entropies."""
    negative_entropies = (log_p.exp() * log_p).sum(-1)
    log_weights = negative_entropies.log_softmax(0)
    return (log_p + log_weights[..., None]).logsumexp(0)


def average_equally(log_p: Tensor) -> Tensor:
    """Average members' probabilities with equal weights."""
    return log_p.logsumexp(0) - math.log(len(log_p))


def collaboration_loss(log_p: Tensor) -> Tensor:
    """Add up, over members, the mean divergence D from the others; 0 for one member.

    Parameters
    ----------
    log_p : Tensor
        (m, T, k) log-probabilities.

    Returns
    -------
    Tensor
        (T,). With J = 2 D it is Σ_{j < k} J(p_j, p_k) / (m − 1), and the sum over pairs is
        m Σ_j p_j · ln p_j − (Σ_j p_j) · (Σ_j ln p_j).
    """
    m, p = len(log_p), log_p.exp()
    sum_of_pairs = m * (p * log_p).sum((0, -1)) - (p.sum(0) * log_p.sum(0)).sum(-1)
    return sum_of_pairs / max(1, m - 1)


def position_loss(log_p: Tensor, strength: float, teacher: Tensor | None = None) -> Tensor:
    """Return the loss of each position, (T,).

    Parameters
    ----------
    log_p : Tensor
        (m, T, k) log-probabilities of members; those of the target come first.
    strength : float
        λ.
    teacher : Tensor, optional
        (T, k) log-probabilities. With it λ weighs KL(teacher ‖ member) and there is no
        collaboration: distillation.
    """
    own = -log_p[..., 0].sum(0)
    if teacher is not None:
        return own + strength * (teacher.exp() * (teacher - log_p)).sum((0, -1))
    return own + strength * collaboration_loss(log_p) if strength else own


def candidate_logs(
    hidden: Tensor, table: Tensor, targets: Tensor, columns: Tensor, log_expected: Tensor
) -> Tensor:
    """(T, 1 + k) log-probabilities of the target, which comes first, and of k shared negatives.

    hidden (T, d), table (V, d), targets (T,); columns (k,) are the negatives and log_expected (k,)
    what is taken off their scores, as in `loss_functions.sampled_softmax_loss`.
    """
    own = (hidden * layers.gather_rows(table, targets)).sum(-1, keepdim=True)
    scores = hidden @ layers.gather_rows(table, columns).T - log_expected
    scores = scores.masked_fill(columns == targets[:, None], EXCLUDED)
    return torch.cat([own, scores], 1).log_softmax(-1)


def make_scorer(
    weights: Sequence[layers.Weights], config: Config, fusion: Fusion = fuse_by_confidence
) -> ranking.Scorer:
    """Score items by the fused log-probability."""
    scorers = [trained_model.scorer(of_member, config) for of_member in weights]

    def scorer(log: InteractionLog, users: np.ndarray, stops: np.ndarray) -> ranking.BlockScores:
        log_p = [score(log, users, stops)(0, log.n_items).log_softmax(-1) for score in scorers]
        fused = fusion(torch.stack(log_p))
        return lambda first, until: fused[:, first:until]

    return scorer


def fit(
    split: Split,
    configs: Sequence[Config],
    strength: float = 0.0,
    teacher: Sequence[layers.Weights] = (),
) -> Fitted:
    """Train members together until the ensemble's NDCG@10 on validation no longer rises.

    Parameters
    ----------
    split : Split
        Its test targets are not read.
    configs : sequence of Config
        Of each member, with loss `sampled_softmax`; they differ in the seed only. The first seed
        decides batches and negatives, which all members share.
    strength : float
        λ, of collaboration or distillation.
    teacher : sequence of dict of Tensor
        Weights of members of the same configuration whose fused probabilities are learnt.

    Raises
    ------
    InputError
        For what cannot be trained.
    """
    prepare(configs, split)
    first = configs[0]
    batches = EpochBatches(split, first.max_seq_len, first.batch_size)
    members = [RunState(config, split, batches) for config in configs]
    curve: list[float] = []
    best: list[layers.Weights] = []
    for epoch in range(1, first.epochs + 1):
        for users in batches.shuffle(first.seed, epoch):
            _take_step(members, batches, users, strength, teacher)
        if epoch % first.validate_every and epoch < first.epochs:
            continue
        weights = [_copy(member.weights) for member in members]
        curve.append(study_runs.measure_on_validation(make_scorer(weights, first), split))
        n_since_best = len(curve) - 1 - int(np.argmax(curve))
        if n_since_best == 0:
            best = weights
        if n_since_best == first.patience:
            break
    return Fitted(best, curve)


def _take_step(
    members: Sequence[RunState],
    batches: EpochBatches,
    users: Tensor,
    strength: float,
    teacher: Sequence[layers.Weights],
) -> None:
    """Take one step of all members on the same batch."""
    config, batch = members[0].config, batches.gather(users)

    def read(weights: layers.Weights, drop: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
        hidden = backbones.forward(weights, batch.items, batches.layout, config, drop)
        return hidden, weights["items"]

    learning = [read(member.weights, member.random.drop) for member in members]
    with torch.no_grad():
        teaching = [read(weights, lambda x: x) for weights in teacher]
    n_groups = math.ceil(len(batch.targets) / NEGATIVES_GROUP)
    negatives, log_expected = members[0].random.shared(n_groups, config.negatives)
    weight = batch.real / batch.real.sum()
    loss = torch.zeros(())
    for group, part in enumerate(torch.arange(len(weight)).split(NEGATIVES_GROUP)):
        candidates = batch.targets[part], negatives[group], log_expected[group]
        log_p = [candidate_logs(hidden[part], table, *candidates) for hidden, table in learning]
        taught = [candidate_logs(hidden[part], table, *candidates) for hidden, table in teaching]
        teacher_log_p = fuse_by_confidence(torch.stack(taught)) if taught else None
        losses = position_loss(torch.stack(log_p), strength, teacher_log_p)
        loss = loss + (weight[part] * losses).sum()
    loss.backward()
    for member in members:
        member.update()
        member.count_step()


def _copy(weights: layers.Weights) -> layers.Weights:
    return {name: weight.detach().clone() for name, weight in weights.items()}
