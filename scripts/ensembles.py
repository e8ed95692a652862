"""Make data/ensembles.csv: scores averaged over seeds, against one model of as many parameters, on logs that are named.

    python benchmarks/ensembles.py ml-100k foursquare-5k

k members of d = D / k have about the parameters of one model of d = D, as nearly all are embeddings. Seeds are those of `survey` and on; each k is
told of disjoint groups of seeds.
"""

import concurrent.futures
import multiprocessing
import sys
from pathlib import Path

import pandas as pd
import torch
from tqdm import tqdm

from perflaw.logs import datasets
from perflaw.logs.interaction_log import leave_one_out
from perflaw.models import backbones, ranking
from perflaw.models.sweeps import runner
from perflaw.models.training import trainer

MEMBERS = {16: 8, 32: 4, 64: 2, 128: 1}  # d, and how many seeds
PATH = Path(__file__).parent.parent / "data" / "ensembles.csv"


def averaged(scorers):
    """The mean of several scores: of logarithms of probabilities, but for a constant that moves no rank."""

    def score(log, users, stops):
        parts = [scorer(log, users, stops) for scorer in scorers]
        return lambda first, until: sum(part(first, until) for part in parts)

    return score


def trained(name, d, seed):
    """A model of `survey`, N = 2; with one thread."""
    torch.set_num_threads(1)
    config = trainer.make_config(
        **runner.read_grid("survey")["settings"], n_layers=2, d_emb=d, seed=seed
    )
    return config, trainer.fit_model(config, datasets.load_log(name), progress=False).weights


def main(names):
    rows = pd.read_csv(PATH).to_dict("records") if PATH.exists() else []
    for name in names:
        split = leave_one_out(datasets.load_log(name))
        asked = [(d, seed) for d, seeds in MEMBERS.items() for seed in range(seeds)][::-1]
        with concurrent.futures.ProcessPoolExecutor(
            2, multiprocessing.get_context("spawn")
        ) as pool:
            jobs = [pool.submit(trained, name, d, seed) for d, seed in asked]
            done = dict(zip(asked, (job.result() for job in tqdm(jobs, desc=name))))
        for d, seeds in MEMBERS.items():
            for k in (k for k in (1, 2, 4, 8) if k <= seeds):
                for group in range(seeds // k):
                    chosen = [done[d, seed] for seed in range(group * k, group * k + k)]
                    scorer = averaged(
                        [trainer.scorer(weights, config) for config, weights in chosen]
                    )
                    ranks = ranking.rank_targets(scorer, split, split.test).ranks
                    size = k * sum(
                        backbones.count_parameters(chosen[0][0], split.log.n_items).values()
                    )
                    rows.append(
                        {
                            "log": name,
                            "members": k,
                            "d_emb": d,
                            "group": group,
                            "parameters": size,
                            "HR@10": ranking.hit_rate(ranks),
                            "NDCG@10": ranking.ndcg(ranks),
                        }
                    )
        pd.DataFrame(rows).drop_duplicates(
            ["log", "members", "d_emb", "group"], keep="last"
        ).to_csv(PATH, index=False, float_format="%.6g", lineterminator="\n")


if __name__ == "__main__":
    main(sys.argv[1:])
