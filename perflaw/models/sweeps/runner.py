"""Sweeps: a grid of configurations, a log, and a folder of run records.

`run` trains what the folder does not have yet. So a sweep that was stopped or killed goes on where
it was, and sweeps are joined by copying records into one folder. Any
`concurrent.futures.Executor` spreads the work.
"""

from __future__ import annotations

import concurrent.futures
import math
import os
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import BrokenExecutor, Executor, Future
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
from perflaw.models.configuration import recorded_settings
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
        predicted_seconds (0 for a run that is done).
    jobs : list of list of int
        Runs that are not done: those that train together, the costly first.
    records : list of dict
        Those of runs done on such a device, from which the time of the rest is predicted.
    """

    points: list[GridPoint]
    frame: pd.DataFrame
    jobs: list[Job]
    records: list[dict]

    def __repr__(self) -> str:
        missing = sum(map(len, self.jobs))
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
    """Expand a grid, find what a folder of records has of it, and predict the cost of the rest.

    Parameters are those of `run`; without a folder nothing is done yet.
    """
    points = _checked_points(grid, log, device)
    rows, comparable, missing = [], [], []
    device_kind = device.partition(":")[0]
    for i, point in enumerate(points):
        split = split_of(log, point.data)
        key = run_records.run_key(point.config, split)
        record = _record_if_readable(key, out)
        if record is None:
            missing.append(i)
        elif record["environment"]["device"].partition(":")[0] == device_kind:
            comparable.append(record)
        status = "" if record is None else record["status"]
        rows.append({"key": key, "done": status} | _describe(point, split))
    frame = pd.DataFrame(rows)
    costs = cost_model.CostModel(records_table(comparable))
    frame["predicted_seconds"] = np.where(frame["done"] == "", costs.seconds(frame), 0.0)
    jobs = _make_jobs(points, missing, stack or (1 if device == "cpu" else GPU_STACK_SIZE))
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


def _make_jobs(points: list[GridPoint], missing: list[int], stack: int) -> list[Job]:
    """Return the missing runs in stacks: of one shape, on the same data, at most so many."""
    alike: dict[tuple, Job] = {}
    for i in missing:
        config = asdict(points[i].config)
        shape = tuple(value for name, value in config.items() if name not in STACKABLE_FIELDS)
        alike.setdefault((points[i].data, shape), []).append(i)
    return [group[i : i + stack] for group in alike.values() for i in range(0, len(group), stack)]


def _record_if_readable(key: str, folder: str | os.PathLike | None) -> dict | None:
    try:
        return run_records.load_cached_record(key, folder)
    except InputError:
        return None


def _describe(point: GridPoint, split: Split) -> dict[str, Any]:
    """Return what is known of a run before it starts, as in `results.record_row`."""
    sizes = run_records.split_sizes(split, point.config.max_seq_len)
    targets = sizes.pop("targets")
    return {
        "split": point.data.rule,
        "sample_log": None if point.data.sample == 1 else point.data.sample,
        **dict.fromkeys(PERTURBATIONS),
        **dict(point.data.steps),
        "data_seed": point.data.seed,
        **sizes,
        **{f"{part}_targets": count for part, count in targets.items()},
        **recorded_settings(point.config),
    }


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
        A budget. Runs then begin in the order of the grid, each only if it will end in time, by
        the cost of those done. Before any is done that is not known, and the first begin. The rest
        is left out. Runs that a pool of processes still trains when the budget is spent are stopped
        and left out too, once a run has ended.
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
    deadline = math.inf if seconds is None else time.perf_counter() + seconds
    _checked_points(grid, log, device)  # what is refused leaves no folder
    run_records.check_folder(out)
    with _lock(out):
        plan = plan_sweep(grid, log, out, device, stack)
        run_records.set_aside_broken(out, [plan.frame["key"][i] for job in plan.jobs for i in job])
        sweep = _Sweep(plan, log, out, executor, device, threads, progress, deadline, on_run)
        return sweep.run()


def _lock(out: Path) -> filelock.AcquireReturnProxy:
    """Hold a folder against other sweeps, until the context that is returned ends."""
    try:
        return filelock.FileLock(out / ".sweep.lock", blocking=False).acquire()
    except filelock.Timeout:
        raise InputError(
            f"another sweep writes to {out}; wait for it, or use a folder of its own and copy the "
            "records together later"
        ) from None


class _Sweep:
    """A sweep while it runs.

    Attributes
    ----------
    queue, running
        Jobs that wait, and jobs at work, by their futures.
    suspects : list of Job
        Jobs that were at work when a worker died, of which one may have killed it.
    deadline : float
        When the budget of time is spent.
    """

    def __init__(
        self,
        plan: SweepPlan,
        log: InteractionLog,
        out: Path,
        executor: Executor | Callable[[], Executor] | None,
        device: str,
        threads: int,
        progress: bool,
        deadline: float,
        on_run: Callable[[dict], object] | None,
    ) -> None:
        self.plan, self.log, self.out, self.device = plan, log, out, device
        self.threads, self.deadline, self.on_run = threads, deadline, on_run
        self.keys = list(plan.frame["key"])
        self.make_pool = executor if callable(executor) else None
        self.pool: Any = executor or executors.InlineExecutor()
        if self.make_pool:
            self.pool = self.make_pool()
        self.at_once = getattr(self.pool, "_max_workers", None) or len(plan.jobs)
        # others' executors may be on machines whose output nobody sees
        shows_runs = progress and (self.make_pool is not None or executor is None)
        self.run_progress: Any = shows_runs and (sys.stderr.isatty() or LINES)
        self.queue = list(plan.jobs) if deadline == math.inf else sorted(plan.jobs)
        self.suspects: list[Job] = []
        self.running: dict[Future, Job] = {}
        self.bar = SweepBar(plan, out.name, progress, deadline)

    def run(self) -> pd.DataFrame:
        """Train all jobs, and return the table of records."""
        try:
            while self._submit_ready():
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
            self._remove_parts()
        if self.make_pool:
            self.pool.shutdown()
        paths = [self.out / f"{key}.json" for key in self.keys]
        done = [path for path in paths if self.deadline == math.inf or path.exists()]
        return records_table([run_records.read_record(path) for path in done])

    def _remove_parts(self) -> None:
        """Remove what killed workers have left half written."""
        for part in self.out.glob(".*.part"):
            if part.name.split(".")[1] in self.keys:
                part.unlink(missing_ok=True)

    def _submit_ready(self) -> bool:
        """Submit what can begin now; say whether anything runs.

        When a worker has died, the jobs that were at work go on alone, one after another, which
        shows which of them killed it.
        """
        if self.suspects:
            if not self.running:
                self._submit(self.suspects[0])
            return True
        while len(self.running) < self.at_once:
            job = next((job for job in self.queue if self._ends_in_time(job)), None)
            if job is None:
                break
            self.queue.remove(job)
            self._submit(job)
        return bool(self.running)

    def _ends_in_time(self, job: Job) -> bool:
        """Say whether a job would end before the deadline, as far as is known."""
        cost = self.bar.seconds[job].sum() if self.bar.records else 0
        return time.perf_counter() + cost <= self.deadline

    def _patience(self) -> float | None:
        """Return seconds until the runs at work are stopped; None: wait as long as it takes.

        Only processes of our own can be stopped, and at least one run is waited for.
        """
        if self.deadline == math.inf or self.make_pool is None or not self.bar.records:
            return None
        return max(0.0, self.deadline - time.perf_counter())

    def _submit(self, job: Job) -> None:
        try:
            future = self.pool.submit(
                executors.train_job,
                self.log,
                self.plan.points[job[0]].data,
                [self.plan.points[i].config for i in job],
                self.out,
                self.device,
                self.threads,
                self.run_progress,
            )
        except BrokenExecutor as error:  # a worker died since the last look
            future = Future()
            future.set_exception(error)
        self.running[future] = job

    def _collect(self, future: Future) -> None:
        """Take the result of a job."""
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
        self.bar.update(job, records)
        if self.on_run is not None:
            for record in records:
                self.on_run(record)

    def _fail(self, job: Job, reason: str) -> None:
        """Keep records that say why a job failed."""
        split = split_of(self.log, self.plan.points[job[0]].data)
        configs = [self.plan.points[i].config for i in job]
        records = executors.failed_records(configs, split, self.out, self.device, reason)
        self._end(job, records)
