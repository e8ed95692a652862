"""Run records: one JSON file a run, named by what decides its result, complete or not there."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import platform
import subprocess
import tempfile
import time
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from perflaw.errors import InputError
from perflaw.io import atomic_path
from perflaw.logs import measures
from perflaw.logs.interaction_log import InteractionLog
from perflaw.logs.splits import Split
from perflaw.models import backbones, ranking
from perflaw.models.configuration import Config, recorded_settings

SCHEMA = 1  # of the run record: another number, another key
# Statuses, or how they begin.
CONVERGED = "converged"
EPOCHS_USED_UP = "epochs used up"
DIVERGED = "diverged"
OUT_OF_MEMORY = "out of memory"
FAILED = "failed"
ENDED = (CONVERGED, EPOCHS_USED_UP)  # a run with one of these has metrics
RETRYABLE = (OUT_OF_MEMORY, FAILED)  # another time, or another machine, may do better
# Types of the parts of a record that has them.
KINDS: dict[str, type] = {
    "status": str,
    "configuration": dict,
    "split": dict,
    "parameters": dict,
    "entropies": dict,
    "environment": dict,
    "seconds": dict,
    "metrics": dict,
    "log": str,
    "finished": str,
    "targets": dict,
    "curve": list,
    "epochs": int,
    "tokens": int,
    "least validation loss": dict,
}
REQUIRED_PARTS = (
    "status",
    "configuration",
    "split",
    "parameters",
    "entropies",
    "environment",
    "log",
    "data_hash",
    "finished",
    "order",
)


class RecordWriteError(InputError):
    """A record cannot be written where it belongs."""


def run_key(config: Config, split: Split) -> str:
    """Return 16 hex digits that name a run: of its configuration, data, split and record schema.

    They depend on the order of users and the numbering of items too, because batches, first weights
    and ranks do. A setting that was added later counts only where it differs from its default.

    Examples
    --------
    >>> from perflaw.logs import synthetic
    >>> from perflaw.logs.splits import leave_one_out
    >>> split = leave_one_out(synthetic.Process(n_items=40, n_interests=4).sample(30, 8).log)
    >>> len(run_key(Config(), split))
    16
    """
    return key_of_record(_identify(config, split))


def _identify(config: Config, split: Split) -> dict[str, Any]:
    """Return the parts of a record that its key is made of."""
    described_split: dict[str, Any] = {
        "rule": split.rule,
        "hash": split.hash,
        "interventions": [list(step) for step in split.interventions],
    }
    if split.sample:
        described_split["sample"] = list(split.sample)
    return {
        "schema": SCHEMA,
        "configuration": recorded_settings(config),
        "data_hash": split.log.hash,
        "split": described_split,
        "order": split.log.order,
    }


def key_of_record(record: dict) -> str:
    """Return the key that a record should have, by what it says of its run."""
    split = record["split"]
    sample = [split["sample"]] if split.get("sample") else []
    return _digest(
        record["schema"],
        record["configuration"],
        record["data_hash"],
        split["rule"],
        split["hash"],
        record["order"],
        *sample,
    )


def _digest(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def keep_record(
    config: Config, split: Split, outcome: dict, folder: str | os.PathLike | None, device: str
) -> dict:
    """Make the record of a run, and write it to the folder if there is one.

    Parameters
    ----------
    outcome : dict
        How the run went: its `status` and, if it has them, times, metrics and ranks.
    """
    identity = _identify(config, split)
    key = key_of_record(identity)
    record = {
        "schema": SCHEMA,
        "key": key,
        "log": split.log.name,
        **identity,
        **split_sizes(split, config.max_seq_len),
        "repeats": not ranking.removes_seen(split),
        "entropies": training_entropies(split.train),
        "parameters": backbones.count_parameters(config, split.log.n_items),
        "environment": environment(device),
        **outcome,
        "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
    if folder is not None:
        write_record(record, Path(folder) / f"{key}.json")
    return record


def split_sizes(split: Split, max_seq_len: int) -> dict[str, Any]:
    """How large a split is for models of a maximum sequence length.

    Returns
    -------
    dict
        Of the training part: `tokens`, `users`, `positions` trained on in an epoch and
        `attention_length`, the mean length of history that one of them has. Of the log: `items`,
        and `targets` by part.
    """
    lengths = np.minimum(split.train.lengths - 1, max_seq_len).clip(min=0)
    return {
        "tokens": split.train.tokens,
        "users": split.train.n_users,
        "items": split.log.n_items,
        "positions": int(lengths.sum()),
        "attention_length": float((lengths**2).sum() / max(1, lengths.sum())),
        "targets": {
            part: int((getattr(split, part) >= 0).sum()) for part in ("validation", "test")
        },
    }


@functools.lru_cache(maxsize=8)  # by the log itself: runs on one training part share them
def training_entropies(train: InteractionLog) -> dict[str, float | None]:
    """Every measure of a training part, nats; None where it is undefined."""
    measured = measures.measure_log(train, measures.available_measures())
    return {
        name: None if isinstance(value, InputError) else value for name, value in measured.items()
    }


def environment(device: str) -> dict[str, Any]:
    """Return what else the numbers may depend on: machine and versions."""
    name = platform.processor() or platform.machine()
    if torch.device(device).type == "cuda":
        name = torch.cuda.get_device_name(device)
    return {
        "device": f"{device}: {name}",
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "commit": code_commit(),
    }


@functools.cache
def code_commit() -> str | None:
    """Return the commit of this code; None where git does not know it."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    try:
        result = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:  # there is no git
        return None
    return result.stdout.strip() or None


# ---------------------------------------------------------------- files


def check_folder(folder: Path) -> None:
    """Make a folder, and check that files can be written to it, before hours are spent."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise RecordWriteError(
            f"records cannot be kept in {folder}: {error.strerror}; name another folder"
        ) from None


def write_record(record: dict, path: Path) -> None:
    """Write a record, complete or not at all.

    Raises
    ------
    RecordWriteError
        Where that fails, because of a full disk say. The record is then in the folder for temporary
        files, if that can be.
    """
    try:
        _write(record, path)
    except OSError as error:
        refuge = Path(tempfile.gettempdir()) / path.name
        reason = f"{path} could not be written ({error.strerror}); free space, and run again"
        try:
            _write(record, refuge)
        except OSError:
            raise RecordWriteError(reason) from None
        raise RecordWriteError(f"{reason}; this record is {refuge}: move it there") from None


def _write(record: dict, path: Path) -> None:
    with atomic_path(path) as temporary, open(temporary, "w") as file:
        json.dump(record | {"digest": _digest(record)}, file, allow_nan=False)
        file.write("\n")


def read_record(path: str | os.PathLike) -> dict:
    """Read a record.

    Raises
    ------
    InputError
        If the file is none, was changed, or is of another schema.
    """
    try:
        record = json.loads(Path(path).read_text())
        schema, *_ = (record[name] for name in ("schema", "key", "status", "configuration"))
        digest = record.pop("digest", None)  # older records have none
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(
            f"{path} is no run record ({type(error).__name__}); "
            "remove it, and the run is done again"
        ) from None
    if record["key"] != Path(path).stem:
        raise InputError(
            f"{path} is the record of {record['key']}; give it that name back, or remove it"
        )
    if schema != SCHEMA:
        raise InputError(
            f"{path} is of schema {schema!r}, and this version reads {SCHEMA}; "
            "move it to a folder of its own"
        )
    fault = _find_fault(record)
    if fault is None and digest not in (None, _digest(record)):
        fault = "it does not say what was written"
    if fault:
        raise InputError(f"{path} was changed: {fault}; remove it, and the run is done again")
    return record


def _find_fault(record: dict) -> str | None:
    """Say what is wrong with a record; None if nothing is."""
    for name, kind in KINDS.items():
        if name in record and not isinstance(record[name], kind):
            return f"its {name} is {str(record[name])[:40]!r}"
    if missing := sorted(set(REQUIRED_PARTS) - set(record)):
        return f"it has no {missing[0]}"
    if not isinstance(record["environment"].get("device"), str):
        return "it does not say on what device it was trained"
    counts = [*record["parameters"].values(), *record.get("seconds", {}).values()]
    if not all(isinstance(count, float | int) for count in counts):
        return "a count of its parameters or seconds is no number"
    try:
        is_its_own = key_of_record(record) == record["key"]
    except (KeyError, TypeError, ValueError, AttributeError):
        is_its_own = False
    if not is_its_own:
        return "what it says it was trained with is not what its key stands for"
    metrics = record.get("metrics", {})
    if record["status"] in ENDED and "test" not in metrics:
        return "it ended, and has no metrics"
    parts = [part for name, part in metrics.items() if name != "temperature"]
    if not all(isinstance(part, dict) for part in parts):
        return "its metrics are no metrics"
    rates = [part.get(name, 0) for part in parts for name in ("HR@10", "NDCG@10")]
    if not all(isinstance(rate, float | int) and 0 <= rate <= 1 for rate in rates):
        return "a metric of it is no rate"
    return None


def set_aside_broken(folder: Path, keys: Iterable[str]) -> None:
    """Rename files that stand in the place of a record and are none, with a warning."""
    for key in keys:
        try:
            load_cached_record(key, folder)
        except InputError as error:
            path = folder / f"{key}.json"
            os.replace(path, path.with_suffix(".broken"))
            warnings.warn(
                f"{str(error).split(';')[0]}; it is now {key}.broken, and the run is done again",
                stacklevel=3,
            )


def load_cached_record(key: str, folder: str | os.PathLike | None) -> dict | None:
    """Read the record that a folder has of a run, unless it has to be done again."""
    if folder is None:
        return None
    path = Path(folder) / f"{key}.json"
    if not path.exists():
        return None
    record = read_record(path)
    return None if record["status"].startswith(RETRYABLE) else record
