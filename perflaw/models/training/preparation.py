"""The way into training: data and configurations are checked here, once."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

import torch

from perflaw.errors import InputError, check_kind
from perflaw.logs.interaction_log import InteractionLog
from perflaw.logs.splits import Split, leave_one_out
from perflaw.models import backbones
from perflaw.models.configuration import Config
from perflaw.models.training.loss_functions import NEGATIVES_GROUP
from perflaw.models.training.run_records import run_key
from perflaw.models.training.stacking import STACKABLE_FIELDS


@dataclass(frozen=True, eq=False, repr=False)
class TrainingJob:
    """Runs that can train together on one split: checked, each with its key.

    Build one with `prepare`.
    """

    configs: tuple[Config, ...]
    split: Split
    device: str
    keys: tuple[str, ...]

    def __repr__(self) -> str:
        return f"<TrainingJob: {len(self.configs)} runs on {self.split.log.name}, {self.device}>"

    def select(self, numbers: Sequence[int]) -> TrainingJob:
        """Return a job of some of the runs, by their numbers."""
        configs = tuple(self.configs[i] for i in numbers)
        keys = tuple(self.keys[i] for i in numbers)
        return replace(self, configs=configs, keys=keys)


def prepare(
    configs: Sequence[Config], data: InteractionLog | Split, device: str = "cpu"
) -> TrainingJob:
    """Check that configurations can be trained together on data.

    Parameters
    ----------
    configs : sequence of Config
        They differ in `STACKABLE_FIELDS` only.
    data : InteractionLog or Split
        A log is split by leave-one-out.
    device : str
        `cpu`, `cuda` or `cuda:1`.

    Raises
    ------
    InputError
        For what would fail later, in one line.
    """
    if not configs:
        raise InputError("a stack needs a configuration")
    check_kind(data, (InteractionLog, Split), "read one with perflaw.logs.read_log")
    split = data if isinstance(data, Split) else leave_one_out(data)
    check_device(device)
    check_split(split)
    for config in configs:
        check_kind(config, Config, "make one with perflaw.models.make_config")
        if config.time_bias:
            split.log.clock("time_bias")
            if config.augmentation != "none":
                raise InputError("an augmented history has no times; use it without time_bias")
        _check_memory(config, split, device)
        _check_stackable(config, configs[0])
    keys = tuple(run_key(config, split) for config in configs)
    return TrainingJob(tuple(configs), split, device, keys)


def check_device(device: str) -> None:
    """Raise InputError for a device that is not there."""
    if not re.fullmatch(r"cpu|cuda(:\d+)?", device):
        raise InputError(f"device {device!r} is not usable; use cpu, cuda or cuda:1")
    count = torch.cuda.device_count()
    if device != "cpu" and int(device.partition(":")[2] or 0) >= count:
        raise InputError(f"device {device}: this machine has {count or 'no'} CUDA devices; use cpu")


def check_split(split: Split) -> None:
    """Raise InputError for a split on which nobody can be trained, validated or tested."""
    for part in ("validation", "test"):
        if not (getattr(split, part) >= 0).any():
            raise InputError(
                f"{split.log.name} has no {part} targets: no user has enough interactions for the "
                f"split ({split.rule})"
            )
    if not (split.train.lengths > 1).any():
        raise InputError(
            f"{split.log.name} cannot be trained on: no user has two interactions in its training "
            "part; a user needs four to be trained on and tested"
        )


def _check_stackable(config: Config, first: Config) -> None:
    """Raise InputError for two configurations of different shapes."""
    different = [
        name
        for name, value in asdict(config).items()
        if name not in STACKABLE_FIELDS and value != getattr(first, name)
    ]
    if different:
        raise InputError(
            f"configurations that differ in {', '.join(different)} cannot be trained as one stack"
        )


def _check_memory(config: Config, split: Split, device: str) -> None:
    """Raise InputError for a model that is surely too large for the device."""
    n_items, batch_size = split.log.n_items, min(config.batch_size, split.log.n_users)
    scored = {"bce": batch_size * config.d_emb, "sampled_softmax": NEGATIVES_GROUP}
    n_numbers = 4 * sum(backbones.count_parameters(config, n_items).values())  # AdamW, gradients
    n_numbers += 40 * config.n_layers * config.d_emb * batch_size  # one position of each history
    n_numbers += config.negatives * scored.get(config.loss, 0)
    size = 4 * n_numbers
    if torch.device(device).type == "cuda":
        memory = torch.cuda.get_device_properties(device).total_memory
    else:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if size > memory:
        raise InputError(
            f"{config.n_layers} layers of d = {config.d_emb} on {n_items:,} items need "
            f"{size / 2**30:,.1f} GiB, and {device} has {memory / 2**30:,.1f}; "
            "make the model, the batch or the number of negatives smaller"
        )
