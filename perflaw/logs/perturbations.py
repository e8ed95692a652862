"""Perturbations: seeded functions log → log that change how much a training log teaches.

Each takes a log, a strength and a seed, changes one thing and keeps the vocabulary. `apply` changes
the training part of a split, and leaves test users, targets, histories and vocabulary as they were.
With the same seed a stronger perturbation contains the weaker one wherever that has a meaning.
Records and tables call perturbations interventions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from perflaw.errors import InputError
from perflaw.logs.histories import concatenated_ranges, to_offsets
from perflaw.logs.interaction_log import InteractionLog
from perflaw.logs.splits import Split

Perturbation = Callable[[InteractionLog, float, int], InteractionLog]

PERTURBATIONS: dict[str, Perturbation] = {}


def register_perturbation(function: Perturbation) -> Perturbation:
    """Add a function (log, strength, seed) → log to PERTURBATIONS, under its name."""
    PERTURBATIONS[function.__name__] = function
    return function


def apply(split: Split, name: str, strength: float, seed: int = 0) -> Split:
    """Change the training part of a split.

    Parameters
    ----------
    split : Split
    name : str
        One of PERTURBATIONS.
    strength : float
        A share, a factor or a number of interactions, as the perturbation says.
    seed : int

    Returns
    -------
    Split
        Its `rule` and `interventions` say what was done.

    Raises
    ------
    InputError
        For an unknown name, and for a strength that the perturbation cannot have.

    Examples
    --------
    >>> from perflaw.logs import from_histories, leave_one_out
    >>> split = leave_one_out(from_histories([list("abcde")] * 4))
    >>> apply(split, "sample_users", 0.5).train.n_users
    2
    """
    if name not in PERTURBATIONS:
        raise InputError(f"there is no intervention {name!r}; there are {', '.join(PERTURBATIONS)}")
    return replace(
        split,
        train=PERTURBATIONS[name](split.train, strength, seed),
        rule=f"{split.rule}; of the training part, {name} {strength:g}, seed {seed}",
        interventions=(*split.interventions, (name, strength, seed)),
    )


@register_perturbation
def sample_users(log: InteractionLog, strength: float, seed: int = 0) -> InteractionLog:
    """Keep a share of the users."""
    return log.sample_users(strength, seed)


@register_perturbation
def sample_time(log: InteractionLog, strength: float, seed: int = 0) -> InteractionLog:
    """Keep the most recent share of the interactions.

    The seed is not used: another span would also be staler.
    """
    return log.sample_time(strength)


@register_perturbation
def truncate(log: InteractionLog, strength: float, seed: int = 0) -> InteractionLog:
    """Keep the last `strength` interactions of each user. Nothing is random."""
    return log.last(_check_whole(strength))


@register_perturbation
def duplicate_users(log: InteractionLog, strength: float, seed: int = 0) -> InteractionLog:
    """Add copies of a share of the users, as users of their own.

    A strength of 2.5 adds two copies of each user and a third one of half of them.
    """
    if not 0 <= strength < np.inf:
        raise InputError(f"{strength} copies of each user cannot be added; use 0 or more")
    everyone = np.arange(log.n_users)
    shuffled = np.random.default_rng(seed).permutation(log.n_users)
    once_more = np.sort(shuffled[: round(strength % 1 * log.n_users)])
    copied = np.concatenate([everyone] * int(strength) + [once_more])
    users = np.concatenate([everyone, copied])
    lengths = log.lengths[users]
    positions = concatenated_ranges(log.offsets[users], lengths)
    copy_ids = [f"{user} (copy {i})" for i, user in enumerate(log.user_ids[copied], 1)]
    user_ids = np.concatenate([log.user_ids.astype(object), copy_ids])
    return _take(log, positions, lengths, user_ids=user_ids)


@register_perturbation
def shuffle_order(log: InteractionLog, strength: float, seed: int = 0) -> InteractionLog:
    """Let a random share of the interactions change places within their history.

    Times stay in place.
    """
    rng = np.random.default_rng(seed)
    chosen = np.flatnonzero(rng.random(log.tokens) < _check_share(strength))
    shuffled = chosen[np.lexsort((rng.random(len(chosen)), log.users[chosen]))]
    items = log.items.copy()
    items[chosen] = log.items[shuffled]
    return replace(log, items=items)


@register_perturbation
def replace_random(log: InteractionLog, strength: float, seed: int = 0) -> InteractionLog:
    """Replace a share of the interactions by items drawn uniformly from the vocabulary."""
    rng = np.random.default_rng(seed)
    chosen = rng.random(log.tokens) < _check_share(strength)
    random_items = rng.integers(log.n_items, size=log.tokens, dtype=np.int32)
    return replace(log, items=np.where(chosen, random_items, log.items))


@register_perturbation
def insert_repeats(log: InteractionLog, strength: float, seed: int = 0) -> InteractionLog:
    """After a share of the interactions insert the same one again, at the same time."""
    copies = 1 + (np.random.default_rng(seed).random(log.tokens) < _check_share(strength))
    positions = np.repeat(np.arange(log.tokens), copies)
    return _take(log, positions, np.add.reduceat(copies, log.offsets[:-1]))


@register_perturbation
def remove_repeats(log: InteractionLog, strength: float, seed: int = 0) -> InteractionLog:
    """Remove a share of the interactions with items that the user had before.

    A strength of 1 leaves no repeats.
    """
    chosen = np.random.default_rng(seed).random(log.tokens) < _check_share(strength)
    return log.keep(~(log.repeats & chosen))


@register_perturbation
def k_core(log: InteractionLog, strength: float, seed: int = 0) -> InteractionLog:
    """Keep the users and items with at least `strength` interactions among themselves.

    Nothing is random.
    """
    return log.k_core(_check_whole(strength))


def _take(
    log: InteractionLog, positions: np.ndarray, lengths: np.ndarray, **changes: Any
) -> InteractionLog:
    """Make a log of the interactions at these positions, in histories of these lengths."""
    return replace(
        log,
        items=log.items[positions],
        offsets=to_offsets(lengths),
        timestamps=None if log.timestamps is None else log.timestamps[positions],
        **changes,
    )


def _check_share(strength: float) -> float:
    if not 0 <= strength <= 1:
        raise InputError(f"a share of {strength} cannot be changed; use a number from 0 to 1")
    return strength


def _check_whole(strength: float) -> int:
    if not strength >= 1 or strength % 1:
        raise InputError(f"{strength:g} interactions a user: use a whole number, 1 or more")
    return int(strength)
