"""Make data/neighbours/cetnet.csv: members that learn from each other, and their rivals.

    python scripts/cetnet.py

Rows that are in the table are not trained again: after an interruption the command goes on. The
logs are in the folder PERFLAW_DATA.
"""

import torch
from tqdm import tqdm

from perflaw.logs import datasets, leave_one_out
from perflaw.study.files import study_file
from perflaw.study.neighbours import cetnet_runs


def main() -> None:
    """Train what the table lacks, job by job."""
    torch.set_num_threads(1)
    splits = {log: leave_one_out(datasets.load_log(log)) for log in cetnet_runs.LOGS}
    path = study_file("data", "neighbours", "cetnet.csv")
    for job in tqdm(cetnet_runs.complete_table(path, splits), desc="CETNet"):
        tqdm.write(str(job))


if __name__ == "__main__":
    main()
