"""Fit a law to measured points, and say how far it can be trusted.

One solver (`perflaw.laws.varpro`) does everything, in batches of problems on the same points:
a fit is a batch of one, a bootstrap a batch of random weights, leave-one-out a batch
of zero weights, a simulation a batch of values. Intervals are profile intervals
(`perflaw.laws.profile`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from perflaw.errors import InputError, check_kind
from perflaw.laws import profile, varpro
from perflaw.laws.checks import check_points, check_values
from perflaw.laws.families import Array, Law, law_axes
from perflaw.laws.identifiability import fit_jacobian, unidentified_parameters
from perflaw.laws.profile import Candidates, Landscape
from perflaw.laws.robust import LOSSES
from perflaw.stats import aicc

BOUND_TOLERANCE = 1e-6  # an exponent this close to a bound of its search has ended on it


class FitState(StrEnum):
    """What can be said of a fit; every state but the first stands in the way of trusting it."""

    CONVERGED = "converged"
    NOT_CONVERGED = "not converged"
    TIED = "several optima fit equally well"
    AT_BOUND = "at a bound"
    NOT_IDENTIFIED = "not identified"
    NO_BETTER = "no better than a constant"


@dataclass(frozen=True, repr=False, eq=False)
class Fit:
    """A fitted law.

    Attributes
    ----------
    law : Law
    points : pandas.DataFrame
        The axes of the law, one row a measured point.
    y : numpy.ndarray
        Measured values (n,).
    parameters : pandas.Series
        In the order of `law.parameters`.
    weights : numpy.ndarray
        1, or what Huber's loss left of each point; 0 for those that a consensus leaves out.
    converged : bool
        Whether the search ended by itself.
    tied : bool
        Whether other exponents, elsewhere, fit equally well; the smallest were taken.
    """

    law: Law
    points: pd.DataFrame
    y: Array
    parameters: pd.Series
    weights: Array
    converged: bool = True
    tied: bool = False

    def __repr__(self) -> str:
        return (
            f"<Fit of {self.law.name} to {len(self.y)} points: "
            f"R2 {self.r2:.4f}, sd {self.sigma:.3g}, {self.status}>"
        )

    def _repr_html_(self) -> str:
        estimates = self.parameters.rename("estimate").to_frame()
        return f"<p>{self.law._repr_html_()}<br>{repr(self)[1:-1]}</p>{estimates.to_html()}"

    @property
    def dof(self) -> int:
        """Degrees of freedom: points that count, less parameters."""
        return self._n_counted - self.law.n_free

    @property
    def _n_counted(self) -> int:
        """How many points count: a consensus leaves some out."""
        return int(np.count_nonzero(self.weights))

    @property
    def beta(self) -> Array:
        """The linear parameters (p,)."""
        return self.parameters.to_numpy()[: len(self.law.linear)]

    @property
    def theta(self) -> Array:
        """The exponents (q,)."""
        return self.parameters.to_numpy()[len(self.law.linear) :]

    @property
    def outliers(self) -> pd.DataFrame:
        """The points that the loss "consensus" leaves out, with residuals in units of sigma."""
        is_out = self.weights == 0
        sigmas = self.residuals[is_out] / self.sigma
        return self.points[is_out].assign(value=self.y[is_out], sigmas=sigmas)

    @cached_property
    def residuals(self) -> Array:
        """Measured less fitted values (n,)."""
        return self.y - self.predict(self.points)

    @property
    def rss(self) -> float:
        """Weighted residual sum of squares."""
        return float(np.sum(self.weights * self.residuals**2))

    @property
    def sigma(self) -> float:
        """Residual standard deviation, in units of y."""
        return float(np.sqrt(self.rss / self.dof))

    @property
    def r2(self) -> float:
        """1 - residual over total sum of squares, every point counted fully."""
        return float(1 - np.sum(self.residuals**2) / np.sum((self.y - self.y.mean()) ** 2))

    @property
    def aicc(self) -> float:
        """Akaike's criterion corrected for few points; the noise variance counts as a parameter."""
        return aicc(self.rss, self._n_counted, self.law.n_free)

    @property
    def constant_aicc(self) -> float:
        """AICc of the weighted mean of the same points."""
        return aicc(self._constant_rss, self._n_counted, 1)

    @property
    def _constant_rss(self) -> float:
        mean = np.average(self.y, weights=self.weights)
        return float(np.sum(self.weights * (self.y - mean) ** 2))

    @property
    def beats_constant(self) -> bool:
        """Whether the law has a lower AICc than the weighted mean of the same points.

        Where there are too few points for AICc, whether its residual variance is below the
        variance around the mean. The constant law itself has nothing to beat.
        """
        if len(self.law.linear) == 1 or self.rss == 0:
            return True
        if np.isfinite(self.aicc):
            return self.aicc < self.constant_aicc
        return self.rss / self.dof < self._constant_rss / (self.dof + self.law.n_free - 1)

    @cached_property
    def at_bound(self) -> tuple[str, ...]:
        """Exponents that ended on a bound of the search; one that is held was not searched."""
        return tuple(
            name
            for name, (low, high) in self.law.exponents.items()
            if low < high
            and np.abs(np.subtract((low, high), self.parameters[name])).min() < BOUND_TOLERANCE
        )

    @cached_property
    def not_identified(self) -> tuple[str, ...]:
        """Parameters that can move, alone or together, without moving the counted fitted values."""
        return unidentified_parameters(fit_jacobian(self), self.law.parameters)

    @cached_property
    def states(self) -> tuple[FitState, ...]:
        """All that can be said of the fit; (FitState.CONVERGED,) where nothing is in the way."""
        applies = {
            FitState.NOT_CONVERGED: not self.converged,
            FitState.TIED: self.tied,
            FitState.AT_BOUND: bool(self.at_bound),
            FitState.NOT_IDENTIFIED: bool(self.not_identified),
            FitState.NO_BETTER: not self.beats_constant,
        }
        in_the_way = tuple(state for state in applies if applies[state])
        return in_the_way or (FitState.CONVERGED,)

    @property
    def status(self) -> str:
        """The `states` as text, with the names of the parameters."""
        names = {
            FitState.AT_BOUND: self.at_bound,
            FitState.NOT_IDENTIFIED: self.not_identified,
        }
        return "; ".join(
            f"{state}: {', '.join(names[state])}" if state in names else str(state)
            for state in self.states
        )

    def predict(self, points: pd.DataFrame) -> Array:
        """Return the law's values (m,) at `points` (the law's axes), in units of y."""
        return self.law.basis(law_axes(self.law, points), self.theta) @ self.beta

    def beyond(self, points: pd.DataFrame) -> np.ndarray:
        """Return whether each of `points` is outside the range of an axis in the fit, (m,)."""
        axes = law_axes(self.law, points)
        counted = self.points[self.weights > 0]
        low, high = counted.min(), counted.max()
        outside = [(values < low[axis]) | (values > high[axis]) for axis, values in axes.items()]
        return np.any(outside, axis=0)

    def interval(
        self, points: pd.DataFrame, level: float = 0.9, new_run: bool = True
    ) -> pd.DataFrame:
        """Return a profile interval at each of `points`.

        It is the union over exponents of the exact intervals that each would give, so what the
        data do not tell about the exponents widens it; the exponents are taken from a lattice,
        which leaves the ends good to about 1 % of the width. The law itself is taken to be true: on
        larger models, 90 % intervals of the study's laws held fewer than 90 % of the outcomes.
        So are the weights: an interval does not know that a consensus chose which points count.

        Parameters
        ----------
        points : pandas.DataFrame
            The law's axes, one row a point.
        level : float
            Confidence level.
        new_run : bool
            Whether the interval is for the value of one more run, its noise included, or for the
            mean of many.

        Returns
        -------
        pandas.DataFrame
            Columns prediction, low, high, in units of y, and beyond: whether the point is outside
            the measured range of an axis.
        """
        return profile.prediction_interval(self, points, level, new_run)

    def profile(self, parameter: str, level: float = 0.9) -> tuple[float, float]:
        """Return the profile interval of one parameter, at a confidence level.

        It spans all values that the data allow, also where they leave a gap between two stretches.
        An end is infinite where the data leave it open: the law still fits well enough with an
        exponent at a bound of its search, so that the bound, and not the data, would be the end.
        """
        return profile.parameter_interval(self, parameter, level)

    def profile_curve(self, exponent: str, size: int = 41) -> pd.DataFrame:
        """Return the sum of squares over its minimum, with the exponent held.

        Columns value and ratio: `size` values on either side of the estimate, up to the bound,
        dense near the estimate.
        """
        return profile.profile_curve(self, exponent, size)

    def bootstrap(self, n: int = 1000, seed: int = 0) -> pd.DataFrame:
        """Return the parameters of `n` fits to points weighted at random, one row a draw.

        It is the Bayesian bootstrap: points have weights from a flat Dirichlet distribution. All
        stay in, so that no draw loses a value of N or d, as draws with replacement from a small
        grid often do.

        References
        ----------
        Rubin, The Bayesian bootstrap, Annals of Statistics 9 (1981).
        """
        if n < 1:
            raise InputError(f"a bootstrap of {n} draws has nothing to tell; ask for 1 or more")
        size = len(self.y)
        shares = size * np.random.default_rng(seed).dirichlet(np.ones(size), n)
        drawn = varpro.solve_batch(self.law, self.points, self.y, self.weights * shares)
        return pd.DataFrame(np.hstack([drawn.beta, drawn.theta]), columns=list(self.law.parameters))

    def candidates(self, level: float) -> Candidates:
        """Return the exponents that are within a confidence level, of many that are tried.

        The fit's own are the first.
        """
        threshold = profile.profile_threshold(self.rss, self.dof, level)
        own_rss = self._landscape[-1][0]  # above the threshold by rounding where the fit is exact
        return profile.select_candidates(self._landscape, max(threshold, own_rss))

    @cached_property
    def _landscape(self) -> Landscape:
        return profile.landscape(self)


def fit(
    law: Law,
    points: pd.DataFrame,
    y: Sequence[float] | Array | pd.Series,
    loss: str = "squares",
) -> Fit:
    """Fit a law to measured values.

    Parameters
    ----------
    law : Law
        As `get_law` returns it.
    points : pandas.DataFrame
        The law's axes (n_layers, d_emb, ...), one row a run. Two rows may be the same cell only
        if a column `seed` tells them apart.
    y : sequence of float
        As many values, in any unit.
    loss : str
        'squares'; 'huber', which gives diverged runs a bounded influence (threshold 1.345 robust
        standard deviations of the residuals); or 'consensus', which finds the law that half of
        the points agree on best and leaves out those that are 2.5 robust deviations from it
        (`Fit.outliers`). Its intervals do not know of that choice, and are too narrow: where no
        run went wrong, about half of the simulated 90 % intervals held the true mean.

    Returns
    -------
    Fit
        `Fit.status` says what stands in the way of trusting it.

    Raises
    ------
    InputError
        For missing columns, values that are not finite numbers, an axis below 1 or with a single
        value, repeated cells, values that are all equal, and fewer points than the law has
        parameters plus one.

    Examples
    --------
    >>> import pandas as pd
    >>> from perflaw.laws import fit, get_law
    >>> points = pd.DataFrame({"n_layers": [2, 2, 8, 8, 32], "d_emb": [16, 64, 16, 64, 128]})
    >>> fitted = fit(get_law("log_linear"), points, [0.10, 0.13, 0.12, 0.15, 0.19])
    >>> fitted.status
    'converged'
    >>> fitted.parameters.round(3).to_dict()
    {'b': 0.026, 'a_N': 0.016, 'a_d': 0.022}
    """
    check_kind(law, Law, "get one with perflaw.laws.get_law")
    check_points(law, points)
    if isinstance(y, pd.Series) and not y.index.equals(points.index):
        raise InputError(
            "the values are a Series of another index than the points; give them in the same order"
        )
    values = check_values(points, y)
    if loss not in LOSSES:
        raise InputError(f"no loss is called '{loss}'; there are {', '.join(LOSSES)}")
    weights = LOSSES[loss](law, points, values)
    return _make_fits(law, points, values[None], weights)[0]


def fit_surfaces(law: Law, table: pd.DataFrame, by: Sequence[str]) -> dict[tuple[Any, ...], Fit]:
    """Fit a law to each group of rows of a table, as `fit` would.

    Surfaces measured at the same points, in the same order, are solved together.

    Parameters
    ----------
    law : Law
    table : pandas.DataFrame
        The law's axes, the columns of `by`, and value, the metric.
    by : sequence of str
        The columns that name a surface.

    Returns
    -------
    dict of tuple to Fit
        Keys in order of appearance.
    """
    law_axes(law, table)
    if missing := [name for name in (*by, "value") if name not in table]:
        columns = ", ".join(table.columns)
        raise InputError(f"the table has no column {' and '.join(missing)}; it has {columns}")
    surfaces = dict(list(table.groupby(list(by), sort=False)))
    keys_by_points: dict[bytes, list[tuple[Any, ...]]] = {}
    for key, surface in surfaces.items():
        digest = surface[list(law.axes)].to_numpy(float).tobytes()
        keys_by_points.setdefault(digest, []).append(key)
    fits: dict[tuple[Any, ...], Fit] = {}
    for keys in keys_by_points.values():
        points = surfaces[keys[0]]
        check_points(law, points)
        y = np.array([check_values(surfaces[key], surfaces[key]["value"]) for key in keys])
        fits |= zip(keys, _make_fits(law, points, y, np.ones(y.shape[1])))
    return {key: fits[key] for key in surfaces}


def _make_fits(law: Law, points: pd.DataFrame, y: Array, weights: Array) -> list[Fit]:
    """Return a Fit for each row of `y` (B, n), measured at the same points."""
    solution = varpro.solve_batch(law, points, y, weights)
    points = points[list(law.axes)].reset_index(drop=True)
    estimates = np.hstack([solution.beta, solution.theta])
    return [
        Fit(
            law,
            points,
            values,
            pd.Series(row, index=list(law.parameters)),
            weights,
            bool(converged),
            bool(tied),
        )
        for values, row, converged, tied in zip(y, estimates, solution.converged, solution.tied)
    ]
