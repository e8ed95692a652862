"""Consolidated sweeps, read again and done again."""

import functools

import numpy as np
import pandas as pd
import pytest
from sweep_helpers import GRID, sweep

from perflaw.errors import InputError
from perflaw.logs import datasets, interaction_log, perturbations
from perflaw.models import configuration
from perflaw.models.sweeps import grids, results, verification
from perflaw.models.training import run_records


@pytest.fixture(scope="module")
def consolidated(log, tmp_path_factory):
    """A sweep as CSV, of settings that need all their digits."""
    folder = tmp_path_factory.mktemp("consolidated")
    rates = {
        "learning_rate": [1e-3 / 3, 0.1 + 0.2, 10**-2.5],
        "dropout": 1 / 7,
        "clip": [None, 1 / 3],
    }
    sweep(
        GRID
        | {
            "grid": [
                *GRID["grid"],
                rates,
                {"sample_users": 1 / 3, "data_seed": 4},
                {"loss": "bce", "patience": None},
            ]
        },
        log,
        folder,
    )
    return results.consolidate(folder, "small", folder / "tables")


@pytest.mark.integration
def test_a_table_is_read_as_it_was(consolidated):
    table, was = (
        results.read_runs_table(consolidated),
        results.load_runs(consolidated.parent.parent),
    )
    assert consolidated.name == "small.csv"
    assert list(table) == list(was)
    exact = list(
        was.select_dtypes(exclude="float").columns.union(
            [*configuration.Config.__dataclass_fields__, *perturbations.PERTURBATIONS]
        )
    )
    pd.testing.assert_frame_equal(table[exact], was[exact], check_dtype=False)
    pd.testing.assert_frame_equal(table, was, check_dtype=False, rtol=5e-6)
    assert (table["NDCG@10"] == was["NDCG@10"].map(lambda value: float(f"{value:.6g}"))).all()


def test_counts_stay_exact(copied):
    """Also where only some of the runs have them."""
    path = min(copied.glob("*.json"))
    counted = {"parameters": {"embedding": 1, "other": 123_456_789}}
    run_records.write_record(run_records.read_record(path) | counted, path)
    table = results.read_runs_table(results.consolidate(copied, "counts", copied / "tables"))
    assert table["parameters other"].dropna().tolist() == [123_456_789]


@pytest.mark.integration
def test_runs_can_be_done_again(log, consolidated):
    found = verification.verify(consolidated, 99, log, progress=False)
    assert len(found) == 17
    assert found["equal"].all()
    assert found["within"].all()
    assert (found["was"] == found["now"].round(12)).mean() < 1
    few = verification.verify(consolidated, 2, log, progress=False)
    assert len(few) == 2
    assert set(few["key"]) < set(found["key"])
    assert set(verification.verify(consolidated, 2, log, seed=1, progress=False)["key"]) != set(
        few["key"]
    )


@pytest.mark.integration
def test_the_log_is_found_by_its_name(log, consolidated, monkeypatch):
    monkeypatch.setattr(datasets, "load_log", lambda name: {"synthetic": log}[name])
    assert verification.verify(consolidated, 1, progress=False)["equal"].all()


@functools.cache
def recorded_tables():
    return [results.read_runs_table(path) for path in results.sweeps_folder().glob("*.csv")]


def recorded_logs():
    """Return the names of local logs that have recorded runs."""
    names = {name for table in recorded_tables() for name in table["log"].unique()}
    return sorted(names & set(datasets.local_logs()))


@pytest.mark.integration
@pytest.mark.parametrize("name", recorded_logs() or [None])
def test_the_keys_of_all_recorded_runs_are_what_they_were(name):
    if name is None:
        pytest.skip("PERFLAW_DATA names no folder with a log of data/sweeps")
    log = datasets.load_log(name)
    for table in recorded_tables():
        for _, was in table.query("log == @name").iterrows():
            point = verification.point_of(was)
            assert run_records.run_key(point.config, grids.split_of(log, point.data)) == was["key"]


def test_a_table_from_before_samples_can_be_repeated(log, consolidated, tmp_path):
    results.read_runs_table(consolidated).drop(columns="sample_log").to_csv(
        tmp_path / "old.csv", index=False
    )
    assert verification.verify(tmp_path / "old.csv", 2, log, progress=False)["equal"].all()


def test_a_table_of_failures_cannot_be_repeated(log, consolidated, tmp_path):
    failed = results.read_runs_table(consolidated).assign(**{"NDCG@10": None})
    failed.to_csv(tmp_path / "failed.csv", index=False)
    with pytest.raises(InputError, match="has no run that came to an end"):
        verification.verify(tmp_path / "failed.csv", 1, log)


def test_a_log_that_is_not_found_can_be_named(consolidated, monkeypatch):
    def fails(name):
        raise InputError(f"there is no log {name!r}")

    monkeypatch.setattr(datasets, "load_log", fails)
    with pytest.raises(InputError, match="there is no log 'synthetic'; or say which it is with"):
        verification.verify(consolidated, 1)


def test_another_log_is_another_run(log, consolidated):
    with pytest.raises(
        InputError,
        match=r"was not trained on this synthetic \(its hash is another\); "
        r"it would now be [0-9a-f]{16}",
    ):
        verification.verify(consolidated, 1, log.sample_users(0.9))
    order = list(reversed(range(log.n_users)))
    turned = interaction_log.from_histories(
        [log.history(u) for u in order],
        [log.timestamps[log.offsets[u] : log.offsets[u + 1]] for u in order],
    )
    assert turned.hash == log.hash
    with pytest.raises(
        InputError, match=r"\(its configuration, or the order of users or items, is another\)"
    ):
        verification.verify(consolidated, 1, turned)


def test_what_differs_is_told(log, consolidated, tmp_path):
    frame = results.read_runs_table(consolidated).query("`NDCG@10` > 0")
    frame.assign(**{"NDCG@10": 1.04 * frame["NDCG@10"]}).to_csv(tmp_path / "near.csv", index=False)
    near = verification.verify(tmp_path / "near.csv", 2, log, progress=False)
    assert near["within"].all()
    assert not near["equal"].any()
    assert not verification.verify(tmp_path / "near.csv", 2, log, tolerance=0.01, progress=False)[
        "within"
    ].any()


def test_a_tolerance_that_is_no_number_is_refused(consolidated):
    with pytest.raises(InputError, match="a tolerance of nan is no share"):
        verification.verify(consolidated, 1, tolerance=float("nan"))


@pytest.mark.parametrize(
    ("column", "value"),
    [("NDCG@10", np.inf), ("threads", 1e9), ("data_seed", "x"), ("sample_log", "half")],
)
def test_a_value_that_no_run_has_is_told_before_training(
    log, consolidated, tmp_path, column, value
):
    frame = results.read_runs_table(consolidated).query("`NDCG@10` > 0").head(1)
    frame.astype({column: object}).assign(**{column: value}).to_csv(
        tmp_path / "odd.csv", index=False
    )
    with pytest.raises(InputError, match=f"odd.csv: {column} = .* is not usable; consolidate"):
        verification.verify(tmp_path / "odd.csv", 1, log, progress=False)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (None, "there is no sweep '.*table.csv'; in data/sweeps there is"),
        ("", "is no table of runs: No columns to parse"),
        ("a,b\n1,2\n", "is no table of runs: it has no column key"),
        ('key,log\n"1', "is no table of runs: Error tokenizing data"),
        (
            "key,log,status,n_layers,d_emb\na,b,c,1,8\n",
            "cannot be repeated: it has no column backbone",
        ),
    ],
)
def test_a_table_that_is_none(tmp_path, text, told):
    path = tmp_path / "table.csv"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputError, match=told) as error:
        verification.verify(path)
    assert "\n" not in str(error.value)


def test_names_that_look_like_numbers_stay_names(copied):
    path = copied / "names.csv"
    results.load_runs(copied).head(1).assign(key="12345678901234e1", log="007").to_csv(
        path, index=False
    )
    table = results.read_runs_table(path)
    assert table.loc[0, ["key", "log"]].tolist() == ["12345678901234e1", "007"]
