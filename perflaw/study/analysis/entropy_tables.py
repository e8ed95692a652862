"""The book's tables of entropies: of logs, by length and setting, and against a known rate."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import entr

from perflaw.errors import InputError
from perflaw.logs import perturbations
from perflaw.logs.entropy.approximate import apen_by_user
from perflaw.logs.entropy.conditional import apen_pooled, conditional_entropy, share_seen_once
from perflaw.logs.entropy.lempel_ziv import lempel_ziv_by_user
from perflaw.logs.interaction_log import InteractionLog
from perflaw.logs.measures import (
    Measure,
    available_measures,
    count_too_short,
    measure_log,
    sort_items_by_id,
)
from perflaw.logs.splits import leave_one_out
from perflaw.logs.synthetic import Process

SEEN_ONCE = Measure("seen once", "share of transitions that occur once", share_seen_once)
TEMPLATE = 2  # m of all tables but that of sensitivity
ORDERS, LENGTHS = (1, 2, 4, 8), (25, 50, 100, 200)  # m and L of the table of sensitivity
WINDOW = 50  # L of the table of numberings
# A bound, and a quantity near zero of either sign: per cents of these mean nothing.
UNUSABLE = ("accuracy limit", "apen signed")
STRENGTHS: dict[str, float] = {  # of perturbations, in the order in which they are shown
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


def entropy_table(
    logs: Mapping[str, InteractionLog], m: int = TEMPLATE, r: float = 0.0, last: int | None = None
) -> pd.DataFrame:
    """Take all measures of each log, one row a log.

    Columns: log, tokens, each measure (nan where undefined), seen once (share of transitions),
    too short (users, for ApEn).
    """
    measures = [*available_measures(m, r, last), SEEN_ONCE]
    rows = []
    for name, log in logs.items():
        values = {
            measure: math.nan if isinstance(value, InputError) else value
            for measure, value in measure_log(log, measures).items()
        }
        too_short = count_too_short(log, m, last)
        rows.append({"log": name, "tokens": log.tokens, **values, "too short": too_short})
    return pd.DataFrame(rows)


def worked_example(sequence: str, m: int) -> pd.DataFrame:
    """Lay out Pincus's sums: a row for each template of length m and of length m + 1.

    Columns: length, i, template, matches, of (templates of that length), ln C (logarithm of the
    share that match).
    """
    rows = []
    for length in (m, m + 1):
        templates = [sequence[i : i + length] for i in range(len(sequence) - length + 1)]
        for i, template in enumerate(templates, 1):
            matches = templates.count(template)
            rows.append(
                {
                    "length": length,
                    "i": i,
                    "template": template,
                    "matches": matches,
                    "of": len(templates),
                    "ln C": math.log(matches / len(templates)),
                }
            )
    return pd.DataFrame(rows)


def apen_by_length(logs: Mapping[str, InteractionLog]) -> pd.DataFrame:
    """Average symbolic ApEn over the users of about one length.

    Columns: log, length (geometric mean), apen, users. Groups of under five users are left out.
    """
    rows = []
    for name, log in logs.items():
        longest = log.lengths.max()
        if longest <= TEMPLATE:
            continue
        values = apen_by_user(log, TEMPLATE).values  # noqa: PD011
        edges = np.unique(np.round(np.geomspace(TEMPLATE + 1, longest + 1, 16)).astype(int))
        for low, high in itertools.pairwise(edges):
            is_inside = (log.lengths >= low) & (log.lengths < high)
            if is_inside.sum() >= 5:
                rows.append(
                    {
                        "log": name,
                        "length": float(np.exp(np.log(log.lengths[is_inside]).mean())),
                        "apen": float(values[is_inside].mean()),
                        "users": int(is_inside.sum()),
                    }
                )
    return pd.DataFrame(rows)


def sensitivity_table(logs: Mapping[str, InteractionLog]) -> pd.DataFrame:
    """Take symbolic ApEn by user for each m of `ORDERS` and L of `LENGTHS`, where it is defined.

    Columns: log, m, last, mean, mean_absolute, too_short.
    """
    rows = []
    for (name, log), m, last in itertools.product(logs.items(), ORDERS, LENGTHS):
        try:
            by_user = apen_by_user(log, m, last=last)
        except InputError:  # no history is so long
            continue
        rows.append(
            {
                "log": name,
                "m": m,
                "last": last,
                "mean": by_user.mean,
                "mean_absolute": by_user.mean_absolute,
                "too_short": by_user.too_short,
            }
        )
    return pd.DataFrame(rows)


def numbering_table(
    logs: Mapping[str, InteractionLog],
    tolerances: Iterable[float] = (0, 1, 2, 100),
    seeds: int = 5,
) -> pd.DataFrame:
    """Take ApEn by user on item numbers for each r: as numbered, and renumbered at random.

    As numbered is in the order of the ids. Columns, means of absolute values: log, r,
    as_numbered, renumbered_low, renumbered_high (over `seeds` numberings).
    """
    rows = []
    for (name, log), r in itertools.product(logs.items(), tolerances):
        if log.lengths.max() <= TEMPLATE:
            continue
        numberings = [sort_items_by_id(log), *(_renumber(log, seed) for seed in range(seeds))]
        as_numbered, *renumbered = (
            apen_by_user(numbered, TEMPLATE, r, WINDOW).mean_absolute for numbered in numberings
        )
        rows.append((name, r, as_numbered, min(renumbered), max(renumbered)))
    columns = ["log", "r", "as_numbered", "renumbered_low", "renumbered_high"]
    return pd.DataFrame(rows, columns=columns)


def _renumber(log: InteractionLog, seed: int) -> InteractionLog:
    codes = np.random.default_rng(seed).permutation(log.n_items).astype(np.int32)
    return replace(log, items=codes[log.items])


# ---------------------------------------------------------------- against a known entropy rate


def estimator_bias_table(
    process: Process,
    users: Sequence[int] = (30, 100, 300, 1_000, 3_000, 10_000, 30_000),
    mean_length: int = 50,
) -> pd.DataFrame:
    """Apply estimators to logs of one process as they grow: columns tokens, measure, value."""
    rows = []
    for n_users in users:
        log = process.sample(n_users, mean_length, seed=0).log
        values = {
            "plug-in, m = 1": apen_pooled(log, 1),
            "corrected, m = 1": conditional_entropy(log, 1),
            "plug-in, m = 2": apen_pooled(log, 2),
            "corrected, m = 2": conditional_entropy(log, 2),
            "Lempel-Ziv by user": lempel_ziv_by_user(log).mean,
            "ApEn by user, absolute": apen_by_user(log).mean_absolute,
        }
        rows += [
            {"tokens": log.tokens, "measure": name, "value": value}
            for name, value in values.items()
        ]
    return pd.DataFrame(rows)


def perturbation_table(
    process: Process,
    strengths: Mapping[str, float] = STRENGTHS,
    seeds: int = 3,
    **size: Any,
) -> pd.DataFrame:
    """Measure how perturbations of the training part change each measure, in per cent.

    Columns: intervention, strength, measure, change (mean over logs drawn with different
    seeds), sd (between seeds). The measure "truth" is the exact change of the entropy of the
    next item given the last, and "tokens" the change of their number. `size` goes to
    `Process.sample`.
    """
    measures = [one for one in available_measures(TEMPLATE) if one.name not in UNUSABLE]
    rows = []
    for seed in range(seeds):
        split = leave_one_out(process.sample(seed=seed, **size).log)
        before = _measures_and_tokens(split.train, measures)
        for name, strength in strengths.items():
            train = perturbations.apply(split, name, strength, seed).train
            after = _measures_and_tokens(train, measures)
            changes = {key: 100 * (after[key] - before[key]) / abs(before[key]) for key in before}
            entropy = known_entropy(process, name, strength, split.train.lengths)
            changes["truth"] = 100 * (entropy / process.entropy_rate - 1)
            rows += [(name, strength, *change) for change in changes.items()]
    key = ["intervention", "strength", "measure"]
    groups = pd.DataFrame(rows, columns=[*key, "change"]).groupby(key, sort=False)
    return groups["change"].agg(change="mean", sd="std").reset_index()


def _measures_and_tokens(log: InteractionLog, measures: Iterable[Measure]) -> dict[str, float]:
    return {measure.name: measure.compute(log) for measure in measures} | {"tokens": log.tokens}


def known_entropy(
    process: Process, perturbation: str, strength: float, lengths: np.ndarray
) -> float:
    r"""Exact entropy (nats) of an item given the one before, after a perturbation of a log.

    With J = diag(π) P the joint probability of two items in a row: choosing users, times or
    ends leaves J; replacing a share q makes it
    (1−q)² J + q(1−q)(π uᵀ + u πᵀ) + q² u uᵀ, with u uniform; inserting repeats after
    a share s adds s n pairs of equals to the n − 1 pairs of a history and makes P into
    (t I + P)/(1 + t), t = s Σn / Σ(n − 1); shuffling whole histories makes J the mean over
    all ordered pairs of places, Σ_k c_k (J_k + J_kᵀ) with J_k = diag(π) Pᵏ.

    Parameters
    ----------
    process : Process
    perturbation : str
    strength : float
    lengths : ndarray of int, shape (n_users,)
        Of the histories before it.

    Returns
    -------
    float
        nan where it is not known in closed form.
    """
    popularity = process.popularity
    joint = popularity[:, None] * process.transitions
    if perturbation in ("remove_repeats", "k_core"):
        return math.nan
    if perturbation == "replace_random":
        uniform = np.full(len(popularity), 1 / len(popularity))
        one_replaced = np.outer(popularity, uniform) + np.outer(uniform, popularity)
        joint = (
            (1 - strength) ** 2 * joint
            + strength * (1 - strength) * one_replaced
            + strength**2 * np.outer(uniform, uniform)
        )
    elif perturbation == "insert_repeats":
        repeats = strength * np.sum(lengths) / np.sum(lengths - 1)
        joint = (repeats * np.diag(popularity) + joint) / (1 + repeats)
    elif perturbation == "shuffle_order":
        if strength != 1:
            return math.nan
        joint = _shuffled_joint(process, lengths)
    return float(entr(joint).sum() - entr(joint.sum(axis=1)).sum())


def _shuffled_joint(process: Process, lengths: np.ndarray) -> np.ndarray:
    """(V, V) joint probability of two items in a row of shuffled histories."""
    popularity, transitions = process.popularity, process.transitions
    distances = range(1, lengths.max())
    weights = np.array([np.sum(1 - k / lengths[lengths > k]) for k in distances])
    weights /= np.sum(lengths - 1)
    independent = np.outer(popularity, popularity)
    apart = popularity[:, None] * transitions  # joint probability of two items k places apart
    joint = np.zeros_like(apart)
    for k, weight in enumerate(weights):
        joint += weight * (apart + apart.T)
        if np.abs(apart - independent).max() < 1e-12:
            joint += 2 * weights[k + 1 :].sum() * independent
            break
        apart = apart @ transitions
    return joint
