"""What can be wrong with a column of metrics before a fit, and with the fit after."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from perflaw.errors import InputError
from perflaw.io import suggest
from perflaw.tables import hint_at_comma, name_row

if TYPE_CHECKING:
    from perflaw.laws.fitting import Fit

RATE = re.compile(
    r"(?:^|[^a-z])(?:hr|hit|ndcg|mrr|map|recall|precision|auc|accuracy|rate|coverage|cov|f1)"
    r"(?:$|[^a-z])|^value$",
    re.IGNORECASE,
)
LOSS = re.compile(r"loss|perplexity|entropy|rmse|mse|error|seconds|time", re.IGNORECASE)
LESS = re.compile(
    r"(?:^|[^a-z])(?:logloss|loss|perplexity|ppl|entropy|rmse|mse|mae|nll|bpb|error|err|regret|cost"
    r"|miss|fnr|seconds|time)(?:$|[^a-z])",
    re.IGNORECASE,
)
GAIN = re.compile(r"(?:^|[^a-z])(?:hr|hit|ndcg|mrr|map|recall|precision|auc)(?:$|[^a-z])", re.I)
SHOWN = 12  # columns that a message lists
GAP = 8  # times, between the largest fraction and the least per cent of a column that mixes them


def is_loss_name(name: str) -> bool:
    """Return whether less is better of a column of this name, as far as the name tells.

    A loss is known by a whole word, or by part of a name that is no rate's; a gain is none.
    """
    if GAIN.search(name):
        return False
    in_part = LOSS.search(name) is not None and RATE.search(name) is None
    return LESS.search(name) is not None or in_part


def is_rate_name(name: str) -> bool:
    """Return whether a column of this name is likely to hold a rate, 0 … 1 or 0 … 100 %."""
    return RATE.search(name) is not None and LOSS.search(name) is None


def likely_metrics(table: pd.DataFrame) -> list[str]:
    """Columns of numbers that are likely to be metrics by their names, the likeliest first."""
    numeric = [str(name) for name in table.select_dtypes("number").columns]
    rates = [name for name in numeric if is_rate_name(name)]
    losses = [name for name in numeric if name not in rates and re.search("loss|perplexity", name)]
    errors = (" se", "_se", " sd", "_sd", "_std", " std", "_err")
    return [name for name in rates + losses if not name.lower().endswith(errors)]


def choose_metric(label: str, table: pd.DataFrame, metric: str) -> pd.Series:
    """Return the column of a metric, checked.

    Parameters
    ----------
    label : str
        Of the table, for messages.
    table : DataFrame
        One row a run.
    metric : str
        The column.

    Returns
    -------
    Series
        Of float64.

    Raises
    ------
    InputError
        Where there is no such column, with those that are likely; where it is not of numbers,
        or holds per cents beside fractions.
    """
    if metric not in table:
        hint = suggest(metric, map(str, table.columns))
        raise InputError(f"{label} has no column {metric!r} to fit; {_list_metrics(table)}{hint}")
    column = table[metric]
    if not pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column):
        place = next((k for k, value in enumerate(column) if _is_no_number(value)), 0)
        odd = column.iloc[place]
        raise InputError(
            f"{label}: the column {metric!r} holds {str(odd)[:30]!r}, which is no number, in "
            f"{name_row(table, place)}; "
            f"mend it{hint_at_comma(odd)}, or name another column with --metric"
        )
    refuse_mixed_scales(label, table, metric)
    return column.astype(float)


def _is_no_number(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return True
    return isinstance(value, bool)


def _list_metrics(table: pd.DataFrame) -> str:
    likely = likely_metrics(table)
    numeric = table.select_dtypes("number").columns
    names = likely or [
        str(name) for name in numeric.append(table.columns.difference(numeric, sort=False))
    ]
    kind = "likely metrics are" if likely else "it has"
    left = len(table.columns) - len(names[:SHOWN])
    more = f" ({left} other columns)" if left else ""
    return f"{kind} {', '.join(names[:SHOWN])}{more}"


def refuse_mixed_scales(label: str, table: pd.DataFrame, metric: str) -> None:
    """Raise InputError for a rate below 0, and for per cents beside fractions.

    The same goes for a rate in per cent in a table whose other rates are fractions.
    """
    if LOSS.search(metric):
        return
    values = table[metric].to_numpy(float)
    if is_rate_name(metric) and (values < 0).any():
        row = int(np.flatnonzero(values < 0)[0])
        raise InputError(
            f"{label}: {metric} is {values[row]:g} in {name_row(table, row)}; a rate is 0 or more"
        )
    values = np.abs(values[np.isfinite(values) & (values != 0)])
    fractions, per_cents = values[values <= 1], values[values > 1]
    if len(fractions) and len(per_cents) and per_cents.min() >= GAP * fractions.max():
        rows = np.flatnonzero(np.abs(table[metric].to_numpy(float)) > 1)
        raise InputError(
            f"{label}: {metric} is {per_cents.min():g} in {name_row(table, rows[0])} "
            f"and {fractions.max():g} elsewhere: "
            "per cents beside fractions; write all as fractions of one"
        )
    if not len(per_cents) or not is_rate_name(metric):
        return
    others = [name for name in likely_metrics(table) if name != metric and is_rate_name(name)]
    scaled = [name for name in others if table[name].abs().max() <= 1 and (table[name] > 0).any()]
    if not len(fractions) and scaled:
        raise InputError(
            f"{label}: {metric} is in per cent ({per_cents.max():g}) and {scaled[0]} a fraction; "
            "write all as fractions of one"
        )


# ---------------------------------------------------------------- the fit


def is_rate(values: Iterable[float], metric: str | None = None) -> bool:
    """Return whether these are values of a rate, which lies in 0 … 1."""
    values = np.asarray(values, float)
    named_otherwise = metric is not None and LOSS.search(metric) is not None
    return bool(len(values) and (values >= 0).all() and (values <= 1).all()) and not named_otherwise


def describe_doubts(fitted: Fit) -> list[str]:
    """List what a reader of a fit should know: a constant does as well, exponents at a bound."""
    doubts = []
    if not fitted.beats_constant:
        doubts.append(
            f"no better than a constant: R2 {fitted.r2:.2f}, AICc {fitted.aicc:.1f}, and "
            f"{fitted.constant_aicc:.1f} for the mean of the values alone"
        )
    for name in fitted.at_bound:
        low, high = fitted.law.exponents[name]
        doubts.append(
            f"{name} = {fitted.parameters[name]:g} is at the bound of its search "
            f"({low:g} to {high:g}): the values would have it further out, "
            "and predictions beyond them are not to be trusted"
        )
    return doubts
