"""A trained model: its weights and how it was trained; saved, loaded, and used to recommend."""

from __future__ import annotations

import hashlib
import html
import json
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from perflaw.errors import InputError, check_kind
from perflaw.io import atomic_path
from perflaw.logs.interaction_log import InteractionLog
from perflaw.models import backbones, ranking
from perflaw.models.configuration import Architecture, Config, make_config, recorded_settings
from perflaw.models.layers import Layout, Weights
from perflaw.models.training.preparation import check_device

FORMAT = 1  # of the files that `save_model` writes
WEIGHTS_FILE = "weights.safetensors"
CONFIG_FILE = "model.json"


@dataclass(frozen=True, eq=False, repr=False)
class TrainedModel:
    """A trained model, and how its training went.

    Parameters
    ----------
    weights : dict of Tensor
        Of the best validation NDCG@10.
    curve : list of dict
        One a validation: epoch, loss (mean of the epoch), HR@10, NDCG@10 and log-loss (at
        temperature 1) on validation.
    status : str
        `converged` (no better one came), `epochs used up`, or `diverged in epoch …`.
    seconds : dict of float
        Of training and validation.
    epochs, tokens : int
        Epochs done, and positions trained on, without padding.
    least_weights : dict of Tensor or None
        Of the least log-loss on validation; not saved.
    least_epoch : int or None
        Their epoch; None before any validation.
    config : Config
        The configuration.
    item_ids : ndarray
        (n_items,) what each item code stands for.
    removes_seen : bool
        Whether items of the history cannot come again, so that they are not recommended.
    key : str
        Of the run's record; empty where nobody gave it one.
    """

    weights: Weights
    curve: list[dict]
    status: str
    seconds: dict[str, float]
    epochs: int
    tokens: int
    least_weights: Weights | None
    least_epoch: int | None
    config: Config
    item_ids: np.ndarray
    removes_seen: bool
    key: str = ""

    def __repr__(self) -> str:
        return f"<TrainedModel {', '.join(f'{name} {value}' for name, value in self._facts())}>"

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><th>{html.escape(name)}</th><td>{html.escape(str(value))}</td></tr>"
            for name, value in self._facts()
        )
        return f"<table>{rows}</table>"

    def _facts(self) -> list[tuple[str, Any]]:
        """Return what matters of the model, by name."""
        best = max((point["NDCG@10"] for point in self.curve), default=float("nan"))
        return [
            ("backbone", self.config.backbone),
            ("N", self.config.n_layers),
            ("d", self.config.d_emb),
            ("L", self.config.max_seq_len),
            ("items", f"{len(self.item_ids):,}"),
            ("validation NDCG@10", f"{best:.4f}"),
            ("epochs", self.epochs),
            ("status", self.status),
        ]

    def scorer(self) -> ranking.Scorer:
        """Return the model as something that ranks items."""
        return scorer(self.weights, self.config)

    def recommend(self, log: InteractionLog, top: int = 10) -> pd.DataFrame:
        """List the best items for each user of a log, after all of the user's history.

        Parameters
        ----------
        log : InteractionLog
            Histories of any users; items that the model does not know are passed over.
        top : int
            Items for each user, at most.

        Returns
        -------
        DataFrame
            user, rank (from 1), item and score, in the log's own ids.

        Raises
        ------
        InputError
            If the model knows none of the log's items, needs the time of the next interaction, or
            `top` is not a whole number above 0.
        """
        if isinstance(top, bool) or not isinstance(top, int) or top < 1:
            raise InputError(f"top = {top!r} is not usable; use a whole number, 1 or more")
        if self.config.time_bias:
            raise InputError(
                "a model with time_bias needs the time of the next interaction, which nobody "
                "knows; train one without"
            )
        check_kind(log, InteractionLog, "read one with perflaw.logs.read_log")
        known_log = self._known_histories(log)
        users = np.arange(known_log.n_users)
        tables = [
            self._recommend_users(known_log, users[first : first + ranking.USERS], top)
            for first in range(0, len(users), ranking.USERS)
        ]
        return pd.concat(tables, ignore_index=True)

    def item_codes(self, item_ids: np.ndarray) -> np.ndarray:
        """Return the model's code of each item, (items,), -1 for one that it does not know.

        Where ids are numbers on one side and texts on the other, as a log's become by one new id
        with a letter, the number 1000 and the text "1000" are one item.
        """
        known_ids, ids = pd.Index(self.item_ids), pd.Index(item_ids)
        if pd.api.types.is_numeric_dtype(known_ids) != pd.api.types.is_numeric_dtype(ids):
            known_ids, ids = _as_texts(known_ids), _as_texts(ids)
        return known_ids.get_indexer(ids)

    def _known_histories(self, log: InteractionLog) -> InteractionLog:
        """Return the histories of items that the model knows, in its item codes."""
        codes = self.item_codes(log.item_ids)[log.items]
        is_known = codes >= 0
        if not is_known.any():
            raise InputError(
                f"the model knows none of the items of {log.name}; "
                "its ids are those of the log that it was trained on"
            )
        items = codes[is_known].astype(np.int32)
        return replace(log.keep(is_known), items=items, item_ids=self.item_ids)

    def _recommend_users(self, log: InteractionLog, users: np.ndarray, top: int) -> pd.DataFrame:
        n_items, stops = len(self.item_ids), log.offsets[users + 1]
        scores = self.scorer()(log, users, stops)(0, n_items)
        if self.removes_seen:
            rows, places = ranking.history_places(log, users, stops)
            seen = log.items[places].astype(np.int64)
            scores[torch.from_numpy(rows), torch.from_numpy(seen)] = -torch.inf
        k = min(top, n_items)
        best_scores, best_items = scores.topk(k)
        frame = pd.DataFrame(
            {
                "user": np.repeat(log.user_ids[users], k),
                "rank": np.tile(np.arange(1, k + 1), len(users)),
                "item": self.item_ids[best_items.cpu().numpy().ravel()],
                "score": best_scores.cpu().numpy().ravel(),
            }
        )
        return frame[np.isfinite(frame["score"])]

    def save(self, folder: str | os.PathLike) -> Path:
        """`save_model` of this model."""
        return save_model(self, folder)


def _as_texts(ids: pd.Index) -> pd.Index:
    """Write ids as texts; a whole number has no point."""
    if pd.api.types.is_float_dtype(ids) and (ids % 1 == 0).all():
        ids = ids.astype("int64")
    return ids.astype(str)


def scorer(weights: Weights, model: Architecture) -> ranking.Scorer:
    """Return the weights of a model as something that ranks items.

    Raises
    ------
    InputError
        If the weights are of another width than the configuration.
    """
    if weights["items"].shape[1] != model.d_emb:
        raise InputError(
            f"these weights have d_emb = {weights['items'].shape[1]}, and the configuration "
            f"{model.d_emb}; use the one they were trained with"
        )
    weights = {name: weight.detach() for name, weight in weights.items()}
    items = weights["items"]

    def score(log: InteractionLog, users: np.ndarray, stops: np.ndarray) -> ranking.BlockScores:
        lengths = np.minimum(stops - log.offsets[users], model.max_seq_len)
        layout = Layout.of([(len(users), int(lengths.max()))], items.device)
        # the padding repeats the last item
        places_in_row = np.minimum(np.arange(lengths.max()), lengths[:, None] - 1)
        places = torch.from_numpy(((stops - lengths)[:, None] + places_in_row).ravel())
        times = None
        if model.time_bias:
            clock = torch.from_numpy(log.clock("time_bias"))
            times = clock[places].to(items.device), clock[places + 1].to(items.device)
        ids = torch.from_numpy(log.items)[places].long().to(items.device)
        last = torch.from_numpy(lengths - 1).to(items.device)
        hidden = backbones.forward(weights, ids, layout, model, times=times, last=last)
        return lambda first, until: hidden @ items[first:until].T

    return score


def save_model(model: TrainedModel, folder: str | os.PathLike) -> Path:
    """Write a model to a folder: weights in safetensors, the rest in JSON; no pickle.

    Parameters
    ----------
    model : TrainedModel
        Its weights of the best validation NDCG@10 are kept.
    folder : path
        Made if need be; a model that is there is replaced.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    InputError
        If the folder cannot be written to.
    """
    folder = Path(folder)
    description = {
        "format": FORMAT,
        "key": model.key,
        "configuration": recorded_settings(model.config),
        "removes_seen": bool(model.removes_seen),
        "status": model.status,
        "epochs": model.epochs,
        "tokens": model.tokens,
        "seconds": model.seconds,
        "curve": model.curve,
        "items": np.asarray(model.item_ids).tolist(),
    }
    tensors = {name: weight.cpu().contiguous() for name, weight in model.weights.items()}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # both files are complete before either replaces an old one
        with (
            atomic_path(folder / WEIGHTS_FILE) as weights_path,
            atomic_path(folder / CONFIG_FILE) as config_path,
        ):
            save_file(tensors, weights_path)
            description["sha256"] = _digest(weights_path)
            config_path.write_text(json.dumps(description, allow_nan=False) + "\n")
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(
            f"a model cannot be written to {folder}: {reason}; name another folder"
        ) from None
    return folder


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def load_model(folder: str | os.PathLike, device: str = "cpu") -> TrainedModel:
    """Read a model that `save_model` wrote.

    Raises
    ------
    InputError
        If the folder holds none, or weights that do not belong to its configuration, and for a
        device that is not there.

    Examples
    --------
    >>> from perflaw.logs import synthetic
    >>> from perflaw.models import fit_model, make_config, save_model
    >>> log = synthetic.Process(n_items=40, n_interests=4).sample(30, 8).log
    >>> config = make_config(n_layers=1, d_emb=8, epochs=1, max_seq_len=8)
    >>> folder = save_model(fit_model(config, log, progress=False), getfixture("tmp_path"))
    >>> load_model(folder).recommend(log, top=2).shape
    (60, 4)
    """
    check_kind(folder, (str, os.PathLike), "name the folder that save_model wrote")
    folder = Path(folder)
    check_device(device)
    try:
        description = json.loads((folder / CONFIG_FILE).read_text())
        weights = load_file(folder / WEIGHTS_FILE, device)
        if description["format"] != FORMAT:
            raise ValueError(f"format {description['format']!r}, and this version reads {FORMAT}")
        config = make_config(**description["configuration"])
        item_ids = _read_ids(description["items"])
        _check_weights(weights, config, len(item_ids))
        # older models have no digest
        if description.get("sha256") not in (None, _digest(folder / WEIGHTS_FILE)):
            raise ValueError(f"{WEIGHTS_FILE} is not the file that {CONFIG_FILE} was written with")
        if not isinstance(description["removes_seen"], bool):
            raise ValueError(f"removes_seen = {description['removes_seen']!r}; use true or false")
        return TrainedModel(
            weights=weights,
            curve=description["curve"],
            status=description["status"],
            seconds=description["seconds"],
            epochs=description["epochs"],
            tokens=description["tokens"],
            least_weights=None,
            least_epoch=None,
            config=config,
            item_ids=item_ids,
            removes_seen=description["removes_seen"],
            key=description.get("key", ""),
        )
    except (OSError, ValueError, KeyError, TypeError, RecursionError, SafetensorError) as error:
        raise InputError(
            f"{folder} holds no model ({_describe_fault(error)}); `perflaw train --save`, "
            "or `save_model`, writes one"
        ) from None


def _read_ids(items: Any) -> np.ndarray:
    """Read the ids of items: numbers or texts, none twice."""
    if not (isinstance(items, list) and all(isinstance(i, str | int | float) for i in items)):
        raise ValueError("its items are no list of numbers and texts")
    if len(set(items)) < len(items):
        raise ValueError("an item is in it twice")
    has_texts = any(isinstance(item, str) for item in items)
    return np.array(items, object if has_texts else None)


def _check_weights(weights: Weights, config: Config, n_items: int) -> None:
    """Check that weights are finite numbers, and as many as the configuration needs."""
    shapes = {name: tuple(weight.shape) for name, weight in weights.items()}
    if backbones.weight_shapes(config, n_items) != shapes:
        raise ValueError("its weights are not those of its configuration")
    for weight in weights.values():
        if weight.dtype != torch.float32 or not weight.isfinite().all():
            raise ValueError("its weights are no finite numbers of 32 bits")


def _describe_fault(error: Exception) -> str:
    """Say in plain words why files are no model."""
    if isinstance(error, KeyError):
        return f"{CONFIG_FILE} lacks {error}"
    if isinstance(error, json.JSONDecodeError):
        return f"{CONFIG_FILE} is no JSON"
    if isinstance(error, SafetensorError):
        return f"{WEIGHTS_FILE} cannot be read"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
