"""The published points, read from the authors' four vector figures by geometry.

A vector figure keeps what it draws as coordinates. Each of the four PDFs holds ten
three-dimensional panels by matplotlib (`pdf_panels`, `panel_view`). Coordinates are rounded to
1e-6 pt.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from perflaw.errors import InputError
from perflaw.logs import datasets
from perflaw.study.files import study_file
from perflaw.study.paper.panel_view import calibrate, locate_dots
from perflaw.study.paper.pdf_panels import read_pdf
from perflaw.study.paper.published import DIMENSIONS, LAYERS, SURFACE

FOLDER_VARIABLE = "PERFLAW_FIGURES"
DOWNLOAD = "download"  # in the place of a folder
REPOSITORY = (
    "https://raw.githubusercontent.com/USTC-StarTeam/Performance-Law/HEAD/"
    "Performance_Law_Appendix_Result/"
)
SHA256 = {
    "PerformanceLaw_HR.pdf": "a06414f2050d78af1ccdd96ae8d551b798033bc60d613b5dd20a910707639cb2",
    "PerformanceLaw_NDCG.pdf": "d0372c9ab13cd99883c435ee918e482dedd610b321a23cf76ff7bd25f6b1f022",
    "ScalingLaw_HR.pdf": "35b0a03885e011c7f1c8c660519a3287f22182b58871bf1abfa463d6b9313206",
    "ScalingLaw_NDCG.pdf": "ae74cb363558c21510edddaef3321ab99b8b5e17cb5e1cfc880b458b9b623ce1",
}
# The panels of a figure in order. Names of logs are inferred; a panel's title has its length alone.
LOGS = ("MovieLens-1M",) * 3 + ("KuaiRand-Pure",) * 2 + ("Amazon-Books",) * 3 + ("Industrial",) * 2
OTHER_GRIDS = {"Industrial": ((8, 16, 32, 64), (128, 256, 512, 1024))}
"""Layers and dimensions, where they are not LAYERS and DIMENSIONS."""
CELL = [*SURFACE, "n_layers", "d_emb"]
COLUMNS = [*CELL, "value", "pixel_residual_pt", "source_pdf", "read", "next_pt"]


def find_figures(folder: str | os.PathLike = "") -> dict[str, Path]:
    """Find the authors' four PDFs, and verify their sha256.

    Parameters
    ----------
    folder
        Absolute or from the project's root; "download" fetches them from the authors' public
        repository into the cache; empty: what the environment variable PERFLAW_FIGURES says.

    Returns
    -------
    dict
        The files by name; empty if no folder is named.

    Raises
    ------
    InputError
        For a file that is missing or is not the published one.
    """
    folder = os.fspath(folder) or os.environ.get(FOLDER_VARIABLE, "")
    if not folder:
        return {}
    files = {name: _find_figure(folder, name) for name in SHA256}
    for name, path in files.items():
        if not path.is_file():
            raise InputError(
                f"{path} is not there: name a folder with {', '.join(SHA256)} "
                f"(from {REPOSITORY}), or '{DOWNLOAD}'"
            )
        if hashlib.sha256(path.read_bytes()).hexdigest() != SHA256[name]:
            raise InputError(
                f"{path} is not the published figure: its sha256 is not {SHA256[name]}"
            )
    return files


def _find_figure(folder: str, name: str) -> Path:
    if folder == DOWNLOAD:
        return datasets.fetch("the authors' figure", REPOSITORY + name, f"sha256:{SHA256[name]}")
    return study_file(folder, name)


def recover_points(files: Mapping[str, Path]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read all dots of the published figures.

    Parameters
    ----------
    files
        As `find_figures` returns them.

    Returns
    -------
    points
        One row a dot and figure: the columns of data/published/surfaces.csv, the value rounded
        to four decimals, then read (unrounded) and next_pt of `locate_dots`.
    panels
        One row a panel: source_pdf, dataset, max_seq_len, metric, grid_lines, their largest
        residual by axis (n_pt, d_pt, value_pt), the largest dot_pt and the least next_pt.
    """
    points, panels = [], []
    for source, path in files.items():
        metric = f"{Path(source).stem.partition('_')[2]}@10"
        for panel, dataset in zip(read_pdf(path), LOGS, strict=True):
            texts = " ".join(panel.texts)
            length = int(re.findall(r"Max Sequence Length = (\d+)", texts)[0])
            surface: dict[str, Any] = dict(zip(SURFACE, (dataset, length, metric)))
            view = calibrate(panel)
            dots = locate_dots(panel, view, *OTHER_GRIDS.get(dataset, (LAYERS, DIMENSIONS)))
            points.append(dots.assign(**surface, value=dots["read"].round(4), source_pdf=source))
            panels.append(
                {
                    "source_pdf": source,
                    **surface,
                    "grid_lines": len(panel.lines),
                    **dict(zip(("n_pt", "d_pt", "value_pt"), view.residuals)),
                    "dot_pt": dots["pixel_residual_pt"].max(),
                    "next_pt": dots["next_pt"].min(),
                }
            )
    return pd.concat(points, ignore_index=True)[COLUMNS], pd.DataFrame(panels)


def compare_points(points: pd.DataFrame, recorded: pd.DataFrame) -> dict[str, float]:
    """Compare the points of `recover_points` with the recorded table.

    Parameters
    ----------
    points
        The points, of all figures.
    recorded
        The table, as `load_surfaces` returns it.

    Returns
    -------
    dict
        rows; rows_apart (in one table only, by surface, cell and source_pdf); values_apart (not
        the same four decimals); and largest differences: read (unrounded against recorded),
        residual_pt, and figures (against the other figure of the same metric).
    """
    is_source = points["source_pdf"].isin(recorded["source_pdf"])
    own, other = points[is_source], points[~is_source]
    keys = [*CELL, "source_pdf"]
    both = recorded.merge(own, on=keys, how="outer", suffixes=("", "_read"), indicator="where")
    in_two_figures = own.merge(other, on=CELL, suffixes=("", "_other"))
    residual = both["pixel_residual_pt"] - both["pixel_residual_pt_read"]
    return {
        "rows": len(own),
        "rows_apart": int((both["where"] != "both").sum()),
        "values_apart": int((both["value"] != both["value_read"]).sum()),
        "read": (both["read"] - both["value"]).abs().max(),
        "residual_pt": residual.abs().max(),
        "figures": (in_two_figures["read"] - in_two_figures["read_other"]).abs().max(),
    }
