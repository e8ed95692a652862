"""Pack the ranks of the test targets of a folder of run records: data/sweeps/growing/NAME.npz.

    python scripts/pack_ranks.py RUNS/LOG NAME
    python scripts/pack_ranks.py RUNS/GRID NAME data/neighbours  # another folder

One array a run and rule, called `KEY test` and `KEY test, history removed`. An array holds twice
the rank (ties are halves) of the target of each user who has one, in the order of the log.
NAME-least.npz has the same of the weights of the least validation loss, where these are of another
epoch.
"""

from pathlib import Path

import numpy as np

from perflaw.errors import InputError
from perflaw.models.sweeps import results
from perflaw.models.training import run_records
from perflaw.study import script_command

WHERE = results.sweeps_folder() / "growing"


def doubled_ranks(key, ranks):
    """Name the arrays of a run, and double the ranks; numbers are as narrow as they can be."""
    doubled = {part: np.round(2 * np.asarray(values)) for part, values in ranks.items()}
    return {
        f"{key} {part}": values.astype(np.min_scalar_type(int(values.max(initial=0))))
        for part, values in doubled.items()
    }


def main(folder, name, where):
    """Write the files, and say how large they are."""
    if not name or Path(name).name != name:
        raise InputError(f"{name!r} is no name of a file; use one without slashes")
    run_records.check_folder(where)
    chosen, least = {}, {}
    for path in sorted(folder.glob("*.json")):
        record = run_records.read_record(path)
        chosen |= doubled_ranks(record["key"], record.get("ranks", {}))
        least |= doubled_ranks(
            record["key"], record.get("least validation loss", {}).get("ranks", {})
        )
    if not chosen:
        raise InputError(f"no record of {folder} has ranks; name a folder of runs that ended")
    for path, arrays in ((where / f"{name}.npz", chosen), (where / f"{name}-least.npz", least)):
        if arrays:
            np.savez_compressed(path, **arrays)
            print(f"{path}: {path.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    parser = script_command.make_parser(__doc__)
    parser.add_argument("folder", type=script_command.records_folder, metavar="RUNS")
    parser.add_argument("name", metavar="NAME")
    parser.add_argument("where", nargs="?", type=Path, default=WHERE, metavar="FOLDER")
    script_command.run_main(main, parser)
