"""The report on a log, written: one page that needs nothing else, the values behind it, and a notebook that makes them again.

Everything that the page says is in report.json (`report.run_report`). All three files arrive together, by renaming, or not at all.
"""

from __future__ import annotations

import html
import io
import json
import os
import re
import shutil
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import nbformat
import pandas as pd

from perflaw import notebook_runner, plotting
from perflaw.errors import InputError
from perflaw.logs import measures
from perflaw.report import figures, report

FILES = ("report.json", "report.ipynb", "report.html")
COLOURS = {
    "#000000": "currentColor",
    plotting.BLUE: "var(--blue)",
    plotting.VERMILLION: "var(--orange)",
    plotting.GREY: "var(--grey)",
    "#dddddd": "var(--line)",
}
STYLE = """
:root{--paper:#fff;--ink:#1a1a1a;--soft:#555;--line:#ddd;--blue:#0072b2;--orange:#c77f00;--grey:#777;--tint:#f4f6f8}
@media(prefers-color-scheme:dark){:root{--paper:#14171a;--ink:#e8e8e8;--soft:#a8adb3;--line:#3a3f45;--blue:#5ab4e8;--orange:#f0b040;--grey:#999;--tint:#1e2328}}
body{margin:0 auto;padding:1rem 1rem 4rem;max-width:46rem;background:var(--paper);color:var(--ink);font:16px/1.55 system-ui,sans-serif;overflow-wrap:break-word}
h1{font-size:1.6rem;line-height:1.2}h2{font-size:1.2rem;margin-top:2.4rem}a{color:var(--blue)}
.says{background:var(--tint);border-left:4px solid var(--blue);padding:.2rem 1rem;margin:1rem 0}.says.none{border-color:var(--orange)}
.wide{overflow-x:auto;background:linear-gradient(to right,var(--paper) 2rem,transparent) local,linear-gradient(to left,var(--paper) 2rem,transparent) right local,linear-gradient(to right,var(--line),transparent 1rem),linear-gradient(to left,var(--line),transparent 1rem);background-repeat:no-repeat;background-size:4rem 100%,4rem 100%,1rem 100%,1rem 100%;background-position:left,right,left,right}table{border-collapse:collapse;font-size:.86rem;font-variant-numeric:tabular-nums}
th,td{padding:.25rem .6rem;text-align:right;border-bottom:1px solid var(--line);white-space:nowrap}th:first-child,td:first-child{text-align:left}th{font-weight:600}
td.text{white-space:normal;text-align:left}
figure{margin:1rem 0}figcaption,small{color:var(--soft);font-size:.86rem}svg{width:100%;height:auto;fill:currentColor}svg text{font-family:system-ui,sans-serif!important}
.narrow{display:none}@media(max-width:600px){.narrow{display:block}.broad{display:none}}
"""


def write_report(told: dict, out: str | os.PathLike) -> Path:
    """Write report.json, report.ipynb (executed) and report.html into `out`, where the records are in `runs`; the path of the page.

    Raises InputError if the notebook fails, or a file cannot be written; what was there before is then as it was.
    """
    out = Path(out).resolve()
    scratch = None
    try:
        scratch = Path(tempfile.mkdtemp(dir=out, prefix=".report-"))
        folder = scratch / "report"  # laid out as `out` is
        folder.mkdir()
        (folder / "runs").symlink_to(out / "runs")
        (folder / "report.json").write_text(
            json.dumps(told, indent=1, allow_nan=False) + "\n", encoding="utf-8"
        )
        nbformat.write(report_notebook(told), scratch / "report.ipynb")
        process = notebook_runner.start_notebook(scratch / "report.ipynb", {}, scratch, threads=1)
        try:
            if process.wait():
                raise InputError(
                    f"the report was not written: {notebook_runner.describe_failure(out, folder)}"
                )
        finally:
            process.terminate()
            process.wait()
        executed = nbformat.read(folder / "report.ipynb", as_version=4)
        executed["metadata"].pop("papermill", None)  # this machine's paths
        nbformat.write(executed, folder / "report.ipynb")
        (folder / "report.html").write_text(render_page(told), encoding="utf-8")
        for name in FILES:
            os.replace(folder / name, out / name)
    except OSError as error:
        raise InputError(
            f"the report cannot be written to {out}: {error.strerror or error}"
        ) from None
    finally:
        if scratch is not None:
            shutil.rmtree(scratch, ignore_errors=True)
    return out / "report.html"


def report_notebook(told: dict) -> nbformat.NotebookNode:
    """A notebook that reads report.json and the records, concludes again, and draws the figures."""
    code, text = nbformat.v4.new_code_cell, nbformat.v4.new_markdown_cell
    cells = [
        text(
            f"# Report on {told['log']['name']}\n\nMade by `perflaw report`, beside `report.json`, which this notebook explains, and `runs/`, the records of the pilot's runs."
        ),
        code(
            "import json\nfrom pathlib import Path\n\nimport pandas as pd\n\nfrom perflaw.models.sweeps import runner\nfrom perflaw.report import report\nfrom perflaw.report import figures\n\n"
            'told = json.loads(Path("report.json").read_text())\nfor sentence in told["judged"]["says"]:\n    print(sentence)'
        ),
        text("The runs, and all that is concluded from them, once more:"),
        code(
            'runs = runner.load_runs("runs")\nruns = runs[runs["key"].isin([run["key"] for run in told["pilot"]["runs"]])]\n'
            'judged = report.draw_conclusions(runs, told["floor"])\nassert judged == told["judged"]\n'
            'runs[["n_layers", "d_emb", "seed", "sample_users", "status", "done_epochs", "seconds", "HR@10", "NDCG@10"]]'
        ),
    ]
    if told["judged"]["metrics"]:
        cells += [
            text(
                "What is expected; the bands are intervals for one more run, shaded where nothing was run."
            ),
            *(
                code(
                    f'one = judged["metrics"]["{metric}"]\nfigures.plot_outlook(one, judged["best"], "{metric}")\npd.DataFrame(one["predictions"])'
                )
                for metric in report.METRICS
            ),
            code(
                'figures.plot_doublings({metric: one["doublings"] for metric, one in judged["metrics"].items()})\njudged["bottleneck"]'
            ),
            code('pd.DataFrame(judged["next"])'),
        ]
    for i, cell in enumerate(cells):
        cell["id"] = f"cell-{i}"
    kernel = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    return nbformat.v4.new_notebook(cells=cells, metadata=kernel)


# ---------------------------------------------------------------- the page


def render_page(told: dict) -> str:
    """The page of a report, without a script and without anything from elsewhere."""
    log, judged, pilot = told["log"], told["judged"], told["pilot"]
    name = html.escape(log["name"])
    says = "".join(f"<p>{html.escape(sentence)}</p>" for sentence in judged["says"])
    parts = [
        f"<h1>{name}: what larger models and more data would bring</h1>",
        f'<div class="says{" none" if judged["reasons"] else ""}">{says}</div>',
    ]
    if pilot["share"] < 1:
        parts.append(
            f"<p>The log is long for {pilot['minutes']:g} minutes: everything below is of {pilot['users']:,} of its {log['users']:,} users, and the data there is theirs. What more data would bring stops short of the whole log, whose further items were not seen.</p>"
        )
    if judged["metrics"]:
        parts += _outlook(judged)
    parts += _log(told) + _pilot(told) + [_method(told)]
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1"><meta name="color-scheme" content="light dark"><title>Report on {name}</title><style>{STYLE}</style>'
    return (
        f'<!doctype html>\n<html lang="en"><head>{head}</head><body><main>\n'
        + "\n".join(parts)
        + "\n</main></body></html>\n"
    )


def _outlook(judged):
    level, parts = f"{100 * judged['level']:g} %", ["<h2>What is expected</h2>"]
    for metric, one in judged["metrics"].items():
        end = one["curves"]["d_emb"]
        alt = f"{metric} over the dimension, the layers and the data: at d = {end['x'][-1]:.0f} {end['predicted'][-1]:.4f} is expected, {end['low'][-1]:.4f} to {end['high'][-1]:.4f}."
        parts.append(
            _figure(
                f"{metric} along each size, the others as in the pilot's best configuration by validation. Band: {level} interval for one run; grey: beyond what was run.",
                alt,
                figures.plot_outlook,
                one,
                judged["best"],
                metric,
            )
        )
        rows = pd.DataFrame(one["predictions"])
        other = pd.concat(
            [
                pd.DataFrame(rows_of, columns=["n_layers", "d_emb", "predicted"])
                .assign(data=1)
                .rename(columns={"predicted": law})
                .set_index(["n_layers", "d_emb", "data"])
                for law, rows_of in one["laws"].items()
            ],
            axis=1,
        )
        rows = rows.join(other.dropna(axis=1, how="all"), on=["n_layers", "d_emb", "data"])
        shown = rows.assign(
            **{
                column: rows[column].map(lambda value: "" if pd.isna(value) else f"{value:.4f}")
                for column in rows.columns[3:]
            }
        )
        names = {
            "n_layers": "N",
            "d_emb": "d",
            "data": "data ×",
            "predicted": metric,
            "low": f"{level} from",
            "high": "to",
        }
        parts.append(_table(shown.rename(columns=names)))
    parts.append(
        "<p><small>For comparison, the columns named after laws are of these fitted to the pilot's cells alone: left out where these do not determine them, and often far off where few noisy ones do.</small></p>"
    )
    changes = {metric: one["doublings"] for metric, one in judged["metrics"].items()}
    alt = "; ".join(
        f"{metric}: doubling the {report.AXES[axis]} {one['change']:+.1f} %, {one['low']:+.1f} to {one['high']:+.1f}"
        for metric, gains in changes.items()
        for axis, one in gains.items()
    )
    parts += [
        "<h2>Model or data?</h2>",
        f"<p>{html.escape(judged['bottleneck']['verdict'].capitalize())}: {html.escape(judged['bottleneck']['why'])}.</p>",
    ]
    parts.append(
        _figure(
            f"What doubling brings, from the pilot's best configuration, the noise of a run left out; {level} intervals. More data means more users of the same kind.",
            alt,
            figures.plot_doublings,
            changes,
        )
    )
    parts.append("<h2>What to train next</h2>")
    if judged["next"]:
        rows = [
            {
                "N": one["n_layers"],
                "d": one["d_emb"],
                "NDCG@10": f"{one['predicted']:.4f}",
                f"{level} from": f"{one['low']:.4f}",
                "to": f"{one['high']:.4f}",
                "expected above the pilot": report.format_percent(one["chance"]),
                "time here": report.format_duration(one["seconds"]),
            }
            for one in judged["next"]
        ]
        parts.append(
            "<p>The sizes within the cost of the pilot whose training is expected to raise the best known value most:</p>"
            + _table(pd.DataFrame(rows))
        )
    else:
        parts.append("<p>No size that was not run costs less than the pilot did.</p>")
    return parts


def _log(told):
    log, meanings = (
        told["log"],
        {measure.name: measure.meaning for measure in measures.available_measures()},
    )
    lines = [
        f"{log['users']:,} users, {log['items']:,} items, {log['tokens']:,} interactions; {log['length_mean']:.1f} a user, {log['length_min']:,} to {log['length_max']:,}"
    ]
    lines.append(
        f"{log['repeats']:.1%} of interactions are with an item that the user had before"
        if log["repeats"]
        else "no user has an item twice"
    )
    lines.append(
        "no clock; the order of each history is all there is"
        if log["first"] is None
        else f"{log['first']} to {log['last']}; {log['ties']:.1%} of interactions share their time with another of the user"
    )
    lines += [f"read as: {note}" for note in log["notes"]] + [f"hash {log['hash']}"]
    rows = "".join(
        f"<tr><td>{name}</td><td>{'undefined' if value is None else f'{value:.4f}'}</td><td class=text>{html.escape(meanings[name])}</td></tr>"
        for name, value in told["entropy"].items()
    )
    return [
        "<h2>The log</h2><ul>"
        + "".join(f"<li>{html.escape(line)}</li>" for line in lines)
        + "</ul>",
        f"<h2>Its entropy</h2><p>In nats; <code>perflaw entropy</code> says more.</p><div class=wide tabindex=0><table>{rows}</table></div>",
    ]


def _pilot(told):
    judged, pilot, runs = told["judged"], told["pilot"], pd.DataFrame(told["pilot"]["runs"])
    parts = [
        f"<h2>The pilot</h2><p>{len(runs)} of {pilot['planned']} planned runs are done, {pilot['minutes']:g} minutes a call being allowed on {pilot['workers']} cores; they took {report.format_duration(runs['seconds'].sum())} of one core. Ranking by popularity has NDCG@10 {told['floor']['NDCG@10']:.4f} and HR@10 {told['floor']['HR@10']:.4f}.</p>"
    ]
    if judged["metrics"]:
        fit = judged["metrics"]["NDCG@10"]["fit"]
        parts.append(
            f"<p>One run's NDCG@10 differs from another's, that differs in the seed alone, by {judged['metrics']['NDCG@10']['noise']:.1f} % (one standard deviation, with what other logs say of it). A cell left out is {fit['error']:.1f} % from what the others say of it, where noise would have {fit['expected']:.1f} %: the law {'fits' if fit['fits'] else 'does not fit'}.</p>"
        )
    for one in judged["left_out"]:
        parts.append(
            f"<p>Left out, as the others do not agree with it: run {one['key']} (N = {one['n_layers']}, d = {one['d_emb']}), {one['sigmas']:+.1f} standard deviations.</p>"
        )
    shown = runs.assign(
        **{
            "share of users": runs["sample_users"].fillna(1),
            "seconds": runs["seconds"].round(1),
            **{m: [None if pd.isna(v) else f"{v:.4f}" for v in runs[m]] for m in report.METRICS},
        }
    )
    shown = shown.sort_values(
        ["share of users", "n_layers", "d_emb", "seed"], ascending=[False, True, True, True]
    )
    names = {"n_layers": "N", "d_emb": "d", "done_epochs": "epochs"}
    return [
        *parts,
        _table(
            shown[
                [
                    "n_layers",
                    "d_emb",
                    "seed",
                    "share of users",
                    "NDCG@10",
                    "HR@10",
                    "done_epochs",
                    "seconds",
                    "status",
                ]
            ].rename(columns=names)
        ),
    ]


def _method(told):
    settings = ", ".join(f"{name} {value}" for name, value in told["pilot"]["settings"].items())
    return (
        f"<h2>How this was made, and what it cannot say</h2><p>SASRec ({settings}), leave one out, all items ranked, those of the user's training part left out where nothing "
        "repeats. The logarithm of a metric is linear in the logarithms of layers and of data, and saturates in the dimension; the pilot's runs update what the sweeps "
        "of other logs in this study say of its coefficients, so intervals hold what is not known of shape and noise, but only as far as this log is like those. They do not hold what other "
        "settings, other users or other targets would change: one learning rate, dropout and stopping rule serve all sizes, and a larger model may want others. More data means more users of the same kind, "
        f"the items and the tested users as they are.</p><p><small>perflaw {told['perflaw']}. The numbers are in report.json, the runs in runs/, and report.ipynb makes the one from the other.</small></p>"
    )


def _table(rows):
    return f'<div class="wide" tabindex="0">{rows.to_html(index=False, border=0, na_rep="", float_format=lambda value: f"{value:g}")}</div>'


def _figure(caption, alt, draw, *data):
    """Two drawings, for broad and for narrow screens, whose colours are the page's."""
    drawn = ""
    for narrow, kind in ((False, "broad"), (True, "narrow")):
        settings = {
            "svg.fonttype": "none",
            "svg.hashsalt": f"{caption}{narrow}",
            "savefig.transparent": True,
        }
        with plotting.style_context(settings):
            figure, file = draw(*data, narrow=narrow), io.StringIO()
            figure.savefig(
                file,
                format="svg",
                metadata={"Date": None, "Creator": None, "Format": None, "Type": None},
            )
            plt.close(figure)
        svg = re.sub(
            r' id="[\w.]+_\d+"', "", file.getvalue()[file.getvalue().index("<svg") :]
        )  # not referred to
        svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
        for colour, own in COLOURS.items():
            svg = re.sub(colour, own, svg, flags=re.IGNORECASE)
        drawn += f'<div class="{kind}">{svg}</div>'
    return f'<figure><div role="img" aria-label="{html.escape(alt)}">{drawn}</div><figcaption>{html.escape(caption)}</figcaption></figure>'
