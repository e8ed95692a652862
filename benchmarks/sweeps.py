"""What the engine of sweeps costs: `python benchmarks/sweeps.py [--log NAME]`.

About ten minutes on two quiet cores. Two workers against one, and how much of the time is not
training, on a small grid of the log (by default the synthetic one); how well the seconds of a run
are predicted; and the reading of 10,000 records. Each row is one run.
"""

import argparse
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


def time_workers(log, workers, folder):
    """Time the grid by so many processes that have started, and print its row."""
    pool = executors.process_pool(workers)()
    config = grids.expand_grid({"settings": {"epochs": 1}})[0].config
    warm_up = [
        pool.submit(
            executors.train_job,
            log,
            grids.TrainingData(),
            [config],
            folder / "warm",
            "cpu",
            1,
            False,
        )
        for _ in range(workers)
    ]
    for job in warm_up:
        job.result()
    seconds, table = timed(partial(runner.run, GRID, log, folder / "runs", pool, progress=False))
    pool.shutdown()
    phases = table[["seconds training", "seconds validation", "seconds test"]].sum().sum()
    rate = 3600 * len(table) / seconds
    print(f"| {workers} | {seconds:.1f} | {rate:,.0f} | {phases / seconds / workers:.1%} |")
    return rate, table


def time_reading(record, count, folder):
    """Time the reading of many copies of a record, which differ in their seed."""
    folder.mkdir()
    for seed in range(count):
        record["configuration"]["seed"] = seed
        record["key"] = run_records.key_of_record(record)
        run_records.write_record(record, folder / f"{record['key']}.json")
    size = next(folder.iterdir()).stat().st_size
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        seconds, table = timed(results.load_runs, folder)
    shutil.rmtree(folder)
    print(f"{len(table):,} records of {size / 1024:.0f} KB are read in {seconds:.2f} s")


def main():
    """Print all tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--log", default="synthetic")
    parser.add_argument("--records", default=10_000, type=int)
    options = parser.parse_args()
    log = datasets.load_log(options.log)
    cores = os.cpu_count()
    print(
        f"{platform.processor() or platform.machine()}, {cores} cores, "
        f"torch {torch.__version__}; {log.name}, {log.tokens:,} interactions\n"
    )
    print("| workers | seconds | runs an hour | in training and ranking |\n|---|---:|---:|---:|")
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        one, many = Path(scratch) / "1", Path(scratch) / str(cores)
        # compiles and caches
        runner.run({"settings": {"epochs": 1}}, log, Path(scratch) / "warm", progress=False)
        rate_of_one, table = time_workers(log, 1, one)
        rate_of_many = rate_of_one
        if cores > 1:
            rate_of_many, table = time_workers(log, cores, many)
        errors = 100 * (cost_model.heldout_costs(table)["predicted"] / table["seconds"] - 1).abs()
        print(
            "\nthe cost model, on a fifth of the runs at a time learnt from the others: "
            f"median error {errors.median():.0f} %, largest {errors.max():.0f} %"
        )
        ratio = rate_of_many / rate_of_one
        print(f"{cores} workers do {ratio:.2f} times the runs an hour of one\n")
        record = run_records.read_record(next((one / "runs").glob("*.json")))
        time_reading(record, options.records, Path(scratch) / "many")


if __name__ == "__main__":
    main()
