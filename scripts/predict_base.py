"""Write down what laws and baselines predict of the grid base-large, before it is trained.

    perflaw sweep data/grids/base.yaml --log LOG --out RUNS/LOG     # what data/sweeps/ has may lack
    python scripts/predict_base.py RUNS/LOG                         # data/predictions-base.csv
    perflaw sweep data/grids/base-large.yaml --log LOG --out RUNS/LOG

The metrics follow the ranking rule of record: where nothing repeats, the whole history is removed.
A cell of base-large of which a run is known already, in the folder or in data/sweeps/, is marked.
Families of laws with exponents are fitted under several bounds.
"""

import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd

from perflaw.laws import families, fitting
from perflaw.models.sweeps import grids, results
from perflaw.study.analysis import study_runs

DATA = Path(__file__).parent.parent / "data"
AXES = list(families.AXES)
LAWS = {
    "log-linear": families.log_linear(),
    "log-quadratic": families.log_quadratic(),
    "sum of power laws, exponents 0 to 3": families.sum_of_powers(),
    "sum of power laws, exponents -3 to 3": families.with_bounds(
        families.sum_of_powers(), -3.0, 3.0
    ),
    "power law of parameters": families.parameter_power(),
    "Performance Law, k = 2, exponents -3 to 3": families.performance(),
    "Performance Law, k = 2, exponents -1 to 1": families.with_bounds(
        families.performance(), -1.0, 1.0
    ),
    "Performance Law, k = 2, exponents -0.5 to 0.5": families.with_bounds(
        families.performance(), -0.5, 0.5
    ),
}


def baselines(seen: pd.DataFrame, asked: pd.DataFrame) -> dict[str, np.ndarray]:
    """Predict by the mean of the cells seen, the nearest one, and the best one by validation."""
    distance = np.log(asked[AXES].to_numpy())[:, None] - np.log(seen[AXES].to_numpy(float))
    nearest = (distance**2).sum(axis=2).argmin(axis=1)
    values = seen["value"].to_numpy()
    return {
        "constant": np.full(len(asked), values.mean()),
        "nearest trained cell": values[nearest],
        "best trained cell": np.full(len(asked), values[seen["validation"].to_numpy().argmax()]),
    }


def predictions(seen: pd.DataFrame, asked: pd.DataFrame, level: float = 0.9) -> pd.DataFrame:
    """Predict by baselines, without intervals, and by laws, with intervals for a mean over seeds."""
    parts = [
        asked.assign(law=name, predicted=values) for name, values in baselines(seen, asked).items()
    ]
    for name, law in LAWS.items():
        found = fitting.fit(law, seen, seen["value"].to_numpy()).interval(asked, level)
        parts.append(
            asked.assign(
                law=name, predicted=found["prediction"], low=found["low"], high=found["high"]
            )
        )
    return pd.concat(parts, ignore_index=True)


def main(folder: str) -> None:
    """Predict from the records of a folder, and add the predictions to the table."""
    path = DATA / "predictions-base.csv"
    settings = grids.read_grid(DATA / "grids" / "base.yaml")["settings"] | {
        "backbone": "sasrec",
        "split": "leave one out",
    }
    trained = results.load_runs(folder)
    log = trained["log"].iloc[0]
    runs = pd.concat([trained, study_runs.load_study_runs()]).drop_duplicates("key")
    runs = study_runs.select_full_data_runs(runs[runs["seed"] < 3], **settings, log=log)
    cells = [
        (point.config.n_layers, point.config.d_emb)
        for point in grids.expand_grid(DATA / "grids" / "base.yaml")
    ]
    large = grids.expand_grid(DATA / "grids" / "base-large.yaml")
    asked = pd.DataFrame(
        sorted({(point.config.n_layers, point.config.d_emb) for point in large}), columns=AXES
    )
    small = pd.MultiIndex.from_frame(runs[AXES]).isin(cells)
    prefix = "" if runs["repeats"].any() else "removed "
    if (runs[small].groupby(AXES).size() != 3).any() or small.sum() != len(cells):
        sys.exit(
            f"{folder} and data/sweeps have {small.sum()} of the {len(cells)} runs of base on {log}"
        )
    known = {tuple(cell) for cell in runs.loc[~small, AXES].to_numpy()}
    written = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    parts = []
    for metric in ("HR@10", "NDCG@10"):
        of_cell = runs[small].groupby(AXES)
        seen = of_cell.agg(
            value=(prefix + metric, "mean"), validation=(f"validation {metric}", "mean")
        ).reset_index()
        parts.append(
            predictions(seen, asked).assign(log=log, metric=prefix + metric, written=written)
        )
    found = pd.concat(parts, ignore_index=True)
    found["known before"] = [tuple(cell) in known for cell in found[AXES].to_numpy()]
    found = found[
        ["log", "metric", "law", *AXES, "predicted", "low", "high", "known before", "written"]
    ]
    for column in ("predicted", "low", "high"):
        found[column] = [float(f"{value:.6g}") for value in found[column]]
    before = pd.read_csv(path) if path.exists() else None
    pd.concat([before, found]).to_csv(path, index=False, lineterminator="\n")
    print(f"{len(found)} predictions for {log} written to {path}")


if __name__ == "__main__":
    main(sys.argv[1])
