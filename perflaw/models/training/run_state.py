"""The state of one run while it trains: weights, optimiser, random numbers, and the best so far."""

from __future__ import annotations

import math
import time
from typing import Any

import torch
from torch import Tensor

from perflaw.logs.splits import Split
from perflaw.models import backbones, ranking, ranking_metrics
from perflaw.models.configuration import Config
from perflaw.models.trained_model import TrainedModel, scorer
from perflaw.models.training import checkpoints
from perflaw.models.training.adamw import AdamW
from perflaw.models.training.batching import EpochBatches
from perflaw.models.training.run_records import CONVERGED, DIVERGED, EPOCHS_USED_UP
from perflaw.models.training.sampling import RandomSource

# attributes of a run that a checkpoint keeps as plain values
SAVED_ATTRIBUTES = (
    "best",
    "best_epoch",
    "least_loss",
    "least_epoch",
    "since",
    "curve",
    "seconds",
    "epochs",
)


class RunState:
    """One run while it trains; it shares nothing with the runs that train beside it.

    Attributes
    ----------
    weights : dict of Tensor
        As they are now.
    best, best_epoch, best_weights
        Of the best validation NDCG@10, which alone decides when training ends.
    least_loss, least_epoch, least_weights
        Of the least log-loss on validation.
    since : int
        Validations since the best.
    curve : list of dict
        One a validation: epoch, loss, HR@10, NDCG@10 and log-loss.
    status : str
        Empty while the run trains; then how it ended.
    """

    def __init__(self, config: Config, split: Split, batches: EpochBatches) -> None:
        self.config, self.split = config, split
        self.random = RandomSource(config, batches)
        device = batches.items.device
        self.weights = backbones.init_weights(config, split.log.n_items, config.seed, device)
        for weight in self.weights.values():
            weight.requires_grad_(True)
        self.optimizer = AdamW(config, self.weights)
        self.most_steps = config.epochs * batches.batches
        self._set_steps(0)
        self.best, self.since = -1.0, 0
        self.best_epoch: int | None = None
        self.least_loss = math.inf
        self.least_epoch: int | None = None
        self.best_weights = {name: weight.detach() for name, weight in self.weights.items()}
        self.least_weights = self.best_weights
        self.curve: list[dict] = []
        self.status, self.epochs = "", 0
        self.seconds = {"training": 0.0, "validation": 0.0}

    def state(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """All that `restore` needs: plain values and tensors, by name."""
        facts = {name: getattr(self, name) for name in SAVED_ATTRIBUTES}
        facts["steps"] = self.steps
        tensors = _prefixed("weights", self.weights)
        tensors["generator"] = self.random.generator.get_state()
        if self.best_epoch:
            tensors |= _prefixed("kept", self.best_weights)
        if self.least_epoch not in (None, self.best_epoch):
            tensors |= _prefixed("least", self.least_weights)
        return facts, tensors | _prefixed("moments", self.optimizer.state())

    def restore(self, checkpoint: checkpoints.Checkpoint) -> None:
        """Go back to the place where the checkpoint was written."""
        facts, tensors = checkpoint.facts, checkpoint.tensors
        for name in SAVED_ATTRIBUTES:
            setattr(self, name, facts[name])
        with torch.no_grad():
            for name, weight in self.weights.items():
                weight.copy_(tensors[f"weights/{name}"])
        device = self.weights["items"].device
        if self.best_epoch:
            self.best_weights = _unprefixed("kept", tensors, device)
        if self.least_epoch:
            same = self.least_epoch == self.best_epoch
            self.least_weights = (
                self.best_weights if same else _unprefixed("least", tensors, device)
            )
        self.optimizer.restore(_unprefixed("moments", tensors, device))
        self.random.generator.set_state(tensors["generator"])
        self._set_steps(facts["steps"])

    def _set_steps(self, steps: int) -> None:
        """Set the learning rate to that after so many steps."""
        self.steps = steps
        share = rate_share(self.config, self.most_steps, steps)
        self.optimizer.set_rate(self.config.learning_rate * share)

    def update(self) -> None:
        """Take a step along the gradient, and forget it."""
        if self.config.clip is not None:
            torch.nn.utils.clip_grad_norm_(self.weights.values(), self.config.clip)
        self.optimizer.step()

    def count_step(self) -> None:
        """Count a step that was taken, and set the learning rate of the next one."""
        self._set_steps(self.steps + 1)

    def end_epoch(self, epoch: int, loss: float, seconds: float) -> None:
        """Validate where it is due, and see whether this was the last epoch.

        Parameters
        ----------
        epoch : int
            From 1.
        loss : float
            The mean of the epoch.
        seconds : float
            Spent on training in it.
        """
        config, self.epochs = self.config, epoch
        self.seconds["training"] += seconds
        if not math.isfinite(loss):
            self.status = f"{DIVERGED} in epoch {epoch}: the loss is {loss}"
            return
        if epoch % config.validate_every == 0 or epoch == config.epochs:
            try:
                self._validate(epoch, loss)
            except FloatingPointError as error:
                self.status = f"{DIVERGED} in epoch {epoch}: {error}"
                return
        if self.since == config.patience:
            self.status = CONVERGED
        elif epoch == config.epochs:
            self.status = EPOCHS_USED_UP

    def _validate(self, epoch: int, loss: float) -> None:
        """Rank on validation, and keep the weights if they are the best by NDCG@10 or log-loss.

        The log-loss is taken at temperature 1 under every loss: binary cross-entropy with uniform
        negatives makes scores log-probabilities too, up to a constant.
        """
        start = time.perf_counter()
        validation = self.split.validation
        ranked = ranking.rank_targets(scorer(self.weights, self.config), self.split, validation)
        self.seconds["validation"] += time.perf_counter() - start
        ndcg, log_loss = ranking_metrics.ndcg(ranked.ranks), float(ranked.losses.mean())
        self.curve.append(
            {
                "epoch": epoch,
                "loss": loss,
                "HR@10": ranking_metrics.hit_rate(ranked.ranks),
                "NDCG@10": ndcg,
                "log-loss": log_loss if math.isfinite(log_loss) else None,
            }
        )
        self.since += 1
        is_best, is_least = ndcg > self.best, log_loss < self.least_loss
        if not (is_best or is_least):
            return
        copy = {name: weight.detach().clone() for name, weight in self.weights.items()}
        if is_best:
            self.best, self.best_weights, self.best_epoch, self.since = ndcg, copy, epoch, 0
        if is_least:
            self.least_loss, self.least_weights, self.least_epoch = log_loss, copy, epoch

    def trained(self, tokens: int) -> TrainedModel:
        """Return the model that the run has trained, with so many tokens an epoch."""
        return TrainedModel(
            weights=self.best_weights,
            curve=self.curve,
            status=self.status,
            seconds=self.seconds,
            epochs=self.epochs,
            tokens=self.epochs * tokens,
            least_weights=self.least_weights,
            least_epoch=self.least_epoch,
            config=self.config,
            item_ids=self.split.log.item_ids,
            removes_seen=ranking.removes_seen(self.split),
        )


def rate_share(config: Config, steps: int, step: int) -> float:
    """Return the share of the learning rate at a step of `steps`: linear warm-up, then a cosine."""
    if step < config.warmup_steps:
        return (step + 1) / (config.warmup_steps + 1)
    done = (step - config.warmup_steps) / max(1, steps - config.warmup_steps)
    cosine = (1 + math.cos(math.pi * min(1.0, done))) / 2
    return config.final_rate + (1 - config.final_rate) * cosine


def _prefixed(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"{prefix}/{name}": tensor for name, tensor in tensors.items()}


def _unprefixed(prefix: str, tensors: dict[str, Tensor], device: torch.device) -> dict[str, Tensor]:
    """Return, on a device, the tensors of such a prefix by their names without it."""
    return {
        name.removeprefix(f"{prefix}/"): tensor.to(device)
        for name, tensor in tensors.items()
        if name.startswith(f"{prefix}/")
    }
