"""Fits as JSON files."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from perflaw.errors import InputError
from perflaw.io import atomic_path
from perflaw.laws.families import get_law
from perflaw.laws.fitting import Fit

SCHEMA = 1  # of a saved fit


def save_fit(fit: Fit, path: str | Path, metric: str = "value") -> None:
    """Write a fit as JSON: the law, its parameters, and the points, which the intervals need.

    Parameters
    ----------
    fit : Fit
    path : str or pathlib.Path
        The file; one that is there is replaced.
    metric : str
        The name of what was fitted.

    Raises
    ------
    InputError
        If the file cannot be written.

    Examples
    --------
    >>> import pandas as pd
    >>> from perflaw.laws import fit, get_law, load_fit, save_fit
    >>> points = pd.DataFrame({"n_layers": [2, 2, 8, 8, 32], "d_emb": [16, 64, 16, 64, 128]})
    >>> fitted = fit(get_law("log_linear"), points, [0.10, 0.13, 0.12, 0.15, 0.19])
    >>> save_fit(fitted, "law.json", metric="NDCG@10")  # doctest: +SKIP
    >>> load_fit("law.json").law  # doctest: +SKIP
    <Law log_linear: b, a_N, a_d>
    """
    law = {
        "family": fit.law.family,
        "options": dict(fit.law.options),
        "bounds": dict(fit.law.exponents),
    }
    if fit.law.penalty:
        law["penalty"] = dict(fit.law.penalty)
    record = {
        "schema": SCHEMA,
        "law": law,
        "metric": metric,
        "status": fit.status,
        "r2": fit.r2,
        "parameters": fit.parameters.to_dict(),
        "points": fit.points.to_dict(orient="list"),
        "values": fit.y.tolist(),
        "weights": fit.weights.tolist(),
        "converged": fit.converged,
        "tied": fit.tied,
    }
    text = json.dumps(record, indent=1) + "\n"
    try:
        with atomic_path(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror or error}") from None


def load_fit(path: str | Path) -> Fit:
    """Read the fit that `save_fit` wrote.

    Raises
    ------
    InputError
        For a file that is not a complete law file of this version.
    """
    try:
        record = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from None
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError):
        raise InputError(
            f"{path} is not a law file, as it is no JSON; perflaw fit --out writes one"
        ) from None
    if not isinstance(record, dict) or "schema" not in record:
        raise InputError(
            f"{path} is not a law file, though it is JSON; perflaw fit --out writes one"
        )
    version = record["schema"]
    if version != SCHEMA:
        raise InputError(
            f"{path} is a law file of version {version!r}, this is version {SCHEMA}; fit it again"
        )
    try:
        return _parse_fit(record)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise InputError(f"{path} is not a complete law file ({error}); fit it again") from None


def _parse_fit(record: dict[str, Any]) -> Fit:
    law = get_law(record["law"]["family"], **record["law"]["options"])
    bounds = {name: _parse_bounds(record["law"]["bounds"][name]) for name in law.exponents}
    parameters = pd.Series(record["parameters"], dtype=float)[list(law.parameters)]
    points = pd.DataFrame(record["points"])[list(law.axes)].astype(float)
    y = np.array(record["values"], float)
    weights = np.array(record["weights"], float)
    if not len(points) == len(y) == len(weights):
        raise ValueError("points, values and weights differ in number")
    if not all(
        np.isfinite(numbers).all() for numbers in (parameters, points.to_numpy(), y, weights)
    ):
        raise ValueError("a number is missing")
    if (weights < 0).any() or (weights > 0).sum() <= len(parameters):
        raise ValueError("a weight is below 0, or too few are above")  # outliers have 0
    if not isinstance(record.get("metric"), str | None):
        raise ValueError("its metric is no text")
    penalty = {name: tuple(pair) for name, pair in record["law"].get("penalty", {}).items()}
    law = replace(law, exponents=bounds, penalty=penalty)
    fit = Fit(law, points, y, parameters, weights, record["converged"], record["tied"])
    if not np.isclose(fit.r2, record["r2"], rtol=1e-6, atol=1e-9):
        raise ValueError("its parameters, points and values do not give its r2")
    return fit


def _parse_bounds(pair: Any) -> tuple[float, float]:
    low, high = map(float, pair)
    if not low <= high:
        raise ValueError(f"the bounds {low:g} and {high:g} hold no value")
    return low, high
