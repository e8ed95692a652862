"""Models of sequential recommendation: backbones, baselines, training, ranking, sweeps.

Front doors are loaded when they are first used, so that importing this package needs no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_MODULES = {
    "Architecture": "perflaw.models.configuration",
    "Config": "perflaw.models.configuration",
    "make_config": "perflaw.models.configuration",
    "train": "perflaw.models.training.trainer",
    "fit_model": "perflaw.models.training.loop",
    "TrainedModel": "perflaw.models.trained_model",
    "save_model": "perflaw.models.trained_model",
    "load_model": "perflaw.models.trained_model",
    "rank_targets": "perflaw.models.ranking",
    "RankedTargets": "perflaw.models.ranking",
    "metrics": "perflaw.models.ranking_metrics",
    "hit_rate": "perflaw.models.ranking_metrics",
    "ndcg": "perflaw.models.ranking_metrics",
    "BASELINES": "perflaw.models.baselines",
}
__all__ = list(_MODULES)


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_MODULES])
