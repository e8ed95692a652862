"""The notebook of a report: it draws the conclusions again from the records."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat

from perflaw.errors import InputError
from perflaw.notebook_runner import describe_failure, start_notebook

READ_REPORT = """
import json
from pathlib import Path

import pandas as pd

from perflaw.models.baselines import BaselineGrowth
from perflaw.models.sweeps import load_runs
from perflaw.report import conclusions, figures
from perflaw.report.findings import BaselineComparison

report = json.loads(Path("report.json").read_text())
for sentence in report["judged"]["says"]:
    print(sentence)
"""
DRAW_CONCLUSIONS = """
runs = load_runs("runs")
runs = runs[runs["key"].isin([run["key"] for run in report["pilot"]["runs"]])]
growth = report["baseline_growth"]
findings = conclusions.draw_conclusions(
    runs,
    report["floor"],
    baselines=[BaselineComparison(**values) for values in report["judged"]["baselines"]],
    metrics=report["metrics"],
    baseline_growth=growth and BaselineGrowth(**growth),
).to_dict()
assert findings == report["judged"]
columns = ["n_layers", "d_emb", "seed", "sample_users", "status", "done_epochs", "seconds"]
runs[[*columns, "HR@10", "NDCG@10"]]
"""
FORECAST_RUNS = """
runs = pd.DataFrame(report["pilot"]["runs"])
findings = conclusions.forecast_runs(runs, "{metric}").to_dict()
assert findings == report["judged"]
runs
"""
PLOT_OUTLOOK = """
metric = findings["metrics"]["{metric}"]
figures.plot_outlook(metric, findings["best"], "{metric}")
pd.DataFrame(metric["predictions"])
"""
PLOT_DOUBLINGS = """
figures.plot_doublings({name: one["doublings"] for name, one in findings["metrics"].items()})
findings["bottleneck"]
"""
LIST_NEXT_RUNS = 'pd.DataFrame(findings["next"])'
KERNEL = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def report_notebook(values: Mapping[str, Any]) -> nbformat.NotebookNode:
    """Make a notebook that explains report.json, concludes again, and draws the figures.

    Parameters
    ----------
    values
        Those of report.json.

    Returns
    -------
    nbformat.NotebookNode
        Not yet executed; it reads report.json and runs/ beside it.
    """
    code, text = nbformat.v4.new_code_cell, nbformat.v4.new_markdown_cell
    metrics = list(values["judged"]["metrics"])
    if "settings" in values["pilot"]:
        beside, conclude = " and `runs/`, the records of the pilot's runs", DRAW_CONCLUSIONS
    else:
        beside, conclude = "", FORECAST_RUNS.replace("{metric}", values["metrics"][0])
    cells = [
        text(
            f"# Report on {values['log']['name']}\n\nMade by `perflaw report`, beside "
            f"`report.json`, which this notebook explains{beside}."
        ),
        code(READ_REPORT.strip()),
        text("The runs, and all that is concluded from them, once more:"),
        code(conclude.strip()),
    ]
    if metrics:
        cells += [
            text(
                "What is expected; the bands are intervals for one more run, shaded where nothing "
                "was run."
            ),
            *(code(PLOT_OUTLOOK.strip().replace("{metric}", metric)) for metric in metrics),
            code(PLOT_DOUBLINGS.strip()),
            code(LIST_NEXT_RUNS),
        ]
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number}"
    return nbformat.v4.new_notebook(cells=cells, metadata=KERNEL)


def execute_notebook(values: Mapping[str, Any], scratch: Path, out: Path) -> Path:
    """Execute the notebook of a report.

    Parameters
    ----------
    values
        Those of report.json.
    scratch
        A folder whose folder report is laid out as that of a report.
    out
        A folder that gets, in failed, the notebook if it fails.

    Returns
    -------
    pathlib.Path
        The executed notebook, scratch/report/report.ipynb.

    Raises
    ------
    InputError
        If a cell fails.
    """
    source, folder = scratch / "report.ipynb", scratch / "report"
    nbformat.write(report_notebook(values), source)
    process = start_notebook(source, {}, scratch, threads=1)
    try:
        if process.wait():
            raise InputError(f"the report was not written: {describe_failure(out, folder)}")
    finally:
        process.terminate()
        process.wait()
    executed = json.loads((folder / source.name).read_text(encoding="utf-8"))
    executed["metadata"].pop("papermill", None)  # paths of this machine
    nbformat.write(nbformat.from_dict(executed), folder / source.name)
    return folder / source.name
