"""Joint laws judged by hidden cells, and chosen by visible ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.stats import norm

from perflaw.laws.families import Array
from perflaw.laws.mixed import interval_reach, log_dof
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

    Returns
    -------
    pandas.DataFrame
        Rows as `perflaw.laws.validation.heldout_by_surface` gives them; predicted and covered are
        nan where the visible cells do not determine a form at a hidden one.
    """
    check_level(level)
    data = make_cells(table)
    rotation = metric_rotation(len(data.metrics))
    groups, dof = hidden_groups(data), log_dof(data)
    contrasts = [
        [_predict_hidden(data, RATIO, k, rows, split) for rows, split, _ in groups]
        for k in range(1, len(data.metrics))
    ]
    tables = []
    for form in forms:
        levels = [_predict_hidden(data, form, 0, rows, split) for rows, split, _ in groups]
        for i, (rows, split, part) in enumerate(groups):
            means, variances = zip(levels[i], *(contrast[i] for contrast in contrasts))
            reach = interval_reach(level, split != LEAVE_ONE_OUT, dof)
            for metric, weights, logs in zip(data.metrics, rotation, data.log.T):
                mean = weights @ np.array(means)
                variance = weights**2 @ np.array(variances)
                is_covered = np.abs(logs[rows] - mean) <= reach * np.sqrt(variance)
                cells = data.frame.iloc[rows].assign(
                    law=form.name,
                    metric=metric,
                    split=split,
                    part=part,
                    covered=np.where(np.isnan(mean), np.nan, is_covered),
                    value=np.exp(logs[rows]),
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
    for hidden, split, part in hidden_groups(data):
        seen = np.setdiff1d(np.arange(len(data)), hidden)
        visible = np.full(len(data), np.nan)
        visible[seen] = y[seen]
        for form in forms:
            model = build_model(data.frame, data.frame, form, visible)
            mean, variance = loo_moments(model, estimate_variances(model, y, seen), y, seen)
            score = float(norm.logpdf(y[seen], mean, np.sqrt(variance)).mean())
            rows.append((split, part, form.name, score))
    scores = pd.DataFrame(rows, columns=["split", "dataset", "law", "score"])
    best = scores.groupby(["split", "dataset"])["score"].transform("max")
    return scores.assign(chosen=scores["score"] == best)


def hidden_groups(data: SurfaceCells) -> list[tuple[Rows, str, str]]:
    """Return rows that are hidden together, their split, and the log or part that they are of."""
    order = np.random.default_rng(0).permutation(len(data))
    groups = [
        (rows, LEAVE_ONE_OUT, f"part {i + 1}")
        for i, rows in enumerate(np.array_split(order, GROUPS))
    ]
    for dataset, cells in data.frame.groupby("dataset"):
        for split, masks in hidden_cells(cells).items():
            if split != LEAVE_ONE_OUT:
                groups.append((cells.index[masks[0]].to_numpy(), split, str(dataset)))
    return groups


def _predict_hidden(
    data: SurfaceCells, form: MixedForm, k: int, hidden: Rows, split: str
) -> tuple[Array, Array]:
    """Return means and variances (noise included) of rotated metric k at the hidden rows."""
    y = data.rotated
    is_seen = np.ones(len(data), bool)
    is_seen[hidden] = False
    seen = np.flatnonzero(is_seen)
    model = build_model(data.frame, data.frame, form, np.where(is_seen, y[:, 0], np.nan))
    variances = estimate_variances(model, y[:, k], seen)
    if split == LEAVE_ONE_OUT:
        mean, variance = loo_moments(model, variances, y[:, k], np.arange(len(data)))
        return mean[hidden], variance[hidden]
    mean, spread = condition(model, variances, y[:, k], seen, hidden)
    return mean, np.diag(spread) + model.noise_variance(variances)[hidden]
