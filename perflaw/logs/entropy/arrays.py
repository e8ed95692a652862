"""Checks of what the entropies take: sequences and logs, which become arrays, and arguments."""

from __future__ import annotations

import math
import numbers
from collections.abc import Hashable, Iterable, Sequence
from typing import Any, Protocol

import numpy as np

from perflaw.errors import InputError


class Histories(Protocol):
    """What the entropies need to know of a log; an `InteractionLog` has it."""

    @property
    def items(self) -> np.ndarray:
        """(tokens,) codes from 0, one history after another, each in time order."""

    @property
    def offsets(self) -> np.ndarray:
        """(n_users + 1,) where the histories begin, and the end."""

    @property
    def n_items(self) -> int:
        """The size of the vocabulary."""


def log_arrays(log: Histories) -> tuple[np.ndarray, np.ndarray, int]:
    """Return items, offsets and n_items of a log, checked so that compiled loops stay in bounds."""
    refuse_masked(log.items)
    refuse_masked(log.offsets)
    items = np.ascontiguousarray(log.items, np.int32)
    offsets = np.ascontiguousarray(log.offsets, np.int64)
    n_items = int(log.n_items)
    if not len(items):
        raise InputError("the log is empty; give at least one history")
    spans_items = len(offsets) > 1 and offsets[0] == 0 and offsets[-1] == len(items)
    if not spans_items or np.any(np.diff(offsets) < 0):
        raise InputError(
            f"the log's offsets must rise from 0 to its {len(items)} items; build the log anew"
        )
    if items.min() < 0 or items.max() >= n_items:
        raise InputError(
            f"the log's item codes must lie in 0 … {n_items - 1}; number the items from 0"
        )
    return items, offsets, n_items


def pooled_arrays(log_or_sequence: Histories | Iterable) -> tuple[np.ndarray, np.ndarray, int]:
    """Return items, offsets and n_items of a log, or of a sequence as a log of one history."""
    if hasattr(log_or_sequence, "offsets"):
        return log_arrays(log_or_sequence)  # type: ignore[arg-type]
    codes = symbol_codes(log_or_sequence)
    return codes, np.array([0, len(codes)]), int(codes.max()) + 1


def symbol_codes(sequence: Iterable) -> np.ndarray:
    """Code the symbols of a sequence as int32, 0, 1, …, in their order if they have one."""
    values = _flat_values(sequence)
    if isinstance(values, np.ndarray) and values.dtype.kind in "biufU":
        if values.dtype.kind == "f":
            _check_finite(values)
        return np.unique(values, return_inverse=True)[1].astype(np.int32)
    codes: dict[Hashable, int] = {}
    try:
        coded = np.array([codes.setdefault(value, len(codes)) for value in values], np.int32)
    except TypeError:
        raise InputError(
            "the elements of a sequence must be hashable symbols; give one flat sequence"
        ) from None
    names_by_family = {_family(kind): kind.__name__ for kind in set(map(type, values))}
    if type(None) in names_by_family or any(_is_unusable(symbol) for symbol in codes):
        raise InputError("the sequence has a missing or infinite value; drop or fill it")
    if len(names_by_family) > 1:
        names = " and ".join(sorted(names_by_family.values()))
        raise InputError(f"the sequence mixes {names}; convert its elements to one type")
    try:
        ordered = sorted(codes)  # type: ignore[type-var]
    except TypeError:  # symbols without an order keep that of appearance
        return coded
    ranks = {symbol: rank for rank, symbol in enumerate(ordered)}
    return np.array([ranks[symbol] for symbol in codes], np.int32)[coded]


def finite_numbers(sequence: Iterable) -> np.ndarray:
    """Turn a sequence of numbers into float64, all of them finite."""
    values = _flat_values(sequence)
    try:
        array = np.asarray(values)
        is_numeric = array.dtype.kind in "biuf" or all(
            issubclass(kind, numbers.Real) for kind in set(map(type, array))
        )
        if array.ndim != 1 or not is_numeric:
            raise TypeError
        array = array.astype(float)
    except (TypeError, ValueError, OverflowError):
        raise InputError("with r > 0 the elements must be numbers; use r = 0 for symbols") from None
    _check_finite(array)
    return array


def _flat_values(sequence: Iterable) -> np.ndarray | Sequence:
    """Return the values of a flat sequence, as an array if it is one, otherwise as a list."""
    if hasattr(sequence, "offsets"):
        raise InputError(
            "this measures one sequence, not a log; use the function by user, or r = 0"
        )
    if isinstance(sequence, (set, frozenset, dict)) or not isinstance(sequence, Iterable):
        raise InputError(
            f"a {type(sequence).__name__} has no order; give a flat list, string or array"
        )
    refuse_masked(sequence)
    values = np.asarray(sequence) if hasattr(sequence, "__array__") else list(sequence)
    if isinstance(values, list) and any(
        issubclass(kind, np.ma.MaskedArray) for kind in set(map(type, values))
    ):
        refuse_masked(np.ma.masked)
    if isinstance(values, np.ndarray) and values.ndim != 1:
        raise InputError(
            f"the sequence has {values.ndim} dimensions; give one flat sequence, row by row"
        )
    if not len(values):
        raise InputError("the sequence is empty; give at least one element")
    return values


def refuse_masked(values: object) -> None:
    """Raise InputError for a masked array: its values under the mask would be counted."""
    if isinstance(values, np.ma.MaskedArray):
        raise InputError(
            "a masked array has values that are not there; give those that are,"
            " as with compressed()"
        )


def _family(kind: type) -> type:
    """Return the type that stands for all types that one sequence may mix with this one."""
    if issubclass(kind, (bool, np.bool_)):
        return bool
    families: tuple[type, ...] = (numbers.Number, str, bytes)
    return next((family for family in families if issubclass(kind, family)), kind)


def _is_unusable(symbol: Any) -> bool:
    """Return whether a symbol is missing or infinite."""
    try:
        return bool(symbol != symbol) or (isinstance(symbol, numbers.Real) and math.isinf(symbol))
    except (TypeError, OverflowError):
        # a missing value that cannot be compared, or a whole number too large for a float
        return not isinstance(symbol, numbers.Real)


def _check_finite(values: np.ndarray) -> None:
    is_finite = np.isfinite(values)
    if not is_finite.all():
        position = int(np.argmin(is_finite))
        raise InputError(
            f"the sequence has {values[position]} at position {position}; drop or fill missing"
            " and infinite values"
        )


# ---------------------------------------------------------------- arguments


def check_count(value: object, name: str) -> int:
    """Check that an argument is a whole number of at least 1."""
    is_whole = isinstance(value, numbers.Integral) and not isinstance(value, (bool, np.bool_))
    if not is_whole or value < 1:  # type: ignore[operator]
        raise InputError(f"{name} = {value!r} is not usable; give a whole number of at least 1")
    return int(value)  # type: ignore[call-overload]


def check_tolerance(r: object) -> float:
    """Check the tolerance r of matches."""
    is_number = isinstance(r, numbers.Real) and not isinstance(r, (bool, np.bool_))
    if not is_number or not 0 <= r < math.inf:  # type: ignore[operator]
        raise InputError(f"r = {r!r} is not usable; give a finite number of at least 0")
    return float(r)  # type: ignore[arg-type]


def check_length(n: int, needed: int, purpose: str) -> None:
    """Check that a sequence has as many elements as are needed."""
    if n < needed:
        raise InputError(
            f"{int(n)} elements are too few: {purpose} needs at least {needed};"
            " give a longer sequence"
        )
