"""Tables of logs: what is recorded is what is measured."""

import os

import numpy as np
import pandas as pd
import pytest

from perflaw import InputError, quality
from perflaw.interactions import from_histories
from perflaw.synthetic import Process


@pytest.fixture(scope="module")
def log():
    return Process(n_items=50, n_interests=5).sample(400, 20).log


def test_recorded_rows_give_way_to_measured_ones(log):
    measured = quality.summaries({"ml-100k": log, "mine": log})
    table = quality.with_recorded("summaries", measured)
    assert list(table["log"][:2]) == ["ml-100k", "mine"] and table["log"].is_unique
    assert table.set_index("log").loc["ml-100k", "users"] == 400
    assert list(table.columns) == list(measured.columns)


@pytest.mark.skipif(not os.environ.get("PERFLAW_DATA"), reason="PERFLAW_DATA names no folder of logs")
@pytest.mark.parametrize("name", ["summaries", "splits", "curves"])
def test_recorded_tables_are_what_the_logs_give(name):
    logs = {name: log for name, log in quality.logs().items() if name != "synthetic"}
    recorded = pd.read_csv(quality.FOLDER / f"{name}.csv")
    logs = {name: log for name, log in logs.items() if name in set(recorded["log"])}
    assert logs
    measured = getattr(quality, name)(logs)
    recorded = recorded[recorded["log"].isin(logs)].reset_index(drop=True)
    pd.testing.assert_frame_equal(measured, recorded, check_dtype=False, rtol=1e-5)


def test_splits_of_a_log_with_ties():
    ties = from_histories([list("abcd"), list("dcba"), list("bdca")] * 5, [[1e9 + u, 2e9, 3e9, 3e9] for u in range(15)])
    table = quality.splits({"ties": ties}).set_index("rule")
    assert table.loc["ties reversed", "moved"] == 1 and table.loc["leave one out", "tied"] == 1
    assert np.isnan(table.loc["leave one out", "moved"])
    without_clock = quality.splits({"none": from_histories([list("abc")])})
    assert list(without_clock["rule"]) == ["leave one out"]


def test_curves(log):
    curves = quality.curves({"one": log})
    length, popularity, repeats = (curves[curves["curve"] == name] for name in ("length", "popularity", "repeats"))
    assert length["y"].iloc[0] == 1 and (length["y"].diff().dropna() <= 0).all()
    assert length["x"].iloc[-1] == log.lengths.max() and length["y"].iloc[-1] == pytest.approx(np.mean(log.lengths == log.lengths.max()))
    assert popularity["y"].iloc[0] == log.item_counts.max() / log.tokens
    assert repeats["y"].between(0, 1).all() and len(repeats) > 3
    second = log.repeats[log.offsets[:-1] + 1].mean()
    assert repeats["x"].iloc[0] == 2 and repeats["y"].iloc[0] == pytest.approx(second)


def test_logs_by_name(tmp_path, monkeypatch):
    monkeypatch.delenv("PERFLAW_DATA", raising=False)
    assert list(quality.logs()) == ["synthetic"] == list(quality.logs(["synthetic"]))
    (tmp_path / "shop.csv").write_text("user,item\nu,a\nu,b\n")
    assert list(quality.logs([str(tmp_path / "shop.csv")])) == ["shop"]
    with pytest.raises(InputError, match="there is no log 'nonesuch'"):
        quality.logs(["nonesuch"])
