"""What trains the runs of a sweep: this process, a pool of processes, or any executor.

A worker writes each record when its run ends, and returns it too, so that it need not share a disk
with the sweep.
"""

from __future__ import annotations

import functools
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from perflaw.cores import count_cores
from perflaw.errors import InputError
from perflaw.logs.interaction_log import InteractionLog
from perflaw.logs.splits import Split
from perflaw.models.configuration import Config
from perflaw.models.sweeps.grids import TrainingData, split_of
from perflaw.models.training import run_records, trainer
from perflaw.models.training.loop import Progress


def process_pool(workers: int | None = None) -> Callable[[], Executor]:
    """Make an executor for `run`: a pool of processes, made anew should one be killed.

    Parameters
    ----------
    workers : int, optional
        Processes; by default one for each core. `run` says how many threads each has.

    Raises
    ------
    InputError
        If there are no workers.

    Examples
    --------
    >>> make_pool = process_pool(workers=2)
    >>> pool = make_pool()
    >>> pool.shutdown()
    """
    if workers is not None and (not isinstance(workers, int) or workers < 1):
        raise InputError(f"{workers} workers cannot do anything; use 1 or more")
    return functools.partial(_Pool, workers or count_cores())


class _Pool(ProcessPoolExecutor):
    """Workers that Ctrl-C does not reach, not even while they start: the sweep says when to end.

    Nor do they run the script that starts them, which needs no `if __name__ == "__main__":`.
    """

    def __init__(self, workers: int) -> None:
        context = multiprocessing.get_context("spawn")
        lock, slots = context.RLock(), context.Value("i", 0)
        super().__init__(workers, context, _start_worker, (lock, slots, workers))

    def submit(self, *args: Any, **kwargs: Any) -> Future:
        """Submit, starting workers with the signal blocked, which a new process inherits.

        The main script is hidden from them meanwhile, as they would run it.
        """
        signals_before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        script = vars(sys.modules["__main__"])
        hidden: dict[str, Any] = {
            name: script.pop(name) for name in ("__file__", "__spec__") if name in script
        }
        script["__spec__"] = None
        try:
            return super().submit(*args, **kwargs)
        finally:
            script.update(hidden)
            signal.pthread_sigmask(signal.SIG_SETMASK, signals_before)


class InlineExecutor(Executor):
    """An executor that does the work at once, in this process."""

    _max_workers = 1

    def submit(self, function: Callable, /, *args: Any, **kwargs: Any) -> Future:
        """Call the function, and return its result or error as a future."""
        future: Future = Future()
        try:
            future.set_result(function(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


_bar_options: dict[str, Any] = {}  # of the bar of a run, in a worker of `process_pool`


def _start_worker(lock: Any, slots: Any, workers: int) -> None:
    """Prepare a new process: set the line of its bar, and end with the process of the sweep."""
    tqdm.set_lock(lock)
    with slots.get_lock():
        _bar_options["position"] = 1 + slots.value % workers
        slots.value += 1
    parent = multiprocessing.parent_process()

    def end_with_parent() -> None:
        if parent is not None:
            parent.join()
        os._exit(1)

    threading.Thread(target=end_with_parent, daemon=True).start()


def stop_pool(pool: Executor) -> None:
    """End a pool of processes at once; a record is complete or not there."""
    workers = list((getattr(pool, "_processes", None) or {}).values())
    for worker in workers:
        worker.kill()
    for worker in workers:
        worker.join()
    pool.shutdown(wait=False, cancel_futures=True)


def train_job(
    log: InteractionLog,
    data: TrainingData,
    configs: Sequence[Config],
    folder: Path,
    device: str,
    threads: int,
    progress: Progress,
) -> list[dict]:
    """Train runs of one shape on a log, in the process that calls.

    Returns
    -------
    list of dict
        Their records, also of those that failed.
    """
    if threads:
        torch.set_num_threads(threads)
    split = split_of(log, data)
    if progress is True and _bar_options:
        progress = _bar_options
    try:
        return trainer.train_stack(configs, split, folder, device, progress)
    except run_records.RecordWriteError:
        raise
    except Exception as error:  # a run that cannot be done must not end the others
        reason = f"{type(error).__name__}: {error}"
        return failed_records(configs, split, folder, device, reason)


def failed_records(
    configs: Sequence[Config], split: Split, folder: Path, device: str, reason: str
) -> list[dict]:
    """Return records of runs that failed, and of the runs of their stack that had ended before."""
    status = f"{run_records.FAILED}: " + " ".join(reason.split())
    records = []
    for config in configs:
        key = run_records.run_key(config, split)
        record = run_records.load_cached_record(key, folder)
        if record is None:
            outcome = {"status": status}
            record = run_records.keep_record(config, split, outcome, folder, device)
        records.append(record)
    return records
