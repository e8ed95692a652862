"""Descriptions of logs: plain numbers, and how they look in a notebook."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from perflaw.logs.histories import sorted_pairs

if TYPE_CHECKING:
    from perflaw.logs.interaction_log import InteractionLog

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)  # of the lengths of histories
DAY = 86_400  # seconds


def summarize_log(log: InteractionLog) -> dict[str, int | float | str | None]:
    """Describe a log in plain numbers; see `InteractionLog.summary`."""
    lengths = log.lengths
    occurring = int(np.count_nonzero(log.item_counts))
    repeated = int(log.repeats.sum())
    quantiles = np.quantile(lengths, QUANTILES)
    return {
        "users": log.n_users,
        "items": occurring,
        "tokens": log.tokens,
        "length_mean": float(lengths.mean()),
        "length_min": int(lengths.min()),
        **{f"length_q{100 * q:02.0f}": float(n) for q, n in zip(QUANTILES, quantiles)},
        "length_max": int(lengths.max()),
        "repeats": repeated / log.tokens,
        "density": (log.tokens - repeated) / (log.n_users * occurring),
        **_summarize_times(log),
    }


def summary_html(title: str, summary: Mapping[str, object]) -> str:
    """Make an HTML table of the entries of a summary that have a value, under a title."""
    rows = "".join(
        f"<tr><th scope='row'>{escape(key.replace('_', ' '))}</th><td>{_format(value)}</td></tr>"
        for key, value in summary.items()
        if value is not None
    )
    return f"<table><caption>{escape(title)}</caption><tbody>{rows}</tbody></table>"


def _format(value: object) -> str:
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.4g}" if isinstance(value, float) else escape(str(value))


def _summarize_times(log: InteractionLog) -> dict[str, int | float | str | None]:
    """Describe the clock of a log; each entry is None where there is none."""
    if log.timestamps is None:
        return dict.fromkeys(("ties", "duplicates", "first", "last", "span_days"))
    first, last = float(log.timestamps.min()), float(log.timestamps.max())
    return {
        "ties": float(is_tied(log.timestamps, log.offsets).mean()),
        "duplicates": _count_duplicates(log, log.timestamps),
        "first": str(np.datetime64(int(first), "s"))[:10],
        "last": str(np.datetime64(int(last), "s"))[:10],
        "span_days": (last - first) / DAY,
    }


def is_tied(timestamps: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """(tokens,) bool, whether another interaction of the same user has the same time."""
    same_as_next = np.diff(timestamps) == 0
    same_as_next[offsets[1:-1] - 1] = False
    return np.append(same_as_next, False) | np.append(False, same_as_next)


def _count_duplicates(log: InteractionLog, timestamps: np.ndarray) -> int:
    """Count the interactions that repeat user, item and time."""
    return sum(
        int(np.sum(same & (np.diff(timestamps[start:stop][order]) == 0)))
        for start, stop, order, same in sorted_pairs(log)
    )
