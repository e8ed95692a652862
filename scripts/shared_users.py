"""Print how much two models share of the luck of their test users.

    python scripts/shared_users.py RUNS

That is the correlation between their NDCG@10 gains, user by user, for
`seed_noise.SHARED_USER_CORRELATION`. RUNS is a folder of folders of run records, one a log; used
are runs of SASRec of `survey`, seed 0, on unchanged training parts, which differ in layers and
dimension.
"""

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from perflaw.errors import InputError
from perflaw.models import ranking_metrics
from perflaw.models.sweeps import grids
from perflaw.models.training import run_records
from perflaw.study import script_command

MODEL = {"backbone": "sasrec", "shared_layers": False, "seed": 0}
LEAST_MODELS = 3


def is_wanted(record: Mapping[str, Any], settings: Mapping[str, Any]) -> bool:
    """Say whether a record has these settings, an unchanged training part, and ranks."""
    if "ranks" not in record or record["split"]["interventions"]:
        return False
    has_settings = all(record["configuration"][name] == settings[name] for name in settings)
    return record["split"]["rule"] == "leave one out" and has_settings


def main(folder: Path) -> None:
    """Print a table, one line a log."""
    settings = grids.read_grid("survey")["settings"] | MODEL
    gains_by_log: dict[tuple[str, str], list[np.ndarray]] = {}
    for path in sorted(folder.rglob("*.json")):
        record = run_records.read_record(path)
        if is_wanted(record, settings):
            gains = ranking_metrics.ndcg_gains(np.array(record["ranks"]["test"]))
            gains_by_log.setdefault((record["log"], record["data_hash"]), []).append(gains)
    if not any(len(gains) >= LEAST_MODELS for gains in gains_by_log.values()):
        raise InputError(
            f"{folder} has no log with {LEAST_MODELS} runs of survey with ranks; make them with "
            f"perflaw sweep survey --log LOG --out {folder}/LOG"
        )
    print("| log | models | mean | least | most |\n|---|---:|---:|---:|---:|")
    for (log, _), gains in gains_by_log.items():
        if len(gains) >= LEAST_MODELS:
            pairs = itertools.combinations(gains, 2)
            correlations = [np.corrcoef(*pair)[0, 1] for pair in pairs]
            mean, least, most = (f(correlations) for f in (np.mean, np.min, np.max))
            print(f"| {log} | {len(gains)} | {mean:.2f} | {least:.2f} | {most:.2f} |")


if __name__ == "__main__":
    parser = script_command.make_parser(__doc__)
    parser.add_argument("folder", type=script_command.folder_of_folders, metavar="RUNS")
    script_command.run_main(main, parser)
