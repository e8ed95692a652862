"""Write down what laws and baselines predict of the grid base-large, before it is trained.

    perflaw sweep data/grids/base.yaml --log LOG --out RUNS/LOG     # what data/sweeps/ has may lack
    python scripts/predict_base.py RUNS/LOG                         # data/predictions-base.csv
    perflaw sweep data/grids/base-large.yaml --log LOG --out RUNS/LOG

The metrics follow the ranking rule of record: where nothing repeats, the whole history is removed.
A cell of base-large of which a run is known already, in the folder or in data/sweeps/, is marked.
Families of laws with exponents are fitted under several bounds.
"""

import time
from pathlib import Path

import pandas as pd

from perflaw.errors import InputError
from perflaw.laws import families, fitting
from perflaw.models.sweeps import grids, results
from perflaw.study import script_command
from perflaw.study.analysis import extrapolation, study_runs
from perflaw.study.files import study_file

GRIDS = study_file("data", "grids")
AXES = list(families.AXES)
N_SEEDS = 3
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


def predict(seen: pd.DataFrame, asked: pd.DataFrame, level: float = 0.9) -> pd.DataFrame:
    """Predict one metric by baselines, without intervals, and by laws, with those of a mean."""
    parts = [extrapolation.baseline_predictions(seen, asked)]
    for name, law in LAWS.items():
        interval = fitting.fit(law, seen, seen["value"].to_numpy()).interval(asked, level)
        bounds = interval[["prediction", "low", "high"]]
        parts.append(asked.assign(law=name, **bounds.rename(columns={"prediction": "predicted"})))
    return pd.concat(parts, ignore_index=True)


def load_base(folder: Path) -> tuple[pd.DataFrame, list[tuple[int, int]]]:
    """Load the runs of base from a folder and the study, and list other cells that have a run."""
    trained = results.load_runs(folder)
    log = trained["log"].iloc[0]
    settings = grids.read_grid(GRIDS / "base.yaml")["settings"]
    settings |= {"backbone": "sasrec", "split": "leave one out", "log": log}
    of_folder = study_runs.apply_ranking_rule(trained)
    runs = pd.concat([of_folder, study_runs.load_study_runs()]).drop_duplicates("key")
    runs = study_runs.select_full_data_runs(runs[runs["seed"] < N_SEEDS], **settings)
    is_base = pd.MultiIndex.from_frame(runs[AXES]).isin(grid_cells("base"))
    sizes = runs[is_base].groupby(AXES).size()
    if (sizes != N_SEEDS).any() or len(sizes) != len(set(grid_cells("base"))):
        raise InputError(
            f"{folder} and data/sweeps lack runs of base on {log}: they have {is_base.sum()}; "
            "train the others first"
        )
    known = [tuple(cell) for cell in runs.loc[~is_base, AXES].drop_duplicates().to_numpy()]
    return runs[is_base], known


def grid_cells(name: str) -> list[tuple[int, int]]:
    """List the sizes of a grid, once a seed."""
    points = grids.expand_grid(GRIDS / f"{name}.yaml")
    return [(point.config.n_layers, point.config.d_emb) for point in points]


def main(folder: Path) -> None:
    """Predict from the records of a folder, and add the predictions to the table."""
    runs, known = load_base(folder)
    log = runs["log"].iloc[0]
    asked = pd.DataFrame(sorted(set(grid_cells("base-large"))), columns=AXES)
    prefix = "" if runs["repeats"].any() else study_runs.HISTORY_REMOVED
    table = study_runs.mean_surfaces(runs)
    parts = [
        predict(seen.reset_index(drop=True), asked).assign(metric=prefix + str(metric))
        for metric, seen in table.groupby("metric")
    ]
    written = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    found = pd.concat(parts, ignore_index=True).assign(log=log, written=written)
    found["known before"] = [tuple(cell) in known for cell in found[AXES].to_numpy()]
    columns = ["log", "metric", "law", *AXES, "predicted", "low", "high", "known before", "written"]
    for column in ("predicted", "low", "high"):
        found[column] = [float(f"{value:.6g}") for value in found[column]]
    path = study_file("data", "predictions-base.csv")
    before = pd.read_csv(path) if path.exists() else None
    pd.concat([before, found[columns]]).to_csv(path, index=False, lineterminator="\n")
    print(f"{len(found)} predictions for {log} written to {path}")


if __name__ == "__main__":
    parser = script_command.make_parser(__doc__)
    parser.add_argument("folder", type=script_command.records_folder, metavar="RUNS/LOG")
    script_command.run_main(main, parser)
