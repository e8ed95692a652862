"""Pooled entropies and their corrections against plain code and chains of known entropy rate."""

import math
from collections import Counter
from decimal import Decimal, getcontext

import numpy as np
import pytest
from entropy_cases import entropy_of, histories, log_of, random_log, transitions

from perflaw.logs.entropy import (
    approximate,
    conditional,
    gram_kernels,
    lempel_ziv,
)


@pytest.mark.parametrize("m", [1, 2, 3, 5])
def test_pooled_apen_is_a_conditional_entropy(m):
    log = random_log(np.random.default_rng(m))
    grams = transitions(log, m)
    expected = entropy_of(grams) - entropy_of([gram[:-1] for gram in grams])
    assert conditional.apen_pooled(log, m) == pytest.approx(expected, abs=1e-12)
    assert conditional.conditional_entropy(log, m, "none") == pytest.approx(expected, abs=1e-12)


def test_grams_that_do_not_fit_into_64_bits():
    rng = np.random.default_rng(0)
    log = random_log(rng, users=200, n_items=6)
    codes = np.sort(rng.choice(3_000_000, 6, replace=False)).astype(np.int32)
    spread = log._replace(items=codes[log.items], n_items=3_000_000)
    for m in (1, 2, 3, 7):
        assert (3_000_000 ** (m + 1) > 2**64) == (m >= 2)
        assert conditional.apen_pooled(spread, m) == conditional.apen_pooled(log, m)
        draw = {"correction": "none", "tokens": 500, "seed": 3}
        assert conditional.conditional_entropy(
            spread, m, **draw
        ) == conditional.conditional_entropy(log, m, **draw)
    largest = log_of([2**16 - 1, 0, 2**16 - 1, 1] * 20, n_items=2**16)  # just fits with m = 3
    assert conditional.apen_pooled(largest, 3) == 0


def test_pooled_apen_of_one_long_history_nears_pincus():
    x = np.random.default_rng(0).integers(0, 3, 20_000)
    assert conditional.apen_pooled(log_of(x)) == pytest.approx(approximate.apen(x), abs=2e-4)
    assert conditional.apen_pooled(log_of(x)) == pytest.approx(math.log(3), abs=2e-3)


def test_users_may_come_in_any_order_and_items_have_any_number():
    rng = np.random.default_rng(0)
    log = random_log(rng, n_items=20)
    shuffled = [histories(log)[i] for i in rng.permutation(50)]
    other = log_of(*shuffled, n_items=20)
    names = rng.permutation(20)
    renumbered = log_of(*(names[h] for h in shuffled), n_items=20)
    for name in conditional.CORRECTIONS:
        value = conditional.conditional_entropy(log, 2, name)
        assert conditional.conditional_entropy(other, 2, name) == value
        assert conditional.conditional_entropy(renumbered, 2, name) == pytest.approx(
            value, abs=1e-12
        )
    assert conditional.shannon_entropy(renumbered) == pytest.approx(
        conditional.shannon_entropy(log), abs=1e-12
    )


def test_counts_above_the_tally(monkeypatch):
    log = random_log(np.random.default_rng(0), n_items=3)
    values = [conditional.conditional_entropy(log, 1, name) for name in conditional.CORRECTIONS]
    monkeypatch.setattr(gram_kernels, "tally_counts", plain_tally_counts)
    listed = [conditional.conditional_entropy(log, 1, name) for name in conditional.CORRECTIONS]
    assert listed == pytest.approx(values, abs=1e-12)
    monkeypatch.undo()
    x = np.random.default_rng(0).integers(0, 3, 30_000)  # counts beyond 4,096
    grams = transitions(log_of(x), 1)
    expected = entropy_of(grams) - entropy_of([gram[0] for gram in grams])
    assert conditional.apen_pooled(log_of(x), 1) == pytest.approx(expected, abs=1e-12)


def plain_tally_counts(keys, n_items, with_unseen):
    """All counts listed, none tallied."""
    grams = Counter(keys.tolist())
    contexts, added = Counter(), 0.0
    for key, count in grams.items():
        contexts[key // n_items] += count
    for context, count in contexts.items():
        counts = [c for key, c in grams.items() if key // n_items == context]
        added += gram_kernels.unseen_successors(count, counts.count(1), counts.count(2))
    none = np.zeros(1, np.int64)
    return none, none, np.array([*grams.values()]), np.array([*contexts.values()]), added


# ---------------------------------------------------------------- corrected for bias


@pytest.mark.parametrize(
    ("n", "once", "twice"),
    [(2, 2, 0), (5, 3, 1), (40, 1, 10), (300, 200, 5), (900, 3, 400), (2000, 1500, 0)],
)
def test_what_chao_wang_and_jost_add(n, once, twice):
    getcontext().prec = 400
    top, bottom = (
        (2 * twice, (n - 1) * once + 2 * twice) if twice else (2, (n - 1) * (once - 1) + 2)
    )
    a = Decimal(top) / Decimal(bottom)
    inner = -a.ln() - sum((1 - a) ** r / r for r in range(1, n))
    assert gram_kernels.unseen_successors(n, once, twice) == pytest.approx(
        float(once * (1 - a) ** (1 - n) * inner), rel=1e-9
    )


def test_nothing_is_added_where_no_successor_is_rare():
    assert (
        gram_kernels.unseen_successors(50, 0, 3)
        == gram_kernels.unseen_successors(1, 1, 0)
        == gram_kernels.unseen_successors(50, 1, 0)
        == 0
    )


def chao_shen_directly(counts):
    total, once = sum(counts), sum(c == 1 for c in counts)
    coverage = 1 - once / total if once < total else 1 / total
    shares = [coverage * c / total for c in counts]
    return -sum(p * math.log(p) / (1 - (1 - p) ** total) for p in shares)


@pytest.mark.parametrize(
    "log",
    [random_log(np.random.default_rng(0), users=20), log_of([0, 1, 0, 2, 0, 3, 0, 4])],
    ids=["drawn", "all once"],
)
def test_the_other_corrections_follow_their_papers(log):
    grams = Counter(transitions(log, 1))
    contexts = Counter()
    for gram, count in grams.items():
        contexts[gram[0]] += count
    total, plain = contexts.total(), conditional.apen_pooled(log, 1)
    expected = plain + (len(grams) - len(contexts)) / (2 * total)
    assert conditional.conditional_entropy(log, 1, "miller-madow") == pytest.approx(
        expected, abs=1e-12
    )
    expected = chao_shen_directly(grams.values()) - chao_shen_directly(contexts.values())
    expected = max(0, min(expected, math.log(log.n_items)))
    assert conditional.conditional_entropy(log, 1, "chao-shen") == pytest.approx(
        expected, abs=1e-12
    )
    euler = 0.5772156649015329
    table = {
        1: -euler - math.log(2),
        2: 2 - euler - math.log(2),
    }  # Grassberger's G(1) and G(2), then his recursion
    for n in range(3, 400):
        table[n] = table[n - 1] if n % 2 else table[n - 2] + 2 / (n - 1)
    expected = sum(n * math.log(n) for n in contexts.values()) - sum(
        c * table[c] for c in grams.values()
    )
    expected = min(expected / total, math.log(log.n_items))
    assert conditional.conditional_entropy(log, 1, "grassberger") == pytest.approx(
        expected, abs=1e-12
    )


def markov(k, n, seed, concentration=0.3):
    """n steps of a chain of k states, and its entropy rate."""
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.full(k, concentration), k) + 1e-9
    p /= p.sum(axis=1, keepdims=True)
    values, vectors = np.linalg.eig(p.T)
    stationary = np.real(vectors[:, np.argmax(np.real(values))])
    stationary /= stationary.sum()
    rate = -np.sum(stationary[:, None] * p * np.log(p))
    ends, steps, x = np.cumsum(p, axis=1), rng.random(n), [0]
    for step in steps[1:]:
        x.append(min(int(np.searchsorted(ends[x[-1]], step)), k - 1))
    return np.array(x), rate


@pytest.mark.integration
@pytest.mark.parametrize("k", [2, 5, 20])
def test_estimates_near_the_entropy_rate_of_a_chain(k):
    x, rate = markov(k, 200_000, k)
    log = log_of(*np.array_split(x, 100))
    assert approximate.apen(x, 1) == pytest.approx(rate, abs=0.01)
    assert approximate.apen(x, 2) == pytest.approx(rate, abs=0.05)
    assert conditional.apen_pooled(log, 1) == pytest.approx(rate, abs=0.01)
    for name in conditional.CORRECTIONS:
        assert conditional.conditional_entropy(log, 1, name) == pytest.approx(rate, abs=0.01)
    errors = [abs(lempel_ziv.lempel_ziv_entropy(x[:n]) - rate) / rate for n in (200, 200_000)]
    assert errors[1] < 0.15
    assert errors[1] < errors[0] + 0.02


def test_the_default_correction_is_the_nearest_on_short_chains():
    errors = {name: [] for name in conditional.CORRECTIONS}
    for seed in range(12):
        for n in (1000, 4000):
            x, rate = markov(30, n, seed)
            for name, off in errors.items():
                off.append(conditional.conditional_entropy(log_of(x), 1, name) - rate)
    errors = {name: np.sqrt(np.mean(np.square(off))) for name, off in errors.items()}
    assert min(errors, key=errors.get) == "chao-wang-jost"
    assert errors["chao-wang-jost"] < errors["none"] / 2
    assert errors["none"] == max(errors.values())


def test_equal_tokens_make_logs_of_different_size_alike():
    x, _ = markov(60, 60_000, 0, concentration=1)
    whole, part = log_of(*np.array_split(x, 60)), log_of(*np.array_split(x[:12_000], 12))
    plain = [conditional.conditional_entropy(log, 1, "none") for log in (whole, part)]
    alike = [
        conditional.conditional_entropy(log, 1, "none", tokens=10_000) for log in (whole, part)
    ]
    assert plain[0] - plain[1] > 0.1
    assert abs(alike[0] - alike[1]) < 0.02
    first, same, other = (
        conditional.conditional_entropy(whole, tokens=5000, seed=seed) for seed in (1, 1, 2)
    )
    assert first == same != other


def test_share_seen_once():
    log = random_log(np.random.default_rng(0))
    for m in (1, 3):
        grams = Counter(transitions(log, m))
        once = sum(count == 1 for count in grams.values()) / grams.total()
        assert conditional.share_seen_once(log, m) == pytest.approx(once, abs=1e-15)
        assert conditional.share_seen_once(log, m, tokens=100) > once


def test_all_tokens_drawn_is_the_whole_log():
    log = random_log(np.random.default_rng(5))
    for m in (1, 2, 3):
        every = len(transitions(log, m))
        assert conditional.conditional_entropy(
            log, m, tokens=every
        ) == conditional.conditional_entropy(log, m)


def test_shannon():
    log = random_log(np.random.default_rng(0))
    assert conditional.shannon_entropy(log) == pytest.approx(
        entropy_of(log.items.tolist()), abs=1e-12
    )
    assert conditional.shannon_entropy("aabb") == pytest.approx(math.log(2), abs=1e-15)
    assert conditional.shannon_entropy([3, 3]) == 0
