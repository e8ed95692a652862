"""Predict models that are not trained yet: data/predictions.csv, or predictions-GRID.csv.

    perflaw sweep small.yaml --log LOG --out RUNS/LOG       # the small half of survey.yaml
    python scripts/predictions.py RUNS
    perflaw sweep survey --log LOG --out RUNS/LOG           # the rest

`python scripts/predictions.py RUNS paper` does so for that grid. Surfaces of which predictions
were written before lend the joint law what data/sweeps has of their small halves. A surface is
left out if a large cell is already trained, as a prediction has to come first, or if it lacks
more than one cell of its small half.

Predictions follow the ranking rule of record, and their column `rule` says "history". Those without
an entry there were written before, under the older rule ("training"), and are judged under it.
"""

import time
import warnings
from pathlib import Path

import pandas as pd

from perflaw.errors import InputError
from perflaw.laws import families
from perflaw.models.ranking import Seen
from perflaw.models.sweeps import grids, results
from perflaw.study import script_command
from perflaw.study.analysis import extrapolation, study_runs
from perflaw.study.files import study_file

FIRST_GRID = "survey"
# N and d up to which a cell of a grid is small.
SMALL_CELLS = {FIRST_GRID: extrapolation.SMALL_GRID, "paper": (12, 75)}
SURFACE = ["dataset", "metric", "max_seq_len"]


def is_small(cells: pd.DataFrame, limits: tuple[int, int]) -> pd.Series:
    """Say which cells are small."""
    return (cells["n_layers"] <= limits[0]) & (cells["d_emb"] <= limits[1])


def load_table(folder: Path, grid: str) -> pd.DataFrame:
    """Load the surfaces of a grid from a folder of folders of records."""
    folders = [path for path in sorted(folder.iterdir()) if any(path.glob("*.json"))]
    if not folders:
        raise InputError(f"{folder} has no folders with run records; give it one for each log")
    runs = pd.concat([results.load_runs(path) for path in folders], ignore_index=True)
    settings = grids.read_grid(grid)["settings"]
    ranked = study_runs.apply_ranking_rule(results.filter_runs(runs, settings))
    return study_runs.mean_surfaces(ranked)


def grid_cells(grid: str) -> pd.DataFrame:
    """List the cells of a grid."""
    sizes = {(point.config.n_layers, point.config.d_emb) for point in grids.expand_grid(grid)}
    return pd.DataFrame(sorted(sizes), columns=list(families.AXES))


def select_new(table: pd.DataFrame, known: set[str], n_small: int, grid: str) -> pd.DataFrame:
    """Select surfaces that may be predicted: not known, small cells only, nearly all of them."""
    new = table[~table["dataset"].isin(known)]
    trained = set(new["dataset"][~is_small(new, SMALL_CELLS[grid])])
    for name in sorted(trained):
        print(f"{name}: large cells are already trained; what is said of them is no prediction")
    new = new[~new["dataset"].isin(trained)]
    n_cells = new.groupby(SURFACE)["metric"].transform("size")
    return new[n_cells >= n_small - 1]


def main(folder: Path, grid: str) -> None:
    """Add the predictions of new surfaces to the file."""
    first = study_file("data", "predictions.csv")
    path = first if grid == FIRST_GRID else study_file("data", f"predictions-{grid}.csv")
    written = {name: pd.read_csv(name) for name in (first, path) if name.exists()}
    known = {dataset for rows in written.values() for dataset in rows["dataset"]}
    cells = grid_cells(grid)
    is_small_cell = is_small(cells, SMALL_CELLS[grid])
    new = select_new(load_table(folder, grid), known, is_small_cell.sum(), grid)
    if new.empty:
        raise InputError(
            f"{folder} has no new surface with its small sizes trained; train those of {grid} first"
        )
    before = study_runs.mean_surfaces(study_runs.load_survey_runs())
    lent = before["dataset"].isin(known) & is_small(before, extrapolation.SMALL_GRID)
    predictions = extrapolation.extrapolate(pd.concat([before[lent], new]), cells[~is_small_cell])
    predictions = predictions[predictions["dataset"].isin(new["dataset"])]
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    rounded = {
        column: [float(f"{value:.6g}") for value in predictions[column]]
        for column in ("predicted", "low", "high")
    }
    predictions = predictions.assign(written=now, rule=str(Seen.HISTORY), **rounded)
    pd.concat([written.get(path), predictions]).to_csv(path, index=False, lineterminator="\n")
    n_surfaces = predictions["dataset"].nunique()
    print(f"{len(predictions)} predictions of {n_surfaces} surfaces written to {path}")


if __name__ == "__main__":
    warnings.simplefilter("ignore", RuntimeWarning)
    parser = script_command.make_parser(__doc__)
    parser.add_argument("folder", type=script_command.folder_of_folders, metavar="RUNS")
    parser.add_argument("grid", nargs="?", choices=SMALL_CELLS, default=FIRST_GRID)
    script_command.run_main(main, parser)
