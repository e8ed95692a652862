"""Make data/external/joint_errors.csv: the joint law on all public surfaces at once.

The largest d, or the largest N, is hidden on all surfaces of one log while the other logs stay
whole, or on all surfaces at once. Columns: hidden, on (a log, or all), log, backbone, split,
n_layers, d_emb, value, predicted, low, high (the joint law's 90 % interval for one more run).

    python scripts/public_joint.py        # about ten minutes of a core
"""

import warnings

import pandas as pd

from perflaw.laws import mixed, mixed_design
from perflaw.paths import study_folder
from perflaw.study import public_grids

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
            predicted = fitted.predict(asked, "NDCG@10").set_axis(asked.index)
            rows = asked[COLUMNS].join(predicted[["prediction", "low", "high"]])
            parts.append(rows.rename(columns={"prediction": "predicted"}).assign(on=where))
            parts[-1].insert(0, "hidden", kind)
    path = study_folder() / "data" / "external" / "joint_errors.csv"
    written = pd.concat(parts, ignore_index=True)
    written.to_csv(path, index=False, float_format="%.6g", lineterminator="\n")
    print(f"{len(written)} predictions written to {path}")


if __name__ == "__main__":
    warnings.simplefilter("ignore", RuntimeWarning)
    main()
