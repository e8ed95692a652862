"""The ``perflaw`` command: parsing only; the work is done by the other modules."""

import functools
import re
from contextlib import contextmanager
from pathlib import Path

import click

from perflaw import __version__
from perflaw.errors import InputError


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def main():
    """The Performance Law of sequential recommenders, measured again and put to use."""


@main.command()
@click.option(
    "--params",
    "file",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Parameters of the notebooks: a YAML file of names and values.",
)
@click.option(
    "-p",
    "pairs",
    metavar="NAME VALUE",
    nargs=2,
    multiple=True,
    help="One parameter; wins over the file.",
)
@click.option("--name", help="Name of the book; by default made from the parameters.")
def book(file, pairs, name):
    """Execute the notebooks and render the book.

    Only what changed is done again. With parameters of your own the book is
    built beside the default one, in book/_build/NAME.
    """
    import signal

    from perflaw.publish.builder import BuildError, build_book, name_for, read_parameters

    signal.signal(
        signal.SIGTERM, signal.default_int_handler
    )  # end as Ctrl-C does, kernels included
    try:
        index = build_book(Path.cwd(), read_parameters(file, pairs), name or name_for(file, pairs))
    except (InputError, BuildError) as error:
        raise click.ClickException(str(error)) from None
    except KeyboardInterrupt:
        click.echo("\nInterrupted; the last complete book is untouched.", err=True)
        raise SystemExit(130) from None
    click.echo(index)


@main.command()
@click.argument("folder", metavar="FOLDER")
def study(folder):
    """Copy the notebooks, the prose and the data into a new FOLDER.

    There `perflaw book` builds the book, from notebooks and data that are yours to change. A checkout of the repository needs no copy.
    """
    from perflaw.publish import builder

    with one_line_errors():
        made = builder.copy(folder)
    click.echo(f"Next: cd {made} && perflaw book")


@main.command()
@click.argument("points", metavar="POINTS.csv")
@click.option("--law", "family", default="performance", show_default=True, help="The law's family.")
@click.option(
    "-o",
    "options",
    metavar="NAME VALUE",
    nargs=2,
    multiple=True,
    help="An option of the law, e.g. -o k 4.",
)
@click.option("--metric", default="value", show_default=True, help="The column to fit.")
@click.option(
    "--where", metavar="QUERY", help="Rows to use, e.g. \"dataset == 'Beauty' and epoch > 3\"."
)
@click.option(
    "--loss",
    type=click.Choice(["squares", "huber", "consensus"]),
    default="squares",
    show_default=True,
)
@click.option("--level", default=0.95, show_default=True, help="Of the intervals.")
@click.option("--out", type=click.Path(dir_okay=False), help="Save the fitted law as JSON.")
def fit(points, family, options, metric, where, loss, level, out):
    """Fit a law to runs: columns n_layers, d_emb and a metric, one row a run."""
    from perflaw.laws import checks, families, fitting, serialization, turning
    from perflaw import io

    with one_line_errors():
        law = families.get_law(family, **{name: parsed(value) for name, value in options})
        table = io.read_table(points)
        if where is not None:
            table = io.select_rows(table, where)
        if metric not in table:
            raise InputError(
                f"{points} has no column '{metric}' to fit; it has {', '.join(table.columns)}"
            )
        _check_fit(points, table, metric, law, out)
        fitted = fitting.fit(law, table, table[metric], loss)
        intervals = {name: fitted.profile(name, level) for name in law.parameters}
        turns = {
            axis: turning.turning_point(fitted, axis, level)
            for axis in law.axes
            if axis != "max_seq_len"
        }
        if out:
            serialization.save_fit(fitted, out, metric)
    click.echo(f"{law.name}, fitted to {metric} at {len(fitted.y)} points: {fitted.status}")
    click.echo(f"R2 {fitted.r2:.4f}   AICc {fitted.aicc:.1f}   residual sd {fitted.sigma:.3g}")
    for row, point in fitted.outliers.iterrows():
        told = ", ".join(f"{axis} {point[axis]:g}" for axis in law.axes)
        click.echo(
            f"left out: row {row + 1} ({told}), {metric} {point['value']:.4g}, {point['sigmas']:+.1f} sd from the others"
        )
    click.echo(f"\n{'parameter':<10} {'estimate':>10}   {100 * level:g}% profile interval")
    for name, (low, high) in intervals.items():
        click.echo(f"{name:<10} {fitted.parameters[name]:>10.4g}   {low:.4g} to {high:.4g}")
    for axis, turn in turns.items():
        if turn.kind == "none":
            click.echo(
                f"{axis:<10} no turning point up to {turning.REACH:g} times the largest measured value"
            )
        else:
            click.echo(
                f"{axis:<10} {turn.kind} at {turn.estimate:.4g}, {100 * level:g}% interval {turn.low:.4g} to {turn.high:.4g}"
            )


def _check_fit(points, table, metric, law, out):
    """Raise InputError for rows that are not of one surface or have no value, and a file that must not be overwritten."""
    from perflaw.laws import checks, fitting, serialization

    for name in checks.IDENTITY_COLUMNS:
        if (
            name in table
            and name not in (*law.axes, "dropout", "learning_rate")
            and table[name].nunique(dropna=False) > 1
        ):
            values = ", ".join(
                "none" if value != value else str(value) for value in table[name].unique()[:3]
            )
            raise InputError(
                f"{points}: rows differ in {name} ({values}); keep those of one value with --where"
            )
    if blank := int(table[metric].isna().sum()):
        raise InputError(
            f'{points}: {blank} of {len(table)} rows have no {metric}; leave them out with --where "`{metric}`.notna()"'
        )
    if out and Path(out).exists():
        try:
            serialization.load_fit(out)
        except InputError:
            raise InputError(
                f"{out} is there, and is no fitted law; name another file with --out, or remove it"
            ) from None


@main.command()
@click.argument("law", metavar="LAW.json")
@click.argument("where", metavar="POINTS.csv | AXIS=VALUE[,VALUE] ...", nargs=-1, required=True)
@click.option("--level", default=0.9, show_default=True, help="Of the intervals, for one more run.")
def predict(law, where, level):
    """Predict with a saved law, e.g. n_layers=24,48 d_emb=128: every combination."""
    from perflaw.laws import checks, fitting, serialization
    from perflaw import io

    with one_line_errors():
        fitted = serialization.load_fit(law)
        pairs = "=" in where[0] and not Path(where[0]).is_file()
        points = combinations(where, fitted.law.axes) if pairs else io.read_table(where[0])
        if not pairs and len(where) > 1:
            raise InputError(
                f"give either a file of points or AXIS=VALUE pairs, not {where[0]} and {where[1]}"
            )
        table = fitted.interval(points, level)
    shown = points[list(fitted.law.axes)].reset_index(drop=True).join(table.round(5))
    click.echo(shown.replace({"beyond": {True: "yes", False: ""}}).to_string(index=False))
    if table["beyond"].any():
        click.echo(
            "beyond: outside the measured range of an axis, where the interval holds only if the law does"
        )
    if impossible := int((table["prediction"] < 0).sum()):
        click.echo(
            f"{impossible} of these are below 0, where no hit rate can be: the law does not hold there"
        )
    if fitted.status != "converged":
        click.echo(f"the fit of this law: {fitted.status}")


def reads_a_log(command, argument=click.argument("log", metavar="LOG")):
    """Add the argument LOG and the options that say how to read it."""
    options = [
        argument,
        click.option(
            "--user",
            metavar="COLUMN",
            help="The column of users, by name; by number where there is no header.",
        ),
        click.option("--item", metavar="COLUMN", help="The column of items."),
        click.option("--time", metavar="COLUMN", help="The column of times."),
        click.option(
            "--layout",
            type=click.Choice(["parquet", "table", "sequences"]),
            help="Sequences: `user item item …` a line.",
        ),
        click.option("--delimiter", help=r"Of a table, e.g. ',' or '\t' or '::'."),
        click.option(
            "--header/--no-header", default=None, help="Is the first line of a table its header?"
        ),
        click.option(
            "--unit",
            type=click.Choice(["s", "ms", "us", "ns", "order"]),
            help="Of times that are numbers.",
        ),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def load_log(log, options):
    """The log that the arguments of `reads_a_log` name."""
    from perflaw.logs import datasets

    if options["delimiter"]:
        options["delimiter"] = options["delimiter"].replace("\\t", "\t")
    return datasets.load_log(log, **options)


@main.command("log")
@reads_a_log
def describe(log, **options):
    """Say what a log is like, and what would be done with it.

    LOG is a file (Parquet, CSV, TSV, RecBole's .inter, MovieLens' u.data and ratings.dat,
    `user item` or `user item item …` a line; packed with gzip or zstd if need be), the name of
    one in the folder PERFLAW_DATA, or one of synthetic, ml-100k, ml-1m. What is not said about
    its columns is guessed, and the guess is told.
    """
    from perflaw.logs import interaction_log
    from perflaw.models import ranking

    with one_line_errors():
        log = load_log(log, options)
        told = log.summary()
        split, no_split = if_possible(interaction_log.leave_one_out, log)
        by_time, no_time = if_possible(interaction_log.global_time, log)
        parts = split and split.summary()
    say = lambda label, text: click.echo(f"{label:<10}{text}")  # noqa: E731
    click.echo(
        f"{log.name}: {told['users']:,} users, {told['items']:,} items, {told['tokens']:,} interactions"
    )
    for i, note in enumerate(log.notes):
        say("read as" if i == 0 else "", note)
    lengths = " · ".join(f"{told[f'length_q{q}']:,.0f}" for q in ("05", "25", "50", "75", "95"))
    say(
        "length",
        f"mean {told['length_mean']:,.1f}; {told['length_min']:,} to {told['length_max']:,}; 5, 25, 50, 75, 95 % at {lengths}",
    )
    say(
        "repeats",
        f"{told['repeats']:.1%} of interactions are with an item the user had before"
        if told["repeats"]
        else "none",
    )
    say("density", f"{told['density']:.3%} of pairs of user and item")
    if log.timestamps is None:
        say("time", "no clock; the order of each history is all there is")
    else:
        say("time", f"{told['first']} to {told['last']}, {told['span_days']:,.1f} days")
        say(
            "ties",
            f"{told['ties']:.1%} of interactions share their time with another of the user, and keep the file's order",
        )
        say("", f"{told['duplicates']:,} rows are exact duplicates")
        if split:
            say("", f"{parts['tied']:.1%} of test targets were chosen by the file's order")
    say("hash", log.hash)
    click.echo("\nwhat would be done")
    if split:
        say(
            "split",
            f"leave one out: train on {parts['train_tokens']:,} interactions of {parts['train_users']:,} users,",
        )
        say(
            "",
            f"validate on {parts['validation_targets']:,} and test on {parts['test_targets']:,} users with three interactions or more",
        )
    else:
        say("split", f"leave one out: not possible; {no_split}")
    say(
        "",
        f"{by_time.rule}: {by_time.summary()['test_targets']:,} users can be tested"
        if by_time
        else f"global time: not possible; {no_time}",
    )
    if not split:
        return
    ranks = ranking.rank_by_item_scores(ranking.item_popularity(split), split, split.test)
    removed = (
        "without those of the user's training part, as nothing repeats"
        if ranking.removes_seen(split)
        else "none removed, as items repeat"
    )
    say("ranking", f"of all {split.log.n_items:,} items, {removed}")
    say(
        "floor",
        f"most popular: HR@10 {ranking.hit_rate(ranks):.4f}, NDCG@10 {ranking.ndcg(ranks):.4f}",
    )


def if_possible(function, log):
    """What it returns and why it does not: one of them is None."""
    try:
        return function(log), None
    except InputError as error:
        return None, error


@main.command("entropy")
@reads_a_log
@click.option(
    "--m",
    default=2,
    show_default=True,
    type=click.IntRange(max=1000),
    help="Length of the templates of approximate entropy.",
)
@click.option(
    "--r",
    default=0.0,
    show_default=True,
    help="Tolerance, in item numbers; 0: items match if they are the same.",
)
@click.option(
    "--last",
    type=int,
    help="Of measures by user: look at the last so many interactions of each; default all.",
)
@click.option(
    "--pooled",
    is_flag=True,
    help="Only measures of all histories together, of which --m is the only choice.",
)
def measure(log, m, r, last, pooled, **options):
    """Measure the entropy of a log, in nats: every measure with what it means.

    LOG is what it is for `perflaw log`.
    """
    from perflaw.logs import measures
    from perflaw.logs.entropy import approximate

    with one_line_errors():
        log = load_log(log, options)
        wanted = measures.available_measures(m, r, last)
        if pooled:
            if r or last:
                raise InputError(
                    f"--{'r' if r else 'last'} is for measures by user, which --pooled leaves out; leave out one of them"
                )
            wanted = [measure for measure in wanted if measure.pooled]
        too_short = measures.count_too_short(log, m, last)
        told = measures.measure_log(log, wanted)
        undefined = {name: value for name, value in told.items() if isinstance(value, InputError)}
        values = {name: value for name, value in told.items() if name not in undefined}
        if not values:
            raise next(iter(undefined.values()))
        once = approximate.share_seen_once(log, 1) if "conditional" in values else None
    click.echo(
        f"{log.name}: {log.n_users:,} users, {log.n_items:,} items, {log.tokens:,} interactions\n"
    )
    for measure in wanted:
        value = f"{values[measure.name]:>10.4f}" if measure.name in values else f"{'undefined':>10}"
        click.echo(f"{measure.name:<15}{value}   {undefined.get(measure.name, measure.meaning)}")
    if too_short and not pooled:
        click.echo(
            f"\n{too_short:,} users have too few interactions for m = {m} and are left out of approximate entropy"
        )
    if once is not None:
        click.echo(
            f"\n{once:.0%} of transitions are seen once"
            + (": too many for the correction, take it as a lower bound" if once > 0.5 else "")
        )
    for name, whose in (("conditional", "this study"), ("apen absolute", "the paper")):
        if name in values:
            told = (
                f"= {log.tokens / values[name]:,.0f}"
                if values[name]
                else "is undefined, as that is 0"
            )
            click.echo(f"D' = D / {name} {told} ({whose})")


def list_settings(context, option, wanted):
    """Print what a configuration has, with the defaults."""
    if wanted:
        from perflaw.models.training import trainer

        for name, field in trainer.Config.__dataclass_fields__.items():
            click.echo(f"{name:<16}{field.default}")
        context.exit()


@main.command()
@reads_a_log
@click.option(
    "-o",
    "values",
    metavar="NAME VALUE",
    nargs=2,
    multiple=True,
    help="A setting, e.g. -o backbone llama -o n_layers 4.",
)
@click.option(
    "--out",
    "folder",
    type=click.Path(file_okay=False),
    default="runs",
    show_default=True,
    help="Folder of run records.",
)
@click.option("--device", default="cpu", show_default=True, help="cpu, cuda or cuda:1.")
@click.option("--threads", type=click.IntRange(1, 1024), help="Of the CPU; default all.")
@click.option(
    "--settings",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=list_settings,
    help="List the settings, and stop.",
)
def train(log, values, folder, device, threads, **options):
    """Train one configuration on a log, and keep a run record of it.

    LOG is what it is for `perflaw log`; it is split by leave-one-out. A configuration that has
    a record in the folder is not trained again.
    """
    import torch

    from perflaw.models.training import trainer

    if threads:
        torch.set_num_threads(threads)
    with one_line_errors():
        config = trainer.make_config(**{name: setting(value) for name, value in values})
        record = trainer.train(config, load_log(log, options), folder, device)
    click.echo(f"{folder}/{record['key']}.json: {record['status']}")
    if "metrics" not in record:
        raise SystemExit(1)
    click.echo(
        f"{record['epochs']} epochs, {record['tokens_per_second']:,.0f} tokens/s, {sum(record['parameters'].values()):,} parameters"
    )
    click.echo(f"test, all {record['items']:,} items ranked:")
    rules = {
        "test": "none removed" if record["repeats"] else "training items removed",
        "test, history removed": "the validation item too",
    }
    shown = lambda error: "unknown, of one user" if error is None else f"{error:.4f}"  # noqa: E731
    for part in record["ranks"]:
        told = record["metrics"][part]
        click.echo(
            f"  {rules[part]}: "
            + ", ".join(
                f"{name} {told[name]:.4f} (se {shown(told[f'{name} se'])})"
                for name in ("HR@10", "NDCG@10")
            )
        )


@main.command()
@click.argument("grid", metavar="GRID")
@functools.partial(
    reads_a_log,
    argument=click.option(
        "--log", required=True, help="What it is for `perflaw log`: a file or a name."
    ),
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default="runs",
    show_default=True,
    help="Folder of run records.",
)
@click.option(
    "--executor",
    default="processes",
    show_default=True,
    metavar="WHERE",
    help="processes, here (this process), or a Dask scheduler's address (tcp://…).",
)
@click.option(
    "--workers",
    type=click.IntRange(1),
    help="Processes; default one for each core, or one for a GPU.",
)
@click.option(
    "--threads",
    type=click.IntRange(1, 1024),
    default=1,
    show_default=True,
    help="Of the CPU, for each run.",
)
@click.option("--device", default="cpu", show_default=True, help="cpu, cuda or cuda:1.")
@click.option(
    "--stack",
    type=click.IntRange(1),
    help="Runs that train together; default 8 on a GPU, 1 on a CPU.",
)
@click.option("--dry-run", is_flag=True, help="Say what would be done, and what it would take.")
def sweep(grid, log, out, executor, workers, threads, device, stack, dry_run, **options):
    """Train a grid of configurations on a log, into a folder of run records.

    GRID is a YAML file, or the name of one of the presets: tiny, laptop, survey, paper,
    paper-faithful, regularised, choose, data, quality. What the folder has is not trained again: a sweep that was
    stopped, or killed, goes on where it was.
    """
    import signal

    from perflaw.models.sweeps import runner

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # end as Ctrl-C does
    with one_line_errors():
        log = load_log(log, options)
        if dry_run:
            planned = runner.plan_sweep(grid, log, out, device, stack)
        else:
            before = len(list(out.glob("*.json")))
            try:
                table = runner.run(
                    grid,
                    log,
                    out,
                    executor_at(executor, workers, threads, device),
                    device,
                    stack,
                    threads,
                )
            except KeyboardInterrupt:
                click.echo(
                    f"\nInterrupted; {out} has {len(list(out.glob('*.json'))) - before} more records. The same command goes on from there.",
                    err=True,
                )
                raise SystemExit(130) from None
    if dry_run:
        tell_plan(planned, workers, log, out)
        return
    failed = table[table["status"].str.startswith(("failed", "out of memory"))]
    diverged = table["status"].str.startswith("diverged").sum()
    click.echo(f"{out}: {len(table)} runs" + (f", {diverged} of them diverged" if diverged else ""))
    if "NDCG@10" in table:
        best = table.loc[table["validation NDCG@10"].idxmax()]
        shape = f"{best['backbone']}, N {best['n_layers']}, d {best['d_emb']}, seed {best['seed']}"
        click.echo(
            f"best by validation: {best['key']} ({shape}); test HR@10 {best['HR@10']:.4f}, NDCG@10 {best['NDCG@10']:.4f}"
        )
    if len(failed):
        raise click.ClickException(
            f"{len(failed)} runs failed and will be tried again next time; the first: {failed['key'].iloc[0]}, {failed['status'].iloc[0]}"
        )


def executor_at(where, workers, threads, device):
    """What `perflaw sweep --executor` names."""
    import torch

    from perflaw.models.sweeps import runner

    if "://" in where:
        try:
            from distributed import Client
        except ImportError:
            raise InputError(
                "a Dask cluster needs the package distributed: pip install distributed"
            ) from None
        try:
            return Client(where, timeout=10).get_executor(pure=False)
        except (OSError, ValueError) as error:
            raise InputError(
                f"there is no Dask scheduler at {where} ({str(error).splitlines()[0]})"
            ) from None
    if where == "here":
        torch.set_num_threads(threads)
        return None
    if where != "processes":
        raise InputError(
            f"there is no executor {where!r}; use processes, here, or a Dask scheduler's address such as tcp://10.0.0.1:8786"
        )
    if device != "cpu" and not workers:
        workers = 1
    return runner.process_pool(workers, threads)


def tell_plan(planned, workers, log, out):
    """What `perflaw sweep --dry-run` prints."""
    import os

    from tqdm import tqdm

    from perflaw.models.sweeps import runner

    frame = planned.frame
    settings = [name for name in frame if name in runner.RUN_DEFAULTS or name == "tokens"]
    varies = [name for name in settings if frame[name].nunique(dropna=False) > 1]
    held = {
        name: frame[name].iloc[0] for name in settings if name not in varies and name != "tokens"
    }
    held = ", ".join(
        f"{name} {value}"
        for name, value in held.items()
        if value != runner.RUN_DEFAULTS[name] and value == value and value is not None
    )
    click.echo(
        f"{log.name}: {log.n_users:,} users, {log.n_items:,} items, {log.tokens:,} interactions; into {out}\nall runs: {held or 'the defaults'}\n"
    )
    shown = (
        frame[["key", *varies]]
        .assign(seconds=frame["predicted_seconds"].round(1))
        .assign(status=frame["done"])
    )
    click.echo(shown.to_string(index=False, max_rows=100, na_rep="-").replace(" None", "    -"))
    left = frame[frame["done"] == ""]
    seconds, workers = left["predicted_seconds"].sum(), workers or os.cpu_count() or 1
    alone = max(seconds / workers, left["predicted_seconds"].max() if len(left) else 0)
    learnt = (
        f"learnt from {len(planned.records)} runs done"
        if planned.records
        else "of a server's core, as no run is done yet; it may be far off here"
    )
    click.echo(
        f"\n{len(frame)} runs, {len(frame) - len(left)} of them done; the rest would take about {tqdm.format_interval(seconds)} ({'h:' if seconds >= 3600 else ''}min:s) of one worker,"
    )
    click.echo(f"{tqdm.format_interval(alone)} of {workers} ({learnt})")


@main.command()
@reads_a_log
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
    "--workers", type=click.IntRange(1), help="Processes that train; default one for each core."
)
def report(log, out, budget, workers, **options):
    """Say what larger models and more data would bring on a log: a pilot sweep, and a page about it.

    LOG is what it is for `perflaw log`. OUT gets report.html, report.json, report.ipynb, and the runs of the pilot, in runs/;
    called again it goes on from there.
    """
    import signal
    import time

    start = time.perf_counter()
    from perflaw.report import render
    from perflaw.report.report import run_report

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # end as Ctrl-C does
    with one_line_errors():
        try:
            told = run_report(load_log(log, options), out, budget, workers, start=start)
            path = render.write_report(told, out)
        except KeyboardInterrupt:
            click.echo(
                f"\nInterrupted; {out / 'runs'} has {len(list(out.glob('runs/*.json')))} records. The same command goes on from there.",
                err=True,
            )
            raise SystemExit(130) from None
    click.echo("\n".join(told["judged"]["says"]))
    click.echo(path)


@main.command()
@click.argument("runs", metavar="RUNS", type=click.Path(exists=True, file_okay=False))
@click.argument("name", metavar="NAME")
@click.option("--where", metavar="FOLDER", help="Default data/sweeps.")
def consolidate(runs, name, where):
    """Write a folder of run records as one table, NAME.csv, one row a run.

    Without --where it goes to data/sweeps of the repository, where `perflaw verify` and the book look.
    """
    from perflaw.models.sweeps import runner

    with one_line_errors():
        click.echo(runner.consolidate(runs, name, where or runner.SWEEPS_FOLDER))


@main.command()
@click.argument("name", metavar="NAME")
@click.option(
    "--runs",
    default=3,
    show_default=True,
    type=click.IntRange(1),
    help="How many to repeat, drawn at random.",
)
@functools.partial(
    reads_a_log,
    argument=click.option(
        "--log", help="The log, if it is not found by the name in the table: a file or a name."
    ),
)
@click.option(
    "--tolerance",
    default=0.1,
    show_default=True,
    type=click.FloatRange(0),
    help="Of NDCG@10, as a share.",
)
@click.option(
    "--seed",
    default=0,
    show_default=True,
    type=click.IntRange(0, 2**32 - 1),
    help="Of the drawing.",
)
def verify(name, runs, log, tolerance, seed, **options):
    """Repeat runs of a table (a name in data/sweeps, or a CSV file), and compare."""
    from perflaw.models.sweeps import runner

    with one_line_errors():
        if not log and (
            given := [option for option, value in options.items() if value is not None]
        ):
            raise InputError(f"--{given[0]} says how to read a log; name it with --log")
        found = runner.verify(name, runs, load_log(log, options) if log else None, tolerance, seed)
    click.echo(
        found.replace(
            {"within": {True: "yes", False: "NO"}, "equal": {True: "yes", False: "no"}}
        ).to_string(index=False)
    )
    if not found["within"].all():
        raise click.ClickException(
            f"{(~found['within']).sum()} of {len(found)} runs came out differently by more than {tolerance:.0%}"
        )
    click.echo(
        f"{len(found)} runs within {tolerance:.0%} of what they were, {found['equal'].sum()} of them equal to six digits"
    )


def setting(text):
    """A value of a configuration: a whole number stays one."""
    try:
        return int(text)
    except ValueError:
        return None if text in ("None", "none") else parsed(text)


def parsed(text):
    """A value given on the command line: a number, true or false, a list, or text."""
    import yaml

    try:
        return float(text)
    except ValueError:
        pass
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text


def combinations(pairs, axes):
    """Points at every combination of AXIS=VALUE,VALUE pairs, as a DataFrame."""
    import pandas as pd

    values = {}
    for pair in pairs:
        name, _, text = pair.partition("=")
        if name in values:
            raise InputError(f"{name} is given twice; write {name}={values[name]},{text}")
        values[name] = text
    if unknown := [name for name in values if name not in axes]:
        raise InputError(
            f"the law does not read {' and '.join(unknown)}; it reads {', '.join(axes)}"
        )
    levels = pd.MultiIndex.from_product(
        [text.split(",") for text in values.values()], names=list(values)
    )
    return levels.to_frame(index=False)


@contextmanager
def one_line_errors():
    """Turn the user's mistakes into one line and a non-zero exit, and warnings into one line each."""
    import warnings

    warnings.showwarning = lambda message, *_: click.echo(message, err=True)
    try:
        yield
    except InputError as error:
        raise click.ClickException(as_options(str(error))) from None


def as_options(told):
    """An error as the command line has it: Python's `item=` is `--item` here. What the user typed stays as it is."""
    typed = [text for text in map(str, click.get_current_context().params.values()) if "=" in text]
    parts = (
        re.split("(" + "|".join(map(re.escape, sorted(typed, key=len, reverse=True))) + ")", told)
        if typed
        else [told]
    )
    option = lambda found: f"--{found[1]}{found[2] if found[2] in ',;' else ' ' + found[2]}"  # noqa: E731
    said = lambda text: re.sub(
        r"\b(user|item|time|layout|delimiter|unit)= ?(.?)",
        option,
        text.replace("header=True", "--header").replace("header=False", "--no-header"),
    )
    return "".join(part if part in typed else said(part) for part in parts).rstrip()
