"""Make the tables of data/neighbours that take more than a page should.

python scripts/neighbours.py robust-fits
python scripts/neighbours.py counts user-groups  # read the logs of PERFLAW_DATA
"""

import pandas as pd

from perflaw.logs import datasets, leave_one_out
from perflaw.study import public_grids, script_command
from perflaw.study.files import study_file
from perflaw.study.neighbours import forecastability, robust_fits, user_groups

FOLDER = study_file("data", "neighbours")
WITH_CLOCK = ("foursquare-5k", "gowalla-1k", "ml-100k", "online-retail")


def write_robust_fits():
    """Fit every surface of the public grids robustly; RANSAC with ten seeds."""
    return {"robust_fits": robust_fits.compare_robust_fits(public_grids.load_runs())}


def write_counts():
    """Count by day what happens in the four logs that have a clock."""
    logs = map(datasets.load_log, WITH_CLOCK)
    return {"counts": pd.concat(map(forecastability.count_by_day, logs))}


def write_user_groups():
    """Say of the users of two logs how active they are, and how popular their targets."""
    splits = (leave_one_out(datasets.load_log(name)) for name in user_groups.DEPTHS)
    return {"user_groups": pd.concat(map(user_groups.describe_users, splits))}


TASKS = {
    "robust-fits": write_robust_fits,
    "counts": write_counts,
    "user-groups": write_user_groups,
}


def main(tasks):
    """Write the tables of the tasks that are named."""
    for task in tasks:
        for name, table in TASKS[task]().items():
            path = FOLDER / f"{name}.csv"
            path.parent.mkdir(exist_ok=True)
            table.to_csv(path, index=False, lineterminator="\n", float_format="%.6g")
            print(path, len(table))


if __name__ == "__main__":
    parser = script_command.make_parser(__doc__)
    parser.add_argument("tasks", nargs="+", choices=TASKS)
    script_command.run_main(main, parser)
