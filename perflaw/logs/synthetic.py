r"""Logs from a Markov process over items whose entropy rate is known: the book's default log, and a ruler.

The process. V items belong to K interests in turn; an interest has its items in Zipf order,
:math:`\pi(j \mid h) \propto r_j^{-s}` with :math:`r_j` the rank in h, and all interests weigh the same,
:math:`\pi(j) = \pi(j \mid h)/K`. From item i of interest g the next item is

* i again, with probability ρ (`repeat`); else
* any item, from π, with probability ε (`noise`); else
* an item from :math:`\pi(\cdot \mid h)`, where h = g with probability σ (`stay`) and h = g + 1 (modulo K) otherwise.

Moves between interests are doubly stochastic, so π is stationary whatever ρ, ε and σ are:
the knobs change how predictable the next item is, and leave popularity alone. Everything
about the process then follows from the K × V transition probabilities in closed form.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq
from scipy.special import xlogy

from perflaw.errors import InputError
from perflaw.logs.histories import to_offsets
from perflaw.logs.interaction_log import InteractionLog

DAY, START = 86_400, 1_704_067_200  # seconds; 2024-01-01


class Truth(NamedTuple):
    """What is known of a process, in nats."""

    entropy_rate: float  # of the next item given the last, hence given all before
    shannon: float  # of an item on its own
    hit_rate: float  # HR@10 of the best possible ranking of all items
    ndcg: float  # NDCG@10 of it


class Synthetic(NamedTuple):
    """A log, and the truth about the process it was drawn from."""

    log: InteractionLog
    truth: Truth


@dataclass(frozen=True)
class Process:
    """The Markov process of this module's docstring; raises InputError for knobs out of range."""

    n_items: int = 1_000  # V, the vocabulary
    n_interests: int = 20  # K
    skew: float = 1.0  # s, Zipf's exponent of popularity within an interest
    stay: float = 0.7  # σ, share of moves that stay in the interest
    repeat: float = 0.1  # ρ, probability of the same item again
    noise: float = 0.2  # ε, probability of forgetting the interest

    def __post_init__(self):
        if not 1 <= self.n_interests <= self.n_items / 2:
            raise InputError(
                f"{self.n_interests} interests of {self.n_items} items: use at least two items an interest"
            )
        for name in ("stay", "repeat", "noise"):
            if not 0 <= getattr(self, name) <= 1 or (name == "repeat" and self.repeat == 1):
                raise InputError(
                    f"{name} = {getattr(self, name)} is no probability that a process can have"
                )
        if not self.skew >= 0:
            raise InputError(f"skew = {self.skew}: use 0 (all items alike) or more")

    @cached_property
    def _within(self):
        """(K, ceil(V / K)) π(· | h) by rank; an interest one item short has a 0 at the end."""
        ranks = np.arange(1, -(-self.n_items // self.n_interests) + 1)
        item = np.arange(self.n_interests)[:, None] + self.n_interests * (ranks - 1)
        weights = np.where(item < self.n_items, ranks**-self.skew, 0.0)
        return weights / weights.sum(axis=1, keepdims=True)

    @cached_property
    def popularity(self) -> np.ndarray:
        """(V,) π. Item i has interest i mod K and rank i // K + 1 in it."""
        return self._within.T.ravel()[: self.n_items] / self.n_interests

    @cached_property
    def moves(self) -> np.ndarray:
        """(K, V) probability of the next item from each interest, when the last one is not repeated."""
        k = self.n_interests
        ahead = np.eye(k) * self.stay + np.roll(np.eye(k), 1, axis=1) * (1 - self.stay)
        return (
            self.noise * self.popularity
            + (1 - self.noise) * ahead[:, np.arange(self.n_items) % k] * k * self.popularity
        )

    @property
    def transitions(self) -> np.ndarray:
        """(V, V) P(i, j), probability of item j after item i."""
        interest = np.arange(self.n_items) % self.n_interests
        return (1 - self.repeat) * self.moves[interest] + self.repeat * np.eye(self.n_items)

    @property
    def shannon(self) -> float:
        """H(π), the entropy of one item."""
        return float(-xlogy(self.popularity, self.popularity).sum())

    @property
    def entropy_rate(self) -> float:
        """Σ π(i) H(P(i, ·)), the entropy of the next item given the past."""
        away = (1 - self.repeat) * self.moves
        own = away[np.arange(self.n_items) % self.n_interests, np.arange(self.n_items)]
        rows = -xlogy(away, away).sum(axis=1)[np.arange(self.n_items) % self.n_interests]
        rows += xlogy(own, own) - xlogy(own + self.repeat, own + self.repeat)
        return float(self.popularity @ rows)

    def block_entropy(self, m: int) -> float:
        """H(X₁ … X_m) of m items in a row."""
        return self.shannon + (m - 1) * self.entropy_rate

    def best(self, k: int = 10) -> tuple[float, float]:
        """HR@k and NDCG@k of ranking all items by P(i, ·): no recommender can do better on average."""
        hits = np.zeros(k)
        for interest in range(self.n_interests):
            away = (1 - self.repeat) * self.moves[interest]
            order = np.argsort(-away, kind="stable")[: k + 1]
            for item in range(interest, self.n_items, self.n_interests):
                row = np.append(away[order[order != item]], away[item] + self.repeat)
                top = np.sort(row)[::-1][:k]
                hits[: len(top)] += self.popularity[item] * top
        return float(hits.sum()), float(hits @ (1 / np.log2(np.arange(2, k + 2))))

    @property
    def truth(self) -> Truth:
        return Truth(self.entropy_rate, self.shannon, *self.best())

    def with_rate(self, nats: float) -> Process:
        """The process with this entropy rate and all else the same, by its noise; InputError if no noise gives it."""
        rate = lambda noise: replace(self, noise=noise).entropy_rate - nats  # noqa: E731
        if not rate(0.0) <= 0 <= rate(1.0):
            low, high = rate(0.0) + nats, rate(1.0) + nats
            raise InputError(
                f"noise can make the entropy rate {low:.3f} to {high:.3f} nats, not {nats:.3f}"
            )
        return replace(self, noise=brentq(rate, 0.0, 1.0, xtol=1e-14))

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
        offsets = to_offsets(
            min_length - 1 + rng.geometric(1 / (mean_length - min_length + 1), n_users)
        )
        tokens, users = int(offsets[-1]), np.repeat(np.arange(n_users), np.diff(offsets))
        first = np.zeros(tokens, bool)
        first[offsets[:-1]] = True
        fresh = first | (rng.random(tokens) >= self.repeat)
        jump = first | (fresh & (rng.random(tokens) < self.noise))
        step = fresh & ~jump & (rng.random(tokens) >= self.stay)
        # the interest is the one last jumped to, and a step further for each step since
        steps, jumped = np.cumsum(step), np.maximum.accumulate(np.where(jump, np.arange(tokens), 0))
        interest = (
            rng.integers(self.n_interests, size=tokens)[jumped] + steps - steps[jumped]
        ) % self.n_interests
        # one search for all interests: the cumulative distribution of each is raised by its number
        cumulative = np.cumsum(self._within, axis=1)
        cumulative[:, -1] = 1.0
        ladder = (np.minimum(cumulative, 1.0) + np.arange(self.n_interests)[:, None]).ravel()
        rank = (
            np.searchsorted(ladder, interest + rng.random(tokens), side="right")
            - interest * self._within.shape[1]
        )
        items = (interest + rank * self.n_interests)[
            np.maximum.accumulate(np.where(fresh, np.arange(tokens), 0))
        ]
        gaps = np.where(
            first, rng.uniform(0, 365 * DAY, n_users)[users], rng.exponential(DAY, tokens)
        )
        elapsed = np.cumsum(gaps)
        times = START + np.floor(elapsed - (elapsed - gaps)[offsets[:-1]][users])
        codes = rng.permutation(self.n_items).astype(np.int32)
        names = np.arange(n_users), np.arange(self.n_items)
        return Synthetic(
            InteractionLog(codes[items], offsets, times, *names, "synthetic"), self.truth
        )


def same_rate(
    process: Process = Process(), sizes=(250, 1_000, 4_000), seed: int = 0
) -> list[Synthetic]:
    """A negative control: logs of one process, hence one entropy rate, and different numbers of users."""
    return [process.sample(n_users, seed=seed + i) for i, n_users in enumerate(sizes)]


def same_size(
    process: Process = Process(), rates=(4.0, 4.7, 5.5), n_users: int = 1_000, seed: int = 0
) -> list[Synthetic]:
    """A negative control: logs with the same users, lengths, times and popularity, and different entropy rates (nats)."""
    return [process.with_rate(rate).sample(n_users, seed=seed) for rate in rates]
