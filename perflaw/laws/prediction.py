"""Predictions at the door: a rate is never predicted outside 0 to 1."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd

from perflaw.errors import check_kind
from perflaw.laws import table_checks
from perflaw.laws.fitting import Fit, FitState


class FitWarning(UserWarning):
    """A prediction rests on a fit that something stands in the way of trusting."""


def predict(
    fit: Fit,
    points: pd.DataFrame,
    level: float = 0.9,
    new_run: bool = True,
    is_rate: bool | None = None,
) -> pd.DataFrame:
    """Predict a metric at new points, with intervals.

    A metric whose measured values are all in [0, 1] is taken for a rate. Its prediction and the
    ends of its interval are clipped to [0, 1]; `clipped` marks the points where the law itself
    leaves that range, and `law_value` is what the law says there.

    Parameters
    ----------
    fit : Fit
    points : pandas.DataFrame
        The law's axes, one row a point.
    level : float
        Confidence level of the intervals.
    new_run : bool
        Whether the interval is for one more run, its noise included, or for the mean of many.
    is_rate : bool, optional
        Whether the metric cannot leave [0, 1]; told from the measured values by default.

    Returns
    -------
    pandas.DataFrame
        With the index of `points`; columns prediction, low, high, beyond (outside the measured
        range of an axis), law_value and clipped.

    Warns
    -----
    FitWarning
        If the fit is anything but converged, e.g. at a bound or no better than a constant; and if
        a consensus left out points, as intervals do not know of that choice and are too narrow.

    Examples
    --------
    >>> import pandas as pd
    >>> from perflaw.laws import fit, get_law, predict
    >>> points = pd.DataFrame({"n_layers": [2, 2, 8, 8, 32], "d_emb": [16, 64, 16, 64, 128]})
    >>> fitted = fit(get_law("log_linear"), points, [0.10, 0.13, 0.12, 0.15, 0.19])
    >>> large = pd.DataFrame({"n_layers": [64, 64], "d_emb": [256, 10**18]})
    >>> predict(fitted, large)[["prediction", "law_value", "clipped"]].round(2)
       prediction  law_value  clipped
    0        0.22       0.22    False
    1        1.00       1.02     True
    """
    check_kind(fit, Fit, "fit a law with perflaw.laws.fit")
    if fit.states != (FitState.CONVERGED,):
        warnings.warn(f"the fit of {fit.law.name}: {fit.status}", FitWarning, stacklevel=2)
    if len(fit.outliers):
        warnings.warn(
            f"the fit of {fit.law.name} left out {len(fit.outliers)} points; intervals do not know "
            "of that choice and are too narrow",
            FitWarning,
            stacklevel=2,
        )
    table = fit.interval(points, level, new_run)
    law_value = table["prediction"]
    if is_rate is None:
        is_rate = table_checks.is_rate(fit.y)
    if is_rate:
        ends = ["prediction", "low", "high"]
        table[ends] = table[ends].clip(0, 1)
    clipped = np.asarray(table["prediction"] != law_value)
    return table.assign(law_value=law_value, clipped=clipped)
