"""Predictions that were written down before the models: loaded, scored, and made anew.

Those of data/predictions.csv were written under the older ranking rule and are judged under it.
Whatever judges them under the rule of record is post hoc. Those of data/predictions-base.csv were
written under the rule of record.
"""

from __future__ import annotations

import pandas as pd

from perflaw.errors import InputError
from perflaw.laws import families
from perflaw.models.ranking import Seen
from perflaw.models.sweeps import grids
from perflaw.study import trained_cells
from perflaw.study.analysis import extrapolation, seed_noise, study_runs
from perflaw.study.analysis.extrapolation import CELL, is_small
from perflaw.study.files import study_file

WRITTEN_RULE = Seen.TRAINING  # of data/predictions.csv


def load_recorded() -> pd.DataFrame:
    """Load the predictions of `survey`'s larger models, as they were written."""
    return pd.read_csv(study_file("data", "predictions.csv"))


def load_predicted_surfaces(seen: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Load the surfaces that predictions were written of.

    Parameters
    ----------
    seen
        The ranking rule, as for `study_runs.load_study_runs`.

    Returns
    -------
    runs, table
        Their runs, and their means over seeds.
    """
    runs = study_runs.load_survey_runs(seen)
    table = study_runs.mean_surfaces(runs)
    is_predicted = table["dataset"].isin(load_recorded()["dataset"])
    return runs, table[is_predicted].reset_index(drop=True)


def score_recorded(metric: str = "NDCG@10", seen: str = WRITTEN_RULE) -> pd.DataFrame:
    """Score what was written, with the baselines that were not: nearest and best trained cell.

    Parameters
    ----------
    metric
        HR@10 or NDCG@10.
    seen
        The ranking rule of the observations.

    Returns
    -------
    DataFrame
        As `extrapolation.score_predictions` returns them. The two baselines are made from the
        small cells as they are now, some with seeds that came after the predictions.
    """
    recorded = load_recorded()
    recorded = recorded[recorded["metric"] == metric]
    _, table = load_predicted_surfaces(seen)
    small = table[is_small(table) & (table["metric"] == metric)]
    baselines = extrapolation.baseline_predictions(small, recorded)
    baselines = baselines[baselines["law"] != trained_cells.CONSTANT].merge(
        recorded[CELL].drop_duplicates()
    )
    noise = seed_noise.seed_sd_by_surface(table, metric)
    both = pd.concat([recorded, baselines], ignore_index=True)
    return extrapolation.score_predictions(both, table, noise)


def refit(metric: str = "NDCG@10", level: float = 0.9) -> pd.DataFrame:
    """Predict the same cells anew from the small cells under the rule of record, and score that.

    Parameters
    ----------
    metric
        HR@10 or NDCG@10.
    level
        Level of the intervals.

    Returns
    -------
    DataFrame
        As `extrapolation.score_predictions` returns them.
    """
    wanted = load_recorded()[[*CELL, "metric"]].drop_duplicates()
    _, table = load_predicted_surfaces(Seen.HISTORY)
    small = table[is_small(table)].reset_index(drop=True)
    laws = extrapolation.extrapolate(small, wanted.drop_duplicates(list(families.AXES)), level)
    baselines = extrapolation.baseline_predictions(small, wanted)
    others = baselines[baselines["law"] != trained_cells.CONSTANT]
    predictions = pd.concat([laws, others], ignore_index=True).merge(wanted)
    of_metric = predictions[predictions["metric"] == metric]
    return extrapolation.score_predictions(of_metric, table)


def check_written_first(runs: pd.DataFrame) -> pd.Series:
    """Check that each prediction was written before the first larger model was started.

    Parameters
    ----------
    runs
        Runs of the surfaces.

    Returns
    -------
    Series
        By surface, the time between the two.

    Raises
    ------
    InputError
        If a larger model was started before.
    """
    recorded = load_recorded()
    started = extrapolation.first_large_start(runs)
    recorded = recorded[recorded["dataset"].isin(started.index)]
    written = pd.to_datetime(recorded.groupby("dataset")["written"].max())
    ahead = (started[written.index] - written).rename("ahead")
    if (ahead <= pd.Timedelta(0)).any():
        raise InputError(
            f"predictions of {ahead.idxmin()} were written after a model that they are about was "
            "started; they are none"
        )
    return ahead


def coverage_by_log(scored: pd.DataFrame, level: float = 0.9) -> pd.DataFrame:
    """Count by law and log how many cells lie inside their intervals.

    Parameters
    ----------
    scored
        As `score_recorded` returns it.
    level
        Level of the binomial intervals.

    Returns
    -------
    DataFrame
        Columns law, a column for each log ("inside of cells"), all, low and high (the binomial
        interval of the share over all cells, per cent).
    """
    with_interval = scored[scored["covered"].notna()]
    rows = []
    for law, cells in with_interval.groupby("law", sort=False):
        row: dict[str, object] = {"law": law}
        for log, of_log in [*cells.groupby("log"), ("all", cells)]:
            coverage = extrapolation.coverage_interval(of_log["covered"], level)
            row[str(log)] = coverage.in_words
        rows.append(row | {"low": coverage.low, "high": coverage.high})  # of all, which is last
    return pd.DataFrame(rows)


def score_base(metric: str = "NDCG@10") -> pd.DataFrame:
    """Score data/predictions-base.csv on the runs of the grid `base-large` that there are.

    Parameters
    ----------
    metric
        HR@10 or NDCG@10.

    Returns
    -------
    DataFrame
        Columns of the file with value, sd and seeds (nan, nan and 0 where no run is there yet),
        error, ape and covered.
    """
    recorded = pd.read_csv(study_file("data", "predictions-base.csv"))
    plain = recorded["metric"].str.removeprefix(study_runs.HISTORY_REMOVED)
    recorded = recorded.assign(metric=plain, dataset=recorded["log"])
    recorded = recorded[recorded["metric"] == metric]
    settings = grids.read_grid("base")["settings"]
    runs = [study_runs.load_base_runs(settings, log) for log in recorded["log"].unique()]
    table = study_runs.mean_surfaces(pd.concat(runs))
    scored = extrapolation.score_predictions(recorded, table)
    missing = recorded.merge(scored[[*CELL, "law"]], how="left", indicator=True)
    missing = missing[missing["_merge"] == "left_only"].drop(columns="_merge")
    return pd.concat([scored, missing.assign(seeds=0)], ignore_index=True)


def summarise_base(scored: pd.DataFrame) -> pd.DataFrame:
    """Summarise the scored predictions of `base-large` by log and law.

    Parameters
    ----------
    scored
        As `score_base` returns it.

    Returns
    -------
    DataFrame
        Columns log, law, cells (with a run, and of which none was known before), error (mean, per
        cent), d = 128 and N = 12 (the same of these cells), known before (error on the cells of
        which a run was), inside (cells in their interval), low and high (the binomial interval
        of the share of cells inside, per cent).
    """
    by_log = {log: _summarise_log(rows) for log, rows in scored.groupby("log", sort=False)}
    return pd.concat(by_log, names=["log", "law"]).reset_index()


def _summarise_log(scored: pd.DataFrame) -> pd.DataFrame:
    """Summarise the scored predictions of one log; index law."""
    is_known = scored["known before"].astype(bool)
    strict = scored[~is_known & (scored["seeds"] > 0)]
    summary = pd.DataFrame(index=pd.Index(scored["law"].unique(), name="law"))
    summary["cells"] = strict.groupby("law").size().reindex(summary.index, fill_value=0)
    summary["error"] = strict.groupby("law")["ape"].mean()
    for name, is_part in (
        ("d = 128", strict["d_emb"] == 128),
        ("N = 12", strict["n_layers"] == 12),
    ):
        summary[name] = strict[is_part].groupby("law")["ape"].mean()
    summary["known before"] = scored[is_known].groupby("law")["ape"].mean()
    coverages = [
        extrapolation.coverage_interval(strict.loc[strict["law"] == law, "covered"])
        for law in summary.index
    ]
    summary["inside"] = [coverage.in_words if coverage.cells else "" for coverage in coverages]
    summary["low"] = [coverage.low for coverage in coverages]
    summary["high"] = [coverage.high for coverage in coverages]
    return summary


def choose_on_other_logs(summary: pd.DataFrame) -> pd.DataFrame:
    """Choose on the other logs the law that errs least, and see how it does on each.

    Parameters
    ----------
    summary
        As `summarise_base` returns it.

    Returns
    -------
    DataFrame
        One row a log: log, law (chosen by the mean of its errors on the other logs), error, and
        nearest, the error of the nearest trained cell.
    """
    errors = summary.pivot(index="law", columns="log", values="error")
    laws = errors.drop(index=list(trained_cells.BASELINES), errors="ignore")
    rows = []
    for log in map(str, errors.columns):
        law = str(laws.drop(columns=log).mean(axis=1).idxmin())
        rows.append(
            {
                "log": log,
                "law": law,
                "error": errors.loc[law, log],
                "nearest": errors.loc[trained_cells.NEAREST, log],
            }
        )
    return pd.DataFrame(rows)
