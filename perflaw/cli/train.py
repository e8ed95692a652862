"""`perflaw train`: train one configuration on a log."""

from shlex import quote
from typing import Any

import click

from perflaw.cli.options import (
    DEVICE_OPTION,
    echo_reading,
    interruptible,
    load_log,
    log_options,
    name_value_option,
    one_line_errors,
    parse_setting,
    repeat_log_arguments,
)


@one_line_errors()
def list_settings(context: click.Context, option: click.Parameter, is_wanted: bool) -> None:
    """Print the settings of a configuration with their defaults, and stop."""
    if not is_wanted:
        return
    from perflaw.models import configuration

    for name, field in configuration.Config.__dataclass_fields__.items():
        click.echo(f"{name:<16}{field.default}")
    context.exit()


@click.command()
@log_options()
@name_value_option("-o", "values", help="A setting, e.g. -o backbone llama -o n_layers 4.")
@click.option(
    "--out",
    "folder",
    type=click.Path(file_okay=False),
    default="runs",
    show_default=True,
    help="Folder of run records.",
)
@click.option(
    "--save",
    type=click.Path(file_okay=False),
    metavar="DIRECTORY",
    help="Folder that gets the weights, for `perflaw recommend`.",
)
@DEVICE_OPTION
@click.option("--threads", type=click.IntRange(1, 1024), help="Threads of the CPU; default all.")
@click.option(
    "--settings",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=list_settings,
    help="List the settings, and stop.",
)
@one_line_errors()
def command(
    log: str,
    values: tuple[tuple[str, str], ...],
    folder: str,
    save: str | None,
    device: str,
    threads: int | None,
    **options: Any,
) -> None:
    """Train one configuration on a log.

    LOG is what it is for `perflaw log`; it is split by leave-one-out. The folder gets a
    run record; a configuration that has one there is not trained again, unless --save asks for
    weights that are not there yet.
    """
    import torch

    from perflaw.models import configuration
    from perflaw.models.training import trainer

    if threads:
        torch.set_num_threads(threads)
    config = configuration.make_config(
        **{
            name: text if text in configuration.setting_names(name) else parse_setting(text)
            for name, text in values
        }
    )
    trained: list[dict] = []

    advice = (
        f"the same command goes on from the last checkpoint, if {folder} has one, and otherwise "
        "from the start."
    )
    with interruptible(lambda: advice):
        data = load_log(log, options)
        echo_reading(data)
        record = trainer.train(
            config, data, folder, device, model_folder=save, on_run=trained.append
        )
    note = "" if trained else " (it was there already; nothing was trained)"
    click.echo(f"{folder}/{record['key']}.json: {record['status']}{note}")
    if "metrics" not in record:
        raise SystemExit(1)
    _echo_metrics(record)
    if save:
        source = repeat_log_arguments()
        click.echo(f"weights in {save}; to use them: perflaw recommend {quote(save)} {source}")


def _echo_metrics(record: dict[str, Any]) -> None:
    """Print what a run took, and its metrics on the test part."""
    speed = f"{record['tokens_per_second']:,.0f} tokens/s"
    size = f"{sum(record['parameters'].values()):,} parameters"
    click.echo(f"{record['epochs']} epochs, {speed}, {size}")
    click.echo(f"test, all {record['items']:,} items ranked:")
    rules = {
        "test": "the user's training part removed (the older rule)",
        "test, history removed": "all of the user's history removed (the rule of record)",
    }
    if record["repeats"]:
        rules["test"] = "none removed, as items repeat"
    for part in record["ranks"]:
        metrics = record["metrics"][part]
        values = ", ".join(_format_metric(metrics, name) for name in ("HR@10", "NDCG@10"))
        click.echo(f"  {rules[part]}: {values}")


def _format_metric(metrics: dict[str, float | None], name: str) -> str:
    """Write a metric with its standard error, which is unknown of one user."""
    error = metrics[f"{name} se"]
    error_text = "unknown, of one user" if error is None else f"{error:.4f}"
    return f"{name} {metrics[name]:.4f} (se {error_text})"
