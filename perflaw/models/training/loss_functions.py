"""Losses of a batch: full and sampled softmax, and binary cross-entropy.

Shapes: hidden (…, T, d), table (…, V, d), targets and weight (…, T); `…` is the stack or
nothing. Each loss is the weighted sum over positions, (…,).
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from perflaw.models import layers

# scores held at a time by the output layer: on a CPU they stay in the cache
SCORES_AT_A_TIME = {"cpu": 1 << 21, "cuda": 1 << 26}
NEGATIVES_GROUP = 1024  # positions that share their negatives


class _Softmax(torch.autograd.Function):
    """Σ weight · (ln Σ exp(scores) − own score); gradients come with the forward pass.

    Positions are taken some at a time, so that their scores stay in the cache and no T × V matrix
    exists. Without columns the scores are those of all items. With columns (…, groups, k) they
    are those of the group's k items, less log_expected, and the own score; a column that is the
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
        d_hidden, d_own = torch.empty_like(hidden), torch.empty_like(own)
        step = NEGATIVES_GROUP
        if columns is None:
            step = max(1, SCORES_AT_A_TIME[hidden.device.type] // table.shape[-2])
        for group, start in enumerate(range(0, hidden.shape[-2], step)):
            part = slice(start, start + step)
            x, own_part, w = hidden[..., part, :], own[..., part], weight[..., part]
            if columns is None or log_expected is None or targets is None:
                scores = (x @ items.mT).float()
                highest = scores.amax(-1)
                total = scores.sub_(highest[..., None]).exp_().sum(-1)
                d_own[..., part] = -w
            else:
                ids = columns[..., group, :]
                drawn = layers.gather_rows(items, ids)
                scores = (x @ drawn.mT).float().sub_(log_expected[..., group, None, :])
                scores.masked_fill_(ids[..., None, :] == targets[..., part, None], -torch.inf)
                highest = torch.maximum(scores.amax(-1), own_part)
                own_share = (own_part - highest).exp()
                total = scores.sub_(highest[..., None]).exp_().sum(-1) + own_share
                d_own[..., part] = w * (own_share / total - 1)
            loss = loss + (w * (highest + total.log() - own_part)).sum(-1)
            share = scores.mul_((w / total)[..., None]).to(x.dtype)
            if columns is None:
                d_hidden[..., part, :] = share @ items
                d_table += share.mT @ x
            else:
                d_hidden[..., part, :] = share @ drawn
                layers.scatter_add_rows(d_table, ids, (share.mT @ x).float())
        ctx.save_for_backward(d_hidden, d_table, d_own)
        return loss

    @staticmethod
    def backward(ctx: Any, up: Tensor) -> tuple[Tensor | None, ...]:
        d_hidden, d_table, d_own = ctx.saved_tensors
        up_matrix = up[..., None, None]
        gradients = d_hidden * up_matrix, d_table * up_matrix, d_own * up[..., None]
        return (*gradients, None, None, None, None)


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

    A negative that is the target is left out. Negatives may be items that the user has: so the
    model learns that such an item may not come again.
    """
    own = _own_scores(hidden, table, targets)
    rows = layers.gather_rows(table, negatives.flatten(-2))
    others = rows.unflatten(-2, negatives.shape[-2:])
    scores = (others @ hidden.to(table.dtype)[..., None])[..., 0]
    against = (F.softplus(scores) * (negatives != targets[..., None])).sum(-1)
    return (weight * (F.softplus(-own) + against)).sum(-1)


def _own_scores(hidden: Tensor, table: Tensor, targets: Tensor) -> Tensor:
    """(…, T) the scores of the targets."""
    return (hidden * layers.gather_rows(table, targets)).sum(-1)
