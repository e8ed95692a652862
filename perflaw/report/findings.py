"""What a report finds: frozen values, and their form in report.json."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, is_dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import pandas as pd

METRICS = ("NDCG@10", "HR@10")
"""Metrics of a report; conclusions are drawn from the first."""

AXIS_LABELS = {"d_emb": "dimension", "n_layers": "layers", "tokens": "data"}
"""By column, what a size is called in a sentence."""


class Verdict(StrEnum):
    """What holds the metric back."""

    DATA = "data"
    MODEL = "model"
    NEITHER = "neither"
    UNKNOWN = "cannot tell yet"


class Advice(StrEnum):
    """What to do next."""

    STAY = "stay"
    LARGER_DIMENSION = "larger dimension"
    DEEPER = "deeper"
    LARGER_AND_DEEPER = "larger dimension and deeper"
    SMALLER = "smaller"
    MORE_DATA = "more data"
    NO_TRANSFORMER = "no transformer"
    UNKNOWN = "cannot tell yet"


TRAINS = (Advice.LARGER_DIMENSION, Advice.DEEPER, Advice.LARGER_AND_DEEPER, Advice.SMALLER)
"""Advice to train a size."""


@dataclass(frozen=True)
class Size:
    """Size of a model: layers and embedding dimension."""

    n_layers: int
    d_emb: int


@dataclass(frozen=True)
class Change:
    """Relative change of a metric, in per cent: the median and an interval."""

    change: float
    low: float
    high: float


def summarize_ratio(ratio: np.ndarray, level: float) -> Change:
    """Summarize draws of a metric, by what it is compared with."""
    quantiles = np.quantile(ratio, [0.5, (1 - level) / 2, (1 + level) / 2])
    return Change(*(100 * (quantiles - 1)).tolist())


@dataclass(frozen=True)
class Growth:
    """Change in per cent of a metric once the log has grown by new users with their own items."""

    times: int  # as many users as now
    change: float
    low: float
    high: float


@dataclass(frozen=True)
class NoiseTest:
    """Whether the law fits: cells predicted from the others, against what noise would give."""

    cells: int
    error: float  # mean absolute error, per cent
    expected: float  # what noise alone would give, per cent
    fits: bool


@dataclass(frozen=True)
class LeftOutRun:
    """A run that the others contradict, by so many standard deviations."""

    key: str
    n_layers: int
    d_emb: int
    sigmas: float


@dataclass(frozen=True)
class Bottleneck:
    """Whether doubling the data or doubling the model brings more."""

    verdict: Verdict
    chance: float | None  # probability of the verdict
    why: str


@dataclass(frozen=True)
class NextRun:
    """A size to train next: its forecast, its cost here, and its chance to be the best."""

    n_layers: int
    d_emb: int
    predicted: float
    low: float
    high: float
    seconds: float  # of one core
    chance: float  # that its expected value is above those of all trained sizes


@dataclass(frozen=True)
class BaselineComparison:
    """The best model against a baseline on the same users."""

    name: str
    metric: str
    value: float  # of the baseline
    difference: float  # of the model less the baseline, and its interval
    low: float
    high: float

    @property
    def is_within_noise(self) -> bool:
        """Whether the interval does not exclude that the baseline is as good."""
        return self.low <= 0


@dataclass(frozen=True)
class Promising:
    """The most promising size that was not trained, against the best trained one.

    The gain compares expected values, both by the forecast.
    """

    size: Size
    best: Size  # the trained size with the highest forecast
    value: float  # expected of `size`
    best_value: float  # expected of `best`
    gain: Change
    chance: float  # that `size` is better
    seconds: float  # of one core, that its training takes; nan where nobody knows


@dataclass(frozen=True)
class Recommendation:
    """One advice, and what it stands on: a larger size, or a baseline."""

    advice: Advice
    promising: Promising | None = None
    baseline: BaselineComparison | None = None

    @property
    def size(self) -> Size | None:
        """The size to train, if one is to be trained."""
        return self.promising.size if self.advice in TRAINS and self.promising else None


@dataclass(frozen=True, eq=False)
class MetricFindings:
    """What the runs say of one metric."""

    noise: float  # standard deviation of a run between seeds, per cent
    fit: NoiseTest
    predictions: pd.DataFrame  # n_layers, d_emb, data, predicted, low, high
    curves: Mapping[str, pd.DataFrame]  # by column of a size: x, predicted, low, high
    doublings: Mapping[str, Change]  # by column of a size
    laws: Mapping[str, pd.DataFrame]  # by law: n_layers, d_emb, predicted, low, high; or empty
    measured: pd.DataFrame  # runs: n_layers, d_emb, seed, value, data

    def to_dict(self) -> dict:
        """Give plain values: tables as lists of rows, curves as lists by column."""
        curves = {axis: curve.to_dict("list") for axis, curve in self.curves.items()}
        return plain_values(vars(self) | {"curves": curves})


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Findings:
    """What is concluded from the runs of one log.

    `reasons` says why nothing is claimed, if so; `says` is the whole in sentences.
    """

    level: float
    runs: int
    unfinished: int = 0
    reasons: tuple[str, ...]
    metrics: Mapping[str, MetricFindings]
    bottleneck: Bottleneck
    next: tuple[NextRun, ...] = ()
    left_out: tuple[LeftOutRun, ...] = ()
    best: Size | None = None  # of the runs on all data, by validation, else by the first metric
    baselines: tuple[BaselineComparison, ...] = ()  # the best first
    recommendation: Recommendation = Recommendation(Advice.UNKNOWN)
    growth: tuple[Growth, ...] = ()  # of the first metric at the best size, learnt from other logs
    says: tuple[str, ...] = ()
    not_forecast: Mapping[str, str] = field(default_factory=dict)  # why, by metric but the first
    lacks_users: bool = False  # whether more test users are needed, which no training brings
    chosen_on_test: bool = False  # whether `best` is so for want of a metric on validation
    without_log: bool = False  # whether the runs came in a table, without the log to compare with

    @property
    def first_metric(self) -> str:
        """The metric that conclusions are drawn from."""
        return next(iter(self.metrics))

    def to_dict(self) -> dict:
        """Give plain values, as report.json has them under "judged"."""
        metrics = {name: metric.to_dict() for name, metric in self.metrics.items()}
        values = plain_values(vars(self) | {"metrics": metrics})
        for name in ("best", "not_forecast", "chosen_on_test", "without_log"):
            if not values[name]:  # such values are left out
                del values[name]
        return values

    def __repr__(self) -> str:
        """Say what was found, a line a sentence."""
        return "\n".join([f"Findings from {self.runs} runs", *self.says])

    def _repr_html_(self) -> str:
        return render_sentences(self.says)


def render_sentences(sentences: Iterable[str]) -> str:
    """Render sentences as paragraphs of HTML."""
    return "".join(f"<p>{html.escape(sentence)}</p>" for sentence in sentences)


def plain_values(value: Any) -> Any:
    """Convert to what JSON has.

    Parameters
    ----------
    value
        Numbers, texts, dataclasses, tables, and mappings and sequences of these.

    Returns
    -------
    object
        Tables as lists of rows, numbers to six digits, None for numbers that are not finite.
    """
    if isinstance(value, pd.DataFrame):
        return plain_values(value.to_dict("records"))
    if is_dataclass(value) and not isinstance(value, type):
        return plain_values(asdict(value))
    if isinstance(value, Mapping):
        return {key: plain_values(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain_values(item) for item in value]
    if isinstance(value, StrEnum):
        return str(value)
    if isinstance(value, np.integer | np.bool_):
        return value.item()
    if isinstance(value, float | np.floating):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    return value
