"""`perflaw sweep`: train a grid of configurations on a log."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from perflaw.cli.options import (
    DEVICE_OPTION,
    echo_reading,
    interruptible,
    load_log,
    log_options,
    one_line_errors,
)
from perflaw.cores import count_cores
from perflaw.errors import InputError, require

if TYPE_CHECKING:
    import pandas as pd

    from perflaw.logs.interaction_log import InteractionLog
    from perflaw.models.sweeps.runner import SweepPlan

SCHEDULER_ANSWERS_IN = 5  # seconds


@click.command()
@click.argument("grid", metavar="GRID")
@log_options(click.option("--log", required=True, help="A file or a name, as for `perflaw log`."))
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default="runs",
    show_default=True,
    help="Folder of run records.",
)
@click.option(
    "--executor",
    "executor_name",
    default="processes",
    show_default=True,
    metavar="WHERE",
    help="processes, here (this process), or a Dask scheduler's address (tcp://…).",
)
@click.option(
    "--workers",
    type=click.IntRange(1),
    help="Number of processes; default one for each core, or one for a GPU.",
)
@click.option(
    "--threads",
    type=click.IntRange(1, 1024),
    default=1,
    show_default=True,
    help="Threads of the CPU for each run.",
)
@DEVICE_OPTION
@click.option(
    "--stack",
    type=click.IntRange(1),
    help="Number of runs that train together; default 8 on a GPU, 1 on a CPU.",
)
@click.option("--dry-run", is_flag=True, help="Show the runs and what they would take; train none.")
@one_line_errors()
def command(
    grid: str,
    log: str,
    out: Path,
    executor_name: str,
    workers: int | None,
    threads: int,
    device: str,
    stack: int | None,
    dry_run: bool,
    **options: Any,
) -> None:
    """Train a grid of configurations on a log.

    GRID is a YAML file, or the name of one of the presets: tiny, laptop, survey, paper,
    paper-faithful, regularised, choose, data, quality. OUT gets a run record of each run. Runs
    that it has are not trained again: a sweep that was stopped, or killed, goes on from where
    it was.
    """
    from perflaw.models.sweeps import grids, runner

    check_executor(executor_name)  # before a log is read, as is the grid
    if workers and executor_name != "processes":
        raise InputError(
            f"--workers {workers} is for --executor processes; leave it out with {executor_name}"
        )
    grids.expand_grid(grid)
    interactions = load_log(log, options)
    echo_reading(interactions)
    if dry_run:
        plan = runner.plan_sweep(grid, interactions, out, device, stack)
        _echo_plan(plan, workers or count_cores(), interactions, out)
        return
    count_before = _count_records(out)

    def describe_rest() -> str:
        added = _count_records(out) - count_before
        return f"{out} has {added} more records. The same command goes on from there."

    with interruptible(describe_rest):
        executor = executor_at(executor_name, workers, device)
        table = runner.run(grid, interactions, out, executor, device, stack, threads)
    _echo_results(table, out)


def _count_records(folder: Path) -> int:
    return len(list(folder.glob("*.json")))


def check_executor(where: str) -> None:
    """Raise InputError for a text that is neither the name of an executor nor an address."""
    if where not in ("processes", "here") and "://" not in where:
        raise InputError(
            f"there is no executor {where!r}; use processes, here, "
            "or a Dask scheduler's address such as tcp://10.0.0.1:8786"
        )


def executor_at(where: str, workers: int | None, device: str) -> Any:
    """Make the executor that `perflaw sweep --executor` names; None is this process.

    Raises
    ------
    InputError
        If there is no Dask scheduler at the address.
    """
    from perflaw.models.sweeps import executors

    if "://" in where:
        distributed = require("distributed")
        try:
            return distributed.Client(where, timeout=SCHEDULER_ANSWERS_IN).get_executor(pure=False)
        except (OSError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise InputError(f"there is no Dask scheduler at {where} ({reason})") from None
    if where == "here":
        return None
    if device != "cpu" and not workers:
        workers = 1
    return executors.process_pool(workers)


def _echo_results(table: pd.DataFrame, out: Path) -> None:
    """Print the results of a sweep; raise ClickException if runs failed."""
    from perflaw.report.findings import METRICS
    from perflaw.report.measurements import by_rule_of_record

    failed = table[table["status"].str.startswith(("failed", "out of memory"))]
    diverged = table["status"].str.startswith("diverged").sum()
    click.echo(f"{out}: {len(table)} runs" + (f", {diverged} of them diverged" if diverged else ""))
    if "NDCG@10" in table:
        ranked = by_rule_of_record(table, METRICS)
        best = ranked.iloc[int(ranked["validation NDCG@10"].argmax())]
        shape = f"{best['backbone']}, N {best['n_layers']}, d {best['d_emb']}, seed {best['seed']}"
        metrics = ", ".join(f"{name} {best[name]:.4f}" for name in reversed(METRICS))
        removed = "nothing" if best["repeats"] else "the user's history"
        click.echo(
            f"best by validation: {best['key']} ({shape}); test {metrics}, ranked with {removed} "
            "removed"
        )
    if len(failed):
        first = failed.iloc[0]
        raise click.ClickException(
            f"{len(failed)} runs failed and will be tried again next time; "
            f"the first: {first['key']}, {first['status']}"
        )


def _echo_plan(plan: SweepPlan, workers: int, log: InteractionLog, out: Path) -> None:
    """Print the runs of a grid, with what they would take."""
    from tqdm import tqdm

    frame = plan.frame
    varying, constant = _split_settings(frame)
    click.echo(
        f"{log.name}: {log.n_users:,} users, {log.n_items:,} items, {log.tokens:,} interactions;"
        f" into {out}\nall runs: {constant or 'the defaults'}\n"
    )
    table = frame[["key", *varying]].assign(
        seconds=frame["predicted_seconds"].round(1), status=frame["done"]
    )
    click.echo(table.to_string(index=False, max_rows=100, na_rep="-").replace(" None", "    -"))
    rest = frame.loc[frame["done"] == "", "predicted_seconds"]
    one_worker = rest.sum()
    all_workers = max(one_worker / workers, rest.max() if len(rest) else 0)
    source = "of a server's core, as no run is done yet; it may be far off here"
    if plan.records:
        source = f"learnt from {len(plan.records)} runs done"
    unit = "h:min:s" if one_worker >= 3600 else "min:s"
    click.echo(
        f"\n{len(frame)} runs, {len(frame) - len(rest)} of them done; the rest would take about "
        f"{tqdm.format_interval(one_worker)} ({unit}) of one worker,"
    )
    click.echo(f"{tqdm.format_interval(all_workers)} of {workers} ({source})")


def _split_settings(frame: pd.DataFrame) -> tuple[list[str], str]:
    """Return the settings in which runs differ, and, as text, those that all share."""
    from perflaw.models.sweeps import grids

    settings = [name for name in frame if name in grids.RUN_DEFAULTS or name == "tokens"]
    varying = [name for name in settings if len(frame[name].unique()) > 1]
    constant = []
    for name in settings:
        if name in varying or name == "tokens":
            continue
        value = frame[name].iloc[0]
        is_missing = value is None or value != value
        if not is_missing and value != grids.RUN_DEFAULTS[name]:
            constant.append(f"{name} {value}")
    return varying, ", ".join(constant)
