"""Reports on one's own interaction log: pilot, forecast, findings, page."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_FRONT_DOORS = {
    "draw_conclusions": "perflaw.report.conclusions",
    "forecast_runs": "perflaw.report.conclusions",
    "report_on_runs": "perflaw.report.report",
    "run_report": "perflaw.report.report",
    "write_report": "perflaw.report.render",
}

__all__ = sorted(_FRONT_DOORS)


def __getattr__(name: str) -> Any:
    """Import a front door when it is asked for."""
    if name not in _FRONT_DOORS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_FRONT_DOORS[name]), name)


def __dir__() -> list[str]:
    """List the front doors."""
    return __all__
