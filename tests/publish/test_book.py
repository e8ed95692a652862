"""Books of toy projects: what is executed when, what is refused, what survives a failure."""

import re
import signal
import subprocess
import sys
import time

import nbformat
import pytest
from click.testing import CliRunner
from toy_cells import DRAW

from perflaw.cli.main import main
from perflaw.errors import InputError
from perflaw.publish import builder, execution, provenance

pytestmark = pytest.mark.book

# A process started in the background may have been told to ignore Ctrl-C.
INTERRUPTIBLE = """
import signal
from perflaw.cli.main import main

signal.signal(signal.SIGINT, signal.default_int_handler)
main()
"""


def made(root, name="default"):
    """When each notebook of a book was written."""
    folder = root / "book" / "_build" / name / "executed"
    return {path.stem: path.stat().st_mtime_ns for path in folder.glob("*/*.ipynb")}


def printed(root, notebook, name="default"):
    """What an executed notebook printed."""
    path = root / "book" / "_build" / name / "source" / "executed" / f"{notebook}.ipynb"
    cells = nbformat.read(path, as_version=4).cells
    return "".join(
        output.text for cell in cells for output in cell.get("outputs", []) if "text" in output
    ).strip()


# Names


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\\b", "-rf", ".hidden", "a b", "a" * 101])
def test_names_that_are_no_plain_folder_are_refused(toy, name):
    with pytest.raises(InputError, match="cannot be called"):
        builder.build_book(toy, {}, name)


@pytest.mark.parametrize("name", ["default", "Default"])
def test_a_custom_book_is_never_the_default(toy, name):
    with pytest.raises(InputError, match="another --name"):
        builder.build_book(toy, {"level": 0.8}, name)


def test_a_folder_that_is_no_project_is_refused(tmp_path):
    with pytest.raises(InputError, match="run this from the root of a clone"):
        builder.build_book(tmp_path)


# What is executed when


def test_only_what_changed_is_executed(toy, unrendered, write_notebook):
    builder.build_book(toy)
    first = made(toy)
    assert set(first) == {"one", "two"}
    assert printed(toy, "one") == "0.9 x"
    assert printed(toy, "two") == "3"

    builder.build_book(toy)
    assert made(toy) == first

    write_notebook(toy, "two", "print(n, 'again')", "n: int = 3")
    builder.build_book(toy)
    second = made(toy)
    assert second["one"] == first["one"]
    assert second["two"] > first["two"]


READ_DATA = """
import os
from pathlib import Path

data = Path(os.environ["PERFLAW_HOME"]) / "data"
"""


def rebuilt(root):
    """The notebooks that the next build executes again."""
    before = made(root)
    builder.build_book(root)
    return {name for name, moment in made(root).items() if moment != before[name]}


def test_a_project_may_be_moved(built_toy):
    assert rebuilt(built_toy) == set()


def test_a_data_file_counts_for_the_notebook_that_reads_it(built_toy, write_notebook):
    write_notebook(built_toy, "two", READ_DATA + "print((data / 'points.csv').read_text())")
    builder.build_book(built_toy)
    (built_toy / "data" / "points.csv").write_text("x\n2\n")
    assert rebuilt(built_toy) == {"two"}
    assert printed(built_toy, "two") == "x\n2"
    (built_toy / "data" / "README.md").write_text("# Other data\n")
    assert rebuilt(built_toy) == set()


def test_a_data_file_that_was_missing_counts(built_toy, write_notebook):
    code = "try:\n    print((data / 'new.csv').read_text())\nexcept OSError:\n    print('none')"
    write_notebook(built_toy, "two", READ_DATA + code)
    builder.build_book(built_toy)
    (built_toy / "data" / "new.csv").write_text("y\n")
    assert rebuilt(built_toy) == {"two"}
    assert printed(built_toy, "two") == "y"


def test_a_folder_counts_for_the_notebook_that_lists_it(built_toy, write_notebook):
    write_notebook(built_toy, "two", READ_DATA + "print(len(list(data.glob('*.csv'))))")
    builder.build_book(built_toy)
    (built_toy / "data" / "more.csv").write_text("x\n")
    assert rebuilt(built_toy) == {"two"}
    assert printed(built_toy, "two") == "2"


def test_what_a_notebook_writes_does_not_count(built_toy, write_notebook):
    write_notebook(built_toy, "two", READ_DATA + "(data / 'out.csv').write_text('x')")
    builder.build_book(built_toy)
    (built_toy / "data" / "out.csv").unlink()
    assert rebuilt(built_toy) == set()


def test_a_module_counts_for_the_notebook_that_reaches_it(toy, unrendered, write_notebook):
    write_notebook(toy, "two", "def f():\n    from perflaw import paths\nprint(3)")
    (toy / "perflaw" / "__init__.py").write_text("")
    (toy / "perflaw" / "errors.py").write_text("")
    (toy / "perflaw" / "paths.py").write_text("def f():\n    import perflaw.errors\n")
    builder.build_book(toy)
    (toy / "perflaw" / "laws.py").write_text("x = 1\n")
    assert rebuilt(toy) == set()
    (toy / "perflaw" / "errors.py").write_text("x = 1\n")
    assert rebuilt(toy) == {"two"}


def test_requirements_count(built_toy):
    builder.build_book(built_toy)
    (built_toy / "requirements.txt").write_text("click\nnumpy\n")
    assert rebuilt(built_toy) == {"one", "two"}


def test_logs_that_are_here_count_for_the_notebook_that_uses_them(
    built_toy, monkeypatch, write_notebook
):
    (built_toy / "perflaw" / "logs").mkdir()
    (built_toy / "perflaw" / "logs" / "datasets.py").write_text("")
    write_notebook(built_toy, "two", "from perflaw.logs import datasets")
    monkeypatch.delenv("PERFLAW_DATA", raising=False)
    builder.build_book(built_toy)
    (built_toy / "logs").mkdir()
    monkeypatch.setenv("PERFLAW_DATA", str(built_toy / "logs"))
    assert rebuilt(built_toy) == set()
    (built_toy / "logs" / "shop.csv").write_text("user,item\nu,a\n")
    assert rebuilt(built_toy) == {"two"}
    assert rebuilt(built_toy) == set()


def test_figures_that_are_named_count(built_toy, monkeypatch):
    monkeypatch.delenv("PERFLAW_FIGURES", raising=False)
    builder.build_book(built_toy)
    first = made(built_toy)
    monkeypatch.setenv("PERFLAW_FIGURES", "figures")
    builder.build_book(built_toy)
    assert all(first[name] < moment for name, moment in made(built_toy).items())


def test_outputs_that_are_missing_are_made_again_and_stale_ones_go(built_toy, write_notebook):
    home = built_toy / "book" / "_build" / "default"
    builder.build_book(built_toy)
    assert (home / "source" / "figures" / "one.svg").is_file()

    (home / "executed" / "one" / "figures" / "one.svg").unlink()
    builder.build_book(built_toy)
    assert (home / "source" / "figures" / "one.svg").is_file()

    write_notebook(built_toy, "one", DRAW.format("other"))
    builder.build_book(built_toy)
    assert [path.name for path in (home / "source" / "figures").iterdir()] == ["other.svg"]

    (built_toy / "notebooks" / "one.ipynb").unlink()
    builder.build_book(built_toy)
    assert [path.name for path in (home / "source" / "executed").iterdir()] == ["two.ipynb"]
    assert not (home / "source" / "figures").exists()


def test_a_half_written_notebook_is_not_trusted(built_toy):
    builder.build_book(built_toy)
    path = built_toy / "book" / "_build" / "default" / "executed" / "one" / "one.ipynb"
    whole = path.read_text()
    path.write_text(whole[: len(whole) // 2])
    builder.build_book(built_toy)
    assert printed(built_toy, "one") == "0.9 x"


def test_two_notebooks_cannot_write_the_same_figure(built_toy, write_notebook):
    write_notebook(built_toy, "two", DRAW.format("one"))
    with pytest.raises(execution.BuildError, match=r"two.ipynb wrote figures/one.svg"):
        builder.build_book(built_toy)


def test_a_custom_book_is_apart_from_the_default(built_toy):
    builder.build_book(built_toy)
    before = made(built_toy)
    builder.build_book(built_toy, {"level": 0.8, "n": "4"}, "mine")
    assert printed(built_toy, "one", "mine") == "0.8 x"
    assert printed(built_toy, "two", "mine") == "4"
    assert made(built_toy) == before
    assert printed(built_toy, "one") == "0.9 x"

    mine = made(built_toy, "mine")
    builder.build_book(built_toy, {"level": 0.7, "n": "4"}, "mine")
    assert printed(built_toy, "one", "mine") == "0.7 x"
    assert made(built_toy, "mine")["two"] == mine["two"]


def test_a_custom_book_takes_what_its_parameters_do_not_reach_from_the_default(built_toy, capsys):
    builder.build_book(built_toy)
    capsys.readouterr()
    builder.build_book(built_toy, {"level": 0.8}, "mine")
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["one"]
    assert made(built_toy, "mine")["two"] == made(built_toy)["two"]
    assert printed(built_toy, "two", "mine") == printed(built_toy, "two")


def test_a_custom_book_lists_what_moved(built_toy, write_notebook):
    table = "open('tables/t.csv', 'w').write(f'x\\n{level}\\n')"
    write_notebook(built_toy, "one", table, "level: float = 0.9")
    builder.build_book(built_toy)
    build = built_toy / "book" / "_build"
    default = (build / "default" / "source" / "_changes.md").read_text()
    assert default.startswith("This copy was built with every parameter at its default.")
    builder.build_book(built_toy, {"level": 0.8}, "mine")
    rows = (build / "mine" / "source" / "_changes.md").read_text().splitlines()
    assert rows[2:] == ["| one | `t.csv` |  |  | 1 of 1 cells differ |"]


def test_executed_notebooks_say_how_they_were_made_and_hold_no_error(toy, unrendered):
    builder.build_book(toy)
    source = toy / "book" / "_build" / "default" / "source"
    for path in source.glob("executed/*.ipynb"):
        text = path.read_text()
        assert '"output_type": "error"' not in text
        assert str(toy) not in text
        made_by = provenance.read_provenance(path)
        assert {
            "hash",
            "parameters",
            "started",
            "seconds",
            "outputs",
            "python",
            "platform",
            "cores",
        } < set(made_by)
        assert {"numpy", "scipy", "papermill"} <= set(made_by["versions"])
    table = (source / "_runtime.md").read_text()
    assert "| `one` |" in table
    assert "| numpy |" in table
    assert "| cores |" in table
    assert "Its 2 notebooks ran for" in (source / "_runtime_answer.md").read_text()


# What a failure leaves


def test_a_failing_cell_is_named_and_the_last_good_book_stays(built_toy, write_notebook):
    builder.build_book(built_toy)
    before = made(built_toy)
    source = built_toy / "notebooks" / "one.ipynb"
    good = source.read_text()
    write_notebook(
        built_toy,
        "one",
        DRAW.format("bad") + "\nraise ValueError('too\\nbad')",
        "level: float = 0.9",
    )
    with pytest.raises(
        execution.BuildError,
        match=r"^one.ipynb, code cell 2: ValueError: too bad \(.*failed/one.ipynb\)$",
    ):
        builder.build_book(built_toy)
    home = built_toy / "book" / "_build" / "default"
    assert made(built_toy) == before
    assert (home / "html" / "index.html").is_file()
    assert (home / "source" / "figures" / "one.svg").is_file()
    assert (home / "failed" / "one.ipynb").is_file()
    assert not (home / "scratch").exists()

    source.write_text(good)
    builder.build_book(built_toy)
    assert made(built_toy) == before
    assert not (home / "failed").exists()


def test_a_dead_kernel_is_one_line(built_toy, write_notebook):
    write_notebook(built_toy, "one", "import os\nos._exit(1)")
    with pytest.raises(execution.BuildError, match=r"^one\.ipynb could not be run: .*died"):
        builder.build_book(built_toy)


def test_an_interrupt_leaves_nothing_running_and_exits_130(toy, write_notebook):
    beat = toy / "beat"
    write_notebook(
        toy,
        "one",
        f"import pathlib, time\nwhile True:\n    pathlib.Path({str(beat)!r}).touch()\n"
        "    time.sleep(0.1)",
    )
    run = subprocess.Popen(
        [sys.executable, "-P", "-c", INTERRUPTIBLE, "book"],
        cwd=toy,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not beat.exists() and run.poll() is None:
        time.sleep(0.1)
    run.send_signal(signal.SIGINT)
    _, complaint = run.communicate(timeout=30)
    assert run.returncode == 130
    assert complaint.strip() == "Interrupted; the last complete book is untouched."
    assert "one" not in made(toy)
    time.sleep(3)  # a kernel notices within a second or two that its parent is gone
    last = beat.stat().st_mtime_ns
    time.sleep(1)
    assert beat.stat().st_mtime_ns == last


# Pages


@pytest.mark.slow
def test_pages_are_rendered_once_and_a_bad_page_leaves_them(toy, capsys):
    index = builder.build_book(toy)
    html = index.parent
    assert "figures/one.svg" not in index.read_text()
    assert (html / "_images" / "one.svg").is_file()
    assert (html / "_sources" / "executed" / "one.ipynb").is_file()
    assert "extra.js" not in index.read_text()
    assert (html / "_static" / "extra.js").is_file()
    written = index.stat().st_mtime_ns
    capsys.readouterr()

    builder.build_book(toy)
    assert index.stat().st_mtime_ns == written
    assert capsys.readouterr().out == ""

    page = toy / "book" / "index.md"
    good = page.read_text()
    page.write_text(good + "\n[nowhere](missing.md)\n")
    with pytest.raises(execution.BuildError) as error:
        builder.build_book(toy)
    assert re.search(r"^index.md:\d+: WARNING: .*missing.md", str(error.value), re.MULTILINE)
    assert "Traceback" not in str(error.value)
    assert index.stat().st_mtime_ns == written

    page.write_text(good + "\nMore words.\n")
    builder.build_book(toy)
    assert "More words." in index.read_text()


# The command


@pytest.fixture
def command(built_toy, monkeypatch):
    """``perflaw`` run in the toy project."""
    monkeypatch.chdir(built_toy)
    return lambda *arguments: CliRunner().invoke(main, arguments)


def test_command_builds_the_book_and_prints_its_index(command, built_toy):
    result = command("book")
    assert result.exit_code == 0
    assert result.output.splitlines()[-1] == str(
        built_toy / "book" / "_build" / "default" / "html" / "index.html"
    )


def test_command_takes_a_file_pairs_and_a_name(command, built_toy):
    (built_toy / "my.yaml").write_text("level: 0.8\nlabel: y\n")
    assert command("book", "--params", "my.yaml").exit_code == 0
    assert printed(built_toy, "one", "my") == "0.8 y"
    assert (
        command("book", "--params", "my.yaml", "-p", "label", "5", "--name", "other").exit_code == 0
    )
    assert printed(built_toy, "one", "other") == "0.8 5"
    assert command("book", "-p", "n", "-1").exit_code == 0
    assert printed(built_toy, "two", "n--1") == "-1"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["-p", "levle", "1"], "Error: no notebook declares a parameter 'levle'"),
        (["-p", "level", "high"], "Error: the parameter level must be of type float, not 'high'"),
        (["--name", "a/b"], "Error: a book cannot be called 'a/b'"),
        (["--params", "none.yaml"], "none.yaml cannot be read (No such file or directory)"),
    ],
)
def test_command_refuses_in_one_line(command, arguments, complaint):
    result = command("book", *arguments)
    assert result.exit_code != 0
    assert complaint in result.output
    assert "Traceback" not in result.output


def test_command_reports_a_failing_cell(command, built_toy, write_notebook):
    write_notebook(built_toy, "two", "1 / 0")
    result = command("book")
    assert result.exit_code == 1
    assert "Error: two.ipynb, code cell 1: ZeroDivisionError: division by zero" in result.output


def test_command_has_a_version():
    assert re.fullmatch(
        r"perflaw, version \S+\n|main, version \S+\n",
        CliRunner().invoke(main, ["--version"]).output,
    )


def test_two_builds_of_one_book_do_not_meet(toy):
    from filelock import FileLock

    home = toy / "book" / "_build" / "default"
    home.mkdir(parents=True)
    lock = FileLock(home / ".lock")
    with lock, pytest.raises(InputError, match="being built by another process"):
        builder.build_book(toy)


def test_a_notebook_that_is_none_is_named(toy):
    (toy / "notebooks" / "three.ipynb").write_text("not json")
    with pytest.raises(InputError, match=r"three\.ipynb cannot be read as a notebook"):
        builder.build_book(toy, {"n": 4}, "mine")
