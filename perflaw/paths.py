"""Where the study is."""

import os
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path


def _home() -> Path:
    """Where notebooks/, book/ and data/ are: the folder that PERFLAW_HOME names, the checkout that holds this package, a copy of the study in which
    the command was called, or else share/perflaw, where pip has put them.
    """
    checkout, here = Path(__file__).resolve().parent.parent, Path.cwd()
    if named := os.environ.get("PERFLAW_HOME"):
        return Path(named)
    if whole := [folder for folder in (checkout, here) if _is_study(folder)]:
        return whole[0]
    try:
        installed = [
            Path(file.locate()).resolve().parent
            for file in files("perflaw") or ()
            if file.parts[-2:] == ("perflaw", "_config.yml")
        ]
    except PackageNotFoundError:
        installed = []
    return next(filter(_is_study, (*installed, checkout / "share" / "perflaw")), checkout)


def _is_study(folder):
    return (folder / "_config.yml").exists() and (folder / "notebooks").is_dir()


HOME = _home()
