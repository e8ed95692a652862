"""Make data/neighbours/light_gcn.csv: LightGCN over layers, dimensions and seeds on two logs.

    python scripts/light_gcn.py [GRID --out TABLE]

What is trained says data/grids/light-gcn.yaml, or a GRID in its form. Rows that are in the table
are not trained again: after an interruption the command goes on. The logs are in the folder
PERFLAW_DATA.
"""

from collections.abc import Iterator
from pathlib import Path

from perflaw.study.neighbours import grid_command, light_gcn, model_grids
from perflaw.study.neighbours.script_grids import LoadSplits


def complete(table: Path, grid: str, load_splits: LoadSplits) -> Iterator[dict]:
    """Train what the table lacks, run by run."""
    return model_grids.complete_table(
        table,
        model_grids.read_grid("LightGCN", grid),
        load_splits,
        lambda split, run: light_gcn.train_light_gcn(split, light_gcn.Options(**run)),
    )


if __name__ == "__main__":
    grid_command.run_script(__doc__, "light-gcn", complete)
