"""Tables of what logs are like, and what was recorded of logs that may not be handed on.

Public logs are measured once and the numbers kept in data/logs/ (data/README.md says how);
`with_recorded_logs` lays them beside those of the logs that are here.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.optimize import minimize_scalar
from scipy.special import entr

from perflaw.errors import InputError
from perflaw.logs import datasets, perturbations, synthetic
from perflaw.logs.entropy import approximate
from perflaw.logs.interaction_log import InteractionLog, Split, global_time, leave_one_out
from perflaw.models import ranking, ranking_metrics
from perflaw.paths import HOME

FOLDER = HOME / "data" / "logs"


def load_study_logs(names=()) -> dict[str, InteractionLog]:
    """Logs by name: those named (or files, from the project's root), or else all that are here."""
    found = {}
    for name in names or datasets.available_logs():
        log = datasets.load_log(HOME / name if (HOME / name).is_file() else name)
        found[log.name if (HOME / name).is_file() else name] = log
    return found


def with_recorded_logs(name: str, measured: pd.DataFrame) -> pd.DataFrame:
    """`measure_log` (a column `log`), and below it the rows of data/logs/NAME.csv about other logs."""
    recorded = pd.read_csv(FOLDER / f"{name}.csv")
    return pd.concat(
        [measured, recorded[~recorded["log"].isin(measured["log"])]], ignore_index=True
    )


def summary_table(logs: dict[str, InteractionLog]) -> pd.DataFrame:
    """One row a log: `InteractionLog.summary` and the hash."""
    return pd.DataFrame(
        [{"log": name, **log.summary(), "hash": log.hash} for name, log in logs.items()]
    )


def split_table(logs: dict[str, InteractionLog]) -> pd.DataFrame:
    """Each log split by each rule that it supports, and what most popular reaches on it.

    Rules: leave one out; the same with ties reversed (where there are any at a target); global
    time. Columns: log, rule, train_tokens, targets, tied, repeated, untrained (shares of test
    targets, as in `Split.summary`), moved (share of users whose test target is not that of
    leave-one-out in the file's order), HR@10 and NDCG@10 of most popular. Logs without a user of
    three interactions are left out.
    """
    rows = []
    for name, log in logs.items():
        if log.lengths.max() < 3:
            continue
        first = leave_one_out(log)
        told = {"leave one out": first}
        if log.timestamps is not None:
            if first.summary()["tied"]:
                told["ties reversed"] = leave_one_out(log.reverse_ties())
            try:
                told["global time"] = global_time(log)
            except InputError:
                pass
        for rule, split in told.items():
            parts, ranks = (
                split.summary(),
                ranking.rank_by_item_scores(ranking.item_popularity(split), split, split.test),
            )
            rows.append(
                {
                    "log": name,
                    "rule": rule,
                    "train_tokens": parts["train_tokens"],
                    "targets": parts["test_targets"],
                    **{key: parts[key] for key in ("tied", "repeated", "untrained")},
                    "moved": float(np.mean(_targets(first) != _targets(split)))
                    if rule == "ties reversed"
                    else None,
                    "HR@10": ranking_metrics.hit_rate(ranks),
                    "NDCG@10": ranking_metrics.ndcg(ranks),
                }
            )
    return pd.DataFrame(rows)


def _targets(split):
    """(n_users,) ids of the test targets; of users without one, the last item."""
    return split.log.item_ids[
        split.log.items[np.where(split.test < 0, split.log.offsets[1:] - 1, split.test)]
    ]


def shape_curves(logs: dict[str, InteractionLog]) -> pd.DataFrame:
    """Three curves a log, thinned to points even on a logarithmic axis: columns log, curve, x, y.

    length: share y of users with at least x interactions. popularity: share y of the
    interactions that go to the item of rank x. repeats: share y of the interactions around
    place x of a history that are with an item the user had before, where there are 100 or more.
    """
    parts = []
    for name, log in logs.items():
        lengths = np.sort(log.lengths)
        n = _spread(lengths[-1])
        parts.append((name, "length", n, 1 - np.searchsorted(lengths, n) / log.n_users))
        counts = np.sort(log.item_counts[log.item_counts > 0])[::-1]
        rank = _spread(len(counts))
        parts.append((name, "popularity", rank, counts[rank - 1] / log.tokens))
        place = np.arange(log.tokens) - np.repeat(log.offsets[:-1], log.lengths) + 1
        edges = np.unique(
            np.append(np.geomspace(2, max(lengths[-1], 3), 20).astype(int), lengths[-1] + 1)
        )
        bins = np.digitize(place, edges)
        sizes, again = (
            np.bincount(bins, minlength=len(edges) + 1),
            np.bincount(bins, log.repeats, len(edges) + 1),
        )
        enough = np.flatnonzero(sizes[1:-1] >= 100) + 1
        middle = np.sqrt(edges[enough - 1] * (edges[enough] - 1.0))
        parts.append((name, "repeats", middle, again[enough] / sizes[enough]))
    return pd.concat(
        [pd.DataFrame({"log": log, "curve": curve, "x": x, "y": y}) for log, curve, x, y in parts],
        ignore_index=True,
    )


def _spread(n, points=40):
    """Whole numbers from 1 to n, about evenly spread on a logarithmic axis."""
    return np.unique(np.round(np.geomspace(1, n, points)).astype(int))


# ---------------------------------------------------------------- entropy


class Measure(NamedTuple):
    """One number about the quality of a log."""

    name: str
    meaning: str  # in a line
    of: Callable[[InteractionLog], float]  # raises InputError where it is undefined
    pooled: bool = True  # over all histories together, or each on its own


def available_measures(m: int = 2, r: float = 0.0, last: int | None = None) -> list[Measure]:
    """The measures of this study; m, r and last are those of approximate entropy by user.

    With r > 0 items are numbered in the order of their ids. Raises InputError for unusable m, r or last.
    """
    m, r, last = approximate.checked(m, r, last)
    whose = f"m = {m}, r = {r:g}" + (f", last {last}" if last else "")
    whose += " on item numbers" * (r > 0)
    by_user = lambda log: approximate.apen_by_user(
        in_order_of_ids(log) if r > 0 else log, m, r, last
    )
    return [
        Measure(
            "shannon",
            "entropy of the next item, knowing popularity only",
            approximate.shannon_entropy,
        ),
        Measure(
            "apen signed",
            f"approximate entropy by user ({whose}), mean",
            lambda log: by_user(log).mean,
            False,
        ),
        Measure(
            "apen absolute",
            "the same, mean of absolute values: what the paper divides D by",
            lambda log: by_user(log).mean_absolute,
            False,
        ),
        Measure(
            "sample",
            f"sample entropy: −ln of how often two equal runs of {m} items, of any users, go on alike",
            lambda log: approximate.sample_entropy(log, m),
        ),
        Measure(
            "pooled",
            f"entropy of the next item given the last {m}, plug-in: too low, and grows with the log",
            lambda log: approximate.apen_pooled(log, m),
        ),
        Measure(
            "plug-in",
            "entropy of the next item given the last one, plug-in",
            lambda log: approximate.apen_pooled(log, 1),
        ),
        Measure(
            "conditional",
            "the same, corrected for its bias: what this study divides D by",
            approximate.conditional_entropy,
        ),
        Measure(
            "lempel-ziv",
            "actual entropy of each history, mean",
            lambda log: approximate.lempel_ziv_by_user(log, last).mean,
            False,
        ),
        Measure(
            "compression",
            "bytes after compression over bytes before",
            approximate.compression_ratio,
        ),
        Measure(
            "accuracy limit",
            "share of next items that can be guessed at most at that corrected entropy (Fano)",
            _accuracy_limit,
        ),
    ]


def _accuracy_limit(log):
    return approximate.accuracy_limit(
        approximate.conditional_entropy(log), int(np.count_nonzero(log.item_counts))
    )


def measure_log(log: InteractionLog, wanted: list[Measure]) -> dict[str, float | InputError]:
    """Each measure of a log by name; where it is undefined, the error that says why."""
    told = {}
    for measure in wanted:
        try:
            told[measure.name] = measure.of(log)
        except InputError as error:
            told[measure.name] = error
    return told


def entropy_table(
    logs: dict[str, InteractionLog], m: int = 2, r: float = 0.0, last: int | None = None
) -> pd.DataFrame:
    """One row a log: all measures (nan where undefined), users too short for ApEn, share of transitions seen once."""
    rows = []
    for name, log in logs.items():
        once = Measure(
            "seen once", "share of transitions that occur once", approximate.share_seen_once
        )
        told = measure_log(log, [*available_measures(m, r, last), once])
        told = {
            measure: math.nan if isinstance(value, InputError) else value
            for measure, value in told.items()
        }
        rows.append(
            {"log": name, "tokens": log.tokens, **told, "too short": count_too_short(log, m, last)}
        )
    return pd.DataFrame(rows)


def count_too_short(log: InteractionLog, m: int = 2, last: int | None = None) -> int:
    """Users whose history, or its last `last` interactions, has no template of length m + 1."""
    return int(np.count_nonzero(np.minimum(log.lengths, last or log.lengths) < m + 1))


def bigram_cross_entropy(split: Split) -> float:
    """What a bigram of the training part knows of the validation items: −mean ln p(item | the item before), nats.

    p(j | i) = (c_ij + a q_j) / (c_i + a), with counts of pairs in a row, popularity q (one added to each count), and the strength a of Dirichlet's prior
    that makes the mean least (MacKay and Peto 1995). Unlike an entropy of the training part it falls with more data, and rises with data
    that mislead. Seconds on a million interactions.
    """
    train, users = split.train, np.flatnonzero(split.validation >= 0)
    asked, before = (
        split.log.items[split.validation[users]],
        split.log.items[split.validation[users] - 1],
    )
    inside = np.ones(train.tokens, bool)
    inside[train.offsets[1:] - 1] = False
    first, second = train.items[:-1][inside[:-1]], train.items[1:][inside[:-1]]
    kinds, counts = np.unique(first.astype(np.int64) * train.n_items + second, return_counts=True)
    wanted = before.astype(np.int64) * train.n_items + asked
    place = np.minimum(np.searchsorted(kinds, wanted), len(kinds) - 1)
    seen = np.where(kinds[place] == wanted, counts[place], 0)
    left = np.bincount(first, minlength=train.n_items)[before]
    popularity = ((train.item_counts + 1) / (train.tokens + train.n_items))[asked]

    def loss(log_prior):
        prior = math.exp(log_prior)
        return -np.log((seen + prior * popularity) / (left + prior)).mean()

    return float(minimize_scalar(loss, bounds=(-5, 15), method="bounded").fun)


def worked_example(sequence: str, m: int = 1) -> pd.DataFrame:
    """Pincus's sums on paper: a row a template of length m and m + 1, with its matches and the logarithm of their share."""
    rows = []
    for length in (m, m + 1):
        templates = [sequence[i : i + length] for i in range(len(sequence) - length + 1)]
        for i, template in enumerate(templates, 1):
            share = templates.count(template) / len(templates)
            rows.append(
                {
                    "length": length,
                    "i": i,
                    "template": template,
                    "matches": templates.count(template),
                    "of": len(templates),
                    "ln C": math.log(share),
                }
            )
    return pd.DataFrame(rows)


def apen_by_length(logs: dict[str, InteractionLog], m: int = 2) -> pd.DataFrame:
    """Mean symbolic ApEn of the users of about one length: columns log, length (geometric mean), apen, users."""
    rows = []
    for name, log in logs.items():
        if log.lengths.max() <= m:
            continue
        values = approximate.apen_by_user(log, m).values
        edges = np.unique(np.round(np.geomspace(m + 1, log.lengths.max() + 1, 16)).astype(int))
        for low, high in zip(edges, edges[1:]):
            inside = (log.lengths >= low) & (log.lengths < high)
            if inside.sum() >= 5:
                length = float(np.exp(np.log(log.lengths[inside]).mean()))
                rows.append(
                    {
                        "log": name,
                        "length": length,
                        "apen": float(values[inside].mean()),
                        "users": int(inside.sum()),
                    }
                )
    return pd.DataFrame(rows)


def sensitivity_table(
    logs: dict[str, InteractionLog], orders=(1, 2, 4, 8), lengths=(25, 50, 100, 200)
) -> pd.DataFrame:
    """Symbolic ApEn by user for each m and L: columns log, m, last, mean, mean_absolute, too_short."""
    rows = []
    for (name, log), m, last in itertools.product(logs.items(), orders, lengths):
        try:
            found = approximate.apen_by_user(log, m, last=last)
        except InputError:
            continue
        rows.append(
            {
                "log": name,
                "m": m,
                "last": last,
                "mean": found.mean,
                "mean_absolute": found.mean_absolute,
                "too_short": found.too_short,
            }
        )
    return pd.DataFrame(rows)


def in_order_of_ids(log: InteractionLog) -> InteractionLog:
    """The log with items coded in the order of their ids: a log whose ids are 0, 1, … gets them back."""
    order = np.argsort(log.item_ids)
    ranks = np.empty(log.n_items, np.int32)
    ranks[order] = np.arange(log.n_items)
    return replace(log, items=ranks[log.items], item_ids=log.item_ids[order])


def numbering_table(
    logs: dict[str, InteractionLog],
    tolerances=(0, 1, 2, 100),
    last: int = 50,
    m: int = 2,
    seeds: int = 5,
) -> pd.DataFrame:
    """ApEn by user on item numbers (mean of absolute values) for each r: as numbered, and renumbered at random.

    As numbered: in the order of their ids. Columns log, r, as_numbered, renumbered_low,
    renumbered_high (over `seeds` numberings).
    """
    rows = []
    for (name, log), r in itertools.product(logs.items(), tolerances):
        if log.lengths.max() <= m:
            continue
        orders = [
            np.random.default_rng(seed).permutation(log.n_items).astype(np.int32)
            for seed in range(seeds)
        ]
        numberings = [
            in_order_of_ids(log),
            *(replace(log, items=order[log.items]) for order in orders),
        ]
        found = [
            approximate.apen_by_user(numbered, m, r, last).mean_absolute for numbered in numberings
        ]
        rows.append(
            {
                "log": name,
                "r": r,
                "as_numbered": found[0],
                "renumbered_low": min(found[1:]),
                "renumbered_high": max(found[1:]),
            }
        )
    return pd.DataFrame(rows)


# ---------------------------------------------------------------- against a known truth


def estimator_bias_table(
    process: synthetic.Process,
    users=(30, 100, 300, 1_000, 3_000, 10_000, 30_000),
    mean_length: int = 50,
    seed: int = 0,
) -> pd.DataFrame:
    """What estimators say of logs of one process as they grow: columns tokens, measure, value."""
    rows = []
    for n_users in users:
        log = process.sample(n_users, mean_length, seed=seed).log
        found = {
            "plug-in, m = 1": approximate.apen_pooled(log, 1),
            "corrected, m = 1": approximate.conditional_entropy(log, 1),
            "plug-in, m = 2": approximate.apen_pooled(log, 2),
            "corrected, m = 2": approximate.conditional_entropy(log, 2),
            "Lempel-Ziv by user": approximate.lempel_ziv_by_user(log).mean,
            "ApEn by user, absolute": approximate.apen_by_user(log).mean_absolute,
        }
        rows += [
            {"tokens": log.tokens, "measure": name, "value": value} for name, value in found.items()
        ]
    return pd.DataFrame(rows)


STRENGTHS = {  # of interventions, in the order in which they are shown
    "sample_users": 0.5,
    "sample_time": 0.5,
    "truncate": 20,
    "duplicate_users": 1.0,
    "k_core": 20,
    "remove_repeats": 1.0,
    "insert_repeats": 0.5,
    "replace_random": 0.3,
    "shuffle_order": 1.0,
}


def perturbation_table(
    process: synthetic.Process, strengths=STRENGTHS, seeds: int = 3, m: int = 2, **size
) -> pd.DataFrame:
    """How interventions on the training part change each measure, in per cent, over logs drawn with different seeds.

    Columns intervention, strength, measure, change (mean), sd (between seeds). The measure
    "truth" is the exact change of the entropy of the next item given the last, "tokens" that of D.
    """
    kept = [measure for measure in available_measures(m) if measure.name != "accuracy limit"]
    changes = []
    for seed in range(seeds):
        split = leave_one_out(process.sample(seed=seed, **size).log)
        before = {measure.name: measure.of(split.train) for measure in kept} | {
            "tokens": split.train.tokens
        }
        for name, strength in strengths.items():
            train = perturbations.apply(split, name, strength, seed).train
            after = {measure.name: measure.of(train) for measure in kept} | {"tokens": train.tokens}
            changed = {key: 100 * (after[key] - before[key]) / abs(before[key]) for key in before}
            changed["truth"] = 100 * (
                known_entropy_table(process, name, strength, split.train.lengths)
                / process.entropy_rate
                - 1
            )
            changes += [
                {"intervention": name, "strength": strength, "measure": key, "change": value}
                for key, value in changed.items()
            ]
    grouped = pd.DataFrame(changes).groupby(["intervention", "strength", "measure"], sort=False)[
        "change"
    ]
    return grouped.agg(change="mean", sd="std").reset_index()


def known_entropy_table(
    process: synthetic.Process, intervention: str, strength: float, lengths: np.ndarray
) -> float:
    r"""The exact entropy (nats) of an item given the one before, after an intervention on a log of the process.

    nan where it is not known in closed form. With J = diag(π) P the joint probability of two
    items in a row: choosing users, times or ends leaves J; replacing a share q makes it
    (1−q)² J + q(1−q)(π uᵀ + u πᵀ) + q² u uᵀ, with u uniform; inserting repeats after a share s
    adds s n pairs of equals to the n − 1 pairs of a history and makes P into (t I + P)/(1 + t), t = s Σn / Σ(n − 1);
    shuffling whole histories makes J the mean over all ordered pairs of places, Σ_k c_k (J_k + J_kᵀ) with J_k = diag(π) Pᵏ.
    """
    pi, p = process.popularity, process.transitions
    joint = pi[:, None] * p
    if intervention in ("remove_repeats", "k_core"):
        return math.nan
    if intervention == "replace_random":
        u, q = np.full(len(pi), 1 / len(pi)), strength
        joint = (
            (1 - q) ** 2 * joint
            + q * (1 - q) * (np.outer(pi, u) + np.outer(u, pi))
            + q**2 * np.outer(u, u)
        )
    elif intervention == "insert_repeats":
        repeats = strength * np.sum(lengths) / np.sum(lengths - 1)
        joint = (repeats * np.diag(pi) + joint) / (1 + repeats)
    elif intervention == "shuffle_order":
        if strength != 1:
            return math.nan
        weights = np.array(
            [np.sum(1 - k / lengths[lengths > k]) for k in range(1, lengths.max())]
        ) / np.sum(lengths - 1)
        power, joint = pi[:, None] * p, np.zeros_like(p)
        settled = np.outer(pi, pi)
        for k, weight in enumerate(weights):
            joint += weight * (power + power.T)
            if np.abs(power - settled).max() < 1e-12:
                joint += 2 * weights[k + 1 :].sum() * settled
                break
            power = power @ p
    return float(entr(joint).sum() - entr(joint.sum(axis=1)).sum())
