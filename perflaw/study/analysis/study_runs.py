"""The study's own runs, and their surfaces: means over seeds on one log over N and d.

A surface is what one log, backbone, split and loss give over numbers of layers and dimensions.
Its name says its log, and what of backbone, split and loss is not the usual.

Metrics on test follow the ranking rule of record: on a log without repeats all of the user's
history is removed, the validation item included. `load_study_runs` is the one door where the rule
is chosen; `Seen.TRAINING` asks for the older rule, under which the validation item stays in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from perflaw.errors import InputError
from perflaw.laws import families, validation
from perflaw.logs.splits import Split
from perflaw.models import configuration, ranking, ranking_metrics
from perflaw.models.ranking import Seen
from perflaw.models.sweeps import grids, results
from perflaw.study.files import study_file
from perflaw.study.intervals import mean_over_logs

SURFACE = ["log", "backbone", "split", "loss", "max_seq_len"]
USUAL_KIND = {"backbone": "sasrec", "split": "leave one out"}
"""Most runs of the study; this split leaves out each user's last interactions."""
# Of these a surface's name says nothing.
DEFAULT_KIND = (*USUAL_KIND.values(), "sampled_softmax")
HIDDEN_CELLS = (validation.LEAVE_ONE_OUT, validation.LARGEST_N, validation.LARGEST_D)
"""Which cells of a surface are hidden from a fit: each in turn, or those of the largest N or d."""
SURFACE_GRIDS = ("survey", "laptop")
BASE_SEEDS = 3  # of each cell of the grids `base` and `base-large`
HISTORY_REMOVED = "removed "  # prefix of metrics under the rule of record where nothing repeats


def load_study_runs(seen: str = Seen.HISTORY, growing: bool = False) -> pd.DataFrame:
    """Load all runs of data/sweeps on real logs and all of their users, each once.

    Parameters
    ----------
    seen
        The ranking rule of the metrics on test, see `apply_ranking_rule`.
    growing
        Whether runs of sweeps that are still under way (data/sweeps/growing) are loaded too.
    """
    whole = results.select_whole_log(read_real_runs(growing))
    return apply_ranking_rule(whole.reset_index(drop=True), seen)


def read_real_runs(growing: bool = False) -> pd.DataFrame:
    """Read the runs of data/sweeps on real logs, those on samples of users included, each once.

    Parameters
    ----------
    growing
        As for `load_study_runs`.

    Returns
    -------
    DataFrame
        As `apply_ranking_rule` takes them.
    """
    folder = results.sweeps_folder()
    folders = [folder, folder / "growing"] if growing else [folder]
    paths = [path for place in folders for path in sorted(place.glob("*.csv"))]
    runs = pd.concat([results.read_runs_table(path) for path in paths], ignore_index=True)
    real = runs[~runs["log"].str.startswith("synthetic")]
    return real.drop_duplicates("key", ignore_index=True)


def apply_ranking_rule(runs: pd.DataFrame, seen: str = Seen.HISTORY) -> pd.DataFrame:
    """Give the metrics on test the values of one ranking rule.

    Parameters
    ----------
    runs
        As `results.read_runs_table` returns them, with `NDCG@10`, `removed NDCG@10`, ….
    seen
        What is removed from the ranking where nothing repeats: `Seen.HISTORY`, the rule of
        record, all of the user's history; `Seen.TRAINING`, the older rule, items of the training
        part only. Where items repeat nothing is removed under either.

    Returns
    -------
    DataFrame
        The same runs without the columns `removed …`: those without the prefix hold the values of
        the rule.

    Raises
    ------
    InputError
        For another rule, and for runs without repeats that lack the values of the rule of record.
    """
    if seen not in list(Seen):
        raise InputError(f"seen = {seen!r} is not usable; use 'training' or 'history'")
    removed = {
        column: column.replace(HISTORY_REMOVED, "", 1)
        for column in map(str, runs)
        if column.startswith((HISTORY_REMOVED, results.LEAST + HISTORY_REMOVED))
    }
    if seen == Seen.TRAINING:
        return runs.drop(columns=list(removed))
    metric = HISTORY_REMOVED + "NDCG@10"
    known = runs[metric].notna() if metric in runs else pd.Series(False, runs.index)
    lacking = ~runs["repeats"].astype(bool) & runs["NDCG@10"].notna() & ~known
    if lacking.any():
        raise InputError(
            f"{lacking.sum()} runs on {runs.loc[lacking, 'log'].iloc[0]} have no {metric!r}; "
            "consolidate their records again, or ask for the rule 'training'"
        )
    values = {name: runs[column].fillna(runs[name]) for column, name in removed.items()}
    return runs.drop(columns=list(removed)).assign(**values)


def load_survey_runs(seen: str = Seen.HISTORY) -> pd.DataFrame:
    """Load the study's runs with the settings of the grid `survey`.

    Backbone, size, split and training data may be any; the ranking rule is as for
    `load_study_runs`. Sweeps that are under way add seeds to cells, and no cells.
    """
    return _load_with_seeds("survey", seen)


def load_surface_runs(sweep: str = "", seen: str = Seen.HISTORY) -> pd.DataFrame:
    """Load the runs of the pages on the study's surfaces, or those of one sweep.

    Parameters
    ----------
    sweep
        A CSV file of runs, or the name of one in data/sweeps; empty: runs with the settings of the
        grids `survey` and `laptop`.
    seen
        The ranking rule, see `apply_ranking_rule`.
    """
    if sweep:
        return apply_ranking_rule(results.read_runs_table(sweep), seen)
    parts = [_load_with_seeds(grid, seen) for grid in SURFACE_GRIDS]
    return pd.concat(parts).drop_duplicates("key", ignore_index=True)


def _load_with_seeds(grid: str, seen: str) -> pd.DataFrame:
    """Load runs with a grid's settings; sweeps under way add seeds to cells, and no cells."""
    settings = grids.read_grid(grid)["settings"]
    cells = results.filter_runs(load_study_runs(seen), settings)[[*SURFACE, *families.AXES]]
    runs = results.filter_runs(load_study_runs(seen, growing=True), settings)
    return runs.merge(cells.drop_duplicates())


def load_count_baselines(metric: str = "NDCG@10") -> pd.DataFrame:
    """Load what count-based baselines reach on users' last interactions, by the rule of record.

    Returns
    -------
    DataFrame
        Index log; a column for each baseline.
    """
    rows = pd.read_csv(study_file("data", "floors.csv"))
    value = rows[HISTORY_REMOVED + metric].fillna(rows[metric])
    return rows.assign(value=value).pivot(index="log", columns="recommender", values="value")


def load_base_runs(settings: Mapping[str, Any], log: str) -> pd.DataFrame:
    """Load a log's runs of the usual kind with some settings, growing sweeps included.

    Parameters
    ----------
    settings
        Of a grid, such as `base`.
    log
        Name of the log. Of each cell the first BASE_SEEDS seeds are loaded.
    """
    runs = load_study_runs(growing=True)
    wanted = {**settings, **USUAL_KIND, "log": log}
    return select_full_data_runs(runs[runs["seed"] < BASE_SEEDS], **wanted)


def measure_on_test(scorer: ranking.Scorer, split: Split) -> dict[str, float]:
    """Measure HR@10 and NDCG@10 on test, by both rules of ranking where they differ.

    Names that begin with `HISTORY_REMOVED` are of the rule of record where nothing repeats.
    """
    rules = {"": Seen.TRAINING}
    if ranking.removes_seen(split):
        rules[HISTORY_REMOVED] = Seen.HISTORY
    row: dict[str, float] = {}
    for prefix, seen in rules.items():
        ranked = ranking.rank_targets(scorer, split, split.test, seen=seen)
        row[f"{prefix}HR@10"] = ranking_metrics.hit_rate(ranked.ranks, ties=ranked.ties)
        row[f"{prefix}NDCG@10"] = ranking_metrics.ndcg(ranked.ranks, ties=ranked.ties)
    return row


def measure_on_validation(scorer: ranking.Scorer, split: Split) -> float:
    """Measure NDCG@10 on validation."""
    ranked = ranking.rank_targets(scorer, split, split.validation)
    return ranking_metrics.ndcg(ranked.ranks, ties=ranked.ties)


def measure_trained(scorer: ranking.Scorer, split: Split, curve: Sequence[float]) -> dict[str, Any]:
    """Measure a model on test, beside how it was trained.

    Parameters
    ----------
    scorer, split
        As for `measure_on_test`.
    curve
        NDCG@10 on validation by epoch; the model is that of the best.

    Returns
    -------
    dict
        best_epoch, done_epochs, repeats (whether the log has them), validation NDCG@10, and what
        `measure_on_test` returns.
    """
    return {
        "best_epoch": 1 + int(np.argmax(curve)),
        "done_epochs": len(curve),
        "repeats": not ranking.removes_seen(split),
        "validation NDCG@10": max(curve),
    } | measure_on_test(scorer, split)


def select_full_data_runs(runs: pd.DataFrame, **settings: Any) -> pd.DataFrame:
    """Select runs on unchanged training parts.

    Parameters
    ----------
    runs
        Runs, as `load_study_runs` returns them.
    **settings
        Values that columns must have; layers are not shared unless `shared_layers` says so.
    """
    wanted = {"shared_layers": False} | settings
    unchanged = runs[results.is_unperturbed(runs)]
    return results.filter_runs(unchanged, wanted).reset_index(drop=True)


def has_settings(runs: pd.DataFrame, settings: Mapping[str, Any]) -> pd.Series:
    """Say which runs have the given values, those on samples of users included."""
    return (runs[list(settings)] == pd.Series(settings)).all(axis=1)


def mean_surfaces(
    runs: pd.DataFrame, metrics: Sequence[str] = ("HR@10", "NDCG@10")
) -> pd.DataFrame:
    """Average runs on unchanged training parts over seeds.

    Parameters
    ----------
    runs
        Runs, as `load_study_runs` returns them.
    metrics
        Metrics to average.

    Returns
    -------
    DataFrame
        One row a cell and metric. Columns dataset (the surface's name), those of SURFACE,
        n_layers, d_emb, metric, value, sd (between seeds), seeds, validation (the metric there;
        nan where the runs do not have it) and parameters.

    Raises
    ------
    InputError
        If runs of a surface differ in another setting.
    """
    full = select_full_data_runs(runs)
    _check_one_setting(full)
    table = pd.concat([_mean_cells(full, metric) for metric in metrics], ignore_index=True)
    table = table.assign(dataset=surface_names(table))
    return table.sort_values(["dataset", "metric", *families.AXES], ignore_index=True)


def _check_one_setting(runs: pd.DataFrame) -> None:
    free = (*SURFACE, *families.AXES, "seed")
    settings = [name for name in configuration.Config.__dataclass_fields__ if name in runs]
    for surface, rows in runs.groupby(SURFACE):
        several = [name for name in settings if name not in free and len(rows[name].unique()) > 1]
        if several:
            raise InputError(
                f"runs on {surface[0]} differ in {', '.join(several)}; "
                "choose those of one setting with results.filter_runs"
            )


def _mean_cells(runs: pd.DataFrame, metric: str) -> pd.DataFrame:
    groups = runs[runs[metric].notna()].groupby([*SURFACE, *families.AXES], sort=False)
    means = groups.agg(
        value=(metric, "mean"),
        sd=(metric, "std"),
        seeds=(metric, "size"),
        parameters=("parameters", "first"),
    )
    column = f"validation {metric}"
    validated = groups[column].mean().to_numpy() if column in runs else np.nan
    return means.reset_index().assign(metric=metric, validation=validated)


def surface_names(rows: pd.DataFrame) -> pd.Series:
    """Name the surface of each row: its log, and what of its kind is not the usual."""
    names = [
        ", ".join([log, *(value for value in kind if value not in DEFAULT_KIND)])
        for log, *kind in rows[SURFACE[:4]].itertuples(index=False)
    ]
    return pd.Series(names, index=rows.index, name="dataset", dtype=object)


def average_comparison(comparison: pd.DataFrame) -> pd.DataFrame:
    """Average a comparison of laws over the surfaces of a log, then over logs.

    A surface of which too few cells are visible for a sum of power laws takes no part in the mean
    of those hidden cells. A law that then still lacks an entry has no mean.

    Parameters
    ----------
    comparison
        As `validation.compare_laws` returns it, with the column log.

    Returns
    -------
    DataFrame
        parameters, r2 and the errors on each of HIDDEN_CELLS, by law.
    """
    means = mean_over_logs(comparison, ["parameters", "r2"], ["law"])
    means["r2"] = means["r2"].round(9) + 0.0  # a mean has no -0.000
    reference = comparison[comparison["law"] == "sum of powers"].set_index("dataset")
    for split in HIDDEN_CELLS:
        rows = comparison[comparison["dataset"].map(reference[split].notna())]
        means[split] = mean_over_logs(rows, [split], ["law"])[split]
        lacking = rows.loc[rows[split].isna(), "law"].unique()
        means.loc[means.index.isin(lacking), split] = np.nan
    return means
