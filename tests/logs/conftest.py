"""Every test of readers runs in a folder of its own, and those that ask for `way` both ways."""

import pytest

from perflaw.logs.readers import large_text, whole_numbers


@pytest.fixture(autouse=True)
def _inside(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture(params=["lines", "engine"])
def way(request, monkeypatch):
    """Small files are read line by line, large ones by the engine: both ways read alike."""
    if request.param == "engine":
        monkeypatch.setattr(large_text, "SMALL", -1)
        monkeypatch.setattr(whole_numbers, "FITS", 0)
    return request.param
