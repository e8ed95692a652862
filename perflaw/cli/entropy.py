"""`perflaw entropy`: measure the entropy of a log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from perflaw.cli.options import (
    JSON_OPTION,
    QUIET_OPTION,
    describe_reading,
    echo_json,
    echo_reading,
    load_log,
    log_options,
    one_line_errors,
)
from perflaw.errors import InputError

if TYPE_CHECKING:
    from perflaw.logs.interaction_log import InteractionLog


@click.command()
@log_options()
@click.option(
    "--m",
    default=2,
    show_default=True,
    type=click.IntRange(max=1000),
    help="Template length of approximate entropy.",
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
    help="Use the last so many interactions of each user in measures by user; default all.",
)
@click.option(
    "--pooled",
    is_flag=True,
    help="Only measures of all histories together; of the choices above only --m applies.",
)
@JSON_OPTION
@QUIET_OPTION
@one_line_errors()
def command(
    log: str,
    m: int,
    r: float,
    last: int | None,
    pooled: bool,
    as_json: bool,
    quiet: bool,
    **options: Any,
) -> None:
    """Measure the entropy of a log, in nats.

    Every measure is printed with what it means; --quiet leaves the meanings out.
    LOG is what it is for `perflaw log`.

    \b
    --json prints one object with the keys
      log               the name
      summary           users, items, interactions
      settings          m, r, last
      measures          name → value in nats, null where it is undefined
      undefined         name → why
      effective_data    measure → interactions / measure
      guesses, notes    as of `perflaw log --json`
    """  # noqa: D301 (click reads the escape)
    from perflaw.logs import measures

    interactions = load_log(log, options)
    if not quiet and not as_json:
        echo_reading(interactions)
    wanted = measures.available_measures(m, r, last)
    if pooled:
        if r or last:
            option = "r" if r else "last"
            raise InputError(
                f"--{option} is for measures by user, which --pooled leaves out; "
                "leave out one of them"
            )
        wanted = [measure for measure in wanted if measure.pooled]
    results = measures.measure_log(interactions, wanted)
    undefined = {name: value for name, value in results.items() if isinstance(value, InputError)}
    values = {name: value for name, value in results.items() if not isinstance(value, InputError)}
    if not values:
        raise next(iter(undefined.values()))
    if as_json:
        settings = {"m": m, "r": r, "last": last}
        _echo_json(interactions, settings, wanted, values, undefined)
        return
    click.echo(
        f"{interactions.name}: {interactions.n_users:,} users, {interactions.n_items:,} items, "
        f"{interactions.tokens:,} interactions\n"
    )
    for measure in wanted:
        value = f"{values[measure.name]:>10.4f}" if measure.name in values else f"{'undefined':>10}"
        meaning = undefined.get(measure.name, "" if quiet else measure.meaning)
        click.echo(f"{measure.name:<15}{value}   {meaning}".rstrip())
    too_short = measures.count_too_short(interactions, m, last)
    if too_short and not pooled:
        click.echo(
            f"\n{too_short:,} users have too few interactions for m = {m} "
            "and are left out of approximate entropy"
        )
    _echo_effective_data(interactions, values)


def _echo_json(
    log: InteractionLog,
    settings: dict[str, Any],
    wanted: list[Any],
    values: dict[str, float],
    undefined: dict[str, InputError],
) -> None:
    """Print the measures as one JSON object."""
    effective = ("conditional", "apen absolute")
    echo_json(
        {
            "log": log.name,
            "summary": {
                "users": log.n_users,
                "items": log.n_items,
                "interactions": log.tokens,
            },
            "settings": settings,
            "measures": {measure.name: values.get(measure.name) for measure in wanted},
            "undefined": {name: str(error) for name, error in undefined.items()},
            "effective_data": {
                name: log.tokens / values[name] for name in effective if values.get(name)
            },
            **describe_reading(log),
        }
    )


def _echo_effective_data(log: InteractionLog, values: dict[str, float]) -> None:
    """Print how many transitions are seen once, and the effective data D'."""
    from perflaw.logs.entropy import conditional

    if "conditional" in values:
        once = conditional.share_seen_once(log, 1)
        warning = ": too many for the correction, take it as a lower bound" if once > 0.5 else ""
        click.echo(f"\n{100 * once:.0f} % of transitions are seen once{warning}")
    for name, source in (("conditional", "this study"), ("apen absolute", "the paper")):
        if name not in values:
            continue
        effective = "is undefined, as that is 0"
        if values[name]:
            effective = f"= {log.tokens / values[name]:,.0f}"
        click.echo(f"D' = D / {name} {effective} ({source})")
