"""Books of toy projects: what is executed when, what is refused, what survives a failure."""

import ast
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest
from click.testing import CliRunner
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from perflaw.cli.main import main
from perflaw.errors import InputError
from perflaw.publish import builder

KERNEL = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
# A process started in the background may have been told to ignore Ctrl-C.
INTERRUPTIBLE = """
import signal
from perflaw.cli.main import main

signal.signal(signal.SIGINT, signal.default_int_handler)
main()
"""
WRITE = "with open('figures/{0}.svg', 'w') as f:\n    f.write('<svg xmlns=\"http://www.w3.org/2000/svg\"/>')"


def write_notebook(root, name, code, parameters=""):
    """A notebook with a title, perhaps a parameters cell, and one cell of code."""
    cells = [new_markdown_cell(f"# {name}"), new_code_cell(code)]
    if parameters:
        cells.insert(1, new_code_cell(parameters, metadata={"tags": ["parameters"]}))
    nbformat.write(new_notebook(cells=cells, metadata=KERNEL), root / "notebooks" / f"{name}.ipynb")


@pytest.fixture
def toy(tmp_path):
    """A project of two notebooks and one page."""
    for folder in ("notebooks", "perflaw", "data", "book/_static"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "perflaw" / "laws.py").write_text("")
    (tmp_path / "data" / "points.csv").write_text("x\n1\n")
    (tmp_path / "requirements.txt").write_text("click\n")
    (tmp_path / "CHANGELOG.md").write_text("# Changelog\n")
    (tmp_path / "data" / "README.md").write_text("# Data\n")
    (tmp_path / "_config.yml").write_text(
        "title: Toy\nonly_build_toc_files: true\nexecute: {execute_notebooks: 'off'}\n"
        "sphinx: {config: {mathjax_path: none.js, html_static_path: [static]}}\n"
    )
    (tmp_path / "book" / "_static" / "extra.js").write_text("")
    (tmp_path / "book" / "_toc.yml").write_text(
        "format: jb-book\nroot: index\nchapters:\n- file: executed/one\n"
    )
    (tmp_path / "book" / "index.md").write_text(
        "# Toy\n\n:::{figure} figures/one.svg\nOne.\n:::\n\n```{include} _runtime.md\n```\n"
    )
    write_notebook(
        tmp_path,
        "one",
        WRITE.format("one") + "\nprint(level, label)",
        "level: float = 0.9  # coverage of the intervals\nlabel: str = 'x'\nsizes: list[int] = [1, 2]",
    )
    write_notebook(tmp_path, "two", "print(n)", "n: int = 3  # draws\nfast: bool = True")
    return tmp_path


@pytest.fixture
def unrendered(monkeypatch):
    """Leave Sphinx out: an empty index page stands for the pages."""

    def render(home, scratch):
        (home / "html").mkdir(exist_ok=True)
        (home / "html" / "index.html").touch()

    monkeypatch.setattr(builder, "render_pages", render)


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


# Parameters


def test_parameters_are_found_with_type_default_and_help(toy):
    level, label, sizes, n, fast = builder.declared(toy)
    assert level == ("one", "level", "float", "0.9", "coverage of the intervals")
    assert (label.kind, sizes.kind, n.kind, fast.kind) == ("str", "list[int]", "int", "bool")
    assert n.notebook == "two"


def test_a_parameter_without_a_type_is_refused(toy):
    write_notebook(toy, "three", "", "level = 0.9")
    with pytest.raises(InputError, match="three.ipynb: the parameter level must be annotated"):
        builder.declared(toy)


def test_an_unknown_parameter_is_refused_with_the_list(toy):
    with pytest.raises(InputError) as error:
        builder.build_book(toy, {"levle": 0.8}, "mine")
    first, *rest = str(error.value).splitlines()
    assert first == "no notebook declares a parameter 'levle'"
    assert "  level (float, default 0.9, in one) coverage of the intervals" in rest
    assert len(rest) == 6
    assert not (toy / "book" / "_build").exists()


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        (1, "float", 1.0),
        ("0.8", "float", 0.8),
        ("1e-3", "float", 0.001),
        ("5", "int", 5),
        ("5", "str", "5"),
        ("no", "bool", False),
        ("[1, 2]", "list", [1, 2]),
        (["1", 2], "list[float]", [1.0, 2.0]),
    ],
)
def test_values_are_read_as_the_declared_type(value, kind, expected):
    result = builder.coerce_value(value, kind)
    assert result == expected and type(result) is type(expected)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (True, "int"),
        (1.0, "int"),
        ("1.5", "int"),
        (True, "float"),
        ("high", "float"),
        (None, "float"),
        (5, "str"),
        (1, "bool"),
        ("3", "list"),
        (["a"], "list[int]"),
        ("[", "list"),
    ],
)
def test_values_of_another_type_are_refused(value, kind):
    with pytest.raises(InputError, match=re.escape(f"must be of type {kind}, not {value!r}")):
        builder.assign_parameters(
            [builder.Parameter("one", "level", kind, "0.9", "")], {"level": value}
        )


def test_pairs_win_over_the_file(tmp_path):
    file = tmp_path / "my.yaml"
    file.write_text("level: 0.8\nn: 4\n")
    assert builder.read_parameters(file, [("level", "0.7")]) == {"level": "0.7", "n": 4}


@pytest.mark.parametrize("text", ["- 1\n- 2\n", "level: [\n", "just words\n"])
def test_a_file_that_is_no_mapping_is_refused(tmp_path, text):
    file = tmp_path / "my.yaml"
    file.write_text(text)
    with pytest.raises(InputError, match="my.yaml"):
        builder.read_parameters(file)


# Names


def test_names_are_made_from_the_parameters(tmp_path):
    assert builder.name_for() == "default"
    assert builder.name_for(tmp_path / "my.yaml") == "my"
    assert builder.name_for(None, [("level", "0.8"), ("seed", "1")]) == "level-0.8_seed-1"
    assert builder.name_for(None, [("log", "../my log.csv")]) == "log-..-my-log.csv"
    long = builder.name_for(None, [("log", "a" * 300)])
    assert len(long) == 80 and long != builder.name_for(None, [("log", "a" * 301)])


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\\b", "-rf", ".hidden", "a b", "a" * 101])
def test_names_that_are_no_plain_folder_are_refused(toy, name):
    with pytest.raises(InputError, match="cannot be called"):
        builder.build_book(toy, {}, name)


@pytest.mark.parametrize("name", ["default", "Default"])
def test_a_custom_book_is_never_the_default(toy, name):
    with pytest.raises(InputError, match="another --name"):
        builder.build_book(toy, {"level": 0.8}, name)


def test_a_folder_that_is_no_project_is_refused(tmp_path):
    with pytest.raises(InputError, match="run this from the project's root"):
        builder.build_book(tmp_path)


# What is executed when


def test_only_what_changed_is_executed(toy, unrendered):
    builder.build_book(toy)
    first = made(toy)
    assert set(first) == {"one", "two"}
    assert printed(toy, "one") == "0.9 x" and printed(toy, "two") == "3"

    builder.build_book(toy)
    assert made(toy) == first

    write_notebook(toy, "two", "print(n, 'again')", "n: int = 3")
    builder.build_book(toy)
    second = made(toy)
    assert second["one"] == first["one"] and second["two"] > first["two"]

    (toy / "data" / "points.csv").write_text("x\n2\n")
    builder.build_book(toy)
    third = made(toy)
    assert third["one"] > second["one"] and third["two"] > second["two"]


def test_code_and_requirements_count(toy, unrendered):
    builder.build_book(toy)
    first = made(toy)
    (toy / "perflaw" / "laws.py").write_text("x = 1\n")
    builder.build_book(toy)
    second = made(toy)
    (toy / "requirements.txt").write_text("click\nnumpy\n")
    builder.build_book(toy)
    assert all(first[name] < second[name] < made(toy)[name] for name in first)


def test_logs_that_are_here_count(toy, unrendered, monkeypatch):
    monkeypatch.delenv("PERFLAW_DATA", raising=False)
    builder.build_book(toy)
    first = made(toy)
    (toy / "logs").mkdir()
    monkeypatch.setenv("PERFLAW_DATA", str(toy / "logs"))
    builder.build_book(toy)
    assert made(toy) == first
    (toy / "logs" / "shop.csv").write_text("user,item\nu,a\n")
    builder.build_book(toy)
    second = made(toy)
    assert all(first[name] < second[name] for name in first)
    builder.build_book(toy)
    assert made(toy) == second


def test_figures_that_are_named_count(toy, unrendered, monkeypatch):
    monkeypatch.delenv("PERFLAW_FIGURES", raising=False)
    builder.build_book(toy)
    first = made(toy)
    monkeypatch.setenv("PERFLAW_FIGURES", "figures")
    builder.build_book(toy)
    assert all(first[name] < moment for name, moment in made(toy).items())


def test_outputs_that_are_missing_are_made_again_and_stale_ones_go(toy, unrendered):
    home = toy / "book" / "_build" / "default"
    builder.build_book(toy)
    assert (home / "source" / "figures" / "one.svg").is_file()

    (home / "executed" / "one" / "figures" / "one.svg").unlink()
    builder.build_book(toy)
    assert (home / "source" / "figures" / "one.svg").is_file()

    write_notebook(toy, "one", WRITE.format("other"))
    builder.build_book(toy)
    assert [path.name for path in (home / "source" / "figures").iterdir()] == ["other.svg"]

    (toy / "notebooks" / "one.ipynb").unlink()
    builder.build_book(toy)
    assert [path.name for path in (home / "source" / "executed").iterdir()] == ["two.ipynb"]
    assert not (home / "source" / "figures").exists()


def test_a_half_written_notebook_is_not_trusted(toy, unrendered):
    builder.build_book(toy)
    path = toy / "book" / "_build" / "default" / "executed" / "one" / "one.ipynb"
    whole = path.read_text()
    path.write_text(whole[: len(whole) // 2])
    builder.build_book(toy)
    assert printed(toy, "one") == "0.9 x"


def test_two_notebooks_cannot_write_the_same_figure(toy, unrendered):
    write_notebook(toy, "two", WRITE.format("one"))
    with pytest.raises(builder.BuildError, match=r"two.ipynb wrote figures/one.svg"):
        builder.build_book(toy)


def test_a_custom_book_is_apart_from_the_default(toy, unrendered):
    builder.build_book(toy)
    before = made(toy)
    builder.build_book(toy, {"level": 0.8, "n": "4"}, "mine")
    assert printed(toy, "one", "mine") == "0.8 x" and printed(toy, "two", "mine") == "4"
    assert made(toy) == before and printed(toy, "one") == "0.9 x"

    mine = made(toy, "mine")
    builder.build_book(toy, {"level": 0.7, "n": "4"}, "mine")
    assert printed(toy, "one", "mine") == "0.7 x"
    assert made(toy, "mine")["two"] == mine["two"]


def test_executed_notebooks_say_how_they_were_made_and_hold_no_error(toy, unrendered):
    builder.build_book(toy)
    source = toy / "book" / "_build" / "default" / "source"
    for path in source.glob("executed/*.ipynb"):
        text = path.read_text()
        assert '"output_type": "error"' not in text
        assert str(toy) not in text
        made_by = builder.read_provenance(path)
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
    assert "| `one` |" in table and "| numpy |" in table and "| cores |" in table


# What a failure leaves


def test_a_failing_cell_is_named_and_the_last_good_book_stays(toy, unrendered):
    builder.build_book(toy)
    before = made(toy)
    source = toy / "notebooks" / "one.ipynb"
    good = source.read_text()
    write_notebook(
        toy, "one", WRITE.format("bad") + "\nraise ValueError('too\\nbad')", "level: float = 0.9"
    )
    with pytest.raises(
        builder.BuildError,
        match=r"^one.ipynb, code cell 2: ValueError: too bad \(.*failed/one.ipynb\)$",
    ):
        builder.build_book(toy)
    home = toy / "book" / "_build" / "default"
    assert made(toy) == before
    assert (home / "html" / "index.html").is_file() and (
        home / "source" / "figures" / "one.svg"
    ).is_file()
    assert (home / "failed" / "one.ipynb").is_file() and not (home / "scratch").exists()

    source.write_text(good)
    builder.build_book(toy)
    assert made(toy) == before and not (home / "failed").exists()


def test_a_dead_kernel_is_one_line(toy, unrendered):
    write_notebook(toy, "one", "import os\nos._exit(1)")
    with pytest.raises(builder.BuildError, match="^one.ipynb could not be run: .*died"):
        builder.build_book(toy)


def test_an_interrupt_leaves_nothing_running_and_exits_130(toy):
    beat = toy / "beat"
    write_notebook(
        toy,
        "one",
        f"import pathlib, time\nwhile True:\n    pathlib.Path({str(beat)!r}).touch()\n    time.sleep(0.1)",
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
    assert "figures/one.svg" not in index.read_text() and (html / "_images" / "one.svg").is_file()
    assert (html / "_sources" / "executed" / "one.ipynb").is_file()
    assert "extra.js" not in index.read_text() and (html / "_static" / "extra.js").is_file()
    written = index.stat().st_mtime_ns
    capsys.readouterr()

    builder.build_book(toy)
    assert index.stat().st_mtime_ns == written and capsys.readouterr().out == ""

    page = toy / "book" / "index.md"
    good = page.read_text()
    page.write_text(good + "\n[nowhere](missing.md)\n")
    with pytest.raises(builder.BuildError) as error:
        builder.build_book(toy)
    assert re.search(r"^index.md:\d+: WARNING: .*missing.md", str(error.value), re.MULTILINE)
    assert "Traceback" not in str(error.value)
    assert index.stat().st_mtime_ns == written

    page.write_text(good + "\nMore words.\n")
    builder.build_book(toy)
    assert "More words." in index.read_text()


def test_a_page_is_finished():
    heavy = '<script src="_static/scripts/fontawesome.js?digest=1"></script><script defer="defer" src="_static/mathjax/tex.js?v=1"></script>'
    pair = '<img alt="The same." class="narrow" src="a-narrow.svg" />\n<figure class="align-default" id="a">\n<img alt="A curve." class="wide" src="a.svg" />\n'
    maths = '(<span class="math notranslate nohighlight">\\(x &lt; 1\\)</span>),'
    assert builder.postprocess_html(f"{heavy}<p>No maths.</p>") == "<p>No maths.</p>"
    assert (
        builder.postprocess_html(f"{heavy}{maths}")
        == f'{heavy[heavy.index("<script defer") :]}<span class="unbroken">{maths}</span>'
    )
    picture = '<picture><source media="(max-width: 699.98px)" srcset="a-narrow.svg" /><img alt="A curve." class="wide" src="a.svg" /></picture>'
    assert builder.postprocess_html(pair) == f'<figure class="align-default" id="a">\n{picture}\n'
    assert (
        builder.postprocess_html(
            '<div role="list" class="citation-list"><div class="citation" role="doc-biblioentry">'
        )
        == '<div class="citation-list"><div class="citation">'
    )
    assert (
        builder.postprocess_html('<th class="col_heading level0 col0" >')
        == '<th scope="col" class="col_heading level0 col0" >'
    )


# The command


@pytest.fixture
def command(toy, unrendered, monkeypatch):
    """``perflaw`` run in the toy project."""
    monkeypatch.chdir(toy)
    return lambda *arguments: CliRunner().invoke(main, arguments)


def test_command_builds_the_book_and_prints_its_index(command, toy):
    result = command("book")
    assert result.exit_code == 0
    assert result.output.splitlines()[-1] == str(
        toy / "book" / "_build" / "default" / "html" / "index.html"
    )


def test_command_takes_a_file_pairs_and_a_name(command, toy):
    (toy / "my.yaml").write_text("level: 0.8\nlabel: y\n")
    assert command("book", "--params", "my.yaml").exit_code == 0
    assert printed(toy, "one", "my") == "0.8 y"
    assert (
        command("book", "--params", "my.yaml", "-p", "label", "5", "--name", "other").exit_code == 0
    )
    assert printed(toy, "one", "other") == "0.8 5"
    assert command("book", "-p", "n", "-1").exit_code == 0
    assert printed(toy, "two", "n--1") == "-1"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["-p", "levle", "1"], "Error: no notebook declares a parameter 'levle'"),
        (["-p", "level", "high"], "Error: the parameter level must be of type float, not 'high'"),
        (["--name", "a/b"], "Error: a book cannot be called 'a/b'"),
        (["--params", "none.yaml"], "does not exist"),
    ],
)
def test_command_refuses_in_one_line(command, arguments, complaint):
    result = command("book", *arguments)
    assert result.exit_code != 0
    assert complaint in result.output and "Traceback" not in result.output


def test_command_reports_a_failing_cell(command, toy):
    write_notebook(toy, "two", "1 / 0")
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
    with FileLock(home / ".lock"):
        with pytest.raises(InputError, match="being built by another process"):
            builder.build_book(toy)


def test_a_notebook_that_is_none_is_named(toy):
    (toy / "notebooks" / "three.ipynb").write_text("not json")
    with pytest.raises(InputError, match="three.ipynb cannot be read as a notebook"):
        builder.build_book(toy, {"n": 4}, "mine")


@pytest.mark.parametrize(
    "notebook",
    sorted((Path(__file__).parent.parent / "notebooks").glob("*.ipynb")),
    ids=lambda path: path.stem,
)
def test_no_notebook_gives_a_parameter_another_value(notebook):
    """A parameter that a loop variable replaces is ignored in silence from there on."""
    cells = [cell for cell in nbformat.read(notebook, 4).cells if cell.cell_type == "code"]
    bound = lambda cell: {
        node.id
        for node in own_scope(ast.parse(cell.source))
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }
    given = [cell for cell in cells if "parameters" in cell.metadata.get("tags", [])]
    names = set().union(*map(bound, given))
    assert names == {parameter.name for parameter in builder.parameters_of(notebook)}
    for cell in cells:
        assert cell in given or not names & bound(cell)


def own_scope(node):
    """Nodes whose names belong to the notebook: not those of functions and comprehensions."""
    yield node
    for child in ast.iter_child_nodes(node):
        if not isinstance(
            child,
            (
                ast.FunctionDef,
                ast.Lambda,
                ast.ListComp,
                ast.SetComp,
                ast.DictComp,
                ast.GeneratorExp,
            ),
        ):
            yield from own_scope(child)
