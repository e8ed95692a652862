"""The prior of the forecasts: what the sweeps of other logs say about the coefficients."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from importlib.resources import files
from types import MappingProxyType
from typing import Any

Prior = Mapping[str, Any]
"""Mean and standard deviation of each coefficient, and the standard deviation `cell`."""

PRIOR_FILE = files("perflaw.report") / "prior.json"


@functools.cache
def load_prior() -> Prior:
    """Read the prior that comes with the package.

    Returns
    -------
    Prior
        By name (`forecast.COEFFICIENTS`, the exponent "p", the logarithm "k" of the factor of
        noise) a mean and a standard deviation, and the standard deviation "cell". "growth", where
        it was learnt, is the gain in log-odds of a log with twice as many users, who have items of
        their own and are all tested: intercept, coefficients of a Markov chain's growth and of the
        level, and standard deviation. "baseline growth" is the mean and the standard deviation
        between logs of the Markov chain's growth.
    """
    stored = json.loads(PRIOR_FILE.read_text(encoding="utf-8"))
    return MappingProxyType(stored["coefficients"])
