"""Make data/external/time_to_split.csv from the result files of the study "Time to Split".

The repository monkey0head/time-to-split (commit 5a33f9f; Gusak et al., RecSys 2025,
arXiv 2507.16289) has one file a log, backbone, split and part, of one row a grid point:
data/results/SPLIT/LOG/BACKBONE/final_results/{val,test}.csv. This script reads one table with all
of them (columns log, model, split, part, grid_point, d_emb, n_layers, n_heads, dropout and the
metrics), gives logs and splits the names used here, and keeps every digit.

    python scripts/external_grids.py COLLECTED.csv
"""

import sys
from pathlib import Path

import pandas as pd

TARGET = Path(__file__).parent.parent / "data" / "external" / "time_to_split.csv"
LOGS = {
    "Beauty": "Amazon-Beauty",
    "BeerAdvocate": "BeerAdvocate",
    "Diginetica": "Diginetica",
    "Movielens-1m": "MovieLens-1M",
    "Movielens-20m": "MovieLens-20M",
}
SPLITS = {"leave-one-out": "leave one out", "global-time": "global time"}
KEYS = ["log", "backbone", "split", "grid_point", "part"]


def main(collected: str) -> None:
    """Rename and sort the collected rows, and write them."""
    rows = pd.read_csv(collected, dtype=str).rename(columns={"model": "backbone"})
    rows["log"] = rows["log"].map(LOGS)
    rows["split"] = rows["split"].map(SPLITS)
    rows["grid_point"] = rows["grid_point"].astype(int)
    if rows[KEYS].isna().any(axis=None):
        sys.exit(f"{collected} has a log or a split that is not known here")
    if rows.duplicated(KEYS).any():
        sys.exit(f"{collected} has a run twice")
    rows = rows.sort_values(KEYS, kind="stable")
    rows.to_csv(TARGET, index=False, lineterminator="\n")
    print(f"{len(rows):,} rows of {len(rows) // 2:,} runs written to {TARGET}")


if __name__ == "__main__":
    main(*sys.argv[1:])
