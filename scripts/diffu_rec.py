"""Make data/neighbours/diffu_rec.csv: DiffuRec over blocks, dimensions and seeds on two logs.

    python scripts/diffu_rec.py

The learning rate of a log is chosen on one cell by validation; its other rates stay in the table.
On that cell of the first log more seeds are trained at one rate, for the check against the authors'
code, and other numbers of diffusion steps are tried. Rows that are in the
table are not trained again: after an interruption the command goes on. The logs are in the folder
PERFLAW_DATA.
"""

import itertools

import pandas as pd
import torch
from tqdm import tqdm

from perflaw.logs import datasets, leave_one_out
from perflaw.study.files import append_rows, study_file
from perflaw.study.neighbours import diffu_rec, model_laws

LAYERS = (1, 2)
DIMENSIONS = (4, 8, 16, 32)
SEEDS = (0, 1)
RATES = (0.003, 0.01)  # of Adam
CHECKED_SEEDS = (1, 2)  # beside that of the tuned cell, at the first rate
STEPS = (8,)  # beside diffu_rec.STEPS
KEY = [*diffu_rec.CELL, "learning_rate", "n_steps"]


def main() -> None:
    """Train what the table lacks, seed by seed, and write it after each run."""
    torch.set_num_threads(1)
    path = study_file("data", "neighbours", "diffu_rec.csv")
    rows = pd.read_csv(path) if path.exists() else pd.DataFrame(columns=KEY)
    splits = {log: leave_one_out(datasets.load_log(log)) for log in model_laws.LOGS}
    first, tuned = model_laws.LOGS[0], tuple(model_laws.TUNED.values())
    tuning = itertools.product(model_laws.LOGS, RATES)
    cells = itertools.product(SEEDS, DIMENSIONS, LAYERS, model_laws.LOGS)
    jobs = [(log, *tuned, rate, diffu_rec.STEPS) for log, rate in tuning]
    jobs += [(first, *tuned[:2], seed, RATES[0], diffu_rec.STEPS) for seed in CHECKED_SEEDS]
    jobs += [(log, n, d_emb, seed, None, diffu_rec.STEPS) for seed, d_emb, n, log in cells]
    jobs += [(first, *tuned, None, n_steps) for n_steps in STEPS]
    for log, n_layers, d_emb, seed, given_rate, n_steps in tqdm(jobs, desc="DiffuRec"):
        rate = given_rate or model_laws.choose_rate(rows, log)
        job = (log, n_layers, d_emb, seed, rate, n_steps)
        if job in set(rows[KEY].itertuples(index=False, name=None)):
            continue
        row = diffu_rec.train_diffu_rec(splits[log], *job[1:])
        rows = append_rows(path, rows, [row])


if __name__ == "__main__":
    main()
