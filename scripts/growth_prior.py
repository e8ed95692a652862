"""Test what reports say of a log that grows, and write data/growth_forecasts.csv.

    python scripts/growth_prior.py                   # from the tables in data/
    python scripts/growth_prior.py --slopes LOG ...  # rows of data/growth_slopes.csv, from the logs

A forecast from the runs on a sample of a log is compared with runs on samples twice, four and
eight times as large. Its prior has not seen the log. data/growth_slopes.csv says which baseline is
the best of each sample, and what baselines gain as the users double; for that the logs have to be
in the folder PERFLAW_DATA.
`python scripts/forecast.py` learns the prior of the package by the same functions.
"""

from collections.abc import Sequence

import forecast as forecasts
import pandas as pd

from perflaw.logs import datasets
from perflaw.logs.interaction_log import InteractionLog
from perflaw.logs.splits import leave_one_out
from perflaw.models.baselines import measure_growth, rank_baselines
from perflaw.study import script_command
from perflaw.study.analysis import growth_prior
from perflaw.study.files import study_file

DRAWS = {0.0625: 2, 0.125: 2, 0.25: 8, 0.5: 8, 1.0: 1}  # of samples, by share of the users
SLOPES = {"Markov": "first-order Markov", "item-kNN": "item-kNN", "popular": "most popular"}


def measure_slopes(name: str, log: InteractionLog) -> pd.DataFrame:
    """Measure what baselines gain on nested samples of a log."""
    rows = []
    for share, n_draws in DRAWS.items():
        for draw in range(n_draws):
            part = log.sample_users(share, draw).compact() if share < 1 else log
            ranked = rank_baselines(part)
            values = {one: metrics["NDCG@10"] for one, metrics in ranked.metrics().items()}
            best = max(values, key=lambda one: values[one])
            row = {"log": name, "share": share, "draw": draw, "users": part.n_users}
            row |= {"baseline": best, "NDCG@10": values[best]}
            split = leave_one_out(part)
            for label, baseline in SLOPES.items():
                growth = measure_growth(split, ranked, baseline)
                row[f"{label} slope"] = growth and growth.slope
                row[f"{label} slope se"] = growth and growth.se
            rows.append(row)
    return pd.DataFrame(rows)


def replace_slopes(names: Sequence[str]) -> None:
    """Measure the slopes of logs, and write them over what the table has of these logs."""
    path = study_file("data", "growth_slopes.csv")
    known = growth_prior.load_baseline_slopes()
    logs = {name: datasets.load_log(name) for name in names}
    tables = [known[~known["log"].isin(names)], *map(measure_slopes, logs.keys(), logs.values())]
    table = pd.concat(tables, ignore_index=True).sort_values(["log", "share", "draw"])
    table.to_csv(path, index=False, float_format="%.6g", lineterminator="\n")


def main(slopes: Sequence[str] | None) -> None:
    """Write the tables, and print a summary by metric, and by log; or measure slopes of logs."""
    if slopes:
        replace_slopes(slopes)
        return
    write_forecasts()


def write_forecasts() -> None:
    """Write the table of forecasts, and print a summary by metric, and by log."""
    runs = growth_prior.load_growth_runs()
    slopes = growth_prior.load_baseline_slopes()
    print(growth_prior.estimate_slopes(runs, slopes).round(3))
    sweeps = forecasts.surfaces()
    priors = {
        log: forecasts.learn([other for (name, _), other in sweeps.items() if name != log])
        for log in runs["log"].unique()
    }
    rows = growth_prior.score_growth(runs, slopes, priors)
    path = study_file("data", "growth_forecasts.csv")
    rows.to_csv(path, index=False, float_format="%.6g", lineterminator="\n")
    for metric, part in rows.groupby("metric"):
        print(metric, growth_prior.summarize_steps(part).round(3).to_string(), sep="\n")
    ndcg = rows[(rows["metric"] == "NDCG@10") & (rows["times"] == 4)]
    for log, part in ndcg.groupby("log"):
        print(log, growth_prior.summarize_steps(part).round(3).to_string(index=False, header=False))


if __name__ == "__main__":
    pd.set_option("display.width", 250)
    parser = script_command.make_parser(__doc__)
    parser.add_argument("--slopes", nargs="+", metavar="LOG", help="measure these logs instead")
    script_command.run_main(main, parser)
