"""What the study's own sweeps say: noise between seeds, whether more layers or dimensions still help, and how well laws foretell.

`noise` and `steps` read cells, as `sweeps.cells` makes them of runs: log, n_layers, d_emb, the metric's mean over seeds, their
standard deviation (sd) and number (seeds). Noise is that between seeds on the same users: how much another training run
would differ, and not how much other users would.

The rest reads surfaces: cells of one log, backbone and split over N and d (`surfaces`).
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.stats import norm

from perflaw import InputError, fitting, joint, laws, sweeps
from perflaw.fitting import check_level

SURFACE = ["log", "backbone", "split", "max_seq_len"]
LAWS = ("constant", "log-linear", "log-quadratic", "sum of powers", "power of parameters", "Performance Law, k = 2", "Performance Law, free k")


def noise(cells: pd.DataFrame, metric: str = "NDCG@10") -> pd.Series:
    """Of each log, the standard deviation of one run between seeds, in per cent of its value, pooled over cells.

    Raises InputError for a log of which no cell has two seeds.
    """
    told = {}
    for log, rows in cells.groupby("log", sort=False):
        rows = rows[rows["seeds"] > 1]
        if rows.empty:
            raise InputError(f"no cell of {log} was run with two seeds; the noise between seeds is not known")
        weight = rows["seeds"] - 1
        told[log] = 100 * float(np.sqrt(((rows["sd"] / rows[metric]) ** 2 * weight).sum() / weight.sum()))
    return pd.Series(told, name="noise")


def steps(cells: pd.DataFrame, metric: str = "NDCG@10", level: float = 0.9) -> pd.DataFrame:
    """What each step to the next larger N, or d, changes, in per cent (100 × the logarithm of the ratio).

    A step is the mean over the values of the other axis that have both its ends. Columns log, axis, smaller, larger, change, se (from the
    noise between seeds), low and high (a normal interval at that level), pairs.
    """
    check_level(level)
    sigma, rows = noise(cells, metric), []
    for log, here in cells.groupby("log", sort=False):
        for axis, other in (laws.AXES, laws.AXES[::-1]):
            values = here.pivot(index=other, columns=axis, values=metric)
            seeds = here.pivot(index=other, columns=axis, values="seeds")
            for small, large in zip(values.columns, values.columns[1:]):
                both = values[[small, large]].notna().all(axis=1)
                if not both.any():
                    continue
                change = 100 * np.log(values.loc[both, large] / values.loc[both, small])
                variance = sigma[log] ** 2 * (1 / seeds.loc[both, small] + 1 / seeds.loc[both, large])
                rows.append((log, axis, small, large, change.mean(), np.sqrt(variance.sum()) / both.sum(), int(both.sum())))
    found = pd.DataFrame(rows, columns=["log", "axis", "smaller", "larger", "change", "se", "pairs"])
    reach = norm.ppf((1 + level) / 2) * found["se"]
    return found.assign(low=found["change"] - reach, high=found["change"] + reach)


# ---------------------------------------------------------------- predicted before it was trained


def surfaces(runs: pd.DataFrame, metrics=("HR@10", "NDCG@10")) -> pd.DataFrame:
    """The means over seeds of runs on whole training parts, one row a cell and metric.

    Columns: dataset (the surface's name: its log, and its backbone and split where they are not SASRec and leave-one-out), those of
    SURFACE, n_layers, d_emb, metric, value, sd (between seeds), seeds.
    """
    plain = runs[runs[list(sweeps.INTERVENTIONS)].isna().all(axis=1) & ~runs["shared_layers"].astype(bool)]
    parts = []
    for metric in metrics:
        found = plain[plain[metric].notna()].groupby([*SURFACE, *laws.AXES], sort=False)[metric].agg(["mean", "std", "size"]).reset_index()
        parts.append(found.rename(columns={"mean": "value", "std": "sd", "size": "seeds"}).assign(metric=metric))
    table = pd.concat(parts, ignore_index=True)
    names = [
        ", ".join([log, *([backbone] if backbone != "sasrec" else []), *([split] if split != "leave one out" else [])])
        for log, backbone, split in table[SURFACE[:3]].itertuples(index=False)
    ]
    return table.assign(dataset=names).sort_values(["dataset", "metric", *laws.AXES], ignore_index=True)


def foretell(seen: pd.DataFrame, asked: pd.DataFrame, level: float = 0.9) -> pd.DataFrame:
    """What each law of LAWS, fitted to each surface alone, and the joint law of all, say of cells not seen.

    seen: what `surfaces` returned. asked: n_layers and d_emb, asked of every surface. Columns: dataset, metric, law, n_layers, d_emb, predicted,
    low, high (an interval for the mean of as many seeds as the seen cells have). A law that the values along an
    axis do not determine is left out.
    """
    check_level(level)
    asked, rows = asked[list(laws.AXES)].reset_index(drop=True), []
    rivals = laws.rivals()
    for (dataset, metric), surface in seen.groupby(["dataset", "metric"], sort=False):
        for name in LAWS:
            law = rivals[name]
            if fitting.directions(law, surface) < len(law.parameters) or len(surface) <= len(law.parameters):
                continue
            found = fitting.fit(law, surface.reset_index(drop=True), surface["value"].to_numpy()).interval(asked, level)
            rows.append(asked.assign(dataset=dataset, metric=metric, law=name, predicted=found["prediction"], low=found["low"], high=found["high"]))
    together = joint.fit(seen)
    for (dataset, length), _ in seen.groupby(["dataset", "max_seq_len"], sort=False):
        points = asked.assign(dataset=dataset, max_seq_len=length)
        for metric in together.data.metrics:
            found = together.predict(points, metric, level)
            rows.append(asked.assign(dataset=dataset, metric=metric, law="joint law", predicted=found["prediction"], low=found["low"], high=found["high"]))
    return pd.concat(rows, ignore_index=True)[["dataset", "metric", "law", *laws.AXES, "predicted", "low", "high"]]


def came_true(foretold: pd.DataFrame, measured: pd.DataFrame, noise: pd.Series | None = None) -> pd.DataFrame:
    """Predictions beside the means over seeds measured later: columns of both, ape (per cent), covered, and, given each surface's
    noise (per cent of a run), noises: how many standard deviations of such a mean the error is."""
    found = foretold.merge(measured[["dataset", "metric", *laws.AXES, "value", "sd", "seeds"]], on=["dataset", "metric", *laws.AXES])
    found["ape"] = 100 * (found["predicted"] / found["value"] - 1).abs()
    found["covered"] = (found["low"] <= found["value"]) & (found["value"] <= found["high"])
    if noise is not None:
        found["noises"] = found["ape"] / (found["dataset"].map(noise) / np.sqrt(found["seeds"]))
    return found
