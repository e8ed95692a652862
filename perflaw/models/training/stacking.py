"""One optimisation step of a run, or of several runs that train together.

On a GPU the step of a stack is one computation on tensors with an axis of members, captured as a
CUDA graph. A CPU gains nothing from that: there members take their steps in turn.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from perflaw.models import backbones, layers
from perflaw.models.configuration import Config
from perflaw.models.training.batching import EpochBatches
from perflaw.models.training.loss_functions import (
    NEGATIVES_GROUP,
    bce_loss,
    position_losses,
    sampled_softmax_loss,
    softmax_loss,
    worst_users_weight,
)
from perflaw.models.training.sampling import RandomSource, StackedRandomSource

if TYPE_CHECKING:
    from perflaw.models.training.run_state import RunState

# settings in which the members of a stack may differ
STACKABLE_FIELDS = (
    "seed",
    "learning_rate",
    "final_rate",
    "warmup_steps",
    "beta_2",
    "weight_decay",
    "dropout",
    "clip",
    "patience",
)
CAPTURE_WARMUP_STEPS = 3  # steps on a GPU before they are captured

Loss = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
"""(hidden, table, targets, weight) → the weighted sum of losses over positions."""

Step = Callable[["Sequence[RunState]", EpochBatches, "Sequence[Tensor]"], Tensor]
"""(members, batches, the users of each member's batch) → losses (members,)."""


def batch_loss(
    weights: layers.Weights,
    config: Config,
    batches: EpochBatches,
    users: Tensor,
    random: RandomSource | StackedRandomSource,
) -> Tensor:
    """Return the mean loss of a batch; of a stack, (members,).

    The mean is over real positions, or over the worst users of the batch.
    """
    batch = batches.gather(users)
    times = None
    if config.time_bias and batches.times is not None:
        times = batches.times[batch.places], batches.times[batch.places + 1]
    in_bf16 = config.precision == "bf16"
    autocasts = in_bf16 and batch.items.is_cuda
    with torch.autocast("cuda", torch.bfloat16, enabled=autocasts, cache_enabled=False):
        hidden = backbones.forward(weights, batch.items, batches.layout, config, random.drop, times)
    hidden = hidden.bfloat16() if in_bf16 else hidden
    table, targets = weights["items"], batch.targets
    loss = _draw_loss(config, batches, users, targets, random)
    weight = batch.real / batch.real.sum(-1, keepdim=True)
    if config.worst_users is not None:
        fixed_hidden, fixed_table = hidden.detach(), table.detach()
        losses = position_losses(
            lambda weight: loss(fixed_hidden, fixed_table, targets, weight), weight
        )
        weight = worst_users_weight(losses, batch.real, batches.layout, config.worst_users)
    return loss(hidden, table, targets, weight)


def _draw_loss(
    config: Config,
    batches: EpochBatches,
    users: Tensor,
    targets: Tensor,
    random: RandomSource | StackedRandomSource,
) -> Loss:
    """Return the loss of a configuration, with the negatives of a batch drawn."""
    if config.loss == "softmax":
        return softmax_loss
    if config.loss == "sampled_softmax":
        groups = math.ceil(targets.shape[-1] / NEGATIVES_GROUP)
        columns, log_expected = random.shared(groups, config.negatives)
        return functools.partial(sampled_softmax_loss, columns=columns, log_expected=log_expected)
    negatives = random.uniform((*targets.shape, config.negatives))
    if not config.negatives_seen:
        second_draw = random.uniform(negatives.shape)
        negatives = torch.where(batches.is_seen(users, negatives), second_draw, negatives)
    return functools.partial(bce_loss, negatives=negatives)


def step_in_turn(
    members: Sequence[RunState], batches: EpochBatches, users: Sequence[Tensor]
) -> Tensor:
    """One step of each member, one after another; their losses (members,)."""
    losses = []
    for member, member_users in zip(members, users):
        loss = batch_loss(member.weights, member.config, batches, member_users, member.random)
        loss.backward()
        member.update()
        losses.append(loss.detach())
    return torch.stack(losses)


def step_batched(
    members: Sequence[RunState], batches: EpochBatches, users: Sequence[Tensor]
) -> Tensor:
    """Take the same step as one computation."""
    weights = {
        name: torch.stack([member.weights[name] for member in members])
        for name in members[0].weights
    }
    random = StackedRandomSource([member.random for member in members])
    losses = batch_loss(weights, members[0].config, batches, torch.stack(list(users)), random)
    losses.sum().backward()
    for member in members:
        member.update()
    return losses.detach()


def capture_step(members: Sequence[RunState], batches: EpochBatches, step: Step) -> Step:
    """`step` of these members as one CUDA graph.

    A deep and narrow model needs that: it waits for launches, not for sums. The members have taken
    a few steps, so that all memory is allocated. The graph reads the batch from a fixed place, and
    takes its random numbers from the members' generators.
    """
    device = batches.items.device
    fixed_users = torch.zeros(len(members), batches.rows, dtype=torch.int64, device=device)
    graph = torch.cuda.CUDAGraph()
    for member in members:
        graph.register_generator_state(member.random.generator)
    with torch.cuda.graph(graph):
        losses = step(members, batches, fixed_users.unbind())

    def replay(
        members: Sequence[RunState], batches: EpochBatches, users: Sequence[Tensor]
    ) -> Tensor:
        torch.stack(list(users), out=fixed_users)
        graph.replay()
        return losses

    return replay
