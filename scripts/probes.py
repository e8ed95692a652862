"""Make data/probes.csv: cheap probes of the training parts that `quality` changes, for the logs in the folder PERFLAW_DATA that are named.

A probe is a model without weights, fitted to the training part and asked for the validation targets: NDCG@10 of a first-order Markov
chain, and `quality.cross_entropy`.
"""

import sys

import pandas as pd
from tqdm import tqdm

from perflaw.logs import datasets, measures
from perflaw.logs.perturbations import PERTURBATIONS
from perflaw.models import baselines, ranking
from perflaw.models.sweeps import runner


def main(names):
    path, rows = measures.FOLDER.parent / "probes.csv", []
    points = list(dict.fromkeys(point.data for point in runner.expand_grid("quality")))
    for name in names:
        log = datasets.load_log(name)
        for data in tqdm(points, desc=name):
            split = runner.split_of(log, data)
            markov = ranking.rank_targets(baselines.markov(split), split, split.validation).ranks
            steps = dict(data.steps)
            rows.append(
                {
                    "log": log.name,
                    **{step: steps.get(step) for step in PERTURBATIONS},
                    "data_seed": data.seed,
                    "probe: Markov's NDCG@10": ranking.ndcg(markov),
                    "probe: bigram's cross-entropy": measures.bigram_cross_entropy(split),
                }
            )
    pd.DataFrame(rows).to_csv(path, index=False, float_format="%.6g", lineterminator="\n")


if __name__ == "__main__":
    main(sys.argv[1:])
