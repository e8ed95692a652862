"""Intervals widened by what other logs teach."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from perflaw.errors import InputError
from perflaw.study.analysis import wider_intervals


def make_scored(errors, law="a law"):
    """Make scored predictions of 1, with intervals from 0.9 to 1.2: errors by log."""
    rows = [
        {"log": log, "law": law, "predicted": 1.0, "low": 0.9, "high": 1.2, "value": 1 + error}
        for log, of_log in errors.items()
        for error in of_log
    ]
    table = pd.DataFrame(rows)
    return table.assign(covered=table["value"].between(0.9, 1.2).astype(float))


def test_the_factor_is_that_of_the_other_logs():
    scored = make_scored({"one": [0.4, 0.1], "other": [-0.3, -0.1]})
    widened = wider_intervals.widen_by_other_logs(scored)
    assert widened["factor"].tolist() == pytest.approx([3, 3, 2, 2])
    assert widened["low"].tolist() == pytest.approx([0.7, 0.7, 0.8, 0.8])
    assert widened["high"].tolist() == pytest.approx([1.6, 1.6, 1.4, 1.4])
    assert widened["covered"].tolist() == [1, 1, 0, 1]


def test_an_interval_is_never_made_narrower():
    scored = make_scored({"one": [0.01], "other": [-0.01]})
    widened = wider_intervals.widen_by_other_logs(scored)
    assert widened["factor"].tolist() == [1, 1]
    assert widened["high"].tolist() == scored["high"].tolist()


def test_logs_that_teach_count_equally():
    """A log with many good cells does not outvote one whose cells are off."""
    scored = make_scored({"asked": [0.0], "many": [0.0] * 98, "few": [0.8, 0.8]})
    widened = wider_intervals.widen_by_other_logs(scored).set_index("log")
    assert widened.loc["asked", "factor"] == pytest.approx(4)


def test_the_factor_is_the_least_that_holds_so_many_cells():
    """Nine of ten cells are enough for 90 %, though a sum of ten tenths is rounded."""
    scored = make_scored({"asked": [0.0], "ten": [0.2 * i for i in range(1, 11)]})
    widened = wider_intervals.widen_by_other_logs(scored).set_index("log")
    assert widened.loc["asked", "factor"] == pytest.approx(9)
    three = make_scored({"asked": [0.0], **{f"log {i}": [0.2 * i] for i in range(1, 11)}})
    widened = wider_intervals.widen_by_other_logs(three).set_index("log")
    assert widened.loc["asked", "factor"] == pytest.approx(9)


def test_factors_may_be_learnt_from_other_predictions():
    asked = make_scored({"one": [0.0]})
    teaching = make_scored({"one": [9.0], "other": [0.6]})
    assert wider_intervals.widen_by_other_logs(asked, teaching)["factor"].item() == (
        pytest.approx(3)
    )


def test_what_no_other_log_has_is_refused():
    with pytest.raises(InputError, match="no other log than one has intervals of a law"):
        wider_intervals.widen_by_other_logs(make_scored({"one": [0.1]}))


def test_baselines_without_an_interval_are_left_out():
    scored = make_scored({"one": [0.1], "other": [0.1]})
    bare = scored.assign(law="nearest", covered=np.nan)
    both = pd.concat([scored, bare], ignore_index=True)
    assert wider_intervals.widen_by_other_logs(both)["law"].tolist() == ["a law"] * 2


def test_widened_intervals_of_new_logs_cover_what_they_promise():
    """Errors are about twice as large as intervals say; many logs teach that."""
    random = np.random.default_rng(0)
    errors = {f"log {i}": 0.3 * random.standard_normal(12) for i in range(40)}
    widened = wider_intervals.widen_by_other_logs(make_scored(errors))
    assert 0.86 < widened["covered"].mean() < 0.94


def test_widths_are_compared_by_law():
    scored = make_scored({"one": [0.4, 0.1], "other": [-0.3, -0.1]})
    widened = wider_intervals.widen_by_other_logs(scored)
    row = wider_intervals.compare_widths(scored, widened).iloc[0]
    assert (row["before"], row["after"]) == ("2 of 4", "3 of 4")
    assert row["factor"] == pytest.approx(2.5)
    assert row["over logs"] == 75
    assert row["half before"] == pytest.approx(15)
    assert row["half after"] == pytest.approx(37.5)
