"""Measured points: the paper's 20 published surfaces, the fits printed on them, tables from elsewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from perflaw.errors import InputError
from perflaw.logs.readers.tables import read_table
from perflaw.paths import HOME

FOLDER = HOME / "data" / "published"
SURFACE = ["dataset", "max_seq_len", "metric"]  # the columns that name a surface


def surface_label(key: tuple) -> str:
    """A surface's name for people, from its (dataset, max_seq_len, metric)."""
    dataset, length, metric = key
    return f"{dataset}, L {length}, {metric}"


def load_surfaces(path: str | Path = "") -> pd.DataFrame:
    """The 448 measured points, one row each, read from the authors' vector figures.

    With a path, measured points from elsewhere: a CSV table with the columns dataset,
    max_seq_len, metric, n_layers, d_emb and value; the path is absolute or from the
    project's root. Raises InputError if it is not that.

    Columns: dataset, max_seq_len, metric (HR@10 or NDCG@10), n_layers, d_emb, value (as
    a fraction of one), pixel_residual_pt (distance of the dot from its cell's line, in
    points) and source_pdf. data/README.md says how they were read.
    """
    if not path:
        return pd.read_csv(FOLDER / "surfaces.csv")
    table = read_table(HOME / path)
    if missing := [name for name in (*SURFACE, "n_layers", "d_emb", "value") if name not in table]:
        raise InputError(
            f"{path} has no column {' and '.join(missing)}; it has {', '.join(table.columns)}"
        )
    return table


def printed_fits() -> pd.DataFrame:
    """What each of the 40 panels prints, and what its drawing amounts to.

    Columns: law (ScalingLaw or PerformanceLaw), metric, dataset, max_seq_len,
    printed_r2, printed_d_prime, printed_b, drawn_r2 (of the surface as drawn, against
    the dots) and the form of that surface as a law of `perflaw.laws.families`: family, options.
    """
    table = pd.read_csv(FOLDER / "printed_fits.csv")
    forms = [_drawn_form(text) for text in table["drawn_form"]]
    renamed = {
        "printed_R2": "printed_r2",
        "printed_Dprime": "printed_d_prime",
        "R2_of_drawn_surface": "drawn_r2",
    }
    columns = ["law", "metric", "dataset", "max_seq_len", *renamed.values(), "printed_b"]
    return table.rename(columns=renamed)[columns].assign(
        family=[family for family, _ in forms], options=[options for _, options in forms]
    )


def _drawn_form(text: str) -> tuple[str, dict[str, float]]:
    """The law that a panel draws: log-linear, or the Performance Law with k or kappa held."""
    if held := re.search(r"pf1=(\d+)", text):
        return "performance", {"k": float(held[1])}
    if held := re.search(r"kappa=(-?\d+)", text):
        return "performance_kappa", {"kappa": float(held[1])}
    return "log_linear", {}


def load_published_rows() -> pd.DataFrame:
    """Rows published for single models, and ours: the columns of data/published_rows.csv (see data/README.md)."""
    return pd.read_csv(HOME / "data" / "published_rows.csv")


def load_protocols() -> pd.DataFrame:
    """The runs behind `load_published_rows` under five protocols: the columns of data/protocols.csv."""
    return pd.read_csv(HOME / "data" / "protocols.csv")
