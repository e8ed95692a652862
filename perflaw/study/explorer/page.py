"""The explorer's page: the data that it carries, and the page alone as one file."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping, Sequence
from importlib.resources import files
from string import Template
from typing import Any

import numpy as np
import pandas as pd

from perflaw.laws import families
from perflaw.laws.fitting import Fit
from perflaw.laws.profile import nearby_exponents
from perflaw.stats import student_quantile
from perflaw.study.analysis.study_runs import HIDDEN_CELLS
from perflaw.study.explorer.growth import data_effect
from perflaw.study.explorer.surfaces import EXPLORER_LAWS, SURFACE
from perflaw.study.files import study_file


def page_data(
    table: pd.DataFrame,
    fitted: Mapping[tuple[str, str], Mapping[str, Fit]],
    comparison: pd.DataFrame,
    slopes: pd.DataFrame,
    level: float = 0.9,
) -> dict[str, Any]:
    """Collect what the page carries.

    Parameters
    ----------
    table
        As `explorer_surfaces` returns it.
    fitted
        As `explorer_fits` returns it.
    comparison
        As `explorer_errors` returns it.
    slopes
        As `data_slopes` returns them.
    level
        Level of the intervals.

    Returns
    -------
    dict
        Keys level, quantiles (Student's, by degrees of freedom), grids (N and d), effects (of
        data), states (what may stand in a fit's way) and surfaces. A metric of a surface has its
        values in the order of its grid's points, and for each law nothing, or R², errors on
        hidden cells, its state, and the exponents with the three standard errors around them,
        packed as one.
    """
    errors = comparison.set_index([*SURFACE, "law"])[list(HIDDEN_CELLS)]
    quantiles: dict[str, float] = {}
    grids: list[dict] = []
    effects: list[dict] = []
    states = [""]
    surfaces: dict[str, dict[str, Any]] = {}
    has_fit = table.set_index(SURFACE).index.isin(fitted)
    key: Any
    for key, surface in table[has_fit].groupby(SURFACE, sort=False):
        name, metric = key
        laws: list[list[Any] | None] = []
        for law in EXPLORER_LAWS:
            fit = fitted[key].get(law)
            if fit is None:
                laws.append(None)
                continue
            quantiles[str(fit.dof)] = float(student_quantile(level, fit.dof))
            laws.append(_law_entry(fit, errors.loc[(*key, law)], states))
        first = surface.iloc[0]
        grid = {
            families.SYMBOLS[axis]: [_shortened(value) for value in surface[axis]]
            for axis in families.AXES
        }
        effect = data_effect(slopes, first["log"], metric, level)
        metric_entry = {
            "metric": metric,
            "grid": _index_of(grids, grid),
            "effect": effect and _index_of(effects, effect),
            "values": surface["value"].tolist(),
            "laws": laws,
        }
        surfaces.setdefault(name, _surface_entry(first))["metrics"].append(metric_entry)
    return {
        "level": level,
        "quantiles": quantiles,
        "grids": grids,
        "effects": effects,
        "states": states,
        "surfaces": list(surfaces.values()),
    }


def _law_entry(fit: Fit, errors: pd.Series, states: list[str]) -> list[Any]:
    """Give R², errors on hidden cells and state, and packed exponents where the law has some."""
    rounded = [None if np.isnan(error) else round(float(error), 1) for error in errors]
    state = "" if fit.status == "converged" else fit.status
    entry = [round(fit.r2, 3), rounded, _index_of(states, state)]
    if fit.law.exponents:
        reach, direction = nearby_exponents(fit)
        nearby = (reach[:, None] * direction.T).ravel()
        entry.append(pack_floats([*fit.parameters[list(fit.law.exponents)], *nearby]))
    return entry


def _surface_entry(row: pd.Series) -> dict[str, Any]:
    entry = {"name": row["name"]}
    if row["own"]:
        entry["own"] = True
    for name in ("tokens", "apen"):
        if not np.isnan(row[name]):
            entry[name] = _shortened(row[name])
    return entry | {"metrics": []}


def _shortened(value: float) -> int | float:
    return int(value) if value % 1 == 0 else float(value)


def _index_of(entries: list, entry: object) -> int:
    """Find an entry; one that is not there is added."""
    if entry not in entries:
        entries.append(entry)
    return entries.index(entry)


def pack_floats(values: Sequence[float]) -> str:
    """Write numbers to their last bit, in base 64: half as long as in decimals."""
    return base64.b64encode(np.asarray(values, "<f8").tobytes()).decode()


def embed_json(data: Mapping[str, Any]) -> str:
    """Write the data as an element of the page, from which its script reads them."""
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    escaped = text.replace("</", "<\\/")
    return f'<script type="application/json" id="explorer-data">{escaped}</script>'


def explorer_markup() -> str:
    """Take the explorer's part of the page out of its notebook."""
    text = study_file("notebooks", "explorer.ipynb").read_text(encoding="utf-8")
    sources = ["".join(cell["source"]) for cell in json.loads(text)["cells"]]
    source = next(source for source in sources if 'class="explorer"' in source)
    return re.findall(r"```\{raw\} html\n(.*?)\n```", source, re.DOTALL)[0]


def standalone_page(data: Mapping[str, Any], theme: str = "light", extra: str = "") -> str:
    """Make the explorer alone, as one HTML file.

    Parameters
    ----------
    data
        As `page_data` returns them.
    theme
        light or dark.
    extra
        A script that runs after the explorer's own.
    """
    style, script = (
        study_file("book", "_static", f"explorer.{kind}").read_text(encoding="utf-8")
        for kind in ("css", "js")
    )
    linked = r"<(script|link)\b[^>]*explorer\.(js|css)[^>]*>(</script>)?"
    template = (files("perflaw.study.explorer") / "standalone.html").read_text(encoding="utf-8")
    return Template(template).substitute(
        theme=theme,
        style=style,
        data=embed_json(data),
        body=re.sub(linked, "", explorer_markup()),
        script=script,
        extra=extra,
    )
