"""Make data/external/time_to_split.csv from the result files of the study "Time to Split".

The repository monkey0head/time-to-split (commit 5a33f9f; Gusak et al., RecSys 2025,
arXiv 2507.16289) has one file a log, backbone, split and part, of one row a grid point:
data/results/SPLIT/LOG/BACKBONE/final_results/{val,test}.csv. This script reads one table with all
of them (columns log, model, split, part, grid_point, d_emb, n_layers, n_heads, dropout and the
metrics), gives logs and splits the names used here, and keeps every digit.

    python scripts/external_grids.py COLLECTED.csv
"""

from pathlib import Path

import pandas as pd

from perflaw.errors import InputError
from perflaw.study import script_command
from perflaw.study.files import study_file

LOGS = {
    "Beauty": "Amazon-Beauty",
    "BeerAdvocate": "BeerAdvocate",
    "Diginetica": "Diginetica",
    "Movielens-1m": "MovieLens-1M",
    "Movielens-20m": "MovieLens-20M",
}
SPLITS = {"leave-one-out": "leave one out", "global-time": "global time"}
KEYS = ["log", "backbone", "split", "grid_point", "part"]


def read_rows(collected: Path) -> pd.DataFrame:
    """Read the collected rows as text, so that every digit is kept."""
    try:
        rows = pd.read_csv(collected, dtype=str).rename(columns={"model": "backbone"})
    except (OSError, ValueError) as error:
        reason = str(error).split("\n")[0]
        raise InputError(f"{collected} is no CSV table ({reason}); name another file") from None
    if missing := [name for name in KEYS if name not in rows]:
        column = {"backbone": "model"}.get(missing[0], missing[0])
        raise InputError(f"{collected} has no column {column!r}; collect the files with it")
    return rows


def main(collected: Path) -> None:
    """Rename and sort the collected rows, and write them."""
    rows = read_rows(collected)
    rows["log"] = rows["log"].map(LOGS)
    rows["split"] = rows["split"].map(SPLITS)
    points = pd.to_numeric(rows["grid_point"], errors="coerce")
    rows["grid_point"] = points.where(points % 1 == 0).astype("Int64")
    if (unknown := rows[KEYS].isna().any()).any():
        raise InputError(
            f"{collected} has a {unknown.idxmax()} that is missing or not known here; correct it"
        )
    if (again := rows.duplicated(KEYS)).any():
        first = ", ".join(f"{name} {rows.loc[again, name].iloc[0]}" for name in KEYS)
        raise InputError(f"{collected} has a run twice ({first}); leave one out")
    rows = rows.sort_values(KEYS, kind="stable")
    target = study_file("data", "external", "time_to_split.csv")
    rows.to_csv(target, index=False, lineterminator="\n")
    print(f"{len(rows):,} rows of {len(rows) // 2:,} runs written to {target}")


if __name__ == "__main__":
    parser = script_command.make_parser(__doc__)
    parser.add_argument("collected", type=script_command.existing_file, metavar="COLLECTED.csv")
    script_command.run_main(main, parser)
