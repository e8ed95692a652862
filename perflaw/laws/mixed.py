"""The joint law: surfaces that borrow shape from each other.

Surfaces of one log at several sequence lengths, and two metrics of the same runs, rise and
fall alike. The joint law is a log-quadratic with partial pooling, fitted to the logarithm
of the metric on all surfaces at once. With u and v the logarithms of N and d, scaled to
[-1, 1] over the grid of each log, and averaged over the metrics of a run,

    ln y = alpha_s + b_g u + c_g v + a u^2 + k v^2 + e u v      fixed
         + (a_g u^2 + e_g u v) + k_g v^2                        a log's own curvature, random
         + W_s(v) + noise                                       a surface's own walk along d

with an intercept for each surface s (log and length), slopes for each log g, a curvature
that all logs share and from which each departs at random, and a random walk along d,
whose variance, like that of the noise, belongs to the log. What distinguishes the metrics
of a run (the ratio of HR to NDCG) gets the fixed slopes and noise of its own, nothing more.

How much is shared is decided by the variances, estimated by restricted maximum likelihood
(`perflaw.laws.reml`) on the cells that the fit may see. Given them the law is linear and
Gaussian, so predictions and their covariance are exact.

Where a table has a column `tokens`, the amount of training data is an axis like the others:
a slope for each log in its logarithm, and a curvature that all logs share.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NoReturn

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from perflaw.errors import InputError
from perflaw.laws.families import Array
from perflaw.laws.mixed_design import (
    JOINT,
    PAIR,
    RATIO,
    RATIO_BOUNDS,
    MixedForm,
    MixedModel,
    SurfaceCells,
    build_model,
    is_among,
    make_cells,
    metric_rotation,
)
from perflaw.laws.reml import condition, estimate_variances
from perflaw.stats import check_level, student_quantile
from perflaw.tables import check_numbers


@dataclass(frozen=True, repr=False, eq=False)
class MixedFit:
    """A fitted joint law. Predictions are made in logarithms and given in the metric's unit.

    Attributes
    ----------
    form : MixedForm
    data : SurfaceCells
    seen : numpy.ndarray
        Booleans (n,): the cells that the fit may use.
    variances : tuple of numpy.ndarray
        Logarithms; of the metrics' common level first, then of their ratios.
    """

    form: MixedForm
    data: SurfaceCells
    seen: NDArray[np.bool_]
    variances: tuple[Array, ...]

    def __repr__(self) -> str:
        surfaces = len(self.data.frame.groupby(PAIR))
        return (
            f"<{self.form.name}, fitted to {int(self.seen.sum())} of {len(self.data)} cells "
            f"on {surfaces} surfaces: {', '.join(self.data.metrics)}>"
        )

    def _repr_html_(self) -> str:
        return f"<p>{repr(self)[1:-1]}</p>{self.variance_table().to_html()}"

    def variance_table(self) -> pd.DataFrame:
        """Return what REML found, as standard deviations.

        Columns part and sd: per cent of the metric; of the walk, in standard deviations of the
        noise.
        """
        model = self.model(self.data.frame, 0)
        sd = np.exp(self.variances[0] / 2)
        is_ratio = [limits == RATIO_BOUNDS for limits in model.bounds]
        size = np.where(is_ratio, sd, 100 * sd / np.sqrt(len(self.data.metrics)))
        return pd.DataFrame({"part": model.names, "sd": size})

    def posterior(self, points: pd.DataFrame, metric: str) -> tuple[Array, Array, Array]:
        """Return the logarithm of a metric at `points` (columns of the cells).

        Returns
        -------
        tuple of numpy.ndarray
            Mean (m,), covariance (m, m), and the noise variance of a run (m,).

        Raises
        ------
        InputError
            For a column, a surface or a metric that the law has not seen, an axis below 1, and a
            point at which the visible cells do not determine the law.
        """
        points = self._check_known(points)
        if metric not in self.data.metrics:
            known = ", ".join(self.data.metrics)
            raise InputError(f"the law knows no metric '{metric}'; it knows {known}")
        weights = metric_rotation(len(self.data.metrics))[self.data.metrics.index(metric)]
        n, m = len(self.data), len(points)
        cells_and_points = pd.concat([self.data.frame, points], ignore_index=True)
        seen = np.flatnonzero(self.seen)
        asked = np.arange(n, n + m)
        mean, covariance, noise = np.zeros(m), np.zeros((m, m)), np.zeros(m)
        for k, (weight, variances) in enumerate(zip(weights, self.variances)):
            model = self.model(cells_and_points, k)
            y = np.append(self.data.rotated[:, k], np.zeros(m))
            mean_k, covariance_k = condition(model, variances, y, seen, asked)
            mean = mean + weight * mean_k
            covariance = covariance + weight**2 * covariance_k
            noise = noise + weight**2 * model.noise_variance(variances)[asked]
        if np.isnan(mean).any():
            self._refuse_point(points, int(np.isnan(mean).argmax()))
        return mean, covariance, noise

    def predict(
        self, points: pd.DataFrame, metric: str, level: float = 0.9, new_run: bool = True
    ) -> pd.DataFrame:
        """Predict a metric at `points`, with intervals.

        The interval is normal in the metric's logarithm within the range of the axes that the fit
        has seen of the log, and Student's beyond it, on as many degrees of freedom as there are
        logs less one: there it rests on how few logs depart from each other.

        Parameters
        ----------
        points : pandas.DataFrame
            The columns of the cells, one row a point.
        metric : str
        level : float
            Confidence level.
        new_run : bool
            Whether the interval is for one more run there or for the mean of many.

        Returns
        -------
        pandas.DataFrame
            Columns prediction, low, high, in the metric's unit, and beyond.
        """
        check_level(level)
        mean, covariance, noise = self.posterior(points, metric)
        beyond = self.beyond(points)
        reach = interval_reach(level, beyond, self.data.log_dof)
        half = reach * np.sqrt(np.diag(covariance) + new_run * noise)
        return pd.DataFrame(
            {
                "prediction": np.exp(mean),
                "low": np.exp(mean - half),
                "high": np.exp(mean + half),
                "beyond": beyond,
            },
            index=points.index,
        )

    def beyond(self, points: pd.DataFrame) -> NDArray[np.bool_]:
        """Return whether each point is outside the range of an axis that the fit saw of its log."""
        axes = self.data.axes
        visible = self.data.frame[self.seen].groupby("dataset")[axes]
        low, high = (
            visible.agg(end).reindex(points["dataset"]).to_numpy() for end in ("min", "max")
        )
        values = points[axes].to_numpy(float)
        return np.any((values < low) | (values > high), axis=1)

    def draws(self, points: pd.DataFrame, metric: str, n: int = 4000, seed: int = 0) -> Array:
        """Draw noise-free surfaces (n, m) that the data allow at `points`, in the metric's unit.

        They are Student's beyond what the fit has seen of a log, as intervals are.
        """
        mean, covariance, _ = self.posterior(points, metric)
        values, directions = np.linalg.eigh(covariance)
        rng = np.random.default_rng(seed)
        along = rng.standard_normal((n, len(mean))) * np.sqrt(np.clip(values, 0, None))
        departure = along @ directions.T
        dof = self.data.log_dof
        heavier = np.sqrt(dof / rng.chisquare(dof, n))[:, None]
        drawn: Array = np.exp(mean + departure * np.where(self.beyond(points), heavier, 1.0))
        return drawn

    def model(self, frame: pd.DataFrame, k: int) -> MixedModel:
        """Return the model of the common level (k = 0) or of a contrast, on rows of `frame`."""
        common_level = np.where(self.seen, self.data.rotated[:, 0], np.nan)
        return build_model(frame, self.data.frame, self.form if k == 0 else RATIO, common_level)

    def _refuse_point(self, points: pd.DataFrame, row: int) -> NoReturn:
        """Say at which point the visible cells do not determine the law, and what they lack."""
        axes = self.data.axes
        n_values = self.data.frame[self.seen].groupby("dataset")[axes].nunique()
        point = points.iloc[row]
        cell = ", ".join(f"{axis} {point[axis]:g}" for axis in axes)
        reason = "give it more cells"
        for axis in axes:
            if n_values.loc[point["dataset"], axis] < 2:
                reason = f"of {point['dataset']} they have one {axis}, and a slope takes two"
            elif n_values[axis].max() < 3:
                reason = f"no log has three values of {axis}, and a curvature takes three"
        raise InputError(
            f"the visible cells do not determine the {self.form.name} at {point['dataset']}, "
            f"{cell}: {reason}"
        )

    def _check_known(self, points: pd.DataFrame) -> pd.DataFrame:
        """Return the cells' columns of `points`; raise InputError for what the law cannot know."""
        if missing := [name for name in self.data.frame if name not in points]:
            raise InputError(f"the points lack the column {' and '.join(map(str, missing))}")
        for axis in self.data.axes:
            if (check_numbers(points[axis], axis) < 1).any():
                raise InputError(f"{axis} must be 1 or more at every point")
        is_known = is_among(points[PAIR], self.data.frame[PAIR])
        if not is_known.all():
            surface = ", L ".join(map(str, points[PAIR][~is_known].iloc[0]))
            raise InputError(
                f"the law has seen no surface of {surface}; "
                "it can only predict surfaces that it shares"
            )
        return points[list(self.data.frame)].reset_index(drop=True)


def fit_mixed(
    table: pd.DataFrame, form: MixedForm = JOINT, hide: pd.DataFrame | None = None
) -> MixedFit:
    """Fit a joint law to all surfaces of a table.

    Parameters
    ----------
    table : pandas.DataFrame
        Columns dataset, max_seq_len, metric, n_layers, d_emb, value, and perhaps tokens.
    form : MixedForm
        What the law may bend.
    hide : pandas.DataFrame, optional
        Cells (columns of the cells) whose metrics the fit must not see.

    Raises
    ------
    InputError
        As `make_cells` does, and if a surface is hidden altogether.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from perflaw.laws import fit_mixed
    >>> cells = [(s, n, d) for s in ("a", "b") for n in (2, 4, 8) for d in (16, 32, 64)]
    >>> table = pd.DataFrame(cells, columns=["dataset", "n_layers", "d_emb"])
    >>> table = table.assign(max_seq_len=50, metric="HR@10")
    >>> noise = np.random.default_rng(0).normal(1, 0.01, len(table))
    >>> table["value"] = (0.1 + 0.02 * np.log(table["d_emb"])) * noise
    >>> fit_mixed(table)
    <joint law, fitted to 18 of 18 cells on 2 surfaces: HR@10>
    """
    data = make_cells(table)
    seen = np.ones(len(data), bool)
    if hide is not None:
        seen = ~is_among(data.frame, hide[list(data.frame)])
    n_seen = pd.Series(seen).groupby([data.frame[name] for name in PAIR]).sum()
    if (n_seen == 0).any():
        surface = ", L ".join(map(str, n_seen.index[n_seen == 0][0]))
        raise InputError(
            f"every cell of {surface} is hidden; leave the law some to know the surface by"
        )
    unfitted = MixedFit(form, data, seen, variances=())
    variances = tuple(
        estimate_variances(unfitted.model(data.frame, k), data.rotated[:, k], np.flatnonzero(seen))
        for k in range(len(data.metrics))
    )
    return replace(unfitted, variances=variances)


def interval_reach(level: float, beyond: NDArray[np.bool_] | bool, dof: int) -> Array:
    """Return half an interval in standard deviations, at a confidence level.

    It is Student's beyond what was seen, and normal elsewhere.
    """
    from scipy.stats import norm

    return np.where(beyond, student_quantile(level, dof), norm.ppf((1 + level) / 2))
