"""The command line of a script that runs a grid of data/grids."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from perflaw.errors import InputError, one_line_errors
from perflaw.logs import datasets
from perflaw.logs.splits import Split, leave_one_out
from perflaw.models.sweeps import grids
from perflaw.models.training import trainer
from perflaw.models.training.preparation import check_split
from perflaw.study import script_command
from perflaw.study.files import study_file
from perflaw.study.neighbours.script_grids import LoadSplits

N_LISTED = 10  # items in a list, of which metrics are


def run_script(
    description: str | None,
    name: str,
    complete: Callable[[Path, str, LoadSplits], Iterator[Any]],
    arguments: Sequence[str] | None = None,
) -> None:
    """Complete the table of a grid that the command line names; exit with one line on bad input.

    Parameters
    ----------
    description : str
        Of the script; its first line is shown by --help.
    name : str
        Of the grid in data/grids, and with _ for - of its table in data/neighbours.
    complete : callable
        From the table's path, the grid, and what loads its logs, to an iterator over runs. Each
        is trained when it is asked for.
    arguments : sequence of str, optional
        In the place of those of the command line.
    """
    parser = script_command.make_parser(description)
    parser.add_argument(
        "grid",
        nargs="?",
        default=name,
        help=f"a YAML file like data/grids/{name}.yaml, the default",
    )
    parser.add_argument("--out", type=Path, metavar="TABLE", help="CSV file; needed with GRID")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    try:
        with one_line_errors():
            table = options.out or _committed_table(options.grid, name)
            count = 0
            for run in tqdm(complete(table, options.grid, load_splits), desc=name, delay=2):
                tqdm.write(str(run))
                count += 1
    except FloatingPointError as error:
        sys.exit(f"training diverged ({error}); in {options.grid} use a lower learning_rate")
    except (MemoryError, RuntimeError) as error:
        if not trainer.is_out_of_memory(error):
            raise
        sys.exit(f"out of memory; in {options.grid} use smaller models or batches")
    except KeyboardInterrupt:
        sys.exit(f"interrupted; the same command goes on with what {table} lacks")
    print(
        f"{table} has all runs of {options.grid}; {count} are new. Rows that were there keep the "
        "settings that they had: for other settings name another table with --out."
    )


def _committed_table(grid: str, name: str) -> Path:
    """Return the table of the committed grid; raises InputError for another grid."""
    if grid != name and Path(grid).resolve() != (grids.grids_folder() / f"{name}.yaml").resolve():
        raise InputError(f"{grid} needs a table of its own: add --out TABLE.csv")
    return study_file("data", "neighbours", f"{name.replace('-', '_')}.csv")


def load_splits(logs: Sequence[str]) -> dict[str, Split]:
    """Split logs by leave-one-out, by name; raises InputError for one that is too small."""
    splits = {name: leave_one_out(datasets.load_log(name)) for name in logs}
    for name, split in splits.items():
        check_split(split)
        if split.log.n_items <= N_LISTED:
            raise InputError(
                f"{name} is too small: it has {split.log.n_items} items, and lists have {N_LISTED}"
            )
        if split.log.name != name:
            raise InputError(
                f"logs: {name} is called {split.log.name}; use that name, of a file in the folder "
                f"{datasets.DATA_VARIABLE}"
            )
    return splits
