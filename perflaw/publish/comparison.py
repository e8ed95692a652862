"""Compare two built books: which glued numbers and which tables moved.

A glued number has an interval if its notebook glues the ends of one. For ``best_gain`` these are
``best_gain_low`` and ``best_gain_high`` or, if they are missing, ``best_low`` and ``best_high``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from perflaw.errors import InputError

GLUED = "application/papermill.record/text/plain"
CLOSE = 1e-9  # relative difference of numbers that count as the same, for rounding by machines


@dataclass(frozen=True)
class Change:
    """A number or a table that differs between two books.

    Attributes
    ----------
    page : str
        Name of the notebook.
    name : str
        Name of the glued value, or of the table's file.
    before, after : str
        What each book has; empty where it has nothing.
    verdict : str
        Whether the new value is inside the old interval, beyond it, or without one.
    """

    page: str
    name: str
    before: str
    after: str
    verdict: str


def compare_books(before: str | Path, after: str | Path) -> list[Change]:
    """List what differs between two built books, page by page.

    Parameters
    ----------
    before, after
        Folders of books, like book/_build/default, or names of books in book/_build.

    Returns
    -------
    list of Change
        Glued values first, then tables; empty where the books agree.

    Raises
    ------
    InputError
        If a folder holds no executed notebook, and if both are one folder.
    """
    old, new = _find_notebooks(before), _find_notebooks(after)
    if _book_folder(old) == _book_folder(new):
        raise InputError(
            f"{before} and {after} are the same folder, {_book_folder(old)}; name two books"
        )
    changes = [
        Change(page, "(page)", "there" if page in old else "", "there" if page in new else "", "")
        for page in sorted(old.keys() ^ new.keys())
    ]
    for page in sorted(old.keys() & new.keys()):
        changes += _compare_values(page, glued_values(old[page]), glued_values(new[page]))
        changes += _compare_tables(page, old[page].parent, new[page].parent)
    return changes


def _find_notebooks(book: str | Path) -> dict[str, Path]:
    """Find the executed notebooks of a book, by page."""
    for folder in (Path(book), Path("book") / "_build" / str(book)):
        notebooks = {path.stem: path for path in (folder / "executed").glob("*/*.ipynb")}
        if notebooks:
            return notebooks
    raise InputError(
        f"{book} is no built book: name a folder like book/_build/default, "
        "or a book in book/_build; 'perflaw book' builds one"
    )


def _book_folder(notebooks: dict[str, Path]) -> Path:
    """Return the folder of a book, given its executed notebooks."""
    return next(iter(notebooks.values())).parents[2].resolve()


def glued_values(notebook: Path) -> dict[str, Any]:
    """Read the glued numbers and words of an executed notebook; rich outputs are left out.

    Raises
    ------
    InputError
        For a file that is no notebook.
    """
    values = {}
    try:
        for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
            for output in cell.get("outputs", []):
                name = output.get("metadata", {}).get("scrapbook", {}).get("name")
                text = output.get("data", {}).get(GLUED)
                if name and text is not None:
                    values[name] = _parse_number("".join(text))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise InputError(f"{notebook} is no notebook; build its book again") from None
    return values


def _parse_number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text.strip("'\"")


def _compare_values(page: str, old: dict[str, Any], new: dict[str, Any]) -> Iterator[Change]:
    for name in sorted(old.keys() | new.keys()):
        before, after = old.get(name, ""), new.get(name, "")
        if not _is_same(before, after):
            verdict = _judge(name, old, after) if name in old else ""
            yield Change(page, name, _as_text(before), _as_text(after), verdict)


def _is_same(before: object, after: object) -> bool:
    if isinstance(before, int | float) and isinstance(after, int | float):
        both_missing = math.isnan(before) and math.isnan(after)
        return both_missing or math.isclose(before, after, rel_tol=CLOSE)
    return before == after


def _as_text(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _judge(name: str, old: dict[str, Any], after: object) -> str:
    """Say whether a new value lies within the interval of the old book."""
    if not isinstance(after, float) or name.endswith(("_low", "_high")):
        return ""
    for stem in (name, name.rpartition("_")[0]):
        low, high = old.get(f"{stem}_low"), old.get(f"{stem}_high")
        if isinstance(low, float) and isinstance(high, float) and low <= high:
            return "inside its interval" if low <= after <= high else "BEYOND its interval"
    return "no interval"


def _compare_tables(page: str, old: Path, new: Path) -> Iterator[Change]:
    names = {path.name for folder in (old, new) for path in (folder / "tables").glob("*.csv")}
    for name in sorted(names):
        before = _read_table(old / "tables" / name)
        after = _read_table(new / "tables" / name)
        if before is None or after is None:
            yield Change(page, name, _describe_size(before), _describe_size(after), "")
        elif before.shape != after.shape or list(before) != list(after):
            yield Change(page, name, _describe_size(before), _describe_size(after), "another shape")
        elif n_moved := _count_moved(before, after):
            yield Change(page, name, "", "", f"{n_moved} of {before.size} cells differ")


def _read_table(path: Path) -> pd.DataFrame | None:
    try:
        return pd.read_csv(path) if path.is_file() else None
    except (OSError, ValueError):  # as are pandas' errors
        raise InputError(f"{path} is no table; build its book again") from None


def _describe_size(table: pd.DataFrame | None) -> str:
    return "" if table is None else f"{len(table)} rows, {table.shape[1]} columns"


def _count_moved(before: pd.DataFrame, after: pd.DataFrame) -> int:
    pairs = zip(before.to_numpy(object).ravel(), after.to_numpy(object).ravel(), strict=True)
    return sum(not _is_same(old, new) for old, new in pairs)
