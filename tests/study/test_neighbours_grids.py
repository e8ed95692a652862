"""Grids that scripts run: of their tables, refused where they cannot be, and trained."""

import runpy
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
from script_helpers import LIGHT_GCN, SCRIPTS, load_committed, refuse

from perflaw.errors import InputError
from perflaw.models.sweeps import grids
from perflaw.study.files import study_file
from perflaw.study.neighbours import (
    cetnet_runs,
    diffu_rec,
    light_gcn,
    light_gcn_check,
    model_grids,
    recurrent_residuals,
    temperature,
)


def read_lines(path):
    """Read the lines of a table, sorted but for the first."""
    first, *rows = path.read_text().splitlines()
    return [first, *sorted(rows)]


def load_complete(script):
    """Return what a script does with a table and a grid."""
    return runpy.run_path(str(SCRIPTS / f"{script}.py"))["complete"]


# ---------------------------------------------------------------- the committed tables


def load_nothing(logs):
    """Stand for the splits of logs, which need not be there."""
    return {log: SimpleNamespace(log=log) for log in logs}


@pytest.mark.integration
@pytest.mark.parametrize(
    ("name", "module", "train"),
    [("light_gcn", light_gcn, "train_light_gcn"), ("diffu_rec", diffu_rec, "train_diffu_rec")],
)
def test_a_grid_makes_its_whole_table(name, module, train, tmp_path, monkeypatch):
    committed = load_committed(name)

    def look_up(split, options=None, **run):
        values = {"log": split.log} | (run or options._asdict())
        [row] = committed.merge(pd.DataFrame([values])).to_dict("records")
        return row

    monkeypatch.setattr(module, train, look_up)
    table = tmp_path / "table.csv"
    assert list(load_complete(name)(table, name.replace("_", "-"), load_nothing))
    assert read_lines(table) == read_lines(study_file("data", "neighbours", f"{name}.csv"))


@pytest.mark.integration
def test_the_grid_of_ensembles_makes_its_whole_table(tmp_path, monkeypatch):
    committed = load_committed("cetnet")

    def look_up(job, split, plan):
        values = {"log": job.log, "seed": job.seed, "strength": job.strength}
        values |= dict(zip(("dropout", "weight_decay"), job.recipe))
        rows = committed.merge(pd.DataFrame([values]))[committed.columns]
        of_job = (rows["training"] == job.training) & (rows["members"] == job.members)
        if job.training == cetnet_runs.ALONE:
            of_job = rows["training"] == job.training
        if (job.training, job.members) == (cetnet_runs.TOGETHER, max(plan.members)):
            of_job |= rows["training"] == cetnet_runs.STUDENT
        return rows[of_job].to_dict("records")

    monkeypatch.setattr(cetnet_runs, "run_job", look_up)
    table = tmp_path / "table.csv"
    assert list(cetnet_runs.complete_table(table, "cetnet", load_nothing))
    assert read_lines(table) == read_lines(study_file("data", "neighbours", "cetnet.csv"))


def test_rows_of_ensembles_have_the_parameters_of_the_settings():
    rows, grid = load_committed("cetnet"), cetnet_runs.read_grid()
    single = rows[(rows["training"] == cetnet_runs.ALONE) & (rows["members"] == 1)]
    assert set(single["d_emb"]) == {grid.settings["d_emb"]}
    wider = rows[rows["training"] == cetnet_runs.WIDER]
    n_items = {"ml-100k": 1682, "lastfm-s3rec": 3646}
    assert wider["d_emb"].tolist() == [
        cetnet_runs.equal_width(members, n_items[log], grid)
        for log, members in wider[["log", "members"]].itertuples(index=False)
    ]


def test_the_grid_of_temperatures_is_that_of_its_table():
    runs = [tuple(run[name] for name in temperature.KEY) for run in temperature.read_grid().runs]
    rows = load_committed("temperature")
    assert list(rows[temperature.KEY].itertuples(index=False, name=None)) == runs


@pytest.mark.integration
def test_the_grid_of_recurrent_corrections_is_that_of_its_table(tmp_path, monkeypatch):
    monkeypatch.setattr(recurrent_residuals, "score_series", lambda *_: {"error": 1.0})
    table = tmp_path / "table.csv"
    rows = list(recurrent_residuals.complete_table(table, "recurrent-residuals"))
    key = recurrent_residuals.KEY
    committed = load_committed("recurrent_residuals")
    assert [tuple(row[name] for name in key) for row in rows] == list(
        committed[key].itertuples(index=False, name=None)
    )


def test_the_grid_of_the_check_is_that_of_its_table():
    logs, runs = light_gcn_check.read_grid()
    rows = load_committed("light_gcn_check")
    for code in (light_gcn_check.OURS, light_gcn_check.THEIRS):
        of_code = rows[rows["implementation"] == code]
        assert list(of_code[LIGHT_GCN].itertuples(index=False, name=None)) == runs
        assert of_code["log"].unique().tolist() == logs


def test_the_grid_of_the_published_row_is_that_of_its_table(monkeypatch):
    monkeypatch.setattr(light_gcn_check, "train_published", refuse)
    table = study_file("data", "neighbours", "light_gcn_published.csv")
    grid = "light-gcn-published"
    assert list(light_gcn_check.complete_published(table, grid, load_nothing)) == []
    seeds = grids.read_grid(grid)["grid"]["seed"]
    assert pd.read_csv(table)["seed"].tolist() == seeds


TRAINED = {"batch_size": 64, "learning_rate": 0.003, "epochs": 200, "patience": 5}
TRAINED |= {"negatives": 256, "validate_every": 2, "n_layers": 2}
MADE_WITH = {
    "cetnet": TRAINED | {"max_seq_len": 20, "d_emb": 32},
    "temperature": TRAINED
    | {"backbone": "sasrec", "loss": "sampled_softmax", "max_seq_len": 50, "dropout": 0.2},
    "light-gcn-published": {"n_layers": 3, "d_emb": 64, "learning_rate": 0.005}
    | {"batch_size": 1024, "epochs": 50, "train_share": 0.75},
}


@pytest.mark.parametrize("name", MADE_WITH)
def test_settings_are_those_that_the_table_was_made_with(name):
    """No column of these tables has them, so whoever changes one must make the table anew."""
    assert grids.read_grid(name)["settings"] == MADE_WITH[name]


# ---------------------------------------------------------------- what is refused

READERS = {
    "cetnet": cetnet_runs.read_grid,
    "light-gcn": lambda grid: model_grids.read_grid("LightGCN", grid),
    "diffu-rec": lambda grid: model_grids.read_grid("DiffuRec", grid),
    "light-gcn-check": light_gcn_check.read_grid,
    "light-gcn-published": lambda grid: next(
        light_gcn_check.complete_published(Path("table.csv"), grid, load_nothing)
    ),
    "temperature": temperature.read_grid,
    "recurrent-residuals": lambda grid: next(
        recurrent_residuals.complete_table(Path("table.csv"), grid)
    ),
}


@pytest.mark.parametrize("name", READERS)
def test_an_unknown_part_is_named_with_the_nearest(name):
    grid = grids.read_grid(name) | {"grids": {}}
    with pytest.raises(InputError, match=r"has no 'grids'; .*; did you mean grid\?") as error:
        READERS[name](grid)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", READERS)
def test_an_unknown_setting_is_named_with_the_nearest(name):
    with pytest.raises(InputError, match=r"grid has no 'sed'; it has .*; did you mean seed\?"):
        READERS[name](grids.read_grid(name) | {"grid": {"sed": 1}})


@pytest.mark.parametrize("name", READERS)
def test_a_grid_without_a_grid_is_refused(name):
    values = grids.read_grid(name)
    del values["grid"]
    with pytest.raises(InputError, match="has no 'grid'; a grid of scripts/"):
        READERS[name](values)


@pytest.mark.parametrize("name", READERS)
def test_the_grid_of_a_sweep_is_refused(name):
    with pytest.raises(InputError, match=r"base is no grid of scripts/.*, which has 'run by: "):
        READERS[name]("base")


@pytest.mark.parametrize("logs", [[], "ml-100k", [3]])
def test_logs_are_a_list_of_names(logs):
    with pytest.raises(InputError, match="logs needs a list of names"):
        cetnet_runs.read_grid(grids.read_grid("cetnet") | {"logs": logs})


@pytest.mark.parametrize(
    ("name", "part", "values", "message"),
    [
        ("cetnet", "grid", {"members": [1], "seed": 0}, "members = 1 .* a whole number, 2 or more"),
        ("cetnet", "grid", {"members": [9], "seed": 0}, "members = 9 is not usable; use at most 8"),
        (
            "cetnet",
            "grid",
            [{"members": 2, "seed": 0}, {"members": 4, "seed": 1}],
            "each number of members with each seed",
        ),
        ("cetnet", "grid", {"members": 2}, "grid needs seed"),
        ("cetnet", "tuning", {"strength": []}, "tuning: strength has no values"),
        ("cetnet", "recipes", [], "recipes has no runs"),
        ("cetnet", "recipes", [{"dropout": 1, "weight_decay": 0}], "dropout = 1.0 is not usable"),
        ("cetnet", "settings", {"loss": "bce"}, "settings has no 'loss'; it has negatives"),
        ("light-gcn", "grid", {"n_layers": 1, "d_emb": 8, "seed": True}, "seed = True .* whole"),
        ("light-gcn", "tuning", {"d_emb": 8}, "tuning needs n_layers"),
        (
            "light-gcn",
            "tuning",
            {"n_layers": [1, 2], "d_emb": 8, "seed": 0, "learning_rate": 0.1},
            "tuning needs one cell",
        ),
        (
            "light-gcn",
            "tuning",
            {"n_layers": 1, "d_emb": 8, "seed": 0, "learning_rate": 0.1234567},
            "learning_rate = 0.1234567 .* at most six digits",
        ),
        (
            "diffu-rec",
            "grid",
            {"n_layers": 0, "d_emb": 8, "seed": 0, "n_steps": 8},
            "grid: n_layers = 0 is not usable; use a whole number, 1 or more",
        ),
        (
            "diffu-rec",
            "grid",
            {"n_layers": 1, "d_emb": 8, "seed": 0, "n_steps": 8, "log": "ml-1m"},
            "log = 'ml-1m' is not usable; use one of ml-100k, lastfm-s3rec",
        ),
        (
            "diffu-rec",
            "grid",
            {"n_layers": 1, "d_emb": 6, "seed": 0, "n_steps": 8},
            "d_emb = 6 is not usable; use a whole number, 4 or more, that 4 divides",
        ),
        (
            "light-gcn",
            "grid",
            {"n_layers": 1, "d_emb": 10**9, "seed": 0},
            "d_emb = 1000000000 is not usable; use at most 4,096",
        ),
        ("temperature", "settings", {"seed": 1}, "seed belongs to grid; remove it from settings"),
        ("temperature", "settings", {"d_emb": 8}, "d_emb belongs to grid; remove it from settings"),
        ("temperature", "settings", {"layers": 1}, "a configuration has no 'layers'"),
        ("temperature", "grid", {"d_emb": 8, "seed": 0, "temperature": -1}, "temperature = -1"),
        ("recurrent-residuals", "grid", {"step": "month", "seed": 0}, "use one of day, week"),
        ("recurrent-residuals", "logs", ["ml-1m"], "counts.csv has no ml-1m; it has foursquare-5k"),
        (
            "light-gcn-published",
            "settings",
            {"n_layers": 3, "d_emb": 4, "learning_rate": 0.1, "batch_size": 1, "epochs": 1}
            | {"train_share": 1},
            "train_share needs a share above 0 and below 1",
        ),
    ],
)
def test_what_cannot_be_is_refused(name, part, values, message):
    with pytest.raises(InputError, match=message) as error:
        READERS[name](grids.read_grid(name) | {part: values})
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("seed", [2**31, 2**64, 10**400])
def test_a_seed_that_is_too_large_is_refused(name, seed):
    values = grids.read_grid(name)
    products = values["grid"] if isinstance(values["grid"], list) else [values["grid"]]
    large = [product | {"seed": seed} for product in products]
    with pytest.raises(InputError, match=r"grid: seed = .* is not usable; use "):
        READERS[name](values | {"grid": large})


@pytest.mark.parametrize("name", READERS)
def test_a_grid_that_names_no_script_is_told_what_to_write(name):
    with pytest.raises(InputError, match="this grid: 'run by' names no script; write 'run by: "):
        READERS[name](grids.read_grid(name) | {"run by": None})


def test_runs_of_overlapping_products_are_listed_once():
    values = grids.read_grid("temperature") | {"logs": ["a"]}
    values["grid"] = [{"d_emb": 8, "seed": [0, 0], "temperature": 1}] * 2
    assert len(temperature.read_grid(values).runs) == 1


def test_the_rate_is_chosen_on_validation_at_one_cell():
    rows = pd.DataFrame(
        {
            "log": ["a", "a", "a", "b"],
            "n_layers": [2, 2, 4, 2],
            "d_emb": 32,
            "seed": 0,
            "learning_rate": [0.01, 0.03, 0.1, 0.1],
            "validation NDCG@10": [0.2, 0.3, 0.9, 0.9],
        }
    )
    cell = {"n_layers": 2, "d_emb": 32, "seed": 0}
    assert model_grids.choose_rate(rows, "a", cell) == 0.03
