"""Pack the ranks of the test targets of a folder of run records: data/sweeps/growing/NAME.npz.

    python scripts/pack_ranks.py RUNS/LOG NAME
    python scripts/pack_ranks.py RUNS/GRID NAME data/neighbours  # another folder

One array a run and rule, called `KEY test` and `KEY test, history removed`; of the weights of the
least validation loss, where they are of another epoch, `KEY least: test` and so on. An array holds
twice the rank (ties are halves) of the target of each user who has one, in the order of the log.
"""

from pathlib import Path

import numpy as np

from perflaw.errors import InputError
from perflaw.models.sweeps import results
from perflaw.models.training import run_records
from perflaw.study import script_command

WHERE = results.SWEEPS_FOLDER / "growing"


def ranks(folder):
    """Read the arrays by name, of the records in the order of their keys."""
    found = {}
    for path in sorted(folder.glob("*.json")):
        record = run_records.read_record(path)
        parts = {
            f"{record['key']} {part}": values for part, values in record.get("ranks", {}).items()
        }
        least = record.get("least validation loss", {}).get("ranks", {})
        parts |= {f"{record['key']} least: {part}": values for part, values in least.items()}
        found |= {
            name: np.round(2 * np.asarray(values)).astype(np.uint32)
            for name, values in parts.items()
        }
    return found


def main(folder, name, where):
    """Write the file, and say how large it is."""
    if not name or Path(name).name != name:
        raise InputError(f"{name!r} is no name of a file; use one without slashes")
    run_records.check_folder(where)
    arrays = ranks(folder)
    if not arrays:
        raise InputError(f"no record of {folder} has ranks; name a folder of runs that ended")
    path = where / f"{name}.npz"
    np.savez_compressed(path, **arrays)
    print(f"{path}: {path.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    parser = script_command.make_parser(__doc__)
    parser.add_argument("folder", type=script_command.records_folder, metavar="RUNS")
    parser.add_argument("name", metavar="NAME")
    parser.add_argument("where", nargs="?", type=Path, default=WHERE, metavar="FOLDER")
    script_command.run_main(main, parser)
