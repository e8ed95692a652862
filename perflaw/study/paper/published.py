"""Measured points: the paper's 20 published surfaces, the fits printed on them, other tables."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pandas as pd

from perflaw.errors import InputError
from perflaw.logs.readers.tables import read_table
from perflaw.study.files import study_file

SURFACE = ["dataset", "max_seq_len", "metric"]
"""The columns that name a surface."""
POINT = (*SURFACE, "n_layers", "d_emb", "value")
LAYERS, DIMENSIONS = (4, 8, 12, 16, 24, 32), (25, 50, 75, 100)
"""The paper's grid on all logs but its industrial one."""
ROW_WORDS = {
    "sasrec": "SASRec",
    "hstu": "HSTU",
    "llama": "LLaMA-style",
    "bce": "binary loss",
    "softmax": "full loss",
    "sampled_softmax": "sampled loss",
    "ml-1m": "MovieLens-1M, all ratings",
    "ml-1m-sasrec": "MovieLens-1M",
    "amazon-beauty": "Amazon Beauty",
}
"""How the names of backbones, losses and logs of the published rows are shown."""
PRINTED_COLUMNS = {
    "printed_R2": "printed_r2",
    "printed_Dprime": "printed_d_prime",
    "R2_of_drawn_surface": "drawn_r2",
}


def surface_label(key: tuple[str, int, str]) -> str:
    """Name a surface for people, from its (dataset, max_seq_len, metric)."""
    dataset, length, metric = key
    return f"{dataset}, L {length}, {metric}"


def load_surfaces(path: str | Path = "") -> pd.DataFrame:
    """Load measured points: the 448 published ones, or a table from elsewhere.

    Parameters
    ----------
    path
        A CSV table with the columns dataset, max_seq_len, metric, n_layers, d_emb and value;
        absolute or from the project's root. Empty: the points that were read from the authors'
        vector figures; data/README.md says how.

    Returns
    -------
    DataFrame
        One row a point. Columns dataset, max_seq_len, metric (HR@10 or NDCG@10), n_layers,
        d_emb, value (as a fraction of one) and, of the published points, pixel_residual_pt
        (distance of the dot from its cell's line, in points) and source_pdf.

    Raises
    ------
    InputError
        If the file is no such table.

    References
    ----------
    Shen et al., "Performance Law of Large Models for Sequential Recommendation",
    arXiv:2412.00430, figures of the appendix.

    Examples
    --------
    >>> surfaces = load_surfaces()
    >>> len(surfaces), surfaces.groupby(["dataset", "max_seq_len", "metric"]).ngroups
    (448, 20)
    """
    if not path:
        return pd.read_csv(study_file("data", "published", "surfaces.csv"))
    table = read_table(study_file(str(path)))
    missing = [name for name in POINT if name not in table]
    if missing:
        raise InputError(
            f"{path} has no column {' and '.join(missing)}; it has {', '.join(table.columns)}"
        )
    return table


def printed_fits() -> pd.DataFrame:
    """Load what each of the 40 panels prints, and what its drawing amounts to.

    Returns
    -------
    DataFrame
        Columns law (ScalingLaw or PerformanceLaw), metric, dataset, max_seq_len, printed_r2,
        printed_d_prime, drawn_r2 (of the surface as drawn, against the dots), printed_b and the
        form of that surface as a law of `perflaw.laws.families`: family and options.

    Examples
    --------
    >>> printed_fits()["law"].value_counts().to_dict()
    {'PerformanceLaw': 20, 'ScalingLaw': 20}
    """
    table = pd.read_csv(study_file("data", "published", "printed_fits.csv"))
    forms = [_drawn_form(text) for text in table["drawn_form"]]
    columns = ["law", "metric", "dataset", "max_seq_len", *PRINTED_COLUMNS.values(), "printed_b"]
    options: list[Any] = [options for _, options in forms]
    return table.rename(columns=PRINTED_COLUMNS)[columns].assign(
        family=[family for family, _ in forms], options=options
    )


def _drawn_form(text: str) -> tuple[str, dict[str, float]]:
    """Say which law a panel draws: log-linear, or the Performance Law with k or kappa held."""
    if match := re.search(r"pf1=(\d+)", text):
        return "performance", {"k": float(match[1])}
    if match := re.search(r"kappa=(-?\d+)", text):
        return "performance_kappa", {"kappa": float(match[1])}
    return "log_linear", {}


def load_published_rows() -> pd.DataFrame:
    """Load rows published for single models, and ours: data/published_rows.csv.

    Returns
    -------
    pandas.DataFrame
        Its columns, and label: backbone, loss and log in words.
    """
    rows = pd.read_csv(study_file("data", "published_rows.csv"))
    losses = load_protocols().drop_duplicates("name").set_index("name")["loss"]
    names = pd.DataFrame(
        {"model": rows["model"], "loss": rows["name"].map(losses), "log": rows["log"]}
    )
    return rows.assign(label=names.replace(ROW_WORDS).agg(", ".join, axis=1))


def load_protocols() -> pd.DataFrame:
    """Load the runs behind the published rows under five protocols: data/protocols.csv."""
    return pd.read_csv(study_file("data", "protocols.csv"))
