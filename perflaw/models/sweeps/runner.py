"""Sweeps: a grid of configurations, a log, and a folder of run records.

A grid is plain values (`data/grids/` has some, `expand_grid` says what it may hold). `run` trains what
the folder does not have yet, so a sweep that was stopped or killed goes on where it was; sweeps are
joined by copying records into one folder. `load_runs` reads a folder as a table, one row a run, and
`consolidate` writes it as CSV; `verify` repeats runs of such a table.

Work is spread by any `concurrent.futures.Executor`. A worker writes each record when its run
ends, and hands it back too, so that it need not share a disk with the sweep.
"""

from __future__ import annotations

import concurrent.futures
import functools
import itertools
import math
import multiprocessing
import os
import re
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from typing import NamedTuple

import filelock
import numpy as np
import orjson
import pandas as pd
import torch
import yaml
from tqdm import tqdm

from perflaw.errors import InputError
from perflaw.logs import perturbations
from perflaw.logs.interaction_log import InteractionLog
from perflaw.logs.splits import Split, global_time, leave_one_out
from perflaw.logs.perturbations import PERTURBATIONS
from perflaw.models.sweeps import cost_model
from perflaw.models.training import trainer
from perflaw.models.training.trainer import Config
from perflaw.paths import HOME

GRIDS_FOLDER = HOME / "data" / "grids"
SWEEPS_FOLDER = GRIDS_FOLDER.parent / "sweeps"
SPLIT_RULES = {"leave one out": leave_one_out, "global time": global_time}
NEUTRAL_STRENGTHS = dict.fromkeys(PERTURBATIONS, 0) | {
    "sample_users": 1,
    "sample_time": 1,
    "truncate": None,
    "k_core": 1,
}  # strengths that change nothing
RUN_DEFAULTS = (
    asdict(Config())
    | {"split": "leave one out", "data_seed": 0, "sample_log": 1}
    | NEUTRAL_STRENGTHS
)  # what a run has
LATER = ("sample_log",)  # of them those that tables from before do not have
GPU_STACK_SIZE = 8  # runs that train together on a GPU


class TrainingData(NamedTuple):
    """What a run trains on, of a given log."""

    rule: str = "leave one out"
    steps: tuple[
        tuple[str, float], ...
    ] = ()  # interventions on the training part, and their strengths
    seed: int = 0  # of the interventions, and of the sample
    sample: float = 1.0  # share of the users of the log, with items and targets of their own, that is split and trained on


class GridPoint(NamedTuple):
    """A run of a grid."""

    config: Config
    data: TrainingData


# ---------------------------------------------------------------- the grid


def read_grid(grid: str | os.PathLike | Mapping) -> dict:
    """A grid from a YAML file, or by the name of one in data/grids/; raises InputError."""
    if isinstance(grid, Mapping):
        return dict(grid)
    path = Path(grid)
    if not path.suffix and not path.is_file():
        path = GRIDS_FOLDER / f"{path.name}.yaml"
        if not path.exists():
            there = ", ".join(sorted(p.stem for p in GRIDS_FOLDER.glob("*.yaml")))
            raise InputError(
                f"there is no grid {str(grid)!r}: name a YAML file"
                + (f", or one of {there}" if there else "; presets come with the repository")
            )
    try:
        read = yaml.load(path.read_text(), _Loader)
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path} cannot be read ({getattr(error, 'strerror', None) or 'it is no text'}); name a YAML file"
        ) from None
    except yaml.YAMLError as error:
        where = (
            f" in line {error.problem_mark.line + 1}"
            if getattr(error, "problem_mark", None)
            else ""
        )
        raise InputError(
            f"{path} is no YAML{where}: {getattr(error, 'problem', None) or str(error).splitlines()[0]}"
        ) from None
    if not isinstance(read, dict):
        raise InputError(
            f"{path} holds no grid; it needs a mapping with 'grid', e.g. grid: {{n_layers: [1, 2]}}"
        )
    return read


class _Loader(yaml.SafeLoader):
    """To YAML 1.1 1e-3 is a text."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+$"), list("-+0123456789")
)


def expand_grid(grid: str | os.PathLike | Mapping) -> list[GridPoint]:
    """The runs of a grid, in its order, each once.

    * settings: what all runs have. Any name of `training.Config`; `split` (leave one out, or global time);
      an intervention on the training part by its name, with its strength (sample_users: 0.5); `sample_log`, a share of the users
      that is taken before the split, so that it is a smaller log with items and test users of its own; `data_seed`, of those.
    * grid: names and lists of values, of which every combination is a run; or a list of several such products.
    * overrides: a list of {where: {name: value or list}, set: {name: value}}: runs that have those values get these.
    * about: a text.

    Raises InputError for a name or a value that cannot be, before anything is trained.
    """
    grid = read_grid(grid)
    if unknown := [name for name in grid if name not in ("about", "settings", "grid", "overrides")]:
        raise InputError(
            f"a grid has no {unknown[0]!r}; it has settings, grid, overrides and about"
        )
    settings, products = _mapping(grid.get("settings", {}), "settings"), grid.get("grid", {})
    for name, value in settings.items():
        if isinstance(value, (list, dict)):
            raise InputError(f"settings: {name} needs one value; lists belong under grid")
    overrides = grid.get("overrides", [])
    if not isinstance(overrides, list):
        raise InputError("overrides needs a list of {where: …, set: …}")
    points, used = [], set()
    for product in products if isinstance(products, list) else [products]:
        axes = {
            name: value if isinstance(value, list) else [value]
            for name, value in _mapping(product, "grid").items()
        }
        if empty := [name for name, values in axes.items() if not values]:
            raise InputError(f"grid: {empty[0]} has no values")
        for values in itertools.product(*axes.values()):
            points.append(_point(_overridden(settings | dict(zip(axes, values)), overrides, used)))
    if not points:
        raise InputError("grid has no runs; leave it out for one")
    if idle := [override for override in overrides if id(override) not in used]:
        told = ", ".join(f"{name} {value}" for name, value in idle[0]["where"].items())
        raise InputError(f"overrides: no run has {told}; mend or remove that one")
    return list(dict.fromkeys(points))


def _mapping(value, where):
    if not isinstance(value, Mapping) or any(not isinstance(name, str) for name in value):
        raise InputError(f"{where} needs names and values, e.g. {where}: {{n_layers: 2}}")
    return dict(value)


def _overridden(values, overrides, used):
    """The values of a run after the overrides that are of it, which are noted as used."""
    for override in overrides:
        if not isinstance(override, Mapping) or set(override) != {"where", "set"}:
            raise InputError("an override has the two parts 'where' and 'set'")
        where, has = _known(_mapping(override["where"], "where")), RUN_DEFAULTS | values
        if all(
            has[name] in (wanted if isinstance(wanted, list) else [wanted])
            for name, wanted in where.items()
        ):
            values = values | _mapping(override["set"], "set")
            used.add(id(override))
    return values


def _known(values):
    if unknown := [name for name in values if name not in RUN_DEFAULTS]:
        raise InputError(f"a run has no {unknown[0]!r}; it has {', '.join(RUN_DEFAULTS)}")
    return dict(values)


def _point(values) -> GridPoint:
    """A run from plain values by name."""
    values = RUN_DEFAULTS | _known(values)
    rule, seed, sample = values.pop("split"), values.pop("data_seed"), values.pop("sample_log")
    if rule not in list(SPLIT_RULES):
        raise InputError(f"there is no split {rule!r}; use one of {', '.join(SPLIT_RULES)}")
    if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
        raise InputError(f"data_seed = {seed!r} is not usable; use a whole number, 0 or more")
    sample = 1 if sample is None else sample
    if not isinstance(sample, (int, float)) or isinstance(sample, bool) or not 0 < sample <= 1:
        raise InputError(
            f"sample_log = {sample!r} is not usable; use a share of the users, above 0 and at most 1"
        )
    steps = {name: values.pop(name) for name in PERTURBATIONS}
    for name, strength in steps.items():
        if strength is not None and (
            not isinstance(strength, (int, float))
            or isinstance(strength, bool)
            or not math.isfinite(strength)
        ):
            raise InputError(f"{name} = {strength!r} is not usable; use a number")
    done = tuple(
        (name, float(strength))
        for name, strength in steps.items()
        if strength not in (None, NEUTRAL_STRENGTHS[name])
    )
    return GridPoint(
        trainer.make_config(**values),
        TrainingData(rule, done, seed if done or sample != 1 else 0, float(sample)),
    )


_in_hand: tuple[tuple, dict[TrainingData, Split]] = (
    (),
    {},
)  # a log, and its splits: entropies and hashes hang on them


def split_of(log: InteractionLog, data: TrainingData) -> Split:
    """A log, or the sample of its users, split, and the interventions done; kept, as runs share them."""
    global _in_hand
    this, (log_in_hand, splits) = (log.name, log.hash, log.order), _in_hand
    if this != log_in_hand:
        splits = {}
        _in_hand = this, splits
    if data not in splits:
        split = SPLIT_RULES[data.rule](
            log if data.sample == 1 else log.sample_users(data.sample, data.seed)
        )
        if data.sample != 1:
            split = replace(split, sample=(data.sample, data.seed, log.hash))
        for name, strength in data.steps:
            split = perturbations.apply(split, name, strength, data.seed)
        splits[data] = split
    return splits[data]


# ---------------------------------------------------------------- what is to be done


class SweepPlan(NamedTuple):
    """A sweep before it runs."""

    points: list[GridPoint]
    frame: pd.DataFrame  # one row a point: its configuration and data, key, done (a status, or "") and predicted_seconds (of what is not done)
    jobs: list[list[int]]  # of what is not done: points that train together, the costly first
    records: list[dict]  # of what was done on such a device, which tell how long the rest will take


def plan_sweep(
    grid, log: InteractionLog, out: str | os.PathLike, device: str = "cpu", stack: int | None = None
) -> SweepPlan:
    """Expand a grid, see what a folder of records has of it, and predict what the rest will take."""
    trainer.check_device(device)
    if not isinstance(log, InteractionLog):
        raise InputError(f"{log!r} is no log; read one with perflaw.logs.datasets.load")
    points, rows, records = expand_grid(grid), [], []
    for point in points:
        split = split_of(log, point.data)
        trainer.check_split(split)
        key = trainer.run_key(point.config, split)
        try:
            record = trainer.load_cached_record(key, out)
        except InputError:
            record = None
        if record:
            records.append(record)
        rows.append(
            {"key": key, "done": record["status"] if record else ""} | _described(point, split)
        )
    frame = pd.DataFrame(rows)
    kind = device.partition(":")[0]
    records = [
        record for record in records if record["environment"]["device"].partition(":")[0] == kind
    ]
    frame["predicted_seconds"] = np.where(
        frame["done"] == "", cost_model.CostModel(records_table(records)).seconds(frame), 0.0
    )
    stack, together = stack or (1 if device == "cpu" else GPU_STACK_SIZE), {}
    for i, point in enumerate(points):
        if not rows[i]["done"]:
            alike = tuple(
                value
                for name, value in asdict(point.config).items()
                if name not in trainer.STACKABLE_FIELDS
            )
            together.setdefault((point.data, alike), []).append(i)
    jobs = [
        group[i : i + stack] for group in together.values() for i in range(0, len(group), stack)
    ]
    jobs.sort(key=lambda job: -frame["predicted_seconds"][job].sum())
    return SweepPlan(points, frame, jobs, records)


def _described(point, split):
    """What is known of a run before it starts, as in `record_row`."""
    told = {
        "split": point.data.rule,
        "sample_log": None if point.data.sample == 1 else point.data.sample,
        **dict.fromkeys(PERTURBATIONS),
        **dict(point.data.steps),
        "data_seed": point.data.seed,
    }
    told |= trainer.split_sizes(split, point.config.max_seq_len)
    return (
        told
        | {f"{part}_targets": count for part, count in told.pop("targets").items()}
        | asdict(point.config)
    )


# ---------------------------------------------------------------- doing it


def process_pool(workers: int | None = None, threads: int = 1) -> Callable[[], Executor]:
    """A pool of processes, made anew should one be killed: an executor for `run`. By default one for each core."""
    if workers is not None and workers < 1:
        raise InputError(f"{workers} workers cannot do anything; use 1 or more")
    return functools.partial(_Pool, workers or os.cpu_count() or 1, threads)


class _Pool(ProcessPoolExecutor):
    """Workers that Ctrl-C does not reach, not even while they start: the sweep says when to end.

    Nor do they run the script that starts them, which then needs no `if __name__ == "__main__":`.
    """

    def __init__(self, workers, threads):
        context = multiprocessing.get_context("spawn")
        lock, slots = context.RLock(), context.Value("i", 0)
        super().__init__(workers, context, _start_worker, (lock, slots, workers, threads))

    def submit(self, *args):
        """Start what it takes, with the signal blocked, which a new process inherits, and without a script, which it would run."""
        before, script = (
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT}),
            vars(sys.modules["__main__"]),
        )
        kept = {name: script.pop(name) for name in ("__file__", "__spec__") if name in script}
        script["__spec__"] = None
        try:
            return super().submit(*args)
        finally:
            script.update(kept)
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


_bar_options: dict | None = None  # of the bar of the current run, in a worker of `process_pool`


def _start_worker(lock, slots, workers, threads):
    """In a new process: its threads, its line for a progress bar, and an end when the sweep ends, however that does."""
    global _bar_options
    torch.set_num_threads(threads)
    tqdm.set_lock(lock)
    with slots.get_lock():
        _bar_options = {"position": 1 + slots.value % workers}
        slots.value += 1
    parent = multiprocessing.parent_process()
    threading.Thread(target=lambda: (parent.join(), os._exit(1)), daemon=True).start()


def train_job(
    log: InteractionLog,
    data: TrainingData,
    configs: Sequence[Config],
    folder,
    device="cpu",
    threads: int | None = None,
    progress=False,
) -> list[dict]:
    """Train runs of like shape on a log, in whatever process this is: their records, also of those that failed."""
    if threads:
        torch.set_num_threads(threads)
    split = split_of(log, data)
    try:
        return trainer.train_stack(
            configs, split, folder, device, (_bar_options or True) if progress is True else progress
        )
    except trainer.RecordWriteError:
        raise
    except Exception as error:  # a run that cannot be done must not end the others
        return _failed(configs, split, folder, device, f"{type(error).__name__}: {error}")


def _failed(configs, split, folder, device, reason):
    """Records of runs that came to nothing, and those of their stack that had ended."""
    told = {"status": "failed: " + " ".join(str(reason).split())}
    return [
        trainer.load_cached_record(trainer.run_key(config, split), folder)
        or trainer.make_record(config, split, dict(told), folder, device)
        for config in configs
    ]


def run(
    grid,
    log: InteractionLog,
    out: str | os.PathLike = "runs",
    executor: Executor | Callable[[], Executor] | None = None,
    device: str = "cpu",
    stack: int | None = None,
    threads: int = 1,
    progress: bool = True,
    seconds: float | None = None,
) -> pd.DataFrame:
    """Train what a folder does not have of a grid on a log, and return its records as a table, in the order of the grid.

    grid: what `read_grid` takes. executor: None for this process; anything with the interface of
    concurrent.futures.Executor; or a function that makes one, such as `processes(2)`, which is closed at the end and made
    anew if it breaks. stack: runs that train together where their shapes allow it, by default 8 on a GPU and 1 on a CPU.
    threads: of each run; equal numbers need equal threads. A run that diverged, was out of memory or failed
    has a record that says so; of those, only diverged ones are not tried again next time.

    seconds: a budget. Runs then begin in the order of the grid, each only if by the cost of those done it ends in time (before any is
    done nobody knows, and the first begin); the others are not done, and not in the table.

    Raises InputError for a grid that cannot be, a folder that cannot be written to (then with where the last record is) and a
    folder that another sweep writes to.
    """
    out = Path(out)
    if isinstance(executor, str):
        raise InputError(
            f"{executor!r} is no executor; use sweeps.processes(), None for this process, or one of concurrent.futures"
        )
    trainer.check_folder(out)
    lock = filelock.FileLock(out / ".sweep.lock", blocking=False)
    try:
        lock.acquire()
    except filelock.Timeout:
        raise InputError(
            f"another sweep writes to {out}; wait for it, or use a folder of its own and copy the records together later"
        ) from None
    try:
        return _run(grid, log, out, executor, device, stack, threads, progress, seconds)
    finally:
        lock.release()


def _run(grid, log, out, executor, device, stack, threads, progress, seconds):
    start = time.perf_counter()
    planned = plan_sweep(grid, log, out, device, stack)
    points, keys = planned.points, list(planned.frame["key"])
    _set_aside(out, [keys[i] for job in planned.jobs for i in job])
    make = executor if callable(executor) else None
    pool = make() if make else executor or _Here()
    at_once = getattr(pool, "_max_workers", None) or len(planned.jobs)
    bars = (
        progress
        and (make is not None or executor is None)
        and (True if sys.stderr.isatty() else trainer.LINES)
    )
    queue, suspects, running = (
        list(planned.jobs) if seconds is None else sorted(planned.jobs),
        [],
        {},
    )
    bar = _Bar(planned, at_once, out.name, progress, seconds)

    def in_time(job):
        spent = time.perf_counter() - start
        return seconds is None or spent + (bar.seconds[job].sum() if bar.records else 0) <= seconds

    def submit(job):
        try:
            future = pool.submit(
                train_job,
                log,
                points[job[0]].data,
                [points[i].config for i in job],
                out,
                device,
                threads,
                bars,
            )
        except BrokenExecutor as error:  # a worker died since the last look
            future = Future()
            future.set_exception(error)
        running[future] = job

    def end(job, records):
        for i, record in zip(job, records):
            if record["key"] != keys[i]:
                raise InputError(
                    f"run {keys[i]} came back as {record['key']}: a worker has another version of perflaw than this process; give them the same"
                )
            if trainer.load_cached_record(keys[i], out) is None:
                trainer.write_record(record, out / f"{keys[i]}.json")
        bar.ended(job, records)

    def fail(job, reason):
        end(
            job,
            _failed(
                [points[i].config for i in job],
                split_of(log, points[job[0]].data),
                out,
                device,
                reason,
            ),
        )

    try:
        while queue or suspects or running:
            if (
                suspects and not running
            ):  # who was at work when a worker died goes on alone, which tells who it was
                submit(suspects[0])
            while (
                not suspects
                and len(running) < at_once
                and (job := next(filter(in_time, queue), None))
            ):
                queue.remove(job)
                submit(job)
            if not running:  # of what is left nothing ends in time
                break
            for future in concurrent.futures.wait(
                running, return_when=concurrent.futures.FIRST_COMPLETED
            ).done:
                job, error = running.pop(future), future.exception()
                was_alone = suspects and suspects[0] == job
                if was_alone:
                    suspects.pop(0)
                if error is None:
                    end(job, future.result())
                elif isinstance(error, InputError):
                    raise error
                elif not (make and isinstance(error, BrokenExecutor)):
                    fail(job, f"{type(error).__name__}: {error}")
                else:
                    if was_alone:
                        fail(job, "its worker died, twice")
                    else:
                        suspects = [job, *running.values()]
                    running.clear()
                    pool.shutdown(wait=False)
                    pool = make()
                    break
    except BaseException:
        for future in running:
            future.cancel()
        if make:
            _stop(pool)
        raise
    finally:
        bar.close()
        for key in keys:
            for part in out.glob(f".{key}.*.part"):
                part.unlink(missing_ok=True)
    if make:
        pool.shutdown()
    done = [out / f"{key}.json" for key in keys]
    return records_table(
        [trainer.read_record(path) for path in done if seconds is None or path.exists()]
    )


def _stop(pool):
    """End a pool of processes at once; a record is complete or not there."""
    workers = list((getattr(pool, "_processes", None) or {}).values())
    for worker in workers:
        worker.kill()
    for worker in workers:
        worker.join()
    pool.shutdown(wait=False, cancel_futures=True)


def _set_aside(out, keys):
    """Rename what is no record where one belongs, and say so."""
    for path in (out / f"{key}.json" for key in keys):
        if path.exists():
            try:
                trainer.read_record(path)
            except InputError as error:
                os.replace(path, path.with_suffix(".broken"))
                warnings.warn(
                    f"{str(error).split(';')[0]}; it is now {path.stem}.broken, and the run is done again",
                    stacklevel=4,
                )


class _Bar:
    """The progress of a whole sweep: runs done, how many an hour, and how long the rest takes by what those done took."""

    def __init__(self, planned, at_once, name, progress, budget=None):
        self.frame, self.records, self.at_once, self.budget = (
            planned.frame,
            list(planned.records),
            at_once,
            budget,
        )
        self.left, self.ended_now, self.failed = [i for job in planned.jobs for i in job], [], 0
        self.seconds = planned.frame["predicted_seconds"].to_numpy()
        self.start = time.perf_counter()
        form = "{desc}: {n_fmt} of {total_fmt} runs |{bar:20}| {elapsed}{postfix}"
        total = len(planned.points)
        pause = 0.1 if sys.stderr.isatty() else 30
        self.bar = tqdm(
            total=total,
            initial=total - len(self.left),
            desc=name,
            disable=not progress,
            position=0,
            bar_format=form,
            mininterval=pause,
        )
        self.close = self.bar.close

    def ended(self, job, records):
        self.left = [i for i in self.left if i not in job]
        self.ended_now += job
        self.failed += sum(record["status"].startswith(trainer.RETRYABLE) for record in records)
        self.records += records
        if len(self.ended_now) < 20 or len(self.ended_now) % 10 == 0:
            self.seconds = cost_model.CostModel(records_table(self.records)).seconds(self.frame)
        spent = time.perf_counter() - self.start
        pace = spent / self.seconds[self.ended_now].sum()
        left = min(pace * self.seconds[self.left].sum(), max(0, (self.budget or math.inf) - spent))
        told = f"{3600 * len(self.ended_now) / spent:,.0f} an hour, about {tqdm.format_interval(left)} left"
        self.bar.set_postfix_str(
            told + (f", {self.failed} failed" if self.failed else ""), refresh=False
        )
        self.bar.update(len(job))


class _Here(Executor):
    """An executor that does it at once, in this process."""

    _max_workers = 1

    def submit(self, function, /, *args, **kwargs):
        future = Future()
        try:
            future.set_result(function(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


# ---------------------------------------------------------------- the table


def load_runs(folder: str | os.PathLike) -> pd.DataFrame:
    """The records of a folder, one row a run, in the order of their keys.

    Columns: what `record_row` gives. Files that are no records of this schema are left out, with a warning that names them.
    """
    paths = sorted(Path(folder).glob("*.json"))
    rows, others = [], []
    for path in paths:
        try:
            record = orjson.loads(path.read_bytes())
            if record["schema"] != trainer.SCHEMA or not record[
                "key"
            ] == path.stem == trainer.key_of_record(record):
                raise ValueError
            rows.append(record_row(record))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            others.append(path.name)
    if others:
        shown = ", ".join(others[:3]) + (" …" if len(others) > 3 else "")
        warnings.warn(
            f"{len(others)} of {len(paths)} files in {folder} are no records of schema {trainer.SCHEMA}, or were changed, and are left out: {shown}",
            stacklevel=2,
        )
    if not rows:
        raise InputError(
            f"{folder} has no run records; `perflaw sweep` and `perflaw train` make some"
        )
    return _frame(rows)


def records_table(records: Sequence[dict]) -> pd.DataFrame:
    """Run records as a table, one row a run."""
    return _frame([record_row(record) for record in records])


def _frame(rows):
    """Where nobody has a value, a column of numbers."""
    frame = pd.DataFrame(rows)
    return frame.astype(dict.fromkeys(frame.columns[frame.isna().all()], float))


METRIC_PREFIXES = {"test": "", "validation": "validation ", "test, history removed": "removed "}
LEAST = "least-loss "  # prefix of what is of the weights of the least validation loss


def record_row(record: dict) -> dict:
    """A run record in plain columns.

    key, log, data_hash (of the sample, where there is one); split; sample_log, the share of the log's users that was taken before the split
    (empty: all); by name, the strength of each intervention, data_seed; tokens, users, items of the training
    part, targets; every setting of the configuration, and of those `epochs` is the most that it may take; status, done_epochs, best_epoch,
    training_loss (at the best epoch); `parameters` and by group; `entropy NAME`; seconds (in all) and by phase,
    tokens_per_second; metrics on test (`NDCG@10`, `NDCG@10 se`, …, items of the training part removed where nothing repeats), with all
    of the history removed (`removed NDCG@10`) and on validation (`validation NDCG@10`), and the same, and the epoch, of the weights of the
    least log-loss on validation instead of the best NDCG@10 there (`least-loss removed NDCG@10`, `least-loss epoch`); device, threads, versions, commit, finished.
    """
    split = record["split"]
    steps, sample = split.get("interventions", []), split.get("sample")
    told = {
        "key": record["key"],
        "log": record["log"],
        "data_hash": record["data_hash"],
        "split": split["rule"].split("; of the training part")[0].split(", cut at")[0],
        "sample_log": sample[0] if sample else None,
        **dict.fromkeys(PERTURBATIONS),
        **{name: strength for name, strength, _ in steps},
        "data_seed": steps[0][2] if steps else sample[1] if sample else 0,
        **{
            name: record.get(name)
            for name in ("tokens", "users", "items", "positions", "repeats", "attention_length")
        },
        **{f"{part}_targets": count for part, count in record.get("targets", {}).items()},
        **record["configuration"],
        "status": record["status"],
        "done_epochs": record.get("epochs"),
    }
    best = max(record.get("curve") or [{}], key=lambda at: at.get("NDCG@10", 0))
    told |= {
        "best_epoch": best.get("epoch"),
        "training_loss": best.get("loss"),
        "temperature": record.get("metrics", {}).get("temperature"),
    }
    told["parameters"] = sum(record["parameters"].values())
    told |= {f"parameters {group}": count for group, count in record["parameters"].items()}
    told |= {f"entropy {name}": value for name, value in record["entropies"].items()}
    seconds = record.get("seconds", {})
    told |= {"seconds": seconds.get("all"), "tokens_per_second": record.get("tokens_per_second")}
    told |= {f"seconds {phase}": value for phase, value in seconds.items() if phase != "all"}
    for part, prefix in METRIC_PREFIXES.items():
        told |= {
            prefix + name: value for name, value in record.get("metrics", {}).get(part, {}).items()
        }
    if least := record.get("least validation loss"):
        told |= {
            f"{LEAST}epoch": least["epoch"],
            f"{LEAST}temperature": least["metrics"]["temperature"],
        }
        told |= {
            LEAST + prefix + name: value
            for part, prefix in METRIC_PREFIXES.items()
            for name, value in least["metrics"].get(part, {}).items()
        }
    environment = record["environment"]
    if (
        told["positions"] is None and told["tokens_per_second"]
    ):  # an early record, which holds them in its rate only
        told["positions"] = round(
            told["tokens_per_second"] * seconds["training"] / told["done_epochs"]
        )
    return (
        told
        | {
            name: environment[name]
            for name in ("device", "threads", "python", "torch", "numpy", "commit")
        }
        | {"finished": record["finished"]}
    )


def select_whole_log(runs: pd.DataFrame) -> pd.DataFrame:
    """Those runs whose log is no sample of another's users."""
    return runs[runs["sample_log"].isna()] if "sample_log" in runs else runs


def filter_runs(runs: pd.DataFrame, settings: Mapping) -> pd.DataFrame:
    """Those runs that have the given values of settings by name, such as a grid's `settings`; and `log`.

    Runs on a sample of a log's users are left out unless `sample_log` is one of the settings.
    """
    if settings.get("sample_log") in (None, 1):
        runs = select_whole_log(runs)
    settings = {
        name: value
        for name, value in settings.items()
        if name != "sample_log" or value not in (None, 1)
    }
    if any(name in LATER and name not in runs for name in settings):
        return runs[:0]
    mask = pd.Series(True, runs.index)
    _known({name: value for name, value in settings.items() if name != "log"})
    for name, value in settings.items():
        mask &= runs[name].isna() if value is None else runs[name] == value
    return runs[mask]


def aggregate_seeds(runs: pd.DataFrame, metric: str = "NDCG@10") -> pd.DataFrame:
    """A metric by cell: its mean over runs that differ in the seed alone, their standard deviation (sd) and number (seeds).

    Columns: log, n_layers, d_emb, and whatever else of data and configuration differs between the runs of a log; the metric, sd,
    seeds. Runs on changed training parts and on samples of a log's users are left out, and those without the metric (diverged, failed). Raises InputError
    for a metric that the table has not.
    """
    if metric not in runs:
        raise InputError(
            f"the runs have no {metric!r}; they have {', '.join(runs.columns[runs.columns.str.startswith(('HR', 'NDCG', 'MRR', 'log-loss'))])}"
        )
    runs = select_whole_log(runs)
    plain = runs[
        runs[[name for name in PERTURBATIONS if name in runs]].isna().all(axis=1)
        & runs[metric].notna()
    ]
    same = [
        name
        for name in ("data_hash", "split", *Config.__dataclass_fields__)
        if name in runs and name not in ("n_layers", "d_emb", "seed")
    ]
    varies = [name for name in same if (plain.groupby("log")[name].nunique(dropna=False) > 1).any()]
    found = (
        plain.groupby(["log", "n_layers", "d_emb", *varies], dropna=False)[metric]
        .agg(["mean", "std", "size"])
        .reset_index()
    )
    return found.rename(columns={"mean": metric, "std": "sd", "size": "seeds"})


def consolidate(
    folder: str | os.PathLike, name: str, where: str | os.PathLike = SWEEPS_FOLDER
) -> Path:
    """Write the records of a folder to `where/NAME.csv`, measured values to six digits; the path.

    Raises InputError for a name that is a path, and a table there that has runs which the folder has not.
    """
    if not name or Path(name).name != name:
        raise InputError(f"{name!r} is no name of a table; use one without slashes")
    path = Path(where) / f"{name.removesuffix('.csv')}.csv"
    frame = load_runs(folder)
    if path.exists() and (lost := set(read_runs_table(path)["key"]) - set(frame["key"])):
        raise InputError(
            f"{path} has {len(lost)} runs that {folder} has not; use another name, or remove it"
        )
    for column in frame.select_dtypes("float").columns.difference(list(RUN_DEFAULTS)):
        frame[column] = [
            value if value % 1 == 0 else float(f"{value:.6g}") for value in frame[column]
        ]  # counts stay exact
    trainer.check_folder(path.parent)
    frame.to_csv(path, index=False, lineterminator="\n")
    return path


def read_runs_table(name: str | os.PathLike) -> pd.DataFrame:
    """A consolidated sweep by its name in data/sweeps/, or a CSV file of the kind."""
    path = Path(name)
    if path.suffix != ".csv":
        path = SWEEPS_FOLDER / f"{name}.csv"
    if not path.exists():
        there = ", ".join(sorted(p.stem for p in SWEEPS_FOLDER.glob("*.csv"))) or "none"
        raise InputError(f"there is no sweep {str(name)!r}; in data/sweeps there is {there}")
    try:
        frame = pd.read_csv(path, dtype={"key": str, "log": str, "data_hash": str})
    except (OSError, ValueError) as error:
        raise InputError(f"{path} is no table of runs: {str(error).splitlines()[0]}") from None
    if missing := [
        column for column in ("key", "log", "status", "n_layers", "d_emb") if column not in frame
    ]:
        raise InputError(f"{path} is no table of runs: it has no column {missing[0]}")
    return frame


def verify(
    name,
    runs: int = 3,
    log: InteractionLog | None = None,
    tolerance: float = 0.1,
    seed: int = 0,
    progress: bool = True,
) -> pd.DataFrame:
    """Repeat runs of a consolidated sweep, drawn at random, on the CPU, and compare.

    log: whose runs are drawn, if the table has some; by default the logs that the table names. Columns: key, log, n_layers, d_emb, seed, was and now (NDCG@10 on test), `within` (their difference is at most
    `tolerance` of what it was: on another machine, or with other versions, rounding grows into the noise between seeds, which is some per
    cent) and `equal` (to six digits, as on the same machine it should be). Raises InputError for a log or a version that
    gives another key: then it would be another run.
    """
    from perflaw.logs import datasets

    frame = read_runs_table(name)
    if missing := [
        column
        for column in (*RUN_DEFAULTS, "data_hash", "threads", "NDCG@10")
        if column not in frame and column not in LATER
    ]:
        raise InputError(f"{name} cannot be repeated: it has no column {missing[0]}")
    kept = frame[frame["NDCG@10"].notna()]
    if kept.empty:
        raise InputError(f"{name} has no run that came to an end")
    if log is not None and (its := kept["data_hash"] == log.hash).any():
        kept = kept[its]
    chosen = kept.sample(min(runs, len(kept)), random_state=seed)
    load_log, rows = functools.lru_cache(datasets.load_log), []
    for _, was in chosen.iterrows():
        whose = log or _named(load_log, was["log"])
        point = point_of(was)
        split = split_of(whose, point.data)
        if (key := trainer.run_key(point.config, split)) != was["key"]:
            why = (
                "its hash is another"
                if split.log.hash != was["data_hash"]
                else "its configuration, or the order of users or items, is another"
            )
            raise InputError(
                f"{was['key']} was not trained on this {whose.name} ({why}); it would now be {key}"
            )
        torch.set_num_threads(int(was["threads"]))
        record = trainer.train(point.config, split, None, progress=progress)
        now = record["metrics"]["test"]["NDCG@10"] if "metrics" in record else math.nan
        equal = float(f"{now:.6g}") == was["NDCG@10"]
        rows.append(
            (
                key,
                *was[["log", "n_layers", "d_emb", "seed", "NDCG@10"]],
                now,
                equal or abs(now - was["NDCG@10"]) <= tolerance * was["NDCG@10"],
                equal,
            )
        )
    return pd.DataFrame(
        rows, columns=["key", "log", "n_layers", "d_emb", "seed", "was", "now", "within", "equal"]
    )


def point_of(was: Mapping) -> GridPoint:
    """The run that a row of a table is of."""
    values = {name: was[name] for name in Config.__dataclass_fields__}
    values = {
        name: None if isinstance(value, float) and math.isnan(value) else value
        for name, value in values.items()
    }
    steps = {
        name: float(was[name]) for name in (*LATER, *PERTURBATIONS) if not pd.isna(was.get(name))
    }
    return _point(values | steps | {"split": was["split"], "data_seed": int(was["data_seed"])})


def _named(load, name):
    try:
        return load(name)
    except InputError as error:
        raise InputError(
            f"{error}; or say which it is with log=, on the command line with --log"
        ) from None
