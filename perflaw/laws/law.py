"""What a law is: names, bounds for exponents, and the columns that are linear given them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perflaw.errors import InputError

Array = NDArray[np.float64]
AxisValues = Mapping[str, Array]  # a law's axes, n values each


@dataclass(frozen=True)
class Law:
    """A law: y = basis(x, exponents) @ linear parameters.

    Attributes
    ----------
    family : str
        The name under which `get_law` builds it.
    formula : str
        TeX; the intercept is b in every law.
    axes : tuple of str
        The columns of a table of points that the law reads.
    linear : tuple of str
        Names of the linear parameters, the intercept first.
    basis : callable
        From axes (n values each) and exponents (..., q) to columns (..., n, p).
    exponents : mapping of str to (float, float)
        Names of the exponents and the bounds of their search.
    options : mapping
        What the family was called with.
    penalty : mapping of str to (float, float)
        Where an exponent is shrunk to, and how strongly (`with_penalty`); empty: nowhere.
    """

    family: str
    formula: str
    axes: tuple[str, ...]
    linear: tuple[str, ...]
    basis: Callable[[AxisValues, Array], Array]
    # Dicts have no hash. The other fields give a law one, so that results can be kept by law.
    exponents: Mapping[str, tuple[float, float]] = field(default_factory=dict, hash=False)
    options: Mapping[str, Any] = field(default_factory=dict, hash=False)
    penalty: Mapping[str, tuple[float, float]] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        """Take bounds as floats: arithmetic on whole numbers would truncate."""
        bounds = {name: (float(low), float(high)) for name, (low, high) in self.exponents.items()}
        object.__setattr__(self, "exponents", bounds)

    @property
    def name(self) -> str:
        """The family with its options, axes apart."""
        options = [
            f"{key} = {value:g}" if is_number(value) else f"{key} = {value}"
            for key, value in self.options.items()
            if key != "axes"
        ]
        return f"{self.family} ({', '.join(options)})" if options else self.family

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of all parameters: the linear ones, then the exponents."""
        return (*self.linear, *self.exponents)

    @property
    def n_free(self) -> int:
        """How many parameters are free: an exponent whose bounds are equal is held."""
        return len(self.parameters) - sum(low == high for low, high in self.exponents.values())

    def __reduce__(self) -> tuple[Callable[..., Law], tuple[Any, ...]]:
        """Pickle a law of a family by its name, as its basis is a function inside a function."""
        if self.basis.__qualname__ == f"{self.family}.<locals>.basis":
            settings = (dict(self.options), dict(self.exponents), dict(self.penalty))
            return _rebuild_law, (self.family, *settings)
        return Law, tuple(getattr(self, field.name) for field in fields(self))

    def __repr__(self) -> str:
        return f"<Law {self.name}: {', '.join(self.parameters)}>"

    def _repr_html_(self) -> str:
        return f"<b>{self.name}</b>: $y = {self.formula}$"


def _rebuild_law(
    family: str,
    options: dict[str, Any],
    exponents: dict[str, tuple[float, float]],
    penalty: dict[str, tuple[float, float]],
) -> Law:
    from perflaw.laws.families import get_law

    return replace(get_law(family, **options), exponents=exponents, penalty=penalty)


def is_number(value: Any) -> bool:
    """Return whether a value is a number, and no boolean."""
    return isinstance(value, Real) and not isinstance(value, (bool, np.bool_))


def with_bounds(law: Law, low: float, high: float) -> Law:
    """Return the same law with the same bounds on all its exponents; equal bounds hold them.

    Raises
    ------
    InputError
        For bounds between which there is nothing.
    """
    if not low <= high:
        raise InputError(f"between the bounds {low:g} and {high:g} there is no exponent")
    return replace(law, exponents=dict.fromkeys(law.exponents, (low, high)))


def with_penalty(law: Law, centres: Mapping[str, float], strength: float) -> Law:
    """Return the same law with its exponents shrunk towards centres.

    Parameters
    ----------
    law : Law
    centres : mapping of str to float
        By exponent; those that are missing stay free.
    strength : float
        Share of the metric's total sum of squares that an exponent 1 away from its centre costs;
        0 leaves the law as it is.

    Raises
    ------
    InputError
        For an exponent that the law does not have, and a negative strength.

    Examples
    --------
    >>> from perflaw.laws import get_law
    >>> law = with_penalty(get_law("performance"), {"p_N": 0.1, "p_d": -0.2}, strength=0.5)
    >>> law.penalty
    {'p_N': (0.1, 0.5), 'p_d': (-0.2, 0.5)}
    """
    if unknown := [name for name in centres if name not in law.exponents]:
        known = ", ".join(law.exponents) or "none"
        raise InputError(f"the law has no exponent '{unknown[0]}'; it has {known}")
    if not strength >= 0:
        raise InputError(f"the strength of a penalty is {strength:g}; it must be 0 or more")
    penalty = {name: (float(centre), strength) for name, centre in centres.items()}
    return replace(law, penalty=penalty if strength else {})
