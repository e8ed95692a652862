"""Which configuration to train next, and how many seeds it takes to see a difference."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from perflaw.errors import InputError
from perflaw.laws.families import Array
from perflaw.stats import check_level

QUADRATURE_NODES = 41  # of the Gauss-Hermite rule behind the knowledge gradient


@dataclass(frozen=True)
class PlannedChoice:
    """A choice among candidates, by position.

    Attributes
    ----------
    choice : int
        What to use or train next.
    best_seen : int
        The best measured candidate; the first of all where none is measured.
    best_median : int
        The candidate of the greatest median.
    chance : float
        The probability that an unmeasured choice (or, if the advice is to keep the best trained
        model, the most promising unmeasured one) beats all measured.
    """

    choice: int
    best_seen: int
    best_median: int
    chance: float


def choose_by_law(draws: Array, measured: ArrayLike, confidence: float = 0.9) -> PlannedChoice:
    """Keep the best measured candidate, unless the law is confident that another is better.

    An unmeasured candidate is chosen if it beats every measured one with probability
    `confidence` or more; of several, the one of the greatest median. (Draws with heavy tails,
    such as those of `MixedFit.draws`, need not have a mean.)

    Parameters
    ----------
    draws : numpy.ndarray
        Noise-free surfaces (draws, m) that the data allow, as `MixedFit.draws` gives them.
    measured : array_like
        Values (m,), nan where there is none.
    confidence : float
        Between 0 and 1.

    Raises
    ------
    InputError
        For an empty candidate set.
    """
    check_level(confidence)
    values = np.asarray(measured, float)
    if not values.size:
        raise InputError("there is no candidate to choose from")
    is_seen = np.isfinite(values)
    medians = np.median(draws, axis=0)
    best_seen = int(np.where(is_seen, values, -np.inf).argmax())
    best_of_seen = draws[:, is_seen].max(axis=1, initial=-np.inf, keepdims=True)
    chances = np.where(is_seen, 0.0, (draws > best_of_seen).mean(axis=0))
    sure = np.flatnonzero(chances >= confidence)
    choice, chance = best_seen, chances.max()
    if len(sure):
        choice = int(sure[medians[sure].argmax()])
        chance = chances[choice]
    return PlannedChoice(choice, best_seen, int(medians.argmax()), float(chance))


def next_runs(mean: Array, covariance: Array, noise: Array, n: int = 3) -> list[int]:
    """Choose the runs whose results are expected to help most, one after another.

    Each is the one whose measurement is expected to raise the best mean most (knowledge
    gradient; Frazier et al. 2009), given those chosen before.

    Parameters
    ----------
    mean, covariance, noise : numpy.ndarray
        Mean (m,), covariance (m, m) and noise variance (m,) of the candidates, as
        `MixedFit.posterior` gives them.
    n : int
        How many runs.

    Returns
    -------
    list of int
        Positions of the candidates.
    """
    if not len(mean):
        raise InputError("there is no candidate to choose from")
    nodes, weights = np.polynomial.hermite_e.hermegauss(QUADRATURE_NODES)
    covariance = covariance.copy()
    chosen: list[int] = []
    for _ in range(min(n, len(mean))):
        # column j: how a run at j may move every mean
        moves = covariance / np.sqrt(np.diag(covariance) + noise)
        best_means = (mean[:, None, None] + moves[:, :, None] * nodes).max(axis=0)
        expected = best_means @ weights / weights.sum()
        expected[chosen] = -np.inf
        j = int(expected.argmax())
        chosen.append(j)
        covariance = covariance - np.outer(moves[:, j], moves[:, j])
    return chosen


def seeds_needed(
    difference: float, seed_sd: float, user_sd: float = 0.0, power: float = 0.8, level: float = 0.95
) -> float:
    """Count the seeds of each of two configurations that it takes to see a difference.

    Parameters
    ----------
    difference : float
        Relative to the metric: 0.03 is 3 %.
    seed_sd : float
        Relative standard deviation between seeds.
    user_sd : float
        Relative standard error of the difference that the finite set of test users leaves, which
        no seed averages out.
    power : float
        Of the two-sided test.
    level : float
        Its confidence level: one less its size.

    Returns
    -------
    float
        A whole number; infinite if user_sd alone hides the difference.

    Examples
    --------
    >>> seeds_needed(difference=0.03, seed_sd=0.045)
    36.0
    """
    from scipy.stats import norm

    if difference <= 0 or seed_sd < 0 or user_sd < 0:
        raise InputError("a difference must be above 0, and standard deviations 0 or more")
    if not 0 < power < 1:
        raise InputError(f"power = {power:g} is not usable; use a number between 0 and 1, e.g. 0.8")
    check_level(level)
    standard_errors = norm.ppf((1 + level) / 2) + norm.ppf(power)
    seed_variance = (difference / standard_errors) ** 2 - user_sd**2  # that the test may bear
    if seed_variance <= 0:
        return float("inf")
    return float(max(1, np.ceil(2 * seed_sd**2 / seed_variance)))
