"""Make data/floors.csv: recommenders without weights, on the logs in the folder PERFLAW_DATA, by both rules of ranking."""

import sys

import pandas as pd

from perflaw.logs import datasets, measures
from perflaw.logs.interaction_log import leave_one_out
from perflaw.models import baselines, ranking


def main():
    names = list(datasets.local_logs())
    if not names:
        sys.exit("PERFLAW_DATA names no folder of logs")
    rows = []
    for name in names:
        split = leave_one_out(datasets.load_log(name))
        for recommender, fitted in baselines.BASELINES.items():
            scorer, told = fitted(split), {}
            for seen in ranking.SEEN_BY_PART.values():
                if seen == "training" or ranking.removes_seen(split):
                    ranks = ranking.rank_targets(scorer, split, split.test, seen=seen).ranks
                    prefix = "removed " if seen == "history" else ""
                    told |= {
                        f"{prefix}HR@10": ranking.hit_rate(ranks),
                        f"{prefix}NDCG@10": ranking.ndcg(ranks),
                    }
            rows.append({"log": name, "recommender": recommender} | told)
            print(*rows[-1].values(), flush=True)
    path = measures.FOLDER.parent / "floors.csv"
    pd.DataFrame(rows).to_csv(path, index=False, float_format="%.6g", lineterminator="\n")


if __name__ == "__main__":
    main()
