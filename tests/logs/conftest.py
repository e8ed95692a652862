"""Every test of readers runs in a folder of its own, and those that ask for `way` both ways."""

import pytest

from perflaw.logs.readers import json_lines, whole_numbers
from perflaw.logs.readers import text as text_reader


@pytest.fixture(autouse=True)
def _inside(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture(params=["lines", "engine"])
def way(request, monkeypatch):
    """Small files are read line by line, large ones by the engine: both ways read alike."""
    if request.param == "engine":
        monkeypatch.setattr(text_reader, "SMALL", -1)
        monkeypatch.setattr(json_lines, "SMALL", -1)
        monkeypatch.setattr(whole_numbers, "FITS", 0)
    return request.param
