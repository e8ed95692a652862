"""Make the tables of data/neighbours that take more than a page should.

python scripts/neighbours.py robust-fits
python scripts/neighbours.py counts        # reads the logs of PERFLAW_DATA
"""

import sys

import pandas as pd

from perflaw.logs import datasets
from perflaw.study import public_grids
from perflaw.study.files import study_file
from perflaw.study.neighbours import forecastability, robust_fits

FOLDER = study_file("data", "neighbours")


def write_robust_fits():
    """Fit every surface of the public grids robustly; RANSAC with ten seeds."""
    table = robust_fits.compare_robust_fits(public_grids.load_runs())
    return {"robust_fits": table}


def write_counts():
    """Count by day what happens in the four logs that have a clock."""
    logs = ("foursquare-5k", "gowalla-1k", "ml-100k", "online-retail")
    return {"counts": pd.concat(forecastability.count_by_day(datasets.load_log(n)) for n in logs)}


TASKS = {"robust-fits": write_robust_fits, "counts": write_counts}


def main():
    """Write the tables of the tasks that are named."""
    for task in sys.argv[1:]:
        for name, table in TASKS[task]().items():
            path = FOLDER / f"{name}.csv"
            path.parent.mkdir(exist_ok=True)
            table.to_csv(path, index=False, lineterminator="\n", float_format="%.6g")
            print(path, len(table))


if __name__ == "__main__":
    main()
