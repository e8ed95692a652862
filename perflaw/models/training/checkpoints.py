"""Checkpoints of long runs: all that a run needs to go on, in one safetensors file beside its record.

A run that is stopped and started again goes on from its checkpoint. On a CPU, with as many threads and the same version of
PyTorch, its numbers are then those of a run that was never stopped, bit for bit. The file is written complete or not at all, every few
minutes, and removed when the record is there. It holds no code: tensors, and JSON in the header.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
import warnings
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

VERSION = 1  # of the file: another number, and it is set aside
SECONDS = 180.0  # between two checkpoints of a run, at the least
SHARE = 0.01  # of the time of a run that writing may take, at the most


class Place(NamedTuple):
    """How far a run has come."""

    epoch: int = 1  # the one that it is in
    batch: int = 0  # how many batches of it are done
    seconds: float = 0.0  # spent on them


class Checkpoint(NamedTuple):
    """What a checkpoint holds."""

    place: Place
    facts: dict  # plain values, by name
    tensors: dict[str, Tensor]


def path_of(folder: str | os.PathLike, key: str) -> Path:
    """Where the checkpoint of a run is kept."""
    return Path(folder) / f".{key}.ckpt.safetensors"


def load(folder: str | os.PathLike | None, key: str, device: str) -> Checkpoint | None:
    """The checkpoint of a run, or None where there is none.

    One that is damaged, or that another run, version or device has written, is renamed, with a warning that says why.
    """
    path = path_of(folder, key) if folder is not None else None
    if path is None or not path.exists():
        return None
    try:
        with safe_open(path, "pt") as file:
            told = json.loads((file.metadata() or {})["run"])
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118, it is no mapping
        wanted = _maker(key, device)
        why = next(
            (
                f"its {name} is {told['maker'].get(name)}, not {value}"
                for name, value in wanted.items()
                if told["maker"].get(name) != value
            ),
            "",
        )
        if not why and _checksum(tensors) != told["checksum"]:
            why = "its content was changed"
        if not why:
            return Checkpoint(Place(*told["place"]), told["facts"], tensors)
    except (OSError, SafetensorError, ValueError, KeyError, TypeError, AttributeError) as error:
        why = f"it cannot be read ({type(error).__name__})"
    aside = path.with_suffix(".broken")
    os.replace(path, aside)
    warnings.warn(
        f"the checkpoint {path} is not usable: {why}; it is now {aside.name}, and the run starts anew",
        stacklevel=2,
    )
    return None


def save(folder: str | os.PathLike, key: str, device: str, checkpoint: Checkpoint) -> None:
    """Write a checkpoint, complete or not at all; raises OSError where that fails."""
    path = path_of(folder, key)
    tensors = {
        name: tensor.detach().cpu().contiguous() for name, tensor in checkpoint.tensors.items()
    }
    told = {
        "maker": _maker(key, device),
        "place": checkpoint.place,
        "facts": checkpoint.facts,
        "checksum": _checksum(tensors),
    }
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{key}.", suffix=".part")
    os.close(handle)
    try:
        save_file(tensors, temporary, {"run": json.dumps(told)})
        os.replace(temporary, path)
    except BaseException as error:
        Path(temporary).unlink(missing_ok=True)
        if isinstance(error, SafetensorError):  # what safetensors makes of a full disk
            raise OSError(str(error)) from None
        raise


def remove(folder: str | os.PathLike | None, key: str) -> None:
    """Remove the checkpoint of a run that has its record."""
    if folder is not None:
        path_of(folder, key).unlink(missing_ok=True)


class Keeper:
    """Keeps the checkpoints of runs that train in step; without a folder it keeps none."""

    def __init__(
        self,
        folder=None,
        keys: Sequence[str] = (),
        device: str = "cpu",
        found: Sequence[Checkpoint | None] = (),
    ):
        self.folder, self.keys, self.device, self.found = folder, keys, device, found
        self.last, self.wait = time.perf_counter(), SECONDS

    def resume(self, members) -> tuple[Place, list[Tensor]]:
        """Put members (`training.Member`) where their checkpoints are: the place, and the sum of losses of each in this epoch."""
        if not self.found or self.found[0] is None:
            return Place(), []
        for member, checkpoint in zip(members, self.found):
            member.restore(checkpoint)
        found, self.found = self.found, ()
        return found[0].place, [checkpoint.tensors["loss"] for checkpoint in found]

    def due(self) -> bool:
        """Is it time for another?"""
        return self.folder is not None and time.perf_counter() - self.last >= self.wait

    def save(self, members: dict, place: Place, losses: Tensor) -> None:
        """Write a checkpoint of each member that still trains, by its number; warn where that fails, and train on."""
        start = time.perf_counter()
        for (i, member), loss in zip(members.items(), losses):
            facts, tensors = member.state()
            try:
                save(
                    self.folder,
                    self.keys[i],
                    self.device,
                    Checkpoint(place, facts, tensors | {"loss": loss.clone()}),
                )
            except OSError as error:
                warnings.warn(
                    f"no checkpoint could be written to {self.folder} ({error}); the run goes on without",
                    stacklevel=2,
                )
        self.last = time.perf_counter()
        self.wait = max(SECONDS, (self.last - start) / SHARE)


def in_step(found: Sequence[Checkpoint | None]) -> list[list[int]]:
    """The numbers of runs that can train in step, as they are at the same batch of the same epoch; in order."""
    groups: dict[tuple, list[int]] = {}
    for i, checkpoint in enumerate(found):
        groups.setdefault(checkpoint.place[:2] if checkpoint else (), []).append(i)
    return list(groups.values())


def _maker(key, device):
    """What has to be the same when a run goes on."""
    kind = torch.device(device).type
    return {
        "version": VERSION,
        "key": key,
        "PyTorch": torch.__version__,
        "device": kind,
        "number of threads": torch.get_num_threads() if kind == "cpu" else None,
    }


def _checksum(tensors):
    total = 0
    for name in sorted(tensors):
        total = zlib.crc32(
            tensors[name].reshape(-1).view(torch.uint8).numpy(), zlib.crc32(name.encode(), total)
        )
    return total
