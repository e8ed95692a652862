"""`perflaw report`: what larger models and more data would bring on a log."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from perflaw.cli.options import (
    DEVICE_OPTION,
    echo_reading,
    interruptible,
    is_given,
    load_log,
    log_options,
    one_line_errors,
    repeat_log_arguments,
)

if TYPE_CHECKING:
    from perflaw.report.report import Report

CHOICES = ("metric", "device", "backbone", "split", "epochs", "patience", "sample")
"""Options that `perflaw.report.ReportOptions` checks."""


@click.command()
@log_options(click.argument("log", metavar="[LOG]", required=False))
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="Folder of the report; made if need be.",
)
@click.option(
    "--runs",
    metavar="FILE",
    help="A table of your own runs in place of a log; nothing is trained.",
)
@click.option(
    "--budget",
    default=10.0,
    show_default=True,
    type=click.FloatRange(0, 100_000, min_open=True),
    help="Minutes that all of it may take; a budget without time to train is refused.",
)
@click.option(
    "--workers",
    type=click.IntRange(1),
    help="Number of processes that train; default one for each core.",
)
@click.option(
    "--metric",
    default="NDCG@10",
    show_default=True,
    help="Metric to conclude from, or HR@10; of one's own runs any rate of which more is better.",
)
@DEVICE_OPTION
@click.option("--backbone", default="sasrec", show_default=True, help="Backbone of the models.")
@click.option(
    "--split", default="leave one out", show_default=True, help="leave one out, or global time."
)
@click.option("--epochs", type=click.IntRange(1), help="Epochs of a run at most; default 200.")
@click.option(
    "--patience",
    type=click.IntRange(1),
    help="Validations without a better one until a run stops; default 5.",
)
@click.option(
    "--sample",
    is_flag=True,
    help="Accept a pilot on fewer than one in sixteen of the users.",
)
@one_line_errors()
def command(
    log: str | None,
    out: Path,
    runs: str | None,
    budget: float,
    workers: int | None,
    **options: Any,
) -> None:
    """Predict what a larger model or more data brings.

    A pilot sweep trains small models on LOG, which is what it is for `perflaw log`. OUT gets
    report.html, report.json, report.ipynb, and the runs of the pilot, in runs/; called again, it
    goes on from there.

    With --runs the runs are your own: a table with a header and one run a line, columns n_layers,
    d_emb, NDCG@10 and users (the number of test users); if you have them, tokens, seed and
    "validation NDCG@10", by which the best size is then chosen. Without the log neither entropy
    nor baselines are known.
    """
    start = time.perf_counter()
    if (log is None) == (runs is None):
        raise click.UsageError("give either a LOG or --runs FILE")
    if runs is not None and (unused := _given_but_unused()):
        raise click.UsageError(
            f"--{unused} is for a LOG; with --runs nothing is trained: leave it out"
        )

    def describe_rest() -> str:
        count = len(list(out.glob("runs/*.json")))
        return f"{out / 'runs'} has {count} records. The same command goes on from there."

    from perflaw.report import run_report, write_report
    from perflaw.report.sentences import describe_overrun

    with interruptible(describe_rest):
        if log is None:
            report = _report_on_file(runs, out, options["metric"])
        else:
            choices = {name: options.pop(name) for name in CHOICES}
            click.echo(f"reading {log}", err=True)
            data = load_log(log, options)
            echo_reading(data)
            source = repeat_log_arguments()
            report = run_report(data, out, budget, workers, start=start, source=source, **choices)
        page = write_report(report, out)
    for name, line in report.headline.items():
        click.echo(f"{name + ':':<11}{line}")
    click.echo("\n".join(["", *report.says]))
    click.echo(page)
    if log is not None and (overrun := describe_overrun(time.perf_counter() - start, budget)):
        click.echo(overrun, err=True)


def _given_but_unused() -> str | None:
    """Name an option that is given and has no meaning for a report on the user's own runs."""
    for name in click.get_current_context().params:
        if is_given(name) and name not in ("log", "out", "runs", "metric"):
            return name.replace("_", "-")
    return None


def _report_on_file(path: str | None, out: Path, metric: str) -> "Report":
    """Report on a table of runs."""
    from perflaw.logs.readers.tables import read_table
    from perflaw.models.training import run_records
    from perflaw.report import report, report_on_runs

    assert path is not None  # a log or runs are given
    name = Path(path).stem
    report.refuse_other_report(out, {"hash": None, "name": name})
    own_report = report_on_runs(read_table(path, keep_lines=True), name, metric)
    run_records.check_folder(out)
    return own_report
