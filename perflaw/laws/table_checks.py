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


def _match_words(words: str) -> re.Pattern[str]:
    """Match any of some words that stand alone: "hr" in "HR@10", but not in "three"."""
    return re.compile(f"(?:^|[^a-z])(?:{words})(?:$|[^a-z])", re.IGNORECASE)


GAINS = "hr|hit|ndcg|mrr|map|recall|precision|auc"
GAIN_WORDS = _match_words(GAINS)
RATE_WORDS = _match_words(f"{GAINS}|accuracy|rate|coverage|cov|f1")
LOSS_WORDS = _match_words(
    "logloss|loss|perplexity|ppl|entropy|rmse|mse|mae|nll|bpb|error|err|regret|cost"
    "|miss|fnr|seconds|time"
)
LOSS_PARTS = re.compile("loss|perplexity|entropy|rmse|mse|error|seconds|time", re.IGNORECASE)
LIKELY_LOSS = re.compile("loss|perplexity")
SHOWN = 12  # columns that a message lists
GAP = 8  # times, between the largest fraction and the least per cent of a column that mixes them


def is_loss_name(name: str) -> bool:
    """Return whether less is better of a column of this name, as far as the name tells.

    A loss is known by a whole word, or by part of a name that is no rate's; a gain is none.
    """
    if GAIN_WORDS.search(name):
        return False
    if LOSS_WORDS.search(name):
        return True
    return LOSS_PARTS.search(name) is not None and RATE_WORDS.search(name) is None


def is_rate_name(name: str) -> bool:
    """Return whether a column of this name is likely to hold a rate, 0 … 1 or 0 … 100 %."""
    is_rate = name.lower() == "value" or RATE_WORDS.search(name) is not None
    return is_rate and not is_loss_name(name)


def likely_metrics(table: pd.DataFrame) -> list[str]:
    """Columns of numbers that are likely to be metrics by their names, the likeliest first."""
    numeric = [str(name) for name in table.select_dtypes("number").columns]
    rates = [name for name in numeric if is_rate_name(name)]
    losses = [name for name in numeric if name not in rates and LIKELY_LOSS.search(name)]
    errors = (" se", "_se", " sd", "_sd", "_std", " std", "_err", " error", "_error")
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
        row = next((place for place, value in enumerate(column) if _is_no_number(value)), 0)
        value = column.iloc[row]
        raise InputError(
            f"{label}: the column {metric!r} holds {str(value)[:30]!r}, which is no number, in "
            f"{name_row(table, row)}; "
            f"mend it{hint_at_comma(value)}, or name another column with --metric"
        )
    _refuse_mixed_scales(label, table, metric)
    return column.astype(float)


def _is_no_number(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return True
    return isinstance(value, bool)


def _list_metrics(table: pd.DataFrame) -> str:
    """List the likely metrics of a table, or else its columns, those of numbers first."""
    if names := likely_metrics(table):
        kind = "likely metrics are"
    else:
        kind = "it has"
        numeric = table.select_dtypes("number").columns
        names = [*map(str, numeric.append(table.columns.difference(numeric, sort=False)))]
    listed = names[:SHOWN]
    n_others = len(table.columns) - len(listed)
    more = f" ({n_others} other columns)" if n_others else ""
    return f"{kind} {', '.join(listed)}{more}"


def _refuse_mixed_scales(label: str, table: pd.DataFrame, metric: str) -> None:
    """Raise InputError for a rate below 0, and for per cents beside fractions.

    The same goes for a rate in per cent in a table whose other rates are fractions.
    """
    if is_loss_name(metric):
        return
    is_rate_column = is_rate_name(metric)
    values = table[metric].to_numpy(float)
    if is_rate_column and (values < 0).any():
        row = int((values < 0).argmax())
        raise InputError(
            f"{label}: {metric} is {values[row]:g} in {name_row(table, row)}; a rate is 0 or more"
        )
    sizes = np.abs(values)
    fractions, per_cents = (
        sizes[(sizes > 0) & (sizes <= 1)],
        sizes[(sizes > 1) & np.isfinite(sizes)],
    )
    if len(fractions) and len(per_cents) and per_cents.min() >= GAP * fractions.max():
        raise InputError(
            f"{label}: {metric} is {per_cents.min():g} in {name_row(table, (sizes > 1).argmax())} "
            f"and {fractions.max():g} elsewhere: "
            "per cents beside fractions; write all as fractions of one"
        )
    if is_rate_column and len(per_cents) and not len(fractions):
        others = [name for name in likely_metrics(table) if name != metric and is_rate_name(name)]
        in_fractions = [
            name for name in others if table[name].abs().max() <= 1 and (table[name] > 0).any()
        ]
        if in_fractions:
            raise InputError(
                f"{label}: {metric} is in per cent ({per_cents.max():g}) and {in_fractions[0]} "
                "a fraction; write all as fractions of one"
            )


# ---------------------------------------------------------------- the fit


def is_rate(values: Iterable[float], metric: str | None = None) -> bool:
    """Return whether these are values of a rate, which lies in 0 … 1."""
    if metric is not None and is_loss_name(metric):
        return False
    values = np.asarray(values, float)
    return bool(len(values) and (values >= 0).all() and (values <= 1).all())


def describe_doubts(fitted: Fit) -> list[str]:
    """List what a reader of a fit should know.

    A constant does as well, points were left out, or exponents are at a bound.
    """
    doubts = []
    if not fitted.beats_constant:
        doubts.append(
            f"no better than a constant: R2 {fitted.r2:.2f}, AICc {fitted.aicc:.1f}, and "
            f"{fitted.constant_aicc:.1f} for the mean of the values alone"
        )
    if n_out := len(fitted.outliers):
        doubts.append(
            f"the consensus left out {n_out} of {len(fitted.y)} points, and intervals do not know "
            "of that choice: they are too narrow"
        )
    for name in fitted.at_bound:
        low, high = fitted.law.exponents[name]
        doubts.append(
            f"{name} = {fitted.parameters[name]:g} is at the bound of its search "
            f"({low:g} to {high:g}): the values would have it further out, "
            "and predictions beyond them are not to be trusted"
        )
    return doubts
