"""Run one notebook by papermill in a process of its own, and say where one failed."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

STARTS = 3  # attempts to start a kernel
# How nbclient's errors begin if a kernel does not start. Another process may have taken its port
# after the port was chosen.
NOT_STARTED = ("Kernel didn't respond", "Kernel died before replying")


def start_notebook(
    notebook: Path,
    values: Mapping[str, Any],
    scratch: Path,
    threads: int,
    home: Path | None = None,
    startup: str = "",
) -> subprocess.Popen[bytes]:
    """Start the execution of a notebook, in the new folder `scratch`/(its name).

    Parameters
    ----------
    notebook
        The notebook to execute.
    values
        Its parameters.
    scratch
        Folder in which the notebook's own folder, its log and the settings of IPython are made.
    threads
        Threads of numerical libraries.
    home
        Folder of the study whose data the notebook reads; by default as it is for this process.
    startup
        Python code that the kernel runs first.

    Returns
    -------
    subprocess.Popen
        The process that runs papermill. It writes the executed notebook into the new folder.
    """
    folder = scratch / notebook.stem
    for name in ("figures", "tables"):
        (folder / name).mkdir(parents=True)
    profile = scratch / "ipython" / "profile_default" / "startup"
    profile.mkdir(parents=True, exist_ok=True)
    (profile / "00-perflaw.py").write_text(startup, encoding="utf-8")
    environment = os.environ | {
        "OMP_NUM_THREADS": str(threads),
        # This environment's kernel and no one's personal IPython settings.
        "JUPYTER_PATH": str(Path(sys.prefix) / "share" / "jupyter"),
        "IPYTHONDIR": str(scratch / "ipython"),
        "PERFLAW_READS": str(scratch / f"{notebook.stem}.reads"),
    }
    if home is not None:
        environment["PERFLAW_HOME"] = str(home)
    command = [sys.executable, "-m", "perflaw.notebook_runner"]
    command += [str(notebook), str(folder / notebook.name), yaml.safe_dump(dict(values))]
    with open(scratch / f"{notebook.stem}.log", "w") as log:
        return subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )


def execute(notebook: str, target: str, parameters: str) -> None:
    """Execute a notebook in this process's folder; a kernel that does not start is started again.

    Parameters
    ----------
    notebook, target
        Paths of the notebook and of its executed copy.
    parameters
        A YAML mapping.
    """
    import papermill

    for start in range(1, STARTS + 1):
        try:
            papermill.execute_notebook(
                notebook,
                target,
                yaml.safe_load(parameters),
                kernel_name="python3",
                progress_bar=False,
            )
        except RuntimeError as error:
            if start == STARTS or not str(error).startswith(NOT_STARTED):
                raise
        else:
            return


def describe_failure(home: Path, folder: Path) -> str:
    """Keep a failed notebook in `home`/failed, and say in one line where and why it failed.

    Parameters
    ----------
    home
        Folder that gets the folder `failed`.
    folder
        Folder of the notebook, as `start_notebook` made it.
    """
    path = folder / f"{folder.name}.ipynb"
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"] if path.is_file() else []
    own_cells = [
        cell
        for cell in cells
        if cell["cell_type"] == "code"
        and "injected-parameters" not in cell["metadata"].get("tags", [])
    ]
    for number, cell in enumerate(own_cells, 1):
        errors = [output for output in cell["outputs"] if output["output_type"] == "error"]
        if errors:
            failed = home / "failed" / path.name
            failed.parent.mkdir(exist_ok=True)
            path.replace(failed)
            reason = " ".join(f"{errors[0]['ename']}: {errors[0]['evalue']}".split())
            return f"{path.name}, code cell {number}: {reason} (the notebook is kept as {failed})"
    log = (folder.parent / f"{folder.name}.log").read_text(encoding="utf-8", errors="replace")
    last_line = (log.strip().splitlines() or ["no reason given"])[-1]
    return f"{path.name} could not be run: {last_line}"


if __name__ == "__main__":
    execute(*sys.argv[1:])
