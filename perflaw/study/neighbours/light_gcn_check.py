"""LightGCN beside RecBole's on one split, and beside a published row on another.

RecBole trains by its own code on the same training part; its final embeddings are ranked by the
study's rule. The published row is of a random quarter of each user's interactions.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from perflaw.errors import InputError
from perflaw.logs.interaction_log import InteractionLog
from perflaw.stats import check_level, student_quantile
from perflaw.study.analysis import study_runs
from perflaw.study.files import append_rows
from perflaw.study.intervals import difference_columns
from perflaw.study.neighbours import light_gcn, script_grids
from perflaw.study.neighbours.grid_runs import read_table

OURS, THEIRS = "ours", "RecBole"
# Of Recommenders' notebook on LightGCN, 50 epochs.
PUBLISHED = {"NDCG@10": 0.453004, "precision@10": 0.399258, "recall@10": 0.213203}
_SIZES: script_grids.Allowed = {
    "n_layers": script_grids.USABLE_LAYERS,
    "d_emb": script_grids.USABLE_WIDTHS,
}
_OPTIONS: script_grids.Allowed = {
    **_SIZES,
    "seed": script_grids.USABLE_SEEDS,
    "learning_rate": script_grids.LEAST_RATE,
}
_SETTINGS: script_grids.Allowed = {
    **_SIZES,
    "learning_rate": script_grids.LEAST_RATE,
    "batch_size": script_grids.whole_numbers(1),
    "epochs": script_grids.whole_numbers(1),
    "train_share": 0.0,
}


def read_grid(grid: str | Path = "light-gcn-check") -> tuple[list[str], list[light_gcn.Options]]:
    """Read the logs and runs that both implementations train."""
    values = script_grids.read_grid(grid, "scripts/light_gcn_check.py", ["grid"])
    runs = script_grids.list_runs(values["grid"], _OPTIONS)
    return values["logs"], [light_gcn.Options(**run) for run in runs]


def load_check() -> pd.DataFrame:
    """Load one row an implementation, cell and seed, by the ranking rule of record."""
    return study_runs.apply_ranking_rule(read_table("light_gcn_check"))


def load_published_split() -> pd.DataFrame:
    """Load one row a seed of our LightGCN on the split of the published row."""
    return read_table("light_gcn_published")


def compare_implementations(
    rows: pd.DataFrame, metric: str = "NDCG@10", level: float = 0.9
) -> pd.DataFrame:
    """Estimate how far the two implementations differ, by cell.

    Parameters
    ----------
    rows : pandas.DataFrame
        What `load_check` returns.
    metric : str
    level : float
        Of Student's intervals, the variance between seeds being that of both implementations.

    Returns
    -------
    pandas.DataFrame
        One row a cell: cell, ours and RecBole (means), sd (between seeds), difference (ours less
        RecBole's), low and high.
    """
    table = []
    for (n_layers, d_emb), of_cell in rows.groupby(["n_layers", "d_emb"]):
        ours, theirs = (
            of_cell.loc[of_cell["implementation"] == name, metric] for name in (OURS, THEIRS)
        )
        variance = np.average([ours.var(), theirs.var()], weights=[len(ours) - 1, len(theirs) - 1])
        means = {OURS: ours.mean(), THEIRS: theirs.mean(), "sd": np.sqrt(variance)}
        cell = {"cell": f"N = {n_layers}, d = {d_emb}"}
        table.append(cell | means | difference_columns(ours, theirs, level))
    return pd.DataFrame(table)


def compare_published(rows: pd.DataFrame, level: float = 0.9) -> pd.DataFrame:
    """Lay the published row beside ours on splits of its kind.

    Parameters
    ----------
    rows : pandas.DataFrame
        What `load_published_split` returns.
    level : float
        Of the interval of one further run of ours, on one further split.

    Returns
    -------
    pandas.DataFrame
        One row a metric: metric, published, ours (the mean), low and high.
    """
    check_level(level)
    ours = rows[list(PUBLISHED)]
    mean = ours.mean()
    half = float(student_quantile(level, len(ours) - 1)) * np.sqrt(1 + 1 / len(ours)) * ours.std()
    columns = {
        "published": pd.Series(PUBLISHED),
        OURS: mean,
        "low": mean - half,
        "high": mean + half,
    }
    return pd.DataFrame(columns).rename_axis("metric").reset_index()


def split_each_user(
    log: InteractionLog, train_share: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Split each user's interactions at random.

    Returns
    -------
    train, test : ndarray
        (pairs, 2) users and items; of n interactions round(train_share · n) train.
    """
    random = np.random.default_rng(seed)
    order = np.lexsort([random.random(log.tokens), log.users])  # users stay in their places
    rank = np.arange(log.tokens) - np.repeat(log.offsets[:-1], log.lengths)
    is_train = rank < np.repeat(np.round(train_share * log.lengths), log.lengths)
    pairs = np.stack([log.users, log.items], axis=1).astype(np.int64)[order]
    return pairs[is_train], pairs[~is_train]


def measure_lists(scores: torch.Tensor, test: np.ndarray, k: int = 10) -> Mapping[str, float]:
    """Measure lists of the k best items against several test items a user.

    Parameters
    ----------
    scores : Tensor
        (users, items); −inf for what is not to be listed.
    test : ndarray
        (pairs, 2) users and items; only users who have some count.
    k : int

    Returns
    -------
    dict
        Means over users of NDCG@k, precision@k and recall@k.
    """
    is_test = torch.zeros(scores.shape, dtype=torch.bool)
    is_test[test[:, 0], test[:, 1]] = True
    is_hit = is_test.gather(1, scores.topk(k).indices).double()
    n_test = is_test.sum(1)
    discounts = 1 / torch.log2(torch.arange(2, k + 2, dtype=torch.float64))
    ideal = torch.cumsum(discounts, 0)[n_test.clamp(1, k) - 1]
    values = {
        f"NDCG@{k}": is_hit @ discounts / ideal,
        f"precision@{k}": is_hit.mean(1),
        f"recall@{k}": is_hit.sum(1) / n_test,
    }
    return {name: float(value[n_test > 0].mean()) for name, value in values.items()}


def complete_published(
    table: Path, grid: str | Path, load_splits: script_grids.LoadSplits
) -> Iterator[int]:
    """Train with the options of the published row on splits of its kind, and write each row.

    Yields
    ------
    int
        A seed that the table lacked, of the split and of training.
    """
    values = script_grids.read_grid(grid, "scripts/light_gcn_published.py", ["settings", "grid"])
    settings = script_grids.check_values(values["settings"], _SETTINGS, "settings")
    if not 0 < settings["train_share"] < 1:
        raise InputError("settings: train_share needs a share above 0 and below 1")
    runs = script_grids.list_runs(values["grid"], {"seed": script_grids.USABLE_SEEDS})
    if len(values["logs"]) > 1:
        raise InputError("logs needs one log here, as the table has no column for it")
    rows = script_grids.load_table(table, ["seed"], list(PUBLISHED))
    [split] = load_splits(values["logs"]).values()
    for seed in [run["seed"] for run in runs]:
        if seed not in set(rows["seed"]):
            row = train_published(split.log, seed, settings)
            rows = append_rows(table, rows, [row], ["seed"])
            yield seed


def train_published(log: InteractionLog, seed: int, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Train on a random split; return a row of data/neighbours/light_gcn_published.csv."""
    share = settings["train_share"]
    train, test = split_each_user(log, share, seed)
    if not len(train) or not len(test):
        raise InputError(f"{log.name} is too small: train_share = {share:g} leaves one part empty")
    options = light_gcn.Options(
        settings["n_layers"], settings["d_emb"], seed, settings["learning_rate"]
    )
    sizes = log.n_users, log.n_items
    training = light_gcn.train_epochs(train, sizes, options, settings["batch_size"])
    final = next(itertools.islice(training, settings["epochs"] - 1, None))
    scores = final[: log.n_users] @ final[log.n_users :].T
    scores[train[:, 0], train[:, 1]] = -torch.inf
    return {"seed": seed, **measure_lists(scores, test)}
