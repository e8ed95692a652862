"""Laws on the surfaces of the study's own models, beside baselines and noise ceilings."""

from __future__ import annotations

import pandas as pd

from perflaw.laws import families, fitting, validation
from perflaw.study.analysis import seed_noise, study_runs
from perflaw.study.intervals import compare_with_reference, mean_over_logs
from perflaw.study.trained_cells import BEST, NEAREST, trained_cell_errors

LOUDEST, FEWEST_CELLS = 20.0, 12  # per cent of noise between seeds, and cells of a surface
SHOWN_LAWS = ("Performance Law, k = 2", "sum of powers")


def clear_surfaces(table: pd.DataFrame, metric: str = "NDCG@10") -> list[str]:
    """List the surfaces to which laws are fitted: enough cells, and seeds that differ by little.

    Parameters
    ----------
    table
        As `mean_surfaces` returns it.
    metric
        Name of the metric whose noise counts.
    """
    cells = table[table["metric"] == metric].groupby("dataset", sort=False).size()
    noise = seed_noise.seed_sd_by_surface(table, metric)
    return [name for name in cells.index if cells[name] >= FEWEST_CELLS and noise[name] < LOUDEST]


def r2_beside_ceiling(table: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Fit `SHOWN_LAWS` to every surface of one metric, and put the noise ceiling beside R².

    Parameters
    ----------
    table
        As `mean_surfaces` returns it.
    metric
        Name of the metric.

    Returns
    -------
    DataFrame
        Columns dataset, law, r2 and noise ceiling.
    """
    surfaces = table[table["metric"] == metric].reset_index(drop=True)
    ceiling = _ceilings(surfaces, metric)
    rivals = families.rival_laws()
    rows = [
        (key[0], name, fit.r2, ceiling[key[0]])
        for name in SHOWN_LAWS
        for key, fit in fitting.fit_surfaces(rivals[name], surfaces, ["dataset"]).items()
    ]
    return pd.DataFrame(rows, columns=["dataset", "law", "r2", "noise ceiling"])


def _ceilings(surfaces: pd.DataFrame, metric: str) -> pd.Series:
    noise = seed_noise.seed_sd_by_surface(surfaces, metric)
    return seed_noise.r2_noise_ceiling(surfaces, noise)


def mean_noise(table: pd.DataFrame, metric: str) -> float:
    """Average over logs how far seed noise alone puts a cell's mean off, in per cent."""
    noise = seed_noise.noise_of_means(table, metric)
    by_surface = noise.groupby([table["log"], table["dataset"]]).mean()
    return float(by_surface.groupby(level="log").mean().mean())


def compare_with_baselines(
    table: pd.DataFrame, metric: str, bound: float | None = None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Compare laws and baselines on every surface, in sample and on hidden cells.

    Parameters
    ----------
    table
        As `mean_surfaces` returns it.
    metric
        Name of the metric.
    bound
        As for `families.rival_laws`.

    Returns
    -------
    by_surface, means
        By surface: the columns of `validation.compare_laws` with log and noise ceiling; baselines
        have neither parameters nor R², and of a loss only the nearest cell is one. Means over logs
        of parameters, r2, noise ceiling and the errors, by law (see
        `study_runs.average_comparison`).
    """
    surfaces = table[table["metric"] == metric].reset_index(drop=True)
    laws = validation.compare_laws(families.rival_laws(bound), surfaces, ["dataset", "metric"])
    # the best cell of a loss is its least, which `BEST` is not
    names = (NEAREST,) if metric == "log-loss" else (NEAREST, BEST)
    errors = trained_cell_errors(surfaces, ["dataset", "metric"], names)
    by_surface = pd.concat([laws, errors], ignore_index=True)
    by_surface["noise ceiling"] = by_surface["dataset"].map(_ceilings(surfaces, metric))
    logs = surfaces.drop_duplicates("dataset").set_index("dataset")["log"]
    by_surface["log"] = by_surface["dataset"].map(logs)
    means = study_runs.average_comparison(by_surface)
    ceilings = mean_over_logs(by_surface, ["noise ceiling"], ["law"])
    means.insert(2, "noise ceiling", ceilings["noise ceiling"])
    return by_surface, means.reset_index()


def differences(by_surface: pd.DataFrame, reference: str, level: float = 0.9) -> pd.DataFrame:
    """Compare each law's errors on hidden cells with those of a reference.

    Parameters
    ----------
    by_surface
        As `compare_with_baselines` returns it.
    reference
        Name of a law or baseline.
    level
        Level of the intervals, which are over logs.

    Returns
    -------
    DataFrame
        Index law and split (of HIDDEN_CELLS); columns mean (error of the law less that of the
        reference, in points of per cent), low, high and logs. Surfaces without an entry of the law
        take no part.
    """
    parts = [
        compare_with_reference(by_surface, "law", split, reference, ["dataset"], level).assign(
            split=split
        )
        for split in study_runs.HIDDEN_CELLS
    ]
    return pd.concat(parts).set_index(["law", "split"])


def summarise_joint(hidden: pd.DataFrame) -> pd.DataFrame:
    """Summarise hidden cells of jointly fitted laws.

    Parameters
    ----------
    hidden
        As `mixed_validation.mixed_heldout` returns it, of one metric, with the column log.

    Returns
    -------
    DataFrame
        Columns law, mean error over logs (per cent) by split, and the per cent of cells inside
        their interval: "covered, left out" (each cell hidden in turn) and "covered, beyond" (the
        largest hidden).
    """
    means = validation.mean_errors(hidden, ["log", "dataset"], log="log")
    errors = means.pivot(index="law", columns="split", values="mape")
    errors = errors.loc[hidden["law"].unique(), hidden["split"].unique()]
    is_in_turn = hidden["split"] == validation.LEAVE_ONE_OUT
    for name, rows in (("left out", hidden[is_in_turn]), ("beyond", hidden[~is_in_turn])):
        errors[f"covered, {name}"] = 100 * rows.groupby("law")["covered"].mean()
    return errors.rename_axis(columns=None).reset_index()
