"""What a few noisy runs, and the logs that were swept before, say of larger models and of more data.

The logarithm of a metric is linear in coefficients, of which other logs tell roughly what they are (`PRIOR`):

    ln y = a + G s(x_d) + b_d x_d + b_N x_N + c_N x_N² + b_T x_T + c_T x_T² + e_dN x_d x_N + f_dT x_d x_T,    s(x) = (1 - 2^(-p x)) / (1 - 2^-p)

x counts doublings: of the dimension from 8, of the layers from 1, of the tokens from all there are. G is what the first doubling of d brings,
and each further one brings 2^-p of the one before. A run differs from that by noise, of standard deviation k times the standard error over
users (the median of runs on as much data) and `NOISE` together, and a cell by `cell`. Given p and k all is normal; both are summed over grids, so that intervals have the
tails of what is not known about the noise. This is empirical Bayes: Efron and Morris (1975), Carlin and Louis (2000, chapter 3).

`scripts/forecast.py` makes PRIOR from data/sweeps/, and tests the forecasts on logs that the prior has not seen.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import numpy as np
import pandas as pd
from scipy.stats import chi2, norm

from perflaw.errors import InputError

AXES = {"d_emb": 8.0, "n_layers": 1.0, "tokens": None}  # from where doublings are counted
COEFFICIENTS = (
    "G",
    "b_d",
    "b_N",
    "c_N",
    "b_T",
    "c_T",
    "e_dN",
    "f_dT",
)  # beside the level a, of which nothing is known before
PRIOR = {  # mean and standard deviation, of the logarithms of HR@10 and NDCG@10; made by scripts/forecast.py
    "G": (0.265, 0.086),
    "b_d": (-0.0252, 0.035),
    "b_N": (0.0234, 0.021),
    "c_N": (-0.00878, 0.0087),
    "b_T": (0.192, 0.077),
    "c_T": (-0.0135, 0.02),
    "e_dN": (-0.00114, 0.0077),
    "f_dT": (-0.00256, 0.019),
    "p": (1.65, 0.49),
    "k": (-0.109, 0.26),  # of ln k
    "cell": 0.03,
}
EXPONENTS = np.linspace(0.1, 3.0, 9)  # p
NOISES = np.linspace(-2.5, 2.5, 7)  # ln k, in standard deviations from its mean
LEVEL = 3.0  # standard deviation of a
NOISE = 0.01  # of a run between seeds where users are without number
DRAWS = 4000
STRANGER = 4.5  # standard deviations from what the other runs say, at which a run is left out


def forecast_design(points: pd.DataFrame, p: float, whole: float) -> np.ndarray:
    """(points, coefficients), the level first; whole: the tokens from which doublings are counted."""
    d, n, t = (
        np.log2(points[axis].to_numpy(float) / (unit or whole)) for axis, unit in AXES.items()
    )
    return np.stack(
        [
            np.ones_like(d),
            np.expm1(-p * d * np.log(2)) / np.expm1(-p * np.log(2)),
            d,
            n,
            n**2,
            t,
            t**2,
            d * n,
            d * t,
        ],
        axis=1,
    )


class Forecast:
    """Runs of one log (columns n_layers, d_emb, tokens, the metric and its standard error over users, `METRIC se`), and what follows from them.

    Raises InputError for runs without the metric, or where it is 0, and for none at all.
    """

    def __init__(self, runs: pd.DataFrame, metric: str, prior: Mapping = PRIOR):
        if missing := [name for name in (*AXES, metric, f"{metric} se") if name not in runs]:
            raise InputError(f"the runs have no column {missing[0]!r}")
        if runs.empty or not (runs[metric] > 0).all():
            raise InputError(
                f"a forecast of {metric} needs runs, and in all of them a value above 0"
            )
        self.runs, self.metric, self.prior = runs.reset_index(drop=True), metric, prior
        self.y = np.log(self.runs[metric].to_numpy(float))
        self.error = (
            (self.runs[f"{metric} se"] / self.runs[metric])
            .groupby(self.runs["tokens"])
            .transform("median")
            .to_numpy(float)
        )
        self.whole = float(self.runs["tokens"].max())
        self.cell = self.runs.groupby(list(AXES), sort=True).ngroup().to_numpy()
        mean, sd = np.array([prior[name] for name in COEFFICIENTS]).T
        self.mean, self.sd = np.append(self.y.mean(), mean), np.append(LEVEL, sd)
        noise = NOISE**2 + (self._k(NOISES)[:, None] * self.error) ** 2
        own = noise[:, :, None] * np.eye(len(self.y)) + prior["cell"] ** 2 * np.equal.outer(
            self.cell, self.cell
        )
        parts = []
        for p in EXPONENTS:
            x = forecast_design(self.runs, p, self.whole)
            reach, apart = x * self.sd**2, self.y - x @ self.mean
            precision = np.linalg.inv(reach @ x.T + own)
            pull, gain = precision @ apart, reach.T @ precision
            weight = (
                norm.logpdf(p, *prior["p"])
                + norm.logpdf(NOISES)
                - 0.5 * pull @ apart
                + 0.5 * np.linalg.slogdet(precision)[1]
            )
            parts.append(
                (
                    weight,
                    np.full(len(NOISES), p),
                    NOISES,
                    self.mean + gain @ apart,
                    np.diag(self.sd**2) - gain @ reach,
                    precision,
                    pull,
                )
            )
        weight, self.p, self.z, self.means, self.covariances, self.precisions, self.pulls = (
            np.concatenate(part) for part in zip(*parts)
        )
        self.weights = np.exp(weight - np.logaddexp.reduce(weight))

    def _k(self, z):
        return np.exp(self.prior["k"][0] + self.prior["k"][1] * z)

    def moments(self, name: str) -> tuple[float, float]:
        """Mean and variance of a coefficient, of p or of ln k ("k"), given the runs."""
        if name in COEFFICIENTS:
            i = 1 + COEFFICIENTS.index(name)
            value, variance = self.means[:, i], self.covariances[:, i, i]
        else:
            value, variance = self.p if name == "p" else np.log(self._k(self.z)), 0.0
        mean = self.weights @ value
        return float(mean), float(self.weights @ (variance + (value - mean) ** 2))

    @cached_property
    def _drawn(self):
        """Of DRAWS worlds: which p and k (its place), and the coefficients."""
        random = np.random.default_rng(0)
        which = random.choice(len(self.weights), DRAWS, p=self.weights)
        roots = np.linalg.cholesky(self.covariances + 1e-12 * np.eye(len(self.mean)))
        return which, self.means[which] + np.einsum(
            "wij,wj->wi", roots[which], random.normal(size=(DRAWS, len(self.mean)))
        )

    def draws(self, points: pd.DataFrame) -> np.ndarray:
        """(DRAWS, points) what ln y may be, the noise of runs and what is the cell's own left out."""
        which, coefficients = self._drawn
        rows = np.stack([forecast_design(points, p, self.whole) for p in EXPONENTS])
        return np.einsum("wmi,wi->wm", rows[which // len(NOISES)], coefficients)

    @cached_property
    def noise(self) -> np.ndarray:
        """(DRAWS,) what the standard deviation of one run's ln y between seeds may be."""
        return np.hypot(
            NOISE, self._k(self.z[self._drawn[0]]) * self.error[self.runs["tokens"].argmax()]
        )

    def interval(self, points: pd.DataFrame, level: float = 0.9) -> pd.DataFrame:
        """Of one more run at each of the points: columns predicted (the median), low, high; 1, which no metric exceeds, at most."""
        told = self.draws(points)
        told = told + np.hypot(self.noise, self.prior["cell"])[:, None] * np.random.default_rng(
            1
        ).normal(size=told.shape)
        quantiles = np.exp(np.quantile(told, [0.5, (1 - level) / 2, (1 + level) / 2], axis=0))
        return pd.DataFrame(
            dict(zip(("predicted", "low", "high"), quantiles.clip(max=1.0))), index=points.index
        )

    def left_out(self) -> pd.DataFrame:
        """Each cell foretold from the others: its axes, runs, value (mean of ln y), error (of that, less what was foretold), sd (what it may be)."""
        rows = []
        for cell, its in self.runs.groupby(self.cell):
            i = its.index.to_numpy()
            spread = np.linalg.inv(
                self.precisions[:, i[:, None], i]
            )  # of the cell's runs, given the others
            errors = np.einsum("wij,wj->wi", spread, self.pulls[:, i]).mean(axis=1)
            error = self.weights @ errors
            sd = np.sqrt(self.weights @ (spread.mean(axis=(1, 2)) + (errors - error) ** 2))
            rows.append(
                {
                    **its[list(AXES)].iloc[0],
                    "runs": len(i),
                    "value": self.y[i].mean(),
                    "error": error,
                    "sd": sd,
                }
            )
        return pd.DataFrame(rows)

    def strangeness(self) -> np.ndarray:
        """(runs,) how many standard deviations each run is from what all others say."""
        own = np.diagonal(self.precisions, axis1=1, axis2=2)
        return self.weights @ (self.pulls / np.sqrt(own))


def drop_outliers(
    runs: pd.DataFrame, metric: str, prior: Mapping = PRIOR
) -> tuple[Forecast, pd.DataFrame]:
    """The forecast of those runs that agree, and the others, the strangest left out first, up to a quarter (column sigmas)."""
    out = []
    while True:
        found = Forecast(runs, metric, prior)
        off = found.strangeness()
        worst = np.abs(off).argmax()
        if abs(off[worst]) < STRANGER or 4 * (len(out) + 1) > len(runs) + len(out):
            return found, pd.DataFrame(out)
        runs = found.runs
        out.append({**runs.iloc[worst], "sigmas": off[worst]})
        runs = runs.drop(index=worst)


def fit_members(left_out: pd.DataFrame, chance: float = 0.01) -> bool:
    """Are the cells as far from what the others say as noise has it, or would that happen by chance in so few cases?"""
    return bool(
        (left_out["error"] ** 2 / left_out["sd"] ** 2).sum() <= chi2.ppf(1 - chance, len(left_out))
    )
