"""Published rows against ours: `python benchmarks/published_rows.py [NAME ...] [--device cuda]`.

Trains each row that has no run record yet (in data/rows/, so that it can be stopped and started
again, in several processes too), then writes data/published_rows.csv and data/protocols.csv from
all that have one.
It needs the logs in the folder PERFLAW_DATA: `ml-1m-sasrec` (split S), `ml-1m` (split R),
`amazon-beauty`. `--list` prints the rows and what is missing.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from perflaw.errors import InputError
from perflaw.logs import datasets
from perflaw.logs.interaction_log import leave_one_out
from perflaw.models import ranking
from perflaw.models.training import trainer

ROOT = Path(__file__).parents[1]
TABLE, PROTOCOLS = ROOT / "data" / "published_rows.csv", ROOT / "data" / "protocols.csv"
PAPER = {
    "loss": "bce",
    "learning_rate": 3e-4,
    "final_rate": 1 / 30,
    "warmup_steps": 1000,
    "beta_2": 0.95,
    "weight_decay": 0.1,
    "clip": 1.0,
    "dropout": 0.0,
    "epochs": 40,
    "patience": None,
}
SASREC = {
    "n_layers": 2,
    "d_emb": 64,
    "n_heads": 1,
    "dropout": 0.1,
    "max_seq_len": 200,
    "validate_every": 2,
}
HSTU = {
    "backbone": "hstu",
    "loss": "softmax",
    "d_emb": 50,
    "dropout": 0.2,
    "precision": "bf16",
    "learning_rate": 2e-3,
    "final_rate": 0.05,
    "epochs": 80,
    "patience": None,
    "validate_every": 5,
}
TURNING = "Klenitskiy and Vasilev 2023"
AUTHORS = "the paper, recovered from its figure"
REMOVED, SAMPLED = "all items, history removed", "1 of 2,500 sampled"

ROWS = {  # name: (log, published HR@10, NDCG@10, source, protocol, configuration)
    "sasrec-bce": (
        "ml-1m-sasrec",
        0.2500,
        0.1341,
        TURNING,
        REMOVED,
        SASREC | {"patience": 10, "epochs": 400},
    ),
    "sasrec-softmax": (
        "ml-1m-sasrec",
        0.3152,
        0.1821,
        TURNING,
        REMOVED,
        SASREC | {"loss": "softmax", "precision": "bf16", "patience": 5},
    ),
    "sasrec-sampled": (
        "ml-1m-sasrec",
        0.3152,
        0.1821,
        TURNING + " (full cross-entropy)",
        REMOVED,
        SASREC | {"loss": "sampled_softmax", "negatives": 512, "patience": 5},
    ),
    "beauty-sampled": (
        "amazon-beauty",
        0.0921,
        0.0531,
        "HSTU's repository",
        REMOVED,
        {
            "loss": "sampled_softmax",
            "negatives": 512,
            "d_emb": 64,
            "max_seq_len": 50,
            "dropout": 0.5,
            "patience": 5,
        },
    ),
    "hstu": ("ml-1m", 0.2980, 0.1686, "RecTools, no bias by time", REMOVED, HSTU),
    "llama-paper": (
        "ml-1m-sasrec",
        0.3070,
        0.1732,
        AUTHORS,
        SAMPLED,
        PAPER
        | {"backbone": "llama", "n_layers": 8, "d_emb": 50, "max_seq_len": 100, "batch_size": 8},
    ),
    "hstu-large": (
        "ml-1m",
        0.3294,
        0.1893,
        "HSTU's repository",
        REMOVED,
        HSTU | {"n_layers": 8, "n_heads": 2},
    ),
}


def measure(name, runs, device):
    """Train a row, or read its record."""
    log, *_, values = ROWS[name]
    return trainer.train(
        trainer.make_config(**values), leave_one_out(datasets.load_log(log)), runs, device
    )


def row(name, record, split):
    """A line of the table from a run record."""
    log, hr, ndcg, source, protocol, _ = ROWS[name]
    ranks = np.array(record["ranks"]["test, history removed"])
    told = (
        ranking.sampled_metrics(ranking.ranked_from_ranks(ranks, split, "history"), 2_499)
        if protocol == SAMPLED
        else record["metrics"]["test, history removed"]
    )
    measured = [
        next(value for key, value in told.items() if key.startswith(metric))
        for metric in ("HR@10", "NDCG@10")
    ]
    return {
        "name": name,
        "model": record["configuration"]["backbone"],
        "log": log,
        "split": {"ml-1m-sasrec": "S", "ml-1m": "R"}.get(log, ""),
        "protocol": protocol,
        "published_hr": hr,
        "published_ndcg": ndcg,
        "measured_hr": measured[0],
        "measured_ndcg": measured[1],
        "se_hr": ranking.standard_error(ranks <= 10),
        "se_ndcg": ranking.standard_error(ranking.ndcg_gains(ranks)),
        "epochs": record["epochs"],
        "training_seconds": record["seconds"]["training"],
        "device": record["environment"]["device"],
        "source": source,
        "run": record["key"],
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", help="rows to train; all if none is named")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--runs", default=ROOT / "data" / "rows", type=Path)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--list", action="store_true", help="only say which rows have a run record")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if unknown := set(options.names) - set(ROWS):
        sys.exit(f"there is no row {', '.join(unknown)}; there are {', '.join(ROWS)}")
    if not options.list:
        for name in options.names or ROWS:
            record = measure(name, options.runs, options.device)
            print(
                name,
                record["status"],
                f"NDCG@10 {record['metrics']['test']['NDCG@10']:.4f}"
                if "metrics" in record
                else "",
                flush=True,
            )
    rows, tables = [], []
    for name, (log, *_, values) in ROWS.items():
        split = leave_one_out(datasets.load_log(log))
        path = options.runs / f"{trainer.run_key(trainer.make_config(**values), split)}.json"
        if not path.exists():
            print(f"{name}: open ({path} is not there)")
            continue
        record = trainer.read_record(path)
        rows.append(row(name, record, split))
        told = ranking.protocol_table(
            *(
                ranking.ranked_from_ranks(record["ranks"][part], split, seen)
                for part, seen in ranking.SEEN_BY_PART.items()
            )
        )
        tables.append(told.assign(name=name, log=log, loss=record["configuration"]["loss"]))
        print(
            f"{name}: HR@10 {rows[-1]['measured_hr']:.4f} ({rows[-1]['published_hr']:.4f}), NDCG@10 {rows[-1]['measured_ndcg']:.4f} ({rows[-1]['published_ndcg']:.4f})"
        )
    if rows:
        pd.DataFrame(rows).to_csv(TABLE, index=False, float_format="%.6g", lineterminator="\n")
        columns = ["name", "log", "loss", "protocol", "HR@10", "NDCG@10"]
        pd.concat(tables)[columns].to_csv(
            PROTOCOLS, index=False, float_format="%.6g", lineterminator="\n"
        )


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        sys.exit(str(error))
