"""Functions of one axis from which laws are built, smooth through an exponent of zero."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

SERIES_BELOW = 1e-3  # arguments of `bend` below which its series is more exact than its formula


def boxcox(x: ArrayLike, p: ArrayLike) -> NDArray[np.float64]:
    """Return (1 - x^-p) / p, and ln x where p is 0. Shapes broadcast.

    Examples
    --------
    >>> round(float(boxcox(8.0, -1.0)), 9)
    7.0
    """
    log_x, power = np.log(x), np.asarray(p)
    is_zero = power == 0
    divisor = np.where(is_zero, 1.0, power)
    return np.where(is_zero, log_x, -np.expm1(-power * log_x) / divisor)


def bend(x: ArrayLike, p: ArrayLike) -> NDArray[np.float64]:
    """Return 2 (ln x - boxcox(x; p)) / p, and ln(x)² where p is 0: what a power adds to ln x."""
    log_x = np.log(x)
    z = np.asarray(p) * log_x
    is_small = np.abs(z) < SERIES_BELOW
    divisor = np.where(is_small, 1.0, z)
    exact = (np.expm1(-divisor) + divisor) / divisor**2
    series = 1 / 2 - z / 6 + z**2 / 24 - z**3 / 120
    return 2 * log_x**2 * np.where(is_small, series, exact)
