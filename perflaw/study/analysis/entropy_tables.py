"""TODO: what this module holds."""

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
from perflaw.logs.entropy import approximate, compression, conditional, lempel_ziv, predictability
from perflaw.logs.interaction_log import InteractionLog
from perflaw.logs.splits import Split, global_time, leave_one_out
from perflaw.models import ranking
from perflaw.paths import HOME
from perflaw.logs.measures import Measure, available_measures, count_too_short, measure_log, sort_items_by_id


def entropy_table(
    logs: dict[str, InteractionLog], m: int = 2, r: float = 0.0, last: int | None = None
) -> pd.DataFrame:
    """One row a log: all measures (nan where undefined), users too short for ApEn, share of transitions seen once."""
    rows = []
    for name, log in logs.items():
        once = Measure(
            "seen once", "share of transitions that occur once", conditional.share_seen_once
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
            sort_items_by_id(log),
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
            "plug-in, m = 1": conditional.apen_pooled(log, 1),
            "corrected, m = 1": conditional.conditional_entropy(log, 1),
            "plug-in, m = 2": conditional.apen_pooled(log, 2),
            "corrected, m = 2": conditional.conditional_entropy(log, 2),
            "Lempel-Ziv by user": lempel_ziv.lempel_ziv_by_user(log).mean,
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
                known_entropy(process, name, strength, split.train.lengths)
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


def known_entropy(
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
