"""Make the prior of `perflaw.report.forecast`, test it, and write data/forecasts.csv.

    python scripts/forecast.py

The prior comes from the sweeps of SASRec in data/sweeps/. Each coefficient of each log is taken
to be a draw from a normal distribution, whose mean and standard deviation are found by
expectation-maximisation from the posteriors of all logs; START counts as WEIGHT logs more, as
there are few. A log counts once, HR@10 and NDCG@10 and the grids that were trained on it an equal
part each. For the test, the prior is made anew without the log in question.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from perflaw.models.sweeps import grids, results
from perflaw.report import forecast
from perflaw.report.measurements import measured_from_records
from perflaw.report.prior import PRIOR_FILE
from perflaw.study import script_command, trained_cells
from perflaw.study.analysis import growth_prior
from perflaw.study.files import study_file

# By eye, from the published surfaces, the external grids, and the first of these sweeps: a rise
# that saturates, and a slight decline of the largest.
START = {
    "G": (0.2, 0.1),
    "b_d": (-0.015, 0.03),
    "b_N": (0.02, 0.03),
    "c_N": (-0.012, 0.012),
    "b_T": (0.18, 0.08),
    "c_T": (-0.015, 0.02),
    "e_dN": (0.0, 0.01),
    "f_dT": (0.0, 0.02),
    "p": (1.4, 0.5),
    "k": (0.0, 0.35),
    "cell": 0.03,
}
WEIGHT = 2.0
ROUNDS = 8
LEVEL = 0.9
METRICS = ("NDCG@10", "HR@10")
GRIDS = ("survey", "laptop")
CELL = ["n_layers", "d_emb"]
POINT = [*CELL, "tokens"]
COLUMNS = [
    "log",
    "loss",
    "pilot",
    "runs",
    "metric",
    "n_layers",
    "d_emb",
    "tokens",
    "value",
    "seeds",
    "noise",
    "predicted",
    "low",
    "high",
    "covered",
    "hit",
    "unchanged",
    "nearest",
]
Prior = Mapping[str, Any]
Sweeps = dict[tuple[str, str], pd.DataFrame]


def surfaces() -> Sweeps:
    """Load runs of SASRec by log and loss.

    Those of one log and loss differ in layers, dimension, seed and share of the users alone.
    """
    tables = [
        results.read_runs_table(path) for path in sorted(results.sweeps_folder().glob("*.csv"))
    ]
    runs = pd.concat(tables, ignore_index=True).drop_duplicates("key")
    is_wanted = (
        results.is_unperturbed(runs, but="sample_users")
        & (runs["backbone"] == "sasrec")
        & (runs["split"] == "leave one out")
        & ~runs["shared_layers"].astype(bool)
        & (runs["NDCG@10"] > 0)
    )
    sweeps = {}
    for grid in GRIDS:
        settings = grids.read_grid(grid)["settings"]
        of_grid = results.filter_runs(runs[is_wanted], settings)
        for log, rows in of_grid.groupby("log", sort=False):
            n_values = rows[CELL].nunique()
            if n_values["n_layers"] > 1 and n_values["d_emb"] > 2:
                measured = measured_from_records(rows, METRICS)
                sweeps[log, settings["loss"]] = measured.reset_index(drop=True)
    return sweeps


def learn(tables: Sequence[pd.DataFrame], rounds: int = ROUNDS) -> dict[str, Any]:
    """Learn a prior from sweeps of logs, each whole."""
    names = [runs["log"].iloc[0] for runs in tables]
    shares = [1 / names.count(name) / len(METRICS) for name in names]
    weight = np.repeat(shares, len(METRICS))
    prior = dict(START)
    for _ in range(rounds):
        forecasts = [
            forecast.Forecast(runs, metric, prior) for runs in tables for metric in METRICS
        ]
        updated = {}
        for name in (*forecast.COEFFICIENTS, "p", "k"):
            moments = np.array([one.moments(name) for one in forecasts])
            updated[name] = _combine(START[name], moments, weight)
        prior |= updated
    return prior


def _combine(
    start: tuple[float, float], moments: np.ndarray, weight: np.ndarray
) -> tuple[float, float]:
    """Combine the posteriors' means and variances, (posteriors, 2), with the start."""
    mean, variance = moments.T
    start_mean, start_sd = start
    total = WEIGHT + weight.sum()
    middle = (WEIGHT * start_mean + weight @ mean) / total
    start_spread = WEIGHT * (start_sd**2 + (start_mean - middle) ** 2)
    spread = start_spread + weight @ ((mean - middle) ** 2 + variance)
    return float(middle), float(np.sqrt(spread / total))


def pilots(runs: pd.DataFrame) -> Iterator[tuple[str, pd.Series, pd.Series]]:
    """Yield the name of a pilot, which runs it sees, and which are hidden."""

    def is_within(n_layers: int, d_emb: int) -> pd.Series:
        return (runs["n_layers"] <= n_layers) & (runs["d_emb"] <= d_emb)

    is_full = runs["sample_users"].isna()
    tiny, small, large = is_within(2, 16), is_within(3, 32), is_within(8, 64)
    yield "4 times d", tiny, is_full & large & ~tiny
    yield "2 times d", small, is_full & large & ~small
    if (~is_full).sum() >= 4:
        is_hidden = is_full & (runs["n_layers"] == 2) & (runs["d_emb"] >= 16)
        yield "2 times the data", ~is_full, is_hidden


def tested(tables: Sweeps) -> pd.DataFrame:
    """Predict hidden cells with the prior of the other logs, and compare.

    Returns
    -------
    DataFrame
        One row a hidden cell; error in per cent, noises in standard deviations of noise.
    """
    parts = []
    for (log, loss), runs in tables.items():
        prior = learn([other for (name, _), other in tables.items() if name != log])
        for metric in METRICS:
            noise = _relative_noise(runs, metric)
            for pilot, is_seen, is_hidden in pilots(runs):
                seen = runs[is_seen]
                rows = _predict_hidden(seen, runs[is_hidden], metric, prior)
                known = seen[seen["tokens"] == seen["tokens"].max()]
                trained = known.groupby(CELL)[metric].mean()
                parts.append(
                    rows.assign(
                        log=log,
                        loss=loss,
                        metric=metric,
                        pilot=pilot,
                        runs=len(seen),
                        noise=noise,
                        unchanged=trained.max(),
                        nearest=trained_cells.nearest_values(
                            trained.rename("value").reset_index(), rows
                        ),
                    )
                )
    table = pd.concat(parts, ignore_index=True)
    table["error"] = 100 * (table["predicted"] / table["value"] - 1)
    table["noises"] = table["error"].abs() / (100 * table["noise"] / np.sqrt(table["seeds"]))
    return table


def _relative_noise(runs: pd.DataFrame, metric: str) -> float:
    """Estimate the standard deviation of a run between seeds, relative to its value."""
    full = runs[runs["sample_users"].isna()]
    cells = full.groupby(CELL)[metric].agg(["mean", "var"])
    return np.sqrt((cells["var"] / cells["mean"] ** 2).mean())


def _predict_hidden(
    seen: pd.DataFrame, hidden: pd.DataFrame, metric: str, prior: Prior
) -> pd.DataFrame:
    """Predict the hidden cells; covered is the share of their runs in the interval."""
    model = forecast.Forecast(seen.reset_index(drop=True), metric, prior)
    cells = hidden.groupby(POINT)[metric].agg(value="mean", seeds="size").reset_index()
    cells = cells.join(model.interval(cells, LEVEL))
    each = hidden[[*POINT, metric]].merge(cells, on=POINT)
    is_inside = each[metric].between(each["low"], each["high"])
    covered = is_inside.groupby([each[name] for name in CELL]).mean()
    return cells.assign(covered=covered.reindex(pd.MultiIndex.from_frame(cells[CELL])).to_numpy())


def write_prior(prior: Prior, grown_logs: Sequence[str]) -> None:
    """Write the prior, as far as its digits say something, beside where it is from."""
    stored = json.loads(PRIOR_FILE.read_text(encoding="utf-8"))
    stored["growth from"] = list(grown_logs)
    stored["coefficients"] = {name: _rounded(value) for name, value in prior.items()}
    text = json.dumps(stored, indent=1)
    one_line = re.sub(r"\[\s+([^\[\]]*?)\s+\]", lambda m: f"[{' '.join(m[1].split())}]", text)
    PRIOR_FILE.write_text(one_line + "\n", encoding="utf-8")


def _rounded(value: tuple[float, ...] | float) -> list[float] | float:
    if isinstance(value, tuple):
        *means, sd = value
        return [*(float(f"{mean:.3g}") for mean in means), float(f"{sd:.2g}")]
    return value


def main() -> None:
    """Write the prior and the table, and print a summary of the test."""
    tables = surfaces()
    prior = learn(list(tables.values()))
    slopes = growth_prior.estimate_slopes(
        growth_prior.load_growth_runs(), growth_prior.load_baseline_slopes()
    )
    write_prior(prior | growth_prior.learn_growth(slopes), sorted(slopes.index))
    rows = tested(tables)
    size = rows["error"].abs()
    rows["hit"] = (size <= 5) | (rows["noises"] <= 1.5)
    rows["lenient"] = (size <= 5) | (size <= 150 * rows["noise"])
    path = study_file("data", "forecasts.csv")
    rows[COLUMNS].to_csv(path, index=False, float_format="%.6g", lineterminator="\n")
    by_pilot = rows.assign(error=size).groupby(["pilot", "log", "loss", "metric"], sort=False)
    summary = by_pilot.agg(
        runs=("runs", "first"),
        cells=("error", "size"),
        error=("error", "mean"),
        most=("error", "max"),
        noise=("noise", "first"),
        hit=("hit", "mean"),
        lenient=("lenient", "mean"),
        covered=("covered", "mean"),
    )
    print(summary.round(3).to_string())


if __name__ == "__main__":
    pd.set_option("display.width", 200)
    script_command.run_main(main, script_command.make_parser(__doc__))
