"""Train configurations, and keep what came of each as a run record.

`train` is the whole story: check, fit with early stopping on validation, evaluate once on test,
write one JSON file. A run that takes long keeps a checkpoint beside its record-to-be, and goes on
from it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from perflaw.logs.interaction_log import InteractionLog
from perflaw.logs.splits import Split
from perflaw.models.configuration import Config
from perflaw.models.trained_model import TrainedModel, has_model
from perflaw.models.training import checkpoints, evaluation, loop, run_records
from perflaw.models.training.loop import Progress
from perflaw.models.training.preparation import TrainingJob, prepare
from perflaw.models.training.run_state import DIVERGED


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
    for place in (folder, model_folder):
        if place is not None:
            run_records.check_folder(Path(place))
    cached = run_records.load_cached_record(job.keys[0], folder)
    has_weights = model_folder is None or (
        cached is not None
        and (cached["status"].startswith(DIVERGED) or has_model(model_folder, cached["key"]))
    )
    if cached is not None and has_weights:
        checkpoints.remove(folder, cached["key"])
        return cached

    def save(trained: TrainedModel) -> None:
        if model_folder is not None and not trained.status.startswith(DIVERGED):
            replace(trained, key=job.keys[0]).save(model_folder)

    [record] = _train_job(job, folder, progress, save, again=True)
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
    return _train_job(job, folder, progress)


def _train_job(
    job: TrainingJob,
    folder: str | os.PathLike | None,
    progress: Progress,
    save: Callable[[TrainedModel], None] | None = None,
    again: bool = False,
) -> list[dict]:
    """Return the records of a job's runs: those that the folder has, and the others trained.

    All are trained if they are to be trained `again`; `save` gets the model before the record is
    written.
    """
    records = [None if again else run_records.load_cached_record(key, folder) for key in job.keys]
    for key, record in zip(job.keys, records):
        if record is not None:
            checkpoints.remove(folder, key)
    missing = [i for i, record in enumerate(records) if record is None]
    start = time.perf_counter()
    reason = _train_missing(job, missing, records, folder, progress, save)
    remaining = [i for i in missing if records[i] is None]
    if len(missing) == 1 and remaining:
        outcome = {"status": reason, "seconds": {"all": time.perf_counter() - start}}
        records[missing[0]] = _keep(job, missing[0], outcome, folder)
    elif remaining:
        middle = len(remaining) // 2
        for half in filter(None, (remaining[:middle], remaining[middle:])):
            for i, record in zip(half, _train_job(job.part(half), folder, progress)):
                records[i] = record
    return [record for record in records if record is not None]


def _train_missing(
    job: TrainingJob,
    missing: list[int],
    records: list[dict | None],
    folder: str | os.PathLike | None,
    progress: Progress,
    save: Callable[[TrainedModel], None] | None = None,
) -> str:
    """Train runs, those together that are at the same batch, and fill in their records.

    Returns
    -------
    str
        Why it ended early: that memory was short; or nothing. (Trying again is left to the caller,
        as an exception that is being handled would hold on to the memory.)
    """
    saved = {i: checkpoints.load(folder, job.keys[i], job.device) for i in missing}
    try:
        for group in checkpoints.in_step(saved):
            part = job.part(group)
            group_saved = [saved.pop(i) for i in group]
            keeper = checkpoints.Keeper(folder, part.keys, job.device, group_saved)

            def end(number: int, trained: TrainedModel, group: list[int] = group) -> None:
                i = group[number]
                if save is not None:
                    save(trained)
                records[i] = _keep(job, i, _outcome(trained, job.split), folder)
                checkpoints.remove(folder, job.keys[i])

            loop.fit_job(part, progress, on_end=end, keeper=keeper)
    except (MemoryError, RuntimeError) as error:  # torch.OutOfMemoryError is a RuntimeError
        if not is_out_of_memory(error):
            raise
        return f"{run_records.OUT_OF_MEMORY}: {error}".splitlines()[0]
    return ""


def is_out_of_memory(error: Exception) -> bool:
    """Say whether memory was short, of a CPU or a GPU."""
    known = isinstance(error, (torch.OutOfMemoryError, MemoryError))
    return known or "can't allocate memory" in str(error)


def _outcome(trained: TrainedModel, split: Split) -> dict:
    """Return what a record says of how a run went."""
    seconds = dict(trained.seconds)
    outcome = {
        "status": trained.status,
        "curve": trained.curve,
        "epochs": trained.epochs,
        "tokens_per_second": trained.tokens / trained.seconds["training"],
        "seconds": seconds,
    }
    if not trained.status.startswith(DIVERGED):
        start = time.perf_counter()
        metrics, ranks = evaluation.evaluate(trained.weights, trained.config, split)
        outcome |= {"metrics": metrics, "ranks": ranks}
        least = evaluation.evaluate_least_loss(trained, split, metrics)
        outcome["least validation loss"] = least
        seconds["test"] = time.perf_counter() - start
    seconds["all"] = sum(seconds.values())
    return outcome


def _keep(job: TrainingJob, i: int, outcome: dict, folder: str | os.PathLike | None) -> dict:
    """Make the record of one run, written to the folder if there is one."""
    return run_records.keep_record(
        job.keys[i], job.configs[i], job.split, outcome, folder, job.device
    )
