"""Measure count-based baselines on the samples of logs, for data/growth_baselines.csv.

    python scripts/growth_baselines.py LOG ...

The samples are those of the grids `growth` and `growth-draws`. Rows of other logs stay.

Each sample of users has items and test users of its own. Where nothing repeats, all of a user's
history is removed from the ranking. The logs are in the folder PERFLAW_DATA.
"""

from collections.abc import Sequence
from typing import Any

import pandas as pd
from tqdm import tqdm

from perflaw.logs import datasets
from perflaw.logs.splits import Split
from perflaw.models import baselines, ranking, ranking_metrics
from perflaw.models.sweeps import grids
from perflaw.study import script_command
from perflaw.study.files import study_file

GRIDS = [study_file("data", "grids", f"{name}.yaml") for name in ("growth", "growth-draws")]


def measure(split: Split, recommender: str) -> dict[str, float]:
    """Measure one baseline on one sample: NDCG@10, and its standard error over users."""
    scorer = baselines.BASELINES[recommender](split)
    ranked = ranking.rank_targets(scorer, split, split.test, seen=ranking.Seen.HISTORY)
    gains = ranking_metrics.ndcg_gains(ranked.ranks, ties=ranked.ties)
    return {"NDCG@10": gains.mean(), "NDCG@10 se": ranking_metrics.standard_error(gains)}


def main(names: Sequence[str]) -> None:
    """Write the rows of the logs that are named over what the table has of them."""
    logs = {name: datasets.load_log(name) for name in names}
    samples = list(
        dict.fromkeys(point.data for grid in GRIDS for point in grids.expand_grid(str(grid)))
    )
    rows = []
    for name, log in logs.items():
        for sample in tqdm(samples, desc=name):
            split = grids.split_of(log, sample)
            row: dict[str, Any] = {"log": name, "share": sample.sample, "draw": sample.seed}
            row["users"] = split.train.n_users
            rows += [
                row | {"recommender": recommender} | measure(split, recommender)
                for recommender in baselines.BASELINES
            ]
    path = study_file("data", "growth_baselines.csv")
    known = pd.read_csv(path)
    table = pd.concat([known[~known["log"].isin(names)], pd.DataFrame(rows)], ignore_index=True)
    table = table.sort_values(["log", "share", "draw"], kind="stable")
    table.to_csv(path, index=False, float_format="%.6g", lineterminator="\n")


if __name__ == "__main__":
    parser = script_command.make_parser(__doc__)
    parser.add_argument("names", nargs="+", metavar="LOG", help="as perflaw.logs knows it")
    script_command.run_main(main, parser)
