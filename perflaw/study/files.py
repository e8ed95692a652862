"""Where the study's own files are: data, notebooks and prose of a clone."""

from __future__ import annotations

from pathlib import Path

from perflaw.paths import study_folder


def study_file(*parts: str) -> Path:
    """Name a file of the study, such as ``study_file("data", "floors.csv")``.

    The folder of the study is asked for when the function is called.
    """
    return study_folder().joinpath(*parts)
