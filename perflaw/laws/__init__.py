"""Laws: how a metric depends on model size and data, fitted, judged and put to use."""

from importlib import import_module
from typing import Any

_FRONT_DOORS = {
    "FitWarning": "prediction",
    "LawRegressor": "regressor",
    "compare_laws": "validation",
    "find_optimum": "optimum",
    "fit": "fitting",
    "fit_mixed": "mixed",
    "get_law": "families",
    "load_fit": "serialization",
    "predict": "prediction",
    "save_fit": "serialization",
}

__all__ = list(_FRONT_DOORS)


def __getattr__(name: str) -> Any:
    if name not in _FRONT_DOORS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_FRONT_DOORS[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_FRONT_DOORS})
