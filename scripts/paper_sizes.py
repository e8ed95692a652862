"""Our runs of the paper's grid under the protocol of its figures: data/paper_sizes.csv, one line a run.

The target among 2,499 drawn items that the user has not had, by exact expectation from the ranks in the run records.

    python benchmarks/paper_sizes.py RUNS        # a folder of records of `perflaw sweep paper --log ml-1m`
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd

from perflaw.logs import datasets
from perflaw.logs.interaction_log import leave_one_out
from perflaw.models import ranking
from perflaw.models.sweeps import runner
from perflaw.models.training import trainer
from perflaw.paths import HOME


def main(folder):
    split, settings, rows = (
        leave_one_out(datasets.load_log("ml-1m")),
        runner.read_grid("paper")["settings"],
        [],
    )
    for path in sorted(Path(folder).glob("*.json")):
        record = trainer.read_record(path)
        config = record["configuration"]
        if (
            "metrics" not in record
            or any(config[name] != value for name, value in settings.items())
            or record["split"]["hash"] != split.hash
        ):
            continue
        told = ranking.sampled_metrics(
            ranking.ranked_from_ranks(
                np.array(record["ranks"]["test, history removed"]), split, "history"
            ),
            2_499,
            cutoffs=(10,),
        )
        rows.append(
            {
                **{name: config[name] for name in ("n_layers", "d_emb", "max_seq_len", "seed")},
                **dict(zip(("HR@10", "NDCG@10"), told.values())),
            }
        )
    table = pd.DataFrame(rows).sort_values(["max_seq_len", "n_layers", "d_emb", "seed"])
    table.to_csv(
        HOME / "data" / "paper_sizes.csv", index=False, float_format="%.6g", lineterminator="\n"
    )
    print(table.groupby(["n_layers", "d_emb"])["NDCG@10"].mean().unstack().round(4))


if __name__ == "__main__":
    main(*sys.argv[1:])
