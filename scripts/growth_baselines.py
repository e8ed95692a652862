"""Make data/growth_baselines.csv: count-based baselines on the nested samples of the grid `growth`.

    python scripts/growth_baselines.py LOG ...

Each sample of users has items and test users of its own. Where nothing repeats, all of a user's
history is removed from the ranking. The logs are in the folder PERFLAW_DATA.
"""

import sys
from collections.abc import Sequence
from typing import Any

import pandas as pd
from tqdm import tqdm

from perflaw.logs import datasets
from perflaw.logs.splits import Split
from perflaw.models import baselines, ranking, ranking_metrics
from perflaw.models.sweeps import grids
from perflaw.study.files import study_file

GRID = study_file("data", "grids", "growth.yaml")


def measure(split: Split, recommender: str) -> dict[str, float]:
    """Measure one baseline on one sample: NDCG@10, and its standard error over users."""
    scorer = baselines.BASELINES[recommender](split)
    ranks = ranking.rank_targets(scorer, split, split.test, seen=ranking.Seen.HISTORY).ranks
    gains = ranking_metrics.ndcg_gains(ranks, 10)
    return {"NDCG@10": gains.mean(), "NDCG@10 se": ranking_metrics.standard_error(gains)}


def main(names: Sequence[str]) -> None:
    """Write the table of the logs that are named."""
    samples = list(dict.fromkeys(point.data for point in grids.expand_grid(str(GRID))))
    rows = []
    for name in names:
        log = datasets.load_log(name)
        for sample in tqdm(samples, desc=name):
            split = grids.split_of(log, sample)
            row: dict[str, Any] = {"log": name, "share": sample.sample, "draw": sample.seed}
            row["users"] = split.train.n_users
            rows += [
                row | {"recommender": recommender} | measure(split, recommender)
                for recommender in baselines.BASELINES
            ]
    path = study_file("data", "growth_baselines.csv")
    pd.DataFrame(rows).to_csv(path, index=False, float_format="%.6g", lineterminator="\n")


if __name__ == "__main__":
    main(sys.argv[1:])
