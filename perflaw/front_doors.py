"""Front doors: what a package offers, each imported when it is first used."""

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any


def offer_lazily(
    package: str, doors: Mapping[str, Sequence[str]]
) -> tuple[list[str], Callable[[str], Any], Callable[[], list[str]]]:
    """Make the `__all__`, `__getattr__` and `__dir__` of a package.

    Parameters
    ----------
    package
        Its `__name__`.
    doors
        By module of the package: the names in it that are offered. A dictionary literal, which
        `perflaw.publish.reachability` reads.
    """
    modules = {name: f"{package}.{module}" for module, names in doors.items() for name in names}

    def open_door(name: str) -> Any:
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(modules[name]), name)

    return sorted(modules), open_door, lambda: sorted(modules)
