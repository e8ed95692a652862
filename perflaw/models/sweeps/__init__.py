"""Sweeps: grids of runs, trained, recorded and read as a table.

Front doors are loaded when they are first used.
"""

from perflaw.front_doors import offer_lazily

_DOORS = {
    "executors": ["process_pool"],
    "grids": ["expand_grid", "read_grid"],
    "results": ["aggregate_seeds", "consolidate", "filter_runs", "load_runs", "read_runs_table"],
    "runner": ["plan_sweep", "run"],
    "verification": ["verify"],
}
__all__, __getattr__, __dir__ = offer_lazily(__name__, _DOORS)
