"""The prior of growth: learnt from nested samples, and tested on logs that it has not seen."""

import numpy as np
import pandas as pd
import pytest

from perflaw.report.forecast import from_log_odds
from perflaw.report.prior import load_prior
from perflaw.study.analysis import growth_prior

SHARES = (0.125, 0.25, 0.5, 1.0)


def grow_log(name, slope, seed=0, users=4000):
    """Runs on nested samples of a log whose log-odds rise by so much as its users double."""
    random = np.random.default_rng(seed)
    draws = [(share, draw) for share in SHARES for draw in ((0, 1) if share < 1 else (0,))]
    runs = pd.DataFrame(
        [(share, draw, d_emb) for share, draw in draws for d_emb in (16, 64)],
        columns=["share", "data_seed", "d_emb"],
    )
    runs = runs.assign(log=name, n_layers=2, tokens=100_000 * runs["share"], seed=0)
    runs["test_targets"] = users * runs["share"]
    for metric, level in (("NDCG@10", -2.0), ("HR@10", -1.0)):
        error = 0.02 / np.sqrt(runs["share"])
        y = level + slope * np.log2(runs["share"]) + error * random.normal(size=len(runs))
        runs[metric] = from_log_odds(y)
        runs[f"{metric} se"] = error * runs[metric] * (1 - runs[metric])
    return runs


def slope_table(slopes):
    """Slopes of the best baseline, the same on each sample of a log."""
    rows = [
        {"log": log, "share": share, "draw": draw, "slope": slope}
        for log, slope in slopes.items()
        for share in SHARES
        for draw in ((0, 1) if share < 1 else (0,))
    ]
    return pd.DataFrame(rows)


@pytest.fixture(scope="module")
def logs():
    """Twelve logs that rise by half of what their best baseline does, and a bit."""
    baselines = dict(zip("abcdefghijkl", np.linspace(0, 0.4, 12)))
    runs = [
        grow_log(name, 0.04 + 0.5 * slope, seed)
        for seed, (name, slope) in enumerate(baselines.items())
    ]
    return pd.concat(runs, ignore_index=True), slope_table(baselines)


def test_slopes_are_those_of_the_runs(logs):
    slopes = growth_prior.estimate_slopes(*logs)
    assert np.abs(slopes["θ"] - 0.04 - 0.5 * slopes["b"]).max() < 0.05


def test_the_prior_learns_what_a_baseline_says(logs):
    learnt = growth_prior.learn_growth(growth_prior.estimate_slopes(*logs))
    intercept, share, sd = learnt["growth by baseline"]
    assert abs(intercept - 0.04) < 0.03
    assert abs(share - 0.5) < 0.12
    assert sd < learnt["growth"][1]


def test_without_baselines_only_the_mean_is_learnt(logs):
    slopes = growth_prior.estimate_slopes(*logs).assign(b=np.nan)
    assert set(growth_prior.learn_growth(slopes)) == {"growth"}


def test_growth_of_few_logs_is_not_learnt(logs):
    assert growth_prior.learn_growth(growth_prior.estimate_slopes(*logs).head(2)) == {}


def test_steps_lead_to_samples_that_hold_the_smaller_one(logs):
    runs, _ = logs
    for step, seen, larger in growth_prior.list_steps(runs[runs["log"] == "a"]):
        assert seen["data_seed"].eq(step["draw"]).all()
        assert larger["share"].eq(step["share"] * step["times"]).all()
        assert (larger["data_seed"].eq(step["draw"]) | larger["share"].eq(1)).all()


@pytest.mark.integration
def test_growth_is_predicted_on_logs_left_out(logs):
    runs, baselines = logs
    names = ["b", "e", "k"]
    scored = growth_prior.score_growth(runs, baselines, dict.fromkeys(names, load_prior()))
    assert set(scored["log"]) == set(names)
    errors = {
        name: np.abs(np.log(scored[name] / scored["value"])).mean()
        for name in ("predicted", "unchanged")
    }
    assert errors["predicted"] < 0.7 * errors["unchanged"]
    assert scored["covered"].mean() > 0.85


@pytest.mark.integration
def test_no_growth_reaches_one():
    learnt = {"growth": (0.5, 0.3), "growth by baseline": (0.1, 1.0, 0.3)}
    runs = grow_log("a", 1.0)
    scored = growth_prior.score_growth(
        pd.concat([runs, grow_log("b", 0.9, 1), grow_log("c", 1.1, 2), grow_log("d", 1.0, 3)]),
        slope_table({"a": 2.0, "b": 2.0, "c": 2.0, "d": 2.0}),
        {"a": dict(load_prior()) | learnt},
    )
    assert scored["high"].max() < 1


def test_the_stored_table_is_that_of_the_runs():
    """Run scripts/growth_prior.py again where this fails."""
    stored = pd.read_csv(growth_prior.study_file("data", "growth_forecasts.csv"))
    runs = growth_prior.load_growth_runs()
    steps = [step for step, _, _ in growth_prior.list_steps(runs)]
    keys = ["log", "share", "draw", "times"]
    assert len(stored[keys].drop_duplicates()) == len(pd.DataFrame(steps)[keys])
