"""Make data/neighbours/diffu_rec.csv: DiffuRec over blocks, dimensions and seeds on two logs.

    python scripts/diffu_rec.py [GRID --out TABLE]

What is trained says data/grids/diffu-rec.yaml, or a GRID in its form. Rows that are in the table
are not trained again: after an interruption the command goes on. The logs are in the folder
PERFLAW_DATA.
"""

from collections.abc import Iterator
from pathlib import Path

from perflaw.study.neighbours import diffu_rec, grid_command, model_grids
from perflaw.study.neighbours.script_grids import LoadSplits


def complete(table: Path, grid: str, load_splits: LoadSplits) -> Iterator[dict]:
    """Train what the table lacks, run by run."""
    return model_grids.complete_table(
        table,
        model_grids.read_grid("DiffuRec", grid),
        load_splits,
        lambda split, run: diffu_rec.train_diffu_rec(split, **run),
    )


if __name__ == "__main__":
    grid_command.run_script(__doc__, "diffu-rec", complete)
