"""Joint laws judged by hidden cells, and chosen by visible ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import norm

from perflaw.laws.families import Array
from perflaw.laws.mixed import interval_reach
from perflaw.laws.mixed_design import (
    FORMS,
    RATIO,
    MixedForm,
    SurfaceCells,
    build_model,
    make_cells,
    metric_rotation,
)
from perflaw.laws.reml import Rows, condition, estimate_variances, loo_moments
from perflaw.laws.validation import LEAVE_ONE_OUT, hidden_cells
from perflaw.stats import check_level

GROUPS = 14  # of cells that are set aside together while the variances are estimated


def mixed_heldout(
    table: pd.DataFrame, forms: Sequence[MixedForm] = FORMS, level: float = 0.9
) -> pd.DataFrame:
    """Predict hidden cells with each form.

    What is hidden is hidden whole: a left-out cell in every metric of its surface, a larger
    N or the largest d in every surface and metric of its log; other logs stay visible. The
    variances, and the exponents of a form that has any, never see a hidden cell: for
    leave-one-out they are estimated with a fourteenth of all cells set aside at a time.

    Parameters
    ----------
    table : pandas.DataFrame
        As `make_cells` takes it.
    forms : sequence of MixedForm
    level : float
        Confidence level of the intervals, by which a cell is covered or not.

    Returns
    -------
    pandas.DataFrame
        Rows as `perflaw.laws.validation.heldout_by_surface` gives them; predicted and covered are
        nan where the visible cells do not determine a form at a hidden one.
    """
    check_level(level)
    data = make_cells(table)
    rotation = metric_rotation(len(data.metrics))
    groups = hidden_groups(data)
    contrasts = [
        [_predict_hidden(data, RATIO, k, group) for group in groups]
        for k in range(1, len(data.metrics))
    ]
    tables = []
    for form in forms:
        common_levels = [_predict_hidden(data, form, 0, group) for group in groups]
        for group, *moments in zip(groups, common_levels, *contrasts):
            means, variances = map(np.array, zip(*moments))
            reach = interval_reach(level, group.split != LEAVE_ONE_OUT, data.log_dof)
            for metric, weights, logs in zip(data.metrics, rotation, data.log.T):
                mean = weights @ means
                measured = logs[group.rows]
                is_covered = np.abs(measured - mean) <= reach * np.sqrt(weights**2 @ variances)
                cells = data.frame.iloc[group.rows].assign(
                    law=form.name,
                    metric=metric,
                    split=group.split,
                    part=group.part,
                    covered=np.where(np.isnan(mean), np.nan, is_covered),
                    value=np.exp(measured),
                    predicted=np.exp(mean),
                )
                tables.append(cells)
    cells = pd.concat(tables, ignore_index=True)
    return cells.assign(ape=100 * (cells["predicted"] / cells["value"] - 1).abs())


def choose_form(table: pd.DataFrame, forms: Sequence[MixedForm] = FORMS) -> pd.DataFrame:
    """Say which form the visible cells choose in each split, by leaving each of them out.

    The score is the mean log density that a form gives to ln y of a visible cell (the
    metrics' common level) predicted from the other visible cells; a proper score that
    weighs a log by its own noise. Nothing hidden is looked at.

    Returns
    -------
    pandas.DataFrame
        One row a split, dataset (the log whose cells are hidden) and law: score, and chosen (the
        best of its split).
    """
    data = make_cells(table)
    y = data.rotated[:, 0]
    rows = []
    for group in hidden_groups(data):
        seen = np.setdiff1d(np.arange(len(data)), group.rows)
        visible = np.full(len(data), np.nan)
        visible[seen] = y[seen]
        for form in forms:
            model = build_model(data.frame, data.frame, form, visible)
            mean, variance = loo_moments(model, estimate_variances(model, y, seen), y, seen)
            score = float(norm.logpdf(y[seen], mean, np.sqrt(variance)).mean())
            rows.append((group.split, group.part, form.name, score))
    scores = pd.DataFrame(rows, columns=["split", "dataset", "law", "score"])
    best = scores.groupby(["split", "dataset"])["score"].transform("max")
    return scores.assign(chosen=scores["score"] == best)


class HiddenGroup(NamedTuple):
    """Rows of the cells that are hidden together, their split, and the log or part they are of."""

    rows: Rows
    split: str
    part: str


def hidden_groups(data: SurfaceCells) -> list[HiddenGroup]:
    """Return what is hidden together: parts of all cells, and each split of each log."""
    order = np.random.default_rng(0).permutation(len(data))
    groups = [
        HiddenGroup(rows, LEAVE_ONE_OUT, f"part {i}")
        for i, rows in enumerate(np.array_split(order, GROUPS), 1)
    ]
    for dataset, cells in data.frame.groupby("dataset"):
        for split, masks in hidden_cells(cells).items():
            if split != LEAVE_ONE_OUT:
                rows = cells.index[masks[0]].to_numpy()
                groups.append(HiddenGroup(rows, split, str(dataset)))
    return groups


def _predict_hidden(
    data: SurfaceCells, form: MixedForm, k: int, group: HiddenGroup
) -> tuple[Array, Array]:
    """Return means and variances (noise included) of rotated metric k at the hidden rows."""
    y = data.rotated
    is_seen = np.ones(len(data), bool)
    is_seen[group.rows] = False
    seen = np.flatnonzero(is_seen)
    model = build_model(data.frame, data.frame, form, np.where(is_seen, y[:, 0], np.nan))
    variances = estimate_variances(model, y[:, k], seen)
    if group.split == LEAVE_ONE_OUT:
        mean, variance = loo_moments(model, variances, y[:, k], np.arange(len(data)))
        return mean[group.rows], variance[group.rows]
    mean, covariance = condition(model, variances, y[:, k], seen, group.rows)
    return mean, np.diag(covariance) + model.noise_variance(variances)[group.rows]
