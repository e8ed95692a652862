"""Fits to visible cells for which several exponents are equally good."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from perflaw.laws import fitting
from perflaw.laws.law import Law
from perflaw.laws.varpro import APART, TIE

EXPONENT = "p_d"  # of which other values are searched for


def errors_of_tied_fits(surfaces: pd.DataFrame, by: Sequence[str], law: Law) -> pd.DataFrame:
    """Predict the largest d by every exponent of d that fits the other cells equally well.

    Parameters
    ----------
    surfaces : pandas.DataFrame
        Columns `by`, n_layers, d_emb and value.
    by : sequence of str
        Columns that name a surface.
    law : Law
        Fitted to the cells of the smaller d.

    Returns
    -------
    pandas.DataFrame
        One or two rows for each surface on which another exponent fits equally well: those of
        `by`, the exponent and its error (mean absolute, in per cent) by the fit that is used, and
        the same of the other as other_exponent and other_error.
    """
    rows = []
    for key, surface in surfaces.groupby(list(by), sort=False):
        is_hidden = surface["d_emb"] == surface["d_emb"].max()
        visible, hidden = surface[~is_hidden].reset_index(drop=True), surface[is_hidden]
        used = fitting.fit(law, visible, visible["value"])
        for other in _other_optima(used):
            fits = {
                "exponent": used.parameters[EXPONENT],
                "error": _error(used, hidden),
                "other_exponent": other.parameters[EXPONENT],
                "other_error": _error(other, hidden),
            }
            rows.append(dict(zip(by, key)) | fits)
    columns = [*by, "exponent", "error", "other_exponent", "other_error"]
    return pd.DataFrame(rows, columns=columns)


def _other_optima(used: fitting.Fit) -> Iterator[fitting.Fit]:
    """Fit again below and above the exponent; yield the fits that are as good."""
    if not used.tied:
        return
    low, high = used.law.exponents[EXPONENT]
    exponent = used.parameters[EXPONENT]
    for bounds in ((low, exponent - APART), (exponent + APART, high)):
        if bounds[0] < bounds[1]:
            law = replace(used.law, exponents={**used.law.exponents, EXPONENT: bounds})
            other = fitting.fit(law, used.points, used.y)
            if other.rss <= used.rss * (1 + TIE) and EXPONENT not in other.at_bound:
                yield other


def _error(fit: fitting.Fit, hidden: pd.DataFrame) -> float:
    return float(100 * np.abs(fit.predict(hidden) / hidden["value"] - 1).mean())
