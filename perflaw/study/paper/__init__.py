"""The paper: its published points, what it printed, and its own steps done again."""

from importlib import import_module

_FRONT_DOORS = {
    "load_surfaces": "perflaw.study.paper.published",
    "printed_fits": "perflaw.study.paper.published",
}
__all__ = ["load_surfaces", "printed_fits"]


def __getattr__(name: str) -> object:
    if name not in _FRONT_DOORS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_FRONT_DOORS[name]), name)


def __dir__() -> list[str]:
    return __all__
