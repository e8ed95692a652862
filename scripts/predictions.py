"""Write down what the laws say of models that are not trained yet, from the small half of a grid: data/predictions.csv, or predictions-GRID.csv.

    perflaw sweep small.yaml --log LOG --out RUNS/LOG       # the small half of data/grids/survey.yaml
    python benchmarks/predictions.py RUNS
    perflaw sweep survey --log LOG --out RUNS/LOG           # the rest

`python benchmarks/predictions.py RUNS paper` does so for that grid. Surfaces of which predictions were written before lend the joint law what
data/sweeps has of their small halves. A surface of which a large cell is already trained is left out, as a prediction has to come first, and so is one that lacks more than one cell of its small half.
"""

import sys
import time
import warnings
from pathlib import Path

import pandas as pd

from perflaw.laws import families
from perflaw.models.sweeps import runner
from perflaw.study.analysis import extrapolation, study_runs

DATA = Path(__file__).parent.parent / "data"
SMALL = {
    "survey": extrapolation.SMALL_GRID,
    "paper": (12, 75),
}  # N and d up to which a grid is its small half


def main(folder, grid="survey"):
    path = DATA / ("predictions.csv" if grid == "survey" else f"predictions-{grid}.csv")
    runs = pd.concat(
        [runner.load_runs(at) for at in sorted(Path(folder).iterdir()) if any(at.glob("*.json"))],
        ignore_index=True,
    )
    table = study_runs.mean_surfaces(runner.filter_runs(runs, runner.read_grid(grid)["settings"]))
    cells = pd.DataFrame(
        sorted({(point.config.n_layers, point.config.d_emb) for point in runner.expand_grid(grid)}),
        columns=list(families.AXES),
    )
    is_small = lambda rows, of=SMALL[grid]: (rows["n_layers"] <= of[0]) & (rows["d_emb"] <= of[1])  # noqa: E731
    told = {at: pd.read_csv(at) for at in (DATA / "predictions.csv", path) if at.exists()}
    known = pd.concat([*told.values(), pd.DataFrame({"dataset": []})])["dataset"].unique()
    new = table[~table["dataset"].isin(known)]
    early = set(new["dataset"][~is_small(new)])
    for name in sorted(early):
        print(f"{name}: large cells are already trained; what is said of them now is no prediction")
    new = new[~new["dataset"].isin(early)]
    new = new[
        new.groupby(["dataset", "metric", "max_seq_len"])["metric"].transform("size")
        >= is_small(cells).sum() - 1
    ]
    if new.empty:
        sys.exit("no surface has its small half, and no predictions yet")
    before = study_runs.mean_surfaces(study_runs.load_survey_runs())
    before = before[before["dataset"].isin(known) & is_small(before, extrapolation.SMALL_GRID)]
    found = extrapolation.extrapolate(pd.concat([before, new]), cells[~is_small(cells)])
    found = found[found["dataset"].isin(new["dataset"])].assign(
        written=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    )
    for column in ("predicted", "low", "high"):
        found[column] = [float(f"{value:.6g}") for value in found[column]]
    pd.concat([told.get(path), found]).to_csv(path, index=False, lineterminator="\n")
    print(f"{len(found)} predictions of {found['dataset'].nunique()} surfaces written to {path}")


if __name__ == "__main__":
    warnings.simplefilter("ignore", RuntimeWarning)
    main(*sys.argv[1:])
