"""Fits that withstand runs that went wrong: by consensus, on measured and on spoilt surfaces."""

from __future__ import annotations

import numpy as np
import pandas as pd

from perflaw.laws import families, fitting, robust
from perflaw.study.analysis import study_runs

SPOILT_SHARES, SPOILT_DRAWS = (0.1, 0.25), 30
SPOILT_VALUES = (0.2, 0.8)  # least and largest fraction of its value that a spoilt run keeps
NOISE_DRAWS = 60


def consensus_by_surface(table: pd.DataFrame, metric: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Fit a log-quadratic to every surface, run by run, by three losses.

    Parameters
    ----------
    table
        Surfaces, as `mean_surfaces` returns them.
    metric
        Name of the metric.

    Returns
    -------
    agreed, named
        By surface: runs, left out (by the consensus), by noise (how many it leaves out in the mean
        of draws of normal noise on the same cells), and how far the other losses are, at most,
        from least squares ("huber, %" and "consensus, %"); and the runs that were left out.
    """
    runs = study_runs.load_survey_runs()
    law = families.log_quadratic()
    random = np.random.default_rng(0)
    rows, named = [], []
    for surface, part in table[table["metric"] == metric].groupby("dataset", sort=False):
        kind = part.iloc[0][["log", "backbone", "split"]]
        own = study_runs.select_full_data_runs(runs, **kind)
        y = own[metric].to_numpy()
        fits = {loss: fitting.fit(law, own, y, loss) for loss in robust.LOSSES}
        by_squares = fits["squares"].predict(part)
        outliers = fits["consensus"].outliers
        by_noise = [
            (robust.consensus_weights(law, own, noise) == 0).sum()
            for noise in random.normal(size=(NOISE_DRAWS, len(own)))
        ]
        distances = [
            100 * np.abs(fits[loss].predict(part) / by_squares - 1).max()
            for loss in ("huber", "consensus")
        ]
        rows.append((surface, len(own), len(outliers), np.mean(by_noise), *distances))
        named.append(
            pd.DataFrame(
                {
                    "surface": surface,
                    "N": outliers["n_layers"],
                    "d": outliers["d_emb"],
                    "seed": own["seed"].reindex(outliers.index),
                    metric: outliers["value"],
                    "sd from the others": outliers["sigmas"],
                }
            )
        )
    columns = ["surface", "runs", "left out", "by noise", "huber, %", "consensus, %"]
    return pd.DataFrame(rows, columns=columns), pd.concat(named, ignore_index=True)


def spoil_and_refit(log: str, metric: str, seed: int = 0) -> pd.DataFrame:
    """Lower some runs of SASRec on a log, and fit a log-quadratic by three losses.

    Parameters
    ----------
    log
        Name of the log.
    metric
        Name of the metric.
    seed
        Of the draw of runs and of what is left of them.

    Returns
    -------
    DataFrame
        Columns "spoilt, %", fit, "off, %" (mean distance of the fit from that of the runs as they
        were) and "found, %" (spoilt runs that the consensus names).
    """
    random = np.random.default_rng(seed)
    runs = study_runs.load_survey_runs()
    own = study_runs.select_full_data_runs(runs, log=log, **study_runs.USUAL_KIND)
    law = families.log_quadratic()
    unspoilt = fitting.fit(law, own, own[metric].to_numpy()).predict(own)
    rows = []
    for share in SPOILT_SHARES:
        for _ in range(SPOILT_DRAWS):
            y = own[metric].to_numpy(copy=True)
            spoilt = random.choice(len(y), round(share * len(y)), replace=False)
            y[spoilt] *= random.uniform(*SPOILT_VALUES, len(spoilt))
            for loss in robust.LOSSES:
                fit = fitting.fit(law, own, y, loss)
                off = 100 * np.abs(fit.predict(own) / unspoilt - 1).mean()
                found = 100 * (fit.weights[spoilt] == 0).mean() if loss == "consensus" else np.nan
                rows.append((100 * share, loss, off, found))
    table = pd.DataFrame(rows, columns=["spoilt, %", "fit", "off, %", "found, %"])
    return table.groupby(["spoilt, %", "fit"], sort=False).mean().reset_index()
