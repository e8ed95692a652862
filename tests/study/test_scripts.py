"""Arguments of the scripts: what is wrong is said in one line, before anything is made."""

import pandas as pd
import pytest
from script_helpers import SCRIPTS, run_as_shell

from perflaw.study import script_command

RECBOLE = "recbole_light_gcn"  # runs where perflaw is not installed
NAMES = sorted(path.stem for path in SCRIPTS.glob("*.py"))
NEED_ARGUMENTS = {
    "devices": "CPU_RUNS, GPU_RUNS",
    "ensembles": "LOG",
    "external_grids": "COLLECTED.csv",
    "growth_baselines": "LOG",
    "neighbours": "tasks",
    "pack_ranks": "RUNS, NAME",
    "predict_base": "RUNS/LOG",
    "predictions": "RUNS",
    "probes": "LOG",
    "shared_users": "RUNS",
}


@pytest.fixture
def fail(tmp_path, monkeypatch, capsys):
    """A function that runs a script which has to fail; it returns exit code and message."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PERFLAW_DATA", str(tmp_path))

    def run(script, *arguments):
        with pytest.raises(SystemExit) as error:
            run_as_shell(script, *arguments)
        code, shown = error.value.code, capsys.readouterr().err
        if isinstance(code, str):  # which the interpreter shows, and ends with 1
            code, shown = 1, shown + code + "\n"
        return code, shown

    return run


@pytest.fixture
def no_study(tmp_path, monkeypatch):
    """A study without data, in which nothing can be overwritten."""
    monkeypatch.setenv("PERFLAW_HOME", str(tmp_path / "study"))


@pytest.mark.usefixtures("no_study")
@pytest.mark.parametrize("name", [name for name in NAMES if name != RECBOLE])
def test_every_script_has_help(name, capsys):
    with pytest.raises(SystemExit) as error:
        run_as_shell(name, "--help")
    assert error.value.code == 0
    assert f"usage: {name}.py" in capsys.readouterr().out


@pytest.mark.usefixtures("no_study")
@pytest.mark.parametrize("name", NAMES)
def test_every_script_refuses_what_it_does_not_take(name, fail):
    code, message = fail(name, "--nonsense")
    assert code in (1, 2)
    assert message.startswith(f"{name}.py")
    assert message.count("\n") == 1


@pytest.mark.usefixtures("no_study")
@pytest.mark.parametrize("name", [name for name in NAMES if name != RECBOLE])
def test_every_script_refuses_too_many_arguments(name, fail):
    code, message = fail(name, *["gone"] * 9)
    assert code in (1, 2)
    assert "gone" in message
    assert message.count("\n") == 1


@pytest.mark.usefixtures("no_study")
@pytest.mark.parametrize("name", NEED_ARGUMENTS)
def test_what_is_missing_is_named(name, fail):
    code, message = fail(name)
    assert code == 2
    assert f"the following arguments are required: {NEED_ARGUMENTS[name]}; usage: " in message
    assert message.count("\n") == 1


@pytest.fixture
def folders(tmp_path):
    """Folders that are not what scripts need."""
    for name in ("empty", "others/log"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "others" / "log" / "a.json").write_text("{}")
    (tmp_path / "list.csv").write_text("user,item\n1,2\n")
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00")
    pd.DataFrame(
        {
            "log": ["Beauty", "Movielens"],
            "model": "SASRec",
            "split": "leave-one-out",
            "grid_point": [0, 1],
            "part": "val",
        }
    ).to_csv(tmp_path / "unknown.csv", index=False)


@pytest.mark.usefixtures("folders")
@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("devices", ["gone", "empty"], "argument CPU_RUNS: gone is no folder; name one of run"),
        ("devices", ["empty", "empty"], "CPU_RUNS: empty has no run records in folders of it"),
        ("devices", ["others", "others"], "others/log has no run"),
        ("ensembles", ["tinny"], "there is no log 'tinny'"),
        ("external_grids", ["gone.csv"], "argument COLLECTED.csv: there is no file gone.csv"),
        ("external_grids", ["list.csv"], "list.csv has no column 'log'; collect the files with it"),
        ("external_grids", ["binary.csv"], "binary.csv is no CSV table ("),
        ("external_grids", ["unknown.csv"], "unknown.csv has a log that is missing or not known"),
        ("growth_baselines", ["tinny"], "there is no log 'tinny'"),
        ("growth_prior", ["--slopes"], "argument --slopes: expected at least one argument"),
        ("growth_prior", ["--slopes", "tinny"], "there is no log 'tinny'"),
        ("log_tables", ["tinny"], "there is no log 'tinny'"),
        ("neighbours", ["count"], "argument tasks: invalid choice: 'count' (choose from 'robust-"),
        ("pack_ranks", ["gone", "mine"], "argument RUNS: gone is no folder"),
        ("pack_ranks", ["empty", "mine"], "argument RUNS: empty has no run records (KEY.json)"),
        ("pack_ranks", ["others/log", "a/b"], "'a/b' is no name of a file"),
        ("pack_ranks", ["others/log", "mine", "list.csv"], "records cannot be kept in list.csv"),
        ("pack_ranks", ["others/log", "mine", "empty"], "a.json is no run record"),
        ("paper_sizes", ["gone"], "argument RUNS: gone is no folder"),
        ("paper_sizes", ["others/log"], "a.json is no run record"),
        ("predict_base", ["empty"], "argument RUNS/LOG: empty has no run records"),
        ("predict_base", ["others/log"], "others/log has no run"),
        ("predictions", ["empty"], "argument RUNS: empty has no run records in folders of it, one"),
        ("predictions", ["others/log"], "others/log has no run records in folders of it"),
        ("predictions", ["others", "base"], "argument grid: invalid choice: 'base' (choose from"),
        ("predictions", ["others"], "others/log has no run"),
        ("probes", ["tinny"], "there is no log 'tinny'"),
        ("published_rows", ["nosuch", "--list"], "there is no row nosuch"),
        ("published_rows", ["sasrec"], "there is no row sasrec; there are sasrec-bce, "),
        ("published_rows", ["--device", "tpu"], "device 'tpu' is not usable; use cpu, cuda or"),
        ("published_rows", ["--threads", "0"], "--threads 0 is not usable; use 1 or more"),
        ("published_rows", ["--threads", "x"], "argument --threads: invalid int value: 'x'"),
        ("published_rows", ["--runs", "list.csv"], "records cannot be kept in list.csv"),
        ("shared_users", ["gone"], "argument RUNS: gone is no folder"),
        ("shared_users", ["others"], "a.json is no run record"),
        ("temperature", ["mine.yaml"], "mine.yaml needs a table of its own: add --out TABLE.csv"),
    ],
)
def test_bad_arguments_are_one_line(name, arguments, message, fail):
    code, shown = fail(name, *arguments)
    assert code in (1, 2)
    *warned, line = shown.splitlines()
    assert message in line
    assert all(text.startswith("1 of 1 files in others/log are no records") for text in warned)


def test_logs_are_asked_for_only_once_there_is_a_folder_of_them(fail, monkeypatch):
    monkeypatch.setenv("PERFLAW_DATA", "gone")
    assert fail("floors") == (1, "PERFLAW_DATA is gone, which is no folder: correct or unset it\n")
    monkeypatch.delenv("PERFLAW_DATA")
    assert fail("floors") == (1, "PERFLAW_DATA names no folder of logs; set it to one\n")


def test_a_package_that_is_missing_is_named():
    def main():
        raise ModuleNotFoundError("no", name="pooch")

    with pytest.raises(SystemExit, match=r"pip install 'perflaw\[logs\]'"):
        script_command.run_main(main, script_command.make_parser("A line."), [])


def test_an_error_of_the_program_is_not_hidden():
    def main():
        raise KeyError("shape")

    with pytest.raises(KeyError, match="shape"):
        script_command.run_main(main, script_command.make_parser("A line."), [])
