"""Train one configuration on a split log, and keep what came of it as a run record.

`train` is the whole story: fit with early stopping on validation, rank once on test, write one JSON
file. The same configuration, data, seed, machine and number of threads give the same numbers; on a GPU, which adds
gradients in any order, equal but for rounding, which grows. Nothing looks at the test targets before the end. A run that takes
long keeps a checkpoint beside its record-to-be (`checkpoints`), and goes on from it.

Every epoch deals all histories anew into batches of one shape (`EpochBatches`), so that a step costs the
same throughout, hardly anything is padding, and nothing is done history by history.
"""

from __future__ import annotations

import functools
import hashlib
import json
import math
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from scipy.optimize import minimize_scalar
from torch import Tensor
from tqdm import tqdm

from perflaw import stats
from perflaw.errors import InputError
from perflaw.logs import measures
from perflaw.logs.interaction_log import InteractionLog, Split, leave_one_out
from perflaw.models import backbones, ranking
from perflaw.models.backbones import Architecture, Layout
from perflaw.models.training import checkpoints
from perflaw.models.training.heartbeat import Heartbeat

SCHEMA = 1  # of the run record: another number, another key
SCORES_AT_A_TIME = {
    "cpu": 1 << 21,
    "cuda": 1 << 26,
}  # scores of all items held at a time by the output layer: on a CPU they stay in the cache
NEGATIVES_GROUP = 1024  # positions that share their negatives
CAPTURE_WARMUP_STEPS = 3  # steps on a GPU before they are captured
RECTANGLE_COST = {
    "cpu": 64,
    "cuda": 4096,
}  # a rectangle of a batch costs about as much as so many positions of padding


@dataclass(frozen=True)
class Config(Architecture):
    """An architecture and how it is trained; raises InputError for what cannot be."""

    loss: str = "bce"  # or "softmax", "sampled_softmax"
    negatives: int = 1  # bce: of each position, uniform over all items
    #                     sampled_softmax: shared by 1,024 positions, half of the chance uniform, half by popularity
    negatives_seen: bool = True  # bce: may be items of the user's training part; if not, one that is gives way to a second draw
    learning_rate: float = 1e-3  # of AdamW
    final_rate: float = (
        1.0  # share of it that a cosine from the end of the warm-up to the last epoch comes down to
    )
    warmup_steps: int = 0  # linear
    beta_2: float = 0.999
    weight_decay: float = (
        0.0  # of all but norms, biases, embeddings of positions, and Mamba's A and D
    )
    clip: float | None = None  # largest norm of the gradient
    batch_size: int = 128  # histories, at most
    epochs: int = 200  # at most
    patience: int | None = 10  # validations without a better NDCG@10 before it stops; None: never
    validate_every: int = 1  # epochs
    precision: str = "fp32"  # or "bf16": matrix products in bfloat16; on a CPU those of the output layer, where it pays
    seed: int = 0

    def __post_init__(self):
        super().__post_init__()
        for name, allowed in (("loss", LOSSES), ("precision", ("fp32", "bf16"))):
            if getattr(self, name) not in allowed:
                raise InputError(
                    f"there is no {name} {getattr(self, name)!r}; use one of {', '.join(allowed)}"
                )
        for name, least in (
            ("negatives", 1),
            ("batch_size", 1),
            ("epochs", 1),
            ("validate_every", 1),
            ("patience", 1),
            ("warmup_steps", 0),
            ("seed", 0),
        ):
            value = getattr(self, name)
            if value is not None and value < least:
                raise InputError(
                    f"{name} = {value} is not usable; use a whole number, {least} or more"
                )
        for name, above in (
            ("learning_rate", True),
            ("final_rate", False),
            ("weight_decay", False),
            ("beta_2", True),
            ("clip", True),
        ):
            value = getattr(self, name)
            if (
                (value is not None and not (value > 0 if above else value >= 0))
                or value == math.inf
                or (name == "beta_2" and value >= 1)
            ):
                below = " and below 1" if name == "beta_2" else ""
                raise InputError(
                    f"{name} = {value!r} is not usable; use a number {'above' if above else 'of at least'} 0{below}"
                )


LOSSES = ("bce", "softmax", "sampled_softmax")


class TrainedModel(NamedTuple):
    weights: backbones.Weights  # the best by validation NDCG@10
    curve: list[
        dict
    ]  # one a validation: epoch, loss (mean of the epoch), HR@10, NDCG@10 and log-loss (temperature 1) on validation
    status: str  # "converged" (no better one came), "epochs used up", or "diverged in epoch …"
    seconds: dict[str, float]  # training, validation
    epochs: int
    tokens: int  # positions trained on, padding not counted
    least: backbones.Weights  # those of the least log-loss on validation
    least_epoch: int | None  # and when that was; None before any validation


# ---------------------------------------------------------------- batches


class EpochBatches:
    """The training part of a split, dealt every epoch into batches of one shape.

    Histories (their last L + 1 items) are put in order of length and cut into as many ranks as a batch
    has rows, each of as many as there are batches: every batch gets one of each rank, at
    random. So row i is about as long in every batch, and rows of like length form a rectangle.
    """

    def __init__(self, split: Split, max_seq_len: int, batch_size: int, device="cpu"):
        train = split.train
        lengths = np.minimum(train.lengths - 1, max_seq_len)
        users = np.flatnonzero(lengths > 0)
        users = users[np.argsort(-lengths[users], kind="stable")]
        self.batches = math.ceil(len(users) / batch_size)
        self.rows = math.ceil(len(users) / self.batches)
        self.tokens = int(lengths.sum())
        self.layout = Layout.of(
            _rectangles(lengths[users][:: self.batches], RECTANGLE_COST[torch.device(device).type]),
            device,
        )
        self.padding = 1 - self.tokens / (self.batches * len(self.layout.place))
        # after the users a nobody of length 0, who fills the rows that remain
        stops = train.offsets[1:][users]
        self.lengths = torch.tensor([*lengths[users], 0], device=device)
        self.starts = torch.tensor([*(stops - 1 - lengths[users]), 0], device=device)
        self.items = torch.from_numpy(train.items.astype(np.int64)).to(device)
        self.times = (
            None if train.timestamps is None else torch.from_numpy(train.timestamps).to(device)
        )
        self.n_items = train.n_items
        self._had = train, users

    @functools.cached_property
    def had(self) -> Tensor:
        """User · n_items + item, in order, of all that a user has in the training part; users in the order of `starts`."""
        train, users = self._had
        place = np.full(train.n_users, len(users))
        place[users] = np.arange(len(users))
        pairs = np.repeat(place, train.lengths) * self.n_items + train.items
        return torch.from_numpy(np.unique(pairs)).to(self.items.device)

    def have(self, who: Tensor, items: Tensor) -> Tensor:
        """Which of the items (…, T, k) the user of each position of a batch has in the training part."""
        pairs = who[..., self.layout.row, None] * self.n_items + items
        return self.had[torch.searchsorted(self.had, pairs).clamp(max=len(self.had) - 1)] == pairs

    def deal(self, seed: int, epoch: int) -> Tensor:
        """(batches, rows) who is in which batch, in the order of `starts`."""
        order = (
            np.random.default_rng((seed, epoch)).random((self.rows, self.batches)).argsort(axis=1)
        )
        dealt = np.minimum(
            order + self.batches * np.arange(self.rows)[:, None], len(self.starts) - 1
        )
        return torch.from_numpy(np.ascontiguousarray(dealt.T)).to(self.starts.device)

    def take(self, who: Tensor):
        """Of a batch (…, rows): places in the log (…, T), items, those that follow, and which are real."""
        user = who[..., self.layout.row]
        real = self.layout.place < self.lengths[user]
        at = torch.where(real, self.starts[user] + self.layout.place, 0)
        return at, self.items[at], self.items[at + 1], real


def _rectangles(widths, each):
    """Rows of falling width, merged into (rows, width) so that padding and rectangles, `each` of which costs as much as so many positions, cost least."""
    n = len(widths)
    best, cut = np.zeros(n + 1), np.zeros(n + 1, int)
    for stop in range(1, n + 1):
        start = np.arange(stop)
        cost = best[:stop] + (stop - start) * widths[:stop] + each
        cut[stop] = cost.argmin()
        best[stop] = cost[cut[stop]]
    shapes, stop = [], n
    while stop:
        shapes.append((int(stop - cut[stop]), int(widths[cut[stop]])))
        stop = cut[stop]
    return shapes[::-1]


# ---------------------------------------------------------------- losses


class _Softmax(torch.autograd.Function):
    """Σ weight · (ln Σ exp(scores) − own score); gradients come with the forward pass.

    Positions are taken some at a time, so that their scores stay in the cache and no T × V matrix
    exists. Without columns the scores are those of all items. With columns (…, groups, k) they are those of
    the group's k items, less log_expected, and the own score; a column that is the target is left out.
    """

    @staticmethod
    def forward(ctx, hidden, table, own, weight, columns=None, log_expected=None, targets=None):
        kept = table.to(hidden.dtype)
        loss, d_table = 0, torch.zeros(table.shape, device=table.device)
        d_hidden, d_own = torch.empty_like(hidden), torch.empty_like(own)
        step = (
            NEGATIVES_GROUP
            if columns is not None
            else max(1, SCORES_AT_A_TIME[hidden.device.type] // table.shape[-2])
        )
        for group, i in enumerate(range(0, hidden.shape[-2], step)):
            x, mine, w = (
                hidden[..., i : i + step, :],
                own[..., i : i + step],
                weight[..., i : i + step],
            )
            if columns is None:
                scores = (x @ kept.mT).float()
                highest = scores.amax(-1)
                total = scores.sub_(highest[..., None]).exp_().sum(-1)
                d_own[..., i : i + step] = -w
            else:
                ids = columns[..., group, :]
                scores = (
                    (x @ backbones.gather_rows(kept, ids).mT)
                    .float()
                    .sub_(log_expected[..., group, None, :])
                )
                scores.masked_fill_(
                    ids[..., None, :] == targets[..., i : i + step, None], -torch.inf
                )
                highest = torch.maximum(scores.amax(-1), mine)
                mine_share = (mine - highest).exp()
                total = scores.sub_(highest[..., None]).exp_().sum(-1) + mine_share
                d_own[..., i : i + step] = w * (mine_share / total - 1)
            loss = loss + (w * (highest + total.log() - mine)).sum(-1)
            share = scores.mul_((w / total)[..., None]).to(x.dtype)
            if columns is None:
                d_hidden[..., i : i + step, :] = share @ kept
                d_table += share.mT @ x
            else:
                d_hidden[..., i : i + step, :] = share @ backbones.gather_rows(kept, ids)
                backbones.scatter_add_rows(d_table, ids, (share.mT @ x).float())
        ctx.save_for_backward(d_hidden, d_table, d_own)
        return loss

    @staticmethod
    def backward(ctx, up):
        d_hidden, d_table, d_own = ctx.saved_tensors
        return (
            d_hidden * up[..., None, None],
            d_table * up[..., None, None],
            d_own * up[..., None],
            None,
            None,
            None,
            None,
        )


def softmax_loss(hidden: Tensor, table: Tensor, targets: Tensor, weight: Tensor) -> Tensor:
    """Cross-entropy over all items: hidden (…, T, d), table (…, V, d), targets (…, T), weight (…, T) → (…,)."""
    own = (hidden * backbones.gather_rows(table, targets)).sum(-1)
    return _Softmax.apply(hidden, table, own, weight)


def sampled_softmax_loss(hidden, table, targets, weight, columns, log_expected):
    """Cross-entropy over the target and k negatives shared by each GROUP of positions, columns (…, groups, k).

    With log_expected (…, groups, k) = ln(k q) taken off the negatives' scores, the sum over them estimates that
    over all other items without bias (logQ correction). Groups have negatives of their own, which costs nothing and
    lets a step reach many more items.
    """
    own = (hidden * backbones.gather_rows(table, targets)).sum(-1)
    return _Softmax.apply(hidden, table, own, weight, columns, log_expected, targets)


def bce_loss(hidden, table, targets, weight, negatives):
    """Binary cross-entropy of the target and, summed, of the negatives (…, T, k); one that is the target is left out.

    Negatives may be items that the user has: so the model learns that what was had may not come again.
    """
    own = (hidden * backbones.gather_rows(table, targets)).sum(-1)
    others = backbones.gather_rows(table, negatives.flatten(-2)).unflatten(-2, negatives.shape[-2:])
    scores = (others @ hidden.to(table.dtype)[..., None])[..., 0]
    return (
        weight
        * (F.softplus(-own) + (F.softplus(scores) * (negatives != targets[..., None])).sum(-1))
    ).sum(-1)


class RandomSource:
    """All that is random in one run, from its seed: dropout and negatives."""

    def __init__(self, config: Config, batches: EpochBatches):
        self.config, device = config, batches.items.device
        self.generator = torch.Generator(device).manual_seed(config.seed)
        counts = torch.bincount(batches.items, minlength=batches.n_items).double()
        self.share = (
            0.5 / batches.n_items + 0.5 * counts / counts.sum()
        )  # q, of the shared negatives
        self.ladder = self.share.cumsum(0)
        self.n_items = batches.n_items

    def drop(self, x: Tensor) -> Tensor:
        """Dropout from sixteen random bits a number: a share in steps of 1/65,536."""
        if not self.config.dropout:
            return x
        bits = torch.empty(math.ceil(x.numel() / 4), dtype=torch.int64, device=x.device)
        bits = (
            bits.random_(-(1 << 63), None, generator=self.generator)
            .view(torch.int16)[: x.numel()]
            .view(x.shape)
        )
        dropped = round(65_536 * self.config.dropout)
        return x * (bits >= dropped - 32_768).to(x.dtype).mul_(65_536 / (65_536 - dropped))

    def uniform(self, shape) -> Tensor:
        return torch.randint(
            self.n_items, shape, generator=self.generator, device=self.ladder.device
        )

    def shared(self, groups: int, k: int) -> tuple[Tensor, Tensor]:
        """(groups, k) negatives and ln(k q) of each."""
        lots = (
            torch.rand(
                groups, k, generator=self.generator, device=self.ladder.device, dtype=torch.float64
            )
            * self.ladder[-1]
        )
        columns = torch.searchsorted(self.ladder, lots).clamp(max=self.n_items - 1)
        return columns, (k * self.share[columns]).log().float()


def loss_of(
    weights: backbones.Weights,
    config: Config,
    batches: EpochBatches,
    who: Tensor,
    chance: RandomSource,
) -> Tensor:
    """The mean loss of a batch over its real positions; of a stack, (members,)."""
    at, ids, targets, real = batches.take(who)
    weight = real / real.sum(-1, keepdim=True)
    times = (batches.times[at], batches.times[at + 1]) if config.time_bias else None
    rough = config.precision == "bf16"
    with torch.autocast("cuda", torch.bfloat16, enabled=rough and ids.is_cuda, cache_enabled=False):
        hidden = backbones.forward(weights, ids, batches.layout, config, chance.drop, times)
    hidden = hidden.bfloat16() if rough else hidden
    table = weights["items"]
    if config.loss == "bce":
        negatives = chance.uniform((*ids.shape, config.negatives))
        if not config.negatives_seen:
            negatives = torch.where(
                batches.have(who, negatives), chance.uniform(negatives.shape), negatives
            )
        return bce_loss(hidden, table, targets, weight, negatives)
    if config.loss == "softmax":
        return softmax_loss(hidden, table, targets, weight)
    return sampled_softmax_loss(
        hidden,
        table,
        targets,
        weight,
        *chance.shared(math.ceil(ids.shape[-1] / NEGATIVES_GROUP), config.negatives),
    )


# ---------------------------------------------------------------- one run, or a stack of them


def make_config(**values) -> Config:
    """A Config from plain values; raises InputError for a name that it does not have."""
    known = list(Config.__dataclass_fields__)
    if unknown := [name for name in values if name not in known]:
        raise InputError(f"a configuration has no {unknown[0]!r}; it has {', '.join(known)}")
    return Config(**values)


class RunState:
    """One run while it trains: all that is its own, so that nothing depends on who trains beside it."""

    def __init__(self, config: Config, split: Split, batches: EpochBatches):
        self.config, self.split, self.chance = config, split, RandomSource(config, batches)
        self.weights = backbones.init_weights(
            config, split.log.n_items, config.seed, batches.items.device
        )
        for weight in self.weights.values():
            weight.requires_grad_(True)
        groups = [
            {
                "params": [
                    weight
                    for name, weight in self.weights.items()
                    if backbones.is_decayed(name) == decayed
                ],
                "weight_decay": decay,
            }
            for decayed, decay in ((True, config.weight_decay), (False, 0.0))
        ]
        on_gpu = batches.items.is_cuda  # there the rate is a tensor, which a captured step can read
        first_rate = (
            torch.tensor(config.learning_rate, device=batches.items.device)
            if on_gpu
            else config.learning_rate
        )
        self.optimizer = torch.optim.AdamW(
            groups, first_rate, betas=(0.9, config.beta_2), fused=True, capturable=on_gpu
        )
        rate = functools.partial(_rate, config, config.epochs * batches.batches)
        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.optimizer, rate)
        self.best, self.kept, self.since, self.curve, self.status = -1.0, self.weights, 0, [], ""
        self.best_epoch, self.least_loss, self.least, self.least_epoch = (
            None,
            math.inf,
            self.weights,
            None,
        )
        self.seconds, self.epochs = {"training": 0.0, "validation": 0.0}, 0

    def state(self) -> tuple[dict, dict[str, Tensor]]:
        """All that `restore` needs: plain values and tensors, by name."""
        facts = {name: getattr(self, name) for name in LASTING} | {
            "steps": self.schedule.last_epoch
        }
        tensors = {f"weights/{name}": weight for name, weight in self.weights.items()} | {
            "generator": self.chance.generator.get_state()
        }
        if self.best_epoch:
            tensors |= {f"kept/{name}": weight for name, weight in self.kept.items()}
        if self.least_epoch not in (None, self.best_epoch):
            tensors |= {f"least/{name}": weight for name, weight in self.least.items()}
        moments = self.optimizer.state_dict()["state"]
        return facts, tensors | {
            f"moments/{i}/{name}": moment
            for i, state in moments.items()
            for name, moment in state.items()
        }

    def restore(self, checkpoint: checkpoints.Checkpoint):
        """Be where the run was when that was written."""
        facts, tensors = checkpoint.facts, checkpoint.tensors
        for name in LASTING:
            setattr(self, name, facts[name])
        device = self.weights["items"].device
        with torch.no_grad():
            for name, weight in self.weights.items():
                weight.copy_(tensors[f"weights/{name}"])
        if self.best_epoch:
            self.kept = {name: tensors[f"kept/{name}"].to(device) for name in self.weights}
        if self.least_epoch:
            self.least = (
                self.kept
                if self.least_epoch == self.best_epoch
                else {name: tensors[f"least/{name}"].to(device) for name in self.weights}
            )
        moments = {}
        for name, tensor in tensors.items():
            if name.startswith("moments/"):
                _, i, kind = name.split("/")
                moments.setdefault(int(i), {})[kind] = tensor
        self.optimizer.load_state_dict(
            {"state": moments, "param_groups": self.optimizer.state_dict()["param_groups"]}
        )
        self.chance.generator.set_state(tensors["generator"])
        self.schedule.last_epoch = facts["steps"]
        for group, rate, share in zip(
            self.optimizer.param_groups, self.schedule.base_lrs, self.schedule.lr_lambdas
        ):
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(rate * share(facts["steps"]))
            else:
                group["lr"] = rate * share(facts["steps"])

    def update(self):
        """Take a step along the gradient, and forget it."""
        if self.config.clip is not None:
            torch.nn.utils.clip_grad_norm_(self.weights.values(), self.config.clip)
        self.optimizer.step()
        self.optimizer.zero_grad()

    def end_epoch(self, epoch: int, loss: float, seconds: float):
        """Validate, keep the weights if they are the best so far, and see whether this was the last epoch.

        Beside the weights of the best NDCG@10, which alone decides when training ends, those of the least log-loss are kept. It is taken
        at temperature 1 under every loss: binary cross-entropy with uniform negatives makes scores log-probabilities too, up to a constant.
        """
        config, self.epochs = self.config, epoch
        self.seconds["training"] += seconds
        if not math.isfinite(loss):
            self.status = f"diverged in epoch {epoch}: the loss is {loss}"
            return
        if epoch % config.validate_every == 0 or epoch == config.epochs:
            start = time.perf_counter()
            try:
                ranked = ranking.rank_targets(
                    scorer(self.weights, config), self.split, self.split.validation
                )
            except FloatingPointError as error:
                self.status = f"diverged in epoch {epoch}: {error}"
                return
            self.seconds["validation"] += time.perf_counter() - start
            ranks, log_loss = ranked.ranks, float(ranked.losses.mean())
            self.curve.append(
                {
                    "epoch": epoch,
                    "loss": loss,
                    "HR@10": ranking.hit_rate(ranks),
                    "NDCG@10": ranking.ndcg(ranks),
                    "log-loss": log_loss if math.isfinite(log_loss) else None,
                }
            )
            self.since += 1
            better, less = self.curve[-1]["NDCG@10"] > self.best, log_loss < self.least_loss
            copy = (
                {name: weight.detach().clone() for name, weight in self.weights.items()}
                if better or less
                else {}
            )
            if better:
                self.best, self.since, self.kept, self.best_epoch = (
                    self.curve[-1]["NDCG@10"],
                    0,
                    copy,
                    epoch,
                )
            if less:
                self.least_loss, self.least, self.least_epoch = log_loss, copy, epoch
        if self.since == config.patience:
            self.status = "converged"
        elif epoch == config.epochs:
            self.status = "epochs used up"

    def fitted(self, tokens: int) -> TrainedModel:
        """What came of it, with so many tokens an epoch."""
        weights, least = (
            {name: weight.detach() for name, weight in kept.items()}
            for kept in (self.kept, self.least)
        )
        return TrainedModel(
            weights,
            self.curve,
            self.status,
            self.seconds,
            self.epochs,
            self.epochs * tokens,
            least,
            self.least_epoch,
        )


LASTING = (
    "best",
    "best_epoch",
    "least_loss",
    "least_epoch",
    "since",
    "curve",
    "seconds",
    "epochs",
)  # plain values of a Member that a checkpoint keeps


class StackedRandomSource:
    """The chance of several members at once, each its own."""

    def __init__(self, members):
        self.members = members

    def drop(self, x):
        return torch.stack([member.drop(part) for member, part in zip(self.members, x)])

    def uniform(self, shape):
        return torch.stack([member.uniform(shape[1:]) for member in self.members])

    def shared(self, groups, k):
        return tuple(
            torch.stack(part)
            for part in zip(*(member.shared(groups, k) for member in self.members))
        )


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


def fit_model(
    config: Config, data: InteractionLog | Split, device: str = "cpu", progress: bool | dict = True
) -> TrainedModel:
    """Train until validation no longer improves; the weights are those of the best validation.

    A loss that is no longer a number ends the run with the status "diverged". Raises InputError for
    what cannot be trained, before anything is computed.
    """
    return fit_stack([config], data, device, progress)[0]


def fit_stack(
    configs: list[Config],
    data: InteractionLog | Split,
    device: str = "cpu",
    progress: bool | dict = True,
    batched: bool | None = None,
    on_end: Callable[[int, TrainedModel], None] = lambda i, fitted: None,
    keeper: checkpoints.Keeper | None = None,
) -> list[TrainedModel]:
    """Train several configurations that differ in MAY_DIFFER only, step by step together.

    On a GPU (or where `batched` says so) a step is one computation on tensors with an axis of members; on a
    CPU, which gains nothing from that, each member takes its step in turn. A member has its own
    weights, optimiser, random numbers and batches of the common shape: what becomes of it does not depend on the
    others, who may end before it. When member i ends, on_end(i, what came of it) is called. progress may be a dict of
    options of the progress bar, or LINES: a line a minute. keeper: keeps checkpoints, and has those to go on from. Raises InputError for configurations of
    different shapes.
    """
    if not configs:
        raise InputError("a stack needs a configuration")
    split = _split(data)
    for config in configs:
        check_trainable(config, split, device)
        if differ := [
            name
            for name in asdict(config)
            if name not in STACKABLE_FIELDS and getattr(config, name) != getattr(configs[0], name)
        ]:
            raise InputError(
                f"configurations that differ in {', '.join(differ)} cannot be trained as one stack"
            )
    batches = EpochBatches(split, configs[0].max_seq_len, configs[0].batch_size, device)
    members = [RunState(config, split, batches) for config in configs]
    on_gpu = torch.device(device).type == "cuda"
    step = step_batched if (on_gpu if batched is None else batched) else step_in_turn
    captured, captured_of = None, 0
    keeper = keeper or checkpoints.Keeper()
    place, partial = keeper.resume(members)
    total = sum(config.epochs for config in configs) * batches.tokens
    done = len(members) * batches.tokens * (place.epoch - 1 + place.batch / batches.batches)
    bar_options = {"mininterval": 0.1 if sys.stderr.isatty() else 30} | (
        progress if isinstance(progress, dict) else {"disable": not progress or progress == LINES}
    )
    beats = Heartbeat(_label(configs, split.log.name), total, done, progress == LINES)
    with tqdm(
        total=total, initial=done, unit=" tokens", unit_scale=True, leave=None, **bar_options
    ) as bar:
        for epoch in range(place.epoch, max(config.epochs for config in configs) + 1):
            training = [member for member in members if not member.status]
            if not training:
                break
            start, losses = (
                time.perf_counter() - place.seconds * len(training),
                torch.zeros(len(training), device=device),
            )
            if partial:
                losses, partial = torch.stack(partial).to(device), []
            dealt = list(zip(*(batches.deal(member.config.seed, epoch) for member in training)))
            if on_gpu and len(training) != captured_of and len(dealt) > CAPTURE_WARMUP_STEPS:
                captured, captured_of = None, len(training)
            for i, whose in enumerate(dealt[place.batch :], place.batch):
                if on_gpu and captured is None and i == CAPTURE_WARMUP_STEPS:
                    captured = capture_step(training, batches, step)
                losses += (captured or step)(training, batches, whose)
                for member in training:
                    member.schedule.step()
                bar.update(
                    min(len(training) * batches.tokens / batches.batches, total - bar.n)
                )  # a sum of shares may end a hair above
                done += len(training) * batches.tokens / batches.batches
                best = (
                    f"NDCG@10 {training[0].best:.4f}" if training[0].curve else "not validated yet"
                )
                beats.beat(
                    f"epoch {epoch} of at most {configs[0].epochs}, batch {i + 1} of {len(dealt)}; {best}",
                    done,
                )
                if i + 1 < len(dealt) and keeper.due():
                    seconds = (time.perf_counter() - start) / len(training)
                    keeper.save(
                        dict(_numbered(members)), checkpoints.Place(epoch, i + 1, seconds), losses
                    )
            place = checkpoints.Place(epoch + 1)
            losses = (losses / batches.batches).tolist()
            seconds = (time.perf_counter() - start) / len(training)
            for member, loss in zip(training, losses):
                member.end_epoch(epoch, loss, seconds)
                if member.status:
                    on_end(members.index(member), member.fitted(batches.tokens))
            if keeper.due():
                keeper.save(dict(_numbered(members)), place, torch.zeros(len(members)))
            validated = f"{training[0].best:.4f}" if training[0].curve else "not yet"
            bar.set_postfix(
                epoch=epoch, loss=f"{losses[0]:.4f}", NDCG10=validated, training=len(training)
            )
    return [member.fitted(batches.tokens) for member in members]


LINES = "lines"  # in place of a progress bar, where nobody watches


def _label(configs, log):
    """What a line of progress calls a stack."""
    first, others = configs[0], len(configs) - 1
    told = f"{log}, {first.backbone}, N {first.n_layers}, d {first.d_emb}, L {first.max_seq_len}, seed {first.seed}"
    return told + (f" and {others} more" if others else "")


def _numbered(members):
    """The members that still train, each with its number."""
    return [(i, member) for i, member in enumerate(members) if not member.status]


def step_in_turn(members, batches, whose) -> Tensor:
    """One step of each member, one after another; their losses (members,)."""
    losses = []
    for member, who in zip(members, whose):
        loss = loss_of(member.weights, member.config, batches, who, member.chance)
        loss.backward()
        member.update()
        losses.append(loss.detach())
    return torch.stack(losses)


def step_batched(members, batches, whose) -> Tensor:
    """The same as one computation."""
    weights = {
        name: torch.stack([member.weights[name] for member in members])
        for name in members[0].weights
    }
    losses = loss_of(
        weights,
        members[0].config,
        batches,
        torch.stack(whose),
        StackedRandomSource([member.chance for member in members]),
    )
    losses.sum().backward()
    for member in members:
        member.update()
    return losses.detach()


def capture_step(members, batches, step):
    """`step` of these members as one CUDA graph, which a deep and narrow model needs: it waits for launches, not for sums.

    The members have taken a few steps, so that everything they need is allocated. The graph reads the batch from a
    fixed place, and the random numbers go on where the generators are.
    """
    whose = torch.zeros(len(members), batches.rows, dtype=torch.int64, device=batches.items.device)
    graph = torch.cuda.CUDAGraph()
    for member in members:
        graph.register_generator_state(member.chance.generator)
    with torch.cuda.graph(graph):
        losses = step(members, batches, whose.unbind())

    def replay(members, batches, dealt):
        torch.stack(dealt, out=whose)
        graph.replay()
        return losses

    return replay


def _rate(config, steps, step):
    """Share of the learning rate at a step."""
    if step < config.warmup_steps:
        return (step + 1) / (config.warmup_steps + 1)
    done = (step - config.warmup_steps) / max(1, steps - config.warmup_steps)
    return (
        config.final_rate + (1 - config.final_rate) * (1 + math.cos(math.pi * min(1.0, done))) / 2
    )


def scorer(weights: backbones.Weights, model: Architecture) -> ranking.Scorer:
    """A trained model as a recommender; raises InputError for weights of another width."""
    if weights["items"].shape[1] != model.d_emb:
        raise InputError(
            f"these weights have d_emb = {weights['items'].shape[1]}, and the configuration {model.d_emb}; use the one they were trained with"
        )
    weights = {name: weight.detach() for name, weight in weights.items()}
    items = weights["items"]

    def score(log, users, stops):
        lengths = np.minimum(stops - log.offsets[users], model.max_seq_len)
        layout = Layout.of([(len(users), int(lengths.max()))], items.device)
        place = np.arange(lengths.max())
        at = (stops - lengths)[:, None] + np.minimum(
            place, lengths[:, None] - 1
        )  # the padding repeats the last item
        at = torch.from_numpy(at.ravel())
        times = None
        if model.time_bias:
            clock = torch.from_numpy(log.clock("time_bias"))
            times = clock[at].to(items.device), clock[at + 1].to(items.device)
        ids = torch.from_numpy(log.items)[at].long().to(items.device)
        last = torch.from_numpy(lengths - 1).to(items.device)
        hidden = backbones.forward(weights, ids, layout, model, times=times, last=last)
        return lambda first, until: hidden @ items[first:until].T

    return score


def evaluate(fitted: TrainedModel, config: Config, split: Split) -> tuple[dict, dict]:
    """Metrics on validation and, once, on test, with standard errors over users; and the test ranks.

    Where nothing repeats test is told under both rules of `ranking`: "test", and "test, history removed".

    Scores of a model trained by binary cross-entropy are no log-probabilities: they are divided by the
    temperature that gives the least log-loss on validation.
    """
    score, n_items = scorer(fitted.weights, config), split.log.n_items
    temperature = 1.0
    if config.loss == "bce":
        loss = lambda x: ranking.rank_targets(
            score, split, split.validation, temperature=math.exp(x)
        ).losses.mean()
        temperature = math.exp(
            minimize_scalar(loss, bounds=(-4, 4), method="bounded", options={"xatol": 1e-3}).x
        )
    told, ranks = {"temperature": temperature}, {}
    parts = {"validation": (split.validation, "training"), "test": (split.test, "training")}
    if ranking.removes_seen(split):
        parts["test, history removed"] = split.test, "history"
    for part, (targets, seen) in parts.items():
        ranked = ranking.rank_targets(
            score, split, targets, max(ranking.CUTOFFS), temperature, seen
        )
        told[part] = ranking.metrics(ranked, n_items)
        if targets is split.test:
            ranks[part] = ranked.ranks.tolist()
        for name, values in (
            ("HR@10", ranked.ranks <= 10),
            ("NDCG@10", ranking.ndcg_gains(ranked.ranks)),
            ("log-loss", ranked.losses),
        ):
            told[part][f"{name} se"] = stats.standard_error(values) if len(values) > 1 else None
    return told, ranks


def least_loss(fitted: TrainedModel, config: Config, split: Split, best: dict) -> dict:
    """What a record says of the weights of the least validation loss: their epoch, metrics and ranks.

    best: the metrics of the weights of the best validation NDCG@10. Where they are of the same epoch, they are these too, and there are no ranks.
    """
    if fitted.least_epoch in (None, max(fitted.curve, key=lambda at: at["NDCG@10"])["epoch"]):
        return {"epoch": fitted.least_epoch, "metrics": best}
    metrics, ranks = evaluate(fitted._replace(weights=fitted.least), config, split)
    return {"epoch": fitted.least_epoch, "metrics": metrics, "ranks": ranks}


def check_trainable(config: Config, split: Split, device: str):
    """Raise InputError for what would fail later, in one line."""
    check_device(device)
    check_split(split)
    if config.time_bias:
        split.log.clock("time_bias")
    size = 16 * sum(
        backbones.count_parameters(config, split.log.n_items).values()
    )  # a weight, its gradient and two moments
    size += (
        40 * config.n_layers * config.d_emb * config.batch_size * 4
    )  # and a position of each history at the least
    size += (
        4
        * config.negatives
        * {
            "bce": config.batch_size * config.d_emb,
            "sampled_softmax": NEGATIVES_GROUP,
            "softmax": 0,
        }[config.loss]
    )
    if torch.device(device).type == "cuda":
        memory = torch.cuda.get_device_properties(device).total_memory
    else:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if size > memory:
        raise InputError(
            f"{config.n_layers} layers of d = {config.d_emb} on {split.log.n_items:,} items need {size / 2**30:,.1f} GiB, "
            f"and {device} has {memory / 2**30:,.1f}; make the model, the batch or the number of negatives smaller"
        )


def check_device(device: str):
    """Raise InputError for a device that is not there."""
    if not re.fullmatch(r"cpu|cuda(:\d+)?", device):
        raise InputError(f"device {device!r} is not usable; use cpu, cuda or cuda:1")
    if device != "cpu" and int(device.partition(":")[2] or 0) >= torch.cuda.device_count():
        raise InputError(
            f"device {device}: this machine has {torch.cuda.device_count() or 'no'} CUDA devices; use cpu"
        )


def check_split(split: Split):
    """Raise InputError for a split that nobody can be trained, validated or tested on."""
    for part in ("validation", "test"):
        if not (getattr(split, part) >= 0).any():
            raise InputError(
                f"{split.log.name} has no {part} targets: no user has enough interactions for the split ({split.rule})"
            )
    if not (split.train.lengths > 1).any():
        raise InputError(
            f"{split.log.name} cannot be trained on: no user has two interactions in its training part; a user needs four to be trained on and tested"
        )


# ---------------------------------------------------------------- the record


def train(
    config: Config,
    data: InteractionLog | Split,
    folder: str | os.PathLike | None = None,
    device="cpu",
    progress: bool | dict = True,
) -> dict:
    """Train one configuration, or find that it has been: the run record.

    data is a log, which is split by leave-one-out, or a split. With a folder the record is
    written to `folder/KEY.json`, complete or not at all, and read from there if it exists. A run that
    diverges or runs out of memory is a record too; its `status` says so and it has no metrics (and a
    run that was out of memory is tried again). `ranks` are in the order of the users who have a test target. `metrics` are of the
    weights of the best validation NDCG@10; `least validation loss` has those of the weights of the least log-loss on validation.
    Raises InputError for a configuration or data that cannot be trained, and a folder that cannot be written to.
    """
    return train_stack([config], data, folder, device, progress)[0]


def train_stack(
    configs: list[Config], data, folder=None, device="cpu", progress=True
) -> list[dict]:
    """`train` of several configurations that `fit_stack` can train together; each record is written when its run ends.

    A run that was stopped goes on from its checkpoint in the folder. A stack that runs out of memory is tried again in halves. The seconds of a record are its share of those of the stack.
    """
    split = _split(data)
    for config in configs:
        check_trainable(config, split, device)
    if folder is not None:
        check_folder(Path(folder))
    keys = [run_key(config, split) for config in configs]
    records = [load_cached_record(one, folder) for one in keys]
    missing = [i for i, record in enumerate(records) if record is None]
    for i, record in enumerate(records):
        if record is not None:
            checkpoints.remove(folder, keys[i])
    found = [checkpoints.load(folder, keys[i], device) for i in missing]
    groups = [[missing[place] for place in group] for group in checkpoints.in_step(found)]
    found = dict(zip(missing, found))
    start = time.perf_counter()

    def judge(group, place, fitted):
        i = group[place]
        told = {"status": fitted.status, "curve": fitted.curve, "epochs": fitted.epochs}
        told |= {
            "tokens_per_second": fitted.tokens / fitted.seconds["training"],
            "seconds": dict(fitted.seconds),
        }
        if not fitted.status.startswith("diverged"):
            before = time.perf_counter()
            told["metrics"], told["ranks"] = evaluate(fitted, configs[i], split)
            told["least validation loss"] = least_loss(fitted, configs[i], split, told["metrics"])
            told["seconds"]["test"] = time.perf_counter() - before
        told["seconds"]["all"] = sum(told["seconds"].values())
        records[i] = make_record(configs[i], split, told, folder, device)
        checkpoints.remove(folder, keys[i])

    reason = ""
    try:
        for group in groups:
            keeper = checkpoints.Keeper(
                folder, [keys[i] for i in group], device, [found.pop(i) for i in group]
            )
            fit_stack(
                [configs[i] for i in group],
                split,
                device,
                progress,
                on_end=functools.partial(judge, group),
                keeper=keeper,
            )
    except (MemoryError, RuntimeError) as error:  # torch.OutOfMemoryError is a RuntimeError
        if not (
            isinstance(error, (torch.OutOfMemoryError, MemoryError))
            or "can't allocate memory" in str(error)
        ):
            raise
        reason = f"out of memory: {error}".splitlines()[0]
    left = [i for i in missing if records[i] is None]
    if len(missing) == 1 and left:
        told = {"status": reason, "seconds": {"all": time.perf_counter() - start}}
        records[left[0]] = make_record(configs[left[0]], split, told, folder, device)
    elif left:  # outside the handler, which would hold on to the memory
        for half in filter(None, (left[: len(left) // 2], left[len(left) // 2 :])):
            for i, record in zip(
                half, train_stack([configs[i] for i in half], split, folder, device, progress)
            ):
                records[i] = record
    return records


def make_record(config: Config, split: Split, told: dict, folder=None, device="cpu") -> dict:
    """The record of a run, of which `told` says how it went, written to the folder if there is one."""
    record = {
        "schema": SCHEMA,
        "key": run_key(config, split),
        "log": split.log.name,
        "configuration": asdict(config),
        "data_hash": split.log.hash,
        "split": {
            "rule": split.rule,
            "hash": split.hash,
            "interventions": [list(step) for step in split.interventions],
            **_sample_of(split),
        },
        "order": split.log.order,
        **split_sizes(split, config.max_seq_len),
        "repeats": not ranking.removes_seen(split),
        "entropies": training_entropies(split.train),
        "parameters": backbones.count_parameters(config, split.log.n_items),
        "environment": environment(device),
        **told,
        "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
    if folder is not None:
        write_record(record, Path(folder) / f"{record['key']}.json")
    return record


def _sample_of(split):
    return {"sample": list(split.sample)} if split.sample else {}


def split_sizes(split: Split, max_seq_len: int) -> dict:
    """Of the training part tokens, users, positions trained on in an epoch, and the length of history that one has, in the mean; items; targets."""
    lengths = np.minimum(split.train.lengths - 1, max_seq_len).clip(min=0)
    return {
        "tokens": split.train.tokens,
        "users": split.train.n_users,
        "items": split.log.n_items,
        "positions": int(lengths.sum()),
        "attention_length": float((lengths**2).sum() / max(1, lengths.sum())),
        "targets": {
            part: int((getattr(split, part) >= 0).sum()) for part in ("validation", "test")
        },
    }


def load_cached_record(key: str, folder: str | os.PathLike | None) -> dict | None:
    """The record that a folder has of a run, unless it has to be done again."""
    path = Path(folder) / f"{key}.json" if folder is not None else None
    if path is None or not path.exists():
        return None
    record = read_record(path)
    return None if record["status"].startswith(RETRYABLE) else record


RETRYABLE = ("out of memory", "failed")  # another time, or another machine, may do better


def run_key(config: Config, split: Split) -> str:
    """16 hex digits that name a run: of its configuration, data, split and record schema.

    The order of users and numbers of items are of it too: batches and first weights go by them, and the record's ranks.
    """
    sample = (
        [split.sample] if split.sample else []
    )  # what came later is of the key only where it is not its default
    return _digest(
        SCHEMA, asdict(config), split.log.hash, split.rule, split.hash, split.log.order, *sample
    )


def key_of_record(record: dict) -> str:
    """The key that a record should have, of what it says it is of."""
    split = record["split"]
    sample = [split["sample"]] if split.get("sample") else []
    return _digest(
        record["schema"],
        record["configuration"],
        record["data_hash"],
        split["rule"],
        split["hash"],
        record["order"],
        *sample,
    )


def _digest(*told):
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16]


def _split(data):
    if isinstance(data, Split):
        return data
    if not isinstance(data, InteractionLog):
        raise InputError(f"{data!r} is no log; read one with perflaw.logs.read_log")
    return leave_one_out(data)


class RecordWriteError(InputError):
    """A record cannot be written where it belongs."""


def check_folder(folder: Path):
    """Make the folder, and see that a record can be kept there, before hours are spent on it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise RecordWriteError(
            f"records cannot be kept in {folder}: {error.strerror}; name another folder"
        ) from None


def write_record(record: dict, path: Path) -> None:
    """Write a record, complete or not at all.

    Raises Unwritable where that fails, a full disk say; the record is then in the folder for temporary files, if that can be.
    """
    try:
        _write(record, path)
    except OSError as error:
        refuge = Path(tempfile.gettempdir()) / path.name
        told = f"{path} could not be written ({error.strerror}); free space, and run again"
        try:
            _write(record, refuge)
        except OSError:
            raise RecordWriteError(told) from None
        raise RecordWriteError(f"{told}; this record is {refuge}: move it there") from None


def _write(record, path):
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}.", suffix=".part")
    try:
        with os.fdopen(handle, "w") as file:
            json.dump(record, file, allow_nan=False)
            file.write("\n")
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def read_record(path: str | os.PathLike) -> dict:
    """Read a record; raises InputError if the file is none, or of another schema."""
    try:
        record = json.loads(Path(path).read_text())
        schema, *_ = (record[name] for name in ("schema", "key", "status", "configuration"))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path} is no run record ({type(error).__name__}); remove it, and the run is done again"
        ) from None
    if record["key"] != Path(path).stem:
        raise InputError(
            f"{path} is the record of {record['key']}; give it that name back, or remove it"
        )
    if schema != SCHEMA:
        raise InputError(
            f"{path} is of schema {schema}, and this version reads {SCHEMA}; move it to a folder of its own"
        )
    if (
        not all(name in record for name in ("data_hash", "split", "order"))
        or key_of_record(record) != record["key"]
    ):
        raise InputError(
            f"{path} was changed: what it says it was trained with is not what its key stands for; remove it, and the run is done again"
        )
    return record


@functools.lru_cache(maxsize=8)  # by the log itself: runs on one training part share them
def training_entropies(train: InteractionLog) -> dict[str, float | None]:
    """Every measure of `quality.measures` of a training part, nats; None where it is undefined."""
    told = measures.measure_log(train, measures.available_measures())
    return {name: None if isinstance(value, InputError) else value for name, value in told.items()}


def environment(device: str) -> dict:
    """What the numbers may depend on besides the configuration."""
    name = (
        torch.cuda.get_device_name(device)
        if torch.device(device).type == "cuda"
        else platform.processor() or platform.machine()
    )
    return {
        "device": f"{device}: {name}",
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "commit": code_commit(),
    }


@functools.cache
def code_commit() -> str | None:
    """The commit that this code is of, where git knows."""
    try:
        return (
            subprocess.run(
                ["git", "-C", Path(__file__).parent, "rev-parse", "HEAD"],
                capture_output=True,
                text=True,
            ).stdout.strip()
            or None
        )
    except OSError:  # there is no git
        return None
