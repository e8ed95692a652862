"""Grids and helpers that the tests of sweeps share."""

import multiprocessing

from perflaw.models.sweeps import runner
from perflaw.models.training import run_records

SETTINGS = {
    "n_layers": 1,
    "d_emb": 8,
    "max_seq_len": 20,
    "batch_size": 32,
    "loss": "softmax",
    "epochs": 2,
}
GRID = {
    "settings": SETTINGS,
    "grid": [
        {"seed": [0, 1, 2], "dropout": [0.1, 0.3]},
        {"sample_users": 0.5, "data_seed": [0, 1]},
        {"split": "global time", "truncate": 5},
    ],
}
SEEDS = {"settings": SETTINGS, "grid": {"seed": [0, 1, 2, 3]}}

# Processes that start at once: they are forked from a server that has imported torch. What it
# imports must be set before the first of them starts.
FORK = multiprocessing.get_context("forkserver")
FORK.set_forkserver_preload(["perflaw.models.sweeps.runner"])
LONG = {  # of four members that end one after another, and of two that may not be stacked
    "settings": SETTINGS | {"learning_rate": 0.05, "epochs": 12},
    "grid": [
        {"patience": [1, 2, 3, None]},
        {"seed": [1, 2], "patience": [1, 4]},
        {"d_emb": [4, 16]},
    ],
}


def sweep(grid, log, folder, **options):
    return runner.run(grid, log, folder, progress=False, **options)


def records(folder):
    """What the records of a folder say, by key, but for times and commits."""
    passing = ("seconds", "tokens_per_second", "finished")
    read = [run_records.read_record(path) for path in folder.glob("*.json")]
    lasting = [
        {name: value for name, value in record.items() if name not in passing} for record in read
    ]
    return {
        record["key"]: record | {"environment": record["environment"] | {"commit": None}}
        for record in lasting
    }


def written(folder):
    """When the records of a folder were written, by name."""
    return {
        path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in folder.glob("*.json")
    }


def clean(folder):
    """Is nothing there but records and the lock?"""
    return all(path.suffix == ".json" or path.name == ".sweep.lock" for path in folder.iterdir())
