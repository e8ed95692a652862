"""Means over logs and their intervals."""

import numpy as np
import pandas as pd
import pytest

from perflaw.study.intervals import interval_over_logs


def logs_of_surfaces(random, n_logs=6, n_surfaces=3):
    """Draw an error for each log, which all of its surfaces and cells share."""
    logs = np.repeat(np.arange(n_logs), n_surfaces * 2)
    surfaces = np.repeat(np.arange(n_logs * n_surfaces), 2)
    errors = random.normal(5, 1, n_logs)[logs]
    return pd.DataFrame({"law": "x", "dataset": surfaces, "log": logs, "ape": errors})


@pytest.mark.integration
def test_means_over_logs_have_intervals_that_cover():
    random = np.random.default_rng(0)
    inside, inside_by_surface = [], []
    for _ in range(300):
        values = logs_of_surfaces(random)
        found = interval_over_logs(values, "law", "ape").iloc[0]
        inside.append(found["low"] <= 5 <= found["high"])
        assert found["mean"] == pytest.approx(values["ape"].mean())
        assert found["logs"] == 6
        naive = interval_over_logs(values.assign(log=values["dataset"]), "law", "ape").iloc[0]
        inside_by_surface.append(naive["low"] <= 5 <= naive["high"])
    assert 0.86 <= np.mean(inside) <= 0.94
    assert np.mean(inside_by_surface) < 0.75


def test_a_log_counts_once_in_a_mean_however_many_surfaces_it_has():
    rows = pd.DataFrame(
        [("x", "a", "a", 1.0), ("x", "a, gru", "a", 3.0), ("x", "b", "b", 4.0)],
        columns=["law", "dataset", "log", "ape"],
    )
    found = interval_over_logs(rows, "law", "ape").iloc[0]
    assert found["mean"] == 3
    assert found["high"] - found["low"] == pytest.approx(2 * 6.3138, abs=1e-3)  # t with one degree


def test_a_row_without_some_logs_takes_the_mean_of_those_it_has():
    rows = pd.DataFrame(
        [("x", "a", "a", 1.0), ("x", "b", "b", 3.0), ("y", "a", "a", 2.0)],
        columns=["law", "dataset", "log", "ape"],
    )
    found = interval_over_logs(rows, "law", "ape").set_index("law")
    assert found.loc["y", "mean"] == 2
    assert found.loc["y", ["low", "high"]].isna().all()
    assert found.loc["x", "mean"] == 2
    assert found["logs"].to_dict() == {"x": 2, "y": 1}
