"""Execute the notebooks of a book that are not up to date."""

import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from tqdm import tqdm

from perflaw import __version__
from perflaw.cores import count_cores
from perflaw.logs import datasets
from perflaw.notebook_runner import describe_failure, start_notebook
from perflaw.publish import recorder
from perflaw.publish.provenance import (
    digest_files,
    digest_reads,
    is_current,
    parse_reads,
    replace_dir,
    write_provenance,
)
from perflaw.publish.reachability import Imports

Values = Mapping[str, Any]
MOST_AT_ONCE = 2  # notebooks that run at the same time
READS_LOGS = "perflaw/logs/datasets.py"  # reached by notebooks that use the logs of PERFLAW_DATA


class BuildError(RuntimeError):
    """A notebook or the rendering failed; the message says which, where and why."""


@dataclass
class Job:
    """A notebook to execute, with its parameters and the digest of what it is made of."""

    notebook: Path
    values: Values
    key: str

    @property
    def name(self) -> str:
        """The name of the notebook, and of the folder of its results."""
        return self.notebook.stem


@dataclass
class RunningJob:
    """A job whose process has started."""

    job: Job
    process: subprocess.Popen[bytes]
    started: datetime


def execute_notebooks(
    root: Path, home: Path, values_by_notebook: Mapping[str, Values], scratch: Path
) -> None:
    """Execute the notebooks whose code, data or parameters have changed since they were executed.

    Parameters
    ----------
    root
        Folder of the study.
    home
        Folder of the book; `home`/executed gets a folder for each notebook.
    values_by_notebook
        Parameters of each notebook, by its name.
    scratch
        Empty folder in which notebooks run.

    Raises
    ------
    BuildError
        At the first failing cell.
    """
    notebooks = sorted(root.glob("notebooks/*.ipynb"))
    executed = home / "executed"
    executed.mkdir(exist_ok=True)
    for folder in executed.iterdir():
        if folder.name not in {notebook.stem for notebook in notebooks}:
            shutil.rmtree(folder)
    shutil.rmtree(home / "failed", ignore_errors=True)
    jobs = [
        job
        for job in list_jobs(root, notebooks, values_by_notebook)
        if not is_current(root, executed / job.name, job.key)
        and not _copy_from_default(root, job, executed, scratch)
    ]
    quiet = not (jobs and sys.stdout.isatty())
    bar = tqdm(total=len(jobs), desc="notebooks", leave=False, disable=quiet, file=sys.stdout)
    with bar, closing(_run_jobs(jobs, root, scratch, bar)) as ended:
        for run in ended:
            job = run.job
            folder = scratch / job.name
            if run.process.returncode:
                raise BuildError(describe_failure(home, folder))
            seconds = (datetime.now(UTC) - run.started).total_seconds()
            reads = digest_reads(root, parse_reads(root, scratch / f"{job.name}.reads"))
            write_provenance(folder, job.key, job.values, reads, run.started, seconds)
            replace_dir(folder, executed / job.name, scratch)
            bar.update()
            tqdm.write(f"{job.name:<24}{seconds:7.1f} s", file=sys.stdout)


def _copy_from_default(root: Path, job: Job, executed: Path, scratch: Path) -> bool:
    """Take a notebook from the default book, if the same job was done there; say whether."""
    target = executed / job.name
    default = root / "book" / "_build" / "default" / "executed" / job.name
    if default == target or not is_current(root, default, job.key):
        return False
    shutil.copytree(default, scratch / job.name)
    replace_dir(scratch / job.name, target, scratch)
    return True


def list_jobs(
    root: Path, notebooks: list[Path], values_by_notebook: Mapping[str, Values]
) -> Iterator[Job]:
    """Make the job of each notebook.

    Its key is the digest of the notebook, its parameters, the versions of the packages and the
    modules that it reaches; if it can load logs, also of those in PERFLAW_DATA.
    """
    shared = [
        digest_files(root, [root / "requirements.txt"]),
        __version__,
        sys.version,
        os.environ.get("PERFLAW_FIGURES", ""),  # the folder of the authors' figures
    ]
    imports = Imports(root / "perflaw")
    for notebook in notebooks:
        modules = imports.files_reached_by(notebook)
        values = values_by_notebook.get(notebook.stem, {})
        parts = [*shared, digest_files(root, [notebook, *modules]), yaml.safe_dump(dict(values))]
        if root / READS_LOGS in modules:
            parts.append(stamp_local_logs())
        yield Job(notebook, values, hashlib.sha256("\n".join(parts).encode()).hexdigest())


def stamp_local_logs() -> str:
    """Return path, size and time of each log in the folder PERFLAW_DATA, as text."""
    stamps = [(path, path.stat()) for path in datasets.local_logs().values()]
    return "".join(f"\n{path} {stat.st_size} {stat.st_mtime_ns}" for path, stat in stamps)


def _run_jobs(
    jobs: list[Job], root: Path, scratch: Path, bar: tqdm
) -> Generator[RunningJob, None, None]:
    """Run jobs, a few at once, and yield each when it has ended; end all if closed early."""
    waiting = list(jobs)
    cores = count_cores()
    workers = min(MOST_AT_ONCE, cores, len(jobs))
    running: list[RunningJob] = []
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                running.append(_start_job(waiting.pop(0), root, scratch, cores // workers))
            bar.set_postfix_str(", ".join(each.job.name for each in running))
            time.sleep(0.1)
            for ended in [each for each in running if each.process.poll() is not None]:
                running.remove(ended)
                yield ended
    finally:
        for each in running:
            each.process.terminate()
        for each in running:
            each.process.wait()


def _start_job(job: Job, root: Path, scratch: Path, threads: int) -> RunningJob:
    process = start_notebook(
        job.notebook, job.values, scratch, threads, home=root, startup=recorder.STARTUP
    )
    return RunningJob(job, process, datetime.now(UTC))
