"""Front doors: the public names of a package, each imported when it is first used."""

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any


def offer_lazily(
    package: str, names_by_module: Mapping[str, Sequence[str]]
) -> tuple[list[str], Callable[[str], Any], Callable[[], list[str]]]:
    """Make the `__all__`, `__getattr__` and `__dir__` of a package.

    Parameters
    ----------
    package
        Its `__name__`.
    names_by_module
        The public names in each module of the package. The caller writes it as a dictionary
        literal, which `perflaw.publish.reachability` reads.
    """
    modules = {
        name: f"{package}.{module}" for module, names in names_by_module.items() for name in names
    }

    def load(name: str) -> Any:
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(modules[name]), name)

    return sorted(modules), load, lambda: sorted(modules)
