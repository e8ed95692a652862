"""Sweeps: a grid of configurations, a log, and a folder of run records.

`run` trains what the folder does not have yet, so a sweep that was stopped or killed goes on where
it was; sweeps are joined by copying records into one folder. Work is spread by any
`concurrent.futures.Executor`.
"""

from __future__ import annotations

import concurrent.futures
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import BrokenExecutor, Executor, Future
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import filelock
import numpy as np
import pandas as pd

from perflaw.errors import InputError, check_kind
from perflaw.logs.interaction_log import InteractionLog
from perflaw.logs.perturbations import PERTURBATIONS
from perflaw.logs.splits import Split
from perflaw.models.configuration import Config, recorded_settings
from perflaw.models.sweeps import cost_model, executors
from perflaw.models.sweeps.grids import GridPoint, expand_grid, split_of
from perflaw.models.sweeps.progress import SweepBar
from perflaw.models.sweeps.results import records_table
from perflaw.models.training import run_records
from perflaw.models.training.loop import LINES
from perflaw.models.training.preparation import check_device, check_split
from perflaw.models.training.stacking import STACKABLE_FIELDS

GPU_STACK_SIZE = 8  # runs that train together on a GPU
Job = list[int]
"""Runs that train together, by their numbers in the grid."""


@dataclass(frozen=True, eq=False, repr=False)
class SweepPlan:
    """A sweep before it runs.

    Parameters
    ----------
    points : list of GridPoint
        The runs.
    frame : DataFrame
        One row a run: its configuration and data, key, done (a status, or "") and
        predicted_seconds (of what is not done).
    jobs : list of list of int
        Of what is not done: runs that train together, the costly first.
    records : list of dict
        Of what was done on such a device, from which the time of the rest is predicted.
    """

    points: list[GridPoint]
    frame: pd.DataFrame
    jobs: list[Job]
    records: list[dict]

    def __repr__(self) -> str:
        missing = sum(len(job) for job in self.jobs)
        seconds = self.frame["predicted_seconds"].sum()
        return (
            f"<SweepPlan: {len(self.points)} runs, {missing} to do in {len(self.jobs)} jobs, "
            f"about {seconds:,.0f} s of one worker>"
        )


def plan_sweep(
    grid: str | os.PathLike | Mapping,
    log: InteractionLog,
    out: str | os.PathLike | None = None,
    device: str = "cpu",
    stack: int | None = None,
) -> SweepPlan:
    """Expand a grid, see what a folder of records has of it, and predict what the rest will take.

    Parameters are those of `run`; without a folder nothing is done yet.
    """
    points = _checked_points(grid, log, device)
    rows, records = [], []
    for point in points:
        split = split_of(log, point.data)
        key = run_records.run_key(point.config, split)
        record = None if out is None else _record_if_readable(key, out)
        if record:
            records.append(record)
        status = record["status"] if record else ""
        rows.append({"key": key, "done": status} | _described(point, split))
    frame = pd.DataFrame(rows)
    kind = device.partition(":")[0]
    comparable = [one for one in records if one["environment"]["device"].partition(":")[0] == kind]
    costs = cost_model.CostModel(records_table(comparable))
    frame["predicted_seconds"] = np.where(frame["done"] == "", costs.seconds(frame), 0.0)
    missing = [i for i, row in enumerate(rows) if not row["done"]]
    jobs = _jobs(points, missing, stack or (1 if device == "cpu" else GPU_STACK_SIZE))
    jobs.sort(key=lambda job: -frame["predicted_seconds"][job].sum())
    return SweepPlan(points, frame, jobs, comparable)


def _checked_points(
    grid: str | os.PathLike | Mapping, log: InteractionLog, device: str
) -> list[GridPoint]:
    """Expand a grid; raises InputError for what cannot be trained on this log and device."""
    check_device(device)
    check_kind(log, InteractionLog, "read one with perflaw.logs.read_log")
    points = expand_grid(grid)
    for data in dict.fromkeys(point.data for point in points):
        check_split(split_of(log, data))
    return points


def _jobs(points: list[GridPoint], missing: list[int], stack: int) -> list[Job]:
    """Return runs of like shape on the same data, in stacks of at most so many."""
    alike: dict[tuple, Job] = {}
    for i in missing:
        config = asdict(points[i].config)
        shape = tuple(value for name, value in config.items() if name not in STACKABLE_FIELDS)
        alike.setdefault((points[i].data, shape), []).append(i)
    return [group[i : i + stack] for group in alike.values() for i in range(0, len(group), stack)]


def _record_if_readable(key: str, folder: str | os.PathLike) -> dict | None:
    try:
        return run_records.load_cached_record(key, folder)
    except InputError:
        return None


def _described(point: GridPoint, split: Split) -> dict[str, Any]:
    """Return what is known of a run before it starts, as in `results.record_row`."""
    row = {
        "split": point.data.rule,
        "sample_log": None if point.data.sample == 1 else point.data.sample,
        **dict.fromkeys(PERTURBATIONS),
        **dict(point.data.steps),
        "data_seed": point.data.seed,
        **run_records.split_sizes(split, point.config.max_seq_len),
    }
    targets = row.pop("targets")
    row |= {f"{part}_targets": count for part, count in targets.items()}
    return row | recorded_settings(point.config)


def run(
    grid: str | os.PathLike | Mapping,
    log: InteractionLog,
    out: str | os.PathLike = "runs",
    executor: Executor | Callable[[], Executor] | None = None,
    device: str = "cpu",
    stack: int | None = None,
    threads: int = 1,
    progress: bool = True,
    seconds: float | None = None,
    on_run: Callable[[dict], object] | None = None,
) -> pd.DataFrame:
    """Train what a folder does not have of a grid on a log.

    Parameters
    ----------
    grid, log, out
        What `read_grid` takes, what is split and trained on, and the folder of records.
    executor : Executor or function, optional
        None for this process; anything like `concurrent.futures.Executor`; or a function that makes
        one, such as `process_pool(2)`, which is closed at the end and made anew if it breaks.
    device, threads
        `cpu`, `cuda` or `cuda:1`; threads of each run: equal numbers need equal threads.
    stack : int, optional
        Runs that train together where their shapes allow it; by default 8 on a GPU, else 1.
    progress : bool
        Whether there is a progress bar.
    seconds : float, optional
        A budget. Runs then begin in the order of the grid, each only if by the cost of those done
        it ends in time; before any is done nobody knows, and the first begin. The rest is left out.
        Once a run has ended, those that a pool of processes still trains when the budget is spent
        are stopped and left out too.
    on_run : function, optional
        Called in this process with the record of each run when it ends.

    Returns
    -------
    DataFrame
        The records in the order of the grid, see `results.record_row`. A run that diverged, was out
        of memory or failed has one that says so; only diverged ones are not tried again.

    Raises
    ------
    InputError
        For a grid that cannot be, a folder that cannot be written to (then with where the last
        record is) and a folder that another sweep writes to.

    Examples
    --------
    >>> from perflaw.logs import synthetic
    >>> log = synthetic.Process(n_items=40, n_interests=4).sample(30, 8).log
    >>> grid = {"settings": {"epochs": 1, "max_seq_len": 8}, "grid": {"d_emb": [4, 8]}}
    >>> run(grid, log, getfixture("tmp_path"), progress=False)["d_emb"].tolist()
    [4, 8]
    """
    out = Path(out)
    if isinstance(executor, str):
        raise InputError(
            f"{executor!r} is no executor; use process_pool(), None, or one of concurrent.futures"
        )
    start = time.perf_counter()
    _checked_points(grid, log, device)  # what is refused leaves no folder
    with _locked(out):
        plan = plan_sweep(grid, log, out, device, stack)
        run_records.set_aside_broken(out, [plan.frame["key"][i] for job in plan.jobs for i in job])
        sweep = _Sweep(plan, log, out, executor, device, threads, progress, seconds, start)
        sweep.on_run = on_run
        return sweep.run()


@contextmanager
def _locked(out: Path) -> Iterator[None]:
    """Hold a folder, which is made if need be, against other sweeps."""
    run_records.check_folder(out)
    lock = filelock.FileLock(out / ".sweep.lock", blocking=False)
    try:
        lock.acquire()
    except filelock.Timeout:
        raise InputError(
            f"another sweep writes to {out}; wait for it, or use a folder of its own and copy the "
            "records together later"
        ) from None
    try:
        yield
    finally:
        lock.release()


class _Sweep:
    """A sweep while it runs: jobs that wait, jobs at work, and suspects of killing workers."""

    def __init__(
        self,
        plan: SweepPlan,
        log: InteractionLog,
        out: Path,
        executor: Executor | Callable[[], Executor] | None,
        device: str,
        threads: int,
        progress: bool,
        budget: float | None,
        start: float,
    ) -> None:
        self.start = start
        self.on_run: Callable[[dict], object] | None = None
        self.plan, self.log, self.out, self.device = plan, log, out, device
        self.threads, self.budget = threads, budget
        self.keys = list(plan.frame["key"])
        self.make_pool = executor if callable(executor) else None
        self.pool: Any = self.make_pool() if self.make_pool else executor
        if self.pool is None:
            self.pool = executors.InlineExecutor()
        self.at_once = getattr(self.pool, "_max_workers", None) or len(plan.jobs)
        watched = progress and (self.make_pool is not None or executor is None)
        self.run_progress: Any = watched and (True if sys.stderr.isatty() else LINES)
        self.queue = list(plan.jobs) if budget is None else sorted(plan.jobs)
        self.suspects: list[Job] = []
        self.running: dict[Future, Job] = {}
        self.bar = SweepBar(plan, out.name, progress, budget)

    def run(self) -> pd.DataFrame:
        """Train all jobs; the table of records."""
        try:
            while self._submit_next():
                waiting = concurrent.futures.wait(
                    self.running, self._patience(), concurrent.futures.FIRST_COMPLETED
                )
                if not waiting.done:
                    executors.stop_pool(self.pool)
                    break
                for future in waiting.done:
                    self._collect(future)
                    if not self.running:  # the pool broke, or all have ended
                        break
        except BaseException:
            for future in self.running:
                future.cancel()
            if self.make_pool:
                executors.stop_pool(self.pool)
            raise
        finally:
            self.bar.close()
            for key in self.keys:
                for part in self.out.glob(f".{key}.*.part"):
                    part.unlink(missing_ok=True)
        if self.make_pool:
            self.pool.shutdown()
        paths = [self.out / f"{key}.json" for key in self.keys]
        done = [path for path in paths if self.budget is None or path.exists()]
        return records_table([run_records.read_record(path) for path in done])

    def _submit_next(self) -> bool:
        """Submit what can begin now; whether anything runs.

        When a worker has died, who was at work goes on alone, one after another, which tells who
        killed it.
        """
        if self.suspects:
            if not self.running:
                self._submit(self.suspects[0])
            return True
        while len(self.running) < self.at_once:
            job = next((job for job in self.queue if self._in_time(job)), None)
            if job is None:
                break
            self.queue.remove(job)
            self._submit(job)
        return bool(self.running)

    def _in_time(self, job: Job) -> bool:
        """Whether a job ends within the budget, as far as is known."""
        if self.budget is None:
            return True
        spent = time.perf_counter() - self.start
        cost = self.bar.seconds[job].sum() if self.bar.records else 0
        return spent + cost <= self.budget

    def _patience(self) -> float | None:
        """Seconds to wait for the runs at work before they are stopped; None: as long as it takes.

        Only processes of our own can be stopped, and one run at the least is waited for.
        """
        if self.budget is None or self.make_pool is None or not self.bar.records:
            return None
        return max(0.0, self.budget - (time.perf_counter() - self.start))

    def _submit(self, job: Job) -> None:
        arguments = (
            self.log,
            self.plan.points[job[0]].data,
            self._configs(job),
            self.out,
            self.device,
            self.threads,
            self.run_progress,
        )
        try:
            future = self.pool.submit(executors.train_job, *arguments)
        except BrokenExecutor as error:  # a worker died since the last look
            future = Future()
            future.set_exception(error)
        self.running[future] = job

    def _configs(self, job: Job) -> list[Config]:
        return [self.plan.points[i].config for i in job]

    def _collect(self, future: Future) -> None:
        """Take what came of a job."""
        job, error = self.running.pop(future), future.exception()
        was_alone = bool(self.suspects) and self.suspects[0] == job
        if was_alone:
            self.suspects.pop(0)
        if error is None:
            self._end(job, future.result())
        elif isinstance(error, InputError):
            raise error
        elif self.make_pool is None or not isinstance(error, BrokenExecutor):
            self._fail(job, f"{type(error).__name__}: {error}")
        else:
            if was_alone:
                self._fail(job, "its worker died, twice")
            else:
                self.suspects = [job, *self.running.values()]
            self.running.clear()
            self.pool.shutdown(wait=False)
            self.pool = self.make_pool()

    def _end(self, job: Job, records: list[dict]) -> None:
        """Keep the records of a job, where its worker could not."""
        for i, record in zip(job, records):
            key = self.keys[i]
            if record["key"] != key:
                raise InputError(
                    f"run {key} came back as {record['key']}: a worker has another version of "
                    "perflaw than this process; give them the same"
                )
            if run_records.load_cached_record(key, self.out) is None:
                run_records.write_record(record, self.out / f"{key}.json")
        self.bar.ended(job, records)
        if self.on_run is not None:
            for record in records:
                self.on_run(record)

    def _fail(self, job: Job, reason: str) -> None:
        """Keep records that say why a job came to nothing."""
        split = split_of(self.log, self.plan.points[job[0]].data)
        configs = self._configs(job)
        records = executors.failed_records(configs, split, self.out, self.device, reason)
        self._end(job, records)
