"""What is random while a model trains, apart from its batches: dropout and negatives."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from perflaw.models.configuration import Config
from perflaw.models.training.batching import EpochBatches


class RandomSource:
    """Dropout and negatives of one run, from its seed."""

    def __init__(self, config: Config, batches: EpochBatches) -> None:
        self.config, self.n_items = config, batches.n_items
        self.device = batches.items.device
        self.generator = torch.Generator(self.device).manual_seed(config.seed)
        counts = torch.bincount(batches.items, minlength=batches.n_items).double()
        # q of the shared negatives: half uniform, half by popularity
        self.probability = 0.5 / batches.n_items + 0.5 * counts / counts.sum()
        self.cumulative = self.probability.cumsum(0)

    def drop(self, x: Tensor) -> Tensor:
        """Apply dropout from sixteen random bits a number: a share in steps of 1/65,536."""
        if not self.config.dropout:
            return x
        words = torch.empty(math.ceil(x.numel() / 4), dtype=torch.int64, device=x.device)
        words = words.random_(-(1 << 63), None, generator=self.generator)
        bits = words.view(torch.int16)[: x.numel()].view(x.shape)
        dropped = round(65_536 * self.config.dropout)
        return x * (bits >= dropped - 32_768).to(x.dtype).mul_(65_536 / (65_536 - dropped))

    def uniform(self, shape: Sequence[int]) -> Tensor:
        """Draw items of that shape, each equally probable."""
        return torch.randint(
            self.n_items, tuple(shape), generator=self.generator, device=self.device
        )

    def shared(self, groups: int, k: int) -> tuple[Tensor, Tensor]:
        """Draw (groups, k) negatives and ln(k q) of each."""
        uniform = torch.rand(
            groups, k, generator=self.generator, device=self.device, dtype=torch.float64
        )
        drawn = torch.searchsorted(self.cumulative, uniform * self.cumulative[-1])
        columns = drawn.clamp(max=self.n_items - 1)
        return columns, (k * self.probability[columns]).log().float()


class StackedRandomSource:
    """The random sources of several runs at once, each its own."""

    def __init__(self, members: Sequence[RandomSource]) -> None:
        self.members = members

    def drop(self, x: Tensor) -> Tensor:
        """Apply dropout to the tensor of each member."""
        return torch.stack([member.drop(tensor) for member, tensor in zip(self.members, x)])

    def uniform(self, shape: Sequence[int]) -> Tensor:
        """Draw items of that shape, whose first axis is that of members."""
        return torch.stack([member.uniform(shape[1:]) for member in self.members])

    def shared(self, groups: int, k: int) -> tuple[Tensor, Tensor]:
        """Draw (members, groups, k) negatives and ln(k q) of each."""
        columns, log_expected = zip(*(member.shared(groups, k) for member in self.members))
        return torch.stack(columns), torch.stack(log_expected)
