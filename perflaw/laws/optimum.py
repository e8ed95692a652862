"""The best configuration that a fitted law knows, alone or under a budget."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from perflaw.errors import InputError, check_kind
from perflaw.laws.families import AXES, SYMBOLS, Array
from perflaw.laws.fitting import Fit
from perflaw.laws.varpro import predict_many
from perflaw.model_size import LAYER_WEIGHTS, flops_per_token, layer_parameters
from perflaw.stats import check_level

GRID_SIZE = 81  # values of each axis in the search


@dataclass(frozen=True)
class Optimum:
    """The best configuration that a fitted law knows, N and d continuous.

    Attributes
    ----------
    n_layers, d_emb : float
        The configuration.
    value : float
        What the law predicts there, in the metric's unit.
    edge : tuple of str
        The axes along which it lies at an edge of the search, so that no optimum was found there.
    low, high : dict of str to float
        Intervals of n_layers, d_emb and value over bootstrap fits.
    regret : float
        How much worse than each bootstrap fit's own optimum this one is, on average, in the
        metric's unit.
    """

    n_layers: float
    d_emb: float
    value: float
    edge: tuple[str, ...]
    low: dict[str, float]
    high: dict[str, float]
    regret: float


def find_optimum(
    fit: Fit,
    parameters: float | None = None,
    flops: float | None = None,
    max_seq_len: float | None = None,
    reach: float = 1.0,
    level: float = 0.9,
    n_draws: int = 500,
    seed: int = 0,
    backbone: str = "llama",
) -> Optimum:
    """Find where a fitted law is highest, alone or under a budget, with its uncertainty.

    The search covers the measured range of N and d, stretched by `reach` at its upper end,
    on a fine grid, so a law that has no optimum inside ends at an edge, and says so.

    Parameters
    ----------
    fit : Fit
        Of a law of N and d.
    parameters : float, optional
        At most so many non-embedding parameters (`perflaw.model_size.layer_parameters`).
    flops : float, optional
        At most so many floating-point operations a training token
        (`perflaw.model_size.flops_per_token`), at the maximum sequence length `max_seq_len`.
    max_seq_len : float, optional
        Maximum sequence length.
    reach : float
        How many times the largest measured N and d the search goes, 1 or more.
    level : float
        Confidence level of the intervals.
    n_draws : int
        Bootstrap fits.
    seed : int
        Of the bootstrap.
    backbone : str
        Whose parameters and operations a budget counts.

    Raises
    ------
    InputError
        For a law without N and d, a reach below 1, a maximum sequence length below 1, an unknown
        backbone, and a budget that nothing in the range meets.

    Examples
    --------
    >>> import pandas as pd
    >>> from perflaw.laws import find_optimum, fit, get_law
    >>> points = pd.DataFrame({"n_layers": [2, 2, 8, 8, 32], "d_emb": [16, 64, 16, 64, 128]})
    >>> fitted = fit(get_law("log_linear"), points, [0.10, 0.13, 0.12, 0.15, 0.19])
    >>> find_optimum(fitted, n_draws=20).edge
    ('n_layers', 'd_emb')
    """
    check_kind(fit, Fit, "fit a law with perflaw.laws.fit")
    if missing := [axis for axis in AXES if axis not in fit.law.axes]:
        raise InputError(f"the law {fit.law.name} has no axis {' and '.join(missing)} to choose")
    if reach < 1:
        raise InputError(f"reach is {reach:g}; it must be 1 or more")
    if max_seq_len is not None and not max_seq_len >= 1:
        raise InputError(f"max_seq_len is {max_seq_len:g}; it must be 1 or more")
    check_level(level)
    grid = _search_grid(fit, reach, max_seq_len)
    ends = {axis: (grid[axis].min(), grid[axis].max()) for axis in AXES}
    grid = within_budget(grid, parameters, flops, backbone)
    value = fit.predict(grid)
    best = int(value.argmax())
    configuration = {axis: float(grid[axis].iloc[best]) for axis in AXES}
    surfaces = _bootstrap_surfaces(fit, grid, n_draws, seed)
    tops = surfaces.argmax(axis=1)
    top_values = surfaces[np.arange(n_draws), tops]
    optima = {axis: grid[axis].to_numpy()[tops] for axis in AXES} | {"value": top_values}
    low, high = (
        {name: float(np.quantile(values, quantile)) for name, values in optima.items()}
        for quantile in ((1 - level) / 2, (1 + level) / 2)
    )
    return Optimum(
        **configuration,
        value=float(value[best]),
        edge=tuple(axis for axis in AXES if configuration[axis] in ends[axis]),
        low=low,
        high=high,
        regret=float(np.mean(top_values - surfaces[:, best])),
    )


def _search_grid(fit: Fit, reach: float, max_seq_len: float | None) -> pd.DataFrame:
    """Combine values of N and d; other axes are at the median of the measured points."""
    spans = [
        np.geomspace(fit.points[axis].min(), reach * fit.points[axis].max(), GRID_SIZE)
        for axis in AXES
    ]
    sizes = np.stack(np.meshgrid(*spans, indexing="ij"), -1).reshape(-1, len(AXES))
    grid = pd.DataFrame(sizes, columns=list(AXES))
    for axis in fit.law.axes:
        if axis not in grid:
            grid[axis] = fit.points[axis].median()
    if max_seq_len is not None:
        grid["max_seq_len"] = float(max_seq_len)
    return grid


def _bootstrap_surfaces(fit: Fit, grid: pd.DataFrame, n_draws: int, seed: int) -> Array:
    """Return the values (draws, m) that bootstrap fits predict on the grid."""
    draws = fit.bootstrap(n_draws, seed).to_numpy()
    beta, theta = np.split(draws, [len(fit.law.linear)], axis=1)
    return predict_many(fit.law, grid, theta, beta)


def closed_form_optimum(fit: Fit) -> dict[str, dict[str, float | bool]]:
    """Return the Performance Law's stationary points, x* = k^(-1/p), one for each axis.

    Source: arXiv 2412.00430, the global optimum.

    Returns
    -------
    dict of str to dict
        For each axis: estimate, maximum (the paper's weight w / p is positive), and beyond_one
        (the point is above 1, which for k > 1 needs a negative exponent).

    Raises
    ------
    InputError
        For another law.
    """
    if fit.law.family != "performance":
        raise InputError(f"the closed form is the Performance Law's; this is {fit.law.name}")
    k = fit.law.options["k"]
    stationary: dict[str, dict[str, float | bool]] = {}
    for axis in fit.law.axes:
        symbol = SYMBOLS.get(axis, axis)
        exponent, weight = fit.parameters[f"p_{symbol}"], fit.parameters[f"w_{symbol}"]
        exists = exponent != 0 and k > 0
        place = float(k ** (-1 / exponent)) if exists else float("nan")
        stationary[axis] = {
            "estimate": place,
            "maximum": bool(exists and weight / exponent > 0),
            "beyond_one": place > 1,
        }
    return stationary


def within_budget(
    candidates: pd.DataFrame,
    parameters: float | None = None,
    flops: float | None = None,
    backbone: str = "llama",
) -> pd.DataFrame:
    """Select the candidates within a budget of a backbone's parameters and of FLOPs a token.

    FLOPs need the column max_seq_len.

    Raises
    ------
    InputError
        If there is no candidate, or none that the budget allows.
    """
    if candidates.empty:
        raise InputError("there is no candidate to choose from")
    if backbone not in LAYER_WEIGHTS:
        raise InputError(f"there is no backbone {backbone!r}; there are {', '.join(LAYER_WEIGHTS)}")
    costs: dict[str, tuple[float, Array]] = {}
    if parameters is not None:
        cost = layer_parameters(candidates["n_layers"], candidates["d_emb"], backbone)
        costs["parameters"] = parameters, cost
    if flops is not None:
        costs["FLOPs a token"] = flops, _flops(candidates, backbone)
    is_affordable = np.ones(len(candidates), bool)
    for unit, (budget, cost) in costs.items():
        if not (cost <= budget).any():
            raise InputError(
                f"no candidate has at most {budget:g} {unit}; the smallest has {cost.min():g}"
            )
        is_affordable &= cost <= budget
    if not is_affordable.any():
        raise InputError("no candidate meets both budgets")
    return candidates[is_affordable]


def _flops(points: pd.DataFrame, backbone: str) -> Array:
    if "max_seq_len" not in points:
        raise InputError(
            "a budget of FLOPs needs the column max_seq_len; give it, or a budget of parameters"
        )
    sizes = points["n_layers"], points["d_emb"], points["max_seq_len"]
    return flops_per_token(*sizes, backbone=backbone)
