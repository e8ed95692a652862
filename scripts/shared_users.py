"""How much two models share of the luck of their test users: correlations between their NDCG@10 gains, user by user, for evidence.SHARED.

Runs of SASRec of `survey`, seed 0, on whole training parts, that differ in layers and dimension.

    python benchmarks/shared.py RUNS        # a folder of folders of run records, one a log
"""

import itertools
import sys
from pathlib import Path

import numpy as np

from perflaw.models import ranking
from perflaw.models.sweeps import runner
from perflaw.models.training import trainer


def main(folder):
    wanted = runner.read_grid("survey")["settings"] | {
        "backbone": "sasrec",
        "shared_layers": False,
        "seed": 0,
    }
    print("| log | models | mean | least | most |\n|---|---:|---:|---:|---:|")
    logs = {}
    for path in sorted(Path(folder).rglob("*.json")):
        record = trainer.read_record(path)
        if (
            "ranks" in record
            and not record["split"]["interventions"]
            and record["split"]["rule"] == "leave one out"
            and all(record["configuration"][name] == value for name, value in wanted.items())
        ):
            logs.setdefault((record["log"], record["data_hash"]), []).append(
                ranking.ndcg_gains(np.array(record["ranks"]["test"]))
            )
    for (log, _), gains in logs.items():
        if len(gains) > 2:
            told = [np.corrcoef(*pair)[0, 1] for pair in itertools.combinations(gains, 2)]
            print(
                f"| {log} | {len(gains)} | {np.mean(told):.2f} | {np.min(told):.2f} | {np.max(told):.2f} |"
            )


if __name__ == "__main__":
    main(*sys.argv[1:])
