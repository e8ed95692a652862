"""Sweeps: grids, folders of records, executors, tables; and what goes wrong: kills, full disks, dead workers."""

import contextlib
import errno
import functools
import json
import multiprocessing
import os
import pickle
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pytest
import torch
import tqdm
from click.testing import CliRunner

from perflaw.cli.main import main
from perflaw.cli.sweep import executor_at
from perflaw.errors import InputError
from perflaw.logs import datasets, interaction_log, synthetic
from perflaw.models.sweeps import cost_model, runner
from perflaw.models.training import heartbeat, trainer

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


@pytest.fixture(scope="module")
def log():
    return synthetic.Process(n_items=60, n_interests=4).sample(80, 12).log


@pytest.fixture(scope="module")
def done(log, tmp_path_factory):
    """A folder with the sweep GRID, done in this process."""
    folder = tmp_path_factory.mktemp("done")
    runner.run(GRID, log, folder, progress=False)
    return folder


@pytest.fixture
def copied(done, tmp_path):
    return Path(shutil.copytree(done, tmp_path / "copied"))


@pytest.fixture
def untrained(monkeypatch):
    """Who trains now fails."""
    monkeypatch.setattr(trainer, "fit_stack", None)


def sweep(grid, log, folder, **options):
    return runner.run(grid, log, folder, progress=False, **options)


def records(folder):
    """What the records of a folder say, by key, but for times and commits."""
    passing = ("seconds", "tokens_per_second", "finished")
    read = [trainer.read_record(path) for path in folder.glob("*.json")]
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


# ---------------------------------------------------------------- the grid


@pytest.mark.parametrize(
    ("grid", "runs"),
    [
        ({}, 1),
        ({"about": "defaults"}, 1),
        ({"grid": {"n_layers": [1, 2], "d_emb": [8, 16, 32], "seed": 0}}, 6),
        ({"grid": [{"n_layers": [1, 2]}, {"d_emb": [8, 16]}]}, 4),
        ({"grid": [{"n_layers": [1, 2]}, {"n_layers": [2, 3]}]}, 3),  # once each
        ({"grid": {"seed": [1, 1, 1.0]}}, 1),
        ({"grid": {"sample_users": [0.25, 1, 1.0], "seed": [0, 1]}}, 4),
        (
            {
                "grid": [
                    {},
                    {"sample_users": 1},
                    {"truncate": None},
                    {"sample_time": 1},
                    {"k_core": 1},
                    {"shuffle_order": 0},
                    {"data_seed": 5},
                ]
            },
            1,
        ),
        ({"grid": {"sample_users": [0.5, 1], "data_seed": [0, 1, 2]}}, 4),
    ],
)
def test_the_runs_of_a_grid(grid, runs):
    points = runner.expand_grid(grid)
    assert len(points) == len(set(points)) == runs


def test_a_grid_has_its_order():
    points = runner.expand_grid(
        {
            "settings": {"backbone": "llama"},
            "grid": [{"n_layers": [4, 1], "d_emb": [16, 8]}, {"n_layers": 2}],
        }
    )
    assert [(p.config.n_layers, p.config.d_emb) for p in points] == [
        (4, 16),
        (4, 8),
        (1, 16),
        (1, 8),
        (2, 64),
    ]
    assert all(p == (replace(p.config, backbone="llama"), runner.TrainingData()) for p in points)


def test_data_by_name():
    point = runner.expand_grid(
        {
            "settings": {"split": "global time", "sample_users": 1, "data_seed": 3},
            "grid": {"truncate": 10, "sample_time": 0.5},
        }
    )[0]
    assert point == (
        trainer.make_config(),
        runner.TrainingData("global time", (("sample_time", 0.5), ("truncate", 10.0)), 3),
    )


@pytest.mark.parametrize(
    ("where", "matched"),
    [
        ({}, [True, True, True, True, True, True]),
        ({"n_layers": 1}, [True, True, False, False, False, False]),
        ({"n_layers": [1, 3], "d_emb": 8}, [True, False, False, False, False, False]),
        ({"n_layers": [1, 2], "d_emb": [8, 64]}, [True, False, True, False, True, True]),
        ({"backbone": "llama", "seed": 7}, [False, False, False, False, True, False]),
        (
            {"n_heads": 1, "truncate": None, "sample_users": 1, "split": "leave one out"},
            [True, True, True, True, True, True],
        ),  # by default
    ],
)
def test_overrides(where, matched):
    products = [{"n_layers": [1, 2], "d_emb": [8, 16]}, {"seed": [7, 8]}]
    grid = {
        "settings": {"backbone": "llama"},
        "grid": products,
        "overrides": [{"where": where, "set": {"dropout": 0.5}}],
    }
    assert [point.config.dropout == 0.5 for point in runner.expand_grid(grid)] == matched


def test_a_later_override_sees_an_earlier_one():
    overrides = [
        {"where": {"n_layers": 1}, "set": {"learning_rate": 0.5}},
        {"where": {"learning_rate": 0.5}, "set": {"truncate": 9}},
    ]
    first, second = runner.expand_grid({"grid": {"n_layers": [1, 2]}, "overrides": overrides})
    assert first.data.steps == (("truncate", 9.0),) and second.data.steps == ()


@pytest.mark.parametrize(
    ("grid", "told"),
    [
        ({"grids": {}}, "a grid has no 'grids'; it has settings, grid, overrides and about"),
        ({"grid": {"layers": [1]}}, "a run has no 'layers'; it has backbone, n_layers"),
        ({"settings": {"layers": 1}}, "a run has no 'layers'"),
        (
            {"settings": {"n_layers": [1, 2]}},
            "settings: n_layers needs one value; lists belong under grid",
        ),
        ({"settings": None}, "settings needs names and values"),
        ({"settings": {2: 1}}, "settings needs names and values"),
        ({"grid": 3}, "grid needs names and values"),
        ({"grid": [3]}, "grid needs names and values"),
        ({"grid": []}, "grid has no runs"),
        ({"grid": {"n_layers": []}}, "grid: n_layers has no values"),
        ({"grid": {"n_layers": [0]}}, "n_layers = 0 is not usable"),
        (
            {"grid": {"n_layers": [[1, 2]]}},
            r"n_layers = \[1, 2\] is not usable; use a whole number",
        ),
        ({"grid": {"n_layers": ["two"]}}, "n_layers = 'two' is not usable"),
        ({"grid": {"d_emb": [50], "n_heads": [1, 4]}}, "n_heads = 4 does not divide d_emb = 50"),
        (
            {"grid": {"split": ["random"]}},
            "there is no split 'random'; use one of leave one out, global time",
        ),
        ({"grid": {"split": [["leave one out"]]}}, r"there is no split \['leave one out'\]"),
        (
            {"grid": {"data_seed": [0.5]}},
            "data_seed = 0.5 is not usable; use a whole number, 0 or more",
        ),
        ({"grid": {"data_seed": [-1]}}, "data_seed = -1 is not usable"),
        ({"grid": {"data_seed": [True]}}, "data_seed = True is not usable"),
        ({"grid": {"truncate": ["ten"]}}, "truncate = 'ten' is not usable; use a number"),
        ({"grid": {"sample_users": [True]}}, "sample_users = True is not usable"),
        ({"grid": {"sample_users": [float("nan")]}}, "sample_users = nan is not usable"),
        ({"overrides": {"where": {}, "set": {}}}, "overrides needs a list"),
        ({"overrides": [3]}, "an override has the two parts 'where' and 'set'"),
        ({"overrides": [{"where": {}}]}, "an override has the two parts"),
        ({"overrides": [{"where": {"sed": 1}, "set": {"seed": 2}}]}, "a run has no 'sed'"),
        ({"overrides": [{"where": 1, "set": {"seed": 2}}]}, "where needs names and values"),
        ({"overrides": [{"where": {"seed": 0}, "set": [2]}]}, "set needs names and values"),
        ({"overrides": [{"where": {"seed": 0}, "set": {"sed": 2}}]}, "a run has no 'sed'"),
        (
            {"overrides": [{"where": {"seed": 0}, "set": {"seed": [1, 2]}}]},
            r"seed = \[1, 2\] is not usable",
        ),
    ],
)
def test_a_grid_that_cannot_be(grid, told):
    with pytest.raises(InputError, match=told) as error:
        runner.expand_grid(grid)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("grid: {n_layers: [1, 2}", "bad.yaml is no YAML in line 1: "),
        (
            "- 1\n- 2",
            r"bad.yaml holds no grid; it needs a mapping with 'grid', e.g. grid: \{n_layers: \[1, 2\]\}",
        ),
        ("", "bad.yaml holds no grid"),
        (b"\xff\xfe\x00", r"bad.yaml cannot be read \(it is no text\)"),
        ("grid: {n_layers: [\x00]}", "bad.yaml is no YAML"),
    ],
)
def test_a_file_that_is_no_grid(tmp_path, text, told):
    path = tmp_path / "bad.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InputError, match=told) as error:
        runner.read_grid(path)
    assert "\n" not in str(error.value)


def test_a_grid_that_is_not_there(tmp_path):
    with pytest.raises(
        InputError,
        match=r"missing.yaml cannot be read \(No such file or directory\); name a YAML file",
    ):
        runner.read_grid(tmp_path / "missing.yaml")
    with pytest.raises(
        InputError,
        match="there is no grid 'huge': name a YAML file, or one of choose, data, laptop, paper, paper-faithful",
    ):
        runner.read_grid("huge")


def test_numbers_in_yaml(tmp_path):
    """1e-3 is text by YAML 1.1, and a number to everybody."""
    (tmp_path / "grid.yaml").write_text(
        "grid: {learning_rate: [1e-3, 1.5E-3, 0.002], weight_decay: -0e0, epochs: 1e2, clip: [null, 2.5]}"
    )
    points = runner.expand_grid(runner.read_grid(tmp_path / "grid.yaml"))
    assert [p.config.learning_rate for p in points[::2]] == [1e-3, 1.5e-3, 2e-3] and points[
        0
    ].config.epochs == 100


@pytest.mark.parametrize(
    "path", sorted(runner.GRIDS_FOLDER.glob("*.yaml")), ids=lambda path: path.stem
)
def test_presets(path):
    grid = runner.read_grid(path.stem)
    points = runner.expand_grid(grid)
    assert (
        len(points)
        == {"paper": 72 + 24, "paper-faithful": 72, "tiny": 12}.get(path.stem, len(points))
        > 10
    )
    assert grid["about"].endswith((".", "?")) and path.stem in " ".join(
        main.commands["sweep"].help.split()
    )


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"sample_users": 2}, "a share of 2.0 cannot be kept"),
        ({"truncate": 2.5}, "2.5 interactions a user: use a whole number"),
        ({"shuffle_order": -1}, "a share of -1"),
        ({"k_core": 50}, "nothing of synthetic is left in its 50-core"),
        ({"truncate": 1}, "no user has two interactions in its training part"),
    ],
)
def test_data_that_cannot_be_are_told_before_training(log, tmp_path, untrained, values, told):
    with pytest.raises(InputError, match=told):
        sweep({"grid": [{"seed": 0}, values]}, log, tmp_path)
    assert not written(tmp_path)


def test_an_override_of_no_run_is_told():
    with pytest.raises(InputError, match="overrides: no run has n_layers 9; mend or remove"):
        runner.expand_grid(
            {
                "grid": {"n_layers": [1, 2]},
                "overrides": [{"where": {"n_layers": 9}, "set": {"dropout": 0.4}}],
            }
        )


# ---------------------------------------------------------------- what is to be done


def test_the_costly_go_first_and_alike_ones_together(log, tmp_path):
    grid = {
        "settings": SETTINGS,
        "grid": [{"n_layers": [1, 8], "seed": [0, 1, 2]}, {"truncate": 5}],
    }
    planned = runner.plan_sweep(grid, log, tmp_path, stack=2)
    assert planned.jobs == [[3, 4], [5], [0, 1], [2], [6]] and not planned.records
    assert (
        list(planned.frame["done"]) == [""] * 7 and (planned.frame["predicted_seconds"] > 0).all()
    )
    assert not any(tmp_path.iterdir())


def test_a_plan_knows_what_is_done(log, done):
    planned = runner.plan_sweep({**GRID, "grid": [*GRID["grid"], {"seed": 9}]}, log, done)
    assert planned.jobs == [[9]] and len(planned.records) == 9
    assert list(planned.frame["done"]) == ["epochs used up"] * 9 + [""]
    assert (planned.frame["predicted_seconds"][:9] == 0).all() and planned.frame[
        "predicted_seconds"
    ][9] > 0


def test_runs_of_another_device_tell_nothing_of_the_time(log, done, tmp_path):
    grid = {**GRID, "grid": [*GRID["grid"], {"seed": 9}]}
    for path in done.glob("*.json"):
        record = json.loads(path.read_text())
        record["environment"]["device"] = "cuda: another"
        (tmp_path / path.name).write_text(json.dumps(record))
    planned, fresh = (
        runner.plan_sweep(grid, log, tmp_path),
        runner.plan_sweep({**GRID, "grid": {"seed": 9}}, log, tmp_path / "none"),
    )
    assert planned.jobs == [[9]] and not planned.records
    assert planned.frame["predicted_seconds"].iloc[9] == fresh.frame["predicted_seconds"].iloc[0]


def test_splits_are_of_the_log_in_hand(log):
    """A log of the same hash may have other names, or another order of users."""
    data = runner.TrainingData()
    assert runner.split_of(log, data) is runner.split_of(pickle.loads(pickle.dumps(log)), data)
    assert runner.split_of(replace(log, name="other"), data).log.name == "other"
    turned = interaction_log.from_histories([log.history(u) for u in reversed(range(log.n_users))])
    same = interaction_log.from_histories([log.history(u) for u in range(log.n_users)])
    assert turned.hash == same.hash
    assert (
        runner.split_of(same, data).log.history(0).tolist()
        != runner.split_of(turned, data).log.history(0).tolist()
    )


# ---------------------------------------------------------------- doing it


EXECUTORS = {
    "stacks": {"stack": 4},
    "a thread": {"executor": functools.partial(ThreadPoolExecutor, 1)},
    "threads": {"executor": functools.partial(ThreadPoolExecutor, 3)},
    "processes": {"executor": runner.process_pool(2)},
    "stacks in processes": {"executor": runner.process_pool(2), "stack": 3},
}


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.slow] * ("processes" in name)) for name in EXECUTORS],
)
def test_every_executor_gives_the_same(log, done, tmp_path, name):
    table = sweep(GRID, log, tmp_path, **EXECUTORS[name])
    assert records(tmp_path) == records(done) and len(table) == 9
    assert clean(tmp_path)


def test_an_executor_that_is_given_stays_open(log, done, tmp_path):
    with ThreadPoolExecutor(1) as pool:
        sweep(GRID, log, tmp_path, executor=pool)
        assert pool.submit(int).result() == 0
    assert records(tmp_path) == records(done)


def test_what_is_there_is_not_done_again(log, copied, untrained):
    before = written(copied)
    table = sweep(GRID, log, copied)
    assert written(copied) == before and len(before) == 9
    pd.testing.assert_frame_equal(
        table.sort_values("key", ignore_index=True), runner.load_runs(copied)
    )


def test_the_table_is_in_the_order_of_the_grid(log, tmp_path):
    grid = {"settings": SETTINGS, "grid": {"n_layers": [1, 3, 2], "d_emb": [16, 4]}}
    table = sweep(grid, log, tmp_path, executor=functools.partial(ThreadPoolExecutor, 2))
    assert list(zip(table["n_layers"], table["d_emb"])) == [
        (1, 16),
        (1, 4),
        (3, 16),
        (3, 4),
        (2, 16),
        (2, 4),
    ]


def test_a_sweep_in_the_background_writes_lines(log, tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(heartbeat, "EVERY", 0)
    runner.run({"settings": SETTINGS, "grid": {"seed": [0, 1]}}, log, tmp_path)
    rate = r"[\d,]+ positions a second, at most 0\d:\d\d left"
    lines = re.findall(
        rf"\d\d:\d\d:\d\d synthetic, sasrec, N 1, d 8, L 20, seed 0: epoch (\d) of at most 2, batch (\d) of 3; (.*); {rate}",
        capfd.readouterr().err,
    )
    assert [line[:2] for line in lines] == [
        ("1", "1"),
        ("1", "2"),
        ("1", "3"),
        ("2", "1"),
        ("2", "2"),
        ("2", "3"),
    ]
    assert lines[0][2] == "not validated yet"
    assert re.fullmatch(r"NDCG@10 0\.\d{4}", lines[3][2])


def test_workers_write_lines_too(log, tmp_path, monkeypatch):
    """Of processes, each tells of its own run; a bar only where somebody watches."""
    asked, real = [], runner.train_job
    monkeypatch.setattr(
        runner, "train_job", lambda *arguments: asked.append(arguments[-1]) or real(*arguments)
    )
    with ThreadPoolExecutor(1) as pool:
        runner.run({"settings": SETTINGS}, log, tmp_path, lambda: pool)
    assert asked == [trainer.LINES]


def test_a_line_a_minute(monkeypatch, capsys):
    clock = [0.0]
    monkeypatch.setattr(heartbeat.time, "perf_counter", lambda: clock[0])
    beats = heartbeat.Heartbeat("a run", 1_000_000, done=400_000)
    for second in range(0, 121):
        clock[0] = float(second)
        beats.beat(f"second {second}", 400_000 + 1_000 * second)
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition(" ")[2] for line in lines] == [
        "a run: second 60; 1,000 positions a second, at most 09:00 left",
        "a run: second 120; 1,000 positions a second, at most 08:00 left",
    ]


def test_a_budget_of_time_is_kept(log, tmp_path, monkeypatch):
    assert runner.run(GRID, log, tmp_path, progress=False, seconds=0).empty
    monkeypatch.setattr(
        cost_model.CostModel,
        "seconds",
        lambda self, runs, epochs=None: np.where(runs["sample_users"].isna(), 1e3, 0.01).astype(
            float
        ),
    )
    runs = runner.run(
        GRID, log, tmp_path, progress=False, seconds=100
    )  # the first, before costs are known, and then what ends in time
    planned = list(runner.plan_sweep(GRID, log, tmp_path).frame["key"])
    assert (
        list(runs["key"]) == [planned[i] for i in (0, 6, 7)]
        and len(list(tmp_path.glob("*.json"))) == 3
    )
    assert list(runner.run(GRID, log, tmp_path, progress=False, seconds=5e3)["key"]) == planned


def test_sweeps_are_joined_by_copying(log, done, tmp_path, monkeypatch):
    parts = [tmp_path / "a", tmp_path / "b"]
    for folder, half in zip(parts, (GRID["grid"][:1], GRID["grid"][1:])):
        sweep(GRID | {"grid": half}, log, folder)
    joined = Path(shutil.copytree(parts[0], tmp_path / "joined"))
    shutil.copytree(parts[1], joined, dirs_exist_ok=True)
    monkeypatch.setattr(trainer, "fit_stack", None)
    assert len(sweep(GRID, log, joined)) == 9 and records(joined) == records(done)


def test_a_folder_that_workers_do_not_share(log, done, tmp_path, monkeypatch):
    """What a worker hands back is written here; a success takes the place of a failure."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    away = lambda log, data, configs, folder, *rest: runner.train_job(
        log, data, configs, elsewhere, *rest
    )

    class Away(ThreadPoolExecutor):
        def submit(self, function, *args):
            return super().submit(away, *args)

    def fails(*_, **__):
        raise MemoryError("no more")

    with monkeypatch.context() as patch:
        patch.setattr(trainer, "fit_stack", fails)
        assert (
            sweep(GRID, log, tmp_path, executor=functools.partial(Away, 1))["status"]
            .str.startswith("out of memory")
            .all()
        )
    assert (
        sweep(GRID, log, tmp_path, executor=functools.partial(Away, 1))["status"]
        .eq("epochs used up")
        .all()
    )
    assert records(tmp_path) == records(elsewhere) == records(done)


def test_workers_of_another_version_are_told(log, tmp_path, monkeypatch):
    monkeypatch.setattr(
        runner,
        "train_job",
        lambda log, data, configs, *_: [{"key": "f" * 16, "status": "converged"} for _ in configs],
    )
    with pytest.raises(
        InputError,
        match="run [0-9a-f]{16} came back as ffffffffffffffff: a worker has another version of perflaw",
    ):
        sweep(GRID, log, tmp_path)
    assert not written(tmp_path)


# ---------------------------------------------------------------- kills


FORK = multiprocessing.get_context("forkserver")
LONG = {  # of four members that end one after another, and of two that may not be stacked
    "settings": SETTINGS | {"learning_rate": 0.05, "epochs": 12},
    "grid": [
        {"patience": [1, 2, 3, None]},
        {"seed": [1, 2], "patience": [1, 4]},
        {"d_emb": [4, 16]},
    ],
}


@pytest.fixture(scope="module")
def forks():
    """Processes that start at once: torch is imported already."""
    FORK.set_forkserver_preload(["perflaw.models.sweeps.runner", "torch._dynamo"])
    server = FORK.Process(target=int)
    server.start()
    server.join()

    def start(grid, log, folder, **options):
        child = FORK.Process(
            target=runner.run, args=(grid, log, folder), kwargs=dict(progress=False, **options)
        )
        child.start()
        return child

    return start


@pytest.fixture(scope="module")
def undisturbed(log, tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    sweep(LONG, log, folder)
    return records(folder)


def end(child):
    """kill -9, and wait until it is gone with all that it started."""
    below = []
    with contextlib.suppress(psutil.NoSuchProcess):
        below = psutil.Process(child.pid).children(recursive=True)
    child.kill()
    child.join()
    assert not psutil.wait_procs(below, timeout=30)[1]


KILLS = {
    "in this process": (10, {}),
    "stacks": (11, {"stack": 4}),
    "processes": (4, {"executor": runner.process_pool(2)}),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", KILLS)
def test_killed_at_any_moment_a_sweep_goes_on(log, undisturbed, forks, tmp_path, name):
    (kills, options), chance = KILLS[name], random.Random(name)
    start = time.monotonic()
    first = forks(LONG, log, tmp_path / "timing", **options)
    first.join()
    took, folders = time.monotonic() - start, 0
    assert first.exitcode == 0 and records(tmp_path / "timing") == undisturbed
    while kills:
        folder, finished = tmp_path / str(folders), False
        folders += 1
        while kills and not finished:
            before = written(folder)
            child = forks(LONG, log, folder, **options)
            child.join(chance.uniform(0, took))
            finished = child.exitcode is not None
            if not finished:
                end(child)
                kills -= 1
            assert records(folder).items() <= undisturbed.items() if folder.exists() else True
            assert written(folder).items() >= before.items()
        before = written(folder)
        sweep(LONG, log, folder)
        assert records(folder) == undisturbed and written(folder).items() >= before.items()
        assert clean(folder)


def dies_writing(grid, log, folder):
    """The second record is complete, and has no name yet."""

    def replace(source, target, real=os.replace):
        if written(Path(target).parent):
            os.kill(os.getpid(), signal.SIGKILL)
        real(source, target)

    os.replace = replace
    sweep(grid, log, folder)


def test_killed_while_it_writes(log, forks, tmp_path):
    child = FORK.Process(target=dies_writing, args=(SEEDS, log, tmp_path))
    child.start()
    child.join()
    before = written(tmp_path)
    other = tmp_path / ".0123456789abcdef.x.part"  # of somebody else, who is at it
    other.touch()
    assert (
        child.exitcode == -signal.SIGKILL
        and len(before) == 1
        and len(list(tmp_path.glob(".*.part"))) == 2
    )
    sweep(SEEDS, log, tmp_path)
    assert written(tmp_path).items() >= before.items() and list(tmp_path.glob(".*.part")) == [other]


@pytest.mark.slow
def test_who_had_ended_in_a_killed_stack_is_kept(log, undisturbed, forks, tmp_path):
    ends = [record["epochs"] for record in undisturbed.values()]
    assert len(set(ends)) > 3
    grid = LONG | {"settings": LONG["settings"] | {"epochs": 400}, "grid": LONG["grid"][:1]}
    child = forks(grid, log, tmp_path, stack=4)
    while not written(tmp_path):
        assert child.is_alive()
        time.sleep(0.002)
    end(child)
    kept = written(tmp_path)
    assert 1 <= len(kept) < 4
    sweep(grid, log, tmp_path, stack=4)
    assert written(tmp_path).items() >= kept.items() and len(written(tmp_path)) == 4


# ---------------------------------------------------------------- disasters


@pytest.fixture
def refuge(tmp_path, monkeypatch):
    """The folder for temporary files."""
    folder = tmp_path / "refuge"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def full(*folders):
    """`os.replace` where the disk of some folders is full."""

    def replace(source, target, real=os.replace):
        if Path(target).parent in folders:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(source, target)

    return replace


def fill(*folders):
    os.replace = full(*folders)


@pytest.mark.parametrize("place", ["here", "a worker"])
def test_a_full_disk_loses_no_record(log, tmp_path, refuge, monkeypatch, forks, place):
    folder = tmp_path / "runs"
    if place == "here":
        monkeypatch.setattr(os, "replace", full(folder))
    executor = (
        functools.partial(ProcessPoolExecutor, 1, FORK, fill, (folder,))
        if place == "a worker"
        else None
    )
    with pytest.raises(
        InputError,
        match=r"could not be written \(No space left on device\); free space, and run again; this record is .*: move it there",
    ) as error:
        sweep(SEEDS, log, folder, executor=executor)
    monkeypatch.undo()
    kept = Path(re.search("this record is (.*): move it there", str(error.value))[1])
    assert clean(folder) and not written(folder) and "\n" not in str(error.value)
    assert trainer.read_record(kept)["status"] == "epochs used up"
    shutil.move(kept, folder)
    before = written(folder)
    assert len(sweep(SEEDS, log, folder)) == 4 and written(folder).items() >= before.items()


def test_nowhere_to_write(log, tmp_path, refuge, monkeypatch):
    monkeypatch.setattr(os, "replace", full(tmp_path, refuge))
    with pytest.raises(
        InputError,
        match=r"\.json could not be written \(No space left on device\); free space, and run again$",
    ):
        sweep(SEEDS, log, tmp_path)
    assert clean(tmp_path / "refuge") and not written(tmp_path)


def test_a_folder_that_is_lost_in_mid_sweep_ends_it(log, tmp_path, refuge, monkeypatch):
    """It is no failure of the runs."""
    real, calls = tempfile.TemporaryFile, []

    def fails(*args, **options):
        calls.append(options["dir"])
        if len(calls) > 2:
            raise PermissionError(errno.EACCES, "Permission denied")
        return real(*args, **options)

    monkeypatch.setattr(tempfile, "TemporaryFile", fails)
    with pytest.raises(
        InputError, match="records cannot be kept in .*: Permission denied; name another folder"
    ):
        sweep(SEEDS, log, tmp_path)
    assert len(calls) == 3 and len(written(tmp_path)) == 1 and clean(refuge)


def test_a_folder_that_cannot_be(log, tmp_path, monkeypatch, untrained):
    (tmp_path / "file").write_text("")
    with pytest.raises(
        InputError, match="records cannot be kept in .*file: File exists; name another folder"
    ):
        sweep(SEEDS, log, tmp_path / "file")

    def fails(**_):
        raise PermissionError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(tempfile, "TemporaryFile", fails)
    with pytest.raises(
        InputError, match="records cannot be kept in .*: Read-only file system; name another folder"
    ):
        sweep(SEEDS, log, tmp_path)


def test_a_clock_that_is_set_back(log, done, tmp_path, monkeypatch):
    now = [2e9]

    def back():
        now[0] -= 1000
        return now[0]

    monkeypatch.setattr(time, "time", back)
    monkeypatch.setattr(tqdm.std, "time", back)
    monkeypatch.setattr(time, "gmtime", lambda *_, real=time.gmtime: real(back()))
    table = runner.run(GRID, log, tmp_path)
    assert (
        records(tmp_path) == records(done)
        and table["finished"].iloc[-1] < table["finished"].iloc[0]
    )


def test_two_sweeps_on_one_folder(log, tmp_path, forks):
    child = forks(SEEDS | {"grid": {"seed": list(range(10_000))}}, log, tmp_path)
    while not written(tmp_path):
        assert child.is_alive()
        time.sleep(0.01)
    try:
        with pytest.raises(
            InputError, match="another sweep writes to .*; wait for it, or use a folder of its own"
        ):
            sweep(SEEDS, log, tmp_path)
    finally:
        end(child)
    assert len(sweep(SEEDS, log, tmp_path)) == 4


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[: len(text) // 2],
        lambda text: "",
        lambda text: "[]",
        lambda text: text.replace('"key": "', '"key": "f'),
    ],
)
def test_a_damaged_record_is_set_aside_and_done_again(log, copied, done, damage):
    path = next(copied.glob("*.json"))
    broken = damage(path.read_text())
    path.write_text(broken)
    before = written(copied)
    with pytest.warns(
        UserWarning,
        match=f"{path.name} is .*; it is now {path.stem}.broken, and the run is done again",
    ) as told:
        sweep(GRID, log, copied)
    assert len(told) == 1 and path.with_suffix(".broken").read_text() == broken
    assert records(copied) == records(done)
    assert {name for name, at in written(copied).items() if before[name] != at} == {path.name}


# ---------------------------------------------------------------- failures


def test_runs_that_cannot_be_do_not_end_the_others(log, tmp_path, monkeypatch):
    grid = {
        "settings": SETTINGS,
        "grid": [{"seed": 0}, {"learning_rate": 1e30}, {"n_layers": 10**9}, {"seed": 1}],
    }
    table = sweep(grid, log, tmp_path)
    assert (
        table["status"]
        .str.startswith(
            (
                "epochs used up",
                "diverged in epoch 1: ",
                "failed: InputError: 1000000000 layers of d = 8 on",
            )
        )
        .all()
    )
    assert table["NDCG@10"].notna().tolist() == [True, False, False, True] and clean(tmp_path)
    tried = []
    monkeypatch.setattr(
        runner,
        "train_job",
        lambda log, data, configs, *rest, real=runner.train_job: (
            tried.extend(configs) or real(log, data, configs, *rest)
        ),
    )
    sweep(grid, log, tmp_path)
    assert [config.n_layers for config in tried] == [10**9]  # that alone may do better another time


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory."),
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: can't allocate memory"),
    ],
)
def test_a_stack_that_is_out_of_memory_is_tried_in_halves(log, done, tmp_path, monkeypatch, error):
    sizes, real = [], trainer.fit_stack

    def tight(configs, *args, **options):
        sizes.append(len(configs))
        if len(configs) > 1 or configs[0].seed == 2:
            raise error
        return real(configs, *args, **options)

    monkeypatch.setattr(trainer, "fit_stack", tight)
    table = sweep(SEEDS, log, tmp_path, stack=4)
    assert sizes == [4, 2, 1, 1, 2, 1, 1]
    assert [status.partition(":")[0] for status in table["status"]] == ["epochs used up"] * 2 + [
        "out of memory",
        "epochs used up",
    ]
    monkeypatch.undo()
    assert sweep(SEEDS, log, tmp_path)["status"].eq("epochs used up").all()


def test_a_stack_of_which_one_fails_keeps_those_that_ended(log, tmp_path, monkeypatch):
    def one(configs, split, *args, on_end, real=trainer.fit_stack, **options):
        on_end(0, real(configs[:1], split, progress=False)[0])
        raise ZeroDivisionError("a mistake\nof ours")

    monkeypatch.setattr(trainer, "fit_stack", one)
    table = sweep(SEEDS, log, tmp_path, stack=4)
    assert (
        table["status"].tolist()
        == ["epochs used up"] + ["failed: ZeroDivisionError: a mistake of ours"] * 3
    )


def test_who_trains_in_a_stack_is_billed_a_share(log, tmp_path):
    start = time.perf_counter()
    table = sweep(SEEDS, log, tmp_path, stack=4)
    assert 0 < table["seconds"].sum() <= time.perf_counter() - start
    phases = table[["seconds training", "seconds validation", "seconds test"]].sum(axis=1)
    np.testing.assert_allclose(table["seconds"], phases)


def test_without_git(log, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    trainer.code_commit.cache_clear()
    assert sweep({"settings": SETTINGS}, log, tmp_path)["commit"].isna().all()
    trainer.code_commit.cache_clear()


def deadly(marker=None, seed=None):
    """In a worker: the end of it as a run starts; the first time only, or whenever a seed is among those trained."""

    def dies(configs, *args, real=trainer.fit_stack, **options):
        if any(config.seed == seed for config in configs) or (marker and not marker.exists()):
            if marker:
                marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return real(configs, *args, **options)

    trainer.fit_stack = dies


@pytest.mark.parametrize("options", [{}, {"stack": 2}])
def test_a_worker_that_is_killed_costs_no_run(log, tmp_path, forks, options):
    plain = sweep(SEEDS, log, tmp_path / "plain")
    table = sweep(
        SEEDS,
        log,
        tmp_path / "runs",
        executor=functools.partial(ProcessPoolExecutor, 2, FORK, deadly, (tmp_path / "marker",)),
        **options,
    )
    assert (tmp_path / "marker").exists() and table["status"].eq("epochs used up").all()
    pd.testing.assert_series_equal(table["NDCG@10"], plain["NDCG@10"])
    assert records(tmp_path / "runs") == records(tmp_path / "plain") and clean(tmp_path / "runs")


def test_a_run_that_kills_its_worker_is_told_from_the_others(log, tmp_path, forks):
    table = sweep(
        SEEDS,
        log,
        tmp_path,
        executor=functools.partial(ProcessPoolExecutor, 2, FORK, deadly, (None, 2)),
    )
    assert table["status"].tolist() == ["epochs used up"] * 2 + [
        "failed: its worker died, twice",
        "epochs used up",
    ]
    assert clean(tmp_path)
    before = written(tmp_path)
    assert sweep(SEEDS, log, tmp_path)["status"].eq("epochs used up").all()
    assert sum(written(tmp_path)[name] == at for name, at in before.items()) == 3


class Frail(ThreadPoolExecutor):
    """Broken from the third call on, as a pool is whose worker died while it had nothing to do."""

    calls = 0

    def submit(self, *args):
        self.calls += 1
        if self.calls > 2:
            raise BrokenExecutor("a process was terminated abruptly")
        return super().submit(*args)


def test_a_pool_that_breaks_between_runs(log, done, tmp_path):
    table = sweep(GRID, log, tmp_path / "made", executor=functools.partial(Frail, 1))
    assert records(tmp_path / "made") == records(done)
    table = sweep(GRID, log, tmp_path / "given", executor=Frail(1))  # which cannot be made anew
    assert (
        sorted(table["status"])
        == ["epochs used up"] * 2
        + ["failed: BrokenExecutor: a process was terminated abruptly"] * 7
    )


# ---------------------------------------------------------------- tables


def test_a_table_has_plain_columns(log, done):
    table = runner.load_runs(done)
    assert (
        table["key"].is_monotonic_increasing
        and len(table) == 9
        and not table.columns.duplicated().any()
    )
    config, data = (
        set(trainer.Config.__dataclass_fields__),
        {"split", "data_seed", *runner.PERTURBATIONS},
    )
    documented = {
        "key",
        "log",
        "data_hash",
        "tokens",
        "users",
        "items",
        "validation_targets",
        "test_targets",
        "status",
        "done_epochs",
        "best_epoch",
    }
    documented |= {
        "training_loss",
        "parameters",
        "parameters embedding",
        "entropy conditional",
        "seconds",
        "seconds training",
        "tokens_per_second",
    }
    documented |= {
        "NDCG@10",
        "NDCG@10 se",
        "validation NDCG@10",
        "device",
        "threads",
        "torch",
        "commit",
        "finished",
    }
    assert config | data | documented <= set(table)
    for name in table:
        kinds = {type(value) for value in table[name].dropna()}
        assert len(kinds) <= 1 and (table[name].dtype != object or kinds == {bool}), name
    assert set(table["sample_users"].dropna()) == {0.5} and set(table["truncate"].dropna()) == {5.0}
    assert table["split"].value_counts().to_dict() == {"leave one out": 8, "global time": 1}
    assert set(table.loc[table["sample_users"].notna(), "data_seed"]) == {0, 1}
    assert (table["done_epochs"] == 2).all() and table["training_loss"].between(3, 5).all()
    assert (table["parameters"] == table.filter(regex="^parameters ").sum(axis=1)).all()


def test_where_nothing_repeats_the_other_rule_has_columns_too(tmp_path):
    movies = interaction_log.from_histories(
        [np.random.default_rng(u).permutation(60)[:15] for u in range(80)]
    )
    table = sweep({"settings": SETTINGS}, movies, tmp_path)
    assert (table["removed NDCG@50"] >= table["NDCG@50"]).all() and not table["repeats"].any()


def test_a_table_has_both_checkpoints(log, done):
    table = runner.load_runs(done)
    assert (table["least-loss epoch"] <= table["done_epochs"]).all()
    same = table["least-loss epoch"] == table["best_epoch"]
    assert (table["least-loss NDCG@10"] == table["NDCG@10"])[same].all()
    assert (table["least-loss validation NDCG@10"] <= table["validation NDCG@10"]).all()


SAMPLES = {"settings": SETTINGS, "grid": {"sample_log": [0.25, 0.5, 1], "data_seed": [0, 1]}}


def test_a_sample_of_a_log_is_a_smaller_log(log):
    points = runner.expand_grid(SAMPLES)
    splits = [runner.split_of(log, point.data) for point in points]
    assert [(point.data.sample, point.data.seed) for point in points] == [
        (0.25, 0),
        (0.25, 1),
        (0.5, 0),
        (0.5, 1),
        (1, 0),
    ]
    assert [split.log.n_users for split in splits] == [20, 20, 40, 40, 80]
    for split in splits:
        assert (split.log.item_counts > 0).all()  # items of its own
        assert (split.test >= 0).sum() <= split.log.n_users
    quarter, other, half = (set(split.log.user_ids) for split in splits[:3])
    assert quarter < half
    assert quarter != other
    assert splits[-1].sample is None
    assert splits[0].sample == (0.25, 0, log.hash)


def test_the_key_has_what_came_later_only_where_it_is_not_the_default(log):
    split, config = interaction_log.leave_one_out(log), trainer.make_config(**SETTINGS)
    before = trainer._digest(
        trainer.SCHEMA, vars(config), log.hash, split.rule, split.hash, split.log.order
    )
    assert trainer.run_key(config, split) == before
    assert (
        trainer.run_key(
            config, runner.split_of(log, runner.expand_grid({"grid": {"sample_log": 1}})[0].data)
        )
        == before
    )
    part = runner.split_of(log, runner.TrainingData(sample=0.5))
    assert trainer.run_key(config, part) != trainer.run_key(config, replace(part, sample=None))


def test_samples_of_a_log_do_not_mix_with_the_log(log, tmp_path):
    table = sweep(SAMPLES, log, tmp_path)
    assert table["sample_log"].fillna(1).tolist() == [0.25, 0.25, 0.5, 0.5, 1]
    assert table["data_seed"].tolist() == [0, 1, 0, 1, 0]
    assert table["data_hash"].nunique() == 5
    assert runner.filter_runs(table, SETTINGS)["sample_log"].isna().all()
    assert len(runner.filter_runs(table, SETTINGS | {"sample_log": 1})) == 1
    assert len(runner.filter_runs(table, SETTINGS | {"sample_log": 0.5})) == 2
    assert runner.filter_runs(table.drop(columns="sample_log"), {"sample_log": 0.5}).empty
    assert runner.aggregate_seeds(table)["seeds"].tolist() == [1]
    assert all(trainer.read_record(path)["key"] == path.stem for path in tmp_path.glob("*.json"))
    assert runner.verify(
        runner.consolidate(tmp_path, "samples", tmp_path / "tables"), 9, log, progress=False
    )["equal"].all()


@pytest.mark.parametrize("share", [0, -1, 1.5, True, "half", float("nan")])
def test_a_sample_that_cannot_be(share):
    with pytest.raises(
        InputError,
        match="sample_log = .* is not usable; use a share of the users, above 0 and at most 1",
    ):
        runner.expand_grid({"grid": {"sample_log": [share]}})


def test_a_sample_without_targets_is_told(tmp_path, untrained):
    mostly_short = interaction_log.from_histories([[1, 2]] * 99 + [[1, 2, 3, 4, 5]])
    with pytest.raises(InputError, match="cannot be split: no user has three interactions"):
        runner.run(
            {"settings": SETTINGS | {"sample_log": 0.01}}, mostly_short, tmp_path, progress=False
        )


def test_a_folder_without_records(tmp_path):
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(
            InputError, match="has no run records; `perflaw sweep` and `perflaw train` make some"
        ):
            runner.load_runs(folder)


def test_files_that_are_no_records_are_left_out_and_named(copied):
    whole = runner.load_runs(copied)
    old = sorted(copied.glob("*.json"))[3]
    old.write_text(json.dumps(json.loads(old.read_text()) | {"schema": 0}))
    foreign = {
        "a.json": "{}",
        "b.json": "[1]",
        "c.json": "{",
        "d.json": '{"schema": 1, "key": "d"}',
        "e.json": '{"schema": 1, "key": "other"}',
    }
    for name, text in foreign.items():
        (copied / name).write_text(text)
    with pytest.warns(
        UserWarning,
        match=r"6 of 14 files in .* are no records of schema 1, or were changed, and are left out: .*json, .*json, .*json …",
    ) as told:
        table = runner.load_runs(copied)
    assert len(told) == 1 and old.exists()
    pd.testing.assert_frame_equal(table, whole[whole["key"] != old.stem].reset_index(drop=True))
    for name in foreign:
        (copied / name).unlink()
    with pytest.warns(UserWarning, match=f"1 of 9 files .* are left out: {old.name}$"):
        runner.load_runs(copied)


def test_a_record_that_was_changed_is_no_record(copied):
    path = min(copied.glob("*.json"))
    path.write_text(path.read_text().replace('"n_layers": 1', '"n_layers": 7'))
    with pytest.warns(UserWarning, match=f"were changed, and are left out: {path.name}"):
        assert path.stem not in set(runner.load_runs(copied)["key"])
    with pytest.raises(
        InputError,
        match="was changed: what it says it was trained with is not what its key stands for",
    ):
        trainer.read_record(path)


def test_cells_hold_runs_that_differ_in_the_seed_alone():
    same = {
        "log": "a",
        "data_hash": "1",
        "n_layers": 1,
        "d_emb": 8,
        "dropout": 0.1,
        "loss": "softmax",
    }
    others = [
        same | change
        for change in (
            {},
            {"dropout": 0.5},
            {"data_hash": "2"},
            {"sample_users": 0.5},
            {"NDCG@10": np.nan},
        )
    ]
    runs = pd.DataFrame(
        [
            {"NDCG@10": 0.1 + 0.01 * seed, "seed": seed, "sample_users": np.nan} | other
            for other in others
            for seed in (0, 1, 2)
        ]
    )
    cells = runner.aggregate_seeds(runs)
    assert list(cells) == [
        "log",
        "n_layers",
        "d_emb",
        "data_hash",
        "dropout",
        "NDCG@10",
        "sd",
        "seeds",
    ]
    assert (
        len(cells) == 3
        and (cells["seeds"] == 3).all()
        and np.allclose(cells["NDCG@10"], 0.11)
        and np.allclose(cells["sd"], 0.01)
    )
    with pytest.raises(InputError, match="the runs have no 'NDCG@11'; they have NDCG@10"):
        runner.aggregate_seeds(runs, "NDCG@11")


def test_a_table_is_not_written_over(copied, tmp_path):
    path = runner.consolidate(copied, "runs.csv", tmp_path)
    assert path.name == "runs.csv" and runner.consolidate(copied, "runs", tmp_path) == path
    min(copied.glob("*.json")).unlink()
    with pytest.raises(
        InputError, match="runs.csv has 1 runs that .* has not; use another name, or remove it"
    ):
        runner.consolidate(copied, "runs", tmp_path)
    for name in ("../up", "a/b", ""):
        with pytest.raises(InputError, match="is no name of a table"):
            runner.consolidate(copied, name, tmp_path)


def test_what_is_no_log_and_no_executor(log, tmp_path):
    with pytest.raises(
        InputError, match="'ml-100k' is no log; read one with perflaw.logs.datasets.load"
    ):
        runner.run("tiny", "ml-100k", tmp_path)
    with pytest.raises(InputError, match="'here' is no executor"):
        runner.run("tiny", log, tmp_path, "here")
    with pytest.raises(InputError, match="0 workers cannot do anything"):
        runner.process_pool(0)


@pytest.mark.slow
def test_a_script_needs_no_guard(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "from perflaw.logs import datasets\nfrom perflaw.models.sweeps import runner\nprint('once')\n"
        "grid = {'settings': {'epochs': 1, 'd_emb': 8, 'max_seq_len': 10}, 'grid': {'seed': [0, 1]}}\n"
        "print(*runner.run(grid, datasets.load('synthetic').sample_users(0.05), 'runs', runner.processes(2), progress=False)['status'], sep=',')\n"
    )
    told = subprocess.run(
        [sys.executable, script], cwd=tmp_path, capture_output=True, text=True, check=True
    ).stdout
    assert told == "once\nepochs used up,epochs used up\n"


def test_a_folder_of_failures_is_a_table(log, tmp_path):
    sweep({"settings": SETTINGS | {"n_layers": 10**9}, "grid": {"seed": [0, 1]}}, log, tmp_path)
    table = runner.load_runs(tmp_path)
    assert (
        len(table) == 2
        and table[["done_epochs", "seconds", "training_loss", "clip"]].dtypes.eq(float).all()
    )
    path = runner.consolidate(tmp_path, "failed", tmp_path)
    with pytest.raises(InputError, match="cannot be repeated: it has no column NDCG@10"):
        runner.verify(path)


def test_cells_are_means_over_seeds(log, tmp_path):
    grid = {
        "settings": SETTINGS,
        "grid": [
            {"d_emb": [4, 8], "seed": [0, 1, 2]},
            {"d_emb": 8, "truncate": 5},
            {"n_layers": 2, "learning_rate": [0.01, 1e30]},
        ],
    }
    table = sweep(grid, log, tmp_path)
    cells = runner.aggregate_seeds(table)
    assert list(zip(cells["n_layers"], cells["d_emb"], cells["seeds"])) == [
        (1, 4, 3),
        (1, 8, 3),
        (2, 8, 1),
    ]
    values = table["NDCG@10"][:3]
    assert cells.loc[0, ["NDCG@10", "sd"]].tolist() == pytest.approx(
        [np.mean(values), np.std(values, ddof=1)]
    )


# ---------------------------------------------------------------- consolidated, and done again


@pytest.fixture(scope="module")
def consolidated(log, tmp_path_factory):
    """A sweep as CSV, of settings that need all their digits."""
    folder = tmp_path_factory.mktemp("consolidated")
    rates = {
        "learning_rate": [1e-3 / 3, 0.1 + 0.2, 10**-2.5],
        "dropout": 1 / 7,
        "clip": [None, 1 / 3],
    }
    sweep(
        GRID
        | {
            "grid": [
                *GRID["grid"],
                rates,
                {"sample_users": 1 / 3, "data_seed": 4},
                {"loss": "bce", "patience": None},
            ]
        },
        log,
        folder,
    )
    return runner.consolidate(folder, "small", folder / "tables")


def test_a_table_is_read_as_it_was(consolidated):
    table, was = runner.read_runs_table(consolidated), runner.load_runs(consolidated.parent.parent)
    assert consolidated.name == "small.csv" and list(table) == list(was)
    exact = list(
        was.select_dtypes(exclude="float").columns.union(
            [*trainer.Config.__dataclass_fields__, *runner.PERTURBATIONS]
        )
    )
    pd.testing.assert_frame_equal(table[exact], was[exact], check_dtype=False)
    pd.testing.assert_frame_equal(table, was, check_dtype=False, rtol=5e-6)
    assert (table["NDCG@10"] == was["NDCG@10"].map(lambda value: float(f"{value:.6g}"))).all()


def test_counts_stay_exact(copied):
    """Also where only some of the runs have them."""
    path = min(copied.glob("*.json"))
    path.write_text(
        json.dumps(
            json.loads(path.read_text()) | {"parameters": {"embedding": 1, "other": 123_456_789}}
        )
    )
    table = runner.read_runs_table(runner.consolidate(copied, "counts", copied / "tables"))
    assert table["parameters other"].dropna().tolist() == [123_456_789]


def test_runs_can_be_done_again(log, consolidated):
    found = runner.verify(consolidated, 99, log, progress=False)
    assert (
        len(found) == 17
        and found["equal"].all()
        and found["within"].all()
        and (found["was"] == found["now"].round(12)).mean() < 1
    )
    few = runner.verify(consolidated, 2, log, progress=False)
    assert len(few) == 2 and set(few["key"]) < set(found["key"])
    assert set(runner.verify(consolidated, 2, log, seed=1, progress=False)["key"]) != set(
        few["key"]
    )


def test_the_log_is_found_by_its_name(log, consolidated, monkeypatch):
    monkeypatch.setattr(datasets, "load_log", lambda name: {"synthetic": log}[name])
    assert runner.verify(consolidated, 1, progress=False)["equal"].all()


@pytest.mark.parametrize(
    "name",
    sorted(
        {
            name
            for path in runner.SWEEPS_FOLDER.glob("*.csv")
            for name in runner.read_runs_table(path)["log"]
            if name in datasets.local_logs()
        }
    )
    or [None],
)
def test_the_keys_of_all_recorded_runs_are_what_they_were(name):
    if name is None:
        pytest.skip("PERFLAW_DATA names no folder with a log of data/sweeps")
    log = datasets.load_log(name)
    for path in runner.SWEEPS_FOLDER.glob("*.csv"):
        for _, was in runner.read_runs_table(path).query("log == @name").iterrows():
            point = runner.point_of(was)
            assert trainer.run_key(point.config, runner.split_of(log, point.data)) == was["key"]


def test_a_table_from_before_samples_can_be_repeated(log, consolidated, tmp_path):
    runner.read_runs_table(consolidated).drop(columns="sample_log").to_csv(
        tmp_path / "old.csv", index=False
    )
    assert runner.verify(tmp_path / "old.csv", 2, log, progress=False)["equal"].all()


def test_another_log_is_another_run(log, consolidated):
    with pytest.raises(
        InputError,
        match=r"was not trained on this synthetic \(its hash is another\); it would now be [0-9a-f]{16}",
    ):
        runner.verify(consolidated, 1, log.sample_users(0.9))
    order = list(reversed(range(log.n_users)))
    turned = interaction_log.from_histories(
        [log.history(u) for u in order],
        [log.timestamps[log.offsets[u] : log.offsets[u + 1]] for u in order],
    )
    assert turned.hash == log.hash
    with pytest.raises(
        InputError, match=r"\(its configuration, or the order of users or items, is another\)"
    ):
        runner.verify(consolidated, 1, turned)


def test_what_differs_is_told(log, consolidated, tmp_path):
    frame = runner.read_runs_table(consolidated).query("`NDCG@10` > 0")
    frame.assign(**{"NDCG@10": 1.04 * frame["NDCG@10"]}).to_csv(tmp_path / "near.csv", index=False)
    near = runner.verify(tmp_path / "near.csv", 2, log, progress=False)
    assert near["within"].all() and not near["equal"].any()
    assert not runner.verify(tmp_path / "near.csv", 2, log, tolerance=0.01, progress=False)[
        "within"
    ].any()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (None, "there is no sweep '.*table.csv'; in data/sweeps there is"),
        ("", "is no table of runs: No columns to parse"),
        ("a,b\n1,2\n", "is no table of runs: it has no column key"),
        ('key,log\n"1', "is no table of runs: Error tokenizing data"),
        (
            "key,log,status,n_layers,d_emb\na,b,c,1,8\n",
            "cannot be repeated: it has no column backbone",
        ),
    ],
)
def test_a_table_that_is_none(tmp_path, text, told):
    path = tmp_path / "table.csv"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputError, match=told) as error:
        runner.verify(path)
    assert "\n" not in str(error.value)


def test_names_that_look_like_numbers_stay_names(copied):
    path = copied / "names.csv"
    runner.load_runs(copied).head(1).assign(key="12345678901234e1", log="007").to_csv(
        path, index=False
    )
    table = runner.read_runs_table(path)
    assert table.loc[0, ["key", "log"]].tolist() == ["12345678901234e1", "007"]


# ---------------------------------------------------------------- a cluster


@pytest.fixture
def cluster(tmp_path):
    """A Dask scheduler and two workers: its address, and the processes of the workers."""
    where, environment = tmp_path / "scheduler.json", os.environ | {"OMP_NUM_THREADS": "1"}
    start = lambda what, *options: subprocess.Popen(  # noqa: E731
        [
            sys.executable,
            "-m",
            f"distributed.cli.dask_{what}",
            "--scheduler-file",
            where,
            "--no-dashboard",
            "--host",
            "127.0.0.1",
            *options,
        ],
        env=environment,
        cwd=tmp_path,
        stderr=subprocess.DEVNULL,
    )
    scheduler = start("scheduler", "--port", "0")
    workers = [start("worker", "--no-nanny", "--nthreads", "1") for _ in range(2)]
    while not (where.exists() and where.read_text().endswith("}")):
        assert scheduler.poll() is None
        time.sleep(0.05)
    yield json.loads(where.read_text())["address"], workers
    for process in (*workers, scheduler):
        process.kill()
        process.wait()


@pytest.mark.slow
def test_a_cluster_of_which_a_worker_is_killed(log, undisturbed, cluster, tmp_path):
    address, workers = cluster
    executor = executor_at(address, None, 1, "cpu")
    executor._client.wait_for_workers(2, timeout=60)
    folder = tmp_path / "runs"
    with ThreadPoolExecutor(1) as beside:
        table = beside.submit(sweep, LONG, log, folder, executor=executor)
        while len(written(folder)) < 2:
            assert not table.done()
            time.sleep(0.01)
        workers[0].kill()
        assert len(table.result()) == 10
    assert records(folder) == undisturbed and clean(folder)
    assert len(sweep(LONG, log, folder, executor=executor)) == 10
    executor._client.close()


# ---------------------------------------------------------------- the command


def run(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def shop(log, tmp_path_factory):
    """The log as a file, and a grid."""
    folder = tmp_path_factory.mktemp("shop")
    interaction_log.write_log(log, folder / "shop.csv")
    (folder / "grid.yaml").write_text(json.dumps(SEEDS))
    return folder


def test_a_dry_run_does_nothing(tmp_path, untrained):
    told = run(
        "sweep",
        "tiny",
        "--log",
        "synthetic",
        "--out",
        tmp_path / "runs",
        "--dry-run",
        "--workers",
        3,
    )
    assert told.exit_code == 0, told.output
    lines = told.output.splitlines()
    assert lines[0].startswith("synthetic: 2,000 users") and lines[1].startswith(
        "all runs: max_seq_len 50, loss softmax, learning_rate 0.005"
    )
    assert (
        lines[3].split() == ["key", "n_layers", "d_emb", "seconds", "status"] and len(lines) == 19
    )
    assert re.match(
        r"12 runs, 0 of them done; the rest would take about [\d:]+ \((h:)?min:s\) of one worker,",
        lines[-2],
    )
    assert re.match(
        r"[\d:]+ of 3 \(of a server's core, as no run is done yet; it may be far off here\)",
        lines[-1],
    )
    assert not (tmp_path / "runs").exists()


def test_a_sweep_by_command(shop, tmp_path):
    arguments = (
        "sweep",
        shop / "grid.yaml",
        "--log",
        shop / "shop.csv",
        "--out",
        tmp_path / "runs",
        "--executor",
        "here",
    )
    told = run(*arguments)
    assert told.exit_code == 0, told.output
    assert f"{tmp_path}/runs: 4 runs\n" in told.output
    assert re.search(
        r"best by validation: [0-9a-f]{16} \(sasrec, N 1, d 8, seed [01]\); test HR@10 0\.\d{4}, NDCG@10 0\.\d{4}\n",
        told.output,
    )
    assert (
        "4 runs, 4 of them done; the rest would take about 00:00"
        in run(*arguments, "--dry-run").output
    )
    path = min((tmp_path / "runs").glob("*.json"))
    path.write_text("{")
    told = run(*arguments, "--stack", 4)
    assert (
        told.exit_code == 0
        and f"it is now {path.stem}.broken, and the run is done again\n" in told.output
    )
    told = run("consolidate", tmp_path / "runs", "mine", "--where", tmp_path)
    assert told.exit_code == 0 and told.output == f"{tmp_path}/mine.csv\n"
    told = run("verify", tmp_path / "mine.csv", "--log", shop / "shop.csv")
    assert told.exit_code == 0, told.output
    assert "3 runs within 10% of what they were, 3 of them equal to six digits" in told.output
    table = pd.read_csv(tmp_path / "mine.csv")
    table.assign(**{"NDCG@10": 2 * table["NDCG@10"]}).to_csv(tmp_path / "mine.csv", index=False)
    told = run("verify", tmp_path / "mine.csv", "--log", shop / "shop.csv", "--runs", 2)
    assert (
        told.exit_code == 1
        and re.search(r" NO +no\n", told.output)
        and "Error: 2 of 2 runs came out differently by more than 10%" in told.output
    )


@pytest.mark.slow
def test_a_sweep_by_processes(shop, tmp_path):
    """Also the progress of the whole and of each worker."""
    arguments = (
        "sweep",
        shop / "grid.yaml",
        "--log",
        shop / "shop.csv",
        "--out",
        tmp_path / "runs",
        "--workers",
        "2",
    )
    told = subprocess.run(
        [Path(sys.executable).with_name("perflaw"), *arguments], capture_output=True, text=True
    )
    assert told.returncode == 0 and "runs: 4 runs\n" in told.stdout, told.stderr
    assert (
        "runs: 4 of 4 runs |" in told.stderr
        and "an hour, about " in told.stderr
        and "Traceback" not in told.stderr
    )


def test_failures_are_counted_and_told(shop, tmp_path):
    grid = {
        "settings": SETTINGS,
        "grid": [{"seed": [0, 1]}, {"learning_rate": 1e30}, {"n_layers": 10**9, "seed": [0, 1]}],
    }
    (tmp_path / "grid.yaml").write_text(json.dumps(grid))
    told = run(
        "sweep",
        tmp_path / "grid.yaml",
        "--log",
        shop / "shop.csv",
        "--out",
        tmp_path / "runs",
        "--executor",
        "here",
    )
    assert (
        told.exit_code == 1
        and "runs: 5 runs, 1 of them diverged\n" in told.output
        and ", 2 failed" in told.output
    )
    assert re.search(
        r"Error: 2 runs failed and will be tried again next time; the first: [0-9a-f]{16}, failed: InputError: 1000000000 layers",
        told.output,
    )


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["huge"], "there is no grid 'huge': name a YAML file, or one of choose, data, laptop"),
        (
            ["GRID", "--executor", "cloud"],
            "there is no executor 'cloud'; use processes, here, or a Dask scheduler's address such as tcp://10.0.0.1:8786",
        ),
        (
            ["GRID", "--executor", "smoke://signal"],
            r"there is no Dask scheduler at smoke://signal \(",
        ),
        (["GRID", "--device", "cuda:99"], "device cuda:99: this machine has"),
        (["GRID", "--out", "GRID/runs"], "records cannot be kept in .*: Not a directory"),
        (["GRID", "--log", "nothing"], "there is no log 'nothing'"),
    ],
)
def test_what_cannot_be_is_told_in_one_line(shop, tmp_path, arguments, told):
    arguments = [argument.replace("GRID", str(shop / "grid.yaml")) for argument in arguments]
    if "--out" not in arguments:
        arguments += ["--out", str(tmp_path / "runs")]
    result = run("sweep", "--log", shop / "shop.csv", *arguments)
    assert result.exit_code == 1 and re.search(f"^Error: {told}.*\n\\Z", result.output), (
        result.output
    )


@pytest.mark.slow
def test_a_scheduler_that_is_not_there(shop, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    arguments = (
        "sweep",
        shop / "grid.yaml",
        "--log",
        shop / "shop.csv",
        "--out",
        tmp_path / "runs",
        "--executor",
        address,
    )
    told = subprocess.run(
        [Path(sys.executable).with_name("perflaw"), *arguments], capture_output=True, text=True
    )
    assert told.returncode == 1 and re.fullmatch(
        rf"Error: there is no Dask scheduler at {address} \(.*\)\n", told.stderr
    )


def test_without_the_package_of_clusters(shop, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    told = run(
        "sweep",
        shop / "grid.yaml",
        "--log",
        shop / "shop.csv",
        "--out",
        tmp_path / "runs",
        "--executor",
        "tcp://127.0.0.1:1",
    )
    assert (
        told.exit_code == 1
        and "Error: a Dask cluster needs the package distributed: pip install distributed"
        in told.output
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("where", "moment"), [("processes", "start"), ("processes", "mid-run"), ("here", "mid-run")]
)
def test_ctrl_c(shop, tmp_path, where, moment):
    (tmp_path / "grid.yaml").write_text(json.dumps(SEEDS | {"grid": {"seed": list(range(1000))}}))
    arguments = (
        "sweep",
        tmp_path / "grid.yaml",
        "--log",
        shop / "shop.csv",
        "--out",
        tmp_path / "runs",
        "--executor",
        where,
        "--workers",
        "2",
    )
    command = subprocess.Popen(
        [Path(sys.executable).with_name("perflaw"), *arguments],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    below = []
    while not (written(tmp_path / "runs") if moment == "mid-run" else len(below) > 1):
        assert command.poll() is None
        time.sleep(0.01)
        below = psutil.Process(command.pid).children(recursive=True)
    time.sleep(0.3)
    os.killpg(command.pid, signal.SIGINT)  # as a terminal does: to the workers too
    told = command.communicate(timeout=60)[1]
    count = len(written(tmp_path / "runs"))
    assert command.returncode == 130 and told.endswith(
        f"\nInterrupted; {tmp_path}/runs has {count} more records. The same command goes on from there.\n"
    ), told
    assert (
        "Traceback" not in told
        and clean(tmp_path / "runs")
        and len(records(tmp_path / "runs")) == count
    )
    assert not psutil.wait_procs(below, timeout=30)[1]


def test_runs_of_a_setting():
    runs = pd.DataFrame(
        {
            "log": ["a", "a", "b"],
            "d_emb": [8, 16, 8],
            "clip": [np.nan, 1.0, np.nan],
            "truncate": [np.nan, np.nan, 10.0],
        }
    )
    assert list(runner.filter_runs(runs, {"d_emb": 8}).index) == [0, 2] and list(
        runner.filter_runs(runs, {"clip": None, "log": "a"}).index
    ) == [0]
    assert (
        list(runner.filter_runs(runs, {"truncate": 10}).index) == [2]
        and len(runner.filter_runs(runs, {})) == 3
    )
    with pytest.raises(InputError, match="a run has no 'width'"):
        runner.filter_runs(runs, {"width": 8})
