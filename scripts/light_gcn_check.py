"""Make data/neighbours/light_gcn_check.csv: LightGCN and RecBole's on one training part.

    RECBOLE_PYTHON=INTERPRETER python scripts/light_gcn_check.py [GRID --out TABLE]

What is trained says data/grids/light-gcn-check.yaml, or a GRID in its form. The log is in the
folder PERFLAW_DATA. RecBole needs old libraries, hence an environment of its own, made as
benchmarks/training.py says; RECBOLE_PYTHON names its interpreter. Rows that are in the table are
not made again.
"""

import itertools
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from perflaw.errors import InputError
from perflaw.models import ranking, ranking_metrics
from perflaw.study.analysis import study_runs
from perflaw.study.files import append_rows, study_file
from perflaw.study.neighbours import grid_command, light_gcn, light_gcn_check, script_grids
from perflaw.study.neighbours.script_grids import LoadSplits

KEY = ["implementation", "n_layers", "d_emb", "seed", "learning_rate", "log"]
PYTHON = "RECBOLE_PYTHON"  # names the interpreter


def complete(table: Path, grid: str, load_splits: LoadSplits) -> Iterator[tuple]:
    """Train what the table lacks, run by run."""
    logs, runs = light_gcn_check.read_grid(grid)
    rows = script_grids.load_table(table, KEY, script_grids.MEASURED)
    if rows.empty:
        rows = find_runs(logs, runs)
    splits = load_splits(logs)
    done = script_grids.known_runs(rows, KEY)
    codes = light_gcn_check.OURS, light_gcn_check.THEIRS
    for code, log, options in itertools.product(codes, logs, runs):
        key = (code, *options, log)
        if key in done:
            continue
        train = light_gcn.train_light_gcn if code == light_gcn_check.OURS else train_recbole
        row = {"implementation": code} | train(splits[log], options)
        rows = append_rows(table, rows, [row], KEY)
        yield key


def find_runs(logs: Sequence[str], runs: Sequence[light_gcn.Options]) -> pd.DataFrame:
    """Find our runs among those of the chapter."""
    rows = pd.read_csv(study_file("data", "neighbours", "light_gcn.csv"))
    found = rows[rows["log"].isin(logs)].merge(pd.DataFrame(runs))
    found.insert(0, "implementation", light_gcn_check.OURS)
    return found


def train_recbole(split, options: light_gcn.Options) -> dict:
    """Train RecBole's LightGCN with the same options; return a row as `train_light_gcn` does."""
    python = os.environ.get(PYTHON)
    if not python or not shutil.which(python):
        raise InputError(
            f"{PYTHON} must name the Python that has RecBole, as scripts/{Path(__file__).name} says"
        )
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
    grid_command.run_script(__doc__, "light-gcn-check", complete)
