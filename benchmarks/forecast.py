"""The prior of `perflaw.report.forecast`, from the sweeps of SASRec in data/sweeps/, and the forecasts put to the test on logs that it has not seen.

Each coefficient of each log is taken to be a draw from a normal distribution, whose mean and deviation are found by
expectation-maximisation from the posteriors of all logs; START counts as WEIGHT logs more, as there are few. A log counts once, HR@10 and
NDCG@10 and the grids that were trained on it an equal part each. For the test, the prior is made anew without the log that is asked about.

    python benchmarks/forecast.py          # perflaw/report/prior.json; then the test, and data/forecasts.csv
"""

import json
import re

import numpy as np
import pandas as pd

from perflaw.logs.perturbations import PERTURBATIONS
from perflaw.models.sweeps import runner
from perflaw.paths import HOME
from perflaw.report import forecast
from perflaw.report.measurements import measured_from_records
from perflaw.report.prior import PRIOR_FILE

START = {  # by eye, from the published surfaces, the sweep by others, and the first of these: a rise that saturates, and a slight decline of the largest
    "G": (0.2, 0.1), "b_d": (-0.015, 0.03), "b_N": (0.02, 0.03), "c_N": (-0.012, 0.012), "b_T": (0.18, 0.08), "c_T": (-0.015, 0.02),
    "e_dN": (0.0, 0.01), "f_dT": (0.0, 0.02), "p": (1.4, 0.5), "k": (0.0, 0.35), "cell": 0.03,
}  # fmt: skip
WEIGHT = 2.0
METRICS = ("NDCG@10", "HR@10")
GRIDS = ("survey", "laptop")


def surfaces() -> dict[tuple, pd.DataFrame]:
    """Runs of SASRec of the grids GRIDS by log and loss, which differ in layers, dimension, seed and share of the users alone."""
    runs = pd.concat(
        [runner.read_runs_table(path) for path in sorted(runner.SWEEPS_FOLDER.glob("*.csv"))],
        ignore_index=True,
    ).drop_duplicates("key")
    others = [name for name in PERTURBATIONS if name != "sample_users"]
    runs = runs[
        runs[others].isna().all(axis=1)
        & (runs["backbone"] == "sasrec")
        & (runs["split"] == "leave one out")
        & ~runs["shared_layers"].astype(bool)
        & (runs["NDCG@10"] > 0)
    ]
    found = {}
    for grid in GRIDS:
        settings = runner.read_grid(grid)["settings"]
        for log, rows in runner.filter_runs(runs, settings).groupby("log", sort=False):
            if rows["n_layers"].nunique() > 1 and rows["d_emb"].nunique() > 2:
                found[log, settings["loss"]] = measured_from_records(rows, METRICS).reset_index(drop=True)
    return found


def learn(tables: list[pd.DataFrame], rounds: int = 8) -> dict:
    """A prior from sweeps of logs, each whole."""
    names = [runs["log"].iloc[0] for runs in tables]
    weight = np.repeat([1 / names.count(name) / len(METRICS) for name in names], len(METRICS))
    prior = dict(START)
    for _ in range(rounds):
        found = [forecast.Forecast(runs, metric, prior) for runs in tables for metric in METRICS]
        moments = {
            name: [one.moments(name) for one in found]
            for name in (*forecast.COEFFICIENTS, "p", "k")
        }
        for name, told in moments.items():
            mean, variance = np.array(told).T
            first, sd = START[name]
            middle = (WEIGHT * first + weight @ mean) / (WEIGHT + weight.sum())
            spread = WEIGHT * (sd**2 + (first - middle) ** 2) + weight @ (
                (mean - middle) ** 2 + variance
            )
            prior[name] = float(middle), float(np.sqrt(spread / (WEIGHT + weight.sum())))
    return prior


def pilots(runs: pd.DataFrame):
    """What is seen and what is hidden, by name."""
    small = lambda n, d: (runs["n_layers"] <= n) & (runs["d_emb"] <= d)  # noqa: E731
    whole = runs["sample_users"].isna()
    yield "4 times d", small(2, 16), whole & small(8, 64) & ~small(2, 16)
    yield "2 times d", small(3, 32), whole & small(8, 64) & ~small(3, 32)
    if (~whole).sum() >= 4:
        yield "2 times the data", ~whole, whole & (runs["n_layers"] == 2) & (runs["d_emb"] >= 16)


def tested(tables: dict[tuple, pd.DataFrame], level: float = 0.9) -> pd.DataFrame:
    """One row a hidden cell: what was foretold with the prior of the other logs, and what came."""
    rows = []
    for key, runs in tables.items():
        prior = learn([other for (log, *_), other in tables.items() if log != key[0]])
        for metric in METRICS:
            whole = runs[runs["sample_users"].isna()]
            cells = whole.groupby(["n_layers", "d_emb"])[metric].agg(["mean", "var", "size"])
            noise = np.sqrt((cells["var"] / cells["mean"] ** 2).mean())
            for pilot, seen, hidden in pilots(runs):
                known = (
                    runs[seen & (runs["tokens"] == runs.loc[seen, "tokens"].max())]
                    .groupby(["n_layers", "d_emb"])[metric]
                    .mean()
                )
                told = forecast.Forecast(runs[seen].reset_index(drop=True), metric, prior)
                found = (
                    runs[hidden]
                    .groupby(["n_layers", "d_emb", "tokens"])[metric]
                    .agg(value="mean", seeds="size")
                    .reset_index()
                )
                found = found.join(told.interval(found, level)).assign(
                    log=key[0],
                    loss=key[1],
                    metric=metric,
                    pilot=pilot,
                    runs=int(seen.sum()),
                    noise=noise,
                    unchanged=known.max(),
                )
                each = runs[hidden].merge(
                    found, on=["n_layers", "d_emb", "tokens"], suffixes=("", " of")
                )
                inside = (
                    each[metric]
                    .between(each["low"], each["high"])
                    .groupby([each["n_layers"], each["d_emb"]])
                    .mean()
                )
                rows.append(
                    found.assign(
                        covered=inside.reindex(
                            pd.MultiIndex.from_frame(found[["n_layers", "d_emb"]])
                        ).to_numpy()
                    )
                )
    found = pd.concat(rows, ignore_index=True)
    found["error"] = 100 * (found["predicted"] / found["value"] - 1)
    found["noises"] = found["error"].abs() / (100 * found["noise"] / np.sqrt(found["seeds"]))
    return found


def write_prior(prior: dict):
    """Write the prior, as far as its digits say something, beside where it was from."""
    stored = json.loads(PRIOR_FILE.read_text(encoding="utf-8"))
    stored["coefficients"] = {
        name: [float(f"{value[0]:.3g}"), float(f"{value[1]:.2g}")] if isinstance(value, tuple) else value
        for name, value in prior.items()
    }
    text = json.dumps(stored, indent=1)
    text = re.sub(r"\[\s+([^\[\]]*?)\s+\]", lambda match: "[" + " ".join(match[1].split()) + "]", text)
    PRIOR_FILE.write_text(text + "\n", encoding="utf-8")


def main():
    tables = surfaces()
    prior = learn(list(tables.values()))
    write_prior(prior)
    found = tested(tables)
    found["hit"] = (found["error"].abs() <= 5) | (found["noises"] <= 1.5)
    found["lenient"] = (found["error"].abs() <= 5) | (found["error"].abs() <= 150 * found["noise"])
    shown = found.assign(error=found["error"].abs()).groupby(
        ["pilot", "log", "loss", "metric"], sort=False
    )
    columns = [
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
    ]
    found[columns].to_csv(
        HOME / "data" / "forecasts.csv", index=False, float_format="%.6g", lineterminator="\n"
    )
    print(
        shown.agg(
            runs=("runs", "first"),
            cells=("error", "size"),
            error=("error", "mean"),
            most=("error", "max"),
            noise=("noise", "first"),
            hit=("hit", "mean"),
            lenient=("lenient", "mean"),
            covered=("covered", "mean"),
        )
        .round(3)
        .to_string()
    )
    return found


if __name__ == "__main__":
    pd.set_option("display.width", 200)
    main()
