"""The compute-only law: on surfaces that it describes it predicts, on others it does not."""

import numpy as np
import pandas as pd
import pytest

from perflaw.model_size import flops_per_token
from perflaw.study.neighbours import compute_law
from perflaw.study.public_grids import SURFACE


def make_cells(value, log="a"):
    rows = [(n, d, value(n, d)) for n in (1, 2, 4, 8) for d in (8, 16, 32, 64)]
    cells = pd.DataFrame(rows, columns=["n_layers", "d_emb", "value"])
    places = {"log": log, "backbone": "sasrec", "split": "leave one out"}
    return cells.assign(max_seq_len=50, **places)


def by_rule(predictions, hidden="largest d"):
    return predictions[predictions["hidden"] == hidden].groupby("law")["ape"].mean()


def test_a_surface_of_compute_is_predicted_by_compute():
    cells = make_cells(lambda n, d: 0.3 - 5 * flops_per_token(n, d, 50) ** -0.4)
    errors = by_rule(compute_law.score_compute_laws(cells))
    assert errors[compute_law.PER_TOKEN] < 0.05
    assert errors[compute_law.PER_TOKEN] < errors["nearest trained cell"]


def test_a_surface_of_depth_against_width_is_not():
    cells = make_cells(lambda n, d: 0.1 * d**0.2 + 0.2 * n**-0.5)
    errors = by_rule(compute_law.score_compute_laws(cells))
    assert errors[compute_law.PER_TOKEN] > 10 * errors["sum of power laws"]


def test_compute_spent_is_a_line_in_ln_flops():
    cells = make_cells(lambda n, d: 0.0)
    cells["flops"] = 10.0 ** (cells["n_layers"] + cells["d_emb"] / 100)
    cells["value"] = 0.1 + 0.01 * np.log(cells["flops"])
    assert by_rule(compute_law.score_compute_laws(cells))[compute_law.SPENT] < 1e-6


def test_the_mean_of_logs_and_its_interval():
    rows = [("a", "nearest trained cell", 10.0), ("b", "nearest trained cell", 20.0)]
    rows += [("a", compute_law.PER_TOKEN, 7.0), ("b", compute_law.PER_TOKEN, 15.0)]
    table = pd.DataFrame(rows, columns=["log", "law", "ape"])
    table = table.assign(hidden="largest d", backbone="x", split="y")
    summary = compute_law.summarise(table).set_index("law").loc[compute_law.PER_TOKEN]
    assert summary["edge"] == pytest.approx(4)
    assert summary["high"] - summary["edge"] == pytest.approx(6.3138, rel=1e-4)


def test_a_log_of_two_surfaces_counts_as_much_as_a_log_of_one():
    rows = [("a", "x", 6.0), ("a", "y", 8.0), ("b", "x", 15.0)]
    table = pd.DataFrame(rows, columns=["log", "backbone", "ape"])
    table = table.assign(hidden="largest d", split="y", law=compute_law.PER_TOKEN)
    nearest = table.assign(law="nearest trained cell", ape=10.0)
    summary = compute_law.summarise(pd.concat([table, nearest])).set_index("law")
    assert summary.loc[compute_law.PER_TOKEN, "ape"] == pytest.approx((7 + 15) / 2)


def test_own_cells_have_the_compute_of_their_runs():
    cells = compute_law.load_own_cells()
    assert cells["log"].nunique() == 6
    assert cells.groupby(SURFACE).size().min() >= compute_law.SMALLEST_GRID
    assert (cells["flops"] > 0).all()
    assert cells["value"].between(0, 1).all()


@pytest.mark.integration
def test_no_verdict_of_the_page_is_stronger_than_its_table():
    """Compute alone is not better than the nearest trained cell on own sweeps."""
    summary = compute_law.summarise(compute_law.score_compute_laws(compute_law.load_own_cells()))
    rows = summary[summary["law"] == compute_law.PER_TOKEN]
    assert len(rows) == 2
    assert (rows["edge"] < 0).all()
    assert (rows["low"] < 0).all()
