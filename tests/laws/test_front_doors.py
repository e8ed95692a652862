import subprocess
import sys

import pytest

import perflaw.laws

FORBIDDEN = ("torch", "duckdb", "numba", "matplotlib", "sklearn")


@pytest.mark.parametrize("name", perflaw.laws.__all__)
def test_every_front_door_opens(name):
    assert callable(getattr(perflaw.laws, name))


def test_a_name_that_is_no_front_door_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nonesuch'"):
        _ = perflaw.laws.nonesuch


def test_front_doors_are_listed():
    assert set(perflaw.laws.__all__) <= set(dir(perflaw.laws))


@pytest.mark.integration
def test_laws_reach_no_heavy_library():
    doors = [name for name in perflaw.laws.__all__ if name != "LawRegressor"]
    code = (
        "import sys, perflaw.laws\n"
        f"for name in {doors!r}: getattr(perflaw.laws, name)\n"
        f"print([name for name in {FORBIDDEN!r} if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
