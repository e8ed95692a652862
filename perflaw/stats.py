"""Standard errors and Student's quantiles, for every folder.

`scipy.stats` takes most of a second to import, so it is imported where it is used.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from perflaw.errors import InputError


def check_level(level: float) -> None:
    """Raise InputError for a confidence level that is not between 0 and 1."""
    if not 0 < level < 1:
        raise InputError(
            f"the level of an interval is {level:g}; it must be between 0 and 1, e.g. 0.9"
        )


def standard_error(values: ArrayLike) -> float:
    """Return the standard error of the mean of independent values, at least two of them.

    Of HR@k over users give (ranks <= k), of NDCG@k the gains by user.

    Examples
    --------
    >>> round(standard_error([1.0, 2.0, 3.0]), 4)
    0.5774
    """
    sample = np.asarray(values)
    return float(np.std(sample, ddof=1) / np.sqrt(len(sample)))


def student_quantile(level: float, dof: ArrayLike) -> NDArray[np.float64]:
    """Return how many standard errors a two-sided interval of that level spans on either side.

    Parameters
    ----------
    level : float
        Confidence level of the interval, between 0 and 1.
    dof : array_like
        Degrees of freedom of the estimated variance.

    Examples
    --------
    >>> round(float(student_quantile(0.95, 21)), 4)
    2.0796
    """
    from scipy.stats import t

    return np.asarray(t.ppf((1 + level) / 2, dof), float)


def mean_interval(values: ArrayLike, level: float) -> tuple[float, float, float]:
    """Return the mean of independent values, and its interval by Student's t.

    Parameters
    ----------
    values : array_like
        (n,); of fewer than two the ends of the interval are nan.
    level : float
        Confidence level of the interval, between 0 and 1.

    Returns
    -------
    mean, low, high : float

    Examples
    --------
    >>> [round(end, 2) for end in mean_interval([1.0, 3.0], 0.9)]
    [2.0, -4.31, 8.31]
    """
    check_level(level)
    sample = np.asarray(values, float)
    mean = float(sample.mean())
    if len(sample) < 2:
        return mean, float("nan"), float("nan")
    half = float(student_quantile(level, len(sample) - 1)) * standard_error(sample)
    return mean, mean - half, mean + half


def aicc(rss: float, n: int, n_parameters: int) -> float:
    """Return Akaike's criterion of a least-squares fit, corrected for few points.

    Parameters
    ----------
    rss : float
        Residual sum of squares.
    n : int
        Points.
    n_parameters : int
        Parameters of the mean; the noise variance is counted beside them.

    Returns
    -------
    float
        nan where there are too few points for it, or the fit is exact.

    Examples
    --------
    >>> round(aicc(rss=0.5, n=10, n_parameters=1), 2)
    -24.24
    """
    k = n_parameters + 1
    if n <= k + 1 or rss == 0:
        return float("nan")
    return float(n * np.log(rss / n) + 2 * k + 2 * k * (k + 1) / (n - k - 1))
