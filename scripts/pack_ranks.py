"""Pack the ranks of the test targets of a folder of run records: data/sweeps/growing/NAME.npz.

    python scripts/pack_ranks.py RUNS/LOG NAME
    python scripts/pack_ranks.py RUNS/GRID NAME data/neighbours  # another folder

One array a run and rule, called `KEY test` and `KEY test, history removed`; of the weights of the
least validation loss, where they are of another epoch, `KEY least: test` and so on. An array holds
twice the rank (ties are halves) of the target of each user who has one, in the order of the log.
"""

import sys
from pathlib import Path

import numpy as np

from perflaw.models.sweeps import results
from perflaw.models.training import run_records

WHERE = results.SWEEPS_FOLDER / "growing"


def ranks(folder):
    """Read the arrays by name, of the records in the order of their keys."""
    found = {}
    for path in sorted(Path(folder).glob("*.json")):
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


if __name__ == "__main__":
    folder, name, *where = sys.argv[1:]
    path = Path(*where or [WHERE]) / f"{name}.npz"
    np.savez_compressed(path, **ranks(folder))
    print(f"{path}: {path.stat().st_size / 1e6:.2f} MB")
