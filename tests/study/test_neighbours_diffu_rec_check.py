"""DiffuRec beside its authors' code: the interval of a difference, and what the tables hold."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t

from perflaw.study.neighbours import diffu_rec_check as check


def test_the_interval_is_students_with_a_pooled_variance():
    ours, theirs = np.array([0.10, 0.12, 0.11]), np.array([0.09, 0.12, 0.12])
    rows = pd.DataFrame(
        {
            "implementation": [check.OURS] * 3 + [check.AUTHORS] * 3,
            "NDCG@10": np.concatenate([ours, theirs]),
        }
    )
    error = np.sqrt((ours.var(ddof=1) + theirs.var(ddof=1)) / 2 * 2 / 3)
    found = check.compare_implementations(rows, level=0.9)
    change = ours.mean() - theirs.mean()
    assert found["difference"] == pytest.approx(100 * change / theirs.mean())
    high = change + t.ppf(0.95, 4) * error
    assert found["high"] == pytest.approx(100 * high / theirs.mean())


def test_both_have_three_seeds_of_one_setting():
    rows = check.load_check()
    assert rows.groupby("implementation")["seed"].apply(sorted).tolist() == [[0, 1, 2]] * 2
    assert (rows[check.SETTINGS].nunique() == 1).all()
    assert rows["NDCG@10"].between(0.07, 0.12).all()


def test_each_number_of_steps_has_one_run():
    assert check.load_steps()["n_steps"].tolist() == [8, 32]
