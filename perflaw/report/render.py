"""The files of a report: a page that needs nothing else, its values, and a notebook.

Everything that the page says is in report.json. All files arrive together, or not at all.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd

from perflaw.errors import InputError
from perflaw.logs import measures
from perflaw.report import figures
from perflaw.report.drawing import draw_figure
from perflaw.report.findings import AXIS_LABELS, METRICS, TRAINS
from perflaw.report.notebook import execute_notebook
from perflaw.report.report import Report
from perflaw.report.sentences import (
    describe_sample,
    format_duration,
    format_minutes,
    format_percent,
)

FILES = ("report.json", "report.ipynb", "report.html")
SIZE_HEADINGS = {"n_layers": "N", "d_emb": "d"}


def write_report(report: Report, out: str | os.PathLike) -> Path:
    """Write report.json, report.ipynb (executed) and report.html.

    Parameters
    ----------
    report
        Of `perflaw.report.run_report`.
    out
        Its folder, where the records are in runs.

    Returns
    -------
    pathlib.Path
        The page.

    Raises
    ------
    InputError
        If the notebook fails or a file cannot be written; what was there before is then as it was.
    """
    out = Path(out).resolve()
    values = report.to_dict()
    try:
        with tempfile.TemporaryDirectory(
            dir=out, prefix=".report-", ignore_cleanup_errors=True
        ) as scratch:
            folder = Path(scratch) / "report"  # laid out as `out` is
            folder.mkdir()
            (folder / "runs").symlink_to(out / "runs")
            text = json.dumps(values, indent=1, allow_nan=False)
            (folder / "report.json").write_text(text + "\n", encoding="utf-8")
            execute_notebook(values, Path(scratch), out)
            (folder / "report.html").write_text(render_page(values), encoding="utf-8")
            for name in FILES:
                (folder / name).replace(out / name)
    except OSError as error:
        raise InputError(
            f"the report cannot be written to {out}: {error.strerror or error}"
        ) from None
    return out / "report.html"


def render_page(values: Mapping[str, Any]) -> str:
    """Render the page of a report.

    Parameters
    ----------
    values
        Those of report.json.

    Returns
    -------
    str
        HTML without a script and without anything from elsewhere.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("perflaw.report"),
        autoescape=jinja2.select_autoescape(["html"]),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "cell": _format_cell,
        "duration": format_duration,
        "minutes": format_minutes,
    }
    page = environment.get_template("report.html").render(_page_values(values))
    return re.sub(r"(?<=\d) %", "\u00a0%", page)  # a line never begins with a "%"


def _format_cell(value: Any) -> Any:
    """Show nothing for a missing value, and numbers as short as they are."""
    if pd.isna(value):
        return ""
    return f"{value:g}" if isinstance(value, float) else value


def _page_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """Add to the values of report.json the figures, tables and texts that the template shows."""
    judged, runs, log = values["judged"], values["pilot"]["runs"], values["log"]
    has_log = "hash" in log
    level = f"{100 * judged['level']:g} %"
    best = _name_best(values, has_log)
    shown = {
        **values,
        "has_log": has_log,
        "level": level,
        "best": best,
        "describe_sample": describe_sample,
        "meanings": {measure.name: measure.meaning for measure in measures.available_measures()},
        "log_lines": _describe_log(log) if has_log else [],
        "run_table": _run_table(runs) if has_log else pd.DataFrame(runs),
        "baseline_table": _baseline_table(judged["baselines"], level),
        "outlooks": [_outlook_values(metric, judged, level, best) for metric in judged["metrics"]],
    }
    if judged["metrics"]:
        trains = judged["recommendation"]["advice"] in TRAINS
        shown["doublings"] = _doubling_values(judged)
        shown["next_table"] = _next_table(judged, level) if trains else None
    return shown


def _name_best(values: Mapping[str, Any], has_log: bool) -> str:
    """Name the best configuration by what it is the best of, and by what it was chosen."""
    if values["judged"].get("chosen_on_test"):
        return f"the configuration with the highest {values['metrics'][0]}"
    whose = "the pilot's" if has_log else "the"
    return f"{whose} best configuration by validation"


def _outlook_values(
    metric: str, judged: Mapping[str, Any], level: str, best: str
) -> dict[str, Any]:
    """Give the figure and the table of one metric."""
    findings = judged["metrics"][metric]
    end = {name: values[-1] for name, values in findings["curves"]["d_emb"].items()}
    caption = (
        f"{metric} along each size, the others as in {best}. "
        f"Band: {level} interval for one run; grey: beyond what was run."
    )
    return {
        "caption": caption,
        "alt": (
            f"{metric} over the dimension, the layers and the data: at d = {end['x']:.0f} "
            f"{end['predicted']:.4f} is expected, {end['low']:.4f} to {end['high']:.4f}."
        ),
        "drawing": draw_figure(
            figures.plot_outlook, findings, judged["best"], metric, salt=caption
        ),
        "predictions": _prediction_table(metric, findings, level),
    }


def _prediction_table(metric: str, findings: Mapping[str, Any], level: str) -> pd.DataFrame:
    """Give the forecasts, and those of other laws where these are determined."""
    sizes = ["n_layers", "d_emb", "data"]
    rows = pd.DataFrame(findings["predictions"])
    for law, predictions in findings["laws"].items():
        if predictions:
            by_law = pd.DataFrame(predictions).assign(data=1)[[*sizes, "predicted"]]
            rows = rows.merge(by_law.rename(columns={"predicted": law}), "left", sizes)
    values = rows.columns.drop(sizes)
    rows[values] = rows[values].map(lambda value: "" if pd.isna(value) else f"{value:.4f}")
    headings = {"data": "data ×", "predicted": metric, "low": f"{level} from", "high": "to"}
    return rows.rename(columns=SIZE_HEADINGS | headings)


def _doubling_values(judged: Mapping[str, Any]) -> dict[str, Any]:
    """Give the figure of what doubling each size brings."""
    doublings = {name: findings["doublings"] for name, findings in judged["metrics"].items()}
    alt = "; ".join(
        f"{metric}: doubling the {AXIS_LABELS[axis]} {gain['change']:+.1f} %, "
        f"{gain['low']:+.1f} to {gain['high']:+.1f}"
        for metric, gains in doublings.items()
        for axis, gain in gains.items()
    )
    drawing = draw_figure(figures.plot_doublings, doublings, salt="doublings")
    return {"alt": alt, "drawing": drawing}


def _next_table(judged: Mapping[str, Any], level: str) -> pd.DataFrame:
    metric = next(iter(judged["metrics"]))
    return pd.DataFrame(
        {
            "N": run["n_layers"],
            "d": run["d_emb"],
            metric: f"{run['predicted']:.4f}",
            f"{level} from": f"{run['low']:.4f}",
            "to": f"{run['high']:.4f}",
            "expected above all trained": format_percent(run["chance"]),
            "time here": "" if run["seconds"] is None else format_duration(run["seconds"]),
        }
        for run in judged["next"]
    )


def _baseline_table(baselines: list[Mapping[str, Any]], level: str) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "baseline": baseline["name"],
            baseline["metric"]: f"{baseline['value']:.4f}",
            "best model minus baseline": f"{baseline['difference']:+.4f}",
            f"{level} from": f"{baseline['low']:+.4f}",
            "to": f"{baseline['high']:+.4f}",
        }
        for baseline in baselines
    )


def _describe_log(log: Mapping[str, Any]) -> list[str]:
    """Say how large the log is, and how it was read."""
    repeats = "no user has an item twice"
    if log["repeats"]:
        share = f"{100 * log['repeats']:.1f} %"
        repeats = f"{share} of interactions are with an item that the user had before"
    times = "no clock; the order of each history is all there is"
    if log["first"] is not None:
        times = (
            f"{log['first']} to {log['last']}; {100 * log['ties']:.1f} % of interactions share "
            "their time with another of the user"
        )
    return [
        f"{log['users']:,} users, {log['items']:,} items, {log['tokens']:,} interactions; "
        f"{log['length_mean']:.1f} a user, {log['length_min']:,} to {log['length_max']:,}",
        repeats,
        times,
        *(f"read as: {note}" for note in log["notes"]),
        f"hash {log['hash']}",
    ]


def _run_table(runs: list[Mapping[str, Any]]) -> pd.DataFrame:
    """Give the runs of the pilot, those on all users first."""
    rows = pd.DataFrame(runs)
    rows["share"] = rows["sample_users"].astype(float).fillna(1.0)
    rows["seconds"] = rows["seconds"].astype(float).round(1)
    for metric in METRICS:
        rows[metric] = ["" if pd.isna(value) else f"{value:.4f}" for value in rows[metric]]
    rows = rows.sort_values(
        ["share", "n_layers", "d_emb", "seed"], ascending=[False, True, True, True]
    )
    columns = ["n_layers", "d_emb", "seed", "share", *METRICS, "done_epochs", "seconds", "status"]
    headings = SIZE_HEADINGS | {"share": "share of users", "done_epochs": "epochs"}
    return rows[columns].rename(columns=headings)
