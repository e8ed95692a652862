"""Build a book: notebooks are executed with their parameters, and become pages with the prose.

A book is wholly in ``book/_build/NAME/``:

``executed/x/``
    what notebook x made in one run: ``x.ipynb``, ``figures/``, ``tables/``
``source/``
    what is rendered: the prose of ``book/`` and all of the above, laid together
``html/``
    the pages
``failed/``
    the notebook that failed last, if one did

A notebook runs in a folder with empty folders ``figures`` and ``tables``, which becomes
``executed/x`` by one rename. The pages arrive in the same way. So what is there is complete, and a
build that stops half-way leaves it alone.
"""

import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from perflaw.errors import InputError
from perflaw.publish.execution import execute_notebooks
from perflaw.publish.pages import assemble_pages, render_pages
from perflaw.publish.parameters import assign_parameters, declared


def build_book(
    root: str | Path,
    parameters: Mapping[str, Any] | None = None,
    name: str = "default",
    solutions: bool = True,
) -> Path:
    """Execute and render what changed of a book.

    Parameters
    ----------
    root
        Folder of the study.
    parameters
        Names and values; each notebook gets those that it declares.
    name
        Name of the book, which is built in `root`/book/_build/`name`.
    solutions
        Whether the solutions of exercises are part of the book.

    Returns
    -------
    pathlib.Path
        The index page.

    Raises
    ------
    InputError
        If the project, the name or a parameter cannot be used.
    BuildError
        If a cell fails or the rendering has warnings.
    """
    root = Path(root).resolve()
    parameters = parameters or {}
    _check_book(root, parameters, name)
    values_by_notebook = assign_parameters(declared(root), parameters) if parameters else {}
    home = root / "book" / "_build" / name
    scratch = home / "scratch"
    home.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(home / ".lock", timeout=0):
            shutil.rmtree(scratch, ignore_errors=True)
            scratch.mkdir()
            try:
                execute_notebooks(root, home, values_by_notebook, scratch)
                assemble_pages(root, home, solutions)
                render_pages(home, scratch)
            finally:
                shutil.rmtree(scratch, ignore_errors=True)
    except Timeout:
        raise InputError(
            f"the book '{name}' is being built by another process; "
            "wait for it, or give another --name"
        ) from None
    return home / "html" / "index.html"


def _check_book(root: Path, parameters: Mapping[str, Any], name: str) -> None:
    """Raise InputError for a name that cannot be used, or a folder that is no study."""
    if not re.fullmatch(r"\w[\w.-]{0,99}", name):
        raise InputError(
            f"a book cannot be called {name!r}: use letters, digits, '.', '_' and '-'; see --name"
        )
    if parameters and name.lower() == "default":
        raise InputError(
            "a book with parameters of its own cannot be called 'default': give it another --name"
        )
    if not list(root.glob("notebooks/*.ipynb")) or not (root / "book").is_dir():
        raise InputError(
            f"{root} has no notebooks/*.ipynb and book/: run this from the root of a clone"
        )
