"""Make data/published_rows.csv and data/protocols.csv: published rows against ours.

    python scripts/published_rows.py [NAME ...] [--device cuda]

Trains each row that has no run record yet (in data/rows/, so that it can be stopped and started
again, in several processes too), then writes both tables from all that have one. It needs the
logs in the folder PERFLAW_DATA: `ml-1m-sasrec` (split S), `ml-1m` (split R), `amazon-beauty`.
`--list` prints the rows and what is missing.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from perflaw.errors import InputError
from perflaw.logs import datasets
from perflaw.logs.splits import Split, leave_one_out
from perflaw.models import configuration, protocols, ranking_metrics
from perflaw.models.training import preparation, run_records, trainer
from perflaw.study import script_command
from perflaw.study.files import study_file

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
BEAUTY = {
    "loss": "sampled_softmax",
    "negatives": 512,
    "d_emb": 64,
    "max_seq_len": 50,
    "dropout": 0.5,
    "patience": 5,
}
LLAMA = {"backbone": "llama", "n_layers": 8, "d_emb": 50, "max_seq_len": 100, "batch_size": 8}
TURNING = "Klenitskiy and Vasilev 2023"
AUTHORS = "the paper, recovered from its figure"
REMOVED, SAMPLED = "all items, history removed", "1 of 2,500 sampled"
DRAWN_ITEMS = 2_499
RANKS = "test, history removed"
SPLIT_NAMES = {"ml-1m-sasrec": "S", "ml-1m": "R"}
PROTOCOL_COLUMNS = ["name", "log", "loss", "protocol", "HR@10", "NDCG@10"]


@dataclass(frozen=True)
class PublishedRow:
    """A published row, and the configuration that is trained for it."""

    log: str
    hit_rate: float
    ndcg: float
    source: str
    protocol: str
    configuration: Mapping[str, Any]

    @property
    def config(self) -> configuration.Config:
        """The configuration, checked."""
        return configuration.make_config(**self.configuration)


ROWS = {
    "sasrec-bce": PublishedRow(
        "ml-1m-sasrec",
        0.2500,
        0.1341,
        TURNING,
        REMOVED,
        SASREC | {"patience": 10, "epochs": 400},
    ),
    "sasrec-softmax": PublishedRow(
        "ml-1m-sasrec",
        0.3152,
        0.1821,
        TURNING,
        REMOVED,
        SASREC | {"loss": "softmax", "precision": "bf16", "patience": 5},
    ),
    "sasrec-sampled": PublishedRow(
        "ml-1m-sasrec",
        0.3152,
        0.1821,
        TURNING + " (full cross-entropy)",
        REMOVED,
        SASREC | {"loss": "sampled_softmax", "negatives": 512, "patience": 5},
    ),
    "beauty-sampled": PublishedRow(
        "amazon-beauty", 0.0921, 0.0531, "a value in circulation", REMOVED, BEAUTY
    ),
    "hstu": PublishedRow("ml-1m", 0.2980, 0.1686, "RecTools, no bias by time", REMOVED, HSTU),
    "llama-paper": PublishedRow("ml-1m-sasrec", 0.3070, 0.1732, AUTHORS, SAMPLED, PAPER | LLAMA),
    "hstu-large": PublishedRow(
        "ml-1m",
        0.3294,
        0.1893,
        "HSTU's repository",
        REMOVED,
        HSTU | {"n_layers": 8, "n_heads": 2},
    ),
}


def train_row(row: PublishedRow, runs: Path, device: str) -> dict[str, Any]:
    """Train a row, or read its record."""
    return trainer.train(row.config, leave_one_out(datasets.load_log(row.log)), runs, device)


def table_line(name: str, record: Mapping[str, Any], split: Split) -> dict[str, Any]:
    """Make a line of data/published_rows.csv from a run record."""
    row = ROWS[name]
    ranks = np.array(record["ranks"][RANKS])
    metrics = record["metrics"][RANKS]
    if row.protocol == SAMPLED:
        ranked = protocols.ranked_from_ranks(ranks, split, "history")
        metrics = protocols.sampled_metrics(ranked, DRAWN_ITEMS)
    hit_rate, ndcg = (
        next(value for key, value in metrics.items() if key.startswith(metric))
        for metric in ("HR@10", "NDCG@10")
    )
    return {
        "name": name,
        "model": record["configuration"]["backbone"],
        "log": row.log,
        "split": SPLIT_NAMES.get(row.log, ""),
        "protocol": row.protocol,
        "published_hr": row.hit_rate,
        "published_ndcg": row.ndcg,
        "measured_hr": hit_rate,
        "measured_ndcg": ndcg,
        "se_hr": ranking_metrics.standard_error(ranks <= 10),
        "se_ndcg": ranking_metrics.standard_error(ranking_metrics.ndcg_gains(ranks)),
        "epochs": record["epochs"],
        "training_seconds": record["seconds"]["training"],
        "device": record["environment"]["device"],
        "source": row.source,
        "run": record["key"],
    }


def protocol_lines(name: str, record: Mapping[str, Any], split: Split) -> pd.DataFrame:
    """Make the lines of data/protocols.csv of a run record."""
    ranked = (
        protocols.ranked_from_ranks(record["ranks"][part], split, seen)
        for part, seen in protocols.SEEN_BY_PART.items()
    )
    loss = record["configuration"]["loss"]
    return protocols.protocol_table(*ranked).assign(name=name, log=ROWS[name].log, loss=loss)


def read_records(runs: Path) -> Iterator[tuple[str, dict[str, Any], Split]]:
    """Yield the rows that have a run record, and say which do not."""
    for name, row in ROWS.items():
        split = leave_one_out(datasets.load_log(row.log))
        path = runs / f"{run_records.run_key(row.config, split)}.json"
        if path.exists():
            yield name, run_records.read_record(path), split
        else:
            print(f"{name}: open ({path} is not there)")


def make_parser() -> script_command.OneLineParser:
    """Make the parser of the command line."""
    parser = script_command.make_parser(__doc__)
    parser.add_argument("names", nargs="*", help="rows to train; all if none is named")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--runs", default=study_file("data", "rows"), type=Path)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument(
        "--list",
        dest="only_list",
        action="store_true",
        help="only say which rows have a run record",
    )
    return parser


def train_rows(names: Sequence[str], runs: Path, device: str) -> None:
    """Train the rows that are named, or all."""
    preparation.check_device(device)
    run_records.check_folder(runs)
    for name in names or ROWS:
        record = train_row(ROWS[name], runs, device)
        ndcg = ""
        if "metrics" in record:
            ndcg = f"NDCG@10 {record['metrics']['test']['NDCG@10']:.4f}"
        print(name, record["status"], ndcg, flush=True)


def main(names: Sequence[str], device: str, runs: Path, threads: int, only_list: bool) -> None:
    """Train what is missing, and write both tables."""
    if unknown := sorted(set(names) - set(ROWS)):
        raise InputError(f"there is no row {', '.join(unknown)}; there are {', '.join(ROWS)}")
    if threads < 1:
        raise InputError(f"--threads {threads} is not usable; use 1 or more")
    torch.set_num_threads(threads)
    if not only_list:
        train_rows(names, runs, device)
    lines, protocols = [], []
    for name, record, split in read_records(runs):
        line = table_line(name, record, split)
        lines.append(line)
        protocols.append(protocol_lines(name, record, split))
        print(
            f"{name}: HR@10 {line['measured_hr']:.4f} ({line['published_hr']:.4f}), "
            f"NDCG@10 {line['measured_ndcg']:.4f} ({line['published_ndcg']:.4f})"
        )
    if lines:
        style = {"index": False, "float_format": "%.6g", "lineterminator": "\n"}
        pd.DataFrame(lines).to_csv(study_file("data", "published_rows.csv"), **style)
        table = pd.concat(protocols)[PROTOCOL_COLUMNS]
        table.to_csv(study_file("data", "protocols.csv"), **style)


if __name__ == "__main__":
    script_command.run_main(main, make_parser())
