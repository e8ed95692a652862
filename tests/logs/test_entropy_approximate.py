"""Approximate and sample entropy against published values, definitions and other libraries."""

import math

import numpy as np
import pytest
from entropy_cases import SMALL, entropy_of, histories, log_of, random_log, transitions

from perflaw.errors import InputError
from perflaw.logs.entropy import (
    approximate,
    compression,
    conditional,
    grams,
    lempel_ziv,
    parallel,
)

PI = (  # the first 100 binary digits
    "11001001000011111101101010100010001000010110100011"
    "00001000110100110001001100011001100010100010111000"
)
BITS = "0100110101"


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
    assert math.isnan(chi2)
    assert math.isnan(p)
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
        conditional.shannon_entropy,
        lempel_ziv.lempel_ziv_entropy,
        compression.compression_ratio,
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
        conditional.apen_pooled,
        conditional.conditional_entropy,
        lempel_ziv.lempel_ziv_by_user,
        conditional.shannon_entropy,
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
    assert conditional.apen_pooled(log_of([3] * 9, [3] * 20, n_items=5), m) == 0


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
    measures = [(lempel_ziv.lempel_ziv_by_user, lempel_ziv.lempel_ziv_entropy, {}, 2)]
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
    assert found[0] == approximate.apen_of_distinct(3)
    assert found[3] == 0
    assert np.isnan(found[2])
    assert found[4] == approximate.apen(long[:5000])


def test_threads_and_blocks_change_nothing(monkeypatch):
    rng = np.random.default_rng(0)
    log = random_log(rng, users=600, n_items=40)
    series = rng.standard_normal(21_000)

    def everything():
        return [
            np.nan_to_num(approximate.apen_by_user(log).values).tolist(),
            np.nan_to_num(approximate.apen_by_user(log, r=2).values).tolist(),
            np.nan_to_num(lempel_ziv.lempel_ziv_by_user(log).values).tolist(),
            [approximate.apen(series, 2, r) for r in (0.001, 0.02)],
            [conditional.apen_pooled(log, m) for m in (1, 2, 9)],
            [
                conditional.conditional_entropy(log, m, tokens=tokens)
                for m in (1, 2)
                for tokens in (None, 5000)
            ],
        ]

    monkeypatch.setattr(parallel, "THREADS", 1)
    one = everything()
    monkeypatch.setattr(parallel, "THREADS", 5)
    monkeypatch.setattr("perflaw.logs.histories.BLOCK", 1000)
    assert everything() == one
    monkeypatch.setattr(grams, "BLOCK", 100)
    assert np.allclose(np.concatenate(everything()), np.concatenate(one), rtol=0, atol=1e-12)
