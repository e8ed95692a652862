"""Held-out errors on the published surfaces: differences over logs, bounds, shrunk exponents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from perflaw.errors import InputError
from perflaw.laws import families, fitting, linear, mixed, validation
from perflaw.laws.law import with_bounds, with_penalty
from perflaw.stats import mean_interval
from perflaw.study.files import study_file
from perflaw.study.paper.published import SURFACE
from perflaw.study.trained_cells import NEAREST, nearest_values, order_by_size

BOUNDS = (0.5, 1.0, 3.0)  # of every exponent
N_EXPONENTS = 2000  # tried between the bounds; even, so that none is zero
STRENGTHS = (0.0, 0.01, 0.1, 1.0)  # of a penalty: shares of the total sum of squares
SHRUNK = {"performance": "Performance Law, k = 2", "sum_of_powers": "sum of powers"}


def differences_over_logs(
    cells: pd.DataFrame, law: str, other: str, level: float = 0.9
) -> pd.DataFrame:
    """Compare two laws' errors on hidden cells, with logs as the independent units.

    Parameters
    ----------
    cells : pandas.DataFrame
        As `validation.heldout_by_surface` returns them.
    law, other : str
        Names in the column law.
    level : float
        Of Student's interval over logs.

    Returns
    -------
    pandas.DataFrame
        One row a split: difference (mean error of `law` less that of `other`, in points, averaged
        over cells, then surfaces, then logs), low, high, and logs (how many).
    """
    by_log = _errors_by_log(cells)
    rows = [
        (split, *mean_interval(values, level), len(values))
        for split, values in (by_log[law] - by_log[other]).groupby(level="split", sort=False)
    ]
    return pd.DataFrame(rows, columns=["split", "difference", "low", "high", "logs"])


def ratios_over_logs(cells: pd.DataFrame, law: str, other: str, level: float = 0.9) -> pd.DataFrame:
    """Divide a law's error on hidden cells by another's on each log, with logs as the units.

    A log with large errors sets the variance of a difference, but not that of a ratio.

    Parameters
    ----------
    cells, law, other, level
        As of `differences_over_logs`.

    Returns
    -------
    pandas.DataFrame
        One row a split: ratio (geometric mean over logs), ratio_low and ratio_high (Student's
        interval of the logarithm).
    """
    by_log = _errors_by_log(cells)
    logarithms = by_log[law].map(np.log) - by_log[other].map(np.log)
    rows = [
        (split, *np.exp(mean_interval(values, level)))
        for split, values in logarithms.groupby(level="split", sort=False)
    ]
    return pd.DataFrame(rows, columns=["split", "ratio", "ratio_low", "ratio_high"])


def nearest_heldout(points: pd.DataFrame) -> pd.DataFrame:
    """Predict hidden cells by the nearest visible cell of their surface.

    Parameters
    ----------
    points : pandas.DataFrame
        Surfaces, as `published.load_surfaces` returns them.

    Returns
    -------
    pandas.DataFrame
        Rows of `validation.heldout_by_surface`, without intervals: covered is nan.
    """
    parts = []
    for key, rows in points.groupby(SURFACE, sort=False):
        surface = rows.reset_index(drop=True)
        labels: dict[str, Any] = {"law": NEAREST, **dict(zip(SURFACE, key)), "covered": np.nan}
        for split, masks in validation.hidden_cells(surface).items():
            for is_hidden in masks:
                hidden = surface.loc[is_hidden, ["value"]]
                predicted = nearest_values(surface[~is_hidden], surface[is_hidden])
                parts.append(
                    hidden.assign(split=split, row=hidden.index, predicted=predicted, **labels)
                )
    cells = pd.concat(parts, ignore_index=True)
    return cells.assign(ape=100 * (cells["predicted"] / cells["value"] - 1).abs())


def errors_by_tie_rule(points: pd.DataFrame) -> pd.DataFrame:
    """Predict each cell by the nearest of the others, under three rules for ties.

    Parameters
    ----------
    points : pandas.DataFrame
        Surfaces, as `published.load_surfaces` returns them.

    Returns
    -------
    pandas.DataFrame
        One row a log: mean absolute error in per cent with the largest d and of these the largest
        N ("larger N", as `nearest_heldout` has it), with the largest d and the smallest N
        ("smaller N"), and with the mean of all that are equally near ("mean").
    """
    rows = []
    for key, surface in points.groupby(SURFACE, sort=False):
        ordered = order_by_size(surface)
        value, d_emb = ordered["value"].to_numpy(), ordered["d_emb"].to_numpy()
        sizes = np.log(ordered[list(families.AXES)].to_numpy(float))
        distances = ((sizes[:, None] - sizes) ** 2).sum(axis=2).round(9)
        np.fill_diagonal(distances, np.inf)
        for hidden, row in enumerate(distances):
            tied = np.flatnonzero(row == row.min())
            widest = tied[d_emb[tied] == d_emb[tied].max()]
            predicted = np.array([value[widest[0]], value[widest[-1]], value[tied].mean()])
            rows.append((*key, *(100 * np.abs(predicted / value[hidden] - 1))))
    rules = ["larger N", "smaller N", "mean"]
    errors = pd.DataFrame(rows, columns=[*SURFACE, *rules])
    return errors.groupby(SURFACE)[rules].mean().groupby("dataset").mean()


def noise_ceilings(points: pd.DataFrame) -> pd.DataFrame:
    """Estimate the R² that the true surface would have, given the noise of single runs.

    The noise is what the joint law leaves of each log's points, as the paper has one run a cell.

    Returns
    -------
    pandas.DataFrame
        One row a surface: those of SURFACE, and ceiling: 1 less the share of the squared
        deviations from the mean that the noise makes.
    """
    law = mixed.fit_mixed(points)
    rows = []
    for key, surface in points.groupby(SURFACE, sort=False):
        noise = law.posterior(surface, str(surface["metric"].iloc[0]))[2]
        value = surface["value"].to_numpy()
        ceiling = 1 - (noise * value**2).sum() / ((value - value.mean()) ** 2).sum()
        rows.append({**dict(zip(SURFACE, key)), "ceiling": ceiling})
    return pd.DataFrame(rows)


def errors_by_bound(points: pd.DataFrame) -> pd.DataFrame:
    """Predict hidden cells by every law that has exponents, all of them within each of `BOUNDS`.

    Returns
    -------
    pandas.DataFrame
        Rows of `validation.heldout_by_surface` with the column bound.
    """
    parts = []
    for bound in BOUNDS:
        laws = {name: law for name, law in families.rival_laws(bound).items() if law.exponents}
        cells = validation.heldout_by_surface(laws, points, SURFACE)
        parts.append(cells.assign(bound=bound))
    return pd.concat(parts, ignore_index=True)


def exact_exponents(
    points: pd.DataFrame, family: str, bound: float = families.EQUAL_BOUND
) -> pd.Series:
    """Count the exponents along d with which a law passes through every visible mean.

    The largest d is hidden, as in the split of that name. A mean is over N.

    Parameters
    ----------
    points : pandas.DataFrame
        Surfaces, as `published.load_surfaces` returns them.
    family : str
        Name of a family with an intercept, a weight and an exponent for each axis.
    bound : float
        The exponents tried lie within plus or minus this.

    Returns
    -------
    pandas.Series
        A number for each surface, indexed by the columns of SURFACE.

    Raises
    ------
    InputError
        If a surface has other than three visible values of d, or the law is of another form.
    """
    law = families.get_law(family, axes=("d_emb",))
    if (len(law.linear), len(law.exponents)) != (2, 1):
        raise InputError(
            f"this needs a law with one weight and one exponent an axis, such as sum_of_powers; "
            f"{family} is none"
        )
    exponents = np.linspace(-bound, bound, N_EXPONENTS)[:, None]
    counts = {}
    for key, surface in points.groupby(SURFACE, sort=False):
        visible = surface[surface["d_emb"] < surface["d_emb"].max()]
        means = visible.groupby("d_emb", as_index=False)["value"].mean()
        if len(means) != 3:
            raise InputError(f"surface {key} has {len(means)} visible values of d; 3 are needed")
        columns = linear.design_columns(law, families.law_axes(law, means), exponents)
        values = np.broadcast_to(means["value"].to_numpy()[:, None], (len(exponents), 3, 1))
        # Three values are met exactly where their column depends on the law's two.
        volume = np.linalg.det(np.concatenate([columns, values], axis=2))
        counts[key] = int((np.diff(np.sign(volume)) != 0).sum())
    return pd.Series(counts, name="exponents").rename_axis(SURFACE)


def joint_hidden_everywhere(points: pd.DataFrame, level: float = 0.9) -> pd.DataFrame:
    """Predict hidden cells by the joint law, those of all logs hidden at once.

    Returns
    -------
    pandas.DataFrame
        Rows of `validation.heldout_by_surface` for the splits larger N and largest d.
    """
    cells = points[[*SURFACE[:2], "n_layers", "d_emb"]].drop_duplicates()
    parts = []
    for split in (validation.LARGER_N, validation.LARGEST_D):
        hidden = pd.concat(
            [rows[validation.hidden_cells(rows)[split][0]] for _, rows in cells.groupby("dataset")]
        )
        law = mixed.fit_mixed(points, hide=hidden)
        asked = points.merge(hidden)
        for metric, rows in asked.groupby("metric"):
            interval = law.predict(rows, str(metric), level).set_axis(rows.index)
            is_inside = rows["value"].between(interval["low"], interval["high"])
            parts.append(
                rows.assign(predicted=interval["prediction"], covered=is_inside, split=split)
            )
    table = pd.concat(parts, ignore_index=True)
    ape = 100 * (table["predicted"] / table["value"] - 1).abs()
    return table.assign(law="joint law, all logs hidden", ape=ape)


def shrunk_heldout(
    points: pd.DataFrame, family: str, bound: float = families.EQUAL_BOUND
) -> pd.DataFrame:
    """Predict hidden cells by a law whose exponents are shrunk towards those of the other logs.

    For each log the centres are the median exponents on the other logs. The strength of the
    penalty, one of `STRENGTHS`, is the one with the least error on the other logs: each of their
    cells is hidden in turn, and the centres are those of the remaining logs. So neither centres
    nor strength depend on the scored log.

    Returns
    -------
    pandas.DataFrame
        Rows of `validation.heldout_by_surface`, with the column strength.
    """
    law = with_bounds(families.get_law(family), -bound, bound)
    fits = fitting.fit_surfaces(law, points, SURFACE)
    exponents = pd.DataFrame(
        [fit.parameters[list(law.exponents)] for fit in fits.values()],
        pd.Index([log for log, *_ in fits], name="dataset"),
    )
    logs = list(points["dataset"].unique())
    parts = []
    for log in logs:
        others = [name for name in logs if name != log]
        errors = [_loo_error(points, law, exponents, others, strength) for strength in STRENGTHS]
        best = STRENGTHS[int(np.argmin(errors))]
        cells = _predict_log(points, law, exponents, log, others, best)
        parts.append(cells.assign(law=f"{SHRUNK[family]}, shrunk", strength=best))
    return pd.concat(parts, ignore_index=True)


def load_shrunk_heldout() -> pd.DataFrame:
    """Load the rows of `shrunk_heldout` for both laws: data/published/shrunk_predictions.csv."""
    cells = pd.read_csv(study_file("data", "published", "shrunk_predictions.csv"))
    ape = 100 * (cells["predicted"] / cells["value"] - 1).abs()
    return cells.assign(ape=ape, covered=np.nan)


def _errors_by_log(cells: pd.DataFrame) -> pd.DataFrame:
    """Average over cells, then surfaces: a row a split and log, a column a law."""
    surfaces = cells.groupby(["split", *SURFACE, "law"], sort=False)["ape"].mean().unstack("law")
    return surfaces.groupby(["split", "dataset"], sort=False).mean()


def _predict_log(
    points: pd.DataFrame,
    law: families.Law,
    exponents: pd.DataFrame,
    log: str,
    teachers: Sequence[str],
    strength: float,
) -> pd.DataFrame:
    """Predict hidden cells of one log, exponents shrunk towards those of the teachers but it."""
    is_teacher = exponents.index.isin(teachers) & (exponents.index != log)
    centres = {name: float(exponents.loc[is_teacher, name].median()) for name in law.exponents}
    shrunk = with_penalty(law, centres, strength)
    own = points[points["dataset"] == log]
    return validation.heldout_by_surface({"shrunk": shrunk}, own, SURFACE)


def _loo_error(
    points: pd.DataFrame,
    law: families.Law,
    exponents: pd.DataFrame,
    logs: Sequence[str],
    strength: float,
) -> float:
    """Average over logs the error on cells hidden in turn, each log taught by the others."""
    errors = []
    for log in logs:
        cells = _predict_log(points, law, exponents, log, logs, strength)
        in_turn = cells[cells["split"] == validation.LEAVE_ONE_OUT]
        errors.append(in_turn.groupby(SURFACE)["ape"].mean().mean())
    return float(np.mean(errors))
