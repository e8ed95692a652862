"""The settings of a model and of its training: plain values, checked when they are put together.

Nothing here needs torch, so that a command line can check its input at once.
"""

from __future__ import annotations

import math
import numbers
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from perflaw.errors import InputError
from perflaw.io import suggest

BACKBONE_NAMES = ("sasrec", "llama", "hstu", "gru", "mamba")
RECURRENT = ("gru", "mamba")  # backbones without attention, hence without heads and positions
LOSSES = ("bce", "softmax", "sampled_softmax")
PRECISIONS = ("fp32", "bf16")
AUGMENTATION_NAMES = ("none", "copy", "crop", "mask", "reorder", "insert", "markov")
HSTU_CHANGES = (
    "none",
    "no relative bias",
    "softmax attention",
    "no gate",
    "feed-forward for gate",
    "no positions",
)
MPO_BACKBONES = ("sasrec", "hstu", "gru")  # the sides of their matrices are multiples of d
# Settings added after the first records were written; a record has one only where it is not the
# default.
LATER_SETTINGS = ("hstu_change", "mpo_side", "augmentation", "worst_users")
MOST_WHOLE = 2**31 - 1  # largest whole setting, seeds too: every library and table can hold it
MOST_DIMENSIONS = 2**16


def _choice(default: str, names: tuple[str, ...]) -> Any:
    return field(default=default, metadata={"names": names})


def _number(default: float | None, usable: Callable[[float], bool], wanted: str) -> Any:
    return field(default=default, metadata={"usable": usable, "wanted": wanted})


def _whole(default: int | None, least: int, most: int = MOST_WHOLE) -> Any:
    wanted = f"a whole number, {least} or more"
    limits = {"usable": lambda value: value >= least, "wanted": wanted, "most": most}
    return field(default=default, metadata=limits)


@dataclass(frozen=True)
class Architecture:
    """What a model is made of.

    Parameters
    ----------
    backbone : str
        One of `BACKBONE_NAMES`.
    n_layers : int
        N, layers.
    d_emb : int
        d, embedding dimension.
    n_heads : int
        Attention heads; a divisor of `d_emb`.
    max_seq_len : int
        L, the last items of a history that the model sees.
    dropout : float
        Of embeddings and of what each sublayer adds, from 0 to 0.99.
    shared_layers : bool
        One block's weights in all N layers.
    time_bias : bool
        HSTU only: attention sees times, also that of the target.
    hstu_change : str
        One of `HSTU_CHANGES`, to a block of HSTU; for its ablation.
    mpo_side : int or None
        Each matrix of a layer is a matrix product operator. Its central tensor is shared by all
        layers; the two beside it, of so many rows and columns, belong to the layer. The square of
        it divides `d_emb`. None: plain matrices.

    Raises
    ------
    InputError
        If a value, or the combination of two, is not usable.
    """

    backbone: str = _choice("sasrec", BACKBONE_NAMES)
    n_layers: int = _whole(2, 1)
    d_emb: int = _whole(64, 2, MOST_DIMENSIONS)
    n_heads: int = _whole(1, 1)
    max_seq_len: int = _whole(200, 1)
    dropout: float = _number(0.1, lambda value: 0 <= value <= 0.99, "a share from 0 to 0.99")
    shared_layers: bool = False
    time_bias: bool = False
    hstu_change: str = _choice("none", HSTU_CHANGES)
    mpo_side: int | None = _whole(None, 2)

    def __post_init__(self) -> None:
        for setting in fields(self):
            value = _as_type(setting.name, getattr(self, setting.name), str(setting.type))
            object.__setattr__(self, setting.name, value)
            if value is not None:
                _check_range(setting.name, value, setting.metadata)
        if self.backbone in RECURRENT and self.n_heads != 1:
            raise InputError(f"n_heads is of attention; {self.backbone} has none; use 1")
        if self.d_emb % self.n_heads:
            raise InputError(
                f"n_heads = {self.n_heads} does not divide d_emb = {self.d_emb}; "
                "use a number that does, such as 1"
            )
        if self.time_bias and self.backbone != "hstu":
            raise InputError(f"time_bias is a part of hstu; {self.backbone} has none")
        if self.hstu_change != "none" and self.backbone != "hstu":
            raise InputError(f"hstu_change is of hstu; use none for {self.backbone}")
        if self.mpo_side is not None:
            self._check_mpo(self.mpo_side)

    def _check_mpo(self, side: int) -> None:
        """Raise InputError where the matrices cannot be matrix product operators."""
        if self.backbone not in MPO_BACKBONES:
            raise InputError(f"mpo_side is of {', '.join(MPO_BACKBONES)}; not of {self.backbone}")
        if self.shared_layers:
            raise InputError("mpo_side and shared_layers are two ways of sharing; use one of them")
        if self.d_emb % side**2:
            raise InputError(
                f"mpo_side = {side} needs a d_emb that {side**2} divides, not {self.d_emb}; "
                f"use d_emb = {side**2 * math.ceil(self.d_emb / side**2)}"
            )


@dataclass(frozen=True)
class Config(Architecture):
    """An architecture and how it is trained.

    Parameters
    ----------
    loss : str
        One of `LOSSES`.
    negatives : int
        With `bce` of each position, uniform over all items; with `sampled_softmax` shared by 1,024
        positions, half of the probability uniform, half by popularity.
    negatives_seen : bool
        With `bce`: negatives may be items of the user's training part. If not, such an item is
        drawn a second time.
    learning_rate : float
        Of AdamW.
    final_rate : float
        Share of the learning rate that a cosine reaches in the last epoch.
    warmup_steps : int
        Steps in which the learning rate rises linearly.
    beta_2, weight_decay : float
        Of AdamW; norms, biases, positions, and Mamba's A and D are not decayed.
    clip : float or None
        Largest norm of the gradient.
    batch_size : int
        Histories in a batch, at most.
    epochs : int
        At most.
    patience : int or None
        Validations without a better NDCG@10 before training stops; None: it never stops early.
    validate_every : int
        Epochs between validations.
    precision : str
        `bf16`: matrix products in bfloat16; on a CPU those of the output layer.
    seed : int
        Of weights, batches, dropout and negatives.
    augmentation : str
        One of `AUGMENTATION_NAMES`: how the training part is doubled, as in
        `perflaw.logs.augmentation`.
    worst_users : float or None
        Share of the users of a batch, those of the largest mean loss, over whom alone the loss is
        averaged: CVaR at that level. 1: over all users; None: over positions.

    Raises
    ------
    InputError
        If a value, or the combination of two, is not usable.

    Examples
    --------
    >>> Config(n_layers=4, d_emb=32).learning_rate
    0.001
    >>> Config(n_layers=0)
    Traceback (most recent call last):
        ...
    perflaw.errors.InputError: n_layers = 0 is not usable; use a whole number, 1 or more
    """

    loss: str = _choice("bce", LOSSES)
    negatives: int = _whole(1, 1)
    negatives_seen: bool = True
    learning_rate: float = _number(1e-3, lambda value: value > 0, "a number above 0")
    final_rate: float = _number(1.0, lambda value: value >= 0, "a number of at least 0")
    warmup_steps: int = _whole(0, 0)
    beta_2: float = _number(0.999, lambda value: 0 < value < 1, "a number above 0 and below 1")
    weight_decay: float = _number(0.0, lambda value: value >= 0, "a number of at least 0")
    clip: float | None = _number(None, lambda value: value > 0, "a number above 0")
    batch_size: int = _whole(128, 1)
    epochs: int = _whole(200, 1)
    patience: int | None = _whole(10, 1)
    validate_every: int = _whole(1, 1)
    precision: str = _choice("fp32", PRECISIONS)
    seed: int = _whole(0, 0)
    augmentation: str = _choice("none", AUGMENTATION_NAMES)
    worst_users: float | None = _number(
        None, lambda value: 0 < value <= 1, "a share above 0, at most 1"
    )


def setting_names(name: str) -> tuple[str, ...]:
    """Return the names that a setting can take; none if it takes other values or is unknown."""
    by_setting = {setting.name: setting.metadata.get("names", ()) for setting in fields(Config)}
    return by_setting.get(name, ())


def recorded_settings(config: Config) -> dict[str, Any]:
    """Return the settings of a configuration as records and keys have them.

    A setting of `LATER_SETTINGS` is among them only where it differs from its default, so that
    older records keep their keys.

    Examples
    --------
    >>> "augmentation" in recorded_settings(Config())
    False
    >>> recorded_settings(Config(augmentation="crop"))["augmentation"]
    'crop'
    """
    settings = Config.__dataclass_fields__
    return {
        name: value
        for name, value in asdict(config).items()
        if name not in LATER_SETTINGS or value != settings[name].default
    }


def make_config(**values: Any) -> Config:
    """Build a `Config` from plain values by name.

    Raises
    ------
    InputError
        If a name is unknown (the nearest known one is named) or a value is not usable.

    Examples
    --------
    >>> make_config(backbone="llama", n_layers=4).backbone
    'llama'
    """
    known = list(Config.__dataclass_fields__)
    if unknown := [name for name in values if name not in known]:
        raise InputError(
            f"a configuration has no {unknown[0]!r}; it has {', '.join(known)}"
            + suggest(unknown[0], known)
        )
    return Config(**values)


def is_finite(value: Any) -> bool:
    """Say whether a value is a number that a float can hold.

    Examples
    --------
    >>> is_finite(0.5), is_finite(10**400), is_finite(True), is_finite("1")
    (True, False, False, False)
    """
    number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    return number and abs(value) <= sys.float_info.max


def _as_type(name: str, value: Any, declared: str) -> Any:
    """Return the value as the plain type of its setting, so that equal settings are equal."""
    if value is None and declared.endswith(" | None"):
        return None
    kind = declared.removesuffix(" | None")
    if kind == "float" and is_finite(value):
        return float(value)
    if kind == "int" and is_finite(value) and value == int(value):
        return int(value)
    if (kind == "bool" and isinstance(value, bool)) or (kind == "str" and isinstance(value, str)):
        return value
    wanted = {
        "bool": "true or false",
        "str": "a name",
        "float": "a number",
        "int": "a whole number",
    }
    raise InputError(f"{name} = {value!r} is not usable; use {wanted[kind]}")


def _check_range(name: str, value: Any, limits: Mapping[str, Any]) -> None:
    """Raise InputError for a value of the right type that is out of its range."""
    if "names" in limits and value not in limits["names"]:
        raise InputError(f"there is no {name} {value!r}; use one of {', '.join(limits['names'])}")
    if "usable" in limits and not limits["usable"](value):
        raise InputError(f"{name} = {value!r} is not usable; use {limits['wanted']}")
    if "most" in limits and value > limits["most"]:
        raise InputError(f"{name} = {value!r} is not usable; use at most {limits['most']:,}")
