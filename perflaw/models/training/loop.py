"""The training loop: epochs of batches for one run, or for several that train together.

The same configuration, data, seed, machine and number of threads give the same numbers. A GPU adds
gradients in any order: there the numbers differ by rounding, which grows. Nothing reads the test
targets.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from perflaw.logs import augmentation
from perflaw.logs.interaction_log import InteractionLog
from perflaw.logs.splits import Split
from perflaw.models.configuration import Config
from perflaw.models.trained_model import TrainedModel
from perflaw.models.training import checkpoints, stacking
from perflaw.models.training.batching import EpochBatches
from perflaw.models.training.heartbeat import Heartbeat
from perflaw.models.training.preparation import TrainingJob, prepare
from perflaw.models.training.run_state import RunState

LINES = "lines"  # in place of a progress bar, where nobody watches

Progress = bool | str | dict[str, Any]
"""Whether there is a progress bar; or its options; or LINES, a line a minute."""


def fit_model(
    config: Config,
    data: InteractionLog | Split,
    device: str = "cpu",
    progress: Progress = True,
) -> TrainedModel:
    """Train one configuration until validation no longer improves.

    Parameters
    ----------
    config : Config
        What to train.
    data : InteractionLog or Split
        A log is split by leave-one-out.
    device : str
        `cpu`, `cuda` or `cuda:1`.
    progress : bool, dict or str
        See `Progress`.

    Returns
    -------
    TrainedModel
        Its weights are those of the best validation. Where the loss was no longer a number, its
        status says that it diverged.

    Raises
    ------
    InputError
        For what cannot be trained, before anything is computed.

    Examples
    --------
    >>> from perflaw.logs import synthetic
    >>> from perflaw.models.configuration import make_config
    >>> log = synthetic.Process(n_items=40, n_interests=4).sample(30, 8).log
    >>> config = make_config(n_layers=1, d_emb=8, epochs=2, max_seq_len=8)
    >>> fit_model(config, log, progress=False).status
    'epochs used up'
    """
    return fit_stack([config], data, device, progress)[0]


def fit_stack(
    configs: Sequence[Config],
    data: InteractionLog | Split,
    device: str = "cpu",
    progress: Progress = True,
    batched: bool | None = None,
) -> list[TrainedModel]:
    """Train several configurations that differ in `STACKABLE_FIELDS` only, step by step together.

    Each run has its own weights, optimiser, random numbers and batches, all of one shape. So its
    result does not depend on the others, which may end before it.

    Parameters
    ----------
    batched : bool, optional
        Whether a step is one computation on tensors with an axis of runs; by default on a GPU.

    Raises
    ------
    InputError
        For configurations of different shapes, and for what cannot be trained.
    """
    return fit_job(prepare(configs, data, device), progress, batched)


def fit_job(
    job: TrainingJob,
    progress: Progress = True,
    batched: bool | None = None,
    on_end: Callable[[int, TrainedModel], None] | None = None,
    keeper: checkpoints.Keeper | None = None,
) -> list[TrainedModel]:
    """Train a prepared job.

    Parameters
    ----------
    on_end : function, optional
        Called with the number of a run and its model when it ends.
    keeper : Keeper, optional
        Keeps checkpoints, and resumes from those of earlier.
    """
    return _Loop(job, progress, batched, on_end, keeper or checkpoints.Keeper()).run()


class _Loop:
    """Runs that train in step.

    Attributes
    ----------
    place : Place
        Where the runs are: an epoch, and batches of it that are done.
    losses : Tensor
        The sum of losses of each run in this epoch, up to that place.
    done, total : float
        Positions trained on so far, and at most, by all runs together.
    captured : function or None
        The step of all runs that train, as a CUDA graph.
    """

    def __init__(
        self,
        job: TrainingJob,
        progress: Progress,
        batched: bool | None,
        on_end: Callable[[int, TrainedModel], None] | None,
        keeper: checkpoints.Keeper,
    ) -> None:
        first = job.configs[0]
        self.job, self.on_end, self.keeper = job, on_end, keeper
        self.batches = EpochBatches(
            _augmented(job.split, first.augmentation),
            first.max_seq_len,
            first.batch_size,
            job.device,
        )
        self.members = [RunState(config, job.split, self.batches) for config in job.configs]
        self.on_gpu = torch.device(job.device).type == "cuda"
        in_one = self.on_gpu if batched is None else batched
        self.step: stacking.Step = stacking.step_batched if in_one else stacking.step_in_turn
        self.captured: stacking.Step | None = None
        self.place, self.losses = keeper.resume(self.members)
        self.total = sum(config.epochs for config in job.configs) * self.batches.tokens
        epochs_done = self.place.epoch - 1 + self.place.batch / self.batches.batches
        self.done = len(self.members) * self.batches.tokens * epochs_done
        self.bar = self._make_bar(progress)
        self.heartbeat = Heartbeat(
            _label(job.configs, job.split.log.name), self.total, self.done, progress == LINES
        )

    def _make_bar(self, progress: Progress) -> tqdm:
        options = {"mininterval": 0.1 if sys.stderr.isatty() else 30}
        if isinstance(progress, dict):
            options |= progress
        else:
            options["disable"] = not progress or progress == LINES
        return tqdm(
            total=self.total,
            initial=self.done,
            unit=" tokens",
            unit_scale=True,
            leave=None,
            **options,
        )

    def run(self) -> list[TrainedModel]:
        """Train until every run has ended."""
        with self.bar:
            while training := self._runs_in_training():
                self._train_epoch(training)
        return [member.trained(self.batches.tokens) for member in self.members]

    def _runs_in_training(self) -> dict[int, RunState]:
        """Return the runs that have not ended, by their numbers."""
        return {i: member for i, member in enumerate(self.members) if not member.status}

    def _train_epoch(self, training: dict[int, RunState]) -> None:
        """Train to the end of the epoch, validate, and keep a checkpoint where one is due."""
        runs = list(training.values())
        epoch = self.place.epoch
        start = time.perf_counter() - self.place.seconds * len(runs)
        losses = self._train_batches(training, start)
        mean_losses = (losses / self.batches.batches).tolist()
        seconds = (time.perf_counter() - start) / len(runs)
        for (number, run), loss in zip(training.items(), mean_losses):
            run.end_epoch(epoch, loss, seconds)
            if run.status:
                self.captured = None  # the graph takes a step of this run too
                if self.on_end:
                    self.on_end(number, run.trained(self.batches.tokens))
        self.place = checkpoints.Place(epoch + 1)
        self.losses = torch.zeros(len(self._runs_in_training()))
        if self.keeper.due():
            self.keeper.save(self._runs_in_training(), self.place, self.losses)
        validated = f"{runs[0].best:.4f}" if runs[0].curve else "not yet"
        self.bar.set_postfix(
            epoch=epoch, loss=f"{mean_losses[0]:.4f}", NDCG10=validated, training=len(runs)
        )

    def _train_batches(self, training: dict[int, RunState], start: float) -> Tensor:
        """Train on what is left of the epoch that began at `start`; the sums of losses (runs,)."""
        runs = list(training.values())
        epoch, n_batches = self.place.epoch, self.batches.batches
        losses = self.losses.to(self.job.device)
        shuffled = [self.batches.shuffle(run.config.seed, epoch) for run in runs]
        users_by_batch = list(zip(*shuffled))
        for i in range(self.place.batch, n_batches):
            losses += self._take_step(i, runs, users_by_batch[i])
            self._show(epoch, i + 1, runs)
            if i + 1 < n_batches and self.keeper.due():
                seconds = (time.perf_counter() - start) / len(runs)
                self.keeper.save(training, checkpoints.Place(epoch, i + 1, seconds), losses)
        return losses

    def _take_step(self, i: int, runs: list[RunState], users: Sequence[Tensor]) -> Tensor:
        """Take the step of each run on batch i; on a GPU it is captured after a few."""
        if self.on_gpu and self.captured is None and i == stacking.CAPTURE_WARMUP_STEPS:
            self.captured = stacking.capture_step(runs, self.batches, self.step)
        losses = (self.captured or self.step)(runs, self.batches, users)
        for run in runs:
            run.count_step()
        return losses

    def _show(self, epoch: int, batch: int, runs: list[RunState]) -> None:
        """Move the bar on, or write a line that says how far it is."""
        n_batches = self.batches.batches
        tokens = len(runs) * self.batches.tokens / n_batches
        self.bar.update(min(tokens, self.total - self.bar.n))  # a sum may end a hair above
        self.done += tokens
        best = f"NDCG@10 {runs[0].best:.4f}" if runs[0].curve else "not validated yet"
        at_most = self.job.configs[0].epochs
        where = f"epoch {epoch} of at most {at_most}, batch {batch} of {n_batches}; {best}"
        self.heartbeat.beat(where, self.done)


def _augmented(split: Split, name: str) -> Split:
    """Return the split with its training part augmented; records describe the split without."""
    if name == "none":
        return split
    return replace(split, train=augmentation.augment(split.train, name))


def _label(configs: Sequence[Config], log: str) -> str:
    """Return what a line of progress calls a stack."""
    first, others = configs[0], len(configs) - 1
    size = f"N {first.n_layers}, d {first.d_emb}, L {first.max_seq_len}"
    label = f"{log}, {first.backbone}, {size}, seed {first.seed}"
    return label + (f" and {others} more" if others else "")
