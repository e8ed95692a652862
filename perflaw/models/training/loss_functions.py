"""Losses of a batch: full and sampled softmax, and binary cross-entropy.

Shapes: hidden (…, T, d), table (…, V, d), targets and weight (…, T); `…` is the stack or
nothing. Each loss is the weighted sum over positions, (…,). The weights make it a mean over
positions, or over the worst users.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from perflaw.models import layers

# scores that the output layer holds at a time: on a CPU they stay in the cache
SCORES_AT_A_TIME = {"cpu": 1 << 21, "cuda": 1 << 26}
NEGATIVES_GROUP = 1024  # positions that share their negatives


class _Softmax(torch.autograd.Function):
    """Σ weight · (ln Σ exp(scores) − own score); gradients come with the forward pass.

    It takes some positions at a time, so that their scores stay in the cache and no T × V matrix
    exists. Without columns the scores are those of all items. With columns (…, groups, k) they
    are the own score and those of the group's k items, less log_expected. A column that is the
    target is left out.
    """

    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        table: Tensor,
        own: Tensor,
        weight: Tensor,
        columns: Tensor | None = None,
        log_expected: Tensor | None = None,
        targets: Tensor | None = None,
    ) -> Tensor:
        items = table.to(hidden.dtype)
        loss: Any = 0
        d_table = torch.zeros(table.shape, device=table.device)
        d_hidden, d_own, losses = map(torch.empty_like, (hidden, own, weight))
        step = NEGATIVES_GROUP
        if columns is None:
            step = max(1, SCORES_AT_A_TIME[hidden.device.type] // table.shape[-2])
        for group, start in enumerate(range(0, hidden.shape[-2], step)):
            chunk = slice(start, start + step)
            x, own_scores, w = hidden[..., chunk, :], own[..., chunk], weight[..., chunk]
            if columns is None or log_expected is None or targets is None:
                scores = (x @ items.mT).float()
                highest = scores.amax(-1)
                total = scores.sub_(highest[..., None]).exp_().sum(-1)
                d_own[..., chunk] = -w
            else:
                ids = columns[..., group, :]
                drawn = layers.gather_rows(items, ids)
                scores = (x @ drawn.mT).float().sub_(log_expected[..., group, None, :])
                scores.masked_fill_(ids[..., None, :] == targets[..., chunk, None], -torch.inf)
                highest = torch.maximum(scores.amax(-1), own_scores)
                own_share = (own_scores - highest).exp()
                total = scores.sub_(highest[..., None]).exp_().sum(-1) + own_share
                d_own[..., chunk] = w * (own_share / total - 1)
            losses[..., chunk] = highest + total.log() - own_scores
            loss = loss + (w * losses[..., chunk]).sum(-1)
            share = scores.mul_((w / total)[..., None]).to(x.dtype)
            if columns is None:
                d_hidden[..., chunk, :] = share @ items
                d_table += share.mT @ x
            else:
                d_hidden[..., chunk, :] = share @ drawn
                layers.scatter_add_rows(d_table, ids, (share.mT @ x).float())
        ctx.save_for_backward(d_hidden, d_table, d_own, losses)
        return loss

    @staticmethod
    def backward(ctx: Any, d_loss: Tensor) -> tuple[Tensor | None, ...]:
        d_hidden, d_table, d_own, losses = ctx.saved_tensors
        d_matrix, d_vector = d_loss[..., None, None], d_loss[..., None]
        d_weight = losses * d_vector if ctx.needs_input_grad[3] else None
        gradients = d_hidden * d_matrix, d_table * d_matrix, d_own * d_vector, d_weight
        return (*gradients, None, None, None)


def softmax_loss(hidden: Tensor, table: Tensor, targets: Tensor, weight: Tensor) -> Tensor:
    """Cross-entropy over all items."""
    return _Softmax.apply(hidden, table, _own_scores(hidden, table, targets), weight)


def sampled_softmax_loss(
    hidden: Tensor,
    table: Tensor,
    targets: Tensor,
    weight: Tensor,
    columns: Tensor,
    log_expected: Tensor,
) -> Tensor:
    """Cross-entropy over the target and k negatives shared by each `NEGATIVES_GROUP` of positions.

    Groups have negatives of their own, which costs nothing and lets a step reach many more items.

    Parameters
    ----------
    columns : Tensor
        (…, groups, k) negatives.
    log_expected : Tensor
        (…, groups, k) ln(k q). Taken off the scores of negatives, it makes the sum over them an
        unbiased estimate of that over all other items (logQ correction).
    """
    own = _own_scores(hidden, table, targets)
    return _Softmax.apply(hidden, table, own, weight, columns, log_expected, targets)


def bce_loss(
    hidden: Tensor, table: Tensor, targets: Tensor, weight: Tensor, negatives: Tensor
) -> Tensor:
    """Binary cross-entropy of the target and, summed, of the negatives (…, T, k).

    A negative that is the target is left out. Negatives may be items of the user's history: so
    the model learns that these may not come again.
    """
    own = _own_scores(hidden, table, targets)
    rows = layers.gather_rows(table, negatives.flatten(-2))
    others = rows.unflatten(-2, negatives.shape[-2:])
    scores = (others @ hidden.to(table.dtype)[..., None])[..., 0]
    against = (F.softplus(scores) * (negatives != targets[..., None])).sum(-1)
    return (weight * (F.softplus(-own) + against)).sum(-1)


def position_losses(loss: Callable[[Tensor], Tensor], weight: Tensor) -> Tensor:
    """Return the losses of positions (…, T): a loss is linear in the weights, so its gradient."""
    weight = weight.detach().requires_grad_()
    return torch.autograd.grad(loss(weight).sum(), weight)[0]


def worst_users_weight(losses: Tensor, real: Tensor, layout: layers.Layout, share: float) -> Tensor:
    """Return weights of positions that make the loss CVaR at level `share`: of the worst users.

    The loss of a user is the mean over the user's positions. Where `share` of the n users is no
    whole number, the last of the worst counts in part, so that the weights of users add up to 1.

    Parameters
    ----------
    losses, real : Tensor
        (…, T) of positions; False for padding.
    layout : Layout
        One user a row.
    share : float
        Above 0, at most 1.

    Returns
    -------
    Tensor
        (…, T), 0 for padding.

    References
    ----------
    Rockafellar and Uryasev (2000), Optimization of conditional value-at-risk.
    """
    by_user = losses.new_zeros((*losses.shape[:-1], layout.rows))
    lengths = by_user.index_add(-1, layout.row, real.to(losses.dtype))
    totals = by_user.index_add(-1, layout.row, losses * real)
    means = torch.where(lengths > 0, totals / lengths, -torch.inf)
    place = means.argsort(-1, descending=True).argsort(-1)
    counted = share * (lengths > 0).sum(-1, keepdim=True)
    user_weight = (counted - place).clamp(0, 1) / counted
    return real * (user_weight / lengths.clamp(min=1))[..., layout.row]


def _own_scores(hidden: Tensor, table: Tensor, targets: Tensor) -> Tensor:
    """Return the scores of the targets, (…, T)."""
    return (hidden * layers.gather_rows(table, targets)).sum(-1)
