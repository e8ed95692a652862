"""The three findings of the front page: one table of labelled means with intervals a question."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import pandas as pd

from perflaw.models.ranking import Seen
from perflaw.study import trained_cells
from perflaw.study.analysis import (
    data_conditions,
    data_measures,
    data_measures_by_log,
    extrapolation,
    recorded_predictions,
    seed_noise,
    selection,
    study_runs,
)
from perflaw.study.intervals import interval_over_logs

LABELS = {
    "constant": "constant (mean of small models)",
    "sum of powers": "sum of power laws",
    "Performance Law, k = 2": "Performance Law",
    "best seen": "keep the best trained model",
    "largest model": "largest within the budget",
}
MEASURES = {
    data_measures.TOKENS: "tokens",
    data_measures.PAPER: "tokens / ApEn",
    data_measures.OURS: "tokens / conditional entropy",
    "probe: Markov's NDCG@10": "score of a Markov chain",
}
OF_PAPER = {"Performance Law", "tokens / ApEn"}
SIMPLE = {
    LABELS["constant"],
    trained_cells.NEAREST,
    trained_cells.BEST,
    "tokens",
    LABELS["best seen"],
    LABELS["largest model"],
}
NOT_SHOWN = "power of parameters"
GOAL = 80.0  # per cent of choices
Panel = tuple[pd.DataFrame, float, tuple[str, str, str]]
"""Rows of a finding; where the dashed line is; axis label, the better side, name of the line."""


class Finding(NamedTuple):
    """Rows (label, mean, low, high), the dashed line, and how many units were judged."""

    rows: pd.DataFrame
    line: float
    n: int


def errors_of_larger_models(metric: str, level: float) -> Finding:
    """Average the errors of the recorded predictions over logs, with their intervals."""
    scored = recorded_predictions.score_recorded(metric)
    means = interval_over_logs(scored, "law", "ape", level)
    means["low"] = means["low"].clip(lower=0)
    by_surface = scored.groupby(["log", "dataset"])["unit"].mean()
    noise = seed_noise.MEAN_ABSOLUTE_NORMAL * by_surface.groupby(level="log").mean().mean()
    n_cells = len(scored.drop_duplicates(extrapolation.CELL))
    return Finding(_label(means.rename(columns={"law": "label"})), noise, n_cells)


def worth_of_data(metric: str, level: float, draws: int) -> Finding:
    """Score measures of data on each log, learnt from the others, with intervals over logs.

    Logs count equally. The intervals are those of the difference from tokens, so that tokens have
    none; they end at the noise ceiling.
    """
    runs = data_measures.perturbation_runs(data_conditions.load_perturbed_runs())
    table = study_runs.mean_surfaces(study_runs.load_survey_runs(), (metric,))
    noise = seed_noise.seed_sd_by_surface(table, metric)
    conditions = data_measures.paired_conditions(runs, metric, noise)
    scores = data_measures_by_log.scores_by_log(conditions, list(MEASURES), draws=draws)
    equal = data_measures_by_log.weigh_logs_equally(scores, level)
    shares = equal[equal["split"] == "log"].set_index("candidate").loc[list(MEASURES)]
    start = shares["share"] - shares["edge"]
    ceiling = 100 * data_conditions.count_conditions(runs, conditions)["ceiling"].mean()
    rows = pd.DataFrame(
        {
            "label": list(MEASURES.values()),
            "mean": 100 * shares["share"].to_numpy(),
            "low": 100 * (start + shares["low"]).to_numpy(),
            "high": (100 * (start + shares["high"])).clip(upper=ceiling).to_numpy(),
        }
    )
    return Finding(rows, ceiling, len(conditions))


def rate_choices(metric: str) -> pd.DataFrame:
    """Rate each rule's choices: column good, 100 where one is as good as the best, else 0."""
    runs, table = recorded_predictions.load_predicted_surfaces(Seen.HISTORY)
    is_large = table.groupby("dataset")["d_emb"].transform("max") > extrapolation.SMALL_GRID[1]
    choices = selection.selection_regret(
        table[is_large],
        metric,
        seed_noise.seed_sd_by_surface(table, metric),
        seed_noise.user_standard_error(runs, metric),
    )
    return choices.assign(good=100.0 * (choices["noises"] <= 1))


def quality_of_choices(rated: pd.DataFrame, level: float) -> Finding:
    """Say how often each rule's choice is as good as the best, with intervals over logs."""
    means = interval_over_logs(rated, "rule", "good", level)
    means[["low", "high"]] = means[["low", "high"]].clip(0, 100)
    n_choices = len(rated) // rated["rule"].nunique()
    return Finding(_label(means.rename(columns={"rule": "label"})), GOAL, n_choices)


def make_panels(larger: Finding, data: Finding, chosen: Finding) -> dict[str, Panel]:
    """Lay the three findings out for `figures.plot_answer`, by question."""
    return {
        "What will a larger model reach?": (
            larger.rows,
            larger.line,
            ("error of the prediction, %", "left", "seed noise"),
        ),
        "What are the data worth?": (
            data.rows,
            data.line,
            ("share of the change predicted, %", "right", "most that noise leaves"),
        ),
        "Which model to train next?": (
            chosen.rows,
            chosen.line,
            ("choices as good as the best, %", "right", "goal"),
        ),
    }


def describe_panels(panels: Mapping[str, Panel]) -> dict[str, dict[str, float]]:
    """Return the means of each panel by label, to a tenth."""
    return {
        question: {
            str(label): round(float(mean), 1)
            for label, mean in zip(rows["label"], rows["mean"], strict=True)
        }
        for question, (rows, *_) in panels.items()
    }


def _label(means: pd.DataFrame) -> pd.DataFrame:
    rows = means[means["label"] != NOT_SHOWN].replace({"label": LABELS})
    return rows[["label", "mean", "low", "high"]].reset_index(drop=True)
