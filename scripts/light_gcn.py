"""Make data/neighbours/light_gcn.csv: LightGCN over layers, dimensions and seeds on two logs.

    python scripts/light_gcn.py

The learning rate of a log is chosen on one cell by validation; its other rates stay in the table.
Rows that are in the table are not trained again: after an interruption the command goes on. The
logs are in the folder PERFLAW_DATA.
"""

import itertools

import pandas as pd
import torch
from tqdm import tqdm

from perflaw.logs import datasets, leave_one_out
from perflaw.study.files import append_rows, study_file
from perflaw.study.neighbours import light_gcn, model_laws

LAYERS = (1, 2, 3, 4, 0)
DIMENSIONS = (8, 16, 32, 64)
SEEDS = (0, 1)
RATES = (0.01, 0.03, 0.1)  # of Adam
KEY = [*light_gcn.CELL, "learning_rate"]


def main() -> None:
    """Train what the table lacks, seed by seed, and write it after each run."""
    torch.set_num_threads(1)
    path = study_file("data", "neighbours", "light_gcn.csv")
    rows = pd.read_csv(path) if path.exists() else pd.DataFrame(columns=KEY)
    splits = {log: leave_one_out(datasets.load_log(log)) for log in model_laws.LOGS}
    tuning = itertools.product(model_laws.LOGS, [model_laws.TUNED], RATES)
    cells = itertools.product(SEEDS, LAYERS, DIMENSIONS, model_laws.LOGS)
    jobs = [(log, *cell.values(), rate) for log, cell, rate in tuning]
    jobs += [(log, n_layers, d_emb, seed, None) for seed, n_layers, d_emb, log in cells]
    for log, n_layers, d_emb, seed, given_rate in tqdm(jobs, desc="LightGCN"):
        rate = given_rate or model_laws.choose_rate(rows, log)
        if (log, n_layers, d_emb, seed, rate) in set(rows[KEY].itertuples(index=False, name=None)):
            continue
        options = light_gcn.Options(n_layers, d_emb, seed, rate)
        row = light_gcn.train_light_gcn(splits[log], options)
        rows = append_rows(path, rows, [row])


if __name__ == "__main__":
    main()
