"""What pip installs: the base without its extras, away from the repository."""

import fcntl
import os
import re
import shutil
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
ALL = sorted({name for names in [PROJECT["dependencies"], *EXTRAS.values()] for name in names})
BASE = {"click", "numpy", "pandas", "pydantic", "pyyaml", "scipy", "tqdm"}
RUNS = "n_layers,d_emb,value\n" + "".join(
    f"{n},{d},{0.3 - 0.02 * (i - 2) ** 2 - 1 / d:.4f}\n"
    for i, n in enumerate((1, 2, 4, 8, 16))
    for d in (8, 16, 32, 64)
)


def distribution(requirement):
    """The name of what a requirement asks for, in its normal form."""
    return re.sub(r"[-_.]+", "-", re.match(r"[\w.-]+", requirement)[0]).lower()


def test_the_base_is_small():
    assert {distribution(name) for name in PROJECT["dependencies"]} == BASE


@pytest.mark.parametrize("requirement", [name for name in ALL if not name.startswith("perflaw[")])
def test_every_requirement_is_pinned(requirement):
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    pinned = {distribution(line) for line in lines if re.match(r"[\w.-]+==\d", line)}
    assert distribution(requirement) in pinned


def test_every_extra_that_an_error_names_exists():
    from perflaw.errors import EXTRAS as NAMED

    assert set(NAMED.values()) <= set(EXTRAS)


def install(place):
    """Build a wheel of the repository, and install it with its base requirements alone."""
    ignored = shutil.ignore_patterns(
        ".*", "_build", "runs", "build", "*.egg-info", "tests", "notebooks", "data", "__pycache__"
    )
    shutil.copytree(ROOT, place / "source", ignore=ignored)
    run(
        sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation",
        "--wheel-dir", place, place / "source",
    )  # fmt: skip
    shutil.rmtree(place / "source")
    venv.create(place / "venv")
    (wheel,) = place.glob("perflaw-*.whl")
    run(
        sys.executable, "-m", "pip", "--python", place / "venv" / "bin" / "python", "install", "-q",
        "--no-compile", "--constraint", ROOT / "requirements.txt", wheel,
    )  # fmt: skip


@pytest.fixture(scope="module")
def installed(tmp_path_factory, worker_id):
    """Call the Python of an environment with a built wheel and its base requirements."""
    pytest.importorskip("pip")
    alone = worker_id == "master"
    session = tmp_path_factory.getbasetemp() if alone else tmp_path_factory.getbasetemp().parent
    place = session / "installed"
    with (session / "installed.lock").open("w") as lock:  # one worker installs, the others wait
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (place / "done").exists():
            shutil.rmtree(place, ignore_errors=True)
            install(place)
            (place / "done").touch()
    python = place / "venv" / "bin" / "python"
    folder = tmp_path_factory.mktemp("elsewhere")
    (folder / "runs.csv").write_text(RUNS)

    def call(*arguments):
        surroundings = {
            name: value
            for name, value in os.environ.items()
            if name not in ("PERFLAW_HOME", "PYTHONPATH")
        }
        command = [python, *map(str, arguments)]
        return subprocess.run(command, cwd=folder, env=surroundings, capture_output=True, text=True)

    return call


def run(*command):
    """Run a command; skip where there is no network to install from."""
    done = subprocess.run([*map(str, command)], capture_output=True, text=True)
    if re.search("Failed to establish|ConnectionError|Name or service|timed out", done.stderr):
        pytest.skip("needs a package index, which cannot be reached")
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_the_wheel_says_what_it_can(installed):
    shown = installed("-m", "perflaw", "--help")
    assert shown.returncode == 0, shown.stderr
    assert "Fit a law to a table of runs." in shown.stdout


@pytest.mark.slow
def test_the_wheel_fits_a_law(installed):
    fitted = installed("-m", "perflaw", "fit", "runs.csv", "--law", "log_quadratic")
    assert fitted.returncode == 0, fitted.stderr
    assert "converged" in fitted.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "extra"),
    [
        (("train", "synthetic"), "models"),
        (("sweep", "tiny", "--log", "synthetic"), "models"),
        (("book",), "models"),
    ],
)
def test_a_missing_extra_is_one_line(installed, arguments, extra):
    refused = installed("-m", "perflaw", *arguments)
    assert refused.returncode == 1
    expected = rf"Error: this needs \w+, which is not installed: pip install 'perflaw\[{extra}\]'\n"
    assert re.fullmatch(expected, refused.stderr)


@pytest.mark.slow
def test_measures_that_need_an_extra_name_it(installed):
    printed = installed("-m", "perflaw", "entropy", "synthetic")
    assert printed.returncode == 0
    assert re.search(r"^shannon +\d+\.\d{4} ", printed.stdout, re.MULTILINE)
    assert "this needs numba, which is not installed: pip install 'perflaw[logs]'" in printed.stdout


@pytest.mark.slow
def test_the_data_of_the_study_need_a_clone(installed):
    code = "from perflaw.study.paper.published import load_surfaces; load_surfaces()"
    refused = installed("-c", code)
    last_line = refused.stderr.strip().splitlines()[-1]
    assert last_line.startswith("perflaw.errors.InputError: this needs a clone of the study")


@pytest.mark.slow
def test_every_data_file_of_the_package_is_in_the_wheel(installed):
    code = (
        "from importlib.resources import files; from pathlib import Path; "
        "root = Path(str(files('perflaw'))); "
        "print(*sorted(p.relative_to(root).as_posix() for p in root.rglob('*') if p.is_file()))"
    )
    shipped = {name for name in installed("-c", code).stdout.split() if "__pycache__" not in name}
    tracked = subprocess.run(
        ["git", "ls-files", "perflaw"], cwd=ROOT, capture_output=True, text=True
    ).stdout.split()
    assert {name.removeprefix("perflaw/") for name in tracked} == shipped
