"""Make data/paper_sizes.csv: our runs of the paper's grid under the protocol of its figures.

    python scripts/paper_sizes.py [RUNS]

The target is ranked among 2,499 drawn items that the user has not had, by exact expectation from
the ranks of a run. These are packed beside data/sweeps/growing/ml-1m.csv, or in the records of
`perflaw sweep paper --log ml-1m`, whose folder is RUNS. Rows of other runs stay as they are.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from perflaw.errors import InputError
from perflaw.logs import datasets
from perflaw.logs.splits import leave_one_out
from perflaw.models import protocols
from perflaw.models.sweeps import grids, results
from perflaw.models.training import run_records
from perflaw.study import script_command
from perflaw.study.files import study_file

LOG = "ml-1m"
DRAWN_ITEMS = 2_499
SIZE = ["n_layers", "d_emb", "max_seq_len", "seed"]


def packed_runs() -> Iterator[tuple[dict[str, Any], np.ndarray]]:
    """Yield the settings and the ranks of each run of data/sweeps/growing."""
    folder = results.sweeps_folder() / "growing"
    runs = results.read_runs_table(folder / f"{LOG}.csv").to_dict("records")
    with np.load(folder / f"{LOG}.npz") as doubled:
        for run in runs:
            yield run, doubled[f"{run['key']} {protocols.HISTORY_PART}"] / 2


def recorded_runs(
    records: Iterable[dict[str, Any]], split_hash: str
) -> Iterator[tuple[dict[str, Any], np.ndarray]]:
    """Yield the settings and the ranks of each finished run on a split."""
    for record in records:
        if "metrics" in record and record["split"]["hash"] == split_hash:
            yield record["configuration"], np.array(record["ranks"][protocols.HISTORY_PART])


def main(folder: Path | None) -> None:
    """Write the table, and print the mean NDCG@10 by size."""
    paths = [] if folder is None else sorted(folder.glob("*.json"))
    records = [run_records.read_record(path) for path in paths]
    split = leave_one_out(datasets.load_log(LOG))
    wanted = grids.read_grid("paper")["settings"]
    runs = [*packed_runs(), *recorded_runs(records, split.hash)]
    rows = []
    for settings, ranks in runs:
        if all(settings[name] == value for name, value in wanted.items()):
            ranked = protocols.ranked_from_ranks(ranks, split, "history")
            metrics = protocols.sampled_metrics(ranked, DRAWN_ITEMS, cutoffs=(10,))
            size = {name: settings[name] for name in SIZE}
            rows.append(size | dict(zip(("HR@10", "NDCG@10"), metrics.values())))
    if not rows:
        raise InputError(
            f"no finished run is of the grid paper on {LOG}; make some with "
            f"perflaw sweep paper --log {LOG} --out RUNS, and name that folder"
        )
    path = study_file("data", "paper_sizes.csv")
    table = pd.concat([pd.read_csv(path), pd.DataFrame(rows)])
    table = table.drop_duplicates(SIZE, keep="last").sort_values(
        ["max_seq_len", "n_layers", "d_emb", "seed"]
    )
    table.to_csv(path, index=False, float_format="%.6g", lineterminator="\n")
    print(table.pivot_table(index="n_layers", columns="d_emb", values="NDCG@10").round(4))


if __name__ == "__main__":
    parser = script_command.make_parser(__doc__)
    parser.add_argument("folder", type=script_command.records_folder, nargs="?", metavar="RUNS")
    script_command.run_main(main, parser)
