"""Make data/external/joint_errors.csv: the joint law on all public surfaces at once.

The largest d, or the largest N, is hidden on all surfaces of one log while the other logs stay
whole, or on all surfaces at once. Columns: hidden, on (a log, or all), log, backbone, split,
n_layers, d_emb, value, predicted, low, high (the joint law's 90 % interval for one more run).
The last three are empty where the visible cells do not determine the law.

    python scripts/public_joint.py        # about ten minutes of a core
"""

import warnings

import numpy as np
import pandas as pd

from perflaw.errors import InputError
from perflaw.laws import mixed, mixed_design
from perflaw.paths import study_folder
from perflaw.study import public_grids, script_command

COLUMNS = ["log", "backbone", "split", "n_layers", "d_emb", "value"]


def main() -> None:
    """Fit, predict and write."""
    surfaces = public_grids.make_surfaces(public_grids.choose_dropout(public_grids.load_runs()))
    names = surfaces[public_grids.SURFACE].agg(", ".join, axis=1)
    table = surfaces.assign(dataset=names, metric="NDCG@10")
    parts = []
    for kind in ("largest d", "largest N"):
        marks = [public_grids.hide(cells, kind) for _, cells in table.groupby("dataset")]
        hidden = pd.concat(marks).reindex(table.index)
        for where in [*table["log"].unique(), "all"]:
            asked = table[hidden & ((table["log"] == where) | (where == "all"))]
            fitted = mixed.fit_mixed(table, mixed_design.JOINT, hide=asked)
            rows = asked[COLUMNS].join(_predict_cells(fitted, asked))
            parts.append(rows.rename(columns={"prediction": "predicted"}).assign(on=where))
            parts[-1].insert(0, "hidden", kind)
    path = study_folder() / "data" / "external" / "joint_errors.csv"
    written = pd.concat(parts, ignore_index=True)
    written.to_csv(path, index=False, float_format="%.6g", lineterminator="\n")
    print(f"{len(written)} predictions written to {path}")


def _predict_cells(fitted: mixed.MixedFit, asked: pd.DataFrame) -> pd.DataFrame:
    """Predict surface by surface; a surface that is not determined gets nan."""
    columns = ["prediction", "low", "high"]
    parts = []
    for name, cells in asked.groupby("dataset"):
        try:
            predicted = fitted.predict(cells, "NDCG@10")[columns].set_axis(cells.index)
        except InputError as error:
            print(f"{name}: {error}")
            predicted = pd.DataFrame(np.nan, cells.index, columns)
        parts.append(predicted)
    return pd.concat(parts)


if __name__ == "__main__":
    warnings.simplefilter("ignore", RuntimeWarning)
    script_command.run_main(main, script_command.make_parser(__doc__))
