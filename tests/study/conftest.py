"""Runs with known surfaces, for the tests of the analyses."""

import numpy as np
import pandas as pd
import pytest

from perflaw.logs import from_histories, leave_one_out, perturbations

CELLS = [(n, d) for n in (1, 2, 3, 6) for d in (8, 16, 32, 64) if not (n == 6 and d == 8)]


def make_runs(backbones=("sasrec", "llama"), sigma=0.0, seeds=2, seed=0, bend=0.03):
    """Make runs of two backbones on two logs: log-quadratic surfaces of one curvature."""
    random, rows = np.random.default_rng(seed), []
    for log, level in (("a", 0.1), ("b", 0.2)):
        for backbone in backbones:
            lift = 1.3 if backbone == "llama" else 1.0
            for n, d in CELLS:
                for s in range(seeds):
                    y = (
                        level
                        * lift
                        * np.exp(
                            0.1 * np.log(d / 8)
                            - bend * np.log(d / 8) ** 2
                            + 0.04 * np.log(n)
                            + sigma * random.normal()
                        )
                    )
                    plain = {
                        "split": "leave one out",
                        "loss": "sampled_softmax",
                        "max_seq_len": 50,
                        "dropout": 0.2,
                        "shared_layers": False,
                        "repeats": True,
                        "parameters": 1000 * d + 6 * n * d * d,
                    }
                    rows.append(
                        {
                            "log": log,
                            "backbone": backbone,
                            "n_layers": n,
                            "d_emb": d,
                            "seed": s,
                            **plain,
                            "HR@10": 2 * y,
                            "NDCG@10": y,
                        }
                    )
    return pd.DataFrame(rows).assign(**dict.fromkeys(perturbations.PERTURBATIONS, np.nan))


def split_by_size(table):
    small = (table["n_layers"] <= 3) & (table["d_emb"] <= 32)
    return table[small], table[~small]


@pytest.fixture(scope="session")
def swept():
    """A function that makes runs: backbones, sigma, seeds, seed, bend."""
    return make_runs


@pytest.fixture(scope="session")
def halves():
    """A function that splits a table into small cells and larger ones."""
    return split_by_size


@pytest.fixture
def two_tastes():
    """A split of 60 users who have ten items of one half of 40."""
    random = np.random.default_rng(0)
    return leave_one_out(
        from_histories([random.choice(20, 10, replace=False) + 20 * (u % 2) for u in range(60)])
    )
