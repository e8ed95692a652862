"""Checkpoints of long runs: what a run needs to go on, in one safetensors file beside its record.

A run that is stopped and started again goes on from its checkpoint. On a CPU, with as many threads
and the same version of PyTorch, its numbers are then those of a run that was never stopped, bit for
bit. The file is written every few minutes, complete or not at all, and removed when the record is
there. It holds no code: tensors, and JSON in the header.
"""

from __future__ import annotations

import json
import os
import time
import warnings
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from perflaw.io import atomic_path

if TYPE_CHECKING:
    from perflaw.models.training.run_state import RunState

VERSION = 1  # of the file; one with another number is set aside
SECONDS = 180.0  # between two checkpoints of a run, at least
SHARE = 0.01  # of a run's time that writing may take, at most


class Place(NamedTuple):
    """How far a run has come."""

    epoch: int = 1  # the one that it is in
    batch: int = 0  # how many batches of it are done
    seconds: float = 0.0  # spent on them


class Checkpoint(NamedTuple):
    """What a checkpoint holds."""

    place: Place
    facts: dict[str, Any]  # plain values, by name
    tensors: dict[str, Tensor]


def path_of(folder: str | os.PathLike, key: str) -> Path:
    """Where the checkpoint of a run is kept."""
    return Path(folder) / f".{key}.ckpt.safetensors"


def load(folder: str | os.PathLike | None, key: str, device: str) -> Checkpoint | None:
    """Read the checkpoint of a run, or None where there is none.

    One that is damaged, or that another run, version or device has written, is renamed, with a
    warning that says why.
    """
    if folder is None:
        return None
    path = path_of(folder, key)
    if not path.exists():
        return None
    try:
        with safe_open(path, "pt") as file:
            header = json.loads((file.metadata() or {})["run"])
            names = file.keys()
            tensors = {name: file.get_tensor(name).clone() for name in names}
        reason = _why_unusable(header, tensors, key, device)
        if not reason:
            return Checkpoint(Place(*header["place"]), header["facts"], tensors)
    except (OSError, SafetensorError, ValueError, KeyError, TypeError, AttributeError) as error:
        reason = f"it cannot be read ({type(error).__name__})"
    aside = path.with_suffix(".broken")
    os.replace(path, aside)
    warnings.warn(
        f"the checkpoint {path} is not usable: {reason}; it is now {aside.name}, "
        "and the run starts anew",
        stacklevel=2,
    )
    return None


def _why_unusable(header: dict, tensors: dict[str, Tensor], key: str, device: str) -> str:
    """Say why a run cannot go on from a checkpoint; nothing if it can."""
    maker = header["maker"]
    for name, value in _origin(key, device).items():
        if maker.get(name) != value:
            return f"its {name} is {maker.get(name)}, not {value}"
    return "" if _checksum(tensors) == header["checksum"] else "its content was changed"


def save(folder: str | os.PathLike, key: str, device: str, checkpoint: Checkpoint) -> None:
    """Write a checkpoint, complete or not at all; raises OSError where that fails."""
    tensors = {
        name: tensor.detach().cpu().contiguous() for name, tensor in checkpoint.tensors.items()
    }
    header = {
        "maker": _origin(key, device),
        "place": checkpoint.place,
        "facts": checkpoint.facts,
        "checksum": _checksum(tensors),
    }
    try:
        with atomic_path(path_of(folder, key)) as path:
            save_file(tensors, path, {"run": json.dumps(header)})
    except SafetensorError as error:  # what safetensors makes of a full disk
        raise OSError(str(error)) from None


def remove(folder: str | os.PathLike | None, key: str) -> None:
    """Remove the checkpoint of a run that has its record."""
    if folder is not None:
        path_of(folder, key).unlink(missing_ok=True)


class Keeper:
    """Keeps the checkpoints of runs that train in step; without a folder it keeps none.

    Parameters
    ----------
    folder : path, optional
        Where the records of the runs will be.
    keys : sequence of str
        Of the runs.
    device : str
        On which they train.
    saved : sequence of Checkpoint or None
        Where the runs are to go on from, all of them at the same place.
    """

    def __init__(
        self,
        folder: str | os.PathLike | None = None,
        keys: Sequence[str] = (),
        device: str = "cpu",
        saved: Sequence[Checkpoint | None] = (),
    ) -> None:
        self.folder, self.keys, self.device = folder, keys, device
        self.saved = [checkpoint for checkpoint in saved if checkpoint is not None]
        self.last, self.wait = time.perf_counter(), SECONDS

    def resume(self, members: Sequence[RunState]) -> tuple[Place, Tensor]:
        """Put runs where their checkpoints are; without checkpoints they are at the start.

        Returns
        -------
        place : Place
            The one that they have in common.
        losses : Tensor
            (members,) the sum of losses of each in this epoch.
        """
        if not self.saved:
            return Place(), torch.zeros(len(members))
        saved, self.saved = self.saved, []
        for member, checkpoint in zip(members, saved):
            member.restore(checkpoint)
        return saved[0].place, torch.stack([checkpoint.tensors["loss"] for checkpoint in saved])

    def due(self) -> bool:
        """Say whether it is time for another checkpoint."""
        return self.folder is not None and time.perf_counter() - self.last >= self.wait

    def save(self, members: Mapping[int, RunState], place: Place, losses: Tensor) -> None:
        """Write a checkpoint of each run, by its number; warn where that fails, and train on."""
        if self.folder is None:
            return
        start = time.perf_counter()
        for (i, member), loss in zip(members.items(), losses):
            facts, tensors = member.state()
            checkpoint = Checkpoint(place, facts, tensors | {"loss": loss.clone()})
            try:
                save(self.folder, self.keys[i], self.device, checkpoint)
            except OSError as error:
                warnings.warn(
                    f"no checkpoint could be written to {self.folder} ({error}); "
                    "the run goes on without",
                    stacklevel=2,
                )
        self.last = time.perf_counter()
        self.wait = max(SECONDS, (self.last - start) / SHARE)


def in_step(saved: Mapping[int, Checkpoint | None]) -> list[list[int]]:
    """Return the numbers of runs that can train in step: at the same batch of the same epoch."""
    groups: dict[tuple, list[int]] = {}
    for i, checkpoint in saved.items():
        groups.setdefault(checkpoint.place[:2] if checkpoint else (), []).append(i)
    return list(groups.values())


def _origin(key: str, device: str) -> dict[str, Any]:
    """Return what has to be the same when a run goes on."""
    kind = torch.device(device).type
    return {
        "version": VERSION,
        "key": key,
        "PyTorch": torch.__version__,
        "device": kind,
        "number of threads": torch.get_num_threads() if kind == "cpu" else None,
    }


def _checksum(tensors: dict[str, Tensor]) -> int:
    total = 0
    for name in sorted(tensors):
        content = tensors[name].reshape(-1).view(torch.uint8).numpy().data
        total = zlib.crc32(content, zlib.crc32(name.encode(), total))
    return total
