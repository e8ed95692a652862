"""Make data/ensembles.csv: scores averaged over seeds, against one model of as many parameters.

    python scripts/ensembles.py ml-100k foursquare-5k

k members of d = D / k have about the parameters of one model of d = D, as nearly all are
embeddings. Seeds are those of `survey` and on; each k is evaluated on disjoint groups of seeds.
Rows from before have the older rule of ranking alone; columns of the rule of record say "removed".
"""

import concurrent.futures
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pandas as pd
import torch
from tqdm import tqdm

from perflaw.logs import datasets
from perflaw.logs.splits import Split, leave_one_out
from perflaw.models import backbones, configuration, trained_model
from perflaw.models.sweeps import grids
from perflaw.models.training import loop
from perflaw.study import script_command
from perflaw.study.analysis import study_runs
from perflaw.study.files import study_file

SEEDS_BY_DIMENSION = {16: 8, 32: 4, 64: 2, 128: 1}
MEMBERS = (1, 2, 4, 8)
N_LAYERS = 2
WORKERS = 2
KEYS = ["log", "members", "d_emb", "group"]


def average(scorers: Sequence[Callable]) -> Callable:
    """Average several scores.

    They are logarithms of probabilities, but for a constant that moves no rank.
    """

    def score(log: Any, users: Any, stops: Any) -> Callable:
        parts = [scorer(log, users, stops) for scorer in scorers]
        return lambda first, until: sum(part(first, until) for part in parts)

    return score


def train(name: str, d_emb: int, seed: int) -> tuple[Any, Any]:
    """Train a model of `survey` with one thread; return configuration and weights."""
    torch.set_num_threads(1)
    settings = grids.read_grid("survey")["settings"]
    config = configuration.make_config(**settings, n_layers=N_LAYERS, d_emb=d_emb, seed=seed)
    log = datasets.load_log(name)
    return config, loop.fit_model(config, log, progress=False).weights


def train_all(name: str) -> dict[tuple[int, int], tuple[Any, Any]]:
    """Train all members on a log, by dimension and seed, the largest first."""
    members = [(d, seed) for d, n_seeds in SEEDS_BY_DIMENSION.items() for seed in range(n_seeds)]
    spawn = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(WORKERS, spawn) as pool:
        jobs = {member: pool.submit(train, name, *member) for member in members[::-1]}
        return {member: job.result() for member, job in tqdm(jobs.items(), desc=name)}


def measure(name: str, split: Split, trained: dict) -> Iterator[dict[str, Any]]:
    """Yield a row for each dimension, number of members and group of seeds."""
    for d_emb, n_seeds in SEEDS_BY_DIMENSION.items():
        for n_members in (count for count in MEMBERS if count <= n_seeds):
            for group in range(n_seeds // n_members):
                first = group * n_members
                members = [trained[d_emb, seed] for seed in range(first, first + n_members)]
                scorer = average(
                    [trained_model.scorer(weights, config) for config, weights in members]
                )
                counts = backbones.count_parameters(members[0][0], split.log.n_items)
                yield {
                    "log": name,
                    "members": n_members,
                    "d_emb": d_emb,
                    "group": group,
                    "parameters": n_members * sum(counts.values()),
                } | study_runs.measure_on_test(scorer, split)


def main(names: Sequence[str]) -> None:
    """Train on each log, and bring its rows of the table up to date."""
    path = study_file("data", "ensembles.csv")
    rows = pd.read_csv(path).to_dict("records") if path.exists() else []
    splits = {name: leave_one_out(datasets.load_log(name)) for name in names}
    for name, split in splits.items():
        rows += measure(name, split, train_all(name))
        table = pd.DataFrame(rows).drop_duplicates(KEYS, keep="last")
        table.to_csv(path, index=False, float_format="%.6g", lineterminator="\n")


if __name__ == "__main__":
    parser = script_command.make_parser(__doc__)
    parser.add_argument("names", nargs="+", metavar="LOG", help="as perflaw.logs knows it")
    script_command.run_main(main, parser)
