r"""Logs from a Markov process over items whose entropy rate is known in closed form.

Such a log is the book's default, and estimators are checked against it. V items belong to K
interests in turn; an interest has its items in Zipf order, :math:`\pi(j \mid h) \propto r_j^{-s}`
with :math:`r_j` the rank in h, and all interests weigh the same, :math:`\pi(j) = \pi(j \mid h)/K`.
From item i of interest g the next item is

* i again, with probability ρ (`repeat`); else
* any item, from π, with probability ε (`noise`); else
* an item from :math:`\pi(\cdot \mid h)`, where h = g with probability σ (`stay`) and
  h = g + 1 (modulo K) otherwise.

Moves between interests are doubly stochastic, so π is stationary whatever ρ, ε and σ are:
they change how predictable the next item is, and leave popularity as it is. Everything about
the process then follows from the K × V transition probabilities in closed form.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq
from scipy.special import xlogy

from perflaw.errors import InputError
from perflaw.logs.histories import history_starts, to_offsets
from perflaw.logs.interaction_log import InteractionLog

DAY = 86_400  # seconds
YEAR = 365 * DAY
START = 1_704_067_200  # 2024-01-01, in seconds since 1970 UTC


class Truth(NamedTuple):
    """What is known of a process; entropies in nats.

    Attributes
    ----------
    entropy_rate : float
        Of the next item given the last, hence given all before.
    shannon : float
        Of an item on its own.
    hit_rate, ndcg : float
        HR@10 and NDCG@10 of the best possible ranking of all items.
    """

    entropy_rate: float
    shannon: float
    hit_rate: float
    ndcg: float


class Synthetic(NamedTuple):
    """A log, and the truth about the process it was drawn from."""

    log: InteractionLog
    truth: Truth


@dataclass(frozen=True)
class Process:
    """The Markov process of this module's docstring.

    Attributes
    ----------
    n_items : int
        V, the vocabulary.
    n_interests : int
        K, at most half of the vocabulary.
    skew : float
        s, Zipf's exponent of popularity within an interest.
    stay : float
        σ, share of moves that stay in the interest.
    repeat : float
        ρ, probability of the same item again, below 1.
    noise : float
        ε, probability of forgetting the interest.

    Raises
    ------
    InputError
        For a value out of range.

    Examples
    --------
    >>> log, truth = Process(n_items=100, n_interests=5).sample(n_users=10)
    >>> round(truth.entropy_rate, 3)
    3.447
    """

    n_items: int = 1_000
    n_interests: int = 20
    skew: float = 1.0
    stay: float = 0.7
    repeat: float = 0.1
    noise: float = 0.2

    def __post_init__(self) -> None:
        if not 1 <= self.n_interests <= self.n_items / 2:
            raise InputError(
                f"{self.n_interests} interests of {self.n_items} items: use at least two items"
                " an interest"
            )
        for name in ("stay", "repeat", "noise"):
            value = getattr(self, name)
            if not 0 <= value <= 1 or (name == "repeat" and value == 1):
                raise InputError(f"{name} = {value} is no probability that a process can have")
        if not self.skew >= 0:
            raise InputError(f"skew = {self.skew}: use 0 (all items alike) or more")

    @cached_property
    def _within(self) -> np.ndarray:
        """(K, ceil(V / K)) π(· | h) by rank; an interest one item short has a 0 at the end."""
        ranks = np.arange(1, -(-self.n_items // self.n_interests) + 1)
        item = np.arange(self.n_interests)[:, None] + self.n_interests * (ranks - 1)
        weights = np.where(item < self.n_items, ranks**-self.skew, 0.0)
        return weights / weights.sum(axis=1, keepdims=True)

    @property
    def _interest(self) -> np.ndarray:
        """(V,) interest of each item."""
        return np.arange(self.n_items) % self.n_interests

    @cached_property
    def popularity(self) -> np.ndarray:
        """(V,) π. Item i has interest i mod K and rank i // K + 1 in it."""
        return self._within.T.ravel()[: self.n_items] / self.n_interests

    @cached_property
    def moves(self) -> np.ndarray:
        """(K, V) probability of the next item from each interest, if it is no repeat."""
        k = self.n_interests
        ahead = np.eye(k) * self.stay + np.roll(np.eye(k), 1, axis=1) * (1 - self.stay)
        directed = (1 - self.noise) * ahead[:, self._interest] * k * self.popularity
        return self.noise * self.popularity + directed

    @property
    def transitions(self) -> np.ndarray:
        """(V, V) P(i, j), probability of item j after item i."""
        return (1 - self.repeat) * self.moves[self._interest] + self.repeat * np.eye(self.n_items)

    @property
    def shannon(self) -> float:
        """H(π), the entropy of one item, in nats."""
        return float(-xlogy(self.popularity, self.popularity).sum())

    @property
    def entropy_rate(self) -> float:
        """Σ π(i) H(P(i, ·)), the entropy of the next item given the past, in nats."""
        moves = (1 - self.repeat) * self.moves
        to_itself = moves[self._interest, np.arange(self.n_items)]
        entropies = -xlogy(moves, moves).sum(axis=1)[self._interest]
        again = to_itself + self.repeat
        entropies += xlogy(to_itself, to_itself) - xlogy(again, again)
        return float(self.popularity @ entropies)

    def best(self, k: int = 10) -> tuple[float, float]:
        """HR@k and NDCG@k of ranking all items by P(i, ·): the best possible on average."""
        hits = np.zeros(k)
        for interest in range(self.n_interests):
            moves = (1 - self.repeat) * self.moves[interest]
            likeliest = np.argsort(-moves, kind="stable")[: k + 1]
            for item in range(interest, self.n_items, self.n_interests):
                others = moves[likeliest[likeliest != item]]
                candidates = np.append(others, moves[item] + self.repeat)
                top = np.sort(candidates)[::-1][:k]
                hits[: len(top)] += self.popularity[item] * top
        return float(hits.sum()), float(hits @ (1 / np.log2(np.arange(2, k + 2))))

    @property
    def truth(self) -> Truth:
        """What is known of the process."""
        return Truth(self.entropy_rate, self.shannon, *self.best())

    def with_rate(self, nats: float) -> Process:
        """Change the noise so that the process has this entropy rate.

        Raises InputError if no noise gives it.
        """

        def excess(noise: float) -> float:
            return replace(self, noise=noise).entropy_rate - nats

        if not excess(0.0) <= 0 <= excess(1.0):
            low, high = excess(0.0) + nats, excess(1.0) + nats
            raise InputError(
                f"noise can make the entropy rate {low:.3f} to {high:.3f} nats, not {nats:.3f}"
            )
        return replace(self, noise=brentq(excess, 0.0, 1.0, xtol=1e-14))

    def sample(
        self, n_users: int = 2_000, mean_length: float = 50, min_length: int = 5, seed: int = 0
    ) -> Synthetic:
        """Draw a log, each history from the stationary process.

        Lengths are min_length plus a geometric number, users start evenly over a year, and a
        day passes between interactions on average (exponential, in whole seconds). Codes are a
        random numbering of the items, so that they tell neither interest nor popularity.
        """
        if n_users < 1 or min_length < 1 or mean_length < min_length:
            raise InputError(
                "a log needs a user, an interaction each, and a mean length not below the minimum"
            )
        rng = np.random.default_rng(seed)
        extra = rng.geometric(1 / (mean_length - min_length + 1), n_users)
        offsets = to_offsets(min_length - 1 + extra)
        items = self._draw_items(offsets, rng)
        times = _draw_times(offsets, rng)
        codes = rng.permutation(self.n_items).astype(np.int32)
        log = InteractionLog(
            codes[items],
            offsets,
            times,
            np.arange(n_users),
            np.arange(self.n_items),
            "synthetic",
        )
        return Synthetic(log, self.truth)

    def _draw_items(self, offsets: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Draw histories: (tokens,) items."""
        tokens = int(offsets[-1])
        positions = np.arange(tokens)
        is_first = history_starts(offsets, tokens)
        is_new = is_first | (rng.random(tokens) >= self.repeat)
        is_jump = is_first | (is_new & (rng.random(tokens) < self.noise))
        is_step = is_new & ~is_jump & (rng.random(tokens) >= self.stay)
        # the interest is the one last jumped to, and a step further for each step since
        steps = np.cumsum(is_step)
        jump = np.maximum.accumulate(np.where(is_jump, positions, 0))
        jumped_to = rng.integers(self.n_interests, size=tokens)[jump]
        interest = (jumped_to + steps - steps[jump]) % self.n_interests
        # one search for all interests: the cumulative distribution of each is shifted by its number
        cumulative = np.cumsum(self._within, axis=1)
        cumulative[:, -1] = 1.0
        shifted = np.minimum(cumulative, 1.0) + np.arange(self.n_interests)[:, None]
        place = np.searchsorted(shifted.ravel(), interest + rng.random(tokens), side="right")
        rank = place - interest * self._within.shape[1]
        newest = np.maximum.accumulate(np.where(is_new, positions, 0))
        return (interest + rank * self.n_interests)[newest]


def _draw_times(offsets: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw (tokens,) whole seconds since 1970, in order within each history."""
    tokens = int(offsets[-1])
    users = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    entries = rng.uniform(0, YEAR, len(offsets) - 1)[users]
    gaps = np.where(history_starts(offsets, tokens), entries, rng.exponential(DAY, tokens))
    elapsed = np.cumsum(gaps)
    before = (elapsed - gaps)[offsets[:-1]][users]  # the time that earlier users took
    return START + np.floor(elapsed - before)


DEFAULT_PROCESS = Process()


def same_rate(
    process: Process = DEFAULT_PROCESS, sizes: Iterable[int] = (250, 1_000, 4_000), seed: int = 0
) -> list[Synthetic]:
    """Draw logs of one process, hence one entropy rate, and different numbers of users.

    A negative control: nothing but the size can explain a difference.
    """
    return [process.sample(n_users, seed=seed + i) for i, n_users in enumerate(sizes)]


def same_size(
    process: Process = DEFAULT_PROCESS,
    rates: Iterable[float] = (4.0, 4.7, 5.5),
    n_users: int = 1_000,
    seed: int = 0,
) -> list[Synthetic]:
    """Draw logs with different entropy rates (nats) and all else the same.

    A negative control: users, lengths, times and popularity are equal.
    """
    return [process.with_rate(rate).sample(n_users, seed=seed) for rate in rates]
