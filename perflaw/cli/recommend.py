"""`perflaw recommend`: the next items of users, by a model that `perflaw train --save` kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from perflaw.cli.options import echo_reading, load_log, log_options, one_line_errors
from perflaw.errors import InputError

if TYPE_CHECKING:
    from perflaw.logs.interaction_log import InteractionLog
    from perflaw.models.trained_model import TrainedModel


@click.command()
@click.argument("model", metavar="MODEL")
@log_options()
@click.option(
    "--top", default=10, show_default=True, type=click.IntRange(1), help="Items for each user."
)
@click.option("--users", metavar="ID[,ID…]", help="Users to recommend to; default all of LOG.")
@one_line_errors()
def command(model: str, log: str, top: int, users: str | None, **options: Any) -> None:
    """Print the next items of users, in the ids of a log.

    MODEL is the folder that `perflaw train --save` wrote. LOG holds the histories, of users that
    the model may never have seen, and is what it is for `perflaw log`. Printed is a CSV with
    columns user, rank, item and score. Where no item repeats in the log that the model was trained
    on, nothing of the user's history is recommended.
    """
    from perflaw.models import load_model

    trained, histories = load_model(model), load_log(log, options)
    if users is not None:
        is_one = users in histories.user_ids.astype(str)  # an id may have a comma
        histories = select_users(histories, [users] if is_one else users.split(","))
    echo_reading(histories)
    _note_unknown_items(trained, histories)
    table = trained.recommend(histories, top)
    without = histories.n_users - table["user"].nunique()
    if without:
        click.echo(
            f"users who get nothing: {without:,}; the model knows none of their items, or they "
            "have had all that it knows",
            err=True,
        )
    click.echo(table.to_csv(index=False, float_format="%.6g", lineterminator="\n"), nl=False)


def select_users(log: InteractionLog, names: list[str]) -> InteractionLog:
    """Keep the users of these ids, as text.

    Raises
    ------
    InputError
        If the log has no such user.
    """
    import numpy as np

    from perflaw.io import suggest

    user_ids = log.user_ids.astype(str)
    for name in names:
        if name not in user_ids:
            raise InputError(f"{log.name} has no user {name!r}{suggest(name, user_ids)}")
    return log.keep(np.isin(user_ids, names)[log.users])


def _note_unknown_items(model: TrainedModel, log: InteractionLog) -> None:
    """Say which items of the histories a model passes over."""
    import numpy as np

    occurring = log.item_ids[np.unique(log.items)]
    unknown = occurring[model.item_codes(occurring) < 0]
    if 0 < len(unknown) < len(occurring):
        click.echo(
            f"{len(unknown):,} of {len(occurring):,} items are unknown to the model and are passed "
            f"over, {unknown.tolist()[0]!r} among them",
            err=True,
        )
