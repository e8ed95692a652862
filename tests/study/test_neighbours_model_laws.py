"""The study's laws on other models: rates by validation, exact laws, and the noise beside them."""

import numpy as np
import pandas as pd
import pytest

from perflaw.study.neighbours import model_laws as laws
from perflaw.study.trained_cells import NEAREST


def make_rows(noise=0.0):
    """Make runs of two logs by a log-linear law; N = 0 is far from it."""
    rng = np.random.default_rng(0)
    rows = [
        (log, n, d, seed, scale * (0.02 + 0.01 * np.log(max(n, 1)) + 0.005 * np.log(d)) + (n == 0))
        for log, scale in (("a", 1), ("b", 2))
        for n in range(5)
        for d in (8, 16, 32, 64)
        for seed in (0, 1)
    ]
    table = pd.DataFrame(rows, columns=["log", "n_layers", "d_emb", "seed", "NDCG@10"])
    noisy = table["NDCG@10"] * (1 + noise * rng.normal(size=len(rows)))
    return table.assign(model="LightGCN", **{"NDCG@10": noisy})


def test_an_exact_law_predicts_exactly_and_factorisation_takes_no_part():
    scores = laws.score_laws(laws.mean_cells(make_rows())).set_index(["hidden", "law", "log"])[
        "ape"
    ]
    for part in laws.HIDDEN:
        assert scores[(part, "log-linear", "a")] == pytest.approx(0, abs=1e-6)
        assert scores[(part, NEAREST, "a")] > 1
        assert scores[(part, laws.NOISE, "a")] == 0


def test_exponents_are_within_the_bound():
    cells = laws.mean_cells(make_rows())
    steep = cells.assign(value=1 + cells["d_emb"] ** 0.8)  # a power that only the wide bound has
    wide, narrow = (
        laws.score_laws(steep, bound).set_index(["hidden", "law", "log"])["ape"]
        for bound in (1.0, 0.1)
    )
    place = "largest d", "sum of power laws", "a"
    assert wide[place] < 0.01 < narrow[place]


def test_the_noise_is_that_of_a_mean_of_two():
    cells = laws.mean_cells(make_rows(0.05))
    noise = laws.score_laws(cells).set_index(["hidden", "law", "log"])["ape"]
    relative = cells[(cells["log"] == "a") & (cells["n_layers"] > 0)].eval("sd / value")
    expected = 100 * np.sqrt((relative**2).mean()) / np.sqrt(2) * np.sqrt(2 / np.pi)
    assert noise[("largest N", laws.NOISE, "a")] == pytest.approx(expected)


@pytest.mark.integration
def test_the_noise_is_that_of_the_hidden_cells():
    cells = laws.mean_cells(make_rows(0.05))
    more = cells.assign(seeds=cells["seeds"].where(cells["d_emb"] < 64, 8))
    noise, less = (
        laws.score_laws(table).set_index(["hidden", "law", "log"])["ape"] for table in (cells, more)
    )
    assert less["largest d", laws.NOISE, "a"] < noise["largest d", laws.NOISE, "a"] / 1.5


def test_fits_stand_beside_the_ceiling():
    table = laws.score_fits(laws.mean_cells(make_rows()))
    assert table.loc["log-linear"].to_numpy() == pytest.approx(1)
    assert table.loc["noise ceiling"].to_numpy() == pytest.approx(1)


def test_a_layer_gains_what_the_metric_does():
    rows = make_rows(0.01)
    rows = rows.assign(**{"NDCG@10": rows["NDCG@10"].where(rows["n_layers"] > 0, 0.01)})
    gains = laws.layer_gains(laws.mean_cells(rows)).set_index(["log", "smaller"])
    cells = laws.mean_cells(rows).set_index(["log", "n_layers", "d_emb"])["value"]
    ratios = cells["a", 1] / cells["a", 0]
    assert gains.loc[("a", 0), "change"] == pytest.approx(100 * (np.exp(np.log(ratios).mean()) - 1))
    assert gains.loc[("a", 0), "low"] > 0
    assert len(gains) == 8


@pytest.mark.parametrize(("model", "n_cells"), [("LightGCN", 20), ("DiffuRec", 8)])
def test_the_table_has_every_cell(model, n_cells):
    cells = laws.mean_cells(laws.load_rows(model))
    assert cells.groupby("log").size().to_dict() == dict.fromkeys(
        ("lastfm-s3rec", "ml-100k"), n_cells
    )
    assert cells["value"].between(0.01, 0.12).all()


def test_two_seeds_are_of_each_cell_of_lightgcn():
    assert (laws.mean_cells(laws.load_rows("LightGCN"))["seeds"] == 2).all()
