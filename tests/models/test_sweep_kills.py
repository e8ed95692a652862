"""Sweeps that are killed, and disks that are full."""

import contextlib
import errno
import functools
import multiprocessing
import os
import random
import re
import shutil
import signal
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import psutil
import pytest
import tqdm
from sweep_helpers import FORK, GRID, LONG, SEEDS, clean, records, sweep, written

from perflaw.errors import InputError
from perflaw.models.sweeps import executors, runner
from perflaw.models.training import run_records

pytestmark = pytest.mark.integration


def end(child):
    """kill -9, and wait until it is gone with all that it started."""
    below = []
    with contextlib.suppress(psutil.NoSuchProcess):
        below = psutil.Process(child.pid).children(recursive=True)
    child.kill()
    child.join()
    assert not psutil.wait_procs(below, timeout=30)[1]


def forking_pool():
    """`process_pool` with workers that are forked, which starts them in no time."""
    real = multiprocessing.get_context
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(multiprocessing, "get_context", lambda _: real("fork"))
        return executors.process_pool(2)()


KILLS = {
    "in this process": (4, {}),
    "stacks": (4, {"stack": 4}),
    "processes": (2, {"executor": forking_pool}),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", KILLS)
def test_killed_at_any_moment_a_sweep_goes_on(log, undisturbed, forks, tmp_path, name):
    (kills, options), chance = KILLS[name], random.Random(name)
    start = time.monotonic()
    first = forks(LONG, log, tmp_path / "timing", **options)
    first.join()
    took, folders = time.monotonic() - start, 0
    assert first.exitcode == 0
    assert records(tmp_path / "timing") == undisturbed
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
        assert records(folder) == undisturbed
        assert written(folder).items() >= before.items()
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
    assert child.exitcode == -signal.SIGKILL
    assert len(before) == 1
    assert len(list(tmp_path.glob(".*.part"))) == 2
    sweep(SEEDS, log, tmp_path)
    assert written(tmp_path).items() >= before.items()
    assert list(tmp_path.glob(".*.part")) == [other]


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
    assert written(tmp_path).items() >= kept.items()
    assert len(written(tmp_path)) == 4


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
        match=r"could not be written \(No space left on device\); free space, and run again; "
        r"this record is .*: move it there",
    ) as error:
        sweep(SEEDS, log, folder, executor=executor)
    monkeypatch.undo()
    kept = Path(re.search("this record is (.*): move it there", str(error.value))[1])
    assert clean(folder)
    assert not written(folder)
    assert "\n" not in str(error.value)
    assert run_records.read_record(kept)["status"] == "epochs used up"
    shutil.move(kept, folder)
    before = written(folder)
    assert len(sweep(SEEDS, log, folder)) == 4
    assert written(folder).items() >= before.items()


def test_nowhere_to_write(log, tmp_path, refuge, monkeypatch):
    monkeypatch.setattr(os, "replace", full(tmp_path, refuge))
    with pytest.raises(
        InputError,
        match=r"\.json could not be written \(No space left on device\); "
        r"free space, and run again$",
    ):
        sweep(SEEDS, log, tmp_path)
    assert clean(tmp_path / "refuge")
    assert not written(tmp_path)


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
        InputError, match=r"records cannot be kept in .*: Permission denied; name another folder"
    ):
        sweep(SEEDS, log, tmp_path)
    assert len(calls) == 3
    assert len(written(tmp_path)) == 1
    assert clean(refuge)


def test_a_folder_that_cannot_be(log, tmp_path, monkeypatch, untrained):
    (tmp_path / "file").write_text("")
    with pytest.raises(
        InputError, match=r"records cannot be kept in .*file: File exists; name another folder"
    ):
        sweep(SEEDS, log, tmp_path / "file")

    def fails(**_):
        raise PermissionError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(tempfile, "TemporaryFile", fails)
    with pytest.raises(
        InputError,
        match=r"records cannot be kept in .*: Read-only file system; name another folder",
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
    assert records(tmp_path) == records(done)
    assert table["finished"].iloc[-1] < table["finished"].iloc[0]


def test_two_sweeps_on_one_folder(log, tmp_path, forks):
    child = forks(SEEDS | {"grid": {"seed": list(range(10_000))}}, log, tmp_path)
    while not written(tmp_path):
        assert child.is_alive()
        time.sleep(0.01)
    try:
        with pytest.raises(
            InputError, match=r"another sweep writes to .*; wait for it, or use a folder of its own"
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
    assert len(told) == 1
    assert path.with_suffix(".broken").read_text() == broken
    assert records(copied) == records(done)
    assert {name for name, at in written(copied).items() if before[name] != at} == {path.name}
