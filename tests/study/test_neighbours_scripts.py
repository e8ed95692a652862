"""Scripts that run grids: the tables that they take, the logs that they need, and what fails."""

from pathlib import Path

import pandas as pd
import pytest
from script_helpers import LIGHT_GCN, load_committed, refuse, run_as_shell

from perflaw.errors import InputError
from perflaw.logs.interaction_log import from_histories, write_log
from perflaw.models.sweeps import grids
from perflaw.study.files import study_file
from perflaw.study.neighbours import (
    cetnet_runs,
    grid_command,
    light_gcn,
    light_gcn_check,
    model_grids,
    recurrent_residuals,
    script_grids,
    temperature,
)

# ---------------------------------------------------------------- tables that are there

COLUMNS = {
    "cetnet": (cetnet_runs.ROW_KEY, cetnet_runs.MEASURED),
    "light_gcn": (["log", *LIGHT_GCN], script_grids.MEASURED),
    "diffu_rec": (["log", *LIGHT_GCN, "n_steps"], script_grids.MEASURED),
    "light_gcn_check": (["log", *LIGHT_GCN, "implementation"], script_grids.MEASURED),
    "light_gcn_published": (["seed"], list(light_gcn_check.PUBLISHED)),
    "temperature": (temperature.KEY, temperature.MEASURED),
    "recurrent_residuals": (recurrent_residuals.KEY, recurrent_residuals.MEASURED),
}


@pytest.mark.parametrize("table", COLUMNS)
@pytest.mark.parametrize("script", COLUMNS)
def test_a_script_takes_its_own_table_alone(script, table, tmp_path):
    rows = load_committed(table)
    path = tmp_path / "table.csv"
    rows.to_csv(path, index=False)
    if script == table:
        assert len(script_grids.load_table(path, *COLUMNS[script])) == len(rows)
    else:
        with pytest.raises(InputError, match=r"has (no|the) column .*; name another table with"):
            script_grids.load_table(path, *COLUMNS[script])


@pytest.mark.parametrize("script", COLUMNS)
@pytest.mark.parametrize("value", ["", "much"])
def test_a_value_that_is_no_number_is_found(script, value, tmp_path):
    key, measured = COLUMNS[script]
    name, path = measured[0], tmp_path / "table.csv"
    rows = load_committed(script).astype({name: object})
    rows.loc[2, name] = value
    rows.to_csv(path, index=False)
    with pytest.raises(InputError, match=f"has no usable '{name}' in line 4; mend or remove"):
        script_grids.load_table(path, key, measured)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("seed,score\n0,1\n\n  \n1,2\n\n2,much\n", 7),
        ("\n\nseed,score\n0,1\n1,much\n", 5),
        ('\ufeffseed,score\r\n\r\n0,1\r\n1,""\r\n', 4),
        ('log,seed,score\n"a\n\nb",0,1\n"c\nd",1,much\n', 5),
    ],
    ids=["blank lines", "blank lines above", "of Windows", "quoted line ends"],
)
def test_the_line_of_a_value_is_the_editors(text, line, tmp_path):
    path = tmp_path / "table.csv"
    path.write_text(text, encoding="utf-8", newline="")
    key = ["log", "seed"] if text.startswith("log") else ["seed"]
    with pytest.raises(InputError, match=f"has no usable 'score' in line {line}; mend"):
        script_grids.load_table(path, key, ["score"])


def test_a_row_without_its_log_is_found(tmp_path):
    path = tmp_path / "table.csv"
    load_committed("light_gcn").assign(log="").to_csv(path, index=False)
    with pytest.raises(InputError, match="has no usable 'log' in line 2"):
        script_grids.load_table(path, *COLUMNS["light_gcn"])


def test_a_log_may_be_called_na(tmp_path):
    path = tmp_path / "table.csv"
    load_committed("light_gcn").assign(log="NA").to_csv(path, index=False)
    assert set(script_grids.load_table(path, *COLUMNS["light_gcn"])["log"]) == {"NA"}


def test_rates_that_are_no_longer_tried_are_not_chosen(tmp_path, monkeypatch):
    values = dict.fromkeys(script_grids.MEASURED, 0.1)
    known = {"log": "a", "n_layers": 1, "d_emb": 4, "seed": 0, "learning_rate": 0.5} | values
    table = tmp_path / "table.csv"
    pd.DataFrame([known | {"validation NDCG@10": 0.9}]).to_csv(table, index=False)
    monkeypatch.setattr(
        light_gcn, "train_light_gcn", lambda split, run: {"log": "a"} | run._asdict() | values
    )
    grid = grids.read_grid("light-gcn") | {"logs": ["a"], "grid": {"seed": 1}}
    grid["tuning"] = {"n_layers": 1, "d_emb": 4, "seed": 0, "learning_rate": 0.1}
    grid["grid"] = {"n_layers": 1, "d_emb": 4, "seed": 1}
    runs = list(model_grids.complete_table("LightGCN", table, grid, lambda logs: {"a": None}))
    assert [run["learning_rate"] for run in runs] == [0.1, 0.1]


# ---------------------------------------------------------------- scripts


@pytest.fixture
def run_script(tmp_path, monkeypatch, two_tastes):
    """A function that runs a script, with a small log called tiny."""
    write_log(two_tastes.log, tmp_path / "tiny.parquet")
    monkeypatch.setenv("PERFLAW_DATA", str(tmp_path))
    monkeypatch.delenv("RECBOLE_PYTHON", raising=False)
    return run_as_shell


SMALL = {
    "cetnet": """
        settings: {negatives: 8, max_seq_len: 8, batch_size: 16, learning_rate: 0.01, epochs: 1,
          patience: 1, validate_every: 1, n_layers: 1, d_emb: 4}
        recipes: {dropout: 0.2, weight_decay: 0}
        tuning: {strength: 1}
        grid: {members: 2, seed: 3}""",
    "light_gcn": """
        tuning: {n_layers: 1, d_emb: 4, seed: 0, learning_rate: [0.03, 0.1]}
        grid: {seed: [0, 1], n_layers: 1, d_emb: 4}""",
    "diffu_rec": """
        tuning: {n_layers: 1, d_emb: 4, seed: 0, n_steps: 2, learning_rate: [0.003, 0.01]}
        grid:
          - {n_layers: 1, d_emb: 4, seed: 1, n_steps: 2}
          - {log: tiny, n_layers: 1, d_emb: 4, seed: 0, n_steps: 1, learning_rate: 0.02}""",
    "temperature": """
        settings: {max_seq_len: 8, epochs: 1, n_layers: 1}
        grid: {seed: 0, d_emb: [4, 8], temperature: [0, 1]}""",
    "light_gcn_published": """
        settings: {n_layers: 1, d_emb: 4, learning_rate: 0.01, batch_size: 64, epochs: 2,
          train_share: 0.75}
        grid: {seed: [5, 4]}""",
}
ROWS = {
    "cetnet": 10,  # single and wider; together by three fusions, a student; alone: one, and three
    "light_gcn": 3,
    "diffu_rec": 4,
    "temperature": 4,
    "light_gcn_published": 2,
}


def write_grid(folder, script, text):
    path = folder / "mine.yaml"
    path.write_text(
        f"run by: scripts/{script}.py\nlogs: [tiny]\n" + text.replace("\n" + 8 * " ", "\n")
    )
    return path


@pytest.mark.integration
@pytest.mark.parametrize("script", SMALL)
def test_a_grid_of_ones_own_is_trained_once(script, run_script, tmp_path, capsys):
    grid, table = write_grid(tmp_path, script, SMALL[script]), tmp_path / "mine.csv"
    run_script(script, grid, "--out", table)
    whole = table.read_text()
    assert len(pd.read_csv(table)) == ROWS[script]
    interrupted = whole.splitlines(keepends=True)[:2]
    table.write_text("".join(interrupted))
    run_script(script, grid, "--out", table)
    assert table.read_text() == whole
    run_script(script, grid, "--out", table)
    assert table.read_text() == whole
    assert f"mine.csv has all runs of {grid}; 0 are new" in capsys.readouterr().out


@pytest.mark.integration
def test_the_check_needs_recbole(run_script, tmp_path):
    text = "grid: {n_layers: 1, d_emb: 4, learning_rate: 0.1, seed: 0}"
    grid, table = write_grid(tmp_path, "light_gcn_check", text), tmp_path / "mine.csv"
    with pytest.raises(SystemExit, match="RECBOLE_PYTHON must name the Python that has RecBole"):
        run_script("light_gcn_check", grid, "--out", table)
    assert pd.read_csv(table)["implementation"].tolist() == [light_gcn_check.OURS]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["mine.yaml"], "mine.yaml needs a table of its own: add --out TABLE.csv"),
        (["gone.yaml", "--out", "mine.csv"], "gone.yaml cannot be read"),
        (["cetnt", "--out", "mine.csv"], "there is no grid 'cetnt': .*did you mean cetnet"),
        (["light-gcn", "--out", "mine.csv"], "light-gcn is no grid of scripts/cetnet.py"),
        (["mine.yaml", "--out", "gone/mine.csv"], "gone is no folder"),
        (["mine.yaml", "--out", "mine.yaml"], "mine.yaml (is no table|has no column 'log')"),
        (["mine.yaml", "--out", "."], r"\. is no table; name another with --out"),
        (["other.yaml", "--out", "mine.csv"], "there is no log 'tinny'"),
        (["mine.yaml", "--out", "other.csv"], "has the column 'n_steps', which is not of this"),
        (["path.yaml", "--out", "mine.csv"], "logs: ./tiny.parquet is called tiny; use that name"),
    ],
)
def test_bad_arguments_are_one_line(arguments, message, run_script, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = write_grid(tmp_path, "cetnet", SMALL["cetnet"]).read_text()
    Path("other.yaml").write_text(text.replace("tiny", "tinny"))
    load_committed("cetnet").assign(n_steps=1).to_csv("other.csv", index=False)
    Path("path.yaml").write_text(text.replace("tiny", "./tiny.parquet"))
    with pytest.raises(SystemExit, match=message) as error:
        run_script("cetnet", *arguments)
    assert "\n" not in str(error.value)
    assert Path("mine.yaml").read_text() == text


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="there is no /proc")
@pytest.mark.parametrize("script", SMALL)
def test_a_table_that_cannot_be_written_is_refused_before_training(
    script, run_script, tmp_path, monkeypatch
):
    monkeypatch.setattr(grid_command, "load_splits", refuse)
    grid = write_grid(tmp_path, script, SMALL[script])
    with pytest.raises(SystemExit, match=r"records cannot be kept in /proc: .*; name another"):
        run_script(script, grid, "--out", "/proc/mine.csv")


@pytest.mark.parametrize("script", SMALL)
@pytest.mark.parametrize(
    ("histories", "message"),
    [
        ([list("abc")], "tiny cannot be trained on: no user has two interactions in its training"),
        ([list("abc"), list("bca")], "tiny cannot be trained on"),
        ([list("abcda")], "tiny is too small: it has 4 items, and lists have 10"),
        ([list("ab"), list("ba")], "tiny cannot be split: no user has three interactions"),
    ],
)
def test_a_log_that_is_too_small_is_one_line(script, histories, message, run_script, tmp_path):
    write_log(from_histories(histories), tmp_path / "tiny.parquet")
    grid, table = write_grid(tmp_path, script, SMALL[script]), tmp_path / "mine.csv"
    with pytest.raises(SystemExit, match=message) as error:
        run_script(script, grid, "--out", table)
    assert "\n" not in str(error.value)
    assert not table.exists()


@pytest.mark.integration
@pytest.mark.parametrize("script", SMALL)
def test_a_log_of_one_user_is_trained_on(script, run_script, tmp_path):
    write_log(from_histories([list("abcdefghijkl")]), tmp_path / "tiny.parquet")
    grid, table = write_grid(tmp_path, script, SMALL[script]), tmp_path / "mine.csv"
    run_script(script, grid, "--out", table)
    assert len(pd.read_csv(table)) == ROWS[script]


def test_a_share_that_leaves_nothing_to_test_is_refused():
    log = from_histories([list("abc"), list("bca")])
    with pytest.raises(InputError, match=r"too small: train_share = 0.9 leaves one part empty"):
        light_gcn_check.train_published(log, 0, {"train_share": 0.9})


@pytest.mark.parametrize(
    ("raised", "message"),
    [
        (MemoryError(), "out of memory; in light-gcn use smaller models or batches"),
        (FloatingPointError("no numbers"), r"training diverged \(no numbers\); in light-gcn use"),
    ],
)
def test_training_that_fails_is_one_line(raised, message):
    def complete(table, grid, load_splits):
        raise raised
        yield

    with pytest.raises(SystemExit, match=message):
        grid_command.run_script("A line.", "light-gcn", complete, [])


def test_an_error_of_the_program_is_not_hidden():
    def complete(table, grid, load_splits):
        raise RuntimeError("shapes differ")
        yield

    with pytest.raises(RuntimeError, match="shapes differ"):
        grid_command.run_script("A line.", "light-gcn", complete, [])


def test_a_script_without_arguments_has_the_committed_grid(monkeypatch, capsys):
    seen = []

    def complete(table, grid, load_splits):
        seen.append((table, grid))
        return iter(())

    grid_command.run_script("A line.", "light-gcn", complete, [])
    path = grids.grids_folder() / "light-gcn.yaml"
    grid_command.run_script("A line.", "light-gcn", complete, [str(path)])
    table = study_file("data", "neighbours", "light_gcn.csv")
    assert seen == [(table, "light-gcn"), (table, str(path))]
