"""The table of a sweep: one row a run, read from records or from a consolidated CSV file."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from perflaw.errors import InputError
from perflaw.io import atomic_path, suggest
from perflaw.logs.perturbations import PERTURBATIONS
from perflaw.models.configuration import LATER_SETTINGS, Config
from perflaw.models.protocols import HISTORY_PART
from perflaw.models.sweeps.grids import LATER, NEUTRAL_STRENGTHS, RUN_DEFAULTS, check_names
from perflaw.models.training import run_records
from perflaw.paths import study_folder

LEAST = "least-loss "  # prefix of the columns of the weights of the least validation loss
CELL = ["log", "n_layers", "d_emb"]  # columns
REQUIRED = ("key", "log", "status", "n_layers", "d_emb")  # columns of every table of runs
SIZES = ("tokens", "users", "items", "positions", "repeats", "attention_length")
ENVIRONMENT = ("device", "threads", "python", "torch", "numpy", "commit")


def sweeps_folder() -> Path:
    """Return the folder of the study's consolidated sweeps.

    Raises
    ------
    InputError
        Outside of a clone of the study.
    """
    return study_folder() / "data" / "sweeps"


def load_runs(folder: str | os.PathLike) -> pd.DataFrame:
    """Read the records of a folder as a table.

    Parameters
    ----------
    folder : path
        Files that are no records of this schema are left out, with a warning that names them.

    Returns
    -------
    DataFrame
        One row a run, in the order of their keys, with the columns of `record_row`.

    Raises
    ------
    InputError
        If the folder has no records.

    Examples
    --------
    >>> from perflaw.logs import synthetic
    >>> from perflaw.models import make_config, train
    >>> folder = getfixture("tmp_path")
    >>> log = synthetic.Process(n_items=40, n_interests=4).sample(30, 8).log
    >>> config = make_config(n_layers=1, d_emb=8, epochs=1, max_seq_len=8)
    >>> _ = train(config, log, folder, progress=False)
    >>> load_runs(folder)["status"].tolist()
    ['epochs used up']
    """
    paths = sorted(Path(folder).glob("*.json"))
    rows, refused = [], []
    for path in paths:
        try:
            rows.append(record_row(run_records.read_record(path)))
        except (ValueError, KeyError, TypeError, AttributeError):  # InputError is a ValueError
            refused.append(path.name)
    if refused:
        names = ", ".join(refused[:3]) + (" …" if len(refused) > 3 else "")
        warnings.warn(
            f"{len(refused)} of {len(paths)} files in {folder} are no records of schema "
            f"{run_records.SCHEMA}, or were changed, and are left out: {names}",
            stacklevel=2,
        )
    if not rows:
        raise InputError(
            f"{folder} has no run records; `perflaw sweep` and `perflaw train` make some"
        )
    return _frame(rows)


def records_table(records: Iterable[dict]) -> pd.DataFrame:
    """Return run records as a table, one row a run."""
    return _frame([record_row(record) for record in records])


def _frame(rows: Sequence[dict]) -> pd.DataFrame:
    """Return rows as a table; a column without any value becomes one of numbers."""
    frame = pd.DataFrame(rows)
    return frame.astype(dict.fromkeys(frame.columns[frame.isna().all()], float))


def record_row(record: dict) -> dict[str, Any]:
    """Put a run record into plain columns.

    Returns
    -------
    dict
        * key, log, data_hash (of the sample, where there is one)
        * split; sample_log, the share of the log's users that was taken before the split (empty:
          all); by name, the strength of each perturbation; data_seed
        * tokens, users and items of the training part; targets
        * every setting of the configuration, of which `epochs` is the most that it may take; those
          of `LATER_SETTINGS` are empty where they are the default
        * status, done_epochs, best_epoch, training_loss (at the best epoch), temperature
        * `parameters`, in all and by group; `entropy NAME`
        * seconds, in all and by phase; tokens_per_second
        * metrics on test (`NDCG@10`, `NDCG@10 se`, …), where nothing repeats with items of the
          training part removed, with all of the history removed (`removed NDCG@10`), and on
          validation (`validation NDCG@10`)
        * the same, and the epoch, of the weights of the least log-loss on validation instead of the
          best NDCG@10 there (`least-loss removed NDCG@10`, `least-loss epoch`)
        * device, threads, versions, commit, finished
    """
    seconds = record.get("seconds", {})
    metrics = record.get("metrics", {})
    best = max(record.get("curve") or [{}], key=lambda point: point.get("NDCG@10", 0))
    row = {
        **_data_columns(record),
        **dict.fromkeys(LATER_SETTINGS),
        **record["configuration"],
        "status": record["status"],
        "done_epochs": record.get("epochs"),
        "best_epoch": best.get("epoch"),
        "training_loss": best.get("loss"),
        "temperature": metrics.get("temperature"),
        "parameters": sum(record["parameters"].values()),
        **_prefixed("parameters ", record["parameters"]),
        **_prefixed("entropy ", record["entropies"]),
        "seconds": seconds.get("all"),
        "tokens_per_second": record.get("tokens_per_second"),
        **{f"seconds {phase}": value for phase, value in seconds.items() if phase != "all"},
        **_metric_columns(metrics, ""),
        **_least_loss_columns(record.get("least validation loss")),
        **{name: record["environment"][name] for name in ENVIRONMENT},
        "finished": record["finished"],
    }
    if row["positions"] is None and row["tokens_per_second"]:
        # an early record, which holds them in its rate only
        trained = row["tokens_per_second"] * seconds["training"]
        row["positions"] = round(trained / row["done_epochs"])
    return row


def _data_columns(record: dict) -> dict[str, Any]:
    """Return the columns that say what a run was trained on."""
    split = record["split"]
    steps, sample = split.get("interventions", []), split.get("sample")
    data_seed = steps[0][2] if steps else sample[1] if sample else 0
    return {
        "key": record["key"],
        "log": record["log"],
        "data_hash": record["data_hash"],
        "split": split["rule"].split("; of the training part")[0].split(", cut at")[0],
        "sample_log": sample[0] if sample else None,
        **dict.fromkeys(PERTURBATIONS),
        **{name: strength for name, strength, _ in steps},
        "data_seed": data_seed,
        **{name: record.get(name) for name in SIZES},
        **{f"{part}_targets": count for part, count in record.get("targets", {}).items()},
    }


def _metric_columns(metrics: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """Return the metrics on all parts of the data."""
    return (
        _prefixed(prefix, metrics.get("test", {}))
        | _prefixed(f"{prefix}validation ", metrics.get("validation", {}))
        | _prefixed(f"{prefix}removed ", metrics.get(HISTORY_PART, {}))
    )


def _least_loss_columns(least: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the columns of the weights of the least validation loss; none without them."""
    if not least:
        return {}
    return {
        f"{LEAST}epoch": least["epoch"],
        f"{LEAST}temperature": least["metrics"]["temperature"],
        **_metric_columns(least["metrics"], LEAST),
    }


def _prefixed(prefix: str, values: Mapping[str, Any]) -> dict[str, Any]:
    return {prefix + name: value for name, value in values.items()}


def select_whole_log(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the runs whose log is no sample of another log's users."""
    return runs[runs["sample_log"].isna()] if "sample_log" in runs else runs


def filter_runs(runs: pd.DataFrame, settings: Mapping[str, Any]) -> pd.DataFrame:
    """Return the runs that have the given values of settings by name.

    Parameters
    ----------
    runs : DataFrame
        As `load_runs` gives it.
    settings : mapping
        Such as a grid's `settings`; and `log`. Runs on a sample of a log's users are left out
        unless `sample_log` is one of them.
    """
    if settings.get("sample_log") in (None, 1):
        runs = select_whole_log(runs)
        settings = {name: value for name, value in settings.items() if name != "sample_log"}
    check_names({name: value for name, value in settings.items() if name != "log"})
    mask = pd.Series(True, runs.index)
    for name, value in settings.items():
        may_be_empty = name in LATER_SETTINGS or name in NEUTRAL_STRENGTHS
        is_empty = value is None or (may_be_empty and value == RUN_DEFAULTS[name])
        if name in LATER and name not in runs:  # an older table, whose runs have the default
            mask &= is_empty
        else:
            mask &= runs[name].isna() if is_empty else runs[name] == value
    return runs[mask]


def is_unperturbed(runs: pd.DataFrame, but: str = "") -> pd.Series:
    """Say which runs are on training parts that no perturbation has changed.

    Parameters
    ----------
    runs : DataFrame
        As `load_runs` gives it.
    but : str
        A perturbation that may have changed them.

    Examples
    --------
    >>> runs = pd.DataFrame({"sample_users": [None, 0.5], "truncate": None})
    >>> is_unperturbed(runs).tolist(), is_unperturbed(runs, but="sample_users").tolist()
    ([True, False], [True, True])
    """
    others = [name for name in PERTURBATIONS if name in runs and name != but]
    return runs[others].isna().all(axis=1)


def aggregate_seeds(runs: pd.DataFrame, metric: str = "NDCG@10") -> pd.DataFrame:
    """Average a metric by cell, over runs that differ in the seed alone.

    Runs on perturbed training parts and on samples of a log's users are left out, and those without
    the metric (diverged, failed).

    Parameters
    ----------
    runs : DataFrame
        As `load_runs` gives it.
    metric : str
        A column.

    Returns
    -------
    DataFrame
        log, n_layers, d_emb, and whatever else of data and configuration differs between the runs
        of a log; the metric's mean, `sd` (standard deviation between seeds) and `seeds` (their
        number).

    Raises
    ------
    InputError
        If the table has no such metric.

    Examples
    --------
    >>> runs = pd.DataFrame({"log": "a", "n_layers": 2, "d_emb": 8, "NDCG@10": [0.1, 0.3]})
    >>> aggregate_seeds(runs)["NDCG@10"].tolist()
    [0.2]
    """
    if metric not in runs:
        names = runs.columns[runs.columns.str.startswith(("HR", "NDCG", "MRR", "log-loss"))]
        raise InputError(
            f"the runs have no {metric!r}; they have {', '.join(names)}" + suggest(metric, names)
        )
    runs = select_whole_log(runs)
    runs = runs[is_unperturbed(runs) & runs[metric].notna()]
    others = [
        name
        for name in ("data_hash", "split", *Config.__dataclass_fields__)
        if name in runs and name not in ("n_layers", "d_emb", "seed")
    ]
    n_values = runs.groupby("log")[others].nunique(dropna=False).max()
    varying = [name for name in others if n_values[name] > 1]
    groups = runs.groupby([*CELL, *varying], dropna=False)[metric]
    cells = groups.agg(["mean", "std", "size"]).reset_index()
    return cells.rename(columns={"mean": metric, "std": "sd", "size": "seeds"})


def consolidate(
    folder: str | os.PathLike, name: str, where: str | os.PathLike | None = None
) -> Path:
    """Write the records of a folder as a CSV file, measured values to six digits.

    Parameters
    ----------
    folder : path
        Run records.
    name : str
        Of the table.
    where : path, optional
        Its folder; by default that of the study's sweeps.

    Returns
    -------
    Path
        `where/NAME.csv`.

    Raises
    ------
    InputError
        For a name that is a path, and a table there that has runs which the folder has not.
    """
    if not name or Path(name).name != name:
        raise InputError(f"{name!r} is no name of a table; use one without slashes")
    path = Path(where or sweeps_folder()) / f"{name.removesuffix('.csv')}.csv"
    frame = load_runs(folder)
    if path.exists() and not path.is_file():
        raise InputError(f"{path} is no file; use another name")
    if path.exists() and (lost := set(read_runs_table(path)["key"]) - set(frame["key"])):
        raise InputError(
            f"{path} has {len(lost)} runs that {folder} has not; use another name, or remove it"
        )
    for column in frame.select_dtypes("float").columns.difference(list(RUN_DEFAULTS)):
        frame[column] = [  # counts stay exact
            value if value % 1 == 0 else float(f"{value:.6g}") for value in frame[column]
        ]
    run_records.check_folder(path.parent)
    try:
        with atomic_path(path) as temporary:
            frame.to_csv(temporary, index=False, lineterminator="\n")
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}") from None
    return path


def read_runs_table(name: str | os.PathLike) -> pd.DataFrame:
    """Read a consolidated sweep by its name in data/sweeps/ of the study, or a CSV file.

    Raises
    ------
    InputError
        If there is none, or the file is no table of runs.
    """
    path = Path(name)
    if path.suffix != ".csv":
        path = sweeps_folder() / f"{name}.csv"
    if not path.exists():
        names = ", ".join(sorted(p.stem for p in sweeps_folder().glob("*.csv"))) or "none"
        raise InputError(f"there is no sweep {str(name)!r}; in data/sweeps there is {names}")
    try:
        frame = pd.read_csv(path, dtype={"key": str, "log": str, "data_hash": str})
    except (OSError, ValueError) as error:
        raise InputError(f"{path} is no table of runs: {str(error).splitlines()[0]}") from None
    if missing := [column for column in REQUIRED if column not in frame]:
        raise InputError(f"{path} is no table of runs: it has no column {missing[0]}")
    return frame.copy()  # in one piece: pandas reads so many columns as many
