"""The paper's 20 published surfaces and the fits printed on them (data/published)."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

FOLDER = Path(__file__).parent.parent / "data" / "published"
SURFACE = ["dataset", "max_seq_len", "metric"]  # the columns that name a surface


def surfaces() -> pd.DataFrame:
    """The 448 measured points, one row each, read from the authors' vector figures.

    Columns: dataset, max_seq_len, metric (HR@10 or NDCG@10), n_layers, d_emb, value (as
    a fraction of one), pixel_residual_pt (distance of the dot from its cell's line, in
    points) and source_pdf. data/README.md says how they were read.
    """
    return pd.read_csv(FOLDER / "surfaces.csv")


def printed_fits() -> pd.DataFrame:
    """What each of the 40 panels prints, and what its drawing amounts to.

    Columns: law (ScalingLaw or PerformanceLaw), metric, dataset, max_seq_len,
    printed_r2, printed_d_prime, printed_b, drawn_r2 (of the surface as drawn, against
    the dots) and the form of that surface as a law of `perflaw.laws`: family, options.
    """
    table = pd.read_csv(FOLDER / "printed_fits.csv")
    forms = [_drawn_form(text) for text in table["drawn_form"]]
    renamed = {"printed_R2": "printed_r2", "printed_Dprime": "printed_d_prime", "R2_of_drawn_surface": "drawn_r2"}
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
