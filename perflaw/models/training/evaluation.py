"""Metrics of a trained model on validation and, once, on test."""

from __future__ import annotations

import math

import numpy as np
from scipy.optimize import minimize_scalar

from perflaw.logs.splits import Split
from perflaw.models import ranking, ranking_metrics
from perflaw.models.configuration import Config
from perflaw.models.layers import Weights
from perflaw.models.protocols import HISTORY_PART, SEEN_BY_PART
from perflaw.models.trained_model import TrainedModel, scorer


def evaluate(weights: Weights, config: Config, split: Split) -> tuple[dict, dict]:
    """Return metrics on validation and test, with standard errors over users, and test ranks.

    Scores of a model trained by binary cross-entropy are no log-probabilities: they are divided by
    the temperature that gives the least log-loss on validation.

    Returns
    -------
    metrics : dict
        `temperature`, and metrics by part: `validation`, `test` and, where nothing repeats,
        `test, history removed`.
    ranks : dict of list
        Of the test parts, in the order of the users who have a test target.
    """
    score, n_items = scorer(weights, config), split.log.n_items
    temperature = _best_temperature(score, split) if config.loss == "bce" else 1.0
    seen_by_part = {"validation": ranking.Seen.TRAINING, **SEEN_BY_PART}
    if not ranking.removes_seen(split):
        del seen_by_part[HISTORY_PART]
    top = max(ranking_metrics.CUTOFFS)
    metrics: dict = {"temperature": temperature}
    ranks = {}
    for part, seen in seen_by_part.items():
        targets = split.validation if part == "validation" else split.test
        ranked = ranking.rank_targets(score, split, targets, top, temperature, seen)
        metrics[part] = ranking_metrics.metrics(ranked, n_items) | _standard_errors(ranked)
        if part != "validation":
            ranks[part] = ranked.ranks.tolist()
    return metrics, ranks


def evaluate_least_loss(trained: TrainedModel, split: Split, best: dict) -> dict:
    """Evaluate the weights of the least validation loss, for a record.

    Parameters
    ----------
    trained : TrainedModel
        As `fit_model` gives it.
    best : dict
        The metrics of the weights of the best validation NDCG@10. Where they are of the same epoch,
        they are these too, and no ranks are kept.

    Returns
    -------
    dict
        epoch, metrics and, where they differ, ranks.
    """
    best_epoch = max(trained.curve, key=lambda point: point["NDCG@10"])["epoch"]
    if trained.least_weights is None or trained.least_epoch in (None, best_epoch):
        return {"epoch": trained.least_epoch, "metrics": best}
    metrics, ranks = evaluate(trained.least_weights, trained.config, split)
    return {"epoch": trained.least_epoch, "metrics": metrics, "ranks": ranks}


def _best_temperature(score: ranking.Scorer, split: Split) -> float:
    """Return the temperature of the least log-loss on validation, between exp(−4) and exp(4)."""

    def log_loss(log_temperature: float) -> float:
        temperature = math.exp(log_temperature)
        ranked = ranking.rank_targets(score, split, split.validation, temperature=temperature)
        return ranked.losses.mean()

    least = minimize_scalar(log_loss, bounds=(-4, 4), method="bounded", options={"xatol": 1e-3})
    return math.exp(least.x)


def _standard_errors(ranked: ranking.RankedTargets) -> dict[str, float | None]:
    """Return the standard errors of HR@10, NDCG@10 and log-loss; None if there is one user."""
    by_user: dict[str, np.ndarray] = {
        "HR@10": ranking_metrics.hits(ranked.ranks, ties=ranked.ties),
        "NDCG@10": ranking_metrics.ndcg_gains(ranked.ranks, ties=ranked.ties),
        "log-loss": ranked.losses,
    }
    return {
        f"{name} se": ranking_metrics.standard_error(values) if len(values) > 1 else None
        for name, values in by_user.items()
    }
