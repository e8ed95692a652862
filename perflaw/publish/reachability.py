"""Which modules of the package a notebook imports, itself and through the modules it imports."""

import ast
import json
import re
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path


class Imports:
    """The modules of a package and what each of them imports.

    Imports inside functions count. A name that a package's `__init__` offers by `offer_lazily`
    leads to the module that the dictionary beside it names.

    Parameters
    ----------
    folder
        Folder of the package.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._edges: dict[str, set[str]] = {}

    @cached_property
    def paths(self) -> dict[str, Path]:
        """File of each module, by its dotted name."""
        paths = {}
        for path in sorted(self.folder.rglob("*.py")):
            parts = path.relative_to(self.folder).with_suffix("").parts
            names = parts[:-1] if parts[-1] == "__init__" else parts
            paths[".".join((self.folder.name, *names))] = path
        return paths

    @cached_property
    def trees(self) -> dict[str, ast.Module]:
        """Syntax tree of each module."""
        return {name: ast.parse(path.read_bytes()) for name, path in self.paths.items()}

    @cached_property
    def front_doors(self) -> dict[str, dict[str, str]]:
        """Module behind each name that a package offers lazily, by package."""
        return {
            name: _modules_by_lazy_name(name, tree)
            for name, tree in self.trees.items()
            if self.paths[name].name == "__init__.py" and _offers_lazily(tree)
        }

    def imported_by(self, tree: ast.Module, module: str = "") -> set[str]:
        """Return the modules that a piece of code imports, their packages included."""
        imported: set[str] = set()
        nodes = list(_walk(tree))
        for node in nodes:
            if isinstance(node, ast.Import):
                imported.update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                source = self._source(node, module)
                imported.add(source)
                imported.update(f"{source}.{alias.name}" for alias in node.names)
                if any(alias.name == "*" for alias in node.names):
                    imported.update(self.front_doors.get(source, {}).values())
            elif (
                isinstance(node, ast.Constant)
                and node.value in self.paths  # named for importlib, or for python -m
                and module not in self.front_doors
            ):
                imported.add(str(node.value))
        return self._resolve_names(imported, nodes)

    def _resolve_names(self, imported: set[str], nodes: list[ast.AST]) -> set[str]:
        """Return the modules behind imported names, and behind the lazy names used of them."""
        attributes = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
        reached: set[str] = set()
        seen: set[str] = set()
        waiting = set(imported)
        while waiting:
            name = waiting.pop()
            if name in seen:
                continue
            seen.add(name)
            reached |= self._behind(name)
            lazy_names = self.front_doors.get(name, {})
            waiting |= {lazy_names[used] for used in attributes & lazy_names.keys()}
        return reached

    def _source(self, node: ast.ImportFrom, module: str) -> str:
        """Return the absolute name of the module that `from … import` names."""
        if not node.level:
            return node.module or ""
        parts = module.split(".")
        is_package = module in self.paths and self.paths[module].name == "__init__.py"
        parts = parts[: len(parts) - node.level + is_package]
        return ".".join([*parts, *filter(None, [node.module])])

    def _behind(self, name: str) -> set[str]:
        """Return the module that has or holds this name, with the packages around it."""
        reached = set()
        package, _, attribute = name.rpartition(".")
        if name not in self.paths and attribute in self.front_doors.get(package, {}):
            reached |= self._behind(self.front_doors[package][attribute])
        parts = name.split(".")
        ancestors = [".".join(parts[: i + 1]) for i in range(len(parts))]
        return reached | {ancestor for ancestor in ancestors if ancestor in self.paths}

    def reachable(self, tree: ast.Module) -> set[str]:
        """Return all modules that a piece of code reaches, through those that it imports too."""
        reached: set[str] = set()
        waiting = self.imported_by(tree)
        while waiting:
            name = waiting.pop()
            if name in reached:
                continue
            reached.add(name)
            if name not in self._edges:
                self._edges[name] = self.imported_by(self.trees[name], name)
            waiting |= self._edges[name]
        return reached

    def files_reached_by(self, notebook: Path) -> list[Path]:
        """List the files of all modules that a notebook reaches."""
        return sorted(self.paths[name] for name in self.reachable(parse_cells(notebook)))


def parse_cells(notebook: Path) -> ast.Module:
    """Parse the code cells of a notebook as one module: an empty one if they cannot be parsed.

    What is wrong with such a notebook is reported when it is executed.
    """
    try:
        cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
        sources = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
        code = "\n".join(sources)
        return ast.parse(re.sub(r"^[ \t]*[%!].*", "", code, flags=re.MULTILINE))  # without magics
    except (ValueError, KeyError, TypeError, SyntaxError):
        return ast.Module([], [])


def _walk(node: ast.AST) -> Iterator[ast.AST]:
    """Walk over all nodes but those under `if TYPE_CHECKING`, which never run."""
    yield node
    children: Iterable[ast.AST] = ast.iter_child_nodes(node)
    if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
        children = node.orelse
    for child in children:
        yield from _walk(child)


def _offers_lazily(tree: ast.Module) -> bool:
    return any(isinstance(node, ast.Name) and node.id == "offer_lazily" for node in ast.walk(tree))


def _modules_by_lazy_name(package: str, tree: ast.Module) -> dict[str, str]:
    """Read the dictionary of an `__init__`: the module behind each name that it offers lazily."""
    modules: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict):
            for module, names in ast.literal_eval(node).items():
                modules |= dict.fromkeys(names, f"{package}.{module}")
    return modules
