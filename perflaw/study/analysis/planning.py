"""Planning on known surfaces: turning points, and what following a plan would have cost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd

from perflaw.laws.design import choose_by_law
from perflaw.laws.families import AXES, log_quadratic, performance
from perflaw.laws.fitting import Fit, fit
from perflaw.laws.mixed import MixedFit, fit_mixed
from perflaw.laws.turning import turning_point
from perflaw.laws.validation import LARGER_N, LARGEST_D, hidden_cells
from perflaw.model_size import layer_parameters
from perflaw.study.paper.published import surface_label


def turning_points(fits: Mapping[tuple, Fit], level: float = 0.9) -> pd.DataFrame:
    """Find the turning point of every fit along every axis, one row each.

    Parameters
    ----------
    fits : mapping of tuple to Fit
        By (dataset, max_seq_len, metric), as `perflaw.laws.fitting.fit_surfaces` returns them.
    level : float
        Confidence level of the intervals.

    Returns
    -------
    pandas.DataFrame
        Columns surface, axis, kind, estimate, low, high, open, and the smallest and largest
        measured value of the axis.
    """
    rows = []
    for key, fitted in fits.items():
        for axis in fitted.law.axes:
            turn = turning_point(fitted, axis, level)
            measured = fitted.points[axis]
            row = {"surface": surface_label(key), "axis": axis, **asdict(turn)}
            row |= {
                "kind": str(turn.kind),
                "open": turn.open,
                "smallest": measured.min(),
                "largest": measured.max(),
            }
            rows.append(row)
    return pd.DataFrame(rows)


def replay_plans(
    table: pd.DataFrame,
    budgets: Sequence[float] = (1.0, 0.5),
    confidence: float = 0.9,
    n_draws: int = 4000,
    seed: int = 0,
) -> pd.DataFrame:
    """Plan on known surfaces as if their largest N or d had not been trained.

    For each log in turn its cells beyond half of the largest N, or at the largest d, are
    hidden, in all its surfaces and metrics. Each rule then chooses among all cells of a
    surface, hidden or not, within a share of the largest parameter count.

    Parameters
    ----------
    table : pandas.DataFrame
        As `perflaw.laws.fit_mixed` takes it.
    budgets : sequence of float
        Shares of the largest parameter count.
    confidence : float
        At which the guarded plan leaves the best trained model.
    n_draws, seed : int
        Of the draws from the joint law.

    Returns
    -------
    pandas.DataFrame
        One row a split, surface, metric, budget and rule: the chosen n_layers and d_emb, its
        measured value, the best measured value within the budget, "ln regret" (difference of their
        logarithms) and noises (that over the standard deviation of one run's logarithm). Rules:
        the guarded plan, the best by the joint law's prediction, the best trained model, the best
        by the Performance Law and by a log-quadratic of the surface alone, and the largest model.
    """
    whole = fit_mixed(table)
    rows: list[dict[str, Any]] = []
    for dataset, cells in whole.data.frame.groupby("dataset"):
        splits = hidden_cells(cells)
        for split in (LARGER_N, LARGEST_D):
            is_hidden = splits[split][0]
            law = fit_mixed(table, hide=cells[is_hidden])
            for metric in whole.data.metrics:
                labels = {"split": split, "dataset": dataset, "metric": metric}
                draws = law.draws(cells, metric, n_draws, seed)
                predicted = law.posterior(cells, metric)[0]
                replayed = _replay_metric(
                    whole, cells, metric, is_hidden, predicted, draws, budgets, confidence
                )
                rows += [labels | row for row in replayed]
    columns = ["split", "dataset", "max_seq_len", "metric", "budget", "rule", *AXES]
    return pd.DataFrame(rows)[[*columns, "value", "best", "ln regret", "noises"]]


def _replay_metric(
    whole: MixedFit,
    cells: pd.DataFrame,
    metric: str,
    is_hidden: np.ndarray,
    predicted: np.ndarray,
    draws: np.ndarray,
    budgets: Sequence[float],
    confidence: float,
) -> Iterator[dict[str, Any]]:
    """Replay the choices on every surface of one log, for one metric."""
    noise_sd = np.sqrt(whole.posterior(cells, metric)[2])
    truth = np.exp(whole.data.log[cells.index, whole.data.metrics.index(metric)])
    measured = np.where(is_hidden, np.nan, truth)
    for length, surface in cells.reset_index(drop=True).groupby("max_seq_len"):
        visible = surface[~is_hidden[surface.index]]
        alone = {
            f"{name} alone": fit(law, visible, truth[visible.index]).predict(surface)
            for name, law in (
                ("Performance Law", performance()),
                ("log-quadratic", log_quadratic()),
            )
        }
        cost = layer_parameters(surface["n_layers"], surface["d_emb"])
        for budget in budgets:
            is_allowed = cost <= budget * cost.max() * (1 + 1e-9)
            allowed = surface.index[is_allowed]
            plan = choose_by_law(draws[:, allowed], measured[allowed], confidence)
            choices = {
                "guarded plan": plan.choice,
                "joint law's best": int(predicted[allowed].argmax()),
                "keep the best trained model": plan.best_seen,
                **{rule: int(values[is_allowed].argmax()) for rule, values in alone.items()},
                "largest model": int(cost[is_allowed].argmax()),
            }
            best = truth[allowed].max()
            for rule, choice in choices.items():
                chosen = allowed[choice]
                value = truth[chosen]
                log_regret = np.log(best / value)
                yield {
                    "max_seq_len": length,
                    "budget": budget,
                    "rule": rule,
                    **surface.loc[chosen, list(AXES)].to_dict(),
                    "value": value,
                    "best": best,
                    "ln regret": log_regret,
                    "noises": log_regret / noise_sd[chosen],
                }
