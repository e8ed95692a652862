"""Parameters of a book: those that notebooks declare, and the values that they get."""

import ast
import hashlib
import io
import json
import re
import tokenize
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import BeforeValidator, ConfigDict, TypeAdapter

from perflaw.errors import InputError
from perflaw.io import load_yaml, parse_yaml, suggest

TYPES: dict[str, Any] = {"int": int, "float": float, "str": str, "bool": bool, "list": list}


class Parameter(NamedTuple):
    """One annotated assignment in a cell tagged `parameters`."""

    notebook: str
    name: str
    kind: str
    default: str
    help: str


def parameters_of(notebook: Path) -> list[Parameter]:
    """List the parameters that a notebook declares.

    Raises
    ------
    InputError
        If the notebook cannot be read, or a parameter lacks a type.
    """
    parameters: list[Parameter] = []
    try:
        for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
            if "parameters" in cell["metadata"].get("tags", []):
                assignments = _parse_assignments("".join(cell["source"]))
                parameters += [Parameter(notebook.stem, *each) for each in assignments]
    except (ValueError, KeyError, TypeError, AttributeError, SyntaxError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{notebook.name} cannot be read as a notebook: {reason}") from None
    for parameter in parameters:
        if parameter.kind.partition("[")[0] not in TYPES:
            raise InputError(
                f"{notebook.name}: the parameter {parameter.name} must be annotated "
                f"as one of {', '.join(TYPES)}"
            )
    return parameters


def _parse_assignments(source: str) -> Iterator[tuple[str, str, str, str]]:
    """Yield name, annotation, value and trailing comment of each assignment of a cell."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    comments = {
        token.start[0]: token.string.lstrip("# ")
        for token in tokens
        if token.type == tokenize.COMMENT
    }
    for node in ast.parse(source).body:
        if not isinstance(node, (ast.AnnAssign, ast.Assign)) or node.value is None:
            continue
        target = node.target if isinstance(node, ast.AnnAssign) else node.targets[0]
        annotation = ast.unparse(node.annotation) if isinstance(node, ast.AnnAssign) else ""
        comment = comments.get(node.end_lineno or 0, "")
        yield ast.unparse(target), annotation, ast.unparse(node.value), comment


def declared(root: Path) -> list[Parameter]:
    """List the parameters of all notebooks of a study."""
    notebooks = sorted(root.glob("notebooks/*.ipynb"))
    return [parameter for notebook in notebooks for parameter in parameters_of(notebook)]


def read_parameters(
    file: Path | None = None, pairs: Iterable[tuple[str, str]] = ()
) -> dict[str, Any]:
    """Read parameters from a YAML file, and over them those given as (name, text) pairs.

    Raises
    ------
    InputError
        If the file is not a YAML mapping, or gives a name twice.
    """
    values = (load_yaml(file) or {}) if file else {}
    if not isinstance(values, dict):
        raise InputError(f"{file} must map parameter names to values, like 'level: 0.9'")
    return values | dict(pairs)


def name_for(file: Path | None = None, pairs: Iterable[tuple[str, str]] = ()) -> str:
    """Make a book's name from the names of its file of parameters and of those given in pairs."""
    parts = [file.stem] if file else []
    parts += [f"{name}-{text}" for name, text in pairs]
    name = re.sub(r"[^\w.-]+", "-", "_".join(parts), flags=re.ASCII).strip("-.")
    if len(name) > 80:
        name = f"{name[:71]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
    return name if parts else "default"


def assign_parameters(
    available: list[Parameter], parameters: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    """Assign to each notebook the values of the parameters that it declares.

    Returns
    -------
    dict
        Values by name, by notebook.

    Raises
    ------
    InputError
        Listing what is available, for a parameter that no notebook declares or whose value is
        of another type.
    """
    values_by_notebook: dict[str, dict[str, Any]] = {}
    for name, value in parameters.items():
        declarations = [parameter for parameter in available if parameter.name == name]
        if not declarations:
            hint = suggest(name, {parameter.name for parameter in available})
            raise InputError(
                f"no notebook declares a parameter {name!r}{hint}\n{list_parameters(available)}"
            )
        for parameter in declarations:
            try:
                coerced = coerce_value(value, parameter.kind)
            except ValueError:
                raise InputError(
                    f"the parameter {name} must be of type {parameter.kind}, not {value!r}\n"
                    f"{list_parameters(available)}"
                ) from None
            values_by_notebook.setdefault(parameter.notebook, {})[name] = coerced
    return values_by_notebook


def coerce_value(value: Any, kind: str) -> Any:
    """Validate a value as a parameter's type; text stands for what it spells.

    Parameters
    ----------
    value
        The value, or its text.
    kind
        A key of `TYPES`, for a list with the type of its items, e.g. ``list[int]``.

    Raises
    ------
    ValueError
        If it is not of this type: a bool is no int, and 1.0 is none either.
    """
    return TypeAdapter(_annotate(kind), config=ConfigDict(strict=True)).validate_python(value)


def _annotate(kind: str) -> Any:
    """Return the annotation of a kind, which parses text first."""
    outer, _, inner = kind.removesuffix("]").partition("[")
    if outer == "str":
        return str
    annotation = list[_annotate(inner)] if inner else TYPES[outer]  # type: ignore[misc]
    parse = float if outer == "float" else parse_yaml
    return Annotated[annotation, BeforeValidator(lambda v: parse(v) if isinstance(v, str) else v)]


def list_parameters(available: list[Parameter]) -> str:
    """List the parameters there are, a line each."""
    if not available:
        return "No notebook declares any."
    lines = [
        f"  {each.name} ({each.kind}, default {each.default}, in {each.notebook}) {each.help}"
        for each in available
    ]
    return "\n".join(["These exist:", *(line.rstrip() for line in lines)])
