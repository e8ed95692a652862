"""The explorer: laws, intervals and optima computed in the reader's browser, and the same here.

Given its exponents a law is least squares on some dozen points, which a browser solves in no time
(`book/_static/explorer.js`). So the page carries of each surface its points, and of each law the fitted exponents
and those over which `fitting.Fit.interval` takes its union. The rest is computed there, by the steps of this module
and of `fitting`; `tests/test_explorer.py` holds the two against each other in a browser.

Data enter by one number a log, the slope of ln metric on ln tokens (`data_slopes`). That tokens / ApEn takes the place of
tokens is the paper's claim, and an assumption here.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import t as student

from perflaw.laws import families, fitting, varpro
from perflaw.laws.fitting import Fit
from perflaw.models.sweeps import runner
from perflaw.models.training.trainer import Config
from perflaw.paths import HOME
from perflaw.study.analysis import study_runs

EXPLORER_LAWS = (
    "Performance Law, k = 2",
    "log-quadratic",
    "sum of powers",
    "log-linear",
)  # all additive in N and d
METRICS = ("HR@10", "NDCG@10")
SURFACE = ["name", "metric"]
COLUMNS = (
    dict.fromkeys(["name", "log", "metric"], str)
    | {"own": bool}
    | dict.fromkeys([*families.AXES, "value", "tokens", "apen"], float)
)
APEN = "entropy apen absolute"  # the paper's recipe
SAME = {
    "MovieLens-1M": "ml-1m",
    "KuaiRand-Pure": "kuairand-pure",
    "Amazon-Books": "amazon-books",
}  # published log: ours


# ---------------------------------------------------------------- surfaces


def published_surfaces(points: pd.DataFrame) -> pd.DataFrame:
    """Measured points (`published.load_surfaces`) with the columns that `explorer_surfaces` gives; tokens and ApEn are not known."""
    names = [
        f"{dataset}, L {length}"
        for dataset, length in zip(points["dataset"], points["max_seq_len"])
    ]
    return points.assign(name=names, log=points["dataset"], own=False, tokens=np.nan, apen=np.nan)[
        list(COLUMNS)
    ].reset_index(drop=True)


def explorer_surfaces(runs: pd.DataFrame, metrics=METRICS) -> pd.DataFrame:
    """Surfaces of runs (`study_runs.load_study_runs`), one row a cell and metric: means over seeds and approximate entropy, to five digits.

    A surface is runs on one whole training part that differ in N, d and seed alone, if they have eight cells or more, two values of N and d
    and three of one, and a run's NDCG@10 is sure to a fifth of itself over users (one standard error). Its name is that of `study_runs.mean_surfaces`, with the settings in which it differs from others of that name.
    Columns: name, log, metric, own, n_layers, d_emb, value, tokens, apen.
    """
    whole, parts = study_runs.select_full_data_runs(runs), []
    same = [
        "data_hash",
        *(
            name
            for name in ("split", *Config.__dataclass_fields__)
            if name in whole and name not in (*families.AXES, "seed")
        ),
    ]
    groups = [
        here
        for _, here in whole.groupby(["log", *same], dropna=False, sort=False)
        if _is_grid(here) and (here["NDCG@10 se"] / here["NDCG@10"]).median() < 0.2
    ]
    for here in groups:
        table = study_runs.mean_surfaces(here, metrics)
        told = {
            "log": here["log"].iloc[0],
            "own": True,
            "tokens": here["tokens"].mean(),
            "apen": float(f"{here[APEN].iloc[0]:.5g}"),
        }
        parts.append(
            table.assign(**told, value=[float(f"{value:.5g}") for value in table["value"]]).rename(
                columns={"dataset": "name"}
            )
        )
    names = [part["name"].iloc[0] for part in parts]
    for part, here, name in zip(parts, groups, names):
        alike = pd.concat([other for other, its in zip(groups, names) if its == name])
        differ = [setting for setting in same if alike[setting].nunique(dropna=False) > 1]
        part["name"] = ", ".join(
            [
                name,
                *(
                    f"{families.SYMBOLS.get(setting, setting)} {here[setting].iloc[0]}"
                    for setting in differ
                ),
            ]
        )
    return pd.concat(
        parts or [pd.DataFrame(columns=list(COLUMNS)).astype(COLUMNS)], ignore_index=True
    )[list(COLUMNS)]


def _is_grid(runs):
    values = runs[list(families.AXES)].nunique()
    return (
        len(runs.drop_duplicates(list(families.AXES))) >= 8
        and values.min() > 1
        and values.max() > 2
    )


def explorer_fits(table: pd.DataFrame) -> dict[tuple[str, str], dict[str, Fit]]:
    """The laws of `EXPLORER_LAWS` fitted to every surface, by (name, metric) and law; those that the values of N and d determine."""
    rivals, found = families.rival_laws(), {}
    for key, surface in table.groupby(SURFACE, sort=False):
        surface = surface.reset_index(drop=True)
        for name in EXPLORER_LAWS:
            law = rivals[name]
            if len(surface) > len(law.parameters) and fitting.identifiable_rank(
                law, surface
            ) == len(law.parameters):
                found.setdefault(key, {})[name] = fitting.fit(law, surface, surface["value"])
    return found


def explorer_errors(table: pd.DataFrame) -> pd.DataFrame:
    """What `fitting.compare_laws` says of the laws of `EXPLORER_LAWS` on every surface: R² in sample, mean errors on hidden cells."""
    rivals = families.rival_laws()
    return fitting.compare_laws({name: rivals[name] for name in EXPLORER_LAWS}, table, SURFACE)


# ---------------------------------------------------------------- data


def data_slopes(runs: pd.DataFrame, metrics=METRICS, level: float = 0.9) -> pd.DataFrame:
    """How a metric grows with tokens, in runs (`study_runs.load_study_runs`) on shares of the users, one row a log and metric.

    The slope of ln metric on ln tokens by least squares, an intercept for each configuration, over configurations run on two
    shares or more, on logs with three or more. Columns: log, metric, slope, reach (half of its Student interval
    at that level), runs, least (the smallest share of the tokens). Noise of the draw of users that a few
    runs share is not in the interval.
    """
    fitting.check_level(level)
    rows = []
    others = [name for name in runner.PERTURBATIONS if name != "sample_users"]
    for log, runs in runs[runs[others].isna().all(axis=1)].groupby("log", sort=False):
        same = [
            name
            for name in ("data_hash", "split", *Config.__dataclass_fields__)
            if name in runs and name != "seed"
        ]
        for metric in metrics:
            here = runs[runs[metric] > 0]
            cell = here.groupby(same, dropna=False).ngroup()
            here = here[here.groupby(cell)["tokens"].transform("nunique") > 1]
            cell, shares = cell[here.index], here["tokens"].nunique()
            if shares < 3:
                continue
            x, y = (
                np.log(here[column]) - np.log(here[column]).groupby(cell).transform("mean")
                for column in ("tokens", metric)
            )
            slope, dof = (x @ y) / (x @ x), len(here) - cell.nunique() - 1
            se = np.sqrt(((y - slope * x) ** 2).sum() / dof / (x @ x))
            told = {
                "log": log,
                "metric": metric,
                "slope": slope,
                "reach": student.ppf((1 + level) / 2, dof) * se,
            }
            rows.append(
                {**told, "runs": len(here), "least": here["tokens"].min() / here["tokens"].max()}
            )
    return pd.DataFrame(rows, columns=["log", "metric", "slope", "reach", "runs", "least"])


def data_effect(slopes: pd.DataFrame, log: str, metric: str, level: float = 0.9) -> dict | None:
    """The slope that a log is given: its own, that of ours of the same name, or the mean over ours; None if there is none.

    Keys: slope, reach, least (to six digits), source (the logs that it is borrowed from, empty for its own). The reach of a mean over logs
    is that of a Student interval for one more log: it has the differences between logs in it.
    """
    here, rounded = (
        slopes[slopes["metric"] == metric],
        lambda *told: {
            name: float(f"{value:.6g}") for name, value in zip(("slope", "reach", "least"), told)
        },
    )
    own = here[here["log"].isin([log, SAME.get(log)])]
    if len(own) == 0 and len(here) > 1:
        n, spread = len(here), float(here["slope"].std())
        reach = student.ppf((1 + level) / 2, n - 1) * spread * np.sqrt(1 + 1 / n)
        source = ", ".join(here["log"])
        return rounded(here["slope"].mean(), reach, here["least"].min()) | {"source": source}
    rows = own if len(own) else here
    if rows.empty:
        return None
    row = rows.iloc[0]
    return rounded(row["slope"], row["reach"], row["least"]) | {
        "source": "" if row["log"] == log else row["log"]
    }


# ---------------------------------------------------------------- what the page computes


def predict_cell(
    fit: Fit,
    n_layers: float,
    d_emb: float,
    data: float = 1.0,
    effect: Mapping | None = None,
    level: float = 0.9,
):
    """Prediction, low and high for one more cell, with `data` times the log's own tokens / ApEn.

    The interval is `Fit.interval`'s, times what the data do; the doubt about their slope is added in quadrature.
    """
    told = fit.interval(pd.DataFrame({"n_layers": [n_layers], "d_emb": [d_emb]}), level).iloc[0]
    doublings, slope, reach = (
        np.log(data),
        *((effect["slope"], effect["reach"]) if effect else (0.0, 0.0)),
    )
    factor = np.exp(slope * doublings)
    value = factor * told["prediction"]
    doubt = value * reach * doublings
    low, high = (
        np.hypot(factor * (told["prediction"] - told[end]), doubt) for end in ("low", "high")
    )
    return float(value), float(value - low), float(value + high)


def turning_place(fit: Fit, axis: str) -> float:
    """Where a fitted law of `EXPLORER_LAWS` has its maximum along an axis, in closed form; nan where it has none."""
    of = {
        name.split("_")[0]: value
        for name, value in fit.parameters.items()
        if name.endswith(f"_{families.SYMBOLS[axis]}")
    }
    with np.errstate(over="ignore"):
        if fit.law.family == "performance" and of["w"] * of["p"] > 0:
            return float(fit.law.options["k"] ** np.float64(-1 / of["p"]))
        if fit.law.family == "log_quadratic" and of["c"] < 0:
            return float(np.exp(-of["a"] / (2 * of["c"])))
    return float("nan")


def best_place(fit: Fit, axis: str) -> float:
    """The best place along an axis within the measured range, an end of it if the law has no maximum inside."""
    low, high = fit.points[axis].min(), fit.points[axis].max()
    if np.isfinite(place := turning_place(fit, axis)):
        return float(np.clip(place, low, high))
    other = next(name for name in families.AXES if name != axis)
    ends = fit.predict(pd.DataFrame({axis: [low, high], other: fit.points[other].iloc[0]}))
    return float(low if ends[0] > ends[1] else high)


def indistinguishable_range(
    fit: Fit, axis: str, level: float = 0.9, size: int = 31
) -> tuple[float, float]:
    """The least and the largest place along an axis that the data do not tell apart from the best: its lead may be nothing.

    Of `size` places within the measured range, evenly in the logarithm. The lead has a profile interval like any
    combination of the law's values, without the noise of a run.
    """
    inside = fit.candidates(level)[-1] >= 0
    theta, beta, root, slack = (part[inside] for part in fit.candidates(level))
    other = next(name for name in families.AXES if name != axis)
    values = np.append(
        best_place(fit, axis), np.geomspace(fit.points[axis].min(), fit.points[axis].max(), size)
    )
    rows = varpro.design_columns(
        fit.law,
        {axis: values, other: np.full(len(values), float(fit.points[other].iloc[0]))},
        theta,
    )
    lead, spread = fitting.contrast_estimates(rows[:, :1] - rows[:, 1:], beta, root)
    low = (lead - np.sqrt(slack[:, None] * spread)).min(axis=0)
    kept = values[1:][low <= 0]
    return (
        (float(kept.min()), float(kept.max()))
        if len(kept)
        else (float(values[0]), float(values[0]))
    )


# ---------------------------------------------------------------- the page


def page_data(
    table: pd.DataFrame,
    fitted: Mapping,
    judged: pd.DataFrame,
    slopes: pd.DataFrame,
    level: float = 0.9,
) -> dict:
    """What the page carries: Student's quantiles by dof, grids, effects of data, states (what may stand in a fit's way), surfaces.

    table: surfaces; fitted, judged and slopes: what `explorer_fits`, `explorer_errors` and `data_slopes` made of them. A grid is points (N and d); a metric of a surface
    has its values in the order of those, and for each law of `EXPLORER_LAWS` nothing, or R², errors on hidden cells, its
    state, and theta with the three standard errors around it, packed as one.
    """
    told, grids, effects, states, surfaces, quantiles = (
        judged.set_index([*SURFACE, "law"]),
        [],
        [],
        [""],
        {},
        {},
    )
    for key, surface in table[table.set_index(SURFACE).index.isin(fitted)].groupby(
        SURFACE, sort=False
    ):
        first, its = surface.iloc[0], []
        for name in EXPLORER_LAWS:
            if (fit := fitted[key].get(name)) is None:
                its.append(None)
                continue
            quantiles[str(fit.dof)] = float(student.ppf((1 + level) / 2, fit.dof))
            errors = told.loc[(*key, name), ["leave-one-out", "largest N", "largest d"]]
            hidden = [None if np.isnan(error) else round(float(error), 1) for error in errors]
            its.append(
                [
                    round(fit.r2, 3),
                    hidden,
                    _place(states, "" if fit.status == "converged" else fit.status),
                ]
            )
            if fit.law.exponents:
                reach, direction = fit.nearby()
                its[-1].append(
                    pack_floats(
                        [
                            *fit.parameters[list(fit.law.exponents)],
                            *(reach[:, None] * direction.T).ravel(),
                        ]
                    )
                )
        grid = {
            symbol: [_short(value) for value in surface[axis]]
            for axis, symbol in zip(families.AXES, "Nd")
        }
        effect = data_effect(slopes, first["log"], first["metric"], level)
        if key[0] not in surfaces:
            known = {
                name: _short(first[name])
                for name in ("tokens", "apen")
                if not np.isnan(first[name])
            }
            surfaces[key[0]] = {
                "name": key[0],
                **({"own": True} if first["own"] else {}),
                **known,
                "metrics": [],
            }
        place = {"grid": _place(grids, grid), "effect": effect and _place(effects, effect)}
        surfaces[key[0]]["metrics"].append(
            {"metric": key[1], **place, "values": surface["value"].tolist(), "laws": its}
        )
    return {
        "level": level,
        "quantiles": quantiles,
        "grids": grids,
        "effects": effects,
        "states": states,
        "surfaces": list(surfaces.values()),
    }


def _short(value):
    return int(value) if value % 1 == 0 else float(value)


def _place(known, new):
    """Where `new` is among the known ones, to which it is added if it is not there."""
    if new not in known:
        known.append(new)
    return known.index(new)


def pack_floats(values) -> str:
    """Numbers to their last bit, in base 64: half as long as in decimals."""
    return base64.b64encode(np.asarray(values, "<f8").tobytes()).decode()


def embed_json(data: Mapping) -> str:
    """The data as an element of the page, from which its script reads it."""
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=False, allow_nan=False).replace(
        "</", "<\\/"
    )
    return f'<script type="application/json" id="explorer-data">{text}</script>'


def explorer_markup(notebook: str | Path = HOME / "notebooks" / "explorer.ipynb") -> str:
    """The explorer's part of the page, which stands in its notebook."""
    cells = json.loads(Path(notebook).read_text(encoding="utf-8"))["cells"]
    source = next(text for cell in cells if 'class="explorer"' in (text := "".join(cell["source"])))
    return re.search(r"```\{raw\} html\n(.*?)\n```", source, re.DOTALL)[1]


def standalone_page(data: Mapping, theme: str = "light", extra: str = "") -> str:
    """The explorer alone, as one HTML file; extra: a script that runs after its own."""
    static = HOME / "book" / "_static"
    style, script = (
        (static / f"explorer.{kind}").read_text(encoding="utf-8") for kind in ("css", "js")
    )
    body = re.sub(
        r"<(script|link)\b[^>]*explorer\.(js|css)[^>]*>(</script>)?", "", explorer_markup()
    )
    return (
        f'<!DOCTYPE html><html lang="en" data-theme="{theme}"><head><meta charset="utf-8"><title>Explorer</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{style} html[data-theme=dark] {{ background: #14181e; }} body {{ font-family: sans-serif; }}</style></head>'
        f"<body>{embed_json(data)}{body}<script>{script}</script><script>{extra}</script></body></html>"
    )
