"""Make data/neighbours/light_gcn_check.csv and light_gcn_published.csv.

    python scripts/light_gcn_check.py RECBOLE_PYTHON

The first has LightGCN and RecBole's on the same part of ML-100K; the second LightGCN on a random
split, as in a published row. The log is in the folder PERFLAW_DATA. RecBole needs old libraries,
hence an environment of its own, made as benchmarks/training.py says; the argument is its
interpreter. Rows that are in the tables are not made again.
"""

import itertools
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from perflaw.logs import datasets, leave_one_out
from perflaw.models import ranking, ranking_metrics
from perflaw.study.analysis import study_runs
from perflaw.study.files import append_rows, study_file
from perflaw.study.neighbours import light_gcn, light_gcn_check

FOLDER = study_file("data", "neighbours")
KEY = ["implementation", "n_layers", "d_emb", "seed"]


def main() -> None:
    """Train what the tables lack, and write them after each run."""
    torch.set_num_threads(1)
    log = datasets.load_log(light_gcn_check.LOG)
    split = leave_one_out(log)
    path = FOLDER / "light_gcn_check.csv"
    rows = pd.read_csv(path) if path.exists() else find_runs()
    codes = light_gcn_check.OURS, light_gcn_check.THEIRS
    jobs = list(itertools.product(codes, light_gcn_check.CELLS, light_gcn_check.SEEDS))
    for code, cell, seed in tqdm(jobs, desc="same split"):
        if (code, *cell, seed) in set(rows[KEY].itertuples(index=False, name=None)):
            continue
        options = light_gcn.Options(*cell, seed, light_gcn_check.RATE)
        if code == light_gcn_check.OURS:
            row = light_gcn.train_light_gcn(split, options)
        else:
            row = train_recbole(split, options, sys.argv[1])
        rows = append_rows(path, rows, [{"implementation": code} | row], KEY)
    path = FOLDER / "light_gcn_published.csv"
    rows = pd.read_csv(path) if path.exists() else pd.DataFrame(columns=["seed"])
    for seed in tqdm(set(light_gcn_check.SEEDS) - set(rows["seed"]), desc="published split"):
        rows = append_rows(path, rows, [light_gcn_check.train_published(log, seed)], ["seed"])


def find_runs() -> pd.DataFrame:
    """Find our runs of these cells in the table of the chapter."""
    rows = pd.read_csv(FOLDER / "light_gcn.csv")
    is_run = (rows["log"] == light_gcn_check.LOG) & (rows["learning_rate"] == light_gcn_check.RATE)
    cells = pd.DataFrame(light_gcn_check.CELLS, columns=["n_layers", "d_emb"])
    found = rows[is_run].merge(cells)
    found.insert(0, "implementation", light_gcn_check.OURS)
    return found


def train_recbole(split, options: light_gcn.Options, python: str) -> dict:
    """Train RecBole's LightGCN with the same options; return a row as `train_light_gcn` does."""
    settings = {
        "n_layers": options.n_layers,
        "embedding_size": options.d_emb,
        "seed": options.seed,
        "learning_rate": options.learning_rate,
        "train_batch_size": light_gcn.BATCH,
        "reg_weight": light_gcn.WEIGHT_DECAY,
        "require_pow": True,  # squared norms, as in the paper
        "epochs": light_gcn.EPOCHS,
        "stopping_step": light_gcn.PATIENCE - 1,  # RecBole stops when more epochs have passed
    }
    with tempfile.TemporaryDirectory() as folder:
        write_parts(split, Path(folder) / "log")
        script = Path(__file__).with_name("recbole_light_gcn.py")
        subprocess.run([python, script, folder, json.dumps(settings)], check=True)
        found = np.load(Path(folder) / "embeddings.npz")
        final = torch.from_numpy(np.concatenate([found["users"], found["items"]]))
        best_epoch, best, done = (found[name].item() for name in ("best_epoch", "best", "done"))
    scorer = light_gcn.make_scorer(final, split.log.n_users)
    ranked = ranking.rank_targets(scorer, split, split.validation)
    validation = ranking_metrics.ndcg(ranked.ranks, ties=ranked.ties)
    if abs(validation - best) > 1e-4:  # RecBole rounds to four places
        raise RuntimeError(f"NDCG@10 on validation is {validation:.6f} here and {best:.6f} there")
    row = {"log": split.log.name, **options._asdict()}
    row |= {"best_epoch": best_epoch, "done_epochs": done, "repeats": False}
    row |= {"validation NDCG@10": validation}
    return row | study_runs.measure_on_test(scorer, split)


def write_parts(split, folder: Path) -> None:
    """Write the parts of a split as RecBole reads them."""
    folder.mkdir()
    train = pd.DataFrame({"user": split.train.users, "item": split.train.items})
    targets = {name: getattr(split, name) for name in ("validation", "test")}
    parts = {"train": train} | {
        name: pd.DataFrame({"user": split.log.users[at], "item": split.log.items[at]})
        for name, at in targets.items()
    }
    for name, part in parts.items():
        named = part.rename(columns=lambda column: f"{column}:token")
        named.to_csv(folder / f"log.{name}.inter", sep="\t", index=False)


if __name__ == "__main__":
    main()
