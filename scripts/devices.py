"""Make data/devices.csv: runs that were trained on a CPU and on a GPU, side by side.

    python scripts/devices.py CPU_RUNS GPU_RUNS

Both are folders of run records; runs of one key are compared.
"""

from pathlib import Path

import pandas as pd

from perflaw.errors import InputError
from perflaw.models.sweeps import results
from perflaw.study import script_command
from perflaw.study.files import study_file

RUN = ["log", "n_layers", "d_emb", "seed"]
DEVICES = ("cpu", "gpu")
# By column of a table of runs: what it is called in data/devices.csv.
COLUMNS = {
    "HR@10": "HR@10",
    "NDCG@10": "NDCG@10",
    "NDCG@10 se": "NDCG@10 se",
    "done_epochs": "epochs",
    "seconds": "seconds",
    "tokens_per_second": "tokens_per_second",
}


def load_all(folder: Path) -> pd.DataFrame:
    """Load the records of all folders below one."""
    folders = [path for path in sorted(folder.rglob("*")) if any(path.glob("*.json"))]
    return pd.concat([results.load_runs(path) for path in folders])


def main(cpu_folder: Path, gpu_folder: Path) -> None:
    """Write and print the table."""
    cpu, gpu = load_all(cpu_folder), load_all(gpu_folder)
    on_cpu = cpu[cpu["device"].str.startswith("cpu")]
    on_gpu = gpu[gpu["device"].str.startswith("cuda")]
    suffixes = [f" {device}" for device in DEVICES]
    both = on_cpu.merge(on_gpu, on=["key", *RUN], suffixes=suffixes)
    if both.empty:
        raise InputError(
            f"{cpu_folder} and {gpu_folder} have no run of one key, by CPU and by GPU; "
            "run one grid on one log with --device cpu into the one, --device cuda into the other"
        )
    values = {
        f"{device} {name}": both[f"{column} {device}"]
        for device in DEVICES
        for column, name in COLUMNS.items()
    }
    table = pd.concat([both[RUN], pd.DataFrame(values)], axis=1).sort_values(RUN)
    path = study_file("data", "devices.csv")
    table.to_csv(path, index=False, float_format="%.6g", lineterminator="\n")
    print(table.to_string(index=False))


if __name__ == "__main__":
    parser = script_command.make_parser(__doc__)
    for name in ("cpu_folder", "gpu_folder"):
        metavar = name.replace("folder", "runs").upper()
        parser.add_argument(name, type=script_command.folder_of_folders, metavar=metavar)
    script_command.run_main(main, parser)
