"""The Performance Law exactly as published: its seven parameters and k.

Source: arXiv 2412.00430, as in the authors' fitting script.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from perflaw.laws.families import AXES

COMPLEX_STEP = 1e-30


def paper_surface(
    points: Mapping[str, Any] | pd.DataFrame,
    w1: complex,
    w2: complex,
    w3: complex,
    w4: complex,
    w5: complex,
    b: complex,
    D: complex,  # noqa: N803 - the paper's letter
    k: float = 2.0,
) -> NDArray[Any]:
    """Evaluate the law as published; parameters may be complex.

    Parameters
    ----------
    points : mapping or pandas.DataFrame
        n_layers and d_emb, n values each.
    w1, w2, w3, w4, w5, b : complex
        The paper's parameters: weights of N and d, exponents of N, d and D, intercept.
    D : complex
        The data term's size, one number for the whole surface.
    k : float
        2 in the authors' script, for all three terms.

    Returns
    -------
    numpy.ndarray
        Values (n,).
    """

    def term(x: Any, p: complex) -> Any:
        return -1 / (k * x**p) - p * np.log(x)

    n_layers, d_emb = (np.asarray(points[axis], float) for axis in AXES)
    surface: NDArray[Any] = w1 * term(n_layers, w3) + w2 * term(d_emb, w4) + term(D, w5) + b
    return surface


def paper_jacobian(
    points: Mapping[str, Any] | pd.DataFrame, parameters: Mapping[str, float], k: float = 2.0
) -> NDArray[np.float64]:
    """Differentiate `paper_surface` by each of `parameters`, exactly, by complex steps.

    Returns
    -------
    numpy.ndarray
        Derivatives (n, 7), one column a parameter, in the order of `parameters`.
    """
    columns = []
    for name in parameters:
        shifted = {
            key: value + 1j * COMPLEX_STEP * (key == name) for key, value in parameters.items()
        }
        columns.append(np.imag(paper_surface(points, **shifted, k=k)) / COMPLEX_STEP)
    return np.stack(np.broadcast_arrays(*columns), axis=-1)


def paper_parameters(
    parameters: Mapping[str, float] | pd.Series, k: float = 2.0
) -> dict[str, float]:
    """Translate the parameters of a fitted `performance` law into the paper's w1 ... w4 and b.

    The data term is constant on one surface and is part of b. Weights are infinite where an
    exponent is 0: the paper's form reaches its log-linear limit only there.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        exponents = np.array([parameters["p_N"], parameters["p_d"]], float)
        weights = np.array([parameters["w_N"], parameters["w_d"]], float) / exponents
        intercept = parameters["b"] + np.sum(weights / k)
    return {
        "w1": weights[0],
        "w2": weights[1],
        "w3": exponents[0],
        "w4": exponents[1],
        "b": float(intercept),
    }
