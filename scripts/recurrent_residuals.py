"""Make data/neighbours/recurrent_residuals.csv: forecasts of counts, corrected by a network.

    python scripts/recurrent_residuals.py [GRID --out TABLE]

What is trained says data/grids/recurrent-residuals.yaml, or a GRID in its form. The series are
those of data/neighbours/counts.csv. Rows that are in the table are not made again.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from perflaw.study.neighbours import grid_command, recurrent_residuals


def complete(table: Path, grid: str, _load_splits: Any) -> Iterator[dict]:
    """Make the rows that the table lacks, from counts and no log."""
    return recurrent_residuals.complete_table(table, grid)


if __name__ == "__main__":
    grid_command.run_script(__doc__, "recurrent-residuals", complete)
