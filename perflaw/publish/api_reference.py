"""The page of the book that documents every front door, made from the docstrings."""

from __future__ import annotations

import inspect
from importlib import import_module

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

Functions and classes that other code may rely on. Everything else may change. Each is imported from
the module that heads its section, e.g. `from perflaw.laws import fit`.
"""


def api_page() -> str:
    """Write the page, in MyST Markdown: a section a module, an entry a name in its `__all__`."""
    sections = [HEAD]
    for module, title in FRONT_DOORS.items():
        entries = [_entry(module, name) for name in sorted(import_module(module).__all__)]
        sections.append(f"## {title}: `{module}`\n\n```{{eval-rst}}\n{''.join(entries)}```\n")
    return "\n".join(sections)


def _entry(module: str, name: str) -> str:
    value = getattr(import_module(module), name)
    if not callable(value):
        return f".. py:data:: {module}.{name}\n\n   By name: {', '.join(map(str, value))}.\n\n"
    kind = "autoclass" if inspect.isclass(value) else "autofunction"
    return f".. {kind}:: {module}.{name}\n\n"
