"""Models of sequential recommendation: backbones, baselines, training, ranking, sweeps.

Front doors are loaded when they are first used, so that importing this package needs no torch.
"""

from perflaw.front_doors import offer_lazily

_DOORS = {
    "baselines": ["BASELINES"],
    "configuration": ["Architecture", "Config", "make_config"],
    "ranking": ["RankedTargets", "rank_targets"],
    "ranking_metrics": ["hit_rate", "metrics", "ndcg"],
    "trained_model": ["TrainedModel", "load_model", "save_model"],
    "training.loop": ["fit_model"],
    "training.trainer": ["train"],
}
__all__, __getattr__, __dir__ = offer_lazily(__name__, _DOORS)
