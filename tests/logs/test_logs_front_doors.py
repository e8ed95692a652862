"""What `perflaw.logs` and `perflaw.logs.entropy` offer, and what importing it costs."""

import subprocess
import sys

import pytest

from perflaw import logs
from perflaw.logs import entropy

LIGHT = """
import sys
from perflaw.logs import InteractionLog, from_histories, global_time, leave_one_out, read_log
from perflaw.logs import load_log, measures, perturbations
from perflaw.logs.entropy import accuracy_limit, compression_ratio, shannon_entropy
log = from_histories([["a", "b", "c"]])
leave_one_out(log).hash, log.summary(), shannon_entropy(log)
print([name for name in ("numba", "duckdb", "torch", "pooch") if name in sys.modules])
"""


@pytest.mark.parametrize("package", [logs, entropy])
def test_all_front_doors_open(package):
    assert {name for name in package.__all__ if getattr(package, name).__name__ == name} == set(
        package.__all__
    )
    assert set(package.__all__) <= set(dir(package))
    with pytest.raises(AttributeError, match="has no attribute 'nonesuch'"):
        package.nonesuch  # noqa: B018


@pytest.mark.integration
def test_heavy_packages_wait_until_they_are_needed():
    run = subprocess.run([sys.executable, "-c", LIGHT], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"
