"""Lempel-Ziv entropy, compression and predictability against plain code."""

import math

import numpy as np
import pytest
from entropy_cases import log_of

from perflaw.logs.entropy import (
    compression,
    lempel_ziv,
    predictability,
)


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


def test_lempel_ziv_agrees_with_the_cubic_code():
    rng = np.random.default_rng(0)
    for trial in range(400):
        x = rng.integers(0, rng.integers(1, 6), rng.integers(2, 70)).tolist()
        if trial % 4 == 0:
            x = (x[: max(1, len(x) // 6)] * 7)[: len(x)]
        assert lempel_ziv.lempel_ziv_entropy(x) == pytest.approx(cubic_lempel_ziv(x), abs=1e-12)


def test_lempel_ziv_by_hand():
    # L: a 1, b 1, then "ab" ends the sequence: 3 with the end, and 2 for the last b
    assert lempel_ziv.lempel_ziv_entropy("abab") == pytest.approx(
        4 * math.log(4) / (1 + 1 + 3 + 2), abs=1e-15
    )
    assert lempel_ziv.lempel_ziv_entropy(range(50)) == pytest.approx(math.log(50), abs=1e-14)


def test_lempel_ziv_of_a_large_alphabet_and_of_a_constant():
    rng = np.random.default_rng(0)
    x = np.tile(rng.permutation(40_000), 2)
    matched = (
        40_000 * 40_001 / 2 + 80_000
    )  # the second half is in the first, from each of its elements on
    assert lempel_ziv.lempel_ziv_entropy(x) == pytest.approx(
        80_000 * math.log(80_000) / matched, rel=1e-12
    )
    n = 3000
    matched = sum(min(i, n - i) + 1 for i in range(n))
    assert lempel_ziv.lempel_ziv_entropy([1] * n) == pytest.approx(
        n * math.log(n) / matched, rel=1e-12
    )


# ---------------------------------------------------------------- compression and predictability


def test_compression_ratio_orders_what_it_should():
    rng = np.random.default_rng(0)
    bytes_at_random = log_of(rng.integers(0, 256, 50_000), n_items=256)
    assert compression.compression_ratio(bytes_at_random) == pytest.approx(1, abs=0.01)
    assert compression.compression_ratio([1, 2, 3] * 10_000) < 0.01
    skewed = (256 * rng.random(50_000) ** 4).astype(int)
    assert 0.5 < compression.compression_ratio(log_of(skewed, n_items=256)) < 0.95
    wider = bytes_at_random._replace(n_items=70_000)  # four bytes each, two of them always 0
    assert 0.2 < compression.compression_ratio(wider) < 0.5
    assert compression.compression_ratio(skewed.tolist()) == compression.compression_ratio(skewed)
    again = log_of(
        np.tile(bytes_at_random.items, 2), n_items=256
    )  # beyond what a small window sees
    assert compression.compression_ratio(again) < 0.52


def test_accuracy_limit():
    assert predictability.accuracy_limit(0, 100) == 1
    assert predictability.accuracy_limit(math.log(100), 100) == pytest.approx(0.01)
    assert predictability.accuracy_limit(math.log(2), 2) == pytest.approx(0.5)
    assert predictability.accuracy_limit(0, 1) == 1
    limits = predictability.accuracy_limit(np.array([[0.1, 1.0], [2.0, 4.0]]), 1000)
    assert limits.shape == (2, 2)
    assert np.all(np.diff(limits.ravel()) < 0)
    for p, h in zip(limits.ravel(), (0.1, 1.0, 2.0, 4.0)):
        assert -p * math.log(p) - (1 - p) * math.log((1 - p) / 999) == pytest.approx(h, abs=1e-10)
    # Song and others: 0.8 bits and a user's number of places give a limit of about 93 %
    assert predictability.accuracy_limit(0.8 * math.log(2), 50) == pytest.approx(0.93, abs=0.01)
