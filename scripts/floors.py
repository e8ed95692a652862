"""Make data/floors.csv: count-based baselines, by both rules of ranking.

    python scripts/floors.py

The logs are those in the folder PERFLAW_DATA. Tied items count by their expectation under a random
order.
"""

import pandas as pd

from perflaw.errors import InputError
from perflaw.logs import datasets
from perflaw.logs.splits import leave_one_out
from perflaw.models import baselines
from perflaw.study import script_command
from perflaw.study.analysis import study_runs
from perflaw.study.files import study_file


def main() -> None:
    """Write the table, a line a log and baseline."""
    names = list(datasets.local_logs())
    if not names:
        raise InputError("PERFLAW_DATA names no folder of logs; set it to one")
    rows = []
    for name in names:
        split = leave_one_out(datasets.load_log(name))
        for recommender in baselines.BASELINES:
            scorer = baselines.BASELINES[recommender](split)
            row = {"log": name, "recommender": recommender}
            row |= study_runs.measure_on_test(scorer, split)
            rows.append(row)
            print(*row.values(), flush=True)
    path = study_file("data", "floors.csv")
    pd.DataFrame(rows).to_csv(path, index=False, float_format="%.6g", lineterminator="\n")


if __name__ == "__main__":
    script_command.run_main(main, script_command.make_parser(__doc__))
