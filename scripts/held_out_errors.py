"""Write data/published/held_out_errors.csv: every law's error on hidden cells, log by log.

`python benchmarks/held_out_errors.py`, under two minutes on one core. Columns: law, split,
log and mape (mean absolute percentage error over the cells of a surface, then over the
surfaces of the log; the log 'all' is the mean over all surfaces). Laws called joint see
every surface at once, the others one at a time.
"""

import pandas as pd

from perflaw.laws import families, fitting, mixed
from perflaw.study.paper import published


def main():
    points = published.load_surfaces()
    cells = pd.concat(
        [
            fitting.heldout_by_surface(families.rival_laws(), points, published.SURFACE),
            mixed.mixed_heldout(points),
        ],
        ignore_index=True,
    )
    by_log = fitting.mean_errors(cells, published.SURFACE, keep=["dataset"]).rename(
        columns={"dataset": "log"}
    )
    overall = fitting.mean_errors(cells, published.SURFACE).assign(log="all")
    table = pd.concat([by_log, overall], ignore_index=True)[["law", "split", "log", "mape"]]
    table.round(4).to_csv(published.FOLDER / "held_out_errors.csv", index=False)
    print(overall.pivot(index="law", columns="split", values="mape").round(2).to_string())


if __name__ == "__main__":
    main()
