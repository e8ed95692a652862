"""Law families as data: how a metric depends on layers N, embedding dimension d, tokens D.

Every law here is linear once its exponents are fixed,

    y(x) = sum_j beta_j * phi_j(x; theta),

so a law is a list of names, bounds for the exponents theta, and one function that
returns the columns phi_j. `perflaw.laws.fitting` needs nothing else. To add a law, write a
function that returns a `Law` and decorate it with `@register_family`.

Most families are built from one function of one axis, the Box-Cox power

    boxcox(x; p) = (1 - x^-p) / p,    boxcox(x; 0) = ln x,

which is a power law in x, shifted and scaled so that p = 0 is inside the family and not
a singularity at its edge.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from inspect import signature
from itertools import chain
from typing import Any

import numpy as np
import pandas as pd

from perflaw.errors import InputError
from perflaw.io import suggest
from perflaw.laws.law import Array as Array
from perflaw.laws.law import AxisValues as AxisValues
from perflaw.laws.law import Law as Law
from perflaw.laws.law import is_number
from perflaw.laws.law import with_bounds as with_bounds
from perflaw.laws.powers import bend, boxcox
from perflaw.model_size import flops_per_token, layer_parameters
from perflaw.tables import check_numbers, name_row

AXES = ("n_layers", "d_emb")
WHOLE_AXES = (*AXES, "max_seq_len")  # whole numbers in every model
SYMBOLS = {"n_layers": "N", "d_emb": "d", "max_seq_len": "L", "tokens": "D"}
# The place at which slopes are reported and in whose units the axes are well conditioned.
REFERENCE = {"n_layers": 8.0, "d_emb": 64.0, "max_seq_len": 100.0, "tokens": 1e6}
LARGEST_SIZE = 1e18  # of an axis

EQUAL_BOUND = 1.0  # of every exponent of every law, where laws compete
PERFORMANCE_BOUNDS = (-3.0, 3.0)  # of the exponents of the Performance Law, on every axis
POWER_BOUNDS = (0.0, 3.0)  # of a sum of power laws: diminishing returns
SCALE_BOUNDS = (-1.0, 1.0)  # of one power law in parameters or compute, which span decades


FAMILIES: dict[str, Callable[..., Law]] = {}


def register_family(build: Callable[..., Law]) -> Callable[..., Law]:
    """Register a function that builds a law under the function's name."""
    FAMILIES[build.__name__] = build
    return build


def get_law(name: str, **options: Any) -> Law:
    """Return the law of a family.

    Parameters
    ----------
    name : str
        A key of `FAMILIES`.
    **options
        Options of the family, e.g. ``k=4`` of the family performance.

    Raises
    ------
    InputError
        For a family or an option that does not exist, and for an option of another type
        than its default.

    Examples
    --------
    >>> from perflaw.laws import get_law
    >>> get_law("performance", k=4.0)
    <Law performance (k = 4): b, w_N, w_d, p_N, p_d>
    """
    if name not in FAMILIES:
        known = ", ".join(FAMILIES)
        raise InputError(f"no law is called '{name}'; there are {known}{suggest(name, FAMILIES)}")
    defaults = {
        key: parameter.default for key, parameter in signature(FAMILIES[name]).parameters.items()
    }
    for key, value in options.items():
        if key not in defaults:
            raise InputError(
                f"the law {name} has no option '{key}'; it has {', '.join(defaults) or 'none'}"
                + suggest(key, defaults)
            )
        if not _is_same_kind(value, defaults[key]):
            raise InputError(
                f"the option {key} of the law {name} cannot be {value!r}; "
                f"its default is {defaults[key]!r}"
                + (", names that differ" if key == "axes" else "")
            )
    if "axes" in options:
        options["axes"] = tuple(options["axes"])
    return FAMILIES[name](**options)


def law_axes(law: Law, points: pd.DataFrame) -> dict[str, Array]:
    """Return the axes that the law reads, as arrays of floats.

    Raises
    ------
    InputError
        If a column is missing, a value is not a finite number, or one is below 1 or above 1e18.
    """
    if missing := [axis for axis in law.axes if axis not in points]:
        columns = ", ".join(map(str, getattr(points, "columns", points)))
        raise InputError(
            f"the law {law.name} needs the column {' and '.join(missing)}; there are {columns}"
        )
    axes = {axis: check_numbers(points[axis], axis) for axis in law.axes}
    for axis, values in axes.items():
        is_outside = (values < 1) | (values > LARGEST_SIZE)
        if is_outside.any():
            row = int(is_outside.argmax())
            limit = "1 or more" if values[row] < 1 else "1e18 or less"
            where = name_row(pd.Series(points[axis]), row)
            raise InputError(f"{axis} is {values[row]:g} in {where}; it must be {limit}")
    return axes


def _is_same_kind(value: Any, default: Any) -> bool:
    """Say whether an option can have this value: different names of axes, a number, a boolean."""
    if isinstance(default, tuple):
        are_names = isinstance(value, (list, tuple)) and all(isinstance(v, str) for v in value)
        return are_names and 0 < len(value) == len(set(value))
    if is_number(default):
        return is_number(value) and bool(np.isfinite(value))
    return isinstance(value, type(default))


def _relative(x: AxisValues, axis: str) -> Array:
    """Return an axis in units of its reference: the same family of curves, well conditioned."""
    return x[axis] / REFERENCE.get(axis, 1.0)


def _columns(x: AxisValues, *columns: Array) -> Array:
    """Stack an intercept and the given columns (each broadcasting to (..., n)) as (..., n, p)."""
    n_points = np.shape(next(iter(x.values())))
    shape = np.broadcast_shapes(n_points, *(column.shape for column in columns))
    stacked = np.ones((*shape, 1 + len(columns)))
    for i, column in enumerate(columns, 1):
        stacked[..., i] = column
    return stacked


def _names(prefix: str, axes: Sequence[str]) -> tuple[str, ...]:
    """Name one parameter of each axis, e.g. w_N and w_d."""
    return tuple(f"{prefix}_{SYMBOLS.get(axis, axis)}" for axis in axes)


def _bounds(axes: Sequence[str], bounds: tuple[float, float]) -> dict[str, tuple[float, float]]:
    """Give the exponents of all axes the same bounds."""
    return dict.fromkeys(_names("p", axes), bounds)


@register_family
def performance(axes: tuple[str, ...] = AXES, k: float = 2.0) -> Law:
    """Build the Performance Law with a given k (2 in the authors' script).

    The paper writes w (-1/(k x^p) - p ln x) for each axis. Divided by p, and with the
    constant 1/(k p) added, that is boxcox(x; p)/k - ln x, the same curve with another
    weight and intercept, whose limit at p = 0 is a multiple of ln x: the log-linear law.
    `perflaw.laws.paper_form.paper_parameters` gives the paper's w1 ... w4 and b. The data
    term of the paper is constant on one surface and is part of b.

    Source: arXiv 2412.00430, the Performance Law, as in the authors' fitting script.
    """
    if k == 0:
        raise InputError("k = 0 divides by zero in the Performance Law; give another k")
    if k == 1:
        raise InputError(
            "with k = 1 the Performance Law's term vanishes at p = 0, towards which it is "
            "a parabola in ln x; take the law log_quadratic, or another k"
        )

    def basis(x: AxisValues, theta: Array) -> Array:
        terms = (
            boxcox(x[axis], theta[..., i, None]) / k - np.log(x[axis])
            for i, axis in enumerate(axes)
        )
        return _columns(x, *terms)

    return Law(
        "performance",
        r"b + \sum_x w_x\left(\frac{1-x^{-p_x}}{k\,p_x} - \ln x\right)",
        axes,
        linear=("b", *_names("w", axes)),
        basis=basis,
        exponents=_bounds(axes, PERFORMANCE_BOUNDS),
        options={"axes": axes, "k": k},
    )


@register_family
def performance_free_k(axes: tuple[str, ...] = AXES) -> Law:
    """Build the Performance Law with one free k per axis, of either sign and without limit.

    With k free each axis contributes a ln x + c bend(x; p): two linear parameters. It
    holds the log-linear law (c = 0) and, at p = 0, the additive log-quadratic law.
    """

    def basis(x: AxisValues, theta: Array) -> Array:
        columns = []
        for i, axis in enumerate(axes):
            scaled = _relative(x, axis)
            columns += [np.log(scaled), bend(scaled, theta[..., i, None])]
        return _columns(x, *columns)

    pairs = zip(_names("a", axes), _names("c", axes))
    return Law(
        "performance_free_k",
        r"b + \sum_x \left(a_x\ln x + c_x\,\frac{2}{p_x}"
        r"\left(\ln x-\frac{1-x^{-p_x}}{p_x}\right)\right)",
        axes,
        linear=("b", *chain.from_iterable(pairs)),
        basis=basis,
        exponents=_bounds(axes, PERFORMANCE_BOUNDS),
        options={"axes": axes},
    )


@register_family
def performance_kappa(axes: tuple[str, ...] = AXES, kappa: float = 1.0) -> Law:
    """Build W (ln x - kappa x^-p) for each axis: the form drawn on the paper's industrial log.

    It is the Performance Law with kappa = -1/(k p), kappa held instead of k.
    """

    def basis(x: AxisValues, theta: Array) -> Array:
        terms = (
            np.log(x[axis]) - kappa * x[axis] ** -theta[..., i, None] for i, axis in enumerate(axes)
        )
        return _columns(x, *terms)

    return Law(
        "performance_kappa",
        r"b + \sum_x w_x\left(\ln x - \kappa\,x^{-p_x}\right)",
        axes,
        linear=("b", *_names("w", axes)),
        basis=basis,
        exponents=_bounds(axes, PERFORMANCE_BOUNDS),
        options={"axes": axes, "kappa": kappa},
    )


@register_family
def constant(axes: tuple[str, ...] = AXES) -> Law:
    """Build the mean: the constant baseline of every table."""

    def basis(x: AxisValues, theta: Array) -> Array:
        return _columns(x)

    return Law("constant", "b", axes, ("b",), basis, options={"axes": axes})


@register_family
def log_linear(axes: tuple[str, ...] = AXES) -> Law:
    """Build the law linear in the logarithms: the baseline drawn in the paper's figures."""

    def basis(x: AxisValues, theta: Array) -> Array:
        return _columns(x, *(np.log(x[axis]) for axis in axes))

    return Law(
        "log_linear",
        r"b + \sum_x a_x\ln x",
        axes,
        linear=("b", *_names("a", axes)),
        basis=basis,
        options={"axes": axes},
    )


@register_family
def log_quadratic(axes: tuple[str, ...] = AXES, interaction: bool = False) -> Law:
    """Build a quadratic in each logarithm, with or without the products of two logarithms."""
    pairs = [(i, j) for j in range(len(axes)) for i in range(j)] if interaction else []

    def basis(x: AxisValues, theta: Array) -> Array:
        logs = [np.log(x[axis]) for axis in axes]
        squares = [value**2 for value in logs]
        return _columns(x, *logs, *squares, *(logs[i] * logs[j] for i, j in pairs))

    symbols = [SYMBOLS.get(axis, axis) for axis in axes]
    products = [(symbols[i], symbols[j]) for i, j in pairs]
    terms = [rf" + e_{{{first}{second}}}\,\ln {first}\ln {second}" for first, second in products]
    names = [f"e_{first}{second}" for first, second in products]
    return Law(
        "log_quadratic",
        r"b + \sum_x \left(a_x\ln x + c_x\ln^2 x\right)" + "".join(terms),
        axes,
        linear=("b", *_names("a", axes), *_names("c", axes), *names),
        basis=basis,
        options={"axes": axes} | ({"interaction": True} if interaction else {}),
    )


@register_family
def sum_of_powers(axes: tuple[str, ...] = AXES) -> Law:
    """Build a sum of one power law per axis (Hoffmann et al. 2022, equation 2: Chinchilla)."""

    def basis(x: AxisValues, theta: Array) -> Array:
        terms = (boxcox(_relative(x, axis), theta[..., i, None]) for i, axis in enumerate(axes))
        return _columns(x, *terms)

    return Law(
        "sum_of_powers",
        r"b + \sum_x a_x\,\frac{1-x^{-p_x}}{p_x}",
        axes,
        linear=("b", *_names("a", axes)),
        basis=basis,
        exponents=_bounds(axes, POWER_BOUNDS),
        options={"axes": axes},
    )


@register_family
def parameter_power() -> Law:
    """Build one power law in non-embedding parameters (Kaplan et al. 2020, equation 1.1)."""
    reference = layer_parameters(REFERENCE["n_layers"], REFERENCE["d_emb"])

    def basis(x: AxisValues, theta: Array) -> Array:
        size = layer_parameters(x["n_layers"], x["d_emb"])
        return _columns(x, boxcox(size / reference, theta[..., 0, None]))

    return Law(
        "parameter_power",
        r"b + a\,\frac{1-P^{-p}}{p}",
        AXES,
        linear=("b", "a_P"),
        basis=basis,
        exponents={"p_P": SCALE_BOUNDS},
    )


@register_family
def compute_power() -> Law:
    """Build one power law in training compute: "more compute is what you need".

    On one surface tokens and epochs are the same everywhere, so FLOPs per token stand in.
    """
    n_layers, d_emb, length = (REFERENCE[axis] for axis in WHOLE_AXES)
    reference = flops_per_token(n_layers, d_emb, length)

    def basis(x: AxisValues, theta: Array) -> Array:
        flops = flops_per_token(x["n_layers"], x["d_emb"], x["max_seq_len"])
        return _columns(x, boxcox(flops / reference, theta[..., 0, None]))

    return Law(
        "compute_power",
        r"b + a\,\frac{1-C^{-p}}{p}",
        WHOLE_AXES,
        linear=("b", "a_C"),
        basis=basis,
        exponents={"p_C": SCALE_BOUNDS},
    )


def rival_laws(bound: float | None = None) -> dict[str, Law]:
    """Return the laws that every table of the study compares, by the names used there.

    Parameters
    ----------
    bound : float, optional
        Every exponent of every law lies within plus or minus this; by default each family keeps
        its own bounds, under which forecasts were recorded.
    """
    laws = {
        "constant": constant(),
        "log-linear": log_linear(),
        "log-quadratic": log_quadratic(),
        "log-quadratic, interaction": log_quadratic(interaction=True),
        "sum of powers": sum_of_powers(),
        "power of parameters": parameter_power(),
        "power of compute": compute_power(),
        "Performance Law, k = 2": performance(),
        "Performance Law, free k": performance_free_k(),
    }
    if bound is None:
        return laws
    return {name: with_bounds(law, -bound, bound) for name, law in laws.items()}
