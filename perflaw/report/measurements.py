"""Runs in the one form that conclusions are drawn from, of records or of a table of one's own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from perflaw.errors import InputError
from perflaw.laws import table_checks
from perflaw.models.sweeps import results
from perflaw.tables import LINE, check_one_surface, check_whole, hint_at_comma, name_row

RECORD_COLUMNS = ("key", "n_layers", "d_emb", "seed", "tokens", "test_targets")
SIZE_COLUMNS = ("n_layers", "d_emb")
MOST = 1e9  # layers, or dimensions
MOST_TOKENS = 1e15  # or users
LEAST_RATE = 1e-6  # of a metric
ALMOST_ALL = 0.99  # of the most tokens: from there on a run is on all data
EPOCH_COLUMNS = ("epoch", "step")  # of a table that has more than one row a run
RESERVED = ("key", "line", "seed", "test_targets", "tokens", "share", "users", "n_layers", "d_emb")
DATA_COLUMNS = ("tokens", "share")
REMOVED = "removed "  # prefix of metrics by the rule of record where nothing repeats
SECOND_MOMENT = 0.61  # mean square of a user's gain by its mean, of NDCG@10 in 652 recorded runs


def measured_from_records(runs: pd.DataFrame, metrics: Sequence[str]) -> pd.DataFrame:
    """Take the runs of a whole log from a table of records, metrics by the rule of record.

    Parameters
    ----------
    runs
        As `perflaw.models.sweeps` reads records.
    metrics
        Metrics on test. Where nothing repeats, those with all of the history removed are taken.

    Returns
    -------
    pandas.DataFrame
        The same columns. Runs without the first metric did not end.

    Raises
    ------
    InputError
        For a table that has not the columns of records.
    """
    needed = [*RECORD_COLUMNS, *metrics, *(f"{metric} se" for metric in metrics)]
    needed.append(f"validation {metrics[0]}")
    if missing := [name for name in needed if name not in runs]:
        raise InputError(
            f"the runs have no column {missing[0]!r}, which records have; "
            "perflaw.report.forecast_runs takes a table of one's own"
        )
    whole = by_rule_of_record(results.select_whole_log(runs), metrics)
    return whole.sort_values("key", ignore_index=True)


def by_rule_of_record(runs: pd.DataFrame, metrics: Sequence[str]) -> pd.DataFrame:
    """Give the metrics of a table of records with all of the history removed, where they have it.

    Parameters
    ----------
    runs, metrics
        As for `measured_from_records`.

    Returns
    -------
    pandas.DataFrame
        The same rows and columns.
    """
    runs = runs.copy()
    for metric in metrics:
        for name in (metric, f"{metric} se"):
            if REMOVED + name in runs:
                runs[name] = runs[REMOVED + name].fillna(runs[name])
    return runs


def on_all_data(runs: pd.DataFrame) -> pd.DataFrame:
    """Select the runs on the most tokens, or on nearly as many."""
    return runs[runs["tokens"] >= ALMOST_ALL * runs["tokens"].max()]


def measured_from_table(table: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Take runs from a table of one's own.

    Parameters
    ----------
    table
        One row a run: n_layers, d_emb, the metric on test, and `users`, the number of test users,
        or `METRIC se`, the standard error over them. Optional: tokens, or the share of the users
        that was trained on (1: all); seed; `validation METRIC`. An index called "line",
        or else a column of that name, has the lines of a file.
    metric
        Name of its column, a rate between 0 and 1.

    Returns
    -------
    pandas.DataFrame
        The columns that conclusions need; `validation METRIC` where the table has it.

    Raises
    ------
    InputError
        For a column that is missing, and a value that cannot be: with its row or line.
    """
    _check_columns(table, metric)
    runs = table.copy()
    if runs.index.name != LINE:
        runs = runs.set_index(LINE) if LINE in runs else runs.reset_index(drop=True)
    for name in SIZE_COLUMNS:
        _check_numbers(runs, name, lowest=1, highest=MOST)
        check_whole(runs, name, "the runs")
    if set(DATA_COLUMNS).issubset(runs):
        raise InputError("the runs have both tokens and share; keep the one that holds for all")
    data = next((name for name in DATA_COLUMNS if name in runs), None)
    may_differ = [metric, "sample_users", "sample_time"] if data else [metric]
    check_one_surface(runs, "the runs", "keep those of one value", may_differ)
    is_repeated = table.astype(str).duplicated().to_numpy()
    if is_repeated.any():
        row = int(is_repeated.argmax())
        raise InputError(
            f"{name_row(runs, row)} of the runs is the same as an earlier one in every column; "
            "leave it out, or tell repeated runs apart by a column 'seed'"
        )
    _check_numbers(runs, metric, lowest=LEAST_RATE, highest=1 - 1e-9)
    if data == "tokens":
        _check_numbers(runs, data, lowest=1, highest=MOST_TOKENS)
    elif data == "share":
        _check_numbers(runs, data, lowest=0, highest=1, above=True)
    tokens = runs[data].astype(float) if data else pd.Series(1.0, runs.index)
    runs["tokens"] = tokens.mask(tokens >= ALMOST_ALL * tokens.max(), tokens.max())
    _refuse_repeated_cells(runs, [*SIZE_COLUMNS, *([data] if data else [])])
    runs[f"{metric} se"] = _standard_errors(runs, metric)
    columns = [*SIZE_COLUMNS, "seed", "tokens", metric, f"{metric} se", "test_targets", "key"]
    validation = f"validation {metric}"
    if validation in runs:
        _check_numbers(runs, validation, lowest=0, highest=1)
        columns.append(validation)
    runs["test_targets"] = runs.get("users", np.nan)
    runs["seed"] = runs.get("seed", 0)
    runs["key"] = [name_row(runs, place) for place in range(len(runs))]
    return runs[columns].reset_index(drop=True)


def _check_columns(table: pd.DataFrame, metric: str) -> None:
    """Refuse what is no table of runs with this metric."""
    if not isinstance(table, pd.DataFrame):
        raise InputError(f"runs have to be a pandas.DataFrame, not {type(table).__name__}")
    if missing := [name for name in (*SIZE_COLUMNS, metric) if name not in table]:
        raise InputError(
            f"the runs have no column {missing[0]!r}; they have {', '.join(map(str, table))}"
        )
    if table.empty:
        raise InputError("the table of runs has no rows")
    if table.columns.duplicated().any():
        name = table.columns[table.columns.duplicated()][0]
        raise InputError(f"the runs have two columns {name!r}; keep one of them")
    if metric in RESERVED:
        raise InputError(f"{metric!r} is no metric of a report; name its column otherwise")
    if table_checks.is_loss_name(metric):
        raise InputError(
            f"of {metric} less is better, and a report is on a rate of which more is better, such "
            "as NDCG@10; if more is better, rename the column"
        )


def _refuse_repeated_cells(runs: pd.DataFrame, cell: list[str]) -> None:
    """Refuse a second run of a size with the seed of an earlier one, and epochs of one run."""
    if "seed" in runs:
        if not runs["seed"].map(pd.api.types.is_hashable).all():
            raise InputError("the runs have a seed that is no number or text")
        cell = [*cell, "seed"]
    elif not set(EPOCH_COLUMNS).intersection(runs):
        return  # rows of one size are repeated runs
    is_repeated = runs.duplicated(cell).to_numpy()
    if is_repeated.any():
        row = int(is_repeated.argmax())
        values = ", ".join(f"{name} {runs[name].iloc[row]}" for name in cell)
        raise InputError(
            f"{name_row(runs, row)} of the runs repeats an earlier one ({values}); keep one row a "
            "run, of its best epoch say, and tell repeated runs apart in the column 'seed'"
        )


def _standard_errors(runs: pd.DataFrame, metric: str) -> pd.Series:
    """Take the standard errors over users, or derive them from the number of users."""
    name = f"{metric} se"
    if name in runs:
        _check_numbers(runs, name, lowest=0, highest=1, above=True)
        return runs[name]
    if "users" not in runs:
        raise InputError(
            f"the runs have neither a column 'users', the number of test users, nor {name!r}; "
            "without one of them nobody knows how noisy they are"
        )
    _check_numbers(runs, "users", lowest=2, highest=MOST_TOKENS)
    check_whole(runs, "users", "the runs")
    rate = runs[metric]
    is_hit = metric.lower().startswith(("hr", "hit", "recall"))  # of one target a user
    second_moment = rate if is_hit else SECOND_MOMENT * rate
    return np.sqrt(np.maximum(second_moment - rate**2, 0.05 * rate) / runs["users"])


def _check_numbers(
    runs: pd.DataFrame,
    name: str,
    lowest: float,
    highest: float,
    above: bool = False,
) -> None:
    """Make a column numeric, and refuse the first value outside its range, with its row."""
    values = pd.to_numeric(runs[name], errors="coerce").astype(float)
    is_usable = values.between(lowest, highest, inclusive="right" if above else "both").to_numpy()
    if not is_usable.all():
        row = int(is_usable.argmin())
        value = runs[name].iloc[row]
        mend = "leave the row out, or give" if pd.isna(value) else "use"
        least = f"{'above' if above else 'at least'} {lowest:g}"
        raise InputError(
            f"{name_row(runs, row)} of the runs: {name} = {value} is not usable; "
            f"{mend} a number {least} and at most {highest:g}{hint_at_comma(value)}"
        )
    runs[name] = values
