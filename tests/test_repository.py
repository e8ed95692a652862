"""What is kept in git."""

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LARGEST = 2_000_000  # bytes of a file


def test_no_file_is_large():
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("needs a clone: git does not know this folder")
    sizes = {name: (ROOT / name).stat().st_size for name in listed.stdout.split("\0") if name}
    assert len(sizes) > 500
    assert {name: size for name, size in sizes.items() if size > LARGEST} == {}
