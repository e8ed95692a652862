"""From one backbone, or log, to another."""

import numpy as np
import pandas as pd
import pytest

from perflaw.errors import InputError
from perflaw.laws import families
from perflaw.study.analysis import (
    study_runs,
    transfer,
)


def test_a_law_is_carried_to_a_backbone_that_differs_by_a_factor_with_one_run(swept):
    table = study_runs.mean_surfaces(swept())
    found = transfer.transfer_errors(
        table, "a", "a, llama", law=families.log_quadratic(), n_cells=(1, 4), draws=50
    ).set_index(["cells", "rule"])["ape"]
    assert found[1, "carried law"] < 0.5 < found[1, "mean of the cells"]
    assert (4, "log-linear, target alone") in found
    assert (1, "log-linear, target alone") not in found
    with pytest.raises(InputError, match="no surface 'c'"):
        transfer.transfer_errors(table, "a", "c")


def test_a_whole_log_is_predicted_from_what_decides_it():
    random = np.random.default_rng(0)
    logs = pd.DataFrame(
        {"log": list("abcdef"), "x": random.normal(size=6), "other": random.normal(size=6)}
    )
    logs["NDCG@10"] = 0.1 * np.exp(0.7 * logs["x"])
    found = (
        transfer.leave_one_log_out(logs, {"mean of logs": [], "x": ["x"]})
        .groupby("candidate")["ape"]
        .mean()
    )
    assert found["x"] < 1e-6 < 10 < found["mean of logs"]
    with pytest.raises(InputError, match="3 logs are too few"):
        transfer.leave_one_log_out(logs.head(3), {"both": ["x", "other"]})
