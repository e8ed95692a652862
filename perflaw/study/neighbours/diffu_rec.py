"""DiffuRec: the next item's embedding, made out of noise by a transformer that reads the history.

The model of Li, Sun and Li (TOIS 2023, arXiv 2304.00686), with settings of its authors' code where
the paper leaves them open. A target's embedding x_0 is mixed with noise to x_s (`add_noise`). The
approximator adds λ ⊙ (x_s + the embedding of step s) to the embedding of each item of the
history, λ normal for each place and number, and N transformer blocks give x̂_0 at the last place
(`DiffuRec.approximate`). The loss is the cross-entropy over all items of the products of x̂_0 with
their embeddings. At test x begins as noise and T steps bring it back (`DiffuRec.reverse`); items
are ranked by their products with it.

Blocks see the whole history, both ways, and no positions: of the order they know only which item is
last. They do not see places of padding; in the authors' code they do.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from perflaw.errors import InputError
from perflaw.logs.interaction_log import InteractionLog
from perflaw.logs.splits import Split
from perflaw.models import ranking
from perflaw.study.analysis import study_runs

UNCERTAINTY = 0.001  # δ, mean and standard deviation of λ
HEADS = 4
DROPOUT = 0.1
ITEM_DROPOUT = 0.3  # of the embeddings of a history
FIRST_SD = 0.1  # of items' embeddings before training
WINDOW = 10  # L, the last items of a history that are read
BATCH = 512  # targets
EPOCHS = 50
LEAST_EPOCHS = 8
PATIENCE = 2  # epochs without a better NDCG@10 on validation


class Fitted(NamedTuple):
    """The model of the best epoch, and NDCG@10 on validation by epoch."""

    model: DiffuRec
    curve: list[float]


def noise_shares(n_steps: int) -> Tensor:
    """β, (T,) the share of noise that each step adds: the truncated linear schedule.

    It rises linearly. Where its end would be above 1, the slope is about a twentieth.
    """
    scale = 1000 / n_steps
    first, last = 0.0001 * scale + 0.01, 0.02 * scale + 0.01
    if last > 1:
        last = 0.001 * scale + 0.01
    return torch.linspace(first, last, n_steps, dtype=torch.float64)


def embed_steps(steps: Tensor, width: int) -> Tensor:
    """(n, width) cosines and sines of steps on a scale of 1000, from fast to slow."""
    half = width // 2
    pace = 10_000.0 ** (-torch.arange(half) / half)
    angles = steps[:, None] * pace
    return torch.cat([angles.cos(), angles.sin()], dim=1)


class Block(nn.Module):
    """A transformer block, normalised before each part; weights begin as in the authors' code."""

    def __init__(self, d_emb: int) -> None:
        super().__init__()
        self.norm_1 = nn.LayerNorm(d_emb)
        self.attention = nn.MultiheadAttention(d_emb, HEADS, DROPOUT, batch_first=True)
        self.norm_2 = nn.LayerNorm(d_emb)
        inward, outward = nn.Linear(d_emb, 4 * d_emb), nn.Linear(4 * d_emb, d_emb)
        self.feed_forward = nn.Sequential(inward, nn.GELU("tanh"), nn.Dropout(DROPOUT), outward)
        self.drop = nn.Dropout(DROPOUT)
        for matrix in (self.attention.out_proj.weight, inward.weight, outward.weight):
            nn.init.xavier_normal_(matrix)

    def forward(self, x: Tensor, is_padding: Tensor, last: bool) -> Tensor:
        """(batch, L, d), or (batch, 1, d) where the last place alone is wanted."""
        y = self.norm_1(x)
        x, wanted = (x[:, -1:], y[:, -1:]) if last else (x, y)
        mixed, _ = self.attention(wanted, y, y, key_padding_mask=is_padding, need_weights=False)
        x = x + self.drop(mixed)
        x = x + self.drop(self.feed_forward(self.norm_2(x)))
        return self.drop(x)


class DiffuRec(nn.Module):
    """The model.

    Parameters
    ----------
    n_items : int
    n_layers, d_emb : int
        N, the number of blocks, and d.
    n_steps : int
        T, the number of diffusion steps.
    """

    def __init__(self, n_items: int, n_layers: int, d_emb: int, n_steps: int) -> None:
        super().__init__()
        self.items = nn.Embedding(n_items, d_emb)
        nn.init.normal_(self.items.weight, std=FIRST_SD)
        self.norm_items = nn.LayerNorm(d_emb)
        self.of_step = nn.Sequential(
            nn.Linear(d_emb, 4 * d_emb), nn.SiLU(), nn.Linear(4 * d_emb, d_emb)
        )
        self.blocks = nn.ModuleList(Block(d_emb) for _ in range(n_layers))
        self.norm = nn.LayerNorm(d_emb)
        self.drop = nn.Dropout(DROPOUT)
        self.drop_items = nn.Dropout(ITEM_DROPOUT)
        self.noise = noise_shares(n_steps)
        self.signal = (1 - self.noise).cumprod(0)  # ᾱ, the share of x_0 that is left

    def read(self, histories: Tensor) -> Tensor:
        """(batch, L, d) the items of (batch, L) histories; −1 is padding."""
        return self.norm_items(self.drop_items(self.items(histories.clamp(min=0))))

    def add_noise(self, x: Tensor, steps: Tensor) -> Tensor:
        """Return x_s: x_0 and noise by √ᾱ and √(1 − ᾱ) of each row's step."""
        signal = self.signal[steps].float()[:, None]
        return signal.sqrt() * x + (1 - signal).sqrt() * torch.randn_like(x)

    def approximate(
        self, histories: Tensor, embedded: Tensor, noisy: Tensor, steps: Tensor
    ) -> Tensor:
        """Return x̂_0, (batch, d), from histories, their items as `read` gives them, and x_s."""
        on_scale = steps * (1000 / len(self.noise))
        target = noisy + self.of_step(embed_steps(on_scale, noisy.shape[1]))
        weight = UNCERTAINTY * (1 + torch.randn_like(embedded))  # λ
        x = embedded + weight * target[:, None]
        is_padding = histories < 0
        for block in self.blocks[:-1]:
            x = block(x, is_padding, last=False)
        x = self.blocks[-1](x, is_padding, last=True)
        return self.norm(self.drop(x[:, 0]))

    def reverse(self, histories: Tensor) -> Tensor:
        """Return x_0, (batch, d), from noise by T steps, from the last to the first."""
        embedded = self.read(histories)
        x = torch.randn(len(histories), embedded.shape[2])
        for step in reversed(range(len(self.noise))):
            steps = torch.full((len(histories),), step)
            estimate = self.approximate(histories, embedded, x, steps)
            x = self.step_back(x, estimate, step)
        return x

    def step_back(self, x: Tensor, estimate: Tensor, step: int) -> Tensor:
        """Draw x_{s−1} given x_s and x̂_0: normal, with variance β_s; the last is the mean."""
        noise, signal = float(self.noise[step]), float(self.signal[step])
        signal_before = float(self.signal[step - 1]) if step else 1.0
        estimate_weight = noise * math.sqrt(signal_before) / (1 - signal)
        x_weight = (1 - signal_before) * math.sqrt(1 - noise) / (1 - signal)
        mean = estimate_weight * estimate + x_weight * x
        return mean + math.sqrt(noise) * torch.randn_like(x) if step else mean


def take_windows(log: InteractionLog, users: np.ndarray, stops: np.ndarray) -> Tensor:
    """(n, L) the last items of users before places in the log; −1 where there is none."""
    places = stops[:, None] + np.arange(-WINDOW, 0)
    is_inside = places >= log.offsets[users][:, None]
    return torch.from_numpy(np.where(is_inside, log.items[places.clip(min=0)], -1).astype(np.int64))


def make_scorer(model: DiffuRec, seed: int = 0) -> ranking.Scorer:
    """Score items by their products with what `DiffuRec.reverse` makes, the same at each call."""

    def scorer(log: InteractionLog, users: np.ndarray, stops: np.ndarray) -> ranking.BlockScores:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            vectors = model.eval().reverse(take_windows(log, users, stops))
        items = model.items.weight.detach()
        return lambda first, until: vectors @ items[first:until].T

    return scorer


def fit(
    split: Split,
    n_layers: int,
    d_emb: int,
    seed: int,
    learning_rate: float,
    n_steps: int,
    epochs: int = EPOCHS,
) -> Fitted:
    """Train until NDCG@10 on validation has not risen for `PATIENCE` epochs.

    It goes on for `LEAST_EPOCHS` at the least.

    Parameters
    ----------
    split : Split
    n_layers, d_emb, n_steps : int
        As of `DiffuRec`.
    seed : int
        Of the first weights, the order of targets, dropout and noise.
    learning_rate : float
        Of Adam.
    epochs : int
        At most.

    Raises
    ------
    InputError
        If no user has two interactions to train on, or the heads do not divide d.
    """
    train = split.train
    targets = np.setdiff1d(np.arange(train.tokens), train.offsets[:-1])
    if not len(targets):
        raise InputError(f"no user of {split.log.name} has two interactions to train on")
    if d_emb % HEADS:
        raise InputError(f"d = {d_emb} is no multiple of {HEADS}, the number of heads")
    histories = take_windows(train, train.users[targets], targets)
    wanted = torch.from_numpy(train.items[targets].astype(np.int64))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = DiffuRec(split.log.n_items, n_layers, d_emb, n_steps)
        adam = torch.optim.Adam(model.parameters(), lr=learning_rate)
        curve: list[float] = []
        best = model.state_dict()
        while len(curve) < epochs and not _has_levelled(curve):
            model.train()
            for batch in torch.randperm(len(targets)).split(BATCH):
                adam.zero_grad()
                target_loss(model, histories[batch], wanted[batch]).backward()
                adam.step()
            curve.append(study_runs.measure_on_validation(make_scorer(model), split))
            if curve[-1] > max(curve[:-1], default=-1.0):
                best = {name: weight.clone() for name, weight in model.state_dict().items()}
    model.load_state_dict(best)
    return Fitted(model, curve)


def _has_levelled(curve: list[float]) -> bool:
    """Say whether the last `PATIENCE` epochs have been no better, after `LEAST_EPOCHS`."""
    return len(curve) >= LEAST_EPOCHS and len(curve) - int(np.argmax(curve)) > PATIENCE


def target_loss(model: DiffuRec, histories: Tensor, wanted: Tensor) -> Tensor:
    """Return the mean cross-entropy over all items, each target at a step drawn uniformly."""
    steps = torch.randint(len(model.noise), (len(wanted),))
    noisy = model.add_noise(model.items(wanted), steps)
    estimate = model.approximate(histories, model.read(histories), noisy, steps)
    return cross_entropy(estimate @ model.items.weight.T, wanted)


def train_diffu_rec(
    split: Split, n_layers: int, d_emb: int, seed: int, learning_rate: float, n_steps: int
) -> dict[str, Any]:
    """Train one model and measure it on test, once.

    Returns
    -------
    dict
        A row of data/neighbours/diffu_rec.csv: the arguments, best_epoch and done_epochs,
        validation NDCG@10, and HR@10 and NDCG@10 by the rules of ranking; "removed" is the rule of
        record where nothing repeats.
    """
    fitted = fit(split, n_layers, d_emb, seed, learning_rate, n_steps)
    return {
        "log": split.log.name,
        "n_layers": n_layers,
        "d_emb": d_emb,
        "seed": seed,
        "learning_rate": learning_rate,
        "n_steps": n_steps,
    } | study_runs.measure_trained(make_scorer(fitted.model), split, fitted.curve)
