"""Where figures, tables and numbers of a notebook go: beside it, for the builder of the book."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython.display import SVG
from matplotlib.figure import Figure
from pandas.io.formats.style import Styler

from perflaw.laws.families import SYMBOLS
from perflaw.plotting import style_context
from perflaw.study.figures.style import LABELS

CellFormat = str | Callable[[Any], str]

# Columns whose heading on a page is not their name with blanks for underscores.
HEADINGS = {
    "max_seq_len": "L",
    "n_layers": "N",
    "d_emb": "d",
    "r2": "R²",
    "aicc": "AICc",
    "printed_r2": "printed R²",
    "drawn_r2": "drawn R²",
    "refit_r2": "our R²",
    "parameters": "param.",
    "clean": "clean fits",
    "start": "D′ at start",
    "fitted": "fitted D′",
    "least": "least rank",
    "most": "largest rank",
    "not_identified": "surfaces short of it",
    "dataset": "log",
    "without_baseline": "no baseline",
    "unchanged": "no growth",
    "no_growth": "no growth",
    "held_vocabulary": "same items",
    "error_of_value": "user noise",
    "held_low": "from",
    "held_high": "to",
    "held_q": "adjusted p",
    "chosen_low": "from",
    "chosen_high": "to",
    "gain_low": "from",
    "gain_high": "to",
    "own_tau": "tau, own validation",
    "own_regret": "regret, own validation",
    "hindsight_SASRec": "SASRec, hindsight",
    "hindsight_all": "all, hindsight",
    "mape": "error, %",
    "p_D": "exponent of D",
    "law_decline": "decline, joint law",
    "free_decline": "decline, variances",
    "law_effect": "effect, joint law",
    "free_effect": "effect, variances",
    "source_pdf": "PDF",
    "dot_pt": "dot off, pt",
    "n_pt": "N off, pt",
    "d_pt": "d off, pt",
    "value_pt": "value off, pt",
    "next_pt": "next cell, pt",
}
FORMATS: dict[str, CellFormat] = {
    "axis": lambda axis: str(SYMBOLS.get(axis, axis)),
    "r2": "{:.3f}",
    "aicc": "{:.1f}",
    "printed_r2": "{:.4f}",
    "drawn_r2": "{:.4f}",
    "refit_r2": "{:.4f}",
}


def save_figure(name: str, draw: Callable[..., Figure], *data: Any) -> SVG:
    """Draw figures/NAME.svg and, for phones, figures/NAME-narrow.svg.

    Parameters
    ----------
    name
        Name of the figure.
    draw
        Function of the data and of `narrow` that returns the figure.
    *data
        What is drawn.

    Returns
    -------
    IPython.display.SVG
        The wide figure as it was written, for the notebook to show. Files are below the working
        folder, where the book's builder looks for them.
    """
    folder = Path("figures")
    folder.mkdir(exist_ok=True)
    with style_context():
        for narrow, file_name in ((True, f"{name}-narrow.svg"), (False, f"{name}.svg")):
            figure = draw(*data, narrow=narrow)
            figure.savefig(folder / file_name, metadata={"Date": None})
            plt.close(figure)
    return SVG(filename=str(folder / file_name))


def save_table(
    name: str, rows: pd.DataFrame, formats: Mapping[str, CellFormat] | None = None
) -> Styler:
    """Write tables/NAME.csv, and return the table as the page shows it.

    Parameters
    ----------
    name
        Name of the table.
    rows
        The table.
    formats
        Format strings of columns, or functions of a cell, where they are not those of `FORMATS`.

    Returns
    -------
    Styler
        The table as HTML in a notebook, with the headings of a page.
    """
    folder = Path("tables")
    folder.mkdir(exist_ok=True)
    rows = rows.replace(LABELS, regex=True)
    rows.to_csv(folder / f"{name}.csv", index=False)
    cell_formats = {column: text for column, text in FORMATS.items() if column in rows}
    cell_formats |= formats or {}
    writers: dict[str, Any] = {column: _as_on_pages(text) for column, text in cell_formats.items()}
    right: list[Any] = [{"selector": "", "props": "text-align: right"}]
    return (
        Styler(rows, uuid=name, cell_ids=False)
        .hide(axis="index")
        .format(writers, na_rep="")
        .set_table_styles(dict.fromkeys(rows.select_dtypes("number"), right))
        .relabel_index([_make_heading(str(column)) for column in rows], axis=1)
        .set_table_attributes(f'class="dataframe" aria-label="{name.replace("_", " ")}"')
    )


def _make_heading(column: str) -> str:
    return HEADINGS.get(column) or LABELS.get(column, column.replace("_", " "))


def _as_on_pages(cell_format: CellFormat) -> Callable[[Any], str]:
    """Return a writer of cells: a true minus, none before zero, and a fixed space before "%"."""
    write = cell_format.format if isinstance(cell_format, str) else cell_format

    def write_on_page(value: Any) -> str:
        text = re.sub(r"^-(?=0(\.0+)?%?$)", "", write(value))
        text = re.sub(r"(?<![\w.])-(?=\d)", "\u2212", text)
        return re.sub(r"(?<=\d) ?%", "\u00a0%", text)

    return write_on_page


def glue_values(**values: Any) -> None:
    """Keep numbers and words for the prose of the page, which asks for them by name."""
    from myst_nb import glue

    for name, value in values.items():
        glue(name, value.item() if isinstance(value, np.generic) else value, display=False)


def count_in_words(count: int, total: int) -> str:
    """Say how many of a few it is, for a sentence.

    Examples
    --------
    >>> count_in_words(6, 6), count_in_words(0, 6), count_in_words(2, 6)
    ('all six', 'none of the six', 'two of the six')
    """
    words = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
    names = dict(enumerate(words, start=1))
    whole = names.get(total, f"{total:,}")
    if count == total:
        return f"all {whole}"
    return f"{'none' if count == 0 else names.get(count, f'{count:,}')} of the {whole}"
