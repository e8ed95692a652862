"""Forecast a metric of larger models and of more data from few noisy runs and a prior.

A metric is a rate, and its log-odds y = ln(rate / (1 - rate)) are linear in coefficients, so that
no forecast reaches 1. Where rates are small that is their logarithm. Sweeps of other logs say
roughly what the coefficients are (`perflaw.report.prior`):

    y = a + G s(x_d) + b_d x_d + b_N x_N + c_N x_N² + b_T x_T + c_T x_T² + e_dN x_d x_N
          + f_dT x_d x_T,    s(x) = (1 - 2^(-p x)) / (1 - 2^-p)

x counts doublings: of the dimension from 8, of the layers from 1, of the tokens from all there
are. G is what the first doubling of d brings, and each further one brings 2^-p of the one before.
A run differs from that by noise: its standard deviation combines `SEED_NOISE` with k times the
standard error over users (the median of runs on as much data); a cell differs by `cell`. Given p
and k all is normal. Both are summed over grids, so that intervals have the tails of what is not
known about the noise.

References
----------
B. Efron and C. Morris (1975), Data analysis using Stein's estimator and its generalizations,
Journal of the American Statistical Association 70:311; B. P. Carlin and T. A. Louis (2000), Bayes
and Empirical Bayes Methods for Data Analysis, chapter 3.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
from scipy.special import expit
from scipy.stats import norm

from perflaw.errors import InputError
from perflaw.report.prior import Prior, load_prior

if TYPE_CHECKING:
    from perflaw.models.baselines import BaselineGrowth

AXES = ["d_emb", "n_layers", "tokens"]

COEFFICIENTS = ("G", "b_d", "b_N", "c_N", "b_T", "c_T", "e_dN", "f_dT")
"""Coefficients with a prior. The level a has none that says anything."""

EXPONENTS = np.linspace(0.1, 3.0, 9)  # p
NOISE_GRID = np.linspace(-2.5, 2.5, 7)  # ln k, in standard deviations from its mean
LEVEL_SD = 3.0  # standard deviation of a
SEED_NOISE = 0.01  # of a run between seeds, were there users without number
DRAWS = 4000
LEVEL_ORIGIN = -np.log(9)  # log-odds of a rate of 0.1, from which levels count for growth


def to_log_odds(rate: np.ndarray) -> np.ndarray:
    """Convert rates between 0 and 1 to log-odds."""
    return np.log(rate / (1 - rate))


def from_log_odds(log_odds: np.ndarray) -> np.ndarray:
    """Convert log-odds to rates between 0 and 1."""
    return expit(log_odds)


def forecast_design(points: pd.DataFrame, p: float, full_tokens: float) -> np.ndarray:
    """Make the design matrix of the forecast.

    Parameters
    ----------
    points
        Columns n_layers, d_emb and tokens.
    p
        Exponent of the saturation in d.
    full_tokens
        Tokens from which doublings of the data are counted.

    Returns
    -------
    numpy.ndarray
        (points, 1 + coefficients), the level first, then in the order of `COEFFICIENTS`.
    """
    d = np.log2(points["d_emb"].to_numpy(float) / 8)
    n = np.log2(points["n_layers"].to_numpy(float))
    t = np.log2(points["tokens"].to_numpy(float) / full_tokens)
    saturating = np.expm1(-p * d * np.log(2)) / np.expm1(-p * np.log(2))
    columns = [np.ones_like(d), saturating, d, n, n**2, t, t**2, d * n, d * t]
    return np.stack(columns, axis=1)


class _Posterior(NamedTuple):
    """What the runs say under each pair of p and ln k, the latter changing fastest."""

    log_weight: np.ndarray  # (pairs,)
    p: np.ndarray  # (pairs,)
    z: np.ndarray  # (pairs,) ln k in standard deviations from its mean
    means: np.ndarray  # (pairs, coefficients), the level first
    covariances: np.ndarray  # (pairs, coefficients, coefficients)
    precisions: np.ndarray  # (pairs, runs, runs) inverse of the covariance of the runs
    residuals: np.ndarray  # (pairs, runs) precision times (y less its prior mean)


class Forecast:
    """What runs of one log say of a metric elsewhere.

    Parameters
    ----------
    runs
        One row a run: n_layers, d_emb, tokens, the metric and its standard error over users
        (`METRIC se`).
    metric
        Name of the metric, a rate between 0 and 1.
    prior
        By default that of the package.

    Raises
    ------
    InputError
        For runs without the metric or where it is not between 0 and 1, and for none at all.
    """

    def __init__(self, runs: pd.DataFrame, metric: str, prior: Prior | None = None) -> None:
        for name in (*AXES, metric, f"{metric} se"):
            if name not in runs:
                raise InputError(f"the runs have no column {name!r}")
        if runs.empty or not ((runs[metric] > 0) & (runs[metric] < 1)).all():
            raise InputError(
                f"a forecast of {metric} needs runs, and in all of them a value above 0 and below 1"
            )
        self.runs = runs.reset_index(drop=True)
        self.metric = metric
        self.prior = load_prior() if prior is None else prior
        self.full_tokens = float(self.runs["tokens"].max())
        self._y = to_log_odds(self.runs[metric].to_numpy(float))
        self._error = self._errors_of_log_odds()
        self._cell = self.runs.groupby(AXES, sort=True).ngroup().to_numpy()
        by_exponent = [self._update(p) for p in EXPONENTS]
        self._posterior = _Posterior(*map(np.concatenate, zip(*by_exponent)))
        log_weight = self._posterior.log_weight
        self._weights = np.exp(log_weight - np.logaddexp.reduce(log_weight))

    def __repr__(self) -> str:
        """Say of what the forecast is."""
        return f"Forecast({self.metric}, {len(self.runs)} runs, {self._cell.max() + 1} cells)"

    def interval(self, points: pd.DataFrame, level: float = 0.9) -> pd.DataFrame:
        """Forecast one more run at each point.

        Parameters
        ----------
        points
            Columns n_layers, d_emb and tokens.
        level
            Of the interval.

        Returns
        -------
        pandas.DataFrame
            Columns predicted (the median), low and high: rates, with the index of `points`.
        """
        sd = np.hypot(self.noise, self.prior["cell"])[:, None]
        return _quantiles(self.draws(points), sd, points.index, level)

    def draws(self, points: pd.DataFrame) -> np.ndarray:
        """Draw what y, the log-odds, may be, without the noise of runs and of cells.

        Parameters
        ----------
        points
            Columns n_layers, d_emb and tokens.

        Returns
        -------
        numpy.ndarray
            (DRAWS, points).
        """
        pairs, coefficients = self._coefficient_draws
        designs = np.stack([forecast_design(points, p, self.full_tokens) for p in EXPONENTS])
        return np.einsum("wmi,wi->wm", designs[pairs // len(NOISE_GRID)], coefficients)

    @cached_property
    def noise(self) -> np.ndarray:
        """(DRAWS,) what the standard deviation of one run's y between seeds may be."""
        pairs, _ = self._coefficient_draws
        factor = self._noise_factor(self._posterior.z[pairs])
        return np.hypot(SEED_NOISE, factor * self._full_error)

    @property
    def knows_growth(self) -> bool:
        """Whether the prior has learnt what a log brings once it has grown."""
        return "growth" in self.prior

    def growth_interval(
        self,
        points: pd.DataFrame,
        times: float,
        baseline: BaselineGrowth | None = None,
        level: float = 0.9,
    ) -> pd.DataFrame:
        """Forecast one run on the grown log, tested on all users that it then has.

        Parameters
        ----------
        points, times, baseline
            As for `growth_draws`.
        level
            Of the interval.

        Returns
        -------
        pandas.DataFrame
            As of `interval`.
        """
        seeds = self.noise / np.sqrt(times)
        new_users = self._full_error * np.sqrt(1 - 1 / times)  # who is tested then and not now
        sd = np.sqrt(seeds**2 + self.prior["cell"] ** 2 + new_users**2)[:, None]
        return _quantiles(self.growth_draws(points, times, baseline), sd, points.index, level)

    def growth_draws(
        self, points: pd.DataFrame, times: float, baseline: BaselineGrowth | None = None
    ) -> np.ndarray:
        """Draw what y may be once the log has grown as it has, by new users with their own items.

        The runs of a pilot do not say this. Other logs do, where the prior `knows_growth`: y rises
        by less where it is high already, and by more where a baseline's has risen.

        Parameters
        ----------
        points
            Columns n_layers, d_emb and tokens: on the log as it is.
        times
            Users then, by those now.
        baseline
            What a baseline of this log has gained in log-odds as its users doubled.

        Returns
        -------
        numpy.ndarray
            (DRAWS, points).
        """
        intercept, by_baseline, by_level, sd = self.prior["growth"]
        slope, slope_sd = self._shrink_baseline(baseline)
        level = self.draws(points)
        means = intercept + by_baseline * slope + by_level * (level - LEVEL_ORIGIN)
        deviations = np.random.default_rng(2).normal(0, np.hypot(sd, by_baseline * slope_sd), DRAWS)
        return level + np.log2(times) * (means + deviations[:, None])

    def moments(self, name: str) -> tuple[float, float]:
        """Give the mean and the variance of a coefficient, of p or of ln k ("k").

        Parameters
        ----------
        name
            One of `COEFFICIENTS`, "p" or "k".

        Returns
        -------
        tuple of float
            Mean and variance given the runs.
        """
        variances: np.ndarray | float = 0.0  # given p and k
        if name in COEFFICIENTS:
            place = 1 + COEFFICIENTS.index(name)
            values = self._posterior.means[:, place]
            variances = self._posterior.covariances[:, place, place]
        elif name == "p":
            values = self._posterior.p
        else:
            values = np.log(self._noise_factor(self._posterior.z))
        mean = self._weights @ values
        return float(mean), float(self._weights @ (variances + (values - mean) ** 2))

    def loo_predictions(self) -> pd.DataFrame:
        """Predict each cell from the others.

        Returns
        -------
        pandas.DataFrame
            One row a cell: its axes, runs (how many), value (mean of y), error (of that, less
            its prediction) and sd (the standard deviation that the error should have).
        """
        posterior = self._posterior
        rows = []
        for _, runs in self.runs.groupby(self._cell):
            places = runs.index.to_numpy()
            spread = np.linalg.inv(posterior.precisions[:, places[:, None], places])
            errors = np.einsum("wij,wj->wi", spread, posterior.residuals[:, places]).mean(axis=1)
            error = self._weights @ errors
            variance = spread.mean(axis=(1, 2)) + (errors - error) ** 2
            rows.append(
                {
                    **runs[AXES].iloc[0],
                    "runs": len(places),
                    "value": self._y[places].mean(),
                    "error": error,
                    "sd": np.sqrt(self._weights @ variance),
                }
            )
        return pd.DataFrame(rows)

    def loo_zscores(self) -> np.ndarray:
        """Say by how many standard deviations each run differs from what all others say.

        Returns
        -------
        numpy.ndarray
            (runs,).
        """
        own_precision = np.diagonal(self._posterior.precisions, axis1=1, axis2=2)
        return self._weights @ (self._posterior.residuals / np.sqrt(own_precision))

    def _errors_of_log_odds(self) -> np.ndarray:
        """Give the standard error over users of y, the median of as much data: (runs,)."""
        rate = self.runs[self.metric]
        errors = self.runs[f"{self.metric} se"] / (rate * (1 - rate))
        return errors.groupby(self.runs["tokens"]).transform("median").to_numpy(float)

    def _update(self, p: float) -> _Posterior:
        """Update the prior by the runs, given p, for each k of the grid."""
        mean, sd = np.array([self.prior[name] for name in COEFFICIENTS]).T
        mean = np.append(self._y.mean(), mean)
        sd = np.append(LEVEL_SD, sd)
        x = forecast_design(self.runs, p, self.full_tokens)
        prior_cross = x * sd**2
        deviation = self._y - x @ mean
        precision = np.linalg.inv(prior_cross @ x.T + self._noise_covariances())
        residual = precision @ deviation
        gain = prior_cross.T @ precision
        log_weight = (
            norm.logpdf(p, *self.prior["p"])
            + norm.logpdf(NOISE_GRID)
            - 0.5 * residual @ deviation
            + 0.5 * np.linalg.slogdet(precision)[1]
        )
        return _Posterior(
            log_weight,
            np.full(len(NOISE_GRID), p),
            NOISE_GRID,
            mean + gain @ deviation,
            np.diag(sd**2) - gain @ prior_cross,
            precision,
            residual,
        )

    def _noise_covariances(self) -> np.ndarray:
        """(noises, runs, runs) of the runs around the law."""
        variance = SEED_NOISE**2 + (self._noise_factor(NOISE_GRID)[:, None] * self._error) ** 2
        same_cell = np.equal.outer(self._cell, self._cell)
        return variance[:, :, None] * np.eye(len(self._y)) + self.prior["cell"] ** 2 * same_cell

    def _noise_factor(self, z: np.ndarray) -> np.ndarray:
        """K, from ln k in standard deviations from its mean."""
        mean, sd = self.prior["k"]
        return np.exp(mean + sd * z)

    @cached_property
    def _coefficient_draws(self) -> tuple[np.ndarray, np.ndarray]:
        """Pairs of p and k by their place, (DRAWS,), and coefficients, (DRAWS, coefficients)."""
        random = np.random.default_rng(0)
        posterior = self._posterior
        pairs = random.choice(len(self._weights), DRAWS, p=self._weights)
        n_coefficients = posterior.means.shape[1]
        roots = np.linalg.cholesky(posterior.covariances + 1e-12 * np.eye(n_coefficients))
        normal = random.normal(size=(DRAWS, n_coefficients))
        return pairs, posterior.means[pairs] + np.einsum("wij,wj->wi", roots[pairs], normal)

    @property
    def _full_error(self) -> float:
        """Standard error over users of y, of the runs on most tokens."""
        return self._error[self.runs["tokens"].argmax()]

    def _shrink_baseline(self, baseline: BaselineGrowth | None) -> tuple[float, float]:
        """Give the slope of a baseline and its standard deviation, shrunk to that of other logs."""
        mean, spread = self.prior["baseline growth"]
        if baseline is None:
            return mean, spread
        trust = spread**2 / (spread**2 + baseline.se**2)
        return mean + trust * (baseline.slope - mean), spread * np.sqrt(1 - trust)


def _quantiles(values: np.ndarray, sd: np.ndarray, index: pd.Index, level: float) -> pd.DataFrame:
    """Give the median and the interval of rates, from draws of log-odds and their noise.

    The median is that of the draws alone, as noise has no preferred sign; so a size has one
    forecast wherever it is named.
    """
    noisy = values + sd * np.random.default_rng(1).normal(size=values.shape)
    ends = np.quantile(noisy, [(1 - level) / 2, (1 + level) / 2], axis=0)
    quantiles = from_log_odds(np.stack([np.median(values, axis=0), *ends]))
    return pd.DataFrame(dict(zip(("predicted", "low", "high"), quantiles)), index=index)
