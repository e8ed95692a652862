"""What each test user adds to a metric, from the ranks that runs of the study have kept."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from perflaw.models.protocols import HISTORY_PART
from perflaw.models.ranking_metrics import GAINS


def load_user_gains(
    path: Path, keys: Iterable[str], metric: str = "NDCG@10"
) -> dict[str, np.ndarray]:
    """Load what each test user adds to a metric by the rule of record, of runs that a file has.

    Parameters
    ----------
    path
        What scripts/pack_ranks.py wrote.
    keys
        Of runs; those that the file has not are left out.
    metric
        NDCG@10 or HR@10.

    Returns
    -------
    dict of str to ndarray
        By key, (users,).
    """
    gains = {}
    with np.load(path) as doubled_ranks:
        for key in keys:
            # where items repeat, there is one rule, and one array
            names = [f"{key} {HISTORY_PART}", f"{key} test"]
            recorded = [name for name in names if name in doubled_ranks]
            if recorded:
                gains[key] = GAINS[metric](doubled_ranks[recorded[0]] / 2)
    return gains
