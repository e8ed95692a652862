"""Values compared with those of a reference on the same place, with intervals over logs."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from perflaw.study.intervals import interval_over_logs


def compare_with_reference(
    rows: pd.DataFrame, by: str, value: str, reference: str, place: Sequence[str], level: float
) -> pd.DataFrame:
    """Subtract the reference's value on the same place, and average over surfaces, then logs.

    Parameters
    ----------
    rows
        Columns dataset, log, BY, VALUE and those of the place.
    by
        Column of what is compared, e.g. "law".
    value
        Column that is compared.
    reference
        The entry of BY that is subtracted.
    place
        Columns that say which rows belong together, e.g. dataset, n_layers and d_emb.
    level
        Level of the intervals, which are Student's, over logs.

    Returns
    -------
    DataFrame
        Columns BY, mean (of the value less that of the reference), low, high and logs. Rows
        without a value, or without one of the reference, take no part.
    """
    is_reference = rows[by] == reference
    beside = rows.loc[is_reference, [*place, value]].rename(columns={value: "reference"})
    others = rows[~is_reference].merge(beside, how="left", on=list(place))
    others["more"] = others[value] - others["reference"]
    return interval_over_logs(others, by, "more", level)
