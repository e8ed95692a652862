"""Make data/probes.csv: cheap probes of the training parts that `quality` changes, for the logs in the folder PERFLAW_DATA that are named.

A probe is a model without weights, fitted to the training part and asked for the validation targets: NDCG@10 of a first-order Markov
chain, and the cross-entropy of a bigram that backs off to popularity (Dirichlet's prior, its strength by that cross-entropy).
"""

import math
import sys

import numpy as np
import pandas as pd
from scipy.optimize import minimize_scalar
from tqdm import tqdm

from perflaw import baselines, datasets, quality, ranking, sweeps
from perflaw.interventions import INTERVENTIONS


def cross_entropy(split):
    """−mean ln p(validation item | the item before), nats."""
    train, users = split.train, np.flatnonzero(split.validation >= 0)
    at = split.validation[users]
    asked, before = split.log.items[at], split.log.items[at - 1]
    inside = np.ones(train.tokens, bool)
    inside[train.offsets[1:] - 1] = False
    pairs = train.items[:-1][inside[:-1]].astype(np.int64) * train.n_items + train.items[1:][inside[:-1]]
    kinds, counts = np.unique(pairs, return_counts=True)
    wanted = before.astype(np.int64) * train.n_items + asked
    place = np.minimum(np.searchsorted(kinds, wanted), len(kinds) - 1)
    seen = np.where(kinds[place] == wanted, counts[place], 0)
    left = np.bincount(train.items[:-1][inside[:-1]], minlength=train.n_items)[before]
    popularity = ((train.item_counts + 1) / (train.tokens + train.n_items))[asked]

    def loss(log_prior):
        prior = math.exp(log_prior)
        return -np.log((seen + prior * popularity) / (left + prior)).mean()

    return minimize_scalar(loss, bounds=(-5, 15), method="bounded").fun


def main(names):
    path, rows = quality.FOLDER.parent / "probes.csv", []
    points = list(dict.fromkeys(point.data for point in sweeps.expand("quality")))
    for name in names:
        log = datasets.load(name)
        for data in tqdm(points, desc=name):
            split = sweeps.split_of(log, data)
            markov = ranking.rank(baselines.markov(split), split, split.validation).ranks
            steps = dict(data.steps)
            rows.append({"log": log.name, **{step: steps.get(step) for step in INTERVENTIONS}, "data_seed": data.seed, "probe: Markov's NDCG@10": ranking.ndcg(markov), "probe: bigram's cross-entropy": cross_entropy(split)})
    pd.DataFrame(rows).to_csv(path, index=False, float_format="%.6g", lineterminator="\n")


if __name__ == "__main__":
    main(sys.argv[1:])
