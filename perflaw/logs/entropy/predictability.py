"""How well the next item can be predicted at a given entropy."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq
from scipy.special import entr

from perflaw.errors import InputError
from perflaw.logs.entropy.arrays import check_count


def accuracy_limit(entropy: ArrayLike, n_items: int) -> float | np.ndarray:
    """Highest share of next items that can be predicted at this entropy.

    It solves Fano's bound H = −p ln p − (1 − p) ln(1 − p) + (1 − p) ln(n_items − 1)
    for p between 1 / n_items and 1.

    Parameters
    ----------
    entropy : float or array_like
        In nats.
    n_items : int
        Number of distinct items.

    Raises
    ------
    InputError
        For an entropy below 0 or above ln n_items, which no source can have.

    References
    ----------
    Song, Qu, Blumm and Barabási, Limits of predictability in human mobility, Science 327 (2010).

    Examples
    --------
    >>> round(accuracy_limit(1.0, 100), 4)
    0.8675
    """
    n_items = check_count(n_items, "n_items")
    entropies = np.asarray(entropy, float)
    largest = math.log(n_items)
    impossible = ~((entropies >= 0) & (entropies <= largest * (1 + 1e-12)))
    if impossible.any():
        raise InputError(
            f"an entropy of {entropies[impossible][0]:g} nats is outside"
            f" 0 … ln {n_items} = {largest:g};"
            " give entropies in nats and the number of distinct items"
        )

    def excess(p: float, value: float) -> float:
        wrong = 1 - p
        return entr(p) + entr(wrong) + wrong * math.log(max(n_items - 1, 1)) - value

    def solve(value: float) -> float:
        if value == 0:
            return 1.0
        if value >= largest:
            return 1 / n_items
        return brentq(excess, 1 / n_items, 1.0, args=(value,), xtol=1e-14)

    limits = np.array([solve(value) for value in entropies.ravel()]).reshape(entropies.shape)
    return float(limits) if limits.ndim == 0 else limits
