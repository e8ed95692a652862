"""Parameters of books: how they are declared, read, checked and handed to notebooks."""

import ast
import re
from pathlib import Path

import nbformat
import pytest

from perflaw.errors import InputError
from perflaw.publish import builder
from perflaw.publish.parameters import (
    Parameter,
    assign_parameters,
    coerce_value,
    declared,
    name_for,
    parameters_of,
    read_parameters,
)


def test_parameters_are_found_with_type_default_and_help(toy):
    level, label, sizes, n, fast = declared(toy)
    assert level == ("one", "level", "float", "0.9", "coverage of the intervals")
    assert (label.kind, sizes.kind, n.kind, fast.kind) == ("str", "list[int]", "int", "bool")
    assert n.notebook == "two"


def test_a_parameter_without_a_type_is_refused(toy, write_notebook):
    write_notebook(toy, "three", "", "level = 0.9")
    with pytest.raises(InputError, match=r"three\.ipynb: the parameter level must be annotated"):
        declared(toy)


def test_an_unknown_parameter_is_refused_with_the_list(toy):
    with pytest.raises(InputError) as error:
        builder.build_book(toy, {"levle": 0.8}, "mine")
    first, *rest = str(error.value).splitlines()
    assert first == "no notebook declares a parameter 'levle'; did you mean level?"
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
    result = coerce_value(value, kind)
    assert result == expected
    assert type(result) is type(expected)


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
        assign_parameters([Parameter("one", "level", kind, "0.9", "")], {"level": value})


def test_pairs_win_over_the_file(tmp_path):
    file = tmp_path / "my.yaml"
    file.write_text("level: 0.8\nn: 4\n")
    assert read_parameters(file, [("level", "0.7")]) == {"level": "0.7", "n": 4}


def test_a_key_given_twice_is_refused(tmp_path):
    file = tmp_path / "my.yaml"
    file.write_text("level: 0.8\nn: 4\nlevel: 0.9\n")
    with pytest.raises(InputError, match=r"my\.yaml.* line 3: level is given twice"):
        read_parameters(file)


def test_a_list_over_several_lines_is_found(toy, write_notebook):
    write_notebook(toy, "three", "", "logs: list = [\n    'a',\n    'b',\n]  # names of logs")
    (logs,) = [parameter for parameter in declared(toy) if parameter.notebook == "three"]
    assert logs == ("three", "logs", "list", "['a', 'b']", "names of logs")


@pytest.mark.parametrize("text", ["- 1\n- 2\n", "level: [\n", "just words\n"])
def test_a_file_that_is_no_mapping_is_refused(tmp_path, text):
    file = tmp_path / "my.yaml"
    file.write_text(text)
    with pytest.raises(InputError, match=r"my\.yaml"):
        read_parameters(file)


def test_names_are_made_from_the_parameters(tmp_path):
    assert name_for() == "default"
    assert name_for(tmp_path / "my.yaml") == "my"
    assert name_for(None, [("level", "0.8"), ("seed", "1")]) == "level-0.8_seed-1"
    assert name_for(None, [("log", "../my log.csv")]) == "log-..-my-log.csv"
    long = name_for(None, [("log", "a" * 300)])
    assert len(long) == 80
    assert long != name_for(None, [("log", "a" * 301)])


@pytest.mark.parametrize(
    "notebook",
    sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb")),
    ids=lambda path: path.stem,
)
def test_no_notebook_gives_a_parameter_another_value(notebook):
    """A parameter that a loop variable replaces is ignored in silence from there on."""
    cells = [cell for cell in nbformat.read(notebook, 4).cells if cell.cell_type == "code"]
    given = [cell for cell in cells if "parameters" in cell.metadata.get("tags", [])]
    names = set().union(*map(bound, given))
    assert names == {parameter.name for parameter in parameters_of(notebook)}
    for cell in cells:
        assert cell in given or not names & bound(cell)


def bound(cell):
    """Names that a cell assigns."""
    return {
        node.id
        for node in own_scope(ast.parse(cell.source))
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }


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
