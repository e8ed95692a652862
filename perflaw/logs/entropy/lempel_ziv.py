"""Lempel-Ziv estimate of the entropy of sequences."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from perflaw.logs.entropy.arrays import Histories, check_length, symbol_codes
from perflaw.logs.entropy.parallel import ByUser, load_kernels, measure_by_user

PURPOSE = "the Lempel-Ziv entropy"


def lempel_ziv_entropy(sequence: Iterable) -> float:
    """Estimate the "actual entropy" n ln n / (L_1 + … + L_n) of a sequence, in nats.

    L_i is the length of the shortest string that starts at i and does not occur in the elements
    before i. Where all that is left does occur there, the end of the sequence counts as one more
    element. Without repeats every L_i is 1 and the value ln n, a function of the length alone.

    Raises
    ------
    InputError
        For fewer than 2 elements.

    References
    ----------
    Kontoyiannis, Algoet, Suhov and Wyner, Nonparametric entropy estimation for stationary
    processes and random fields, IEEE Transactions on Information Theory 44 (1998).
    Song, Qu, Blumm and Barabási, Limits of predictability in human mobility, Science 327 (2010).

    Examples
    --------
    >>> round(lempel_ziv_entropy("abab"), 6)  # 4 ln 4 / (1 + 1 + 3 + 2)
    0.792168
    """
    codes = symbol_codes(sequence)
    check_length(len(codes), 2, PURPOSE)
    starts, stops = np.zeros(1, np.int64), np.array([len(codes)])
    return float(load_kernels().lempel_ziv(codes, starts, stops)[0])


def lempel_ziv_by_user(log: Histories, last: int | None = None) -> ByUser:
    """`lempel_ziv_entropy` of each history, or of its last items; one item is too short."""
    return measure_by_user(log, last, 2, PURPOSE, load_kernels().lempel_ziv)
