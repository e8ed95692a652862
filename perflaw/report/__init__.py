"""Reports on one's own interaction log: pilot, forecast, findings, page."""

from perflaw.front_doors import offer_lazily

_DOORS = {
    "conclusions": ["draw_conclusions", "forecast_runs"],
    "render": ["write_report"],
    "report": ["report_on_runs", "run_report"],
}
__all__, __getattr__, __dir__ = offer_lazily(__name__, _DOORS)
