"""The loss of the worst users of a batch against plain numpy; alone, and in a stack."""

import numpy as np
import pytest
import torch
from training_helpers import SMALL

from perflaw.errors import InputError
from perflaw.models import backbones, make_config
from perflaw.models.configuration import Config, recorded_settings
from perflaw.models.layers import Layout
from perflaw.models.training import loop, loss_functions, run_records, sampling, stacking
from perflaw.models.training.batching import EpochBatches

# four rows of a batch, of at most 3, 3, 2 and 2 positions, the last of them without a user
LAYOUT = Layout.of([(2, 3), (2, 2)])
REAL = torch.tensor([1, 1, 1, 1, 1, 0, 1, 0, 0, 0], dtype=torch.bool)
LOSSES = torch.tensor([1.0, 2, 3, 6, 2, 99, 3, 99, 99, 99])  # means of users: 2, 4 and 3
LOSS_KINDS = [("bce", 2), ("softmax", 1), ("sampled_softmax", 32)]


def mean_of_worst(by_user, share):
    """CVaR by its definition: the least of η + mean((loss − η)+) / share over η."""
    etas = np.asarray(by_user)[:, None]
    return (etas[:, 0] + np.maximum(by_user - etas, 0).mean(1) / share).min()


@pytest.mark.parametrize(
    ("share", "by_hand"), [(1, 3), (2 / 3, 3.5), (1 / 3, 4), (0.1, 4), (0.5, (4 + 3 / 2) / 1.5)]
)
def test_the_loss_by_hand(share, by_hand):
    weight = loss_functions.worst_users_weight(LOSSES, REAL, LAYOUT, share)
    assert (weight * LOSSES).sum().item() == pytest.approx(by_hand)
    assert weight.sum().item() == pytest.approx(1)
    assert mean_of_worst(np.array([2.0, 4, 3]), share) == pytest.approx(by_hand)


def test_members_of_a_stack_have_their_own_worst_users():
    losses, real = torch.stack([LOSSES, LOSSES.flip(0)]), torch.stack([REAL, REAL.roll(3)])
    stacked = loss_functions.worst_users_weight(losses, real, LAYOUT, 0.4)
    for weight, of_member, is_real in zip(stacked, losses, real):
        alone = loss_functions.worst_users_weight(of_member, is_real, LAYOUT, 0.4)
        assert torch.equal(weight, alone)
    assert not torch.equal(stacked[0], stacked[1])


@pytest.mark.parametrize(("loss", "negatives"), LOSS_KINDS)
def test_losses_of_positions_are_those_of_one_at_a_time(split, loss, negatives):
    config = make_config(**SMALL | {"loss": loss, "negatives": negatives})
    batches = EpochBatches(split, 20, 8)
    random = torch.Generator().manual_seed(0)
    n_positions = len(batches.layout.place)
    hidden = torch.randn(n_positions, 16, generator=random)
    table = torch.randn(split.log.n_items, 16, generator=random)
    users = batches.shuffle(0, 1)[0]
    targets = batches.gather(users).targets
    random_source = sampling.RandomSource(config, batches)
    loss_function = stacking._draw_loss(config, batches, users, targets, random_source)

    def loss_of(weight):
        return loss_function(hidden, table, targets, weight)

    losses = loss_functions.position_losses(loss_of, torch.rand(n_positions))
    one_by_one = torch.stack([loss_of(one) for one in torch.eye(n_positions)])
    assert torch.allclose(losses, one_by_one, atol=1e-5)


def batch_loss_and_gradient(split, worst_users, users, loss="softmax", negatives=1):
    """Loss of a batch without dropout, and its gradient in the weights."""
    values = {"loss": loss, "negatives": negatives, "dropout": 0.0, "worst_users": worst_users}
    config = make_config(**SMALL | values)
    batches = EpochBatches(split, 20, 8)
    initial = backbones.init_weights(config, split.log.n_items, 0)
    weights = {name: weight.requires_grad_() for name, weight in initial.items()}
    random = sampling.RandomSource(config, batches)
    loss_value = stacking.batch_loss(weights, config, batches, users(batches), random)
    return loss_value, torch.autograd.grad(loss_value, list(weights.values()))


def take_batch(batches):
    return batches.shuffle(0, 1)[0]


def losses_by_user(split):
    """Ordinary losses of batches of one user each, with nobody beside, by place in the batch."""

    def only(place):
        def users(batches):
            nobody = torch.full((batches.rows,), len(batches.starts) - 1)
            nobody[place] = take_batch(batches)[place]
            return nobody

        return users

    rows = EpochBatches(split, 20, 8).rows
    return [batch_loss_and_gradient(split, None, only(place)) for place in range(rows)]


@pytest.mark.parametrize("share", [1, 0.25])
def test_the_loss_of_a_batch_and_its_gradient_are_those_of_the_worst_users_alone(split, share):
    loss, gradient = batch_loss_and_gradient(split, share, take_batch)
    by_user = losses_by_user(split)
    values = np.array([value.item() for value, _ in by_user])
    counted = share * len(values)
    assert counted == round(counted)  # else the last counts in part
    worst = np.argsort(-values)[: round(counted)]
    assert loss.item() == pytest.approx(values[worst].mean(), rel=1e-5)
    assert loss.item() == pytest.approx(mean_of_worst(values, share), rel=1e-5)
    means = [torch.stack(parts).mean(0) for parts in zip(*(by_user[i][1] for i in worst))]
    for ours, theirs in zip(gradient, means):
        assert torch.allclose(ours, theirs, atol=1e-6)


@pytest.mark.integration
@pytest.mark.parametrize(("loss", "negatives"), LOSS_KINDS)
def test_a_batched_stack_follows_single_runs(split, loss, negatives):
    values = SMALL | {"loss": loss, "negatives": negatives, "worst_users": 0.3, "epochs": 2}
    configs = [make_config(**values, seed=seed) for seed in (0, 1)]
    for config, fitted in zip(
        configs, loop.fit_stack(configs, split, progress=False, batched=True)
    ):
        single = loop.fit_model(config, split, progress=False)
        for name in single.weights:
            assert torch.allclose(fitted.weights[name], single.weights[name], atol=2e-3), name
        assert fitted.curve[0]["loss"] == pytest.approx(single.curve[0]["loss"], rel=1e-4)


def test_it_enters_records_and_keys_only_where_it_is_set(split):
    assert "worst_users" not in recorded_settings(Config())
    assert recorded_settings(Config(worst_users=1))["worst_users"] == 1
    keys = {run_records.run_key(Config(worst_users=share), split) for share in (None, 1, 0.25)}
    assert len(keys) == 3


@pytest.mark.parametrize("share", [0, -0.1, 1.5])
def test_other_shares_are_refused(share):
    with pytest.raises(InputError, match=r"worst_users = .* use a share above 0, at most 1"):
        Config(worst_users=share)
