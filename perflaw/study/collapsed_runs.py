"""Collapsed runs of the public grids, and whether the consensus fit names them unseen."""

from __future__ import annotations

import numpy as np
import pandas as pd

from perflaw.laws import families, fitting
from perflaw.study.public_grids import CELL, SURFACE, hide

COLLAPSED = 1 / 3  # of the median of its grid neighbours: below it a run has collapsed


def mark_collapsed(runs: pd.DataFrame) -> pd.Series:
    """Mark runs whose test metric is below a third of the median of their grid neighbours.

    Neighbours differ by one step along one of N, d, heads and dropout. The definition was fixed
    before any fit.
    """
    axes = [*CELL, "dropout"]
    marks = pd.Series(False, runs.index)
    for _, surface in runs.groupby(SURFACE):
        places = np.column_stack([surface[name].rank(method="dense") for name in axes])
        steps = np.abs(places[:, None] - places[None]).sum(axis=2)
        values = surface["test"].to_numpy()
        medians = [np.median(values[row == 1]) for row in steps]
        marks[surface.index] = values < COLLAPSED * np.array(medians)
    return marks


def find_collapsed(runs: pd.DataFrame, factor: float = COLLAPSED) -> pd.DataFrame:
    """Look for collapsed runs with the consensus fit, from the visible runs of each surface alone.

    The log-quadratic law is fitted to the logarithm of the test metric of all visible runs of a
    surface, whatever their heads and dropout.

    Parameters
    ----------
    runs : pandas.DataFrame
        What `public_grids.load_runs` returns. The runs of the largest d are hidden.
    factor : float
        A run is named if the consensus leaves it out and it is below this share of the fit's
        value; 1 names every outlier below the fit.

    Returns
    -------
    pandas.DataFrame
        One row a surface: visible, collapsed (by `mark_collapsed`, among the visible), found,
        missed and falsely (named although they did not collapse).
    """
    law = families.log_quadratic()
    marks = mark_collapsed(runs)
    rows = []
    for key, surface in runs.groupby(SURFACE):
        visible = surface[~hide(surface, "largest d")]
        fitted = fitting.fit(
            law, visible.assign(seed=visible["grid_point"]), np.log(visible["test"]), "consensus"
        )
        is_named = (fitted.weights == 0) & (fitted.residuals < np.log(factor))
        is_collapsed = marks[visible.index].to_numpy()
        counts = {
            "visible": len(visible),
            "collapsed": int(is_collapsed.sum()),
            "found": int((is_collapsed & is_named).sum()),
            "missed": int((is_collapsed & ~is_named).sum()),
            "falsely": int((is_named & ~is_collapsed).sum()),
        }
        rows.append(dict(zip(SURFACE, key)) | counts)
    return pd.DataFrame(rows)
