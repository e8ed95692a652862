"""Accuracy against coverage: trades, frontiers and steps are counted as they are defined."""

import numpy as np
import pandas as pd
import pytest

from perflaw.study.neighbours import coverage_frontier


def make_cells(accuracy, coverage, log="a"):
    rows = [(n, d) for n in (1, 2) for d in (8, 16)]
    cells = pd.DataFrame(rows, columns=["n_layers", "d_emb"])
    places = {"log": log, "backbone": "sasrec", "split": "leave one out"}
    return cells.assign(accuracy=accuracy, coverage=coverage, **places)


def test_both_rise():
    row = coverage_frontier.relate_to_coverage(make_cells([1, 2, 3, 4], [0.1, 0.2, 0.3, 0.4])).iloc[
        0
    ]
    assert row["tau"] == pytest.approx(1)
    assert row["frontier"] == 1
    assert row["given_up"] == 0
    assert row["rises"] == 4
    assert row["trade"] == 0


def test_one_for_the_other():
    row = coverage_frontier.relate_to_coverage(make_cells([1, 2, 3, 4], [0.4, 0.3, 0.2, 0.1])).iloc[
        0
    ]
    assert row["tau"] == pytest.approx(-1)
    assert row["frontier"] == 4
    assert row["given_up"] == pytest.approx(75)
    assert row["trade"] == 100


def test_steps_that_lower_accuracy_are_no_trade():
    # of (1, 8), (1, 16), (2, 8), (2, 16): d raises accuracy twice, N lowers it twice
    row = coverage_frontier.relate_to_coverage(make_cells([3, 4, 1, 2], [0.3, 0.2, 0.1, 0.2])).iloc[
        0
    ]
    assert row["rises"] == 2
    assert row["trade"] == 50


def test_the_smallest_d_is_that_of_each_surface():
    small = make_cells([1, 2, 3, 4], [1, 2, 3, 4])
    large = small.assign(log="b", d_emb=2 * small["d_emb"])
    kept = coverage_frontier.drop_smallest_d(pd.concat([small, large]))
    assert kept.groupby("log")["d_emb"].unique().tolist() == [[16], [32]]


def test_the_interval_is_over_logs():
    tables = [
        make_cells([1, 2, 3, 4], c, log) for log, c in (("a", [1, 2, 3, 4]), ("b", [4, 3, 2, 1]))
    ]
    related = coverage_frontier.relate_to_coverage(pd.concat(tables))
    summary = coverage_frontier.summarise({"made": related}).set_index("measure").loc["tau"]
    assert summary["logs"] == 2
    assert summary["mean"] == pytest.approx(0)
    assert summary["high"] == pytest.approx(6.3138 * np.std([1, -1], ddof=1) / np.sqrt(2), rel=1e-4)


def test_public_cells_are_chosen_by_validation_and_complete():
    cells = coverage_frontier.load_public_cells()
    assert cells.groupby(["log", "backbone", "split"]).ngroups == 30
    assert cells["coverage"].between(0, 1).all()


@pytest.mark.integration
def test_accuracy_and_coverage_rise_together_as_the_page_says():
    related = {
        "public grids": coverage_frontier.relate_to_coverage(coverage_frontier.load_public_cells()),
        "own sweeps": coverage_frontier.relate_to_coverage(coverage_frontier.load_own_cells()),
    }
    summary = coverage_frontier.summarise(related).set_index("measure")
    assert (summary.loc["tau", "low"] > 0).all()
    assert (summary.loc["trade", "high"] < 50).all()
