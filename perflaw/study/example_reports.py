"""Reports on three logs, as the page *Your log* shows them, from the tables in data/ alone.

The pilots are the small models of sweeps that were trained before, and of a log that is too small.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace

import pandas as pd

from perflaw.logs import synthetic
from perflaw.models.sweeps import results, runner
from perflaw.report import conclusions, pilot
from perflaw.report.findings import BaselineComparison, Findings
from perflaw.report.measurements import measured_from_records
from perflaw.report.sentences import summarize_advice
from perflaw.study.analysis import extrapolation, growth_prior, regret, study_runs
from perflaw.study.files import study_file

DATA_HELP, BASELINE_WINS = "amazon-beauty", "online-retail"
TOO_SMALL = "a shop with 120 users"
METRIC = "NDCG@10"


def load_pilot(log: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Load the small models of a sweep, and the larger ones.

    Parameters
    ----------
    log
        Of data/sweeps.

    Returns
    -------
    pandas.DataFrame
        The pilot.
    pandas.DataFrame
        Larger models on all data.
    """
    wanted = {"log": log, "backbone": "sasrec", "split": "leave one out", "shared_layers": False}
    runs = results.filter_runs(study_runs.load_survey_runs(), wanted)
    runs = runs[results.is_unperturbed(runs, but="sample_users")]
    is_pilot = extrapolation.is_small(runs)
    return runs[is_pilot], runs[~is_pilot & runs["sample_users"].isna()]


def report_on_sweep(log: str, seen: pd.DataFrame) -> Findings:
    """Draw the conclusions of a report from a pilot that was trained before.

    The best baseline's users are not recorded beside the models', so that its interval is that of
    a model's own standard error.

    Parameters
    ----------
    log
        Of data/sweeps.
    seen
        Its pilot.

    Returns
    -------
    Findings
        With the growth of a Markov chain.
    """
    floors = pd.read_csv(study_file("data", "floors.csv"))
    popular = floors[(floors["log"] == log) & (floors["recommender"] == "most popular")]
    floor = {name: float(popular[name].iloc[0]) for name in ("HR@10", METRIC)}
    slopes = growth_prior.load_baseline_slopes()
    whole = slopes[(slopes["share"] == 1) & (slopes["log"] == log)].iloc[0]
    measured = measured_from_records(seen, [METRIC]).set_index("key")

    def compare_best(keys: list[str], level: float) -> list[BaselineComparison]:
        value, error = measured.loc[keys, [METRIC, f"{METRIC} se"]].mean()
        baseline = regret.compare_unpaired(value, regret.load_best_baselines()[log], error)
        return [replace(baseline, name=str(whole["baseline"]))]

    growth = growth_prior.make_baseline_growth(whole)
    return conclusions.draw_conclusions(seen, floor, baselines=compare_best, baseline_growth=growth)


def report_on_small_shop() -> Findings:
    """Train the core of a pilot, of few epochs, on a log that is too small, and conclude."""
    log = synthetic.Process(n_items=400, n_interests=4).sample(120, 8, seed=1).log
    settings = pilot.SETTINGS | {"epochs": 6, "negatives": 64}
    sizes = [{"n_layers": n, "d_emb": d, "seed": seed} for n, d, seed in pilot.CORE_RUNS]
    with tempfile.TemporaryDirectory() as folder:
        runs = runner.run({"settings": settings, "grid": sizes}, log, folder, progress=False)
    return conclusions.draw_conclusions(runs)


def tabulate_examples() -> pd.DataFrame:
    """Give verdict, gain, certainty and next command of the three logs.

    Returns
    -------
    pandas.DataFrame
        A row a log.
    """
    rows = []
    for log in (DATA_HELP, BASELINE_WINS):
        pilot_runs, _ = load_pilot(log)
        findings = report_on_sweep(log, pilot_runs)
        rows.append({"log": log} | summarize_advice(findings, _command(log, findings)))
    rows.append({"log": TOO_SMALL} | summarize_advice(report_on_small_shop()))
    return pd.DataFrame(rows)


def _command(log: str, findings: Findings) -> str | None:
    size = findings.recommendation.size
    if size is None:
        return None
    return f"perflaw train {log} -o n_layers {size.n_layers} -o d_emb {size.d_emb}"
