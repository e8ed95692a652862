"""Ranking all items.

The rules are the same for every model. The target is ranked against all items of the vocabulary.
On a log without repeats items of the user's history are removed, since they cannot come again. On
a log with repeats no item is removed, and the target never is. At test time the history is training
and validation together.

Items with the target's score share ranks with it. `RankedTargets` has the mean of these ranks and
their number. Metrics take the expectation of HR, NDCG and MRR under a random order of the tied
items. Run records keep only the mean rank: metrics of ranks read from a record are those of the
mean rank. Scores of trained models hardly tie; counts often do.

How much of the history is removed depends on the rule. By `Seen.HISTORY` all of it is removed, the
validation item included. By `Seen.TRAINING`, the older rule, the validation item stays in. The
rules differ more than they seem to: a model that has just read the validation item often ranks it
first.

Whatever ranks items is a `Scorer`. `rank_targets` asks it for blocks of users and items, so that
memory does not grow with users × items, and keeps the rank of each user's target.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

from perflaw.errors import InputError
from perflaw.logs.histories import concatenated_ranges
from perflaw.logs.interaction_log import InteractionLog
from perflaw.logs.splits import Split

if TYPE_CHECKING:
    import torch

# users, and items, that are scored at a time
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
    chunks = [
        _rank_users(scorer, split, users[chunk], targets[users[chunk]], top, temperature, seen)
        for chunk in np.array_split(by_length, math.ceil(len(users) / USERS))
    ]
    original = np.argsort(by_length)
    return RankedTargets(users, *(np.concatenate(columns)[original] for columns in zip(*chunks)))


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
    rows, removed = removed_items(split, users, targets, seen)
    scores = _without(scorer(log, users, targets), rows, removed)
    blocks = [(first, min(first + ITEMS, log.n_items)) for first in range(0, log.n_items, ITEMS)]
    wanted = torch.from_numpy(log.items[targets].astype(np.int64))
    own_by_block = [_own_scores(scores(*block), wanted, *block) for block in blocks]
    own = torch.cat(own_by_block, dim=1).sum(1)
    n_above = torch.zeros_like(own, dtype=torch.int64)
    n_level = torch.zeros_like(n_above)  # with the target's score, itself included
    log_total = torch.full_like(own, -torch.inf)
    best = None
    for first, until in blocks:
        block = scores(first, until)
        n_above += (block > own[:, None]).sum(1)
        n_level += (block == own[:, None]).sum(1)
        log_total = torch.logaddexp(log_total, block.div(temperature).logsumexp(1))
        if top:
            best = _best_items(best, block, first, top)
    if log_total.isnan().any():
        raise FloatingPointError("the scores are not numbers")
    losses = log_total - own / temperature
    return (
        (n_above + (n_level - 1) / 2 + 1).cpu().double().numpy(),
        log.n_items - np.bincount(rows, minlength=len(users)),
        losses.cpu().double().numpy(),
        np.zeros((len(users), 0), np.int64) if best is None else best[1].cpu().numpy(),
        n_level.cpu().numpy(),
    )


def _without(scores: BlockScores, rows: np.ndarray, removed: np.ndarray) -> BlockScores:
    """Set the scores of removed items to −∞; only the block asked for last is kept."""
    import torch

    @functools.lru_cache(maxsize=1)
    def scores_without(first: int, until: int) -> torch.Tensor:
        block = scores(first, until)
        inside = (removed >= first) & (removed < until)
        items = torch.from_numpy(removed[inside] - first)
        block[torch.from_numpy(rows[inside]), items] = -torch.inf
        return block

    return scores_without


def _own_scores(block: torch.Tensor, wanted: torch.Tensor, first: int, until: int) -> torch.Tensor:
    """(n, 1) the score of each user's target; 0 if it is in another block."""
    import torch

    wanted = wanted.to(block.device)
    inside = (wanted >= first) & (wanted < until)
    own = block.gather(1, (wanted - first).clamp(0, until - first - 1)[:, None])
    return torch.where(inside[:, None], own, 0)


def _best_items(
    best: tuple[torch.Tensor, torch.Tensor] | None, block: torch.Tensor, first: int, top: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Scores and codes of each user's best items: the best of earlier blocks and of this one."""
    import torch

    scores, places = block.topk(min(top, block.shape[1]))
    items = places + first
    if best is None:
        return scores, items
    all_scores, all_items = torch.cat([best[0], scores], 1), torch.cat([best[1], items], 1)
    best_scores, places = all_scores.topk(min(top, all_scores.shape[1]))
    return best_scores, all_items.gather(1, places)


def item_popularity(split: Split) -> np.ndarray:
    """(n_items,) scores: how often each item occurs in the training part."""
    return split.train.item_counts.astype(np.float64)


def removes_seen(split: Split) -> bool:
    """Say whether items of the history are left out of the ranking: only where nothing repeats."""
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
    n_above = log.n_items - np.searchsorted(ordered, own, side="right")
    n_level = log.n_items - n_above - np.searchsorted(ordered, own, side="left") - 1
    rows, removed = removed_items(split, users, targets[users], seen)
    n_above = n_above - np.bincount(rows, scores[removed] > own[rows], len(users))
    n_level = n_level - np.bincount(rows, scores[removed] == own[rows], len(users))
    return 1 + n_above + n_level / 2, (n_level + 1).astype(np.int64)


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
    rows, places = history_places(log, users, targets if seen == Seen.HISTORY else training_ends)
    return rows, log.items[places]


def history_places(
    log: InteractionLog, users: np.ndarray, stops: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return each interaction of users before their stops: its row of users, its place in the log.

    Examples
    --------
    >>> from perflaw.logs import from_histories
    >>> log = from_histories([["a", "b"], ["a", "b", "c"]])
    >>> rows, places = history_places(log, users=np.array([1, 0]), stops=np.array([4, 1]))
    >>> rows.tolist(), places.tolist()
    ([0, 0, 1], [2, 3, 0])
    """
    lengths = stops - log.offsets[users]
    rows = np.repeat(np.arange(len(users)), lengths)
    return rows, concatenated_ranges(log.offsets[users], lengths)
