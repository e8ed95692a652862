"""Make data/paper_sizes.csv: our runs of the paper's grid under the protocol of its figures.

    python scripts/paper_sizes.py RUNS

RUNS is a folder of records of `perflaw sweep paper --log ml-1m`. The target is ranked among
2,499 drawn items that the user has not had, by exact expectation from the ranks in the records.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from perflaw.errors import InputError
from perflaw.logs import datasets
from perflaw.logs.splits import Split, leave_one_out
from perflaw.models import protocols
from perflaw.models.sweeps import grids
from perflaw.models.training import run_records
from perflaw.study import script_command
from perflaw.study.files import study_file

LOG = "ml-1m"
DRAWN_ITEMS = 2_499
RANKS = "test, history removed"
SIZE = ("n_layers", "d_emb", "max_seq_len", "seed")


def is_of_grid(record: Mapping[str, Any], settings: Mapping[str, Any], split: Split) -> bool:
    """Say whether a record is of the grid, of that split, and finished."""
    has_settings = all(record["configuration"][name] == settings[name] for name in settings)
    return "metrics" in record and has_settings and record["split"]["hash"] == split.hash


def sampled_row(record: Mapping[str, Any], split: Split) -> dict[str, Any]:
    """Make the line of a run."""
    ranked = protocols.ranked_from_ranks(np.array(record["ranks"][RANKS]), split, "history")
    metrics = protocols.sampled_metrics(ranked, DRAWN_ITEMS, cutoffs=(10,))
    size = {name: record["configuration"][name] for name in SIZE}
    return size | dict(zip(("HR@10", "NDCG@10"), metrics.values()))


def main(folder: Path) -> None:
    """Write the table, and print the mean NDCG@10 by size."""
    records = [run_records.read_record(path) for path in sorted(folder.glob("*.json"))]
    split = leave_one_out(datasets.load_log(LOG))
    settings = grids.read_grid("paper")["settings"]
    rows = [sampled_row(record, split) for record in records if is_of_grid(record, settings, split)]
    if not rows:
        raise InputError(
            f"no record of {folder} is of the grid paper on {LOG}, and finished; make some with "
            f"perflaw sweep paper --log {LOG} --out {folder}"
        )
    table = pd.DataFrame(rows).sort_values(["max_seq_len", "n_layers", "d_emb", "seed"])
    path = study_file("data", "paper_sizes.csv")
    table.to_csv(path, index=False, float_format="%.6g", lineterminator="\n")
    print(table.pivot_table(index="n_layers", columns="d_emb", values="NDCG@10").round(4))


if __name__ == "__main__":
    parser = script_command.make_parser(__doc__)
    parser.add_argument("folder", type=script_command.records_folder, metavar="RUNS")
    script_command.run_main(main, parser)
