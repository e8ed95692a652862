"""The page of the book that documents every front door, made from the docstrings."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterable, Iterator
from importlib import import_module
from types import ModuleType
from typing import Any

# The modules whose `__all__` are the front doors, in the order of the page.
FRONT_DOORS = {
    "perflaw.logs": "Interaction logs",
    "perflaw.logs.entropy": "Entropy",
    "perflaw.models": "Models",
    "perflaw.models.sweeps": "Sweeps",
    "perflaw.laws": "Laws",
    "perflaw.report": "Reports",
    "perflaw.study.paper": "The paper's points",
}
HEAD = """# API reference

:::{admonition} In short
:class: note
**Question.** Which functions and classes may other code rely on, and how are they called?

**Answer.** Those on this page, one section a module. Each is imported from the module that heads
its section, as in the example: it fits the law to a published surface and predicts two cells.

**Limits.** Everything else may change between versions.
:::

```python
from perflaw.laws import fit, get_law, predict
from perflaw.study.paper import load_surfaces

surface = "dataset == 'Industrial' and max_seq_len == 25 and metric == 'HR@10'"
points = load_surfaces().query(surface)
law = fit(get_law("performance"), points, points["value"])
predict(law, points.head(2))  # a prediction and its interval for each row
```
"""
EXERCISES = """## Used in exercises

What the exercises name beyond that. These are parts of the study, and may change with it.
"""
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def api_page(texts: Iterable[str] = ()) -> str:
    """Write the page, in MyST Markdown: a section a module, an entry a name in its `__all__`.

    Parameters
    ----------
    texts
        Markdown with exercises; the names that their code uses get a section at the end.
    """
    sections = [HEAD]
    documented: set[int] = set()  # ids of objects, as one may have two names
    for module, title in FRONT_DOORS.items():
        names = sorted(import_module(module).__all__)
        documented.update(id(getattr(import_module(module), name)) for name in names)
        entries = [_entry(module, name) for name in names]
        sections.append(f"## {title}: `{module}`\n\n```{{eval-rst}}\n{''.join(entries)}```\n")
    used_names: set[str] = set()
    for code in BLOCK.findall("\n".join(texts)):
        used_names.update(names_used(code))
    undocumented = [name for name in sorted(used_names) if id(_resolve(name)) not in documented]
    if undocumented:
        entries = [_entry(*name.rsplit(".", 1)) for name in undocumented]
        sections.append(f"{EXERCISES}\n```{{eval-rst}}\n{''.join(entries)}```\n")
    return "\n".join(sections)


def _entry(module: str, name: str) -> str:
    """Write the directive that documents a name of a module."""
    value = getattr(import_module(module), name)
    if not callable(value):
        return f".. py:data:: {module}.{name}\n\n   By name: {', '.join(map(str, value))}.\n\n"
    kind = "autoclass" if inspect.isclass(value) else "autofunction"
    return f".. {kind}:: {module}.{name}\n\n"


def names_used(code: str) -> Iterator[str]:
    """Yield the dotted name of each function and class of perflaw that a piece of code names."""
    tree = ast.parse(code)
    imported = {
        alias.asname or alias.name: f"{node.module}.{alias.name}"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("perflaw")
        for alias in node.names
    }
    for node in ast.walk(tree):
        name = ""
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            name = f"{imported.get(node.value.id, '')}.{node.attr}"
        elif isinstance(node, ast.Name):
            name = imported.get(node.id, "")
        value = _resolve(name)
        if callable(value) and not isinstance(value, ModuleType):
            yield name


def _resolve(name: str) -> Any:
    """Return what a dotted name of a module's attribute stands for, or None."""
    module, _, attribute = name.rpartition(".")
    try:
        return getattr(import_module(module), attribute, None)
    except (ImportError, ValueError):
        return None
