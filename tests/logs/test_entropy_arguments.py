"""What the entropies cannot use is refused in one line."""

import math

import numpy as np
import pytest
from entropy_cases import SMALL, log_of

from perflaw.errors import InputError
from perflaw.logs.entropy import (
    approximate,
    compression,
    conditional,
    lempel_ziv,
    predictability,
)

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
    "empty log pooled": (lambda: conditional.apen_pooled(log_of([], n_items=3)), "empty"),
    "pooled too short": (lambda: conditional.apen_pooled(LOG, 5), "6 items.*smaller m"),
    "codes beyond the vocabulary": (
        lambda: conditional.apen_pooled(LOG._replace(n_items=2)),
        "0 … 1",
    ),
    "offsets beyond the items": (
        lambda: conditional.shannon_entropy(LOG._replace(offsets=np.array([0, 9]))),
        "offsets",
    ),
    "no such correction": (lambda: conditional.conditional_entropy(LOG, 1, "best"), "miller-madow"),
    "too many tokens": (
        lambda: conditional.conditional_entropy(LOG, 1, tokens=6),
        "5 transitions.*at most",
    ),
    "tokens of 0": (lambda: conditional.conditional_entropy(LOG, 1, tokens=0), "tokens = 0"),
    "one element": (lambda: lempel_ziv.lempel_ziv_entropy([1]), "at least 2"),
    "one item each": (
        lambda: lempel_ziv.lempel_ziv_by_user(log_of([0], [1])),
        "the 2 items that the Lempel-Ziv",
    ),
    "nothing to compress": (lambda: compression.compression_ratio([]), "empty"),
    "entropy too large": (lambda: predictability.accuracy_limit(3.0, 10), "ln 10"),
    "negative entropy": (lambda: predictability.accuracy_limit([0.5, -0.1], 10), "-0.1 nats"),
    "entropy of nan": (lambda: predictability.accuracy_limit(math.nan, 10), "nan nats"),
    "no items": (lambda: predictability.accuracy_limit(0, 0), "n_items = 0"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_told_in_one_line(mistake):
    call, pattern = MISTAKES[mistake]
    with pytest.raises(InputError, match=pattern) as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 200
    assert any(
        verb in message
        for verb in ("give", "use", "drop", "convert", "draw", "build", "number the")
    )
