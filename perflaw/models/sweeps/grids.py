"""Grids: which runs a sweep has, each a configuration and the data that it trains on."""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Mapping
from dataclasses import asdict, replace
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

from perflaw.errors import InputError
from perflaw.io import load_yaml, suggest
from perflaw.logs import perturbations
from perflaw.logs.interaction_log import InteractionLog
from perflaw.logs.perturbations import PERTURBATIONS
from perflaw.logs.splits import Split, global_time, leave_one_out
from perflaw.models.configuration import (
    LATER_SETTINGS,
    MOST_WHOLE,
    Config,
    is_finite,
    make_config,
)
from perflaw.paths import study_folder

SPLIT_RULES = {"leave one out": leave_one_out, "global time": global_time}
PARTS = ("settings", "grid", "overrides", "about")  # of a grid
MOST_RUNS = 1_000_000  # of a grid
RUN_BY = "run by"  # a grid that has this part belongs to the script that it names
# strengths of perturbations that change nothing
NEUTRAL_STRENGTHS = dict.fromkeys(PERTURBATIONS, 0) | {
    "sample_users": 1,
    "sample_time": 1,
    "truncate": None,
    "k_core": 1,
}
DATA_DEFAULTS = {"split": "leave one out", "data_seed": 0, "sample_log": 1}
# all settings of a run
RUN_DEFAULTS = asdict(Config()) | DATA_DEFAULTS | NEUTRAL_STRENGTHS
# settings that older tables do not have
LATER = ("sample_log", *LATER_SETTINGS)


class TrainingData(NamedTuple):
    """How the training data of a run are made from a log."""

    rule: str = "leave one out"  # of the split
    steps: tuple[tuple[str, float], ...] = ()  # perturbations of the training part, with strengths
    seed: int = 0  # of the perturbations, and of the sample
    sample: float = 1.0  # share of the log's users, taken before the split


class GridPoint(NamedTuple):
    """A run of a grid."""

    config: Config
    data: TrainingData


def preset_names() -> list[str]:
    """Return the names of the grids that come with the package.

    Examples
    --------
    >>> "tiny" in preset_names()
    True
    """
    return sorted(path.name.removesuffix(".yaml") for path in _presets().iterdir())


def _presets() -> Any:
    return resources.files("perflaw.models.sweeps") / "presets"


def read_grid(grid: str | os.PathLike | Mapping) -> dict:
    """Read a grid.

    Parameters
    ----------
    grid : path, str or mapping
        A YAML file, the name of a preset, the name of one in data/grids/ of the study, or its
        values.

    Raises
    ------
    InputError
        If there is no such grid, or the file holds none.

    Examples
    --------
    >>> sorted(read_grid("tiny"))
    ['about', 'grid', 'settings']
    """
    if isinstance(grid, Mapping):
        return dict(grid)
    path = Path(grid)
    if path.suffix or path.is_file():
        return _load_grid(path)
    presets = preset_names()
    if path.name in presets:
        with resources.as_file(_presets() / f"{path.name}.yaml") as preset:
            return _load_grid(preset)
    study_grids = _study_grids()
    if path.name in study_grids:
        return _load_grid(study_grids[path.name])
    raise InputError(
        f"there is no grid {str(grid)!r}: name a YAML file, or one of {', '.join(presets)}"
        + suggest(str(grid), [*presets, *study_grids])
    )


def _study_grids() -> dict[str, Path]:
    """Return the study's own grids by name; none outside of a clone."""
    try:
        return {path.stem: path for path in grids_folder().glob("*.yaml")}
    except InputError:
        return {}


def grids_folder() -> Path:
    """Return the folder of the study's own grids; raises InputError outside of a clone."""
    return study_folder() / "data" / "grids"


def _load_grid(path: Path) -> dict:
    values = load_yaml(path)
    if not isinstance(values, dict):
        raise InputError(
            f"{path} holds no grid; it needs a mapping with 'grid', e.g. grid: {{n_layers: [1, 2]}}"
        )
    return values


def expand_grid(grid: str | os.PathLike | Mapping) -> list[GridPoint]:
    """List the runs of a grid, in its order, each once.

    Parameters
    ----------
    grid : path, str or mapping
        What `read_grid` takes. It has

        * settings: what all runs have. Any setting of `Config`; `split` (leave one out, or global
          time); a perturbation of the training part by its name, with its strength
          (sample_users: 0.5); `sample_log`, a share of the users that is taken before the split, so
          that it is a smaller log with items and test users of its own; `data_seed`, of those.
        * grid: names and lists of values, of which every combination is a run; or a list of several
          such products.
        * overrides: a list of {where: {name: value or list}, set: {name: value}}: runs that have
          those values get these.
        * about: a text.

    Raises
    ------
    InputError
        For a name or a value that cannot be, before anything is trained; for a grid that a script
        runs.

    Examples
    --------
    >>> len(expand_grid({"grid": {"n_layers": [1, 2], "seed": [0, 1, 2]}}))
    6
    """
    title = "this grid" if isinstance(grid, Mapping) else str(grid)
    grid = read_grid(grid)
    if script := script_of(grid, title):
        raise InputError(f"{title} is run by {script}, not by perflaw sweep")
    if unknown := [name for name in grid if name not in PARTS]:
        raise InputError(
            f"a grid has no {unknown[0]!r}; it has settings, grid, overrides and about"
            + suggest(unknown[0], PARTS)
        )
    settings = check_mapping(grid.get("settings", {}), "settings")
    for name, value in settings.items():
        if isinstance(value, (list, dict)):
            raise InputError(f"settings: {name} needs one value; lists belong under grid")
    runs = [settings | values for values in combine_values(grid.get("grid", {}), "grid")]
    if not runs:
        raise InputError("grid has no runs; leave it out for one")
    overrides = grid.get("overrides", [])
    if not isinstance(overrides, list):
        raise InputError("overrides needs a list of {where: …, set: …}")
    for override in overrides:
        _apply_override(override, runs)
    return list(dict.fromkeys(grid_point(run) for run in runs))


def script_of(grid: Mapping[str, Any], title: str) -> str | None:
    """Return the script that a grid names as `run by`; None for a grid of `perflaw sweep`.

    Raises
    ------
    InputError
        If it names none where it should. `title` is what the message calls the grid.
    """
    script = grid.get(RUN_BY)
    if RUN_BY in grid and not (isinstance(script, str) and script.strip()):
        raise InputError(
            f"{title}: '{RUN_BY}' names no script; write '{RUN_BY}: scripts/NAME.py', or remove "
            "it for perflaw sweep"
        )
    return script


def check_mapping(value: Any, where: str) -> dict[str, Any]:
    """Return the value as a dict; raises InputError for what is no mapping of names."""
    if not isinstance(value, Mapping) or any(not isinstance(name, str) for name in value):
        raise InputError(f"{where} needs names and values, e.g. {where}: {{n_layers: 2}}")
    return dict(value)


def check_names(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values as a dict; raises InputError for the name of no setting."""
    if unknown := [name for name in values if name not in RUN_DEFAULTS]:
        raise InputError(
            f"a run has no {unknown[0]!r}; it has {', '.join(RUN_DEFAULTS)}"
            + suggest(unknown[0], RUN_DEFAULTS)
        )
    return dict(values)


def combine_values(products: Any, where: str) -> list[dict[str, Any]]:
    """List every combination of the values of a product, or of several in turn.

    Parameters
    ----------
    products : mapping or list of mapping
        Names with a value or a list of values.
    where : str
        The part of a grid that messages name.

    Raises
    ------
    InputError
        For what is no product, and for a name without values.

    Examples
    --------
    >>> combine_values([{"n_layers": [1, 2]}, {"seed": 3}], "grid")
    [{'n_layers': 1}, {'n_layers': 2}, {'seed': 3}]
    """
    combinations: list[dict[str, Any]] = []
    for product in products if isinstance(products, list) else [products]:
        axes = {
            name: value if isinstance(value, list) else [value]
            for name, value in check_mapping(product, where).items()
        }
        if empty := [name for name, values in axes.items() if not values]:
            raise InputError(f"{where}: {empty[0]} has no values")
        n_runs = math.prod(map(len, axes.values()))
        if len(combinations) + n_runs > MOST_RUNS:
            raise InputError(
                f"{where}: its values make {n_runs:,} combinations, and {MOST_RUNS:,} are the "
                "most; give fewer values"
            )
        combinations += [dict(zip(axes, values)) for values in itertools.product(*axes.values())]
    return combinations


def _apply_override(override: Any, runs: list[dict[str, Any]]) -> None:
    """Change, in place, the values of the runs that an override is for."""
    if not isinstance(override, Mapping) or set(override) != {"where", "set"}:
        raise InputError("an override has the two parts 'where' and 'set'")
    where = check_names(check_mapping(override["where"], "where"))
    new_values = check_mapping(override["set"], "set")
    accepted = {
        name: value if isinstance(value, list) else [value] for name, value in where.items()
    }
    matching = [
        run
        for run in runs
        if all(run.get(name, RUN_DEFAULTS[name]) in values for name, values in accepted.items())
    ]
    if not matching:
        condition = ", ".join(f"{name} {value}" for name, value in where.items())
        raise InputError(f"overrides: no run has {condition}; mend or remove that one")
    for run in matching:
        run.update(new_values)


def grid_point(values: Mapping[str, Any]) -> GridPoint:
    """Build a run from plain values by name."""
    settings = RUN_DEFAULTS | check_names(values)
    rule, seed, sample = (settings.pop(name) for name in DATA_DEFAULTS)
    if rule not in list(SPLIT_RULES):  # a list may be compared with what has no hash
        raise InputError(f"there is no split {rule!r}; use one of {', '.join(SPLIT_RULES)}")
    if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
        raise InputError(f"data_seed = {seed!r} is not usable; use a whole number, 0 or more")
    if seed > MOST_WHOLE:
        raise InputError(f"data_seed = {seed} is not usable; use at most {MOST_WHOLE:,}")
    if sample is None:
        sample = 1
    if not is_finite(sample) or not 0 < sample <= 1:
        raise InputError(
            f"sample_log = {sample!r} is not usable; "
            "use a share of the users, above 0 and at most 1"
        )
    strengths = {name: settings.pop(name) for name in PERTURBATIONS}
    for name, strength in strengths.items():
        if strength is not None and not is_finite(strength):
            raise InputError(f"{name} = {strength!r} is not usable; use a number")
    steps = tuple(
        (name, float(strength))
        for name, strength in strengths.items()
        if strength not in (None, NEUTRAL_STRENGTHS[name])
    )
    is_random = bool(steps) or sample != 1
    data = TrainingData(rule, steps, seed if is_random else 0, float(sample))
    return GridPoint(make_config(**settings), data)


# splits of the last log, by its identity: runs share a split, its hash and its entropies
_splits: dict[tuple[str, str, str], dict[TrainingData, Split]] = {}


def split_of(log: InteractionLog, data: TrainingData) -> Split:
    """Split and perturb a log, or the sample of its users; the split is kept for other runs."""
    identity = log.name, log.hash, log.order
    if identity not in _splits:
        _splits.clear()
        _splits[identity] = {}
    splits = _splits[identity]
    if data not in splits:
        splits[data] = _make_split(log, data)
    return splits[data]


def _make_split(log: InteractionLog, data: TrainingData) -> Split:
    if data.sample == 1:
        split = SPLIT_RULES[data.rule](log)
    else:
        split = SPLIT_RULES[data.rule](log.sample_users(data.sample, data.seed))
        split = replace(split, sample=(data.sample, data.seed, log.hash))
    for name, strength in data.steps:
        split = perturbations.apply(split, name, strength, data.seed)
    return split
