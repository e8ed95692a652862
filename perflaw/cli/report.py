"""`perflaw report`: what larger models and more data would bring on a log."""

import time
from pathlib import Path
from typing import Any

import click

from perflaw.cli.options import interruptible, load_log, log_options, one_line_errors


@click.command()
@log_options()
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="Folder of the report; made if need be.",
)
@click.option(
    "--budget",
    default=10.0,
    show_default=True,
    type=click.FloatRange(0, min_open=True),
    help="Minutes that all of it may take.",
)
@click.option(
    "--workers",
    type=click.IntRange(1),
    help="Number of processes that train; default one for each core.",
)
@one_line_errors()
def command(log: str, out: Path, budget: float, workers: int | None, **options: Any) -> None:
    """Predict what a larger model or more data brings.

    A pilot sweep trains small models on LOG, which is what it is for `perflaw log`. OUT gets
    report.html, report.json, report.ipynb, and the runs of the pilot, in runs/; called again, it
    goes on from there.
    """
    start = time.perf_counter()
    from perflaw.report import run_report, write_report

    def describe_rest() -> str:
        count = len(list(out.glob("runs/*.json")))
        return f"{out / 'runs'} has {count} records. The same command goes on from there."

    with interruptible(describe_rest):
        result = run_report(load_log(log, options), out, budget, workers, start=start)
        page = write_report(result, out)
    click.echo("\n".join(result.findings.says))
    click.echo(page)
