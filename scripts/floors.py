"""Make data/floors.csv: count-based baselines, by both rules of ranking.

    python scripts/floors.py

The logs are those in the folder PERFLAW_DATA. Tied items count by their expectation under a random
order.
"""

import sys
from typing import Any

import pandas as pd

from perflaw.logs import datasets
from perflaw.logs.splits import Split, leave_one_out
from perflaw.models import baselines, protocols, ranking, ranking_metrics
from perflaw.study.files import study_file


def measure(split: Split, recommender: str) -> dict[str, float]:
    """Measure one baseline; the columns of the rule that removes the history say "removed"."""
    scorer = baselines.BASELINES[recommender](split)
    row: dict[str, Any] = {}
    for seen in protocols.SEEN_BY_PART.values():
        if seen != "training" and not ranking.removes_seen(split):
            continue
        ranked = ranking.rank_targets(scorer, split, split.test, seen=seen)
        prefix = "removed " if seen == "history" else ""
        row[f"{prefix}HR@10"] = ranking_metrics.hit_rate(ranked.ranks, ties=ranked.ties)
        row[f"{prefix}NDCG@10"] = ranking_metrics.ndcg(ranked.ranks, ties=ranked.ties)
    return row


def main() -> None:
    """Write the table, a line a log and baseline."""
    names = list(datasets.local_logs())
    if not names:
        sys.exit("PERFLAW_DATA names no folder of logs")
    rows = []
    for name in names:
        split = leave_one_out(datasets.load_log(name))
        for recommender in baselines.BASELINES:
            row = {"log": name, "recommender": recommender} | measure(split, recommender)
            rows.append(row)
            print(*row.values(), flush=True)
    path = study_file("data", "floors.csv")
    pd.DataFrame(rows).to_csv(path, index=False, float_format="%.6g", lineterminator="\n")


if __name__ == "__main__":
    main()
