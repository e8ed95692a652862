"""Sweeps on a cluster, and by command."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pytest
from command_line import run
from sweep_helpers import LONG, SEEDS, SETTINGS, clean, records, sweep, written

from perflaw.cli import sweep as sweep_command
from perflaw.cli.sweep import executor_at
from perflaw.errors import InputError
from perflaw.logs import interaction_log
from perflaw.models.sweeps import results


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
    executor = executor_at(address, None, "cpu")
    executor._client.wait_for_workers(2, timeout=60)
    folder = tmp_path / "runs"
    with ThreadPoolExecutor(1) as beside:
        table = beside.submit(sweep, LONG, log, folder, executor=executor)
        while len(written(folder)) < 2:
            assert not table.done()
            time.sleep(0.01)
        workers[0].kill()
        assert len(table.result()) == 10
    assert records(folder) == undisturbed
    assert clean(folder)
    assert len(sweep(LONG, log, folder, executor=executor)) == 10
    executor._client.close()


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
    assert lines[0].startswith("synthetic: 2,000 users")
    assert lines[1].startswith("all runs: max_seq_len 50, loss softmax, learning_rate 0.005")
    assert lines[3].split() == ["key", "n_layers", "d_emb", "seconds", "status"]
    assert len(lines) == 19
    assert re.match(
        r"12 runs, 0 of them done; the rest would take about [\d:]+ \((h:)?min:s\) of one worker,",
        lines[-2],
    )
    assert re.match(
        r"[\d:]+ of 3 \(of a server's core, as no run is done yet; it may be far off here\)",
        lines[-1],
    )
    assert not (tmp_path / "runs").exists()


@pytest.mark.integration
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
        r"best by validation: [0-9a-f]{16} \(sasrec, N 1, d 8, seed [01]\); "
        r"test HR@10 0\.\d{4}, NDCG@10 0\.\d{4}, "
        r"ranked with (nothing|the user's history) removed\n",
        told.output,
    )
    assert (
        "4 runs, 4 of them done; the rest would take about 00:00"
        in run(*arguments, "--dry-run").output
    )
    path = min((tmp_path / "runs").glob("*.json"))
    path.write_text("{")
    told = run(*arguments, "--stack", 4)
    assert told.exit_code == 0
    assert f"it is now {path.stem}.broken, and the run is done again\n" in told.output
    told = run("consolidate", tmp_path / "runs", "mine", "--where", tmp_path)
    assert told.exit_code == 0
    assert told.output == f"{tmp_path}/mine.csv\n"
    told = run("verify", tmp_path / "mine.csv", "--log", shop / "shop.csv")
    assert told.exit_code == 0, told.output
    assert "3 runs within 10 % of what they were, 3 of them equal to six digits" in told.output
    table = pd.read_csv(tmp_path / "mine.csv")
    table.assign(**{"NDCG@10": 2 * table["NDCG@10"]}).to_csv(tmp_path / "mine.csv", index=False)
    told = run("verify", tmp_path / "mine.csv", "--log", shop / "shop.csv", "--runs", 2)
    assert told.exit_code == 1
    assert re.search(r" NO +no\n", told.output)
    assert "Error: 2 of 2 runs came out differently by more than 10 %" in told.output


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
    assert told.returncode == 0, told.stderr
    assert "runs: 4 runs\n" in told.stdout
    assert "runs: 4 of 4 runs |" in told.stderr
    assert "an hour, about " in told.stderr
    assert "Traceback" not in told.stderr


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
    assert told.exit_code == 1
    assert "runs: 5 runs, 1 of them diverged\n" in told.output
    assert ", 2 failed" in told.output
    assert re.search(
        r"Error: 2 runs failed and will be tried again next time; "
        r"the first: [0-9a-f]{16}, failed: InputError: 1000000000 layers",
        told.output,
    )


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["huge"], "there is no grid 'huge': name a YAML file, or one of .*choose, data, .*laptop"),
        (
            ["GRID", "--executor", "cloud"],
            "there is no executor 'cloud'; use processes, here, "
            "or a Dask scheduler's address such as tcp://10.0.0.1:8786",
        ),
        (["GRID", "--executor", "cloud", "--dry-run"], "there is no executor 'cloud'"),
        (
            ["GRID", "--executor", "smoke://signal"],
            r"there is no Dask scheduler at smoke://signal \(",
        ),
        (
            ["GRID", "--executor", "here", "--workers", "4"],
            "--workers 4 is for --executor processes; leave it out with here",
        ),
        (["GRID", "--device", "cuda:99"], "device cuda:99: this machine has"),
        (["GRID", "--out", "GRID/runs"], "records cannot be kept in .*: Not a directory"),
        (["GRID", "--log", "nothing"], "there is no log 'nothing'"),
        (["cetnet"], "cetnet is run by scripts/cetnet.py, not by perflaw sweep"),
    ],
)
def test_what_cannot_be_is_told_in_one_line(shop, tmp_path, arguments, told):
    arguments = [argument.replace("GRID", str(shop / "grid.yaml")) for argument in arguments]
    if "--out" not in arguments:
        arguments += ["--out", str(tmp_path / "runs")]
    if "--log" not in arguments:
        arguments += ["--log", str(shop / "shop.csv")]
    result = run("sweep", *arguments)
    assert result.exit_code == 1, result.output
    lines = result.output.splitlines()
    assert re.match(f"Error: {told}", lines.pop()), result.output
    assert all(line.startswith("shop read as: ") for line in lines), result.output


def test_a_grid_of_a_script_is_refused_before_the_log_is_read(tmp_path):
    result = run("sweep", "cetnet", "--log", "nothing", "--out", tmp_path / "runs")
    assert "cetnet is run by scripts/cetnet.py, not by perflaw sweep" in result.output
    assert not (tmp_path / "runs").exists()


def test_a_scheduler_that_is_not_there(shop, tmp_path, monkeypatch):
    monkeypatch.setattr(sweep_command, "SCHEDULER_ANSWERS_IN", 0.2)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    told = run(
        "sweep",
        shop / "grid.yaml",
        "--log",
        shop / "shop.csv",
        "--out",
        tmp_path / "runs",
        "--executor",
        address,
    )
    assert told.exit_code == 1
    last = told.stderr.splitlines()[-1]
    assert re.fullmatch(rf"Error: there is no Dask scheduler at {address} \(.*\)", last)


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
    assert told.exit_code == 1
    assert (
        "Error: this needs distributed, which is not installed: pip install 'perflaw[cluster]'"
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
        *(("--workers", "2") if where == "processes" else ()),
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
    last = f"{tmp_path}/runs has {count} more records. The same command goes on from there."
    assert command.returncode == 130, told
    assert told.endswith(f"\nInterrupted; {last}\n"), told
    assert "Traceback" not in told
    assert clean(tmp_path / "runs")
    assert len(records(tmp_path / "runs")) == count
    assert not psutil.wait_procs(below, timeout=30)[1]


def test_runs_of_a_setting():
    runs = pd.DataFrame(
        {
            "log": ["a", "a", "b"],
            "d_emb": [8, 16, 8],
            "clip": [np.nan, 1.0, np.nan],
            "truncate": [np.nan, np.nan, 10.0],
            "k_core": [np.nan, 5.0, np.nan],
        }
    )
    assert list(results.filter_runs(runs, {"d_emb": 8}).index) == [0, 2]
    assert list(results.filter_runs(runs, {"clip": None, "log": "a"}).index) == [0]
    assert list(results.filter_runs(runs, {"truncate": 10}).index) == [2]
    assert list(results.filter_runs(runs, {"k_core": 1}).index) == [0, 2]
    assert len(results.filter_runs(runs, {})) == 3
    with pytest.raises(InputError, match="a run has no 'width'"):
        results.filter_runs(runs, {"width": 8})
