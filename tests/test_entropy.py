import math
from collections import Counter
from decimal import Decimal, getcontext
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pytest

from perflaw.errors import InputError
from perflaw.logs.entropy import approximate

PI = "1100100100001111110110101010001000100001011010001100001000110100110001001100011001100010100010111000"
BITS = "0100110101"
SMALL = [1, 1, 1, 3, 1, 2, 2, 3, 1, 2]


class Log(NamedTuple):
    items: np.ndarray
    offsets: np.ndarray
    n_items: int


def log_of(*histories, n_items=None):
    items = np.concatenate([np.asarray(history, np.int32) for history in histories])
    offsets = np.cumsum([0, *map(len, histories)])
    return Log(items, offsets, n_items or int(items.max(initial=0)) + 1)


def random_log(rng, users=50, longest=60, n_items=8):
    return log_of(
        *(rng.integers(0, n_items, rng.integers(0, longest)) for _ in range(users)), n_items=n_items
    )


def histories(log):
    return [log.items[start:stop] for start, stop in pairwise(log.offsets)]


# ---------------------------------------------------------------- straight from the definitions


def pincus(x, m, r):
    def phi(k):
        templates = [x[i : i + k] for i in range(len(x) - k + 1)]
        near = [[all(abs(a - b) <= r for a, b in zip(s, t)) for s in templates] for t in templates]
        return sum(math.log(sum(row) / len(templates)) for row in near) / len(templates)

    return phi(m) - phi(m + 1)


def richman_moorman(x, m, r):
    matches = []
    for k in (m, m + 1):
        templates = [x[i : i + k] for i in range(len(x) - m)]
        pairs = [(s, t) for i, s in enumerate(templates) for t in templates[:i]]
        matches.append(sum(all(abs(a - b) <= r for a, b in zip(*pair)) for pair in pairs))
    return math.log(matches[0] / matches[1])


def entropy_of(symbols):
    counts = Counter(symbols)
    total = counts.total()
    return -sum(c / total * math.log(c / total) for c in counts.values())


def transitions(log, m):
    return [tuple(map(int, h[i : i + m + 1])) for h in histories(log) for i in range(len(h) - m)]


def cubic_lempel_ziv(x):
    total = 0
    for i in range(len(x)):
        length = 1
        while i + length <= len(x) and any(
            x[j : j + length] == x[i : i + length] for j in range(i - length + 1)
        ):
            length += 1
        total += length
    return len(x) * math.log(len(x)) / total


# ---------------------------------------------------------------- approximate entropy


@pytest.mark.parametrize(
    ("sequence", "m", "r", "value"),
    [
        ([85, 80, 89] * 17, 2, 3, -1.0996541e-05),
        (BITS, 3, 0, 0.213042),
        (PI, 2, 0, 0.665542),
        ([0, 1] * 25, 2, 0, 0.000208261),
        (SMALL, 1, 0, 0.705473),
        (SMALL, 2, 0, 0.171028),
    ],
)
def test_published_values(sequence, m, r, value):
    assert approximate.apen(sequence, m, r) == pytest.approx(value, abs=5e-7 if r == 0 else 1e-12)


def test_published_values_of_series():
    wave = np.cos(np.linspace(0, 30, 100))
    assert approximate.apen(wave, 2, 0.2 * wave.std()) == pytest.approx(0.174226141, abs=5e-10)
    assert approximate.apen(wave, 2, 0.2 * wave.std(ddof=1)) == pytest.approx(
        0.173648979, abs=5e-10
    )
    noise = np.random.default_rng(42).random(1000)
    assert approximate.apen(noise, 2, 0.2 * noise.std()) == pytest.approx(
        1.8177169675974412, abs=1e-12
    )


@pytest.mark.parametrize(
    ("bits", "m", "expected"),
    [(BITS, 3, (0.190954, 10.043859, 0.261961)), (PI, 2, (0.665393, 5.550792, 0.235301))],
)
def test_published_values_of_the_circular_statistic(bits, m, expected):
    assert approximate.nist_apen(bits, m) == pytest.approx(expected, abs=5e-7)


def test_the_circular_statistic_needs_two_symbols_for_its_test():
    value, chi2, p = approximate.nist_apen("abcabcbbacab", 2)
    circle = "abcabcbbacab" + "ab"
    grams = [[circle[i : i + k] for i in range(12)] for k in (2, 3)]
    assert value == pytest.approx(entropy_of(grams[1]) - entropy_of(grams[0]), abs=1e-12)
    assert math.isnan(chi2) and math.isnan(p)
    assert approximate.nist_apen([7] * 20, 2).value == 0


@pytest.mark.parametrize("m", [1, 2, 3, 5])
@pytest.mark.parametrize("r", [0, 1, 2.5])
def test_apen_and_sample_entropy_follow_the_definitions(m, r):
    rng = np.random.default_rng(m)
    for _ in range(40):
        x = rng.integers(0, rng.integers(1, 7), rng.integers(m + 1, 45)).tolist()
        assert approximate.apen(x, m, r) == pytest.approx(pincus(x, m, r), abs=1e-12)
        try:
            expected = richman_moorman(x, m, r)
        except (ZeroDivisionError, ValueError):
            with pytest.raises(InputError):
                approximate.sample_entropy(x, m, r)
        else:
            assert approximate.sample_entropy(x, m, r) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("m", [1, 2, 3])
def test_sample_entropy_of_a_log_matches_across_users(m):
    log = random_log(np.random.default_rng(m), users=20, longest=25, n_items=3)
    grams = transitions(log, m)
    pairs = [(s, t) for i, s in enumerate(grams) for t in grams[:i]]
    b, a = sum(s[:-1] == t[:-1] for s, t in pairs), sum(s == t for s, t in pairs)
    assert approximate.sample_entropy(log, m) == pytest.approx(math.log(b / a), abs=1e-12)
    one = np.random.default_rng(m).integers(0, 3, 99)
    assert approximate.sample_entropy(log_of(one), m) == approximate.sample_entropy(one, m)


@pytest.mark.parametrize("m", [1, 2, 3, 5])
def test_apen_of_real_numbers_follows_the_definition(m):
    rng = np.random.default_rng(m)
    for scale in (0.05, 0.3, 1, 5):
        x = rng.standard_normal(60)
        assert approximate.apen(x, m, scale) == pytest.approx(
            pincus(x.tolist(), m, scale), abs=1e-12
        )


def test_a_distance_of_exactly_r_matches():
    assert approximate.apen([0, 1, 0, 2, 1], 1, 1) == pytest.approx(
        pincus([0, 1, 0, 2, 1], 1, 1), abs=1e-15
    )
    assert approximate.apen([0, 1] * 9, 2, 1) == 0


@pytest.mark.parametrize("digits", [1, 2, 3, 6])
@pytest.mark.parametrize("measure", [approximate.apen, approximate.sample_entropy])
def test_a_distance_of_exactly_r_matches_in_decimals_too(measure, digits):
    rng = np.random.default_rng(digits)
    whole = np.concatenate([np.arange(1, 9), rng.integers(-40, 40, 100)])
    assert measure(whole / 10**digits, 1, 10.0**-digits) == measure(whole, 1, 1)
    assert measure(whole / 10**digits, 2, 3 / 10**digits) == measure(whole, 2, 3)


def test_values_that_differ_by_more_than_r_do_not_match():
    x = [0.1, 0.2 + 1e-12, 0.1, 0.2 + 1e-12, 0.1, 0.2]
    assert approximate.apen(x, 1, 0.1) == approximate.apen([0, 2, 0, 2, 0, 1], 1, 1)
    assert approximate.apen([1e-20, 3e-20, 1e-20, 2e-20, 3e-20], 1, 1e-20) == approximate.apen(
        [1, 3, 1, 2, 3], 1, 1
    )


MASKED = np.ma.masked_array(SMALL, mask=[0, 1] * 5)


@pytest.mark.parametrize("values", [MASKED, MASKED.astype(float), list(MASKED), np.ma.array(SMALL)])
@pytest.mark.parametrize(
    "measure",
    [
        approximate.apen,
        lambda x: approximate.apen(x, 2, 0.5),
        approximate.sample_entropy,
        lambda x: approximate.nist_apen(x, 2),
        approximate.shannon_entropy,
        approximate.lempel_ziv_entropy,
        approximate.compression_ratio,
    ],
)
def test_masked_arrays_are_refused(measure, values):
    if isinstance(values, list) and not any(value is np.ma.masked for value in values):
        pytest.skip("nothing is masked")
    with pytest.raises(InputError, match="masked array"):
        measure(values)


@pytest.mark.parametrize(
    "measure",
    [
        approximate.apen_by_user,
        approximate.apen_pooled,
        approximate.conditional_entropy,
        approximate.lempel_ziv_by_user,
        approximate.shannon_entropy,
        approximate.sample_entropy,
    ],
)
def test_masked_logs_are_refused(measure):
    log = log_of([0, 1, 2, 0, 1], [2, 1])
    with pytest.raises(InputError, match="masked array"):
        measure(log._replace(items=np.ma.masked_array(log.items, mask=log.items == 1)))


@pytest.mark.parametrize("library", ["antropy", "EntropyHub", "neurokit2", "tsfresh"])
def test_libraries_agree(library):
    rng = np.random.default_rng(0)
    for x in (
        rng.standard_normal(300),
        np.cumsum(rng.standard_normal(300)),
        rng.integers(0, 5, 300).astype(float),
    ):
        r = 0.2 * x.std()
        ours = approximate.apen(x, 2, r)
        if library == "tsfresh":
            calculators = pytest.importorskip("tsfresh.feature_extraction.feature_calculators")
            assert calculators.approximate_entropy(x, 2, 0.2) == pytest.approx(abs(ours), abs=1e-9)
            continue
        module = pytest.importorskip(library)
        if library == "antropy":
            assert module.app_entropy(x, 2, tolerance=r) == pytest.approx(ours, abs=1e-9)
            theirs = module.sample_entropy(x, 2, tolerance=r)
            assert theirs == pytest.approx(approximate.sample_entropy(x, 2, r), abs=1e-9)
        elif library == "EntropyHub":
            assert module.ApEn(x, m=2, r=r)[0][-1] == pytest.approx(ours, abs=1e-9)
        else:
            theirs = module.entropy_approximate(x, dimension=2, tolerance=r)[0]
            assert theirs == pytest.approx(abs(ours), abs=1e-9)


def test_symbols_may_be_anything_and_their_names_do_not_matter():
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 4, 200)
    expected = pincus(codes.tolist(), 2, 0)
    names = np.array(["milk", "bread", "", "Milk"])
    for same in (
        rng.permutation(10**9 + np.arange(4))[codes],
        names[codes],
        names.astype(object)[codes],
        names[codes].tolist(),
        [(int(c), "x") for c in codes],
        [2**80 + int(c) for c in codes],
        codes / 8,
        codes.astype(np.uint8),
        "".join("abcd"[c] for c in codes),
        np.array(["2020-01-01", "2020-01-02", "2021-01-01", "2022-01-01"], "M8[D]")[codes],
    ):
        assert approximate.apen(same) == pytest.approx(expected, abs=1e-12)


def test_shift_and_scale_do_not_matter():
    x = np.random.default_rng(0).standard_normal(400)
    assert approximate.apen(8 * x + 16, 2, 8 * 0.25) == pytest.approx(
        approximate.apen(x, 2, 0.25), abs=1e-9
    )


@pytest.mark.parametrize("m", [1, 2, 4])
def test_a_constant_has_no_entropy(m):
    assert approximate.apen([5] * 37, m) == 0
    assert approximate.apen([5] * 37, m, 0.5) == pytest.approx(0, abs=1e-15)
    assert approximate.sample_entropy([5] * 37, m) == 0
    assert approximate.apen_pooled(log_of([3] * 9, [3] * 20, n_items=5), m) == 0


@pytest.mark.parametrize("m", [1, 2, 5])
def test_without_repeats_apen_is_a_function_of_the_length(m):
    for n in (m + 1, 20, 50, 1000):
        distinct = np.random.default_rng(n).permutation(n)
        expected = math.log((n - m) / (n - m + 1))
        assert approximate.apen(distinct, m) == pytest.approx(expected, abs=1e-14)
        assert approximate.apen(distinct, m, 0.5) == pytest.approx(
            expected, abs=1e-12
        )  # not by the short cut
        assert approximate.apen_of_distinct(n, m) == pytest.approx(expected, abs=1e-15)
    assert np.all(approximate.apen_of_distinct(np.array([m + 1, 20]), m) < 0)
    assert abs(approximate.apen_of_distinct(50)) == pytest.approx(0.020619, abs=5e-7)


def test_repeats_only_among_short_templates():
    x = [0, 1, 2, 0, 3, 1, 4, 2]  # items repeat, pairs do not
    for m in (1, 2, 3):
        assert approximate.apen(x, m) == pytest.approx(pincus(x, m, 0), abs=1e-14)


# ---------------------------------------------------------------- by user


@pytest.mark.parametrize("r", [0, 1.5])
@pytest.mark.parametrize("last", [None, 1, 10, 1000])
def test_by_user_is_each_history_alone(r, last):
    log = random_log(np.random.default_rng(0))
    measures = [(approximate.lempel_ziv_by_user, approximate.lempel_ziv_entropy, {}, 2)]
    measures += [
        (approximate.apen_by_user, approximate.apen, {"m": m, "r": r}, m + 1) for m in (1, 2, 3)
    ]
    for by_user, alone, options, needed in measures:
        parts = [h[-last:] if last else h for h in histories(log)]
        expected = np.array([alone(h, **options) if len(h) >= needed else np.nan for h in parts])
        if np.isnan(expected).all():
            with pytest.raises(InputError, match="larger last"):
                by_user(log, last=last, **options)
            continue
        found = by_user(log, last=last, **options)
        assert np.allclose(found.values, expected, rtol=0, atol=1e-14, equal_nan=True)
        assert found.too_short == np.isnan(expected).sum() > 0
        assert found.mean == pytest.approx(np.nanmean(expected), abs=1e-14)
        assert found.mean_absolute == pytest.approx(np.nanmean(np.abs(expected)), abs=1e-14)


def test_mean_and_mean_of_absolute_values_differ():
    found = approximate.apen_by_user(log_of([0, 1, 2, 3, 4, 5], [0, 1, 0, 2] * 9))
    assert found.mean < found.mean_absolute


def test_a_tolerance_reads_the_numbering():
    log = random_log(np.random.default_rng(1), n_items=300)
    renumbered = log._replace(
        items=np.random.default_rng(2).permutation(300)[log.items].astype(np.int32)
    )
    assert approximate.apen_by_user(log).mean == approximate.apen_by_user(renumbered).mean
    assert (
        approximate.apen_by_user(log, r=30).mean != approximate.apen_by_user(renumbered, r=30).mean
    )


def test_long_and_short_histories_together():
    rng = np.random.default_rng(0)
    long = rng.integers(0, 50, 60_000)
    log = log_of([1, 2, 3], long, [], [1, 1, 1, 1], long[:5000])
    found = approximate.apen_by_user(log).values
    pairs, triples = transitions(log_of(long), 1), transitions(log_of(long), 2)
    assert found[1] == pytest.approx(entropy_of(triples) - entropy_of(pairs), abs=1e-10)
    assert found[0] == approximate.apen_of_distinct(3) and found[3] == 0 and np.isnan(found[2])
    assert found[4] == approximate.apen(long[:5000])


def test_threads_and_blocks_change_nothing(monkeypatch):
    rng = np.random.default_rng(0)
    log = random_log(rng, users=600, n_items=40)
    series = rng.standard_normal(21_000)

    def everything():
        return [
            np.nan_to_num(approximate.apen_by_user(log).values).tolist(),
            np.nan_to_num(approximate.apen_by_user(log, r=2).values).tolist(),
            np.nan_to_num(approximate.lempel_ziv_by_user(log).values).tolist(),
            [approximate.apen(series, 2, r) for r in (0.001, 0.02)],
            [approximate.apen_pooled(log, m) for m in (1, 2, 9)],
            [
                approximate.conditional_entropy(log, m, tokens=tokens)
                for m in (1, 2)
                for tokens in (None, 5000)
            ],
        ]

    monkeypatch.setattr(approximate, "THREADS", 1)
    one = everything()
    monkeypatch.setattr(approximate, "THREADS", 5)
    assert everything() == one
    monkeypatch.setattr(approximate, "BLOCK", 100)
    assert np.allclose(np.concatenate(everything()), np.concatenate(one), rtol=0, atol=1e-12)


# ---------------------------------------------------------------- pooled


@pytest.mark.parametrize("m", [1, 2, 3, 5])
def test_pooled_apen_is_a_conditional_entropy(m):
    log = random_log(np.random.default_rng(m))
    grams = transitions(log, m)
    expected = entropy_of(grams) - entropy_of([gram[:-1] for gram in grams])
    assert approximate.apen_pooled(log, m) == pytest.approx(expected, abs=1e-12)
    assert approximate.conditional_entropy(log, m, "none") == pytest.approx(expected, abs=1e-12)


def test_grams_that_do_not_fit_into_64_bits():
    rng = np.random.default_rng(0)
    log = random_log(rng, users=200, n_items=6)
    codes = np.sort(rng.choice(3_000_000, 6, replace=False)).astype(np.int32)
    spread = log._replace(items=codes[log.items], n_items=3_000_000)
    for m in (1, 2, 3, 7):
        assert (3_000_000 ** (m + 1) > 2**64) == (m >= 2)
        assert approximate.apen_pooled(spread, m) == approximate.apen_pooled(log, m)
        draw = {"correction": "none", "tokens": 500, "seed": 3}
        assert approximate.conditional_entropy(
            spread, m, **draw
        ) == approximate.conditional_entropy(log, m, **draw)
    largest = log_of([2**16 - 1, 0, 2**16 - 1, 1] * 20, n_items=2**16)  # just fits with m = 3
    assert approximate.apen_pooled(largest, 3) == 0


def test_pooled_apen_of_one_long_history_nears_pincus():
    x = np.random.default_rng(0).integers(0, 3, 20_000)
    assert approximate.apen_pooled(log_of(x)) == pytest.approx(approximate.apen(x), abs=2e-4)
    assert approximate.apen_pooled(log_of(x)) == pytest.approx(math.log(3), abs=2e-3)


def test_users_may_come_in_any_order_and_items_have_any_number():
    rng = np.random.default_rng(0)
    log = random_log(rng, n_items=20)
    shuffled = [histories(log)[i] for i in rng.permutation(50)]
    other = log_of(*shuffled, n_items=20)
    names = rng.permutation(20)
    renumbered = log_of(*(names[h] for h in shuffled), n_items=20)
    for name in approximate.CORRECTIONS:
        value = approximate.conditional_entropy(log, 2, name)
        assert approximate.conditional_entropy(other, 2, name) == value
        assert approximate.conditional_entropy(renumbered, 2, name) == pytest.approx(
            value, abs=1e-12
        )
    assert approximate.shannon_entropy(renumbered) == pytest.approx(
        approximate.shannon_entropy(log), abs=1e-12
    )


def test_counts_above_the_tally(monkeypatch):
    log = random_log(np.random.default_rng(0), n_items=3)
    values = [approximate.conditional_entropy(log, 1, name) for name in approximate.CORRECTIONS]
    monkeypatch.setattr(approximate, "_run_lengths", plain_run_lengths)
    listed = [approximate.conditional_entropy(log, 1, name) for name in approximate.CORRECTIONS]
    assert listed == pytest.approx(values, abs=1e-12)
    monkeypatch.undo()
    x = np.random.default_rng(0).integers(0, 3, 30_000)  # counts beyond 4,096
    grams = transitions(log_of(x), 1)
    expected = entropy_of(grams) - entropy_of([gram[0] for gram in grams])
    assert approximate.apen_pooled(log_of(x), 1) == pytest.approx(expected, abs=1e-12)


def plain_run_lengths(keys, n_items, unseen):
    """All counts listed, none tallied."""
    grams = Counter(keys.tolist())
    contexts, added = Counter(), 0.0
    for key, count in grams.items():
        contexts[key // n_items] += count
    for context, count in contexts.items():
        counts = [c for key, c in grams.items() if key // n_items == context]
        added += approximate._unseen(count, counts.count(1), counts.count(2))
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
    assert approximate._unseen(n, once, twice) == pytest.approx(
        float(once * (1 - a) ** (1 - n) * inner), rel=1e-9
    )


def test_nothing_is_added_where_no_successor_is_rare():
    assert (
        approximate._unseen(50, 0, 3)
        == approximate._unseen(1, 1, 0)
        == approximate._unseen(50, 1, 0)
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
    total, plain = contexts.total(), approximate.apen_pooled(log, 1)
    expected = plain + (len(grams) - len(contexts)) / (2 * total)
    assert approximate.conditional_entropy(log, 1, "miller-madow") == pytest.approx(
        expected, abs=1e-12
    )
    expected = chao_shen_directly(grams.values()) - chao_shen_directly(contexts.values())
    expected = max(0, min(expected, math.log(log.n_items)))
    assert approximate.conditional_entropy(log, 1, "chao-shen") == pytest.approx(
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
    assert approximate.conditional_entropy(log, 1, "grassberger") == pytest.approx(
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


@pytest.mark.parametrize("k", [2, 5, 20])
def test_estimates_near_the_entropy_rate_of_a_chain(k):
    x, rate = markov(k, 200_000, k)
    log = log_of(*np.array_split(x, 100))
    assert approximate.apen(x, 1) == pytest.approx(rate, abs=0.01)
    assert approximate.apen(x, 2) == pytest.approx(rate, abs=0.05)
    assert approximate.apen_pooled(log, 1) == pytest.approx(rate, abs=0.01)
    for name in approximate.CORRECTIONS:
        assert approximate.conditional_entropy(log, 1, name) == pytest.approx(rate, abs=0.01)
    errors = [abs(approximate.lempel_ziv_entropy(x[:n]) - rate) / rate for n in (200, 200_000)]
    assert errors[1] < 0.15 and errors[1] < errors[0] + 0.02


def test_the_default_correction_is_the_nearest_on_short_chains():
    errors = {name: [] for name in approximate.CORRECTIONS}
    for seed in range(12):
        for n in (1000, 4000):
            x, rate = markov(30, n, seed)
            for name, off in errors.items():
                off.append(approximate.conditional_entropy(log_of(x), 1, name) - rate)
    errors = {name: np.sqrt(np.mean(np.square(off))) for name, off in errors.items()}
    assert min(errors, key=errors.get) == "chao-wang-jost"
    assert errors["chao-wang-jost"] < errors["none"] / 2 and errors["none"] == max(errors.values())


def test_equal_tokens_make_logs_of_different_size_alike():
    x, _ = markov(60, 60_000, 0, concentration=1)
    whole, part = log_of(*np.array_split(x, 60)), log_of(*np.array_split(x[:12_000], 12))
    plain = [approximate.conditional_entropy(log, 1, "none") for log in (whole, part)]
    alike = [
        approximate.conditional_entropy(log, 1, "none", tokens=10_000) for log in (whole, part)
    ]
    assert plain[0] - plain[1] > 0.1 and abs(alike[0] - alike[1]) < 0.02
    first, same, other = (
        approximate.conditional_entropy(whole, tokens=5000, seed=seed) for seed in (1, 1, 2)
    )
    assert first == same != other


def test_share_seen_once():
    log = random_log(np.random.default_rng(0))
    for m in (1, 3):
        grams = Counter(transitions(log, m))
        once = sum(count == 1 for count in grams.values()) / grams.total()
        assert approximate.share_seen_once(log, m) == pytest.approx(once, abs=1e-15)
        assert approximate.share_seen_once(log, m, tokens=100) > once


def test_all_tokens_drawn_is_the_whole_log():
    log = random_log(np.random.default_rng(5))
    for m in (1, 2, 3):
        every = len(transitions(log, m))
        assert approximate.conditional_entropy(
            log, m, tokens=every
        ) == approximate.conditional_entropy(log, m)


def test_shannon():
    log = random_log(np.random.default_rng(0))
    assert approximate.shannon_entropy(log) == pytest.approx(
        entropy_of(log.items.tolist()), abs=1e-12
    )
    assert approximate.shannon_entropy("aabb") == pytest.approx(math.log(2), abs=1e-15)
    assert approximate.shannon_entropy([3, 3]) == 0


# ---------------------------------------------------------------- Lempel and Ziv


def test_lempel_ziv_agrees_with_the_cubic_code():
    rng = np.random.default_rng(0)
    for trial in range(400):
        x = rng.integers(0, rng.integers(1, 6), rng.integers(2, 70)).tolist()
        if trial % 4 == 0:
            x = (x[: max(1, len(x) // 6)] * 7)[: len(x)]
        assert approximate.lempel_ziv_entropy(x) == pytest.approx(cubic_lempel_ziv(x), abs=1e-12)


def test_lempel_ziv_by_hand():
    # L: a 1, b 1, then "ab" ends the sequence: 3 with the end, and 2 for the last b
    assert approximate.lempel_ziv_entropy("abab") == pytest.approx(
        4 * math.log(4) / (1 + 1 + 3 + 2), abs=1e-15
    )
    assert approximate.lempel_ziv_entropy(range(50)) == pytest.approx(math.log(50), abs=1e-14)


def test_lempel_ziv_of_a_large_alphabet_and_of_a_constant():
    rng = np.random.default_rng(0)
    x = np.tile(rng.permutation(40_000), 2)
    matched = (
        40_000 * 40_001 / 2 + 80_000
    )  # the second half is in the first, from each of its elements on
    assert approximate.lempel_ziv_entropy(x) == pytest.approx(
        80_000 * math.log(80_000) / matched, rel=1e-12
    )
    n = 3000
    matched = sum(min(i, n - i) + 1 for i in range(n))
    assert approximate.lempel_ziv_entropy([1] * n) == pytest.approx(
        n * math.log(n) / matched, rel=1e-12
    )


# ---------------------------------------------------------------- compression and predictability


def test_compression_ratio_orders_what_it_should():
    rng = np.random.default_rng(0)
    bytes_at_random = log_of(rng.integers(0, 256, 50_000), n_items=256)
    assert approximate.compression_ratio(bytes_at_random) == pytest.approx(1, abs=0.01)
    assert approximate.compression_ratio([1, 2, 3] * 10_000) < 0.01
    skewed = (256 * rng.random(50_000) ** 4).astype(int)
    assert 0.5 < approximate.compression_ratio(log_of(skewed, n_items=256)) < 0.95
    wider = bytes_at_random._replace(n_items=70_000)  # four bytes each, two of them always 0
    assert 0.2 < approximate.compression_ratio(wider) < 0.5
    assert approximate.compression_ratio(skewed.tolist()) == approximate.compression_ratio(skewed)
    again = log_of(
        np.tile(bytes_at_random.items, 2), n_items=256
    )  # beyond what a small window sees
    assert approximate.compression_ratio(again) < 0.52


def test_accuracy_limit():
    assert approximate.accuracy_limit(0, 100) == 1
    assert approximate.accuracy_limit(math.log(100), 100) == pytest.approx(0.01)
    assert approximate.accuracy_limit(math.log(2), 2) == pytest.approx(0.5)
    assert approximate.accuracy_limit(0, 1) == 1
    limits = approximate.accuracy_limit(np.array([[0.1, 1.0], [2.0, 4.0]]), 1000)
    assert limits.shape == (2, 2) and np.all(np.diff(limits.ravel()) < 0)
    for p, h in zip(limits.ravel(), (0.1, 1.0, 2.0, 4.0)):
        assert -p * math.log(p) - (1 - p) * math.log((1 - p) / 999) == pytest.approx(h, abs=1e-10)
    # Song and others: 0.8 bits and a user's number of places give a limit of about 93 %
    assert approximate.accuracy_limit(0.8 * math.log(2), 50) == pytest.approx(0.93, abs=0.01)


# ---------------------------------------------------------------- what cannot be used


LOG = log_of([0, 1, 2, 0, 1], [2, 1])
MISTAKES = {
    "too short for m": (lambda: approximate.apen([1, 2], 2), "m = 2 needs at least 3"),
    "too short with r": (lambda: approximate.apen([1.0, 2.0], 2, 0.5), "m = 2 needs at least 3"),
    "empty": (lambda: approximate.apen([]), "empty"),
    "m of 0": (lambda: approximate.apen(SMALL, 0), "m = 0.*at least 1"),
    "m of 1.5": (lambda: approximate.apen(SMALL, 1.5), "whole number"),
    "m of True": (lambda: approximate.apen(SMALL, True), "whole number"),
    "negative r": (lambda: approximate.apen(SMALL, 2, -1), "r = -1.*at least 0"),
    "r of nan": (lambda: approximate.apen(SMALL, 2, math.nan), "finite"),
    "infinite r": (lambda: approximate.apen(SMALL, 2, math.inf), "finite"),
    "r of text": (lambda: approximate.apen(SMALL, 2, "0.2"), "finite"),
    "nan": (lambda: approximate.apen(np.array([1, np.nan, 2, 3])), "nan at position 1.*drop"),
    "nan in a list": (lambda: approximate.apen([1, math.nan, 2, 3]), "drop"),
    "nan with r": (lambda: approximate.apen([1, math.nan, 2, 3], 2, 0.5), "position 1.*drop"),
    "infinity": (lambda: approximate.apen(np.array([1, np.inf, 2, 3])), "inf at position 1"),
    "infinity in a list": (lambda: approximate.apen([1, -math.inf, 2, 3]), "infinite"),
    "none": (lambda: approximate.apen([1, None, 2, 3]), "missing"),
    "none with r": (lambda: approximate.apen([1, None, 2, 3], 2, 0.5), "numbers"),
    "1 and '1'": (lambda: approximate.apen([1, "1", 1, "1"]), "int and str.*one type"),
    "1 and '1' as objects": (lambda: approximate.apen(np.array([1, "1", 1], object)), "one type"),
    "1 and True": (lambda: approximate.apen([1, True, 1, 0]), "bool and int"),
    "text with r": (lambda: approximate.apen(["a", "b", "a", "c"], 2, 0.5), "use r = 0"),
    "numerals with r": (
        lambda: approximate.apen(np.array(["1", "2", "1"], object), 1, 0.5),
        "use r = 0",
    ),
    "complex with r": (lambda: approximate.apen([1j, 2j, 1j], 1, 0.5), "use r = 0"),
    "two dimensions": (lambda: approximate.apen(np.zeros((5, 2))), "2 dimensions.*flat"),
    "lists in a list": (lambda: approximate.apen([[1], [2], [1]]), "flat"),
    "lists in a list with r": (lambda: approximate.apen([[1], [2], [1]], 1, 0.5), "numbers"),
    "a number": (lambda: approximate.apen(7), "int.*flat list"),
    "a set": (lambda: approximate.apen({1, 2, 3}), "set has no order"),
    "a log": (lambda: approximate.apen(LOG), "by user"),
    "sample entropy of a log with r": (
        lambda: approximate.sample_entropy(LOG, 2, 1),
        "not a log.*r = 0",
    ),
    "sample entropy of a log without repeats": (
        lambda: approximate.sample_entropy(log_of([0, 1, 2], [3, 4])),
        "length 2 match",
    ),
    "sample entropy undefined": (
        lambda: approximate.sample_entropy([1, 2, 3, 4, 5]),
        "length 2 match.*smaller m",
    ),
    "sample entropy infinite": (
        lambda: approximate.sample_entropy([1, 2, 3, 1, 2, 4]),
        "length 3 match.*smaller m",
    ),
    "sample entropy too short": (lambda: approximate.sample_entropy([1, 1, 1], 2), "at least 4"),
    "circle too short": (lambda: approximate.nist_apen("01", 2), "at least 3"),
    "distinct too short": (lambda: approximate.apen_of_distinct(np.array([2, 9])), "at least 3"),
    "distinct not whole": (lambda: approximate.apen_of_distinct(9.5), "whole"),
    "every user too short": (
        lambda: approximate.apen_by_user(LOG, m=5),
        "longest has 5 of the 6 items that m = 5 needs",
    ),
    "every user cut too short": (lambda: approximate.apen_by_user(LOG, m=2, last=2), "larger last"),
    "last of 0": (lambda: approximate.apen_by_user(LOG, last=0), "last = 0"),
    "empty log": (lambda: approximate.apen_by_user(log_of([], n_items=3)), "empty"),
    "empty log pooled": (lambda: approximate.apen_pooled(log_of([], n_items=3)), "empty"),
    "pooled too short": (lambda: approximate.apen_pooled(LOG, 5), "6 items.*smaller m"),
    "codes beyond the vocabulary": (
        lambda: approximate.apen_pooled(LOG._replace(n_items=2)),
        "0 … 1",
    ),
    "offsets beyond the items": (
        lambda: approximate.shannon_entropy(LOG._replace(offsets=np.array([0, 9]))),
        "offsets",
    ),
    "no such correction": (lambda: approximate.conditional_entropy(LOG, 1, "best"), "miller-madow"),
    "too many tokens": (
        lambda: approximate.conditional_entropy(LOG, 1, tokens=6),
        "5 transitions.*at most",
    ),
    "tokens of 0": (lambda: approximate.conditional_entropy(LOG, 1, tokens=0), "tokens = 0"),
    "one element": (lambda: approximate.lempel_ziv_entropy([1]), "at least 2"),
    "one item each": (
        lambda: approximate.lempel_ziv_by_user(log_of([0], [1])),
        "the 2 items that the Lempel-Ziv",
    ),
    "nothing to compress": (lambda: approximate.compression_ratio([]), "empty"),
    "entropy too large": (lambda: approximate.accuracy_limit(3.0, 10), "ln 10"),
    "negative entropy": (lambda: approximate.accuracy_limit([0.5, -0.1], 10), "-0.1 nats"),
    "entropy of nan": (lambda: approximate.accuracy_limit(math.nan, 10), "nan nats"),
    "no items": (lambda: approximate.accuracy_limit(0, 0), "n_items = 0"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_told_in_one_line(mistake):
    call, pattern = MISTAKES[mistake]
    with pytest.raises(InputError, match=pattern) as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message and len(message) < 200
    assert any(
        verb in message
        for verb in ("give", "use", "drop", "convert", "draw", "build", "number the")
    )
