"""Sweeps: grids of runs, trained, recorded and read as a table.

Front doors are loaded when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_MODULES = {
    "run": "perflaw.models.sweeps.runner",
    "plan_sweep": "perflaw.models.sweeps.runner",
    "process_pool": "perflaw.models.sweeps.executors",
    "read_grid": "perflaw.models.sweeps.grids",
    "expand_grid": "perflaw.models.sweeps.grids",
    "load_runs": "perflaw.models.sweeps.results",
    "read_runs_table": "perflaw.models.sweeps.results",
    "consolidate": "perflaw.models.sweeps.results",
    "filter_runs": "perflaw.models.sweeps.results",
    "aggregate_seeds": "perflaw.models.sweeps.results",
    "verify": "perflaw.models.sweeps.verification",
}
__all__ = list(_MODULES)


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_MODULES])
