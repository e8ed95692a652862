"""Pilots of logs that do not exist, drawn from a prior: the truth is known."""

import json

import numpy as np
import pandas as pd

from perflaw.models import configuration
from perflaw.report import forecast, pilot
from perflaw.report.sentences import summarize_advice

FLOOR = {"NDCG@10": 0.02, "HR@10": 0.04}
LOG_PRIOR = {
    "G": (0.2, 0.07),
    "b_d": (-0.02, 0.025),
    "b_N": (0.02, 0.025),
    "c_N": (-0.012, 0.01),
    "b_T": (0.19, 0.07),
    "c_T": (-0.014, 0.02),
    "e_dN": (0.0, 0.008),
    "f_dT": (0.0, 0.017),
    "p": (1.5, 0.4),
    "k": (0.0, 0.24),
    "cell": 0.03,
}
PILOT_CELLS = [(n, d, seed, 1.0) for n in (1, 2, 3) for d in (8, 16, 32) for seed in (0, 1)] + [
    (2, 16, seed, share) for share in (0.25, 0.5) for seed in (0, 1)
]
LARGE_CELLS = [(2, 64, 1), (2, 128, 1), (6, 32, 1), (6, 64, 1), (2, 32, 2), (2, 32, 4)]


def simulate_metric(seed, error=0.04, cell=LOG_PRIOR["cell"], cells=PILOT_CELLS, **fixed):
    """Draw NDCG@10 of a pilot and of larger runs.

    error: relative standard error over users; cells: layers, dimension, seed and share of each run;
    fixed: coefficients that are not drawn.
    """
    random = np.random.default_rng(seed)
    drawn = [fixed.get(name, random.normal(*LOG_PRIOR[name])) for name in forecast.COEFFICIENTS]
    coefficients = [forecast.to_log_odds(0.1), *drawn]
    p = np.clip(random.normal(*LOG_PRIOR["p"]), 0.1, 3)
    noise = np.exp(random.normal(*LOG_PRIOR["k"])) * error
    tables = []
    for rows in (cells, [(n, d, 0, times) for n, d, times in LARGE_CELLS]):
        table = pd.DataFrame(rows, columns=["n_layers", "d_emb", "seed", "tokens"])
        group = table.groupby(["n_layers", "d_emb", "tokens"]).ngroup().to_numpy()
        y = forecast.forecast_design(table, p, 1.0) @ coefficients
        y += cell * random.normal(size=group.max() + 1)[group]
        y += np.hypot(forecast.SEED_NOISE, noise) * random.normal(size=len(table))
        rate = forecast.from_log_odds(y)
        metrics = {"NDCG@10": rate, "NDCG@10 se": error * rate * (1 - rate)}
        tables.append(table.assign(tokens=1e5 * table["tokens"], **metrics))
    return tables


def simulate_pilot(seed=0, error=0.03, **fixed):
    """Draw a pilot as a table of runs, of a log of the usual kind or with fixed coefficients."""
    runs = simulate_metric(seed, error, **fixed)[0]
    metrics = {
        "HR@10": 1.8 * runs["NDCG@10"],
        "HR@10 se": 1.8 * runs["NDCG@10 se"],
        "validation NDCG@10": runs["NDCG@10"],
        "validation HR@10": 1.8 * runs["NDCG@10"],
    }
    sizes = {
        "users": 1000,
        "items": 2000,
        "positions": 90_000,
        "attention_length": 30.0,
        "validation_targets": 2000,
        "test_targets": 2000,
    }
    own = {name: runs[name] for name in ("n_layers", "d_emb", "seed")}
    settings = vars(configuration.Config()) | pilot.SETTINGS | own
    return runs.assign(
        **metrics,
        **sizes,
        **settings,
        key=[f"{i:016x}" for i in range(len(runs))],
        status="converged",
        done_epochs=40.0,
        seconds=20.0,
    )


def report_values(runs, findings, log, **named):
    """Values of report.json without a pilot that was trained."""
    columns = ["key", "n_layers", "d_emb", "seed", "tokens", "status", "done_epochs", "seconds"]
    shown = runs[[*columns, "NDCG@10", "HR@10"]].assign(sample_users=None)
    pilot = {
        "users": 60,
        "share": 0.5,
        "settings": {"loss": "softmax"},
        "planned": 40,
        "minutes": 1,
        "workers": 2,
        "runs": json.loads(shown.to_json(orient="records")),
    }
    named = {"name": "shop", "hash": log.hash, "notes": ["user: customer"]} | named
    return {
        "schema": 1,
        "metrics": ["NDCG@10", "HR@10"],
        "headline": summarize_advice(findings, "perflaw train shop -o n_layers 2"),
        "command": "perflaw train shop -o n_layers 2",
        "perflaw": "0",
        "log": named | log.summary(),
        "entropy": {"shannon": 3.2, "conditional": None},
        "pilot": pilot,
        "floor": FLOOR,
        "judged": findings.to_dict(),
    }
