"""Write down what the laws say of models that are not trained yet: data/predictions.csv, from the small half of `survey`.

    perflaw sweep small.yaml --log LOG --out RUNS/LOG       # the small half of data/grids/survey.yaml
    python benchmarks/predictions.py RUNS
    perflaw sweep survey --log LOG --out RUNS/LOG           # the rest

A surface of which a large cell is already trained is left out: a prediction has to come first.
"""

import sys
import time
import warnings
from pathlib import Path

import pandas as pd

from perflaw import evidence, laws, sweeps

ASKED = pd.DataFrame([*((6, d) for d in (16, 32, 64)), *((n, 64) for n in (1, 2, 3))], columns=list(laws.AXES))
PATH = Path(__file__).parent.parent / "data" / "predictions.csv"


def main(folder):
    runs = pd.concat([sweeps.load(path) for path in sorted(Path(folder).iterdir()) if any(path.glob("*.json"))], ignore_index=True)
    table = evidence.surfaces(sweeps.having(runs, sweeps.read_grid("survey")["settings"]))
    small = (table["n_layers"] <= evidence.SMALL[0]) & (table["d_emb"] <= evidence.SMALL[1])
    known = pd.read_csv(PATH) if PATH.exists() else pd.DataFrame({"dataset": []})
    new = table[~table["dataset"].isin(known["dataset"])]
    early = set(new["dataset"][~small])
    for name in sorted(early):
        print(f"{name}: large cells are already trained; what is said of them now is no prediction")
    new = new[~new["dataset"].isin(early)]
    new = new[new.groupby("dataset")["metric"].transform("size") == 2 * 9]
    if new.empty:
        sys.exit("no surface has all nine cells of its small half, and no predictions yet")
    seen = pd.concat([table[small & table["dataset"].isin(known["dataset"])], new])
    told = evidence.foretell(seen, ASKED)
    told = told[~told["dataset"].isin(known["dataset"])].assign(written=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()))
    for column in ("predicted", "low", "high"):
        told[column] = [float(f"{value:.6g}") for value in told[column]]
    (pd.concat([known, told]) if len(known) else told).to_csv(PATH, index=False, lineterminator="\n")
    print(f"{len(told)} predictions of {told['dataset'].nunique()} surfaces written to {PATH}")


if __name__ == "__main__":
    warnings.simplefilter("ignore", RuntimeWarning)
    main(*sys.argv[1:])
