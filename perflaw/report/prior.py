"""The prior of the forecasts: what the sweeps of other logs say of the coefficients."""

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
        noise) a mean and a standard deviation, and the standard deviation "cell". Where it was
        learnt, "growth" is what a log brings that has twice as many users, with items of their
        own and tested on all of them, in log-odds: intercept, what it adds by a unit of a Markov
        chain's growth and by a unit of the level, and standard deviation; "baseline growth" is
        mean and standard deviation of the Markov chain's growth between logs.
    """
    stored = json.loads(PRIOR_FILE.read_text(encoding="utf-8"))["coefficients"]
    return MappingProxyType(
        {name: tuple(value) if isinstance(value, list) else value for name, value in stored.items()}
    )
