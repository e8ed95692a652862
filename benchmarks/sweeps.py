"""What the engine of sweeps costs: `python benchmarks/sweeps.py [--log NAME]`.

About ten minutes on two quiet cores. Two workers against one, and how much of the time is not
training, on a small grid of the log (by default the synthetic one); how well the seconds of a run
are predicted; and the reading of 10,000 records. Each row is one run.
"""

import argparse
import json
import os
import platform
import shutil
import tempfile
import time
import warnings
from functools import partial
from pathlib import Path

import torch

from perflaw.logs import datasets
from perflaw.models.sweeps import cost_model, executors, grids, results, runner
from perflaw.models.training import run_records

GRID = {
    "settings": {
        "loss": "softmax",
        "max_seq_len": 50,
        "learning_rate": 0.005,
        "epochs": 8,
        "patience": None,
    },
    "grid": {"n_layers": [1, 2, 3, 4], "d_emb": [8, 16, 32, 64], "seed": [0, 1]},
}


def timed(function, *args):
    """Return the seconds of a call, and what it returned."""
    start = time.perf_counter()
    result = function(*args)
    return time.perf_counter() - start, result


def main():
    """Print all tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--log", default="synthetic")
    parser.add_argument("--records", default=10_000, type=int)
    options = parser.parse_args()
    log = datasets.load_log(options.log)
    print(
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, "
        f"torch {torch.__version__}; {log.name}, {log.tokens:,} interactions\n"
    )
    print("| workers | seconds | runs an hour | in training and ranking |\n|---|---:|---:|---:|")
    rates = {}
    with tempfile.TemporaryDirectory() as scratch:
        torch.set_num_threads(1)
        runner.run(
            {"settings": {"epochs": 1}}, log, Path(scratch) / "warm", progress=False
        )  # compiles and caches
        for workers in (1, os.cpu_count()):
            folder = Path(scratch) / str(workers)
            pool = executors.process_pool(workers)()
            list(
                pool.map(
                    executors.train_job,
                    *zip(
                        *[
                            (
                                log,
                                grids.TrainingData(),
                                [grids.expand_grid({"settings": {"epochs": 1}})[0].config],
                                folder / "warm",
                                "cpu",
                                1,
                                False,
                            )
                        ]
                        * workers
                    ),
                )
            )
            seconds, table = timed(
                partial(runner.run, GRID, log, folder / "runs", pool, progress=False)
            )
            pool.shutdown()
            phases = table[["seconds training", "seconds validation", "seconds test"]].sum().sum()
            rates[workers] = 3600 * len(table) / seconds
            print(
                f"| {workers} | {seconds:.1f} | {rates[workers]:,.0f} "
                f"| {phases / seconds / workers:.1%} |"
            )
        sequence = list(rates.values())
        errors = 100 * (cost_model.heldout_costs(table)["predicted"] / table["seconds"] - 1).abs()
        print(
            "\nthe cost model, on a fifth of the runs at a time learnt from the others: "
            f"median error {errors.median():.0f} %, largest {errors.max():.0f} %"
        )
        print(
            f"{os.cpu_count()} workers do {sequence[-1] / sequence[0]:.2f} times "
            "the runs an hour of one\n"
        )

        folder, copies = Path(scratch) / "1" / "runs", Path(scratch) / "many"
        copies.mkdir()
        record = json.loads(next(folder.glob("*.json")).read_text())
        for i in range(options.records):
            record["configuration"]["seed"] = i
            record["key"] = run_records.key_of_record(record)
            (copies / f"{record['key']}.json").write_text(json.dumps(record))
        size = next(copies.iterdir()).stat().st_size
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            seconds, table = timed(results.load_runs, copies)
        shutil.rmtree(copies)
    print(f"{len(table):,} records of {size / 1024:.0f} KB are read in {seconds:.2f} s")


if __name__ == "__main__":
    main()
