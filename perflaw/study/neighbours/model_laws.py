"""The study's laws on other kinds of model: surfaces of LightGCN and DiffuRec, and hidden cells.

N is the number of LightGCN's propagations, which adds no parameter, and of DiffuRec's blocks. A law
takes its logarithm, so matrix factorisation, LightGCN with N = 0, takes no part in fits and
predictions. That was settled before any was made.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from perflaw.laws import fitting
from perflaw.study import public_grids
from perflaw.study.analysis import seed_noise, study_runs
from perflaw.study.intervals import to_percent
from perflaw.study.neighbours import model_grids
from perflaw.study.neighbours.grid_runs import read_table

LAWS = ("log-linear", "log-quadratic", "sum of power laws", "Performance Law, k = 2")
HIDDEN = ("largest d", "largest N")
NOISE = "seed noise alone"


def load_rows(model: str) -> pd.DataFrame:
    """Load the rows at the learning rate chosen for each log, by the ranking rule of record.

    Parameters
    ----------
    model : str
        One of `model_grids.MODELS`. Of DiffuRec's rows those with the diffusion steps of the
        tuning are taken.
    """
    grid = model_grids.MODELS[model].grid
    rows = read_table(grid.replace("-", "_")).assign(model=model)
    cell = model_grids.read_grid(model).cell
    if "n_steps" in cell:
        rows = rows[rows["n_steps"] == cell["n_steps"]]
    rates = {log: model_grids.choose_rate(rows, log, cell) for log in rows["log"].unique()}
    at_rate = rows[rows["learning_rate"] == rows["log"].map(rates)]
    return study_runs.apply_ranking_rule(at_rate).reset_index(drop=True)


def mean_cells(rows: pd.DataFrame, metric: str = "NDCG@10") -> pd.DataFrame:
    """Average a metric over seeds.

    Returns
    -------
    pandas.DataFrame
        One row a cell: log, n_layers, d_emb, value, sd (between seeds) and seeds; and what names
        a surface elsewhere: dataset, backbone (the model) and split.
    """
    groups = rows.groupby(["log", "model", "n_layers", "d_emb"])[metric]
    cells = groups.agg(value="mean", sd="std", seeds="size").reset_index()
    cells = cells.rename(columns={"model": "backbone"})
    return cells.assign(dataset=cells["log"], split="leave one out")


def seed_sd(cells: pd.DataFrame) -> pd.Series:
    """Estimate the standard deviation of one run between seeds, by log, in per cent.

    cells: what `mean_cells` returns.
    """
    return seed_noise.seed_sd_by_log(cells.rename(columns={"value": "NDCG@10"}))


def layer_gains(cells: pd.DataFrame, level: float = 0.9) -> pd.DataFrame:
    """Estimate what each further layer changes, in the mean over d, from N = 0 on.

    Parameters
    ----------
    cells : pandas.DataFrame
        What `mean_cells` returns.
    level : float
        Of Student's intervals, from the noise between seeds.

    Returns
    -------
    pandas.DataFrame
        One row a log and step, as `seed_noise.marginal_gains` gives them, but change, low and high
        in per cent.
    """
    steps = seed_noise.marginal_gains(cells.rename(columns={"value": "NDCG@10"}), level=level)
    gains = steps[steps["axis"] == "n_layers"].reset_index(drop=True)
    ends = ["change", "low", "high"]
    gains[ends] = gains[ends].map(to_percent)
    return gains


def score_laws(cells: pd.DataFrame, bound: float = 1.0) -> pd.DataFrame:
    """Predict the largest d and the largest N of each log by laws and baselines.

    Parameters
    ----------
    cells : pandas.DataFrame
        What `mean_cells` returns; N = 0 is left out.
    bound : float
        Every exponent is within ± this.

    Returns
    -------
    pandas.DataFrame
        One row a log, hidden part and rule: ape, the mean absolute percentage error over hidden
        cells. The rule `NOISE` is what an exact law would err by: the mean absolute value of a
        normal variable with the deviation of a hidden cell's mean.
    """
    candidates = public_grids.candidate_laws(bound)
    laws = {name: candidates[name] for name in LAWS}
    propagated = cells[cells["n_layers"] > 0]
    predictions = public_grids.predict_hidden(propagated, laws, HIDDEN)
    errors = predictions.groupby(["log", "hidden", "law"], sort=False)["ape"].mean().reset_index()
    hidden = predictions[predictions["law"] == LAWS[0]].merge(
        propagated[["log", "n_layers", "d_emb", "seeds"]]
    )
    sd = hidden["log"].map(seed_sd(propagated)) / np.sqrt(hidden["seeds"])
    noise = seed_noise.MEAN_ABSOLUTE_NORMAL * sd.groupby([hidden["log"], hidden["hidden"]]).mean()
    rows = noise.rename("ape").reset_index().assign(law=NOISE)
    return pd.concat([errors, rows], ignore_index=True)


def score_fits(cells: pd.DataFrame) -> pd.DataFrame:
    """Fit each law to all cells of a log with N ≥ 1.

    Returns
    -------
    pandas.DataFrame
        Index law, a column of R² for each log; the last row is the R² that the true law would
        have, given the noise between seeds.
    """
    propagated = cells[cells["n_layers"] > 0]
    candidates = public_grids.candidate_laws()
    by_log = {
        log: {name: fitting.fit(candidates[name], surface, surface["value"]).r2 for name in LAWS}
        for log, surface in propagated.groupby("log")
    }
    ceiling = seed_noise.r2_noise_ceiling(propagated, seed_sd(propagated))
    return pd.concat([pd.DataFrame(by_log), ceiling.to_frame("noise ceiling").T])
