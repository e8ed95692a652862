"""Ranking all items.

The rules, the same for every model: the target is ranked against all items of the vocabulary. On a
log without repeats items of the user's history are removed, since they cannot come again; on a log
with repeats none is. The target is never removed. At test time the history is training and
validation together.

Items with the target's score share ranks with it. `RankedTargets` has the mean of these ranks and
their number; metrics take the expectation of HR, NDCG and MRR under a random order of the tied
items. Run records keep the mean rank alone, from which that cannot be told: metrics of ranks read
from a record are those of the mean rank, as all were before. Scores of trained models hardly tie,
counts often do.

Which part of the history is removed depends on the rule: by `Seen.HISTORY` all of it, the
validation item included; by `Seen.TRAINING`, the older rule, the validation item stays in. The two
differ more than they seem to: a model that has just read the validation item often ranks it first.

Whatever ranks items is a `Scorer`; `rank_targets` asks it for blocks of users and items, so that
memory does not grow with users × items, and keeps the rank of each user's target.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import numpy as np

from perflaw.errors import InputError
from perflaw.logs.histories import concatenated_ranges
from perflaw.logs.interaction_log import InteractionLog
from perflaw.logs.splits import Split

if TYPE_CHECKING:
    import torch

# scored at a time
USERS = 256
ITEMS = 1 << 15

BlockScores = Callable[[int, int], "torch.Tensor"]
"""(first, until) → scores (n, until − first) of those items for each of n users."""

Scorer = Callable[[InteractionLog, np.ndarray, np.ndarray], BlockScores]
"""(log, users, stops) → the scores of items for each user.

A user's history is log.items[log.offsets[user] : stop].
"""


class Seen(StrEnum):
    """What is removed from the ranking on a log where nothing repeats."""

    TRAINING = "training"  # items of the user's training part
    HISTORY = "history"  # all items before the target


@dataclass(frozen=True, eq=False, repr=False)
class RankedTargets:
    """Where each user's target came, for the n users that have one.

    Parameters
    ----------
    users : ndarray
        (n,) positions in the log.
    ranks : ndarray
        (n,) from 1; the mean rank of the items that have the target's score.
    ranked : ndarray
        (n,) items ranked, the target among them.
    losses : ndarray
        (n,) −ln of the target's share of exp(score / temperature) among the ranked, nats.
    top : ndarray
        (n, k) items in order of score.
    ties : ndarray, optional
        (n,) items that have the target's score, itself included; None where that is not known.
    """

    users: np.ndarray
    ranks: np.ndarray
    ranked: np.ndarray
    losses: np.ndarray
    top: np.ndarray
    ties: np.ndarray | None = None

    def __repr__(self) -> str:
        return (
            f"<RankedTargets: {len(self.users):,} users, HR@10 {np.mean(self.ranks <= 10):.4f}, "
            f"median rank {np.median(self.ranks):g} of {np.median(self.ranked):g}>"
        )


def rank_targets(
    scorer: Scorer,
    split: Split,
    targets: np.ndarray,
    top: int = 0,
    temperature: float = 1.0,
    seen: str = Seen.HISTORY,
) -> RankedTargets:
    """Rank each user's target by the rules above.

    Parameters
    ----------
    scorer : Scorer
        What gives scores to items.
    split : Split
        The log and its training part.
    targets : ndarray
        `split.validation` or `split.test`.
    top : int
        How many items of each user's list to keep.
    temperature : float
        By which scores are divided in the log-loss.
    seen : str
        What is removed where nothing repeats, see `Seen`; by default the history, the rule of
        record.

    Raises
    ------
    InputError
        If there are no targets.
    FloatingPointError
        If scores are not numbers.

    Examples
    --------
    >>> from perflaw.logs import synthetic
    >>> from perflaw.logs.splits import leave_one_out
    >>> from perflaw.models.baselines import most_popular
    >>> split = leave_one_out(synthetic.Process(n_items=40, n_interests=4).sample(30, 8).log)
    >>> rank_targets(most_popular(split), split, split.test).ranks.shape
    (30,)
    """
    users = np.flatnonzero(targets >= 0)
    if not len(users):
        raise InputError(
            f"{split.log.name} has no target to rank in this part of the split ({split.rule})"
        )
    by_length = np.argsort(targets[users] - split.log.offsets[users], kind="stable")
    parts = [
        _rank_users(scorer, split, users[part], targets[users[part]], top, temperature, seen)
        for part in np.array_split(by_length, math.ceil(len(users) / USERS))
    ]
    original = np.empty_like(by_length)
    original[by_length] = np.arange(len(users))
    return RankedTargets(users, *(np.concatenate(columns)[original] for columns in zip(*parts)))


def _rank_users(
    scorer: Scorer,
    split: Split,
    users: np.ndarray,
    targets: np.ndarray,
    top: int,
    temperature: float,
    seen: str,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Ranks, numbers of items ranked, losses, best items and ties of some users."""
    import torch

    log = split.log
    row, removed = removed_items(split, users, targets, seen)
    scores = _without(scorer(log, users, targets), row, removed, log.n_items)
    blocks = [(first, min(first + ITEMS, log.n_items)) for first in range(0, log.n_items, ITEMS)]
    wanted = torch.from_numpy(log.items[targets].astype(np.int64))
    own_parts = [_own_scores(scores(*block), wanted, *block) for block in blocks]
    own = torch.cat(own_parts, dim=1).sum(1)
    above: Any = 0
    level: Any = 0
    total = best = None
    for first, until in blocks:
        block = scores(first, until)
        above = above + (block > own[:, None]).sum(1)
        level = level + (block == own[:, None]).sum(1)
        share = block.div(temperature).logsumexp(1)[:, None]
        total = share if total is None else torch.logaddexp(total, share)
        if top:
            best = _best_items(best, block, first, top)
    if total is None or total.isnan().any():
        raise FloatingPointError("the scores are not numbers")
    losses = total[:, 0] - own / temperature
    return (
        (above + (level - 1) / 2 + 1).cpu().double().numpy(),
        log.n_items - np.bincount(row, minlength=len(users)),
        losses.cpu().double().numpy(),
        np.zeros((len(users), 0), np.int64) if best is None else best[1].cpu().numpy(),
        level.cpu().numpy(),
    )


def _without(score: BlockScores, row: np.ndarray, removed: np.ndarray, n_items: int) -> BlockScores:
    """Scores of which those of removed items are −∞; kept where one block holds all items."""
    import torch

    whole: list[torch.Tensor] = []

    def scores(first: int, until: int) -> torch.Tensor:
        if whole:
            return whole[0]
        block = score(first, until)
        inside = (removed >= first) & (removed < until)
        items = torch.from_numpy(removed[inside] - first)
        block[torch.from_numpy(row[inside]), items] = -torch.inf
        if until - first == n_items:
            whole.append(block)
        return block

    return scores


def _own_scores(block: torch.Tensor, wanted: torch.Tensor, first: int, until: int) -> torch.Tensor:
    """(n, 1) the score of each user's target, 0 where the block does not hold it."""
    import torch

    wanted = wanted.to(block.device)
    inside = (wanted >= first) & (wanted < until)
    own = block.gather(1, (wanted - first).clamp(0, until - first - 1)[:, None])
    return torch.where(inside[:, None], own, 0)


def _best_items(
    best: tuple[torch.Tensor, torch.Tensor] | None, block: torch.Tensor, first: int, top: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Scores and numbers of each user's best items, of those before and a block's."""
    import torch

    scores, places = block.topk(min(top, block.shape[1]))
    items = places + first
    if best is None:
        return scores, items
    both = torch.cat([best[0], scores], 1).topk(min(top, best[0].shape[1] + scores.shape[1]))
    return both.values, torch.cat([best[1], items], 1).gather(1, both.indices)


def item_popularity(split: Split) -> np.ndarray:
    """(n_items,) scores: how often each item occurs in the training part."""
    return split.train.item_counts.astype(np.float64)


def removes_seen(split: Split) -> bool:
    """Whether items of the history are left out of the ranking: only where nothing repeats."""
    return not split.log.repeats.any()


def rule_of_record(split: Split) -> Seen:
    """Return what is removed where numbers are reported: all of the history, if anything is."""
    return Seen.HISTORY if removes_seen(split) else Seen.TRAINING


def rank_by_item_scores(
    scores: np.ndarray, split: Split, targets: np.ndarray, seen: str = Seen.HISTORY
) -> tuple[np.ndarray, np.ndarray]:
    """Rank each user's target by scores that are the same for all users.

    Parameters
    ----------
    scores : ndarray
        (n_items,).
    targets : ndarray
        `split.validation` or `split.test`; users without one are left out.
    seen : str
        What is removed where nothing repeats, see `Seen`; by default the history, the rule of
        record.

    Returns
    -------
    ranks, ties : ndarray
        (n_targets,) each, as of `RankedTargets`.
    """
    users = np.flatnonzero(targets >= 0)
    log, ordered = split.log, np.sort(scores)
    own = scores[log.items[targets[users]]]
    above = log.n_items - np.searchsorted(ordered, own, side="right")
    level = log.n_items - above - np.searchsorted(ordered, own, side="left") - 1
    row, removed = removed_items(split, users, targets[users], seen)
    above = above - np.bincount(row, scores[removed] > own[row], len(users))
    level = level - np.bincount(row, scores[removed] == own[row], len(users))
    return 1 + above + level / 2, (level + 1).astype(np.int64)


def removed_items(
    split: Split, users: np.ndarray, targets: np.ndarray, seen: str
) -> tuple[np.ndarray, np.ndarray]:
    """Return what is removed from the ranking of these targets: rows of users, and items."""
    if seen not in list(Seen):
        raise InputError(f"seen = {seen!r} is not usable; use 'training' or 'history'")
    if not removes_seen(split):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    log, validation = split.log, split.validation[users]
    training_ends = np.where(validation >= 0, validation, targets)
    stops = targets if seen == Seen.HISTORY else training_ends
    lengths = stops - log.offsets[users]
    places = concatenated_ranges(log.offsets[users], lengths)
    return np.repeat(np.arange(len(users)), lengths), log.items[places]
