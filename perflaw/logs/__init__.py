"""The interaction log: read, describe, split, change and measure it."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from perflaw.logs.datasets import load_log
    from perflaw.logs.interaction_log import InteractionLog, from_histories, read_log, write_log
    from perflaw.logs.splits import Split, global_time, leave_one_out

__all__ = [
    "InteractionLog",
    "Split",
    "from_histories",
    "global_time",
    "leave_one_out",
    "load_log",
    "read_log",
    "write_log",
]

_MODULES = {
    "InteractionLog": "interaction_log",
    "Split": "splits",
    "from_histories": "interaction_log",
    "global_time": "splits",
    "leave_one_out": "splits",
    "load_log": "datasets",
    "read_log": "interaction_log",
    "write_log": "interaction_log",
}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
