"""Lay prose and executed notebooks together, and render them as pages."""

import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from perflaw.publish.api_reference import api_page
from perflaw.publish.comparison import compare_books
from perflaw.publish.execution import BuildError
from perflaw.publish.exercises import separate_solutions
from perflaw.publish.provenance import digest_files, files_in, read_provenance, replace_dir
from perflaw.publish.site import describe_changes, describe_copy

API_PAGE = "api.md"  # written if the table of contents has it
# The two that pages need of the hundred files of MathJax.
MATHJAX_FONTS = "output/chtml/fonts/woff-v2"
MATHJAX_SCRIPT = "tex-chtml-full.js"
PAGES_FROM_ELSEWHERE = {
    "_config.yml": "_config.yml",
    "CHANGELOG.md": "CHANGELOG.md",
    "data/README.md": "data.md",
}


def assemble_pages(root: Path, home: Path, solutions: bool) -> None:
    """Lay prose and executed notebooks, with their figures and tables, into `home`/source.

    Parameters
    ----------
    root
        Folder of the study.
    home
        Folder of the book.
    solutions
        Whether the solutions of exercises are part of the book.

    Raises
    ------
    BuildError
        If two notebooks wrote the same figure or table.
    """
    source = home / "source"
    shutil.rmtree(source, ignore_errors=True)
    shutil.copytree(root / "book", source, ignore=shutil.ignore_patterns("_build", ".*"))
    (source / "_static").rename(source / "static")  # _config.yml says why
    _copy_mathjax(source / "static" / "mathjax")
    for path, page in PAGES_FROM_ELSEWHERE.items():
        shutil.copy(root / path, source / page)
    _copy_executed(home / "executed", source)
    _write_made_pages(root, home, source)
    separate_solutions(source, solutions)


def _copy_mathjax(target: Path) -> None:
    package = importlib.metadata.distribution("sphinx-mathjax-offline")
    mathjax = Path(str(package.locate_file("sphinx-mathjax-offline/static/mathjax")))
    shutil.copytree(mathjax / MATHJAX_FONTS, target / MATHJAX_FONTS)
    shutil.copy(mathjax / MATHJAX_SCRIPT, target)


def _copy_executed(executed: Path, source: Path) -> None:
    (source / "executed").mkdir()
    for folder in sorted(executed.iterdir()):
        notebook = folder / f"{folder.name}.ipynb"
        shutil.copy(notebook, source / "executed")
        for output in read_provenance(notebook)["outputs"]:
            if (source / output).exists():
                raise BuildError(
                    f"{folder.name}.ipynb wrote {output}, which another notebook or book/ has too"
                )
            (source / output).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(folder / output, source / output)


def _write_made_pages(root: Path, home: Path, source: Path) -> None:
    """Write the API page, and what pages include: run times, facts and changes of this copy."""
    runs = {path.stem: read_provenance(path) for path in source.glob("executed/*.ipynb")}
    (source / "_runtime.md").write_text(runtime_table(runs), encoding="utf-8")
    (source / "_runtime_answer.md").write_text(runtime_answer(runs), encoding="utf-8")
    last = max(run["started"] for run in runs.values())
    (source / "_site.md").write_text(describe_copy(root, last), encoding="utf-8")
    default = home.parent / "default"
    is_custom = home != default and (default / "executed").is_dir()
    changes = describe_changes(compare_books(default, home) if is_custom else None)
    (source / "_changes.md").write_text(changes, encoding="utf-8")
    if re.search(r"file: api$", (source / "_toc.yml").read_text(encoding="utf-8"), re.MULTILINE):
        texts = map(_read_markdown, sorted(source.glob("executed/*.ipynb")))
        (source / API_PAGE).write_text(api_page(texts), encoding="utf-8")


def _read_markdown(notebook: Path) -> str:
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")


def runtime_answer(runs: Mapping[str, Mapping[str, Any]]) -> str:
    """Say in Markdown what made a copy and how long its notebooks ran, from their provenance."""
    last = max(runs.values(), key=lambda run: run["started"])
    longest = sorted(runs, key=lambda name: -runs[name]["seconds"])[:3]
    minutes = sum(run["seconds"] for run in runs.values()) / 60
    slowest = ", ".join(f"*{name}* ({runs[name]['seconds']:.0f} s)" for name in longest)
    return (
        f"**Answer.** Python {last['python']} on {last['platform']} with {last['cores']} cores "
        f"made it. Its {len(runs)} notebooks ran for {minutes:.0f} minutes, summed over notebooks. "
        f"Two run at a time, so they take about half of that. The first `make book` also installs "
        f"the packages and renders the pages: 10 to 20 minutes in all. The longest: {slowest}.\n"
    )


def runtime_table(runs: Mapping[str, Mapping[str, Any]]) -> str:
    """Write what ran when, for how long and on what, as Markdown, from notebooks' provenance."""
    last = max(runs.values(), key=lambda run: run["started"])
    run_rows = [
        f"| `{name}` | {run['seconds']:.1f} | {run['started'][:16].replace('T', ' ')} |"
        for name, run in sorted(runs.items())
    ]
    lines = [
        "| notebook | seconds | started (UTC) |",
        "|---|---:|---|",
        *run_rows,
        f"| sum of all | {sum(run['seconds'] for run in runs.values()):.1f} | |",
        "",
        "| environment | version |",
        "|---|---|",
        f"| Python | {last['python']} |",
        f"| platform | {last['platform']} |",
        f"| cores | {last['cores']} |",
        *(f"| {name} | {version} |" for name, version in last["versions"].items()),
    ]
    return "\n".join(lines) + "\n"


def render_pages(home: Path, scratch: Path) -> None:
    """Turn `home`/source into the pages of `home`/html, unless they are there already.

    Raises
    ------
    BuildError
        With Sphinx's warnings, if it has any.
    """
    source, html = home / "source", home / "html"
    package = Path(__file__).parents[1]
    modules = "**/*.py" if (source / API_PAGE).exists() else "publish/*.py"  # for the docstrings
    key = digest_files(source, files_in(source)) + digest_files(package, package.glob(modules))
    stamp = html / ".hash"
    if stamp.is_file() and stamp.read_text() == key:
        return
    start = time.monotonic()
    command = [sys.executable, "-c", "from jupyter_book.cli.main import main; main()", "build"]
    command += [str(source), "--toc", str(source / "_toc.yml"), "--path-output", str(scratch)]
    command += ["-q", "-W", "-n", "--keep-going"]
    process = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    )
    if process.returncode:
        raise BuildError(_describe_warnings(process.stdout, source))
    new_pages = scratch / "_build" / "html"
    (new_pages / stamp.name).write_text(key)
    replace_dir(new_pages, html, scratch)
    print(f"{'pages':<24}{time.monotonic() - start:7.1f} s")


def _describe_warnings(output: str, source: Path) -> str:
    """Return the warnings and errors among Sphinx's output, or else its last lines."""
    plain = re.sub(r"\x1b\[[\d;]*m", "", output).replace(f"{source}{os.sep}", "")
    lines = plain.splitlines()
    warnings = [line for line in lines if re.search(r"\b(WARNING|ERROR|CRITICAL|\w+Error): ", line)]
    return "\n".join(["the pages could not be rendered", *(warnings or lines[-20:])])
