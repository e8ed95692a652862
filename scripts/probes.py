"""Make data/probes.csv: cheap probes of the training parts that the grid `quality` makes.

    python scripts/probes.py LOG ...

A probe is a count-based baseline, fitted to the training part and evaluated on the validation
targets: NDCG@10 of a first-order Markov chain, and `cross_entropy.bigram_cross_entropy`. What a log
does not allow, such as a share of the time of one without a clock, is left out. The logs are in the
folder PERFLAW_DATA.
"""

import contextlib
from collections.abc import Sequence
from typing import Any

import pandas as pd
from tqdm import tqdm

from perflaw.errors import InputError
from perflaw.logs import datasets
from perflaw.logs.perturbations import PERTURBATIONS
from perflaw.models import baselines, ranking, ranking_metrics
from perflaw.models.sweeps import grids
from perflaw.study import script_command
from perflaw.study.analysis import cross_entropy
from perflaw.study.files import study_file


def probe(log: Any, data: grids.TrainingData) -> dict[str, Any]:
    """Make the line of one training part."""
    split = grids.split_of(log, data)
    targets = ranking.rank_targets(baselines.markov(split), split, split.validation)
    steps = dict(data.steps)
    return {
        "log": log.name,
        **{step: steps.get(step) for step in PERTURBATIONS},
        "data_seed": data.seed,
        "probe: Markov's NDCG@10": ranking_metrics.ndcg(targets.ranks, ties=targets.ties),
        "probe: bigram's cross-entropy": cross_entropy.bigram_cross_entropy(split),
    }


def main(names: Sequence[str]) -> None:
    """Write the table of the logs that are named."""
    parts = list(dict.fromkeys(point.data for point in grids.expand_grid("quality")))
    path = study_file("data", "probes.csv")
    logs = {name: datasets.load_log(name) for name in names}
    rows = []
    for name, log in logs.items():
        for data in tqdm(parts, desc=name):
            with contextlib.suppress(InputError):
                rows.append(probe(log, data))
    pd.DataFrame(rows).to_csv(path, index=False, float_format="%.6g", lineterminator="\n")


if __name__ == "__main__":
    parser = script_command.make_parser(__doc__)
    parser.add_argument("names", nargs="+", metavar="LOG", help="as perflaw.logs knows it")
    script_command.run_main(main, parser)
