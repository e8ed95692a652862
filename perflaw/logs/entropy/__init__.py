"""Entropies of sequences and of interaction logs, in nats, and what they bound."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from perflaw.logs.entropy.approximate import apen, apen_by_user, sample_entropy
    from perflaw.logs.entropy.compression import compression_ratio
    from perflaw.logs.entropy.conditional import conditional_entropy, shannon_entropy
    from perflaw.logs.entropy.lempel_ziv import lempel_ziv_entropy
    from perflaw.logs.entropy.predictability import accuracy_limit

__all__ = [
    "accuracy_limit",
    "apen",
    "apen_by_user",
    "compression_ratio",
    "conditional_entropy",
    "lempel_ziv_entropy",
    "sample_entropy",
    "shannon_entropy",
]

_MODULES = {
    "accuracy_limit": "predictability",
    "apen": "approximate",
    "apen_by_user": "approximate",
    "compression_ratio": "compression",
    "conditional_entropy": "conditional",
    "lempel_ziv_entropy": "lempel_ziv",
    "sample_entropy": "approximate",
    "shannon_entropy": "conditional",
}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
