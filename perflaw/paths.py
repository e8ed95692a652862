"""The folder of the study: a clone, with its notebooks, prose and data."""

import os
from pathlib import Path

from perflaw.errors import InputError


def study_folder() -> Path:
    """Find the clone whose `notebooks`, `book` and `data` are used.

    Returns
    -------
    pathlib.Path
        The folder that PERFLAW_HOME names; else the clone that holds this package; else the
        current folder, if it is a clone.

    Raises
    ------
    InputError
        If there is none of these.
    """
    if home := os.environ.get("PERFLAW_HOME"):
        return Path(home)
    for folder in (Path(__file__).resolve().parent.parent, Path.cwd()):
        if (folder / "_config.yml").exists() and (folder / "notebooks").is_dir():
            return folder
    raise InputError(
        "this needs a clone of the study, for its data: call it from the clone's folder, "
        "or name that folder in PERFLAW_HOME"
    )
