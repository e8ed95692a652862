"""Approximate entropy and sample entropy of sequences and of interaction logs.

All entropies are in nats. A sequence is anything flat: a list, a string (its characters), an
array. A log is any object with `items` (item codes from 0, one history after another, each in
time order), `offsets` (where the histories begin, and the end) and `n_items`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import gammaincc

from perflaw.errors import InputError
from perflaw.logs.entropy import parallel
from perflaw.logs.entropy.arrays import (
    Histories,
    check_count,
    check_length,
    check_tolerance,
    finite_numbers,
    pooled_arrays,
    refuse_masked,
    symbol_codes,
)
from perflaw.logs.entropy.conditional import plug_in
from perflaw.logs.entropy.grams import count_grams

PARALLEL_FROM = 20_000  # templates; with fewer, starting threads costs more than it saves


class NistApen(NamedTuple):
    """Approximate entropy of a circle, in nats, and the test of randomness of two symbols.

    `chi2` and `p` are nan for more than two symbols.
    """

    value: float
    chi2: float
    p: float


def apen(sequence: Iterable, m: int = 2, r: float = 0.0) -> float:
    """Approximate entropy Phi^m − Phi^(m+1) of a sequence, signed.

    Phi^k is the mean over the n − k + 1 templates of length k of ln(share of templates that
    match it), itself among them.

    Parameters
    ----------
    sequence : iterable
        Symbols of any kind or, with r > 0, numbers.
    m : int
        Length of the templates, at least 1.
    r : float
        Tolerance, in the units of the sequence (0.2 of its standard deviation, say): templates
        match if no coordinate differs by more than r. With r = 0 a match is equality.

    Returns
    -------
    float
        In nats. The sum runs over one template fewer for m + 1 than for m, so a short or varied
        sequence comes out below 0, which no entropy can be: see `apen_of_distinct`. Some
        libraries return the absolute value.

    Raises
    ------
    InputError
        For fewer than m + 1 elements, m < 1, r < 0, missing or infinite values.

    Notes
    -----
    Values that differ by r but for the rounding of binary numbers match: 0.1, 0.2, … 0.8 with
    r = 0.1 have the entropy of 1, 2, … 8 with r = 1, −0.135. Packages that compare the rounded
    differences as they are give another value there (antropy 0.2.3: 0.168). Whole numbers are
    compared exactly, here and there.

    References
    ----------
    Pincus, Approximate entropy as a measure of system complexity, PNAS 88 (1991).

    Examples
    --------
    >>> round(apen([1, 1, 1, 3, 1, 2, 2, 3, 1, 2], m=1), 6)
    0.705473
    >>> round(apen("abcdefgh"), 6)
    -0.154151
    """
    m, r = check_count(m, "m"), check_tolerance(r)
    if r == 0:
        codes = symbol_codes(sequence)
        check_length(len(codes), m + 1, f"m = {m}")
        starts, stops = np.zeros(1, np.int64), np.array([len(codes)])
        return float(parallel.load_kernels().apen_symbols(codes, starts, stops, m)[0])
    x = finite_numbers(sequence)
    check_length(len(x), m + 1, f"m = {m}")
    matches, longer_matches = _count_matches(x, m, r, len(x) - m + 1)
    phi = np.log((matches + 1) / len(matches)).mean()
    phi_next = np.log((longer_matches[longer_matches >= 0] + 1) / (len(x) - m)).mean()
    return float(phi - phi_next)


def apen_of_distinct(n: ArrayLike, m: int = 2) -> np.ndarray | np.float64:
    """Symbolic `apen` of n symbols of which none repeats: ln((n − m) / (n − m + 1)), in nats.

    Each template then matches itself alone, so Phi^k = −ln(n − k + 1): a negative number that
    depends on the length and on nothing else. n is a number or an array.
    """
    refuse_masked(n)
    m, lengths = check_count(m, "m"), np.asarray(n)
    if lengths.dtype.kind not in "iu":
        raise InputError(f"n = {lengths.tolist()!r} is not usable; give whole numbers")
    check_length(lengths.min(initial=m + 1), m + 1, f"m = {m}")
    return np.log((lengths - m) / (lengths - m + 1))[()]


def apen_by_user(
    log: Histories, m: int = 2, r: float = 0.0, last: int | None = None
) -> parallel.ByUser:
    """`apen` of each history of a log, or of its last items.

    Parameters
    ----------
    log : InteractionLog
        Or anything with its `items`, `offsets` and `n_items`.
    m : int
        Length of the templates.
    r : float
        With r = 0 items match if they are the same. With r > 0 the item codes are read as
        numbers, so the value depends on how the items were numbered and changes when they are
        renumbered: it says nothing about the users unless neighbouring codes are similar items.
    last : int, optional
        How many items of each history count, from its end; all of them without it.

    Raises
    ------
    InputError
        If every history is shorter than m + 1.

    Examples
    --------
    >>> from perflaw.logs import from_histories
    >>> log = from_histories([["a", "b", "a", "b", "a", "b"], ["a"]])
    >>> by_user = apen_by_user(log, m=1)
    >>> by_user.too_short, round(by_user.mean, 4)
    (1, -0.0201)
    """
    m, r = check_count(m, "m"), check_tolerance(r)
    kernels = parallel.load_kernels()
    if r == 0:
        measure = partial(kernels.apen_symbols, m=m)
    else:
        measure = partial(kernels.apen_numbers, m=m, r=r)
    return parallel.measure_by_user(log, last, m + 1, f"m = {m}", measure)


def nist_apen(sequence: Iterable, m: int) -> NistApen:
    """Approximate entropy of NIST SP 800-22 (section 2.12): equality, on a circle.

    It has as many templates of length m + 1 as of length m, so it is never negative; it is
    another statistic than `apen`. chi2 and p test two equally likely symbols.
    """
    m, codes = check_count(m, "m"), symbol_codes(sequence)
    n = len(codes)
    check_length(n, m + 1, f"m = {m}")
    circle = np.concatenate([codes, codes[:m]])
    counts = count_grams(circle, np.array([0, n + m]), int(codes.max()) + 1, m)
    value = max(0.0, plug_in(counts))
    if codes.max() > 1:
        return NistApen(value, math.nan, math.nan)
    chi2 = 2 * n * (math.log(2) - value)
    return NistApen(value, chi2, float(gammaincc(2.0 ** (m - 1), chi2 / 2)))


def sample_entropy(log_or_sequence: Histories | Iterable, m: int = 2, r: float = 0.0) -> float:
    """Sample entropy −ln(A / B) of a sequence or a log.

    B pairs of the first n − m templates of length m match, and A of them still do at length
    m + 1; no template is matched with itself.

    Parameters
    ----------
    log_or_sequence : InteractionLog or iterable
        In a log templates are matched across users, with r = 0.
    m : int
        Length of the templates.
    r : float
        Tolerance of matches, as in `apen`.

    Returns
    -------
    float
        In nats.

    Raises
    ------
    InputError
        Where the ratio is undefined because A or B is 0.

    References
    ----------
    Richman and Moorman, Physiological time-series analysis using approximate entropy and sample
    entropy, American Journal of Physiology 278 (2000).

    Examples
    --------
    >>> round(sample_entropy("abababcababab"), 4)
    0.2877
    """
    m, r = check_count(m, "m"), check_tolerance(r)
    if r > 0:
        x = finite_numbers(log_or_sequence)  # type: ignore[arg-type]
        check_length(len(x), m + 2, f"m = {m}")
        matches, longer_matches = _count_matches(x, m, r, len(x) - m)
        shorter, longer = int(matches.sum()) // 2, int(longer_matches.sum()) // 2
    else:
        items, offsets, n_items = pooled_arrays(log_or_sequence)
        check_length(len(items), m + 2, f"m = {m}")
        counts = count_grams(items, offsets, n_items, m)
        shorter, longer = _count_pairs(*counts.contexts), _count_pairs(*counts.grams)
    if longer == 0:
        unmatched = m if shorter == 0 else m + 1
        raise InputError(
            f"sample entropy is undefined: no two templates of length {unmatched} match;"
            " use a smaller m, a larger r or more data"
        )
    return math.log(shorter / longer)


def _count_pairs(counts: np.ndarray, times: np.ndarray) -> int:
    """Count the pairs of equal templates."""
    return int(np.sum(times * counts * (counts - 1))) // 2


def _rounding(x: np.ndarray, r: float) -> float:
    """Bound how far apart binary rounding puts two values of x that differ by r.

    It is 0 for whole numbers. Each of two decimals, and r, is off by half a unit in the last
    place of the largest; the limit keeps values apart that are themselves no finer than r.
    """
    if (x == np.floor(x)).all():
        return 0.0
    return float(min(4 * np.spacing(max(np.abs(x).max(), r)), r * 2.0**-20))


def _count_matches(
    x: np.ndarray, m: int, r: float, templates: int
) -> tuple[np.ndarray, np.ndarray]:
    """Count the other templates that each of the first `templates` matches.

    Returns integers for lengths m and m + 1, in order of the first coordinate; −1 where a
    template has no length m + 1.
    """
    r += _rounding(x, r)
    order = np.argsort(x[:templates], kind="stable")
    padded = np.append(x, np.nan)  # nan matches nothing
    columns = np.ascontiguousarray(padded[order + np.arange(m + 1)[:, None]])
    workers = parallel.THREADS if templates > PARALLEL_FROM else 1
    kernels = parallel.load_kernels()
    counts = parallel.run_in_threads(
        lambda first: kernels.matches_in_window(columns, r, first, workers), range(workers)
    )
    matches, longer_matches = np.sum(counts, axis=0)
    longer_matches[np.isnan(columns[m])] = -1
    return matches, longer_matches
