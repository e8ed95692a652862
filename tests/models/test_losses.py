"""Losses against their definitions, and batches."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from training_helpers import SMALL

from perflaw.models import backbones
from perflaw.models.configuration import make_config
from perflaw.models.training import (
    loss_functions,
    sampling,
    stacking,
)
from perflaw.models.training.batching import EpochBatches


def tensors(v=30, t=50, d=8, seed=0):
    random = torch.Generator().manual_seed(seed)
    hidden = torch.randn(t, d, generator=random, dtype=torch.float64).requires_grad_()
    table = torch.randn(v, d, generator=random, dtype=torch.float64).requires_grad_()
    targets = torch.randint(v, (t,), generator=random)
    real = torch.rand(t, generator=random) < 0.8
    return hidden, table, targets, real / real.sum()


@pytest.mark.parametrize("chunk", [1 << 21, 30 * 7])
def test_softmax_is_cross_entropy(chunk, monkeypatch):
    monkeypatch.setitem(loss_functions.SCORES_AT_A_TIME, "cpu", chunk)
    hidden, table, targets, weight = (x.float() if x.is_floating_point() else x for x in tensors())
    ours = loss_functions.softmax_loss(hidden, table, targets, weight)
    theirs = (weight * F.cross_entropy(hidden @ table.T, targets, reduction="none")).sum()
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-6)
    for mine, other in zip(
        torch.autograd.grad(3 * ours, (hidden, table)),
        torch.autograd.grad(3 * theirs, (hidden, table)),
    ):
        assert torch.allclose(mine, other, atol=1e-6)


def test_sampled_softmax_is_cross_entropy_over_the_sample(monkeypatch):
    monkeypatch.setattr(loss_functions, "NEGATIVES_GROUP", 20)
    hidden, table, targets, weight = (x.float() if x.is_floating_point() else x for x in tensors())
    columns = torch.randint(30, (3, 9), generator=torch.Generator().manual_seed(5))
    log_expected = torch.linspace(-1, 1, 27).view(3, 9)
    ours = loss_functions.sampled_softmax_loss(
        hidden, table, targets, weight, columns, log_expected
    )
    theirs = 0
    for group, part in enumerate((slice(0, 20), slice(20, 40), slice(40, 50))):
        scores = hidden[part] @ table[columns[group]].T - log_expected[group]
        scores = scores.masked_fill(columns[group] == targets[part, None], -torch.inf)
        scores = torch.cat([(hidden[part] * table[targets[part]]).sum(1, keepdim=True), scores], 1)
        theirs = theirs + (weight[part] * (scores.logsumexp(1) - scores[:, 0])).sum()
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-6)
    for mine, other in zip(
        torch.autograd.grad(ours, (hidden, table)), torch.autograd.grad(theirs, (hidden, table))
    ):
        assert torch.allclose(mine, other, atol=1e-6)


def test_the_sampled_sum_is_unbiased(split):
    """Over many draws, Σ exp(score) / (k q) over negatives is Σ exp(score) over all items."""
    batches = EpochBatches(split, 20, 64)
    chance = sampling.RandomSource(make_config(**SMALL), batches)
    scores = torch.randn(split.log.n_items, generator=torch.Generator().manual_seed(0))
    estimates = []
    for _ in range(400):
        columns, log_expected = chance.shared(1, 256)
        estimates.append((scores[columns] - log_expected).exp().sum().item())
    error = np.std(estimates) / np.sqrt(len(estimates))
    assert abs(np.mean(estimates) - scores.exp().sum().item()) < 4 * error
    assert error < 0.02 * np.mean(estimates)


def test_binary_cross_entropy():
    hidden, table, targets, weight = tensors()
    negatives = torch.randint(30, (50, 3))
    negatives[:9, 1] = targets[:9]
    ours = loss_functions.bce_loss(hidden, table, targets, weight, negatives)
    positive = (hidden * table[targets]).sum(1)
    negative = torch.einsum("td,tkd->tk", hidden, table[negatives])
    theirs = F.binary_cross_entropy_with_logits(
        positive, torch.ones_like(positive), reduction="none"
    )
    theirs = theirs + (
        (negatives != targets[:, None])
        * F.binary_cross_entropy_with_logits(negative, torch.zeros_like(negative), reduction="none")
    ).sum(1)
    assert ours.item() == pytest.approx((weight * theirs).sum().item(), rel=1e-12)


def test_an_epoch_holds_every_position_once(split):
    batches = EpochBatches(split, 20, 64)
    seen = []
    for who in batches.shuffle(seed=3, epoch=1):
        at, ids, following, real = batches.gather(who)
        assert len(at) == len(batches.layout.place)
        seen += at[real].tolist()
        assert torch.equal(ids[real], torch.from_numpy(split.train.items).long()[at[real]])
        assert torch.equal(
            following[real], torch.from_numpy(split.train.items).long()[at[real] + 1]
        )
    expected = [
        p
        for stop, n in zip(split.train.offsets[1:], split.train.lengths)
        for p in range(stop - min(n, 21), stop - 1)
    ]
    assert sorted(seen) == expected
    assert len(expected) == batches.tokens


def test_batches_are_alike_and_nearly_full(split):
    batches = EpochBatches(split, 20, 64)
    assert batches.rows <= 64
    padding = 1 - batches.tokens / (batches.batches * len(batches.layout.place))
    assert 0 <= padding < 0.15
    real = [batches.gather(who)[3].sum().item() for who in batches.shuffle(0, 1)]
    assert max(real) < 1.15 * min(real)
    assert not torch.equal(batches.shuffle(0, 1), batches.shuffle(0, 2))
    assert torch.equal(batches.shuffle(0, 1), batches.shuffle(0, 1))


def test_items_that_a_user_had_are_known(split):
    batches = EpochBatches(split, 20, 64)
    train = split.train
    users = torch.arange(batches.rows)
    items = torch.from_numpy(np.random.default_rng(0).integers(train.n_items, size=(1, 9)))
    items = items.expand(len(batches.layout.row), 9)
    by_length = np.argsort(-np.minimum(train.lengths - 1, 20), kind="stable")
    had = [set(train.history(by_length[row]).tolist()) for row in range(batches.rows)]
    expected = [
        [item in had[row] for item in drawn]
        for row, drawn in zip(batches.layout.row.tolist(), items.tolist())
    ]
    assert batches.is_seen(users, items).tolist() == expected


def test_negatives_that_a_user_had_are_drawn_once_more(split, monkeypatch):
    """What is seen after the second draw is what both draws hit: its share is squared."""
    shares = {}
    batches = EpochBatches(split, 20, 64)
    users = batches.shuffle(0, 1)[0]
    for again in (True, False):
        config = make_config(**SMALL | {"loss": "bce", "negatives": 400, "negatives_seen": again})
        random = sampling.RandomSource(config, batches)
        drawn = []
        monkeypatch.setattr(
            stacking, "bce_loss", lambda *_, negatives, kept=drawn: kept.append(negatives)
        )
        weights = backbones.init_weights(config, split.log.n_items)
        stacking.batch_loss(weights, config, batches, users, random)
        shares[again] = batches.is_seen(users, drawn[0]).double().mean(-1)
    first, second = shares[True], shares[False]
    assert second.mean().item() == pytest.approx((first**2).mean().item(), rel=0.05)
    assert second.mean() < first.mean() / 5
