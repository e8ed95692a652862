"""Public grids: 3,200 models trained by others, on five logs, three backbones and two splits.

The values are those of "Time to Split" (Gusak et al., RecSys 2025, arXiv 2507.16289), kept in
data/external/time_to_split.csv. They were measured without this study in mind, so they test what
it concludes: does the metric fall with the dimension once dropout is chosen at every size, which
law predicts the largest dimension, and can failed runs be named before the prediction is read?

Every choice here looks at validation; test is what is reported. A *surface* is the test metric of
one log, backbone and split over N × d, dropout chosen by validation for each N, d and number of
heads, averaged over heads. data/README.md has columns and provenance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
import pandas as pd
from scipy.stats import false_discovery_control, kendalltau, ttest_1samp

from perflaw.errors import InputError
from perflaw.laws import families, fitting, identifiability
from perflaw.laws.families import Law
from perflaw.logs.readers.tables import read_table
from perflaw.stats import mean_interval
from perflaw.study.files import study_file
from perflaw.study.intervals import interval_columns, mean_over_logs
from perflaw.study.trained_cells import NEAREST, predict_by_trained

SURFACE = ["log", "backbone", "split"]
CELL = ["n_layers", "d_emb", "n_heads"]
METRICS = ("HR@1", "HR@10", "HR@50", "NDCG@10", "NDCG@50", "MRR@10", "COV@10")
LENGTH = 128  # maximum sequence length of the runs, in items
HIDDEN = ("largest d", "largest N", "both")
NO_FALL, FALLS_BOTH_WAYS = "no clear fall", "clear both ways"
HELD_ONLY, CHOSEN_ONLY = "clear when held only", "clear when chosen only"


def load_runs(metric: str = "NDCG@10") -> pd.DataFrame:
    """Load the public runs, one row a run.

    Parameters
    ----------
    metric : str
        One of `METRICS`. All items are candidates.

    Returns
    -------
    pandas.DataFrame
        Columns log, backbone, split, grid_point, n_layers, d_emb, n_heads, dropout, validation,
        test (the metric, as a fraction of one) and coverage (COV@10 on test: the share of the
        catalogue that appears in at least one list of ten).

    Raises
    ------
    InputError
        For another metric, and outside a clone of the study.
    """
    if metric not in METRICS:
        raise InputError(f"the public grids have no {metric!r}; they have {', '.join(METRICS)}")
    rows = read_table(study_file("data", "external", "time_to_split.csv"))
    run = [*SURFACE, "grid_point", *CELL, "dropout"]
    values = rows.pivot(index=run, columns="part", values=metric)
    coverage = rows[rows["part"] == "test"].set_index(run)["COV@10"].rename("coverage")
    return values.join(coverage).reset_index().rename_axis(columns=None)


def choose_dropout(runs: pd.DataFrame) -> pd.DataFrame:
    """Keep, for each N, d and number of heads of a surface, the dropout best on validation."""
    best = runs.groupby([*SURFACE, *CELL])["validation"].idxmax()
    return runs.loc[best].reset_index(drop=True)


def make_surfaces(chosen: pd.DataFrame) -> pd.DataFrame:
    """Average chosen runs over heads: one row a surface, N and d, with the column value."""
    means = chosen.groupby([*SURFACE, "n_layers", "d_emb"], as_index=False)["test"].mean()
    cells = cast("pd.DataFrame", means)  # as_index=False: not a Series, as the stubs say
    return cells.rename(columns={"test": "value"}).assign(max_seq_len=LENGTH)


# ---------------------------------------------------------------- dropout held or chosen


def step_changes(runs: pd.DataFrame, axis: str = "d_emb") -> pd.DataFrame:
    """Compare each configuration with the one a step larger, dropout held and chosen.

    Parameters
    ----------
    runs : pandas.DataFrame
        What `load_runs` returns.
    axis : str
        The size that grows: d_emb or n_layers.

    Returns
    -------
    pandas.DataFrame
        One row a pair: surface, the other sizes, `axis` (the smaller), larger, and the change of
        the test metric as 100 × the logarithm of the ratio: `held` at the lowest dropout of the
        grid, `chosen` by validation at both sizes. Pairs without both are left out (a GRU of one
        layer has a single dropout).
    """
    has_choice = runs.groupby([*SURFACE, *CELL])["dropout"].transform("nunique") > 1
    lowest = runs[has_choice & (runs["dropout"] == runs["dropout"].min())]
    treatments = {"held": lowest, "chosen": choose_dropout(runs[has_choice])}
    changes = [
        _changes_along(treated, axis).set_index([*SURFACE, *CELL, "larger"])["change"].rename(name)
        for name, treated in treatments.items()
    ]
    return pd.concat(changes, axis=1).dropna().reset_index()


def _changes_along(runs: pd.DataFrame, axis: str) -> pd.DataFrame:
    """Pair neighbours along an axis, with the change between them as 100 × ln of the ratio."""
    others = [*SURFACE, *(name for name in CELL if name != axis)]
    ordered = runs.sort_values([*others, axis])
    following = ordered.groupby(others)[[axis, "test"]].shift(-1)
    change = 100 * np.log(following["test"] / ordered["test"])
    return ordered.assign(larger=following[axis], change=change).dropna(subset=["change"])


def judge_regularisation(changes: pd.DataFrame, level: float = 0.9) -> pd.DataFrame:
    """Ask of the last step of each surface whether it falls, dropout held and chosen.

    Parameters
    ----------
    changes : pandas.DataFrame
        What `step_changes` returns.
    level : float
        Of Student's intervals, over the configurations of a surface. They share test users and,
        as far as is published, one seed, so the intervals leave both out.

    Returns
    -------
    pandas.DataFrame
        One row a surface: pairs; held, chosen and gain (chosen − held), each with low and high,
        as 100 × ln of the ratio; held_p and held_q, the two-sided p of no change with dropout held
        and its Benjamini-Hochberg adjustment over the surfaces; and verdict: whether the metric
        falls at the level with dropout held, chosen, both or neither. That one falls so and the
        other does not is no test of their difference: that is what gain_low and gain_high are for.
    """
    largest = changes.groupby(SURFACE)["larger"].transform("max")
    rows = []
    for key, pairs in changes[changes["larger"] == largest].groupby(SURFACE):
        if len(pairs) < 2:
            continue
        row: dict[str, Any] = dict(zip(SURFACE, key)) | {"pairs": len(pairs)}
        compared = pairs.assign(gain=pairs["chosen"] - pairs["held"])
        for name in ("held", "chosen", "gain"):
            row |= interval_columns(compared[name], level, name, f"{name}_")
        row["held_p"] = float(ttest_1samp(pairs["held"], 0).pvalue)
        rows.append(row | {"verdict": _verdict(row)})
    judged = pd.DataFrame(rows)
    return judged.assign(held_q=false_discovery_control(judged["held_p"]))


def _verdict(row: Mapping[str, Any]) -> str:
    falls_chosen = row["chosen_high"] < 0
    if row["held_high"] < 0:
        return FALLS_BOTH_WAYS if falls_chosen else HELD_ONLY
    return CHOSEN_ONLY if falls_chosen else NO_FALL


# ---------------------------------------------------------------- hidden cells


def candidate_laws(bound: float = 1.0) -> dict[str, Law]:
    """Make the laws that are compared, every exponent within ±bound."""
    shaped = {
        "sum of power laws": families.sum_of_powers(),
        "Performance Law, k = 2": families.performance(),
        "power of parameters": families.parameter_power(),
        "power of compute": families.compute_power(),
    }
    bounded = {name: families.with_bounds(law, -bound, bound) for name, law in shaped.items()}
    linear = {"log-linear": families.log_linear(), "log-quadratic": families.log_quadratic()}
    return linear | bounded


def hide(cells: pd.DataFrame, what: str) -> pd.Series:
    """Mark the cells that are hidden: those of the largest d, of the largest N, or of either."""
    wide = cells["d_emb"] == cells["d_emb"].max()
    deep = cells["n_layers"] == cells["n_layers"].max()
    return {"largest d": wide, "largest N": deep, "both": wide | deep}[what]


def predict_hidden(
    surfaces: pd.DataFrame, laws: Mapping[str, Law], what: Sequence[str] = HIDDEN
) -> pd.DataFrame:
    """Predict hidden cells of each surface by each law and baseline, from the visible ones alone.

    Parameters
    ----------
    surfaces : pandas.DataFrame
        What `make_surfaces` returns.
    laws : mapping
        Laws by name, fitted to the metric by least squares. Where the visible cells do not
        determine a law at the hidden ones, it gives no prediction (nan).
    what : sequence of str
        Of `HIDDEN`. Under "both" the cell that is largest in d and in N is scored.

    Returns
    -------
    pandas.DataFrame
        One row a hidden cell and law: the surface, hidden, n_layers, d_emb, law, value,
        predicted and ape (absolute percentage error).
    """
    parts = []
    for key, cells in surfaces.groupby(SURFACE):
        for kind in what:
            is_hidden = hide(cells, kind)
            is_corner = hide(cells, "largest d") & hide(cells, "largest N")
            scored = cells[is_corner if kind == "both" else is_hidden]
            for law, predicted in _predict_cells(cells, is_hidden, scored, laws).items():
                labels: dict[str, Any] = dict(zip(SURFACE, key)) | {"hidden": kind, "law": law}
                rows = scored[["n_layers", "d_emb", "value"]]
                parts.append(rows.assign(**labels, predicted=predicted))
    table = pd.concat(parts, ignore_index=True)
    return table.assign(ape=100 * (table["predicted"] / table["value"] - 1).abs())


def _predict_cells(
    cells: pd.DataFrame, is_hidden: pd.Series, scored: pd.DataFrame, laws: Mapping[str, Law]
) -> dict[str, np.ndarray]:
    """Predict the scored cells of a surface from those that are not hidden, by baseline and law."""
    visible = cells[~is_hidden]
    predictions = predict_by_trained(visible, scored)
    for name, law in laws.items():
        rank = identifiability.identifiable_rank(law, visible)
        is_determined = rank == identifiability.identifiable_rank(law, cells)
        if is_determined and len(visible) > len(law.parameters):
            fitted = fitting.fit(law, visible, visible["value"].to_numpy())
            predictions[name] = fitted.predict(scored)
        else:
            predictions[name] = np.full(len(scored), np.nan)
    return predictions


def mean_errors(predictions: pd.DataFrame, level: float = 0.9) -> pd.DataFrame:
    """Average errors over cells, then surfaces, then logs: one row each for hidden and law.

    Columns: SASRec, BERT4Rec and GRU4Rec (means over the logs of a backbone), all, surfaces (how
    many have a prediction), and edge, low and high: by how much the law's error is below that of
    the nearest trained cell, over logs, with Student's interval of `level` (logs are the clusters).
    A law that lacks a prediction on some surfaces is averaged and compared on the others.
    """
    by_surface = predictions.groupby(["hidden", "law", *SURFACE])["ape"].mean().reset_index()
    rows = []
    for (kind, law), errors in by_surface.groupby(["hidden", "law"], sort=False):
        nearest = by_surface[(by_surface["hidden"] == kind) & (by_surface["law"] == NEAREST)]
        paired = errors.merge(nearest, on=SURFACE, suffixes=("", "_nearest")).dropna()
        edges = (paired["ape_nearest"] - paired["ape"]).groupby(paired["log"]).mean()
        interval = interval_columns(edges, level, "edge") if len(edges) > 1 else {}
        means = mean_over_logs(errors, ["ape"], ["backbone"])["ape"]
        in_all = mean_over_logs(errors, ["ape"], ["law"])["ape"].item()
        row = {"hidden": kind, "law": law, **means, "all": in_all}
        rows.append(row | {"surfaces": int(errors["ape"].notna().sum())} | interval)
    return pd.DataFrame(rows)


def choose_law_by_other_logs(predictions: pd.DataFrame, among: str = "") -> pd.DataFrame:
    """Choose, for each log, the rule with the least error on the other logs, and score it there.

    Parameters
    ----------
    predictions : pandas.DataFrame
        What `predict_hidden` returns, of one hidden part. Only rules that predict every surface
        take part.
    among : str
        What the names of the rules that take part begin with.

    Returns
    -------
    pandas.DataFrame
        One row a log: log, chosen, ape (mean over the log's surfaces), nearest (of the nearest
        cell) and tried (how many rules took part).
    """
    errors = predictions.groupby(["law", *SURFACE])["ape"].mean().unstack("law")
    complete = errors.loc[:, errors.notna().all()]
    rules = [name for name in complete if str(name).startswith(among)]
    logs = complete.index.get_level_values("log")
    rows = []
    for log in logs.unique():
        chosen = complete.loc[logs != log, rules].mean().idxmin()
        scores = complete[logs == log].mean()
        rows.append((log, chosen, scores[chosen], scores[NEAREST], len(rules)))
    return pd.DataFrame(rows, columns=["log", "chosen", "ape", "nearest", "tried"])


def extra_regret(transfer: pd.DataFrame, level: float = 0.9) -> dict[str, float]:
    """Average how much more regret the other split's choice has than the own split's, over logs.

    Parameters
    ----------
    transfer : pandas.DataFrame
        What `choose_under_other_split` returns.
    level : float
        Of Student's interval; logs are the clusters.

    Returns
    -------
    dict of float
        extra, extra_low and extra_high, in points.
    """
    more = (transfer["regret"] - transfer["own_regret"]).groupby(transfer["log"]).mean()
    return interval_columns(more, level, "extra", "extra_")


def edge_over_logs(chosen: pd.DataFrame, level: float) -> tuple[float, float, float]:
    """Average how far a choice is below the nearest cell, over logs.

    Parameters
    ----------
    chosen : pandas.DataFrame
        What `choose_law_by_other_logs` returns.
    level : float
        Of Student's interval.

    Returns
    -------
    mean, low, high : float
    """
    return mean_interval(chosen["nearest"] - chosen["ape"], level)


# ---------------------------------------------------------------- coverage, and two splits


def coverage_along_sizes(chosen: pd.DataFrame) -> pd.DataFrame:
    """Relate what d does to accuracy and to catalogue coverage, one row a surface.

    Slopes are least squares of 100 × ln(value) on log2(d), other sizes held.
    `intervals.to_percent` turns them into per cent for each doubling. Columns: surface, accuracy,
    coverage.
    """
    others = [name for name in CELL if name != "d_emb"]
    rows = []
    for key, surface in chosen.groupby(SURFACE):
        doublings = np.log2(surface["d_emb"])
        x = doublings - doublings.groupby([surface[name] for name in others]).transform("mean")
        slopes = {
            name: float((x * 100 * np.log(surface[column])).sum() / (x**2).sum())
            for name, column in (("accuracy", "test"), ("coverage", "coverage"))
        }
        rows.append(dict(zip(SURFACE, key)) | slopes)
    return pd.DataFrame(rows)


def choose_under_other_split(runs: pd.DataFrame) -> pd.DataFrame:
    """Ask whether leave-one-out validation chooses what global-time test rewards.

    Returns
    -------
    pandas.DataFrame
        One row a log and backbone: tau (Kendall's, between validation under leave-one-out and
        test under global time, over configurations), own_tau (validation under global time
        instead), and regret and own_regret: how far the chosen configuration's global-time test
        metric is below the best there, in per cent.
    """
    by_split = {
        split: rows.set_index(["log", "backbone", "grid_point"])
        for split, rows in runs.groupby("split")
    }
    own = by_split["global time"][["validation", "test"]].add_prefix("own_")
    both = by_split["leave one out"][["validation"]].join(own)
    rows = []
    for (log, backbone), pairs in both.groupby(level=["log", "backbone"]):
        test = pairs["own_test"]
        row = {"log": log, "backbone": backbone}
        for prefix in ("", "own_"):
            validation = pairs[f"{prefix}validation"]
            row[f"{prefix}tau"] = float(kendalltau(validation, test).statistic)
            reached = test.iloc[validation.argmax()]
            row[f"{prefix}regret"] = float(100 * (1 - reached / test.max()))
        rows.append(row)
    return pd.DataFrame(rows)
