"""A report on one's own log: a pilot sweep that fits a budget, and what follows from it for larger models and more data.

`plan_pilot` chooses the runs, `draw_conclusions` is all that is concluded from them, and `run_report` does the whole, from a log to the plain values
of report.json, from which `perflaw.report.render` makes the page.
"""

from __future__ import annotations

import json
import math
import os
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from perflaw import __version__, stats
from perflaw.errors import InputError
from perflaw.laws import design, families, fitting, identifiability
from perflaw.logs import measures
from perflaw.logs.interaction_log import InteractionLog
from perflaw.models import ranking
from perflaw.models.sweeps import cost_model, runner
from perflaw.models.training import trainer
from perflaw.report import forecast

SCHEMA = 1  # of report.json
METRICS = ("NDCG@10", "HR@10")
SETTINGS = {
    "loss": "sampled_softmax",
    "negatives": 256,
    "max_seq_len": 50,
    "batch_size": 64,
    "learning_rate": 0.003,
}
SETTINGS |= {
    "epochs": 200,
    "patience": 5,
    "validate_every": 2,
    "dropout": 0.2,
}  # those of data/grids/survey.yaml, on which the prior stands
CORE = [
    (2, 8, 0),
    (1, 32, 0),
    (2, 16, 0),
    (2, 16, 1),
    (1, 8, 0),
    (2, 32, 0),
]  # layers, dimension, seed: without these nothing is said
MORE = [(n, d, seed) for seed in (0, 1, 2) for n in (1, 2, 3) for d in (8, 16, 32)]
SHARES = [(2, d, seed, share) for seed in (0, 1) for share in (0.5, 0.25) for d in (16, 32)]
ASKED = [
    (2, 64, 1),
    (2, 128, 1),
    (6, 32, 1),
    (3, 128, 1),
    (2, 32, 2),
    (2, 32, 4),
]  # what the pilot is for: layers, dimension, times the data
EPOCHS = 48  # that a run takes, in the mean of the study's own sweeps
FEWEST = 500  # users that a pilot on a part of a log has at the least
HOPELESS = 3  # times the budget that its core would take: less is tried, as costs are rough before any run is done
RESERVE = 30  # seconds of the budget for the page and its notebook, or a fifth of it
AXES = {"d_emb": "dimension", "n_layers": "layers", "tokens": "data"}
HITS, WIDE = (
    30,
    2.0,
)  # fewer hits in a run, or an interval of a wider ratio at four times the dimension, are too little to claim anything


def run_report(
    log: InteractionLog,
    out: str | os.PathLike,
    minutes: float = 10,
    workers: int | None = None,
    progress: bool = True,
    start: float | None = None,
) -> dict:
    """From a log to the values of report.json; records of runs go to out/runs, where a second call finds them.

    minutes: for all of it, from `start` (of time.perf_counter); no run begins that is not expected to end in time.
    Raises InputError for a log on which nothing can be trained or told, a budget too small for it, and an `out` that cannot be written to.
    """
    start, out, workers = (
        time.perf_counter() if start is None else start,
        Path(out),
        workers or os.cpu_count() or 1,
    )
    if not 0 < minutes < math.inf:
        raise InputError(f"a budget of {minutes:g} minutes is no time; give --budget 10, say")
    _check_same(out, log)
    split = runner.split_of(log, runner.TrainingData())
    trainer.check_split(split)
    if progress and log.timestamps is None:
        tqdm.write(
            "\n".join(note for note in log.notes if note.startswith("time"))
            or f"{log.name} has no times; the order of each history is all there is"
        )
    if split.log.n_items <= 20:
        raise InputError(
            f"{log.name} has {split.log.n_items} items, and the metrics ask whether the next one is among ten; 21 are the least"
        )
    told = {
        "schema": SCHEMA,
        "perflaw": __version__,
        "log": {"name": log.name, **log.summary(), "hash": log.hash, "notes": list(log.notes)},
    }
    told["entropy"] = {
        name: None if isinstance(value, InputError) else value
        for name, value in measures.measure_log(log, measures.available_measures()).items()
    }
    deadline = 60 * minutes - min(RESERVE, 12 * minutes)
    pilot = plan_pilot(log, deadline - (time.perf_counter() - start), workers, out / "runs")
    if pilot.share < 1 and progress:
        tqdm.write(
            f"{log.name} is long for {minutes:g} minutes: the pilot uses {pilot.log.n_users:,} of its {log.n_users:,} users"
        )
    part = runner.split_of(pilot.log, runner.TrainingData())
    ranks = ranking.rank_by_item_scores(ranking.item_popularity(part), part, part.test)
    told["floor"] = {"HR@10": ranking.hit_rate(ranks), "NDCG@10": ranking.ndcg(ranks)}
    runs = runner.run(
        pilot.grid,
        pilot.log,
        out / "runs",
        runner.process_pool(workers),
        seconds=deadline - (time.perf_counter() - start),
        progress=progress,
    )
    if runs.empty or "NDCG@10" not in runs:
        why = (
            f"the first: {runs['status'].iloc[0]}"
            if len(runs)
            else "give it more time with --budget"
        )
        raise InputError(f"no run of {log.name} came to an end; {why}")
    shown = [
        "key",
        "n_layers",
        "d_emb",
        "seed",
        "sample_users",
        "tokens",
        "status",
        "done_epochs",
        "seconds",
        *METRICS,
    ]
    told["pilot"] = {
        "users": pilot.log.n_users,
        "share": pilot.share,
        "settings": SETTINGS,
        "planned": len(pilot.grid["grid"]),
        "minutes": minutes,
        "workers": workers,
    }
    told["pilot"]["runs"] = runs[shown].sort_values("key").to_dict("records")
    told = _plain(told)
    return told | {"judged": draw_conclusions(runs, told["floor"])}


def _check_same(out, log):
    """Raise InputError if `out` has a report on other data."""
    try:
        there = json.loads((out / "report.json").read_text(encoding="utf-8"))["log"]
    except (OSError, ValueError, KeyError, TypeError):
        return
    if there.get("hash") != log.hash:
        raise InputError(
            f"{out} has a report on other data, or on the same read otherwise ({there.get('name')}); name another folder with --out, or remove it"
        )


# ---------------------------------------------------------------- the pilot


class Pilot(NamedTuple):
    log: InteractionLog  # the users that are used
    share: float  # of the users of the whole log
    grid: dict  # of `sweeps.run`, the most telling runs first
    seconds: float  # of one core, that the core of it is expected to take


def plan_pilot(
    log: InteractionLog, seconds: float, workers: int, out: str | os.PathLike | None = None
) -> Pilot:
    """The runs of a pilot in the order of what they tell by second, and the share of the users on which its core takes half of the budget.

    out: a folder of records; if some are of this log, so many users are kept to. Raises InputError if the core does not fit on the fewest users.
    """
    runs = [{"n_layers": n, "d_emb": d, "seed": s} for n, d, s in dict.fromkeys(CORE + MORE)]
    runs += [
        {"n_layers": n, "d_emb": d, "seed": s, "data_seed": s, "sample_users": share}
        for n, d, s, share in SHARES
    ]
    with tempfile.TemporaryDirectory() as nowhere:
        frame = runner.plan_sweep({"settings": SETTINGS, "grid": runs}, log, nowhere).frame
    cost = cost_model.CostModel().seconds(frame, np.full(len(frame), float(EPOCHS)))
    order = [*range(len(CORE)), *_telling(frame, cost, len(CORE))]
    if (core := cost[: len(CORE)].sum()) > seconds * workers / 40:
        core *= _pace(log)
    ladder = [2.0**-i for i in range(20) if i == 0 or 2.0**-i * log.n_users >= FEWEST]
    known = _hashes(out) if out else set()
    share = next(
        (step for step in ladder if known and log.sample_users(step).compact().hash in known), None
    )
    share = share or next(
        (step for step in ladder if step * core / workers <= seconds / 2), ladder[-1]
    )
    if (needed := share * core / workers) > HOPELESS * seconds and not known:
        needed = math.ceil(min(needed / 0.8, needed + RESERVE) / 60)
        raise InputError(
            f"{log.name} needs more time for a pilot, even on {round(share * log.n_users):,} of its users: give --budget {needed}, in minutes"
        )
    return Pilot(
        log if share == 1 else log.sample_users(share),
        share,
        {"settings": SETTINGS, "grid": [runs[i] for i in order]},
        core * share,
    )


def _hashes(out):
    """Of the logs that the records of a folder are of."""
    found = set()
    for path in Path(out).glob("*.json"):
        try:
            found.add(trainer.read_record(path)["data_hash"])
        except InputError:  # the sweep will say so
            pass
    return found


def _telling(frame, cost, first):
    """Positions of the runs after the first: each next one takes most off the variance of what is asked, by second of its cost."""
    prior = forecast.PRIOR
    points = pd.DataFrame(ASKED, columns=["n_layers", "d_emb", "tokens"])
    runs = frame[["n_layers", "d_emb"]].assign(
        tokens=frame["sample_users"].astype(float).fillna(1.0)
    )
    x, asked = (forecast.forecast_design(table, prior["p"][0], 1.0) for table in (runs, points))
    covariance = np.diag(
        np.append(forecast.LEVEL, [prior[name][1] for name in forecast.COEFFICIENTS]) ** 2
    )
    noise, chosen = 0.05**2 + prior["cell"] ** 2, []
    while len(chosen) < len(frame):
        gains = (
            ((asked @ covariance @ x.T) ** 2).sum(axis=0)
            / (np.einsum("ij,jk,ik->i", x, covariance, x) + noise)
            / cost
        )
        gains[chosen] = -1
        best = len(chosen) if len(chosen) < first else int(gains.argmax())
        move = covariance @ x[best]
        covariance = covariance - np.outer(move, move) / (x[best] @ move + noise)
        chosen.append(best)
    return chosen[first:]


def _pace(log):
    """How many times as long as costs.PACES has it a run takes here: four epochs of a part of the log on one thread, the second time, as the first is slow."""
    part = log.sample_users(min(1.0, max(20_000 / log.tokens, 20 / log.n_users)))
    config, threads = (
        trainer.make_config(
            **SETTINGS | {"n_layers": 2, "d_emb": 16, "epochs": 4, "patience": None}
        ),
        torch.get_num_threads(),
    )
    torch.set_num_threads(1)
    try:
        done = runner.records_table(
            [trainer.train(config, part, progress=False) for _ in range(2)]
        ).assign(test_targets=0)
    except InputError:  # the part is too small to be trained on
        return 4.0
    finally:
        torch.set_num_threads(threads)
    spent = done["seconds training"] + done["seconds validation"]
    return float((spent / cost_model.CostModel().seconds(done, done["done_epochs"])).min())


# ---------------------------------------------------------------- what follows


def draw_conclusions(
    runs: pd.DataFrame, floor: dict | None = None, level: float = 0.9, prior=forecast.PRIOR
) -> dict:
    """What runs of one log (`sweeps.load`, `sweeps.read`) say of larger models and of more data: plain values, numbers to six digits.

    floor: HR@10 and NDCG@10 of ranking by popularity. `reasons` says why nothing is claimed, should that be; `says` is the whole in sentences.
    """
    stats.check_level(level)
    runs = runner.select_whole_log(runs)
    done = runs[runs["NDCG@10"].notna()].sort_values("key", ignore_index=True)
    share = done["tokens"] / done["tokens"].max()
    whole = done[share == 1]
    told = {
        "level": level,
        "runs": len(done),
        "unfinished": len(runs) - len(done),
        "reasons": [],
        "metrics": {},
    }
    if whole["n_layers"].nunique() < 2 or whole["d_emb"].nunique() < 2 or len(done) < 5:
        told["reasons"] = [
            f"too little was run: {len(done)} runs of {whole['n_layers'].nunique()} depths and {whole['d_emb'].nunique()} dimensions; five of two each are the least"
        ]
    elif empty := int(((done["HR@10"] <= 0) | (done["NDCG@10"] <= 0)).sum()):
        told["reasons"] = [
            f"too little data: in {empty} of {len(done)} runs no test user finds the target among the first ten"
        ]
    if told["reasons"]:
        return _plain(
            told
            | {
                "bottleneck": _unknown(told["reasons"][0]),
                "next": [],
                "left_out": [],
                "says": [f"Nothing can be claimed: {told['reasons'][0]}."],
            }
        )
    first, out = forecast.drop_outliers(done, "NDCG@10", prior)
    kept, chosen = first.runs, _best(first.runs)
    found = {
        metric: first if metric == "NDCG@10" else forecast.Forecast(kept, metric, prior)
        for metric in METRICS
    }
    for metric, one in found.items():
        told["metrics"][metric] = _forecast(one, chosen, level)
    told["best"] = chosen
    told["left_out"] = [
        {"key": row["key"], **_shape(row), "sigmas": row["sigmas"]} for _, row in out.iterrows()
    ]
    told["reasons"] = _reasons(told, kept, floor or {}, out)
    told["bottleneck"] = _bottleneck(found["NDCG@10"], chosen, told)
    told["next"] = _next(found["NDCG@10"], kept, level)
    return _plain(told | {"says": _sentences(told)})


def _shape(row):
    return {"n_layers": int(row["n_layers"]), "d_emb": int(row["d_emb"])}


def _best(runs):
    """The cell on all data that is best by validation, mean over seeds."""
    whole = runs[runs["tokens"] == runs["tokens"].max()]
    n, d = whole.groupby(["n_layers", "d_emb"])["validation NDCG@10"].mean().idxmax()
    return {"n_layers": int(n), "d_emb": int(d)}


def _points(whole, cells):
    """cells: layers, dimension and times the data."""
    return pd.DataFrame(
        [(n, d, whole * times) for n, d, times in cells], columns=["n_layers", "d_emb", "tokens"]
    )


def _forecast(one, best, level):
    """Of one metric: noise, the fit, predictions, curves along each axis, what doublings bring, and what other laws say."""
    runs, n, d = one.runs, best["n_layers"], best["d_emb"]
    most_n, most_d = int(runs["n_layers"].max()), int(runs["d_emb"].max())
    sizes = [
        (a, b, 1)
        for a in sorted({n, 2 * most_n, 4 * most_n})
        for b in sorted({d, 2 * most_d, 4 * most_d})
    ]
    cells = [*sizes, (n, d, 2), (n, d, 4), (n, 2 * most_d, 2), (n, 4 * most_d, 4)]
    points = _points(one.whole, cells)
    table = one.interval(points, level).assign(
        n_layers=points["n_layers"], d_emb=points["d_emb"], data=[times for *_, times in cells]
    )
    rival = _rivals(runs, one.metric, points[table["data"] == 1], level)
    curves = {}
    for axis in AXES:
        x = np.geomspace(runs[axis].min(), 4 * runs[axis].max(), 25)
        line = pd.DataFrame({**best, "tokens": one.whole, axis: x})
        curves[axis] = (
            one.interval(line, level)
            .assign(x=x / one.whole if axis == "tokens" else x)
            .to_dict("list")
        )
    start, gains = one.draws(_points(one.whole, [(n, d, 1)])), {}
    for axis, cell in (
        ("d_emb", (n, 2 * d, 1)),
        ("n_layers", (2 * n, d, 1)),
        ("tokens", (n, d, 2)),
    ):
        change = 100 * np.expm1((one.draws(_points(one.whole, [cell])) - start)[:, 0])
        gains[axis] = dict(
            zip(
                ("change", "low", "high"),
                np.quantile(change, [0.5, (1 - level) / 2, (1 + level) / 2]),
            )
        )
    apart = one.left_out()
    measured = runs[["n_layers", "d_emb", "seed", "tokens", one.metric]].rename(
        columns={one.metric: "value"}
    )
    measured["data"] = measured.pop("tokens") / one.whole
    return {
        "noise": 100 * float(np.median(one.noise)),
        "fit": {
            "cells": len(apart),
            "error": 100 * apart["error"].abs().mean(),
            "expected": 100 * math.sqrt(2 / math.pi) * apart["sd"].mean(),
            "fits": forecast.fit_members(apart),
        },
        "predictions": table[["n_layers", "d_emb", "data", "predicted", "low", "high"]].to_dict(
            "records"
        ),
        "curves": curves,
        "doublings": gains,
        "laws": rival,
        "measured": measured.to_dict("records"),
    }


def _rivals(runs, metric, points, level):
    """What the Performance Law and a log-linear one, fitted to the cells on all data alone, say of the larger models; [] where the cells do not determine a law."""
    cells = (
        runs[runs["tokens"] == runs["tokens"].max()]
        .groupby(["n_layers", "d_emb"])[metric]
        .mean()
        .reset_index()
    )
    told = {}
    for name in ("log-linear", "Performance Law, k = 2"):
        law, told[name] = families.rival_laws()[name], []
        if (
            len(cells) > len(law.parameters) == identifiability.identifiable_rank(law, cells)
            and cells[metric].nunique() > 1
        ):
            found = (
                fitting.fit(law, cells, cells[metric])
                .interval(points, level)
                .rename(columns={"prediction": "predicted"})
            )
            told[name] = (
                points[["n_layers", "d_emb"]]
                .join(found[["predicted", "low", "high"]])
                .to_dict("records")
            )
    return told


def _reasons(told, runs, floor, out):
    """Why nothing is to be claimed: sentences, none if there is no reason."""
    ndcg, reasons = told["metrics"]["NDCG@10"], []
    users, hits = (
        int(runs["test_targets"].max()),
        float((runs["HR@10"] * runs["test_targets"]).median()),
    )
    if hits < HITS:
        reasons.append(
            f"too little data: a run hits {hits:.0f} of {users:,} test users, which leaves its NDCG@10 uncertain by {(runs['NDCG@10 se'] / runs['NDCG@10']).median():.0%}"
        )
    if floor and runs["NDCG@10"].max() <= floor["NDCG@10"] + runs["NDCG@10 se"].median():
        reasons.append(
            f"no run is better than ranking by popularity (NDCG@10 {floor['NDCG@10']:.4f}) by more than its standard error"
        )
    if not ndcg["fit"]["fits"]:
        reasons.append(
            f"the law does not fit: a cell left out is {ndcg['fit']['error']:.0f} % from what the others say, where noise would have {ndcg['fit']['expected']:.0f} %"
        )
    if 4 * (len(out) + 1) > told["runs"]:
        reasons.append(f"{len(out)} of {told['runs']} runs do not agree with the others")
    end = {axis: ndcg["curves"]["d_emb"][axis][-1] for axis in ("low", "high")}
    if end["high"] > WIDE * end["low"]:
        reasons.append(
            f"what is said of four times the dimension spans a factor of {end['high'] / end['low']:.1f}, too wide to plan by"
        )
    return reasons


def _unknown(why):
    return {"verdict": "cannot tell yet", "chance": None, "why": why}


def _bottleneck(one, best, told, confidence=0.9):
    """Does doubling the data bring more than doubling the model, the dimension or the layers, whichever brings more?"""
    if told["reasons"]:
        return _unknown(told["reasons"][0])
    if one.runs["tokens"].nunique() < 2:
        return _unknown("no run had less data than there is")
    n, d = best["n_layers"], best["d_emb"]
    start, wide, deep, more = one.draws(
        _points(one.whole, [(n, d, 1), (n, 2 * d, 1), (2 * n, d, 1), (n, d, 2)])
    ).T
    model = max(wide, deep, key=np.mean)
    little = float((np.maximum(model, more) - start < np.median(one.noise)).mean())
    if little >= confidence:
        return {
            "verdict": "neither",
            "chance": little,
            "why": f"doubling either brings less than the noise of one run with a probability of {format_percent(little)}",
        }
    chance = float((more > model).mean())
    verdict = (
        "data"
        if chance >= confidence
        else "model"
        if chance <= 1 - confidence
        else "cannot tell yet"
    )
    why = f"doubling the {'data' if chance >= 0.5 else 'model'} brings more with a probability of {format_percent(max(chance, 1 - chance))}"
    return {"verdict": verdict, "chance": max(chance, 1 - chance), "why": why}


def format_percent(chance: float) -> str:
    return (
        "more than 99 %"
        if chance > 0.99
        else "less than 1 %"
        if chance < 0.01
        else f"{100 * chance:.0f} %"
    )


def _next(one, runs, level):
    """The three runs, of sizes up to twice the pilot's that cost no more than the pilot did, that are expected to raise the best known value most
    (`planning.next_runs`), the likeliest to be better first: what is said of each, its seconds, and the chance that what is expected of it is above what is expected of all measured ones.
    """
    most = 2 * runs[["n_layers", "d_emb"]].max()
    grid = [
        (n, d, 1)
        for n in (1, 2, 3, 4, 6, 8, 12, 16)
        for d in 2 ** np.arange(3, 11)
        if n <= most["n_layers"] and d <= most["d_emb"]
    ]
    points = _points(one.whole, grid)
    whole = runs[runs["tokens"] == one.whole]
    rows = pd.concat([whole.head(1)] * len(points), ignore_index=True).assign(
        n_layers=points["n_layers"], d_emb=points["d_emb"]
    )
    seconds = cost_model.CostModel(runs).seconds(rows)
    known = set(zip(whole["n_layers"], whole["d_emb"]))
    told = one.draws(points)
    tried = np.array([(n, d) in known for n, d, _ in grid])
    fine = np.flatnonzero((seconds <= runs["seconds"].sum()) & ~tried)
    if not len(fine):
        return []
    chance = (told > told[:, tried].max(axis=1, keepdims=True)).mean(axis=0)
    noise = np.full(len(points), np.median(one.noise) ** 2)
    both = np.append(
        np.flatnonzero(tried), fine
    )  # the best known value may be that of a cell of the pilot
    ranked = [
        both[i]
        for i in design.next_runs(
            told[:, both].mean(axis=0), np.cov(told[:, both].T), noise[both], len(both)
        )
        if both[i] in fine
    ][:3]
    found = one.interval(points, level)
    ranked.sort(key=lambda i: -chance[i])
    return [
        {
            **_shape(points.loc[i]),
            **found.loc[i],
            "seconds": float(seconds[i]),
            "chance": float(chance[i]),
        }
        for i in ranked
    ]


def _sentences(told):
    """What the page says first."""
    best, level, says = told["best"], 100 * told["level"], []
    if told["reasons"]:
        says.append(
            f"Nothing can be claimed: {'; '.join(told['reasons'])}. The predictions below are shown with their intervals, and are no advice."
        )
    for metric in METRICS:
        one = told["metrics"][metric]
        _start, end = (
            {key: one["curves"]["d_emb"][key][i] for key in ("x", "predicted", "low", "high")}
            for i in (0, -1)
        )
        mean = np.mean(
            [
                row["value"]
                for row in one["measured"]
                if row["data"] == 1 and (row["n_layers"], row["d_emb"]) == tuple(best.values())
            ]
        )
        says.append(
            f"{metric}: the pilot's best configuration by validation, N = {best['n_layers']} and d = {best['d_emb']}, has {mean:.4f}; "
            f"with d = {end['x']:.0f}, four times the pilot's largest, {end['predicted']:.4f} is expected ({level:.0f} % interval for one run: {end['low']:.4f} to {end['high']:.4f})."
        )
    verdict = told["bottleneck"]
    words = {
        "data": "The data is the bottleneck",
        "model": "The model is the bottleneck",
        "neither": "Neither the model nor the data holds the metric back by much",
        "cannot tell yet": "Whether the model or the data is the bottleneck cannot be told yet",
    }
    doubled = told["metrics"]["NDCG@10"]["doublings"]
    changes = ", ".join(
        f"the {AXES[axis]} {one['change']:+.1f} % ({one['low']:+.1f} to {one['high']:+.1f})"
        for axis, one in doubled.items()
    )
    says.append(
        f"{words[verdict['verdict']]}: {verdict['why']}. Doubled, each brings in NDCG@10: {changes}."
    )
    if told["next"]:
        one = told["next"][0]
        words = (
            "None of the next sizes is likely to be better; the first to try would be",
            "No next size is likelier than not to be above all of the pilot; the best chance has",
            "To train next:",
        )
        says.append(
            words[0 if one["chance"] < 0.1 else 1 if one["chance"] < 0.5 else 2]
            + f" N = {one['n_layers']}, d = {one['d_emb']}, about {format_duration(one['seconds'])} here; expected above all of the pilot with a probability of {format_percent(one['chance'])}."
        )
    return says


def format_duration(seconds: float) -> str:
    return (
        f"{max(1, seconds):.0f} s"
        if seconds < 90
        else f"{seconds / 60:.0f} min"
        if seconds < 5400
        else f"{seconds / 3600:.1f} h"
    )


def _plain(value):
    """As JSON has it: numbers to six digits, none that is no number."""
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    if isinstance(value, (np.integer, np.bool_)):
        value = value.item()
    if isinstance(value, (float, np.floating)):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    return value
