"""Facts about a copy of the book: version, date, commit, authors, citation, licences, changes."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import yaml

from perflaw.publish.comparison import Change

FACTS = """\
- **Version** {version}, commit {commit}; its last notebook ran on {date}.
- **Authors**: {authors}.
- **To cite**: *{title}*, version {version}, with the paper that it re-measures.
  `CITATION.cff` has both.
- **Licences**: code, text and tables of our own runs, {licence}. The paper's points and the grids
  by others are facts published by their authors. Interaction logs are not included.
"""
DEFAULT_BOOK = """\
This copy was built with every parameter at its default. A book with parameters of yours lists here
what moved.
"""


def describe_copy(root: Path, last_run: str) -> str:
    """Write the facts of this copy, as Markdown.

    Parameters
    ----------
    root
        Folder of the study, with CITATION.cff.
    last_run
        Time at which the last notebook was started, in ISO format.
    """
    citation = yaml.safe_load((root / "CITATION.cff").read_text(encoding="utf-8"))
    authors = ", ".join(_name(author) for author in citation["authors"])
    return FACTS.format(
        version=citation["version"],
        commit=read_commit(root),
        date=last_run[:10],
        authors=authors,
        title=citation["title"],
        licence=citation["license"],
    )


def _name(author: dict[str, Any]) -> str:
    return author.get("name") or f"{author['given-names']} {author['family-names']}"


def read_commit(root: Path) -> str:
    """Return the commit of a clone, '-dirty' added where files differ from it, or 'unknown'."""
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--exclude=*"]
    try:
        process = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return process.stdout.strip()


def describe_changes(changes: list[Change] | None) -> str:
    """Write a comparison of this book with the default one, as Markdown.

    Parameters
    ----------
    changes
        What differs, or None for the default book itself.
    """
    if changes is None:
        return DEFAULT_BOOK
    if not changes:
        return "No number and no table of this copy differs from the default book.\n"
    rows = [
        f"| {change.page} | `{change.name}` | {change.before} | {change.after} | {change.verdict} |"
        for change in changes
    ]
    head = ["| page | number or table | default book | this copy | |", "|---|---|---|---|---|"]
    return "\n".join([*head, *rows]) + "\n"
