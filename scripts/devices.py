"""Runs that were trained on a CPU and on a GPU, side by side: data/devices.csv.

python benchmarks/devices.py CPU_RUNS GPU_RUNS        # folders of run records; those of one key are compared
"""

import sys
from pathlib import Path

import pandas as pd

from perflaw.models.sweeps import runner
from perflaw.paths import HOME

COLUMNS = {
    "HR@10": "HR@10",
    "NDCG@10": "NDCG@10",
    "NDCG@10 se": "NDCG@10 se",
    "done_epochs": "epochs",
    "seconds": "seconds",
    "tokens_per_second": "tokens_per_second",
}


def main(*folders):
    cpu, gpu = (
        pd.concat(
            [
                runner.load_runs(path)
                for path in sorted(Path(folder).rglob("*"))
                if path.is_dir() and any(path.glob("*.json"))
            ]
        )
        for folder in folders
    )
    both = cpu[cpu["device"].str.startswith("cpu")].merge(
        gpu[gpu["device"].str.startswith("cuda")],
        on=["key", "log", "n_layers", "d_emb", "seed"],
        suffixes=(" cpu", " gpu"),
    )
    told = {
        f"{device} {name}": both[f"{column} {device}"]
        for device in ("cpu", "gpu")
        for column, name in COLUMNS.items()
    }
    table = pd.concat(
        [both[["log", "n_layers", "d_emb", "seed"]], pd.DataFrame(told)], axis=1
    ).sort_values(["log", "n_layers", "d_emb", "seed"])
    table.to_csv(
        HOME / "data" / "devices.csv", index=False, float_format="%.6g", lineterminator="\n"
    )
    print(table.to_string(index=False))


if __name__ == "__main__":
    main(*sys.argv[1:])
