"""Sweeps: plans, executors, budgets, and runs that fail."""

import functools
import os
import pickle
import re
import shutil
import signal
import time
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sweep_helpers import FORK, GRID, SEEDS, SETTINGS, clean, records, sweep, written

from perflaw.errors import InputError
from perflaw.logs import from_histories, interaction_log
from perflaw.models.sweeps import cost_model, executors, grids, results, runner
from perflaw.models.training import heartbeat, loop, run_records

pytestmark = pytest.mark.integration


def test_the_costly_go_first_and_alike_ones_together(log, tmp_path):
    grid = {
        "settings": SETTINGS,
        "grid": [{"n_layers": [1, 8], "seed": [0, 1, 2]}, {"truncate": 5}],
    }
    planned = runner.plan_sweep(grid, log, tmp_path, stack=2)
    assert planned.jobs == [[3, 4], [5], [0, 1], [2], [6]]
    assert not planned.records
    assert list(planned.frame["done"]) == [""] * 7
    assert (planned.frame["predicted_seconds"] > 0).all()
    assert not any(tmp_path.iterdir())


def test_a_plan_knows_what_is_done(log, done):
    planned = runner.plan_sweep({**GRID, "grid": [*GRID["grid"], {"seed": 9}]}, log, done)
    assert planned.jobs == [[9]]
    assert len(planned.records) == 9
    assert list(planned.frame["done"]) == ["epochs used up"] * 9 + [""]
    assert (planned.frame["predicted_seconds"][:9] == 0).all()
    assert planned.frame["predicted_seconds"][9] > 0


def test_runs_of_another_device_tell_nothing_of_the_time(log, done, tmp_path):
    grid = {**GRID, "grid": [*GRID["grid"], {"seed": 9}]}
    for path in done.glob("*.json"):
        record = run_records.read_record(path)
        record["environment"]["device"] = "cuda: another"
        run_records.write_record(record, tmp_path / path.name)
    planned, fresh = (
        runner.plan_sweep(grid, log, tmp_path),
        runner.plan_sweep({**GRID, "grid": {"seed": 9}}, log, tmp_path / "none"),
    )
    assert planned.jobs == [[9]]
    assert not planned.records
    assert planned.frame["predicted_seconds"].iloc[9] == fresh.frame["predicted_seconds"].iloc[0]


def test_splits_are_of_the_log_in_hand(log):
    """A log of the same hash may have other names, or another order of users."""
    data = grids.TrainingData()
    assert grids.split_of(log, data) is grids.split_of(pickle.loads(pickle.dumps(log)), data)
    assert grids.split_of(replace(log, name="other"), data).log.name == "other"
    turned = interaction_log.from_histories([log.history(u) for u in reversed(range(log.n_users))])
    same = interaction_log.from_histories([log.history(u) for u in range(log.n_users)])
    assert turned.hash == same.hash
    assert (
        grids.split_of(same, data).log.history(0).tolist()
        != grids.split_of(turned, data).log.history(0).tolist()
    )


EXECUTORS = {
    "stacks": {"stack": 4},
    "a thread": {"executor": functools.partial(ThreadPoolExecutor, 1)},
    "threads": {"executor": functools.partial(ThreadPoolExecutor, 3)},
    "stacks, and runs alone, in processes": {"executor": executors.process_pool(2), "stack": 3},
}


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.slow] * ("processes" in name)) for name in EXECUTORS],
)
def test_every_executor_gives_the_same(log, done, tmp_path, name):
    table = sweep(GRID, log, tmp_path, **EXECUTORS[name])
    assert records(tmp_path) == records(done)
    assert len(table) == 9
    assert clean(tmp_path)


def test_an_executor_that_is_given_stays_open(log, done, tmp_path):
    with ThreadPoolExecutor(1) as pool:
        sweep(GRID, log, tmp_path, executor=pool)
        assert pool.submit(int).result() == 0
    assert records(tmp_path) == records(done)


def test_what_is_there_is_not_done_again(log, copied, untrained):
    before = written(copied)
    table = sweep(GRID, log, copied)
    assert written(copied) == before
    assert len(before) == 9
    pd.testing.assert_frame_equal(
        table.sort_values("key", ignore_index=True), results.load_runs(copied)
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
        r"\d\d:\d\d:\d\d synthetic, sasrec, N 1, d 8, L 20, seed 0: "
        rf"epoch (\d) of at most 2, batch (\d) of 3; (.*); {rate}",
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
    asked, real = [], executors.train_job
    monkeypatch.setattr(
        executors, "train_job", lambda *arguments: asked.append(arguments[-1]) or real(*arguments)
    )
    with ThreadPoolExecutor(1) as pool:
        runner.run({"settings": SETTINGS}, log, tmp_path, lambda: pool)
    assert asked == [loop.LINES]


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
    assert list(runs["key"]) == [planned[i] for i in (0, 6, 7)]
    assert len(list(tmp_path.glob("*.json"))) == 3
    assert list(runner.run(GRID, log, tmp_path, progress=False, seconds=5e3)["key"]) == planned


def test_a_run_that_the_budget_does_not_hold_is_stopped(log, tmp_path):
    grid = {"settings": SETTINGS | {"patience": None}, "grid": {"epochs": [1, 10**6]}}
    pool = functools.partial(ProcessPoolExecutor, 2, mp_context=FORK)
    runs = runner.run(grid, log, tmp_path, executor=pool, progress=False, seconds=3)
    assert runs["epochs"].tolist() == [1]
    assert [path.name for path in tmp_path.glob(".*.part")] == []


def test_what_is_refused_leaves_no_folder(log, tmp_path):
    short = from_histories([list("abc")])
    with pytest.raises(InputError, match="cannot be trained on"):
        sweep(SEEDS, short, tmp_path / "runs")
    with pytest.raises(InputError, match="is not usable"):
        sweep({"grid": {"seed": -1}}, log, tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_sweeps_are_joined_by_copying(log, done, tmp_path, monkeypatch):
    parts = [tmp_path / "a", tmp_path / "b"]
    for folder, half in zip(parts, (GRID["grid"][:1], GRID["grid"][1:])):
        sweep(GRID | {"grid": half}, log, folder)
    joined = Path(shutil.copytree(parts[0], tmp_path / "joined"))
    shutil.copytree(parts[1], joined, dirs_exist_ok=True)
    monkeypatch.setattr(loop, "fit_job", None)
    assert len(sweep(GRID, log, joined)) == 9
    assert records(joined) == records(done)


def test_a_folder_that_workers_do_not_share(log, done, tmp_path, monkeypatch):
    """What a worker hands back is written here; a success takes the place of a failure."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()

    def away(log, data, configs, folder, *rest):
        return executors.train_job(log, data, configs, elsewhere, *rest)

    class Away(ThreadPoolExecutor):
        def submit(self, function, *args):
            return super().submit(away, *args)

    def fails(*_, **__):
        raise MemoryError("no more")

    with monkeypatch.context() as patch:
        patch.setattr(loop, "fit_job", fails)
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
        executors,
        "train_job",
        lambda log, data, configs, *_: [{"key": "f" * 16, "status": "converged"} for _ in configs],
    )
    with pytest.raises(
        InputError,
        match=r"run [0-9a-f]{16} came back as ffffffffffffffff: "
        r"a worker has another version of perflaw",
    ):
        sweep(GRID, log, tmp_path)
    assert not written(tmp_path)


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
    assert table["NDCG@10"].notna().tolist() == [True, False, False, True]
    assert clean(tmp_path)
    tried = []
    monkeypatch.setattr(
        executors,
        "train_job",
        lambda log, data, configs, *rest, real=executors.train_job: (
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
    sizes, real = [], loop.fit_job

    def tight(job, *args, **options):
        sizes.append(len(job.configs))
        if len(job.configs) > 1 or job.configs[0].seed == 2:
            raise error
        return real(job, *args, **options)

    monkeypatch.setattr(loop, "fit_job", tight)
    table = sweep(SEEDS, log, tmp_path, stack=4)
    assert sizes == [4, 2, 1, 1, 2, 1, 1]
    assert [status.partition(":")[0] for status in table["status"]] == ["epochs used up"] * 2 + [
        "out of memory",
        "epochs used up",
    ]
    monkeypatch.undo()
    assert sweep(SEEDS, log, tmp_path)["status"].eq("epochs used up").all()


def test_a_stack_of_which_one_fails_keeps_those_that_ended(log, tmp_path, monkeypatch):
    def one(job, *args, on_end, real=loop.fit_job, **options):
        on_end(0, real(job.select([0]), progress=False)[0])
        raise ZeroDivisionError("a mistake\nof ours")

    monkeypatch.setattr(loop, "fit_job", one)
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
    run_records.code_commit.cache_clear()
    assert sweep({"settings": SETTINGS}, log, tmp_path)["commit"].isna().all()
    run_records.code_commit.cache_clear()


def deadly(marker=None, seed=None):
    """In a worker: its end as a run starts, the first time or whenever a seed is trained."""

    def dies(job, *args, real=loop.fit_job, **options):
        trained = any(config.seed == seed for config in job.configs)
        if trained or (marker and not marker.exists()):
            if marker:
                marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return real(job, *args, **options)

    loop.fit_job = dies


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
    assert (tmp_path / "marker").exists()
    assert table["status"].eq("epochs used up").all()
    pd.testing.assert_series_equal(table["NDCG@10"], plain["NDCG@10"])
    assert records(tmp_path / "runs") == records(tmp_path / "plain")
    assert clean(tmp_path / "runs")


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
