"""What an executed notebook was made of, and whether that has changed since."""

import hashlib
import importlib.metadata
import json
import os
import platform
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

PACKAGE_PARENT = Path(__file__).absolute().parents[2]
BOOK_EXTRAS = (None, "logs", "models", "report", "book")
REQUIREMENT = re.compile(r"""([\w.-]+)(?:.*extra == ["'](\w+)["'])?.*""")
ABSENT = "absent"  # in place of the digest of a file that is not there


def files_in(*folders: Path) -> list[Path]:
    """List all files under these folders."""
    return [path for folder in folders for path in sorted(folder.rglob("*")) if path.is_file()]


def digest_files(root: Path, paths: Iterable[Path]) -> str:
    """Compute one hash over the names, relative to `root`, and contents of files."""
    total = hashlib.sha256()
    for path in sorted(path for path in paths if path.is_file()):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        total.update(f"{path.relative_to(root).as_posix()} {content}\n".encode())
    return total.hexdigest()


def replace_dir(new: Path, place: Path, scratch: Path) -> None:
    """Move the folder `new` to `place`; what was there goes into `scratch` first."""
    if place.exists():
        place.rename(scratch / f"{place.name}.old")
    new.rename(place)


def digest_reads(root: Path, names: Iterable[str]) -> dict[str, str]:
    """Compute the digest of each file and each listed folder that a notebook read.

    Parameters
    ----------
    root
        Folder of the study.
    names
        Names relative to `root`, or else to the folder that holds the package.

    Returns
    -------
    dict
        Name to digest, `ABSENT` where there is no such file.
    """
    return {name: _digest_read(root, name) for name in names}


def _digest_read(root: Path, name: str) -> str:
    path = root / name
    if not path.exists():
        path = PACKAGE_PARENT / name
    if name.endswith("/") and path.is_dir():
        entries = sorted(entry.name for entry in path.iterdir() if not _is_private(entry.name))
        return hashlib.sha256("\n".join(entries).encode()).hexdigest()
    if path.is_file():
        return hashlib.sha256(path.read_bytes()).hexdigest()
    return ABSENT


def parse_reads(root: Path, record: Path) -> list[str]:
    """Return the names, relative to the study or the package, that a notebook's record lists.

    Python files are left out, as their imports are followed instead. Built and hidden files are
    left out too.
    """
    if not record.is_file():
        return []
    names = set()
    for line in record.read_text(encoding="utf-8").splitlines():
        base = root if Path(line).is_relative_to(root) else PACKAGE_PARENT
        if not Path(line).is_relative_to(base):
            continue
        path = Path(line).relative_to(base)
        is_folder = line.endswith(os.sep)
        if path.parts and not _is_left_out(path, is_folder):
            names.add(path.as_posix() + ("/" if is_folder else ""))
    return sorted(names)


def _is_left_out(path: Path, is_folder: bool) -> bool:
    is_module = path.suffix in (".py", ".pyc") or (is_folder and path.parts[0] == "perflaw")
    is_built = path.parts[:2] == ("book", "_build")
    return is_module or is_built or any(map(_is_private, path.parts))


def _is_private(name: str) -> bool:
    return name.startswith(".") or name == "__pycache__" or name.endswith(".egg-info")


def write_provenance(
    folder: Path,
    key: str,
    values: Mapping[str, Any],
    reads: Mapping[str, str],
    started: datetime,
    seconds: float,
) -> None:
    """Write into the executed notebook of a folder what it was made of, when and where.

    Parameters
    ----------
    folder
        Folder of the notebook, which bears its name.
    key
        Digest of what the notebook was made of.
    values
        Parameters.
    reads
        Digests of the files that it read.
    started
        Time at which the run started, in UTC.
    seconds
        Time that it took.
    """
    path = folder / f"{folder.name}.ipynb"
    notebook = json.loads(path.read_text(encoding="utf-8"))
    notebook["metadata"].pop("papermill")  # the same, but with this machine's paths
    outputs = files_in(folder / "figures", folder / "tables")
    notebook["metadata"]["perflaw"] = {
        "hash": key,
        "parameters": dict(values),
        "reads": dict(reads),
        "started": started.isoformat(timespec="seconds"),
        "seconds": round(seconds, 1),
        "outputs": [output.relative_to(folder).as_posix() for output in outputs],
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "versions": versions(),
    }
    path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def versions() -> dict[str, str]:
    """Return the installed version of every package of pyproject.toml that a book may use."""
    installed = {}
    for requirement in importlib.metadata.requires("perflaw") or []:
        name, extra = REQUIREMENT.fullmatch(requirement).groups()  # type: ignore[union-attr]
        if name == "perflaw" or extra not in BOOK_EXTRAS:
            continue
        try:
            installed[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # of an extra that this book does not need
    return dict(sorted(installed.items()))


def read_provenance(path: Path) -> dict[str, Any]:
    """Return what `write_provenance` wrote into an executed notebook."""
    return json.loads(path.read_text(encoding="utf-8"))["metadata"]["perflaw"]


def is_current(root: Path, folder: Path, key: str) -> bool:
    """Return whether a folder holds the complete result of a run with this key on today's data."""
    try:
        provenance = read_provenance(folder / f"{folder.name}.ipynb")
        reads = provenance["reads"]
        return (
            provenance["hash"] == key
            and all((folder / output).is_file() for output in provenance["outputs"])
            and digest_reads(root, reads) == reads
        )
    except (OSError, ValueError, KeyError, TypeError):
        return False
