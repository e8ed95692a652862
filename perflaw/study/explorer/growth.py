"""How a metric grows with data: one slope a log."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from perflaw.models.configuration import Config
from perflaw.models.sweeps import results
from perflaw.stats import check_level, student_quantile
from perflaw.study.explorer.surfaces import METRICS

SLOPE_COLUMNS = ["log", "metric", "slope", "reach", "runs", "least"]
LEAST_SHARES = 3
SIGNIFICANT_DIGITS = 6
# Names of published logs, and of the same logs among ours.
SAME_LOG = {
    "MovieLens-1M": "ml-1m",
    "KuaiRand-Pure": "kuairand-pure",
    "Amazon-Books": "amazon-books",
}


def data_slopes(
    runs: pd.DataFrame, metrics: Sequence[str] = METRICS, level: float = 0.9
) -> pd.DataFrame:
    """Estimate how a metric grows with tokens, from runs on shares of the users.

    The slope of ln metric on ln tokens by least squares, an intercept for each configuration,
    over configurations run on two shares or more, on logs with three or more. Noise of the draw
    of users that a few runs share is not in the interval.

    Parameters
    ----------
    runs
        As `study_runs.load_study_runs` returns them.
    metrics
        Metrics to fit.
    level
        Level of the intervals.

    Returns
    -------
    DataFrame
        One row a log and metric: log, metric, slope, reach (half of its Student interval), runs
        and least (the smallest share of the tokens).
    """
    check_level(level)
    plain = runs[results.is_unperturbed(runs, but="sample_users")]
    rows = [
        {"log": log, **row}
        for log, of_log in plain.groupby("log", sort=False)
        for row in _slopes_of_log(of_log, metrics, level)
    ]
    return pd.DataFrame(rows, columns=SLOPE_COLUMNS)


def _slopes_of_log(
    runs: pd.DataFrame, metrics: Sequence[str], level: float
) -> Iterator[dict[str, Any]]:
    names = ("data_hash", "split", *Config.__dataclass_fields__)
    settings = [name for name in names if name in runs and name != "seed"]
    for metric in metrics:
        positive = runs[runs[metric] > 0]
        configuration = positive.groupby(settings, dropna=False).ngroup()
        n_shares = positive.groupby(configuration)["tokens"].transform("nunique")
        used = positive[n_shares > 1]
        configuration = configuration[used.index]
        if used["tokens"].nunique() < LEAST_SHARES:
            continue
        # the product of two Series is a number, which the stubs of pandas do not say
        x: Any = _centred_log(used["tokens"], configuration)
        y: Any = _centred_log(used[metric], configuration)
        dof = len(used) - configuration.nunique() - 1
        slope = (x @ y) / (x @ x)
        se = np.sqrt(((y - slope * x) ** 2).sum() / dof / (x @ x))
        yield {
            "metric": metric,
            "slope": slope,
            "reach": student_quantile(level, dof) * se,
            "runs": len(used),
            "least": used["tokens"].min() / used["tokens"].max(),
        }


def _centred_log(values: pd.Series, groups: pd.Series) -> pd.Series:
    logarithms = np.log(values)
    return logarithms - logarithms.groupby(groups).transform("mean")


def data_effect(
    slopes: pd.DataFrame, log: str, metric: str, level: float = 0.9
) -> dict[str, Any] | None:
    """Choose the slope of a log: its own, that of ours of the same name, or the mean over ours.

    Parameters
    ----------
    slopes
        As `data_slopes` returns them.
    log
        Name of the log.
    metric
        Name of the metric.
    level
        Level of the interval of a mean.

    Returns
    -------
    dict or None
        Keys slope, reach, least (to six digits) and source (the logs that it is borrowed from,
        empty for its own); None if there is no slope. The reach of a mean over logs is that of a
        Student interval for one more log: it has the differences between logs in it.
    """
    of_metric = slopes[slopes["metric"] == metric]
    n_logs = len(of_metric)
    if n_logs == 0:
        return None
    own = of_metric[of_metric["log"].isin([log, SAME_LOG.get(log)])]
    if own.empty and n_logs > 1:
        spread = float(of_metric["slope"].std())
        effect = {
            "slope": of_metric["slope"].mean(),
            "reach": student_quantile(level, n_logs - 1) * spread * np.sqrt(1 + 1 / n_logs),
            "least": of_metric["least"].min(),
        }
        return _rounded(effect) | {"source": ", ".join(of_metric["log"])}
    row = (of_metric if own.empty else own).iloc[0]
    source = "" if row["log"] == log else row["log"]
    return _rounded({name: row[name] for name in ("slope", "reach", "least")}) | {"source": source}


def _rounded(values: dict[str, float]) -> dict[str, Any]:
    return {name: float(f"{value:.{SIGNIFICANT_DIGITS}g}") for name, value in values.items()}
