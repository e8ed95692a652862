"""Train configurations, and keep the result of each as a run record.

`train` does it all: check, fit with early stopping on validation, evaluate once on test, write one
JSON file. A long run keeps a checkpoint in the folder of its record, and resumes from it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from perflaw.errors import InputError
from perflaw.logs.interaction_log import InteractionLog
from perflaw.logs.splits import Split
from perflaw.models.configuration import Config
from perflaw.models.trained_model import TrainedModel, load_model
from perflaw.models.training import checkpoints, evaluation, loop, run_records
from perflaw.models.training.loop import Progress
from perflaw.models.training.preparation import TrainingJob, prepare


def train(
    config: Config,
    data: InteractionLog | Split,
    folder: str | os.PathLike | None = None,
    device: str = "cpu",
    progress: Progress = True,
    model_folder: str | os.PathLike | None = None,
    on_run: Callable[[dict], object] | None = None,
) -> dict:
    """Train one configuration, or find that it has been.

    Parameters
    ----------
    config : Config
        What to train.
    data : InteractionLog or Split
        A log is split by leave-one-out.
    folder : path, optional
        The record is written to `folder/KEY.json`, complete or not at all, and read from there if
        it exists.
    device : str
        `cpu`, `cuda` or `cuda:1`.
    progress : bool, dict or str
        See `loop.Progress`.
    model_folder : path, optional
        Gets the model, see `save_model`. A run that has a record is trained again if the folder
        has not its model.
    on_run : function, optional
        Called with the record if the run was trained, and not if it was found.

    Returns
    -------
    dict
        The run record. A run that diverges or runs out of memory has one too; its `status` says so
        and it has no `metrics` (one that was out of memory is tried again). `ranks` are in the
        order of the users who have a test target. `metrics` are of the weights of the best
        validation NDCG@10; `least validation loss` has those of the least log-loss on validation.

    Raises
    ------
    InputError
        For a configuration or data that cannot be trained, and a folder that cannot be written to.

    Examples
    --------
    >>> from perflaw.logs import synthetic
    >>> from perflaw.models.configuration import make_config
    >>> log = synthetic.Process(n_items=40, n_interests=4).sample(30, 8).log
    >>> config = make_config(n_layers=1, d_emb=8, epochs=2, max_seq_len=8)
    >>> record = train(config, log, progress=False)
    >>> 0 <= record["metrics"]["test"]["NDCG@10"] <= 1
    True
    """
    job = prepare([config], data, device)
    for target in (folder, model_folder):
        if target is not None:
            run_records.check_folder(Path(target))
    [key] = job.keys
    has_model = model_folder is None or _has_model(Path(model_folder), folder, key, job.split)
    cached = run_records.load_cached_record(key, folder)
    if cached is not None and (has_model or _has_diverged(cached["status"])):
        checkpoints.remove(folder, key)
        return cached
    [record] = _train_runs(job, folder, progress, model_folder)
    if on_run:
        on_run(record)
    return record


def train_stack(
    configs: Sequence[Config],
    data: InteractionLog | Split,
    folder: str | os.PathLike | None = None,
    device: str = "cpu",
    progress: Progress = True,
) -> list[dict]:
    """`train` of several configurations that `fit_stack` can train together.

    Each record is written when its run ends. A run that was stopped goes on from its checkpoint in
    the folder. A stack that runs out of memory is tried again in halves. The seconds of a record
    are its share of those of the stack.
    """
    job = prepare(configs, data, device)
    if folder is not None:
        run_records.check_folder(Path(folder))
    records: dict[int, dict] = {}
    for i, key in enumerate(job.keys):
        cached = run_records.load_cached_record(key, folder)
        if cached is not None:
            checkpoints.remove(folder, key)
            records[i] = cached
    missing = [i for i in range(len(job.keys)) if i not in records]
    records |= zip(missing, _train_runs(job.select(missing), folder, progress))
    return [records[i] for i in range(len(job.keys))]


def _has_model(
    model_folder: Path, folder: str | os.PathLike | None, key: str, split: Split
) -> bool:
    """Say whether a folder has the model of a run; refuse one that has another run's, or records.

    Logs that differ in the names of their items alone have the same keys.
    """
    if folder is not None and model_folder.resolve() == Path(folder).resolve():
        raise InputError(f"{folder} is the folder of run records; give the model another one")
    try:
        model = load_model(model_folder)
    except InputError:
        return False  # none, or a damaged one, which is written anew
    items = [list(map(str, ids)) for ids in (model.item_ids, split.log.item_ids)]
    if model.key != key or items[0] != items[1]:
        raise InputError(
            f"{model_folder} has the model of another run or log; name another folder, or remove it"
        )
    return True


def _train_runs(
    job: TrainingJob,
    folder: str | os.PathLike | None,
    progress: Progress,
    model_folder: str | os.PathLike | None = None,
) -> list[dict]:
    """Train the runs of a job and return their records; where memory is short, in halves."""
    start = time.perf_counter()
    records: dict[int, dict] = {}
    reason = _train_together(job, records, folder, progress, model_folder)
    remaining = [i for i in range(len(job.keys)) if i not in records]
    if remaining and len(job.keys) == 1:
        outcome = {"status": reason, "seconds": {"all": time.perf_counter() - start}}
        return [run_records.keep_record(job.configs[0], job.split, outcome, folder, job.device)]
    middle = len(remaining) // 2
    for half in (remaining[:middle], remaining[middle:]):
        if half:
            records |= zip(half, _train_runs(job.select(half), folder, progress))
    return [records[i] for i in range(len(job.keys))]


def _train_together(
    job: TrainingJob,
    records: dict[int, dict],
    folder: str | os.PathLike | None,
    progress: Progress,
    model_folder: str | os.PathLike | None,
) -> str:
    """Train runs, those together that are at the same batch, and fill in their records.

    Returns
    -------
    str
        Why it ended early: that memory was short; or nothing. (Trying again is left to the caller,
        as an exception that is being handled would hold on to the memory.)
    """
    saved = {i: checkpoints.load(folder, key, job.device) for i, key in enumerate(job.keys)}
    try:
        for group in checkpoints.in_step(saved):
            group_job = job.select(group)
            resumed = [saved.pop(i) for i in group]
            keeper = checkpoints.Keeper(folder, group_job.keys, job.device, resumed)

            def end(number: int, trained: TrainedModel, group: list[int] = group) -> None:
                i = group[number]
                outcome = _outcome(trained, job.split)
                records[i] = run_records.keep_record(
                    job.configs[i], job.split, outcome, folder, job.device
                )
                # the record first: it stays where the model cannot be written
                if model_folder is not None and not _has_diverged(trained.status):
                    replace(trained, key=job.keys[i]).save(model_folder)
                checkpoints.remove(folder, job.keys[i])

            loop.fit_job(group_job, progress, on_end=end, keeper=keeper)
    except (MemoryError, RuntimeError) as error:  # torch.OutOfMemoryError is a RuntimeError
        if not is_out_of_memory(error):
            raise
        return f"{run_records.OUT_OF_MEMORY}: {error}".splitlines()[0]
    return ""


def is_out_of_memory(error: Exception) -> bool:
    """Say whether memory was short, of a CPU or a GPU."""
    kinds = (MemoryError, torch.OutOfMemoryError)
    return isinstance(error, kinds) or "can't allocate memory" in str(error)


def _has_diverged(status: str) -> bool:
    return status.startswith(run_records.DIVERGED)


def _outcome(trained: TrainedModel, split: Split) -> dict:
    """Return the parts of a record that say how a run went."""
    seconds = dict(trained.seconds)
    outcome = {
        "status": trained.status,
        "curve": trained.curve,
        "epochs": trained.epochs,
        "tokens_per_second": trained.tokens / trained.seconds["training"],
        "seconds": seconds,
    }
    if not _has_diverged(trained.status):
        start = time.perf_counter()
        metrics, ranks = evaluation.evaluate(trained.weights, trained.config, split)
        outcome |= {"metrics": metrics, "ranks": ranks}
        outcome["least validation loss"] = evaluation.evaluate_least_loss(trained, split, metrics)
        seconds["test"] = time.perf_counter() - start
    seconds["all"] = sum(seconds.values())
    return outcome
