"""Interventions: seeded functions log → log that change how much a training log teaches, one thing at a time.

Each takes the log, a strength and a seed, and keeps the vocabulary. `apply` puts one on the
training part of a split, which leaves test users, targets, histories and vocabulary as they
were. With the same seed a stronger intervention contains the weaker one wherever that has a meaning.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from perflaw.errors import InputError
from perflaw.logs.histories import concatenated_ranges, to_offsets
from perflaw.logs.interaction_log import InteractionLog
from perflaw.logs.splits import Split

PERTURBATIONS: dict[str, Callable[[InteractionLog, float, int], InteractionLog]] = {}


def register_perturbation(function):
    """Add a function (log, strength, seed) → log to PERTURBATIONS."""
    PERTURBATIONS[function.__name__] = function
    return function


def apply(split: Split, name: str, strength: float, seed: int = 0) -> Split:
    """The split with one intervention on its training part; raises InputError for an unknown name or strength."""
    if name not in PERTURBATIONS:
        raise InputError(f"there is no intervention {name!r}; there are {', '.join(PERTURBATIONS)}")
    rule = f"{split.rule}; of the training part, {name} {strength:g}, seed {seed}"
    steps = (*split.interventions, (name, strength, seed))
    return replace(
        split,
        train=PERTURBATIONS[name](split.train, strength, seed),
        rule=rule,
        interventions=steps,
    )


@register_perturbation
def sample_users(log, strength, seed=0):
    """Keep a share of the users."""
    return log.sample_users(strength, seed)


@register_perturbation
def sample_time(log, strength, seed=0):
    """Keep the most recent share of the interactions. The seed is not used: another span would also be staler."""
    return log.sample_time(strength)


@register_perturbation
def truncate(log, strength, seed=0):
    """Keep the last `strength` interactions of each user. Nothing is random."""
    return log.last(_whole(strength, "interactions"))


@register_perturbation
def duplicate_users(log, strength, seed=0):
    """Add copies of a share of the users, as users of their own; 2.5 adds two of each and a third of half of them."""
    if not 0 <= strength < np.inf:
        raise InputError(f"{strength} copies of each user cannot be added; use 0 or more")
    lots = np.random.default_rng(seed).permutation(log.n_users)
    extra = np.concatenate(
        [np.arange(log.n_users)] * int(strength)
        + [np.sort(lots[: round(strength % 1 * log.n_users)])]
    )
    users = np.concatenate([np.arange(log.n_users), extra])
    lengths = log.lengths[users]
    at = concatenated_ranges(log.offsets[users], lengths)
    ids = np.concatenate(
        [
            log.user_ids.astype(object),
            [f"{u} (copy {i})" for i, u in enumerate(log.user_ids[extra], 1)],
        ]
    )
    return _with(log, log.items[at], lengths, at, user_ids=ids)


@register_perturbation
def shuffle_order(log, strength, seed=0):
    """Let a share of the interactions, chosen at random, change places within their history; times stay in place."""
    rng = np.random.default_rng(seed)
    chosen = np.flatnonzero(rng.random(log.tokens) < _share(strength))
    shuffled = chosen[np.lexsort((rng.random(len(chosen)), log.users[chosen]))]
    items = log.items.copy()
    items[chosen] = log.items[shuffled]
    return replace(log, items=items)


@register_perturbation
def replace_random(log, strength, seed=0):
    """Replace a share of the interactions by items drawn uniformly from the vocabulary."""
    rng = np.random.default_rng(seed)
    chosen = rng.random(log.tokens) < _share(strength)
    random = rng.integers(log.n_items, size=log.tokens, dtype=np.int32)
    return replace(log, items=np.where(chosen, random, log.items))


@register_perturbation
def insert_repeats(log, strength, seed=0):
    """After a share of the interactions insert the same one again, at the same time."""
    copies = 1 + (np.random.default_rng(seed).random(log.tokens) < _share(strength))
    at = np.repeat(np.arange(log.tokens), copies)
    return _with(log, log.items[at], np.add.reduceat(copies, log.offsets[:-1]), at)


@register_perturbation
def remove_repeats(log, strength, seed=0):
    """Remove a share of the interactions with items that the user had before; 1 leaves no repeats."""
    return log.keep(
        ~(log.repeats & (np.random.default_rng(seed).random(log.tokens) < _share(strength)))
    )


@register_perturbation
def k_core(log, strength, seed=0):
    """Keep the users and items with at least `strength` interactions among themselves. Nothing is random."""
    return log.k_core(_whole(strength, "interactions"))


def _with(log, items, lengths, at, **changes):
    times = None if log.timestamps is None else log.timestamps[at]
    return replace(log, items=items, offsets=to_offsets(lengths), timestamps=times, **changes)


def _share(strength):
    if not 0 <= strength <= 1:
        raise InputError(f"a share of {strength} cannot be changed; use a number from 0 to 1")
    return strength


def _whole(strength, what):
    if not strength >= 1 or strength % 1:
        raise InputError(f"{strength:g} {what} a user: use a whole number, 1 or more")
    return int(strength)
