"""Predictions of larger models from smaller ones, and how they came out.

Surfaces are those of `mean_surfaces`. A prediction is compared with the mean over seeds that was
measured later, and its error counted in standard deviations of such a mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, cast

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from perflaw.errors import InputError
from perflaw.laws import families, fitting, identifiability, mixed
from perflaw.stats import check_level
from perflaw.study.analysis.seed_noise import SHARED_USER_CORRELATION
from perflaw.study.analysis.study_runs import surface_names
from perflaw.study.intervals import compare_with_reference, mean_over_logs
from perflaw.study.trained_cells import predict_by_trained

SMALL_GRID = (3, 32)
"""N and d up to which a model is small: what larger ones are predicted from."""
EXTRAPOLATED_LAWS = (
    "constant",
    "log-linear",
    "log-quadratic",
    "sum of powers",
    "power of parameters",
    "Performance Law, k = 2",
)
JOINT_LAW = "joint law"
LEAST_TOLERANCE, TOLERATED_NOISES = 3.0, 1.5  # per cent, and standard deviations of noise
CELL = ["dataset", *families.AXES]


def rival_name(family: str) -> str:
    """Return the name that a family of laws, with its usual options, has in the study's tables."""
    wanted = families.get_law(family).name
    return next(name for name, law in families.rival_laws().items() if law.name == wanted)


def extrapolate(seen: pd.DataFrame, new_cells: pd.DataFrame, level: float = 0.9) -> pd.DataFrame:
    """Predict cells not seen: each law fitted to each surface alone, and the joint law of all.

    A law that the values along an axis do not determine is left out.

    Parameters
    ----------
    seen
        Surfaces, as `mean_surfaces` returns them.
    new_cells
        Columns n_layers and d_emb, evaluated on every surface.
    level
        Level of the intervals, for the mean of as many seeds as the seen cells have.

    Returns
    -------
    DataFrame
        Columns dataset, metric, law, n_layers, d_emb, predicted, low and high.
    """
    check_level(level)
    cells = new_cells[list(families.AXES)].reset_index(drop=True)
    rivals = families.rival_laws()
    parts = []
    for (dataset, metric), surface in seen.groupby(["dataset", "metric"], sort=False):
        points = surface.reset_index(drop=True)
        for name in EXTRAPOLATED_LAWS:
            if is_determined(rivals[name], points):
                interval = fitting.fit(rivals[name], points, points["value"]).interval(cells, level)
                parts.append(_label(cells, str(dataset), str(metric), name, interval))
    joint = mixed.fit_mixed(seen)
    lengths = seen[["dataset", "max_seq_len"]].drop_duplicates()
    for dataset, length in lengths.itertuples(index=False):
        points = cells.assign(dataset=dataset, max_seq_len=length)
        for metric in joint.data.metrics:
            try:
                interval = joint.predict(points, metric, level)
            except InputError:  # the visible cells do not determine it there
                continue
            parts.append(_label(cells, dataset, metric, JOINT_LAW, interval))
    columns = ["dataset", "metric", "law", *families.AXES, "predicted", "low", "high"]
    return pd.concat(parts, ignore_index=True)[columns]


def baseline_predictions(seen: pd.DataFrame, new_cells: pd.DataFrame) -> pd.DataFrame:
    """Predict cells not seen by the three baselines, which have no intervals.

    Parameters
    ----------
    seen
        Surfaces, as `mean_surfaces` returns them.
    new_cells
        Columns n_layers and d_emb, evaluated on every surface.

    Returns
    -------
    DataFrame
        Columns dataset, metric, law, n_layers, d_emb and predicted. Laws: the mean of the cells
        seen; the nearest of them, on logarithmic axes, the larger d on ties; the best of them by
        validation, or by value where there is no validation.
    """
    axes = list(families.AXES)
    cells = new_cells[axes].drop_duplicates().reset_index(drop=True)
    parts = []
    for (dataset, metric), surface in seen.groupby(["dataset", "metric"], sort=False):
        parts += [
            cells.assign(dataset=str(dataset), metric=str(metric), law=name, predicted=values)
            for name, values in predict_by_trained(surface, cells).items()
        ]
    return pd.concat(parts, ignore_index=True)[["dataset", "metric", "law", *axes, "predicted"]]


def is_determined(law: families.Law, points: pd.DataFrame) -> bool:
    """Say whether points determine a law and leave a degree of freedom."""
    n_parameters = len(law.parameters)
    return (
        identifiability.identifiable_rank(law, points) >= n_parameters
        and len(points) > n_parameters
    )


def _label(
    cells: pd.DataFrame, dataset: str, metric: str, law: str, interval: pd.DataFrame
) -> pd.DataFrame:
    return cells.assign(
        dataset=dataset,
        metric=metric,
        law=law,
        predicted=interval["prediction"],
        low=interval["low"],
        high=interval["high"],
    )


def score_predictions(
    predictions: pd.DataFrame, measured: pd.DataFrame, noise: pd.Series | None = None
) -> pd.DataFrame:
    """Put predictions beside the means over seeds that were measured later.

    Parameters
    ----------
    predictions
        As `extrapolate` returns them.
    measured
        Surfaces, as `mean_surfaces` returns them.
    noise
        By surface, the standard deviation of a run between seeds, in per cent.

    Returns
    -------
    DataFrame
        Columns of both, error and ape (signed and absolute, per cent), covered (nan where there
        is no interval) and, given noise, unit (the standard deviation of such a mean, per cent)
        and noises (how many of them the error is).
    """
    columns = ["dataset", "metric", *families.AXES]
    observed = measured[[*columns, "log", "value", "sd", "seeds"]]
    others = predictions.drop(columns="log", errors="ignore")
    scored = others.merge(observed, on=columns)
    scored["error"] = 100 * (scored["predicted"] / scored["value"] - 1)
    scored["ape"] = scored["error"].abs()
    if "low" not in scored:
        scored = scored.assign(low=np.nan, high=np.nan)
    is_inside = (scored["low"] <= scored["value"]) & (scored["value"] <= scored["high"])
    scored["covered"] = is_inside.astype(float).where(scored["low"].notna())
    if noise is not None:
        scored["unit"] = scored["dataset"].map(noise) / np.sqrt(scored["seeds"])
        scored["noises"] = scored["ape"] / scored["unit"]
    return scored


def is_small(cells: pd.DataFrame) -> pd.Series:
    """Say which cells are within SMALL_GRID."""
    most_n, most_d = SMALL_GRID
    return (cells["n_layers"] <= most_n) & (cells["d_emb"] <= most_d)


def first_large_start(runs: pd.DataFrame) -> pd.Series:
    """Say when the first model beyond SMALL_GRID was started, of each surface, by name.

    That is when it was finished, less the seconds that it took.
    """
    large = runs[~is_small(runs)]
    took = pd.to_timedelta(large["seconds"], unit="s")
    started = pd.to_datetime(large["finished"]) - took
    return started.groupby(surface_names(large)).min()


def error_tolerance(seed_noise: pd.Series, user_noise: pd.Series) -> pd.Series:
    """Say how far a prediction may be off, in per cent.

    It is 1.5 standard deviations of the observed mean, between seeds and over users together, or
    3 %, whichever is larger. Prediction and observation are of the same users: of the error over
    these only what two models do not share is counted (SHARED_USER_CORRELATION).
    """
    unshared = np.sqrt(1 - SHARED_USER_CORRELATION) * user_noise
    tolerated = TOLERATED_NOISES * np.hypot(seed_noise, unshared)
    return cast("pd.Series", np.maximum(LEAST_TOLERANCE, tolerated))


def summarise_by_law(scored: pd.DataFrame, users: pd.Series) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Summarise scored predictions by law.

    Parameters
    ----------
    scored
        As `score_predictions` returns them, with noises.
    users
        By surface, the standard error of a run over users, in per cent.

    Returns
    -------
    cells, means
        The cells with allowed (`error_tolerance`), within and width (half of the interval, per
        cent); and by law: cells, error, larger N and larger d only (means over logs), worst,
        noises, width (median), within and covered (shares of all cells), all but cells and noises
        in per cent; width and covered are nan of a baseline.
    """
    allowed = error_tolerance(scored["unit"], scored["dataset"].map(users))
    scored = scored.assign(
        allowed=allowed,
        within=scored["ape"] <= allowed,
        width=50 * (scored["high"] - scored["low"]) / scored["predicted"],
    )
    is_deep = scored["n_layers"] > SMALL_GRID[0]
    by_law = scored.groupby("law", sort=False)
    means = by_law.agg(cells=("ape", "size"))
    means["error"] = mean_by_law(scored)
    means["larger N"] = mean_by_law(scored[is_deep])
    means["larger d only"] = mean_by_law(scored[~is_deep])
    means["worst"] = by_law["ape"].max()
    means["noises"] = by_law["noises"].mean()
    means["width"] = by_law["width"].median()
    means["within"] = 100 * by_law["within"].mean()
    means["covered"] = 100 * by_law["covered"].mean()
    return scored, means.reset_index()


def mean_by_law(scored: pd.DataFrame) -> pd.Series:
    """Average the absolute error over cells, then over surfaces, then over logs, by law."""
    surfaces = scored.groupby(["law", "log", "dataset"], sort=False)["ape"].mean().reset_index()
    return mean_over_logs(surfaces, ["ape"], ["law"])["ape"]


def compare_errors(scored: pd.DataFrame, reference: str, level: float = 0.9) -> pd.DataFrame:
    """Compare each law's absolute error with that of a reference on the same cells.

    Parameters
    ----------
    scored
        As `score_predictions` returns them.
    reference
        Name of a law or baseline.
    level
        Level of the intervals, which are Student's, over logs.

    Returns
    -------
    DataFrame
        Columns law, mean (error of the law less that of the reference, in points of per cent),
        low, high and logs.
    """
    return compare_with_reference(scored, "law", "ape", reference, CELL, level)


class Coverage(NamedTuple):
    """Cells inside their interval, cells with one, and the interval of the share, in per cent."""

    inside: int
    cells: int
    low: float
    high: float

    @property
    def in_words(self) -> str:
        """How many of how many cells."""
        return f"{self.inside} of {self.cells}"


def coverage_interval(covered: pd.Series, level: float = 0.9) -> Coverage:
    """Count the cells inside their intervals, with the exact binomial interval of the share.

    Cells of one fit are not independent, so the interval is rather too narrow.

    Parameters
    ----------
    covered
        Of each cell, 1 or 0; nan where there is no interval.
    level
        Level of the binomial interval.
    """
    check_level(level)
    known = covered.dropna()
    if known.empty:
        return Coverage(0, 0, np.nan, np.nan)
    inside = int(known.sum())
    share = binomtest(inside, len(known)).proportion_ci(level)
    return Coverage(inside, len(known), 100 * share.low, 100 * share.high)


def shrink_predictions(
    scored: pd.DataFrame, law: str = JOINT_LAW, learn: Sequence[str] | None = None
) -> pd.DataFrame:
    """Estimate which share of a predicted change was observed, and predict with that share.

    Changes are logarithms of the ratio to what the law "constant" predicts.

    Parameters
    ----------
    scored
        As `score_predictions` returns them, of one metric.
    law
        The law whose predictions are shrunk.
    learn
        Surfaces from which the share is estimated by least squares, the surface itself left
        out; None: all others.

    Returns
    -------
    DataFrame
        One row a surface. Columns dataset, share, and the mean absolute errors (per cent) of the
        law, of the constant, and of shrunk: the constant, moved by that share of the change.
    """
    by_law = scored.set_index([*CELL, "law"])["predicted"].unstack()
    predicted = by_law.clip(lower=1e-6).apply(np.log)
    value = np.log(scored.drop_duplicates(CELL).set_index(CELL)["value"]).reindex(predicted.index)
    predicted_change = predicted[law] - predicted["constant"]
    observed_change = value - predicted["constant"]
    datasets = predicted.index.get_level_values("dataset")
    may_learn = np.ones(len(datasets), bool) if learn is None else datasets.isin(learn)
    rows = []
    for name in datasets.unique():
        is_own = datasets == name
        can_teach = ~is_own & may_learn
        x, y = predicted_change[can_teach], observed_change[can_teach]
        share = float(x @ y / (x @ x))
        errors = (
            predicted_change - observed_change,
            -observed_change,
            share * predicted_change - observed_change,
        )
        means = [100 * np.abs(np.expm1(error[is_own])).mean() for error in errors]
        rows.append((name, share, *means))
    return pd.DataFrame(rows, columns=["dataset", "share", law, "constant", "shrunk"])


def shrink_laws(
    scored: pd.DataFrame, laws: Sequence[str], earlier: Sequence[str]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Shrink several laws, on all surfaces and on those that were predicted later.

    Parameters
    ----------
    scored
        As `score_predictions` returns them, of one metric.
    laws
        Laws whose predictions are shrunk.
    earlier
        Surfaces that were predicted first; the share for the others is learnt on these alone.

    Returns
    -------
    means, later
        By law, the means over logs of share, unshrunk, shrunk and constant, and the same of the
        later surfaces as "later: …"; and the later surfaces one by one, with log and gain
        (constant less shrunk).
    """
    columns = ["share", "unshrunk", "shrunk", "constant"]
    means = mean_over_logs(_shrink_each(scored, laws), columns, ["law"])
    later = _shrink_each(scored, laws, list(earlier))
    later = later[~later["dataset"].isin(earlier)]
    later = later.assign(gain=later["constant"] - later["shrunk"])
    of_later = mean_over_logs(later, columns, ["law"]).add_prefix("later: ")
    return means.join(of_later).reset_index(), later


def _shrink_each(
    scored: pd.DataFrame, laws: Sequence[str], learn: Sequence[str] | None = None
) -> pd.DataFrame:
    """Shrink each law by `shrink_predictions`: a row a law and surface, with its log."""
    tables = [
        shrink_predictions(scored, law, learn).rename(columns={law: "unshrunk"}).assign(law=law)
        for law in laws
    ]
    table = pd.concat(tables)
    logs = scored.drop_duplicates("dataset").set_index("dataset")["log"]
    return table.assign(log=table["dataset"].map(logs))
