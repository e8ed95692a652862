"""Make data/published/held_out_errors.csv: every law's error on hidden cells, log by log.

    python scripts/held_out_errors.py

Columns: law, split, log and mape (mean absolute percentage error over the cells of a surface,
then over the surfaces of the log; the log 'all' is the mean over all surfaces). Laws called joint
see every surface at once, the others one at a time. It takes under two minutes on one core.
"""

import pandas as pd

from perflaw.laws import families, mixed_validation, validation
from perflaw.study.files import study_file
from perflaw.study.paper import published


def main() -> None:
    """Write the table, and print the means over all surfaces."""
    points = published.load_surfaces()
    alone = validation.heldout_by_surface(families.rival_laws(), points, published.SURFACE)
    cells = pd.concat([alone, mixed_validation.mixed_heldout(points)], ignore_index=True)
    by_log = validation.mean_errors(cells, published.SURFACE, keep=["dataset"])
    overall = validation.mean_errors(cells, published.SURFACE).assign(log="all")
    parts = [by_log.rename(columns={"dataset": "log"}), overall]
    table = pd.concat(parts, ignore_index=True)[["law", "split", "log", "mape"]]
    path = study_file("data", "published", "held_out_errors.csv")
    table.round(4).to_csv(path, index=False)
    shown = overall.pivot_table(index="law", columns="split", values="mape")
    print(shown.round(2).to_string())


if __name__ == "__main__":
    main()
