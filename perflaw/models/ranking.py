"""Ranking all items, and the metrics read from it.

The rules (the same for every model): the target is ranked against all items of the
vocabulary. On a log without repeats the items of the user's training part are removed, since
they cannot come again; on a log with repeats none is. The validation item stays in when
testing. The target is never removed. Items with the target's score share its rank in the mean.
At test time the history is training and validation together.

Models are often published under another rule, by which all of the history is removed, the validation
item too: `rank(..., seen="history")`. The two differ more than they seem to. A model that has just read the
validation item often ranks it first.

Whatever ranks items is a `Scorer`; `rank_targets` asks it for blocks of users and items, so that memory
does not grow with users × items, and keeps the rank of each user's target: metrics, standard errors,
paired differences, groups of users and the expectation under sampled candidates are read from those.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd

from perflaw.errors import InputError
from perflaw.logs.interaction_log import InteractionLog, Split, concatenated_ranges
from perflaw.stats import standard_error

CUTOFFS = (1, 5, 10, 20, 50, 100, 200)
USERS, ITEMS = 256, 1 << 15  # scored at a time

Scorer = Callable[[InteractionLog, np.ndarray, np.ndarray], Callable[[int, int], "torch.Tensor"]]  # noqa: F821
"""(log, users, stops) → a function of (first, until), which scores those items for each user, (n, until − first).

A user's history is log.items[log.offsets[user] : stop].
"""


class RankedTargets(NamedTuple):
    """Where each user's target came, for the n users that have one."""

    users: np.ndarray  # (n,) positions in the log
    ranks: np.ndarray  # (n,) from 1; a half where an odd number of items tie with the target
    ranked: np.ndarray  # (n,) items ranked, the target among them
    losses: (
        np.ndarray
    )  # (n,) −ln of the target's share of exp(score / temperature) among the ranked, nats
    top: np.ndarray  # (n, k) items in order of score


def rank_targets(
    scorer: Scorer,
    split: Split,
    targets: np.ndarray,
    top: int = 0,
    temperature: float = 1.0,
    seen: str = "training",
) -> RankedTargets:
    """Rank each user's target by the rules above; targets is split.validation or split.test.

    seen: what is removed where nothing repeats, "training" (part) or "history" (all before the target). Raises FloatingPointError for scores that are not numbers.
    """
    users = np.flatnonzero(targets >= 0)
    if not len(users):
        raise InputError(
            f"{split.log.name} has no target to rank in this part of the split ({split.rule})"
        )
    by_length = np.argsort(targets[users] - split.log.offsets[users], kind="stable")
    parts = [
        _rank_some(
            scorer,
            split,
            users[some],
            targets[users[some]],
            min(top, split.log.n_items),
            temperature,
            seen,
        )
        for some in np.array_split(by_length, math.ceil(len(users) / USERS))
    ]
    back = np.empty_like(by_length)
    back[by_length] = np.arange(len(users))
    return RankedTargets(users, *(np.concatenate(columns)[back] for columns in zip(*parts)))


def _rank_some(scorer, split, users, targets, top, temperature, rule):
    import torch

    log = split.log
    score = scorer(log, users, targets)
    row, seen = _seen(split, users, targets, rule)
    wanted = torch.from_numpy(log.items[targets].astype(np.int64))
    blocks = [(first, min(first + ITEMS, log.n_items)) for first in range(0, log.n_items, ITEMS)]

    def scores(first, until):
        block = score(first, until)
        inside = (seen >= first) & (seen < until)
        block[torch.from_numpy(row[inside]), torch.from_numpy(seen[inside] - first)] = -torch.inf
        return block

    whole = scores(*blocks[0]) if len(blocks) == 1 else None
    own = torch.cat(
        [
            _where(whole if whole is not None else scores(*block), wanted, *block)
            for block in blocks
        ],
        dim=1,
    ).sum(1)
    above = level = total = best = 0
    for block in blocks:
        here = whole if whole is not None else scores(*block)
        above = above + (here > own[:, None]).sum(1)
        level = level + (here == own[:, None]).sum(1)
        share = here.div(temperature).logsumexp(1)[:, None]
        total = share if isinstance(total, int) else torch.logaddexp(total, share)
        if top:
            found = here.topk(min(top, here.shape[1]))
            found = found.values, found.indices + block[0]
            if not isinstance(best, int):
                both = torch.cat([best[0], found[0]], 1).topk(
                    min(top, best[0].shape[1] + found[0].shape[1])
                )
                found = both.values, torch.cat([best[1], found[1]], 1).gather(1, both.indices)
            best = found
    if total.isnan().any():
        raise FloatingPointError("the scores are not numbers")
    losses = total[:, 0] - own / temperature
    return (
        (above + (level - 1) / 2 + 1).cpu().double().numpy(),
        log.n_items - np.bincount(row, minlength=len(users)),
        losses.cpu().double().numpy(),
        best[1].cpu().numpy() if top else np.zeros((len(users), 0), np.int64),
    )


def _where(block, wanted, first, until):
    """(n, 1) the score of each user's target, 0 where the block does not hold it."""
    import torch

    wanted = wanted.to(block.device)
    held = (wanted >= first) & (wanted < until)
    own = block.gather(1, (wanted - first).clamp(0, until - first - 1)[:, None])
    return torch.where(held[:, None], own, 0)


def item_popularity(split: Split) -> np.ndarray:
    """(n_items,) scores: how often each item occurs in the training part."""
    return split.train.item_counts.astype(np.float64)


def removes_seen(split: Split) -> bool:
    """Are the items of a user's training part left out of the ranking? Only where nothing repeats."""
    return not split.log.repeats.any()


def rank_by_item_scores(scores: np.ndarray, split: Split, targets: np.ndarray) -> np.ndarray:
    """(n_targets,) rank of each user's target from 1, for scores (n_items,) that are the same for all users.

    `targets` is split.validation or split.test; users without one are left out.
    """
    users = np.flatnonzero(targets >= 0)
    log, ordered = split.log, np.sort(scores)
    score = scores[log.items[targets[users]]]
    above = log.n_items - np.searchsorted(ordered, score, side="right")
    level = log.n_items - above - np.searchsorted(ordered, score, side="left") - 1
    row, seen = _seen(split, users, targets[users])
    above = above - np.bincount(row, scores[seen] > score[row], len(users))
    level = level - np.bincount(row, scores[seen] == score[row], len(users))
    return 1 + above + level / 2


def _seen(split, users, targets, rule="training"):
    """What is removed from the ranking: the row of each user, and the item."""
    if rule not in ("training", "history"):
        raise InputError(f"seen = {rule!r} is not usable; use 'training' or 'history'")
    if not removes_seen(split):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    log = split.log
    stops = (
        targets
        if rule == "history"
        else np.where(split.validation[users] >= 0, split.validation[users], targets)
    )
    lengths = stops - log.offsets[users]
    return np.repeat(np.arange(len(users)), lengths), log.items[
        concatenated_ranges(log.offsets[users], lengths)
    ]


# ---------------------------------------------------------------- metrics


def hit_rate(ranks: np.ndarray, k: int = 10) -> float:
    """HR@k: share of targets among the first k."""
    return float(np.mean(ranks <= k))


def ndcg(ranks: np.ndarray, k: int = 10) -> float:
    """NDCG@k with one target: the mean of 1 / log2(1 + rank) where the rank is at most k, else 0."""
    return float(np.mean(ndcg_gains(ranks, k)))


def ndcg_gains(ranks: np.ndarray, k: int = 10) -> np.ndarray:
    """Of each user, whose mean is NDCG@k."""
    return np.where(ranks <= k, 1 / np.log2(1 + ranks), 0.0)


def metrics(ranked: RankedTargets, n_items: int | None = None, cutoffs=CUTOFFS) -> dict[str, float]:
    """HR and NDCG at each cutoff, MRR and log-loss and, of a vocabulary of n_items, coverage where `top` reaches.

    Coverage@K is the share of all items that are among the first K for at least one user. The log-loss means something
    only where scores are log-probabilities up to a constant, as those of a trained model are, and counts are not.
    """
    told = {f"HR@{k}": hit_rate(ranked.ranks, k) for k in cutoffs} | {
        f"NDCG@{k}": ndcg(ranked.ranks, k) for k in cutoffs
    }
    told |= {"MRR": float(np.mean(1 / ranked.ranks)), "log-loss": float(np.mean(ranked.losses))}
    if n_items:
        told |= {
            f"coverage@{k}": len(np.unique(ranked.top[:, :k])) / n_items
            for k in cutoffs
            if k <= ranked.top.shape[1]
        }
    return told


def paired_difference(a: np.ndarray, b: np.ndarray) -> tuple[float, float, float]:
    """Mean of a − b over the same users, its standard error, and the two-sided p of no difference (paired t)."""
    from scipy.stats import t  # takes most of a second, which `perflaw log` has not

    difference = np.asarray(a, float) - np.asarray(b, float)
    error = standard_error(difference)
    p = (
        2 * t.sf(abs(difference.mean()) / error, len(difference) - 1)
        if error
        else float(difference.mean() == 0)
    )
    return float(difference.mean()), error, float(p)


def by_group(
    ranked: RankedTargets, split: Split, targets: np.ndarray, groups: int = 4
) -> pd.DataFrame:
    """Metrics by how active users are and how popular their targets, in groups between quantiles (ties stay together).

    targets are those that `ranked` is of.
    Columns by, group (from the least to the most), users, HR@10, NDCG@10, se (of NDCG@10). The
    worst group is the row with the lowest.
    """
    log, rows = split.log, []
    lengths = (
        np.where(split.validation >= 0, split.validation, targets)[ranked.users]
        - log.offsets[ranked.users]
    )
    popularity = split.train.item_counts[log.items[targets[ranked.users]]]
    for by, values in (("activity", lengths), ("target popularity", popularity)):
        edges = np.quantile(values, np.linspace(0, 1, groups + 1)[1:-1])
        member = np.searchsorted(edges, values, side="left")
        for group in np.unique(member):
            ranks = ranked.ranks[member == group]
            error = standard_error(ndcg_gains(ranks)) if len(ranks) > 1 else math.nan
            rows.append((by, int(group) + 1, len(ranks), hit_rate(ranks), ndcg(ranks), error))
    return pd.DataFrame(rows, columns=["by", "group", "users", "HR@10", "NDCG@10", "se"])


def sampled_metrics(
    ranked: RankedTargets, negatives: int, replacement: bool = False, cutoffs=CUTOFFS
) -> dict[str, float]:
    """HR and NDCG had each target been ranked among so many uniformly drawn items: their exact expectation.

    Of C other ranked items A are above the target; the number drawn from above is hypergeometric
    (C, A, negatives) or, with replacement, binomial (negatives, A / C). Without replacement no more can be
    drawn than there are. A half rank counts as the mean of its neighbours. Keys say the protocol:
    `HR@10 (1 of 101 sampled)`.
    """
    from scipy import stats

    if not isinstance(negatives, int) or negatives < 1:
        raise InputError(f"negatives = {negatives!r} is not usable; use a whole number, 1 or more")
    others = np.maximum(ranked.ranked - 1, 1)  # with none, one that is not above is as good
    drawn = negatives if replacement else np.minimum(negatives, others)
    places = np.arange(max(cutoffs))[:, None]
    chance = 0
    for above in (np.floor(ranked.ranks) - 1, np.ceil(ranked.ranks) - 1):
        if replacement:
            chance = chance + stats.binom.pmf(places, negatives, above / others) / 2
        else:
            chance = chance + stats.hypergeom.pmf(places, others, above, drawn) / 2
    chance, gain = chance.mean(axis=1), 1 / np.log2(np.arange(2, max(cutoffs) + 2))
    how = f"(1 of {negatives + 1:,} sampled{', with replacement' if replacement else ''})"
    told = {f"HR@{k} {how}": float(chance[:k].sum()) for k in cutoffs}
    return told | {f"NDCG@{k} {how}": float(chance[:k] @ gain[:k]) for k in cutoffs}


SEEN_BY_PART = {
    "test": "training",
    "test, history removed": "history",
}  # parts of a run record: what `rank_targets` calls seen
PROTOCOLS = {
    "1 of 2,500": (2_499, False),
    "1 of 2,500, with replacement": (2_499, True),
    "1 of 101": (100, False),
}


def protocol_table(kept: RankedTargets, removed: RankedTargets) -> pd.DataFrame:
    """HR@10 and NDCG@10 of one model under five protocols: test ranks under both of SEEN_BY_PART, and sampled from the second."""
    rows = [
        (name, hit_rate(found.ranks), ndcg(found.ranks))
        for name, found in (("all items", kept), ("all items, history removed", removed))
    ]
    rows += [
        (name, *sampled_metrics(removed, *drawn, cutoffs=(10,)).values())
        for name, drawn in PROTOCOLS.items()
    ]
    return pd.DataFrame(rows, columns=["protocol", "HR@10", "NDCG@10"])


def ranked_from_ranks(ranks: np.ndarray, split: Split, seen: str = "training") -> RankedTargets:
    """Test ranks kept in a run record as `RankedTargets`, without losses and lists."""
    users = np.flatnonzero(split.test >= 0)
    row, _ = _seen(split, users, split.test[users], seen)
    none = np.full(len(users), math.nan)
    return RankedTargets(
        users,
        np.asarray(ranks),
        split.log.n_items - np.bincount(row, minlength=len(users)),
        none,
        np.zeros((len(users), 0), int),
    )
