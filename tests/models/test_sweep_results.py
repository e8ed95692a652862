"""Tables of runs, from records and for seeds."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sweep_helpers import SETTINGS, sweep

from perflaw.errors import InputError
from perflaw.logs import interaction_log, perturbations, splits
from perflaw.models import configuration
from perflaw.models.sweeps import executors, grids, results, runner, verification
from perflaw.models.training import run_records


def test_a_table_has_plain_columns(log, done):
    table = results.load_runs(done)
    assert table["key"].is_monotonic_increasing
    assert len(table) == 9
    assert not table.columns.duplicated().any()
    config, data = (
        set(configuration.Config.__dataclass_fields__),
        {"split", "data_seed", *perturbations.PERTURBATIONS},
    )
    documented = {
        "key",
        "log",
        "data_hash",
        "tokens",
        "users",
        "items",
        "validation_targets",
        "test_targets",
        "status",
        "done_epochs",
        "best_epoch",
    }
    documented |= {
        "training_loss",
        "parameters",
        "parameters embedding",
        "entropy conditional",
        "seconds",
        "seconds training",
        "tokens_per_second",
    }
    documented |= {
        "NDCG@10",
        "NDCG@10 se",
        "validation NDCG@10",
        "device",
        "threads",
        "torch",
        "commit",
        "finished",
    }
    assert config | data | documented <= set(table)
    for name in table:
        kinds = {type(value) for value in table[name].dropna()}
        assert len(kinds) <= 1, name
        assert table[name].dtype != object or kinds == {bool}, name
    assert set(table["sample_users"].dropna()) == {0.5}
    assert set(table["truncate"].dropna()) == {5.0}
    assert table["split"].value_counts().to_dict() == {"leave one out": 8, "global time": 1}
    assert set(table.loc[table["sample_users"].notna(), "data_seed"]) == {0, 1}
    assert (table["done_epochs"] == 2).all()
    assert table["training_loss"].between(3, 5).all()
    assert (table["parameters"] == table.filter(regex="^parameters ").sum(axis=1)).all()


def test_where_nothing_repeats_the_other_rule_has_columns_too(tmp_path):
    movies = interaction_log.from_histories(
        [np.random.default_rng(u).permutation(60)[:15] for u in range(80)]
    )
    table = sweep({"settings": SETTINGS}, movies, tmp_path)
    assert (table["removed NDCG@50"] >= table["NDCG@50"]).all()
    assert not table["repeats"].any()


def test_a_table_has_both_checkpoints(log, done):
    table = results.load_runs(done)
    assert (table["least-loss epoch"] <= table["done_epochs"]).all()
    same = table["least-loss epoch"] == table["best_epoch"]
    assert (table["least-loss NDCG@10"] == table["NDCG@10"])[same].all()
    assert (table["least-loss validation NDCG@10"] <= table["validation NDCG@10"]).all()


SAMPLES = {"settings": SETTINGS, "grid": {"sample_log": [0.25, 0.5, 1], "data_seed": [0, 1]}}


def test_an_early_record_has_its_positions_in_its_rate(done):
    record = run_records.read_record(min(done.glob("*.json")))
    early = {name: value for name, value in record.items() if name != "positions"}
    found = results.record_row(early)["positions"]
    assert found == pytest.approx(record["positions"], rel=0.01)


def test_a_sample_of_a_log_is_a_smaller_log(log):
    points = grids.expand_grid(SAMPLES)
    splits = [grids.split_of(log, point.data) for point in points]
    assert [(point.data.sample, point.data.seed) for point in points] == [
        (0.25, 0),
        (0.25, 1),
        (0.5, 0),
        (0.5, 1),
        (1, 0),
    ]
    assert [split.log.n_users for split in splits] == [20, 20, 40, 40, 80]
    for split in splits:
        assert (split.log.item_counts > 0).all()  # items of its own
        assert (split.test >= 0).sum() <= split.log.n_users
    quarter, other, half = (set(split.log.user_ids) for split in splits[:3])
    assert quarter < half
    assert quarter != other
    assert splits[-1].sample is None
    assert splits[0].sample == (0.25, 0, log.hash)


def test_the_key_has_what_came_later_only_where_it_is_not_the_default(log):
    split, config = splits.leave_one_out(log), configuration.make_config(**SETTINGS)
    later = configuration.LATER_SETTINGS
    first_settings = {name: value for name, value in vars(config).items() if name not in later}
    before = run_records._digest(
        run_records.SCHEMA, first_settings, log.hash, split.rule, split.hash, split.log.order
    )
    assert run_records.run_key(config, split) == before
    assert (
        run_records.run_key(
            config, grids.split_of(log, grids.expand_grid({"grid": {"sample_log": 1}})[0].data)
        )
        == before
    )
    part = grids.split_of(log, grids.TrainingData(sample=0.5))
    assert run_records.run_key(config, part) != run_records.run_key(
        config, replace(part, sample=None)
    )


@pytest.mark.integration
def test_samples_of_a_log_do_not_mix_with_the_log(log, tmp_path):
    table = sweep(SAMPLES, log, tmp_path)
    assert table["sample_log"].fillna(1).tolist() == [0.25, 0.25, 0.5, 0.5, 1]
    assert table["data_seed"].tolist() == [0, 1, 0, 1, 0]
    assert table["data_hash"].nunique() == 5
    assert results.filter_runs(table, SETTINGS)["sample_log"].isna().all()
    assert len(results.filter_runs(table, SETTINGS | {"sample_log": 1})) == 1
    assert len(results.filter_runs(table, SETTINGS | {"sample_log": 0.5})) == 2
    assert results.filter_runs(table.drop(columns="sample_log"), {"sample_log": 0.5}).empty
    assert results.aggregate_seeds(table)["seeds"].tolist() == [1]
    assert all(
        run_records.read_record(path)["key"] == path.stem for path in tmp_path.glob("*.json")
    )
    assert verification.verify(
        results.consolidate(tmp_path, "samples", tmp_path / "tables"), 9, log, progress=False
    )["equal"].all()


@pytest.mark.parametrize("share", [0, -1, 1.5, True, "half", float("nan")])
def test_a_sample_that_cannot_be(share):
    with pytest.raises(
        InputError,
        match=r"sample_log = .* is not usable; use a share of the users, above 0 and at most 1",
    ):
        grids.expand_grid({"grid": {"sample_log": [share]}})


def test_a_sample_without_targets_is_told(tmp_path, untrained):
    mostly_short = interaction_log.from_histories([[1, 2]] * 99 + [[1, 2, 3, 4, 5]])
    with pytest.raises(InputError, match="cannot be split: no user has three interactions"):
        runner.run(
            {"settings": SETTINGS | {"sample_log": 0.01}}, mostly_short, tmp_path, progress=False
        )


def test_a_folder_without_records(tmp_path):
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(
            InputError, match="has no run records; `perflaw sweep` and `perflaw train` make some"
        ):
            results.load_runs(folder)


def test_files_that_are_no_records_are_left_out_and_named(copied):
    whole = results.load_runs(copied)
    old = sorted(copied.glob("*.json"))[3]
    old.write_text(json.dumps(json.loads(old.read_text()) | {"schema": 0}))
    foreign = {
        "a.json": "{}",
        "b.json": "[1]",
        "c.json": "{",
        "d.json": '{"schema": 1, "key": "d"}',
        "e.json": '{"schema": 1, "key": "other"}',
    }
    for name, text in foreign.items():
        (copied / name).write_text(text)
    with pytest.warns(
        UserWarning,
        match=r"6 of 14 files in .* are no records of schema 1, or were changed, "
        r"and are left out: .*json, .*json, .*json …",
    ) as told:
        table = results.load_runs(copied)
    assert len(told) == 1
    assert old.exists()
    pd.testing.assert_frame_equal(table, whole[whole["key"] != old.stem].reset_index(drop=True))
    for name in foreign:
        (copied / name).unlink()
    with pytest.warns(UserWarning, match=f"1 of 9 files .* are left out: {old.name}$"):
        results.load_runs(copied)


def test_a_record_that_was_changed_is_no_record(copied):
    path = min(copied.glob("*.json"))
    path.write_text(path.read_text().replace('"n_layers": 1', '"n_layers": 7'))
    with pytest.warns(UserWarning, match=f"were changed, and are left out: {path.name}"):
        assert path.stem not in set(results.load_runs(copied)["key"])
    with pytest.raises(
        InputError,
        match="was changed: what it says it was trained with is not what its key stands for",
    ):
        run_records.read_record(path)


def test_cells_hold_runs_that_differ_in_the_seed_alone():
    same = {
        "log": "a",
        "data_hash": "1",
        "n_layers": 1,
        "d_emb": 8,
        "dropout": 0.1,
        "loss": "softmax",
    }
    others = [
        same | change
        for change in (
            {},
            {"dropout": 0.5},
            {"data_hash": "2"},
            {"sample_users": 0.5},
            {"NDCG@10": np.nan},
        )
    ]
    runs = pd.DataFrame(
        [
            {"NDCG@10": 0.1 + 0.01 * seed, "seed": seed, "sample_users": np.nan} | other
            for other in others
            for seed in (0, 1, 2)
        ]
    )
    cells = results.aggregate_seeds(runs)
    assert list(cells) == [
        "log",
        "n_layers",
        "d_emb",
        "data_hash",
        "dropout",
        "NDCG@10",
        "sd",
        "seeds",
    ]
    assert len(cells) == 3
    assert (cells["seeds"] == 3).all()
    assert np.allclose(cells["NDCG@10"], 0.11)
    assert np.allclose(cells["sd"], 0.01)
    with pytest.raises(InputError, match="the runs have no 'NDCG@11'; they have NDCG@10"):
        results.aggregate_seeds(runs, "NDCG@11")


def test_a_table_is_not_written_over(copied, tmp_path):
    path = results.consolidate(copied, "runs.csv", tmp_path)
    assert path.name == "runs.csv"
    assert results.consolidate(copied, "runs", tmp_path) == path
    min(copied.glob("*.json")).unlink()
    with pytest.raises(
        InputError, match=r"runs.csv has 1 runs that .* has not; use another name, or remove it"
    ):
        results.consolidate(copied, "runs", tmp_path)
    for name in ("../up", "a/b", ""):
        with pytest.raises(InputError, match="is no name of a table"):
            results.consolidate(copied, name, tmp_path)


def test_a_folder_is_no_table(done, tmp_path):
    (tmp_path / "runs.csv").mkdir()
    with pytest.raises(InputError, match=r"runs\.csv is no file; use another name"):
        results.consolidate(done, "runs", tmp_path)


def test_what_is_no_log_and_no_executor(log, tmp_path):
    with pytest.raises(
        InputError, match=r"a str is no InteractionLog; read one with perflaw.logs.read_log"
    ):
        runner.run("tiny", "ml-100k", tmp_path)
    with pytest.raises(InputError, match="'here' is no executor"):
        runner.run("tiny", log, tmp_path, "here")
    with pytest.raises(InputError, match="0 workers cannot do anything"):
        executors.process_pool(0)


def test_a_full_disk_leaves_the_old_table(done, tmp_path, monkeypatch):
    path = results.consolidate(done, "runs", tmp_path)
    before = path.read_bytes()

    def write_half(frame, where, **_):
        Path(where).write_bytes(before[:100])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pd.DataFrame, "to_csv", write_half)
    with pytest.raises(InputError, match=r"runs\.csv cannot be written: No space left on device"):
        results.consolidate(done, "runs", tmp_path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["runs.csv"]


@pytest.mark.slow
def test_a_script_needs_no_guard(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "from perflaw.logs import datasets\n"
        "from perflaw.models.sweeps import process_pool, run\n"
        "print('once')\n"
        "settings = {'epochs': 1, 'd_emb': 8, 'max_seq_len': 10}\n"
        "grid = {'settings': settings, 'grid': {'seed': [0, 1]}}\n"
        "log = datasets.load_log('synthetic').sample_users(0.05)\n"
        "runs = run(grid, log, 'runs', process_pool(1), progress=False)\n"
        "print(*runs['status'], sep=',')\n"
    )
    told = subprocess.run(
        [sys.executable, script], cwd=tmp_path, capture_output=True, text=True, check=True
    ).stdout
    assert told == "once\nepochs used up,epochs used up\n"


def test_a_folder_of_failures_is_a_table(log, tmp_path):
    sweep({"settings": SETTINGS | {"n_layers": 10**9}, "grid": {"seed": [0, 1]}}, log, tmp_path)
    table = results.load_runs(tmp_path)
    assert len(table) == 2
    assert table[["done_epochs", "seconds", "training_loss", "clip"]].dtypes.eq(float).all()
    path = results.consolidate(tmp_path, "failed", tmp_path)
    with pytest.raises(InputError, match="cannot be repeated: it has no column NDCG@10"):
        verification.verify(path)


@pytest.mark.integration
def test_cells_are_means_over_seeds(log, tmp_path):
    grid = {
        "settings": SETTINGS,
        "grid": [
            {"d_emb": [4, 8], "seed": [0, 1, 2]},
            {"d_emb": 8, "truncate": 5},
            {"n_layers": 2, "learning_rate": [0.01, 1e30]},
        ],
    }
    table = sweep(grid, log, tmp_path)
    cells = results.aggregate_seeds(table)
    assert list(zip(cells["n_layers"], cells["d_emb"], cells["seeds"])) == [
        (1, 4, 3),
        (1, 8, 3),
        (2, 8, 1),
    ]
    values = table["NDCG@10"][:3]
    assert cells.loc[0, ["NDCG@10", "sd"]].tolist() == pytest.approx(
        [np.mean(values), np.std(values, ddof=1)]
    )
