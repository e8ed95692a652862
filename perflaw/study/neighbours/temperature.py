"""Lists drawn at a temperature: what coverage costs in accuracy, beside what a smaller model costs.

A list of ten is drawn without replacement, item by item, with probabilities proportional to
exp(score / T). Adding Gumbel noise to score / T and ranking does just that (Kool et al., 2019). So
the study's own ranking, with its rules, measures the drawn lists. T = 0 is the list of the best.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from perflaw.logs.interaction_log import InteractionLog
from perflaw.logs.splits import Split
from perflaw.models import configuration, ranking, ranking_metrics, trained_model
from perflaw.models.sweeps import grids
from perflaw.models.training import loop
from perflaw.study.files import study_file
from perflaw.study.intervals import interval_columns
from perflaw.study.neighbours.augmented_data import GRID
from perflaw.study.neighbours.grid_runs import METRIC

COVERAGE = "coverage@10"
D_EMBS = (8, 16, 32, 64)
SEEDS = (0, 1, 2)
TEMPERATURES = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5)


def add_gumbel_noise(scorer: ranking.Scorer, temperature: float, seed: int) -> ranking.Scorer:
    """Return a scorer whose ranking is drawn at a temperature above 0.

    Every block of users and items has noise of its own, and the same whenever it is asked for.
    """
    import torch

    def score(log: InteractionLog, users: np.ndarray, stops: np.ndarray) -> ranking.BlockScores:
        plain = scorer(log, users, stops)

        def scores(first: int, until: int) -> torch.Tensor:
            block = plain(first, until) / temperature
            rng = np.random.default_rng([seed, int(users[0]), first])
            return block + torch.from_numpy(rng.gumbel(size=tuple(block.shape))).to(block.dtype)

        return scores

    return score


def measure_temperatures(
    split: Split,
    settings: Mapping[str, Any],
    d_embs: Sequence[int] = D_EMBS,
    seeds: Sequence[int] = SEEDS,
    temperatures: Sequence[float] = TEMPERATURES,
) -> pd.DataFrame:
    """Train a model of each width and seed, and measure its lists at each temperature.

    Parameters
    ----------
    split : Split
        The log, of which test targets are ranked by the rule of record.
    settings : mapping
        Of every configuration.

    Returns
    -------
    pandas.DataFrame
        d_emb, seed, temperature, `METRIC` and `COVERAGE`.
    """
    rows = []
    for d_emb in d_embs:
        for seed in seeds:
            config = configuration.make_config(**{**settings, "d_emb": d_emb, "seed": seed})
            fitted = loop.fit_model(config, split, progress=False)
            best = trained_model.scorer(fitted.weights, config)
            for temperature in temperatures:
                drawn = add_gumbel_noise(best, temperature, seed) if temperature else best
                ranked = ranking.rank_targets(
                    drawn, split, split.test, top=10, seen=ranking.Seen.HISTORY
                )
                measured = ranking_metrics.metrics(ranked, split.log.n_items, cutoffs=(10,))
                row = {"d_emb": d_emb, "seed": seed, "temperature": temperature}
                rows.append(row | {name: measured[name] for name in (METRIC, COVERAGE)})
    return pd.DataFrame(rows)


def study_settings() -> dict[str, Any]:
    """Return the settings of the models of data/neighbours/temperature.csv."""
    return grids.read_grid(GRID)["settings"] | {"backbone": "sasrec"}


def load_temperatures() -> pd.DataFrame:
    """Load what `measure_temperatures` found on ML-100K."""
    return pd.read_csv(study_file("data", "neighbours", "temperature.csv"))


def compare_at_equal_accuracy(table: pd.DataFrame, level: float = 0.9) -> pd.DataFrame:
    """Compare the widest model at a temperature with narrower ones at 0, at equal accuracy.

    Parameters
    ----------
    table : pandas.DataFrame
        What `measure_temperatures` returns.
    level : float
        Of Student's intervals, over seeds.

    Returns
    -------
    pandas.DataFrame
        One row a narrower d_emb: temperature at which the widest has its accuracy, interpolated
        between measured ones; coverage of the narrower model, and that of the widest there;
        more, their difference, with low and high; seeds in which the accuracy is reached.
    """
    widest = table["d_emb"].max()
    rows: list[dict[str, Any]] = []
    for d_emb in sorted(set(table["d_emb"]) - {widest}):
        found = []
        for _, of_seed in table.groupby("seed"):
            curve = of_seed[of_seed["d_emb"] == widest].sort_values(METRIC)
            narrow = of_seed[(of_seed["d_emb"] == d_emb) & (of_seed["temperature"] == 0)].iloc[0]
            if curve[METRIC].iloc[0] <= narrow[METRIC] <= curve[METRIC].iloc[-1]:
                at = {
                    name: np.interp(narrow[METRIC], curve[METRIC], curve[name])
                    for name in ("temperature", COVERAGE)
                }
                found.append((at["temperature"], narrow[COVERAGE], at[COVERAGE]))
        pairs = pd.DataFrame(found, columns=["temperature", "narrow", "widest"])
        if len(pairs) > 1:
            row = {"d_emb": d_emb, **pairs.mean(), "seeds": len(pairs)}
            rows.append(row | interval_columns(pairs["widest"] - pairs["narrow"], level, "more"))
    return pd.DataFrame(rows)


def compare_temperatures(table: pd.DataFrame, level: float = 0.9) -> pd.DataFrame:
    """Compare each temperature with the best items, in the mean of the widths, seed by seed.

    Parameters
    ----------
    table : pandas.DataFrame
        What `measure_temperatures` returns.
    level : float
        Of Student's intervals, over seeds.

    Returns
    -------
    pandas.DataFrame
        One row a temperature above 0: loss, how far the metric falls in per cent of it, with
        loss_low and loss_high; more, coverage gained, with low and high.
    """
    means = table.groupby(["temperature", "seed"])[[METRIC, COVERAGE]].mean()
    best = means.loc[0]
    rows: list[dict[str, Any]] = []
    for temperature in means.index.unique("temperature")[1:]:
        drawn = means.loc[temperature]
        losses = 100 * (1 - drawn[METRIC] / best[METRIC])
        rows.append(
            {"temperature": temperature, METRIC: drawn[METRIC].mean()}
            | interval_columns(losses, level, "loss", "loss_")
            | {COVERAGE: drawn[COVERAGE].mean()}
            | interval_columns(drawn[COVERAGE] - best[COVERAGE], level, "more")
        )
    return pd.DataFrame(rows)
