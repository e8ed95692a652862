"""The prior of growth: learnt from nested samples, and tested on logs that it has not seen."""

import numpy as np
import pandas as pd
import pytest

from perflaw.report.forecast import from_log_odds
from perflaw.report.prior import load_prior
from perflaw.study.analysis import growth_prior

SHARES = (0.125, 0.25, 0.5, 1.0)


def grow_log(name, slope, seed=0, users=4000, level=0.0):
    """Runs on nested samples of a log whose log-odds rise by so much as its users double."""
    random = np.random.default_rng(seed)
    draws = [(share, draw) for share in SHARES for draw in ((0, 1) if share < 1 else (0,))]
    runs = pd.DataFrame(
        [(share, draw, d_emb) for share, draw in draws for d_emb in (16, 64)],
        columns=["share", "data_seed", "d_emb"],
    )
    runs = runs.assign(log=name, n_layers=2, tokens=100_000 * runs["share"], seed=0)
    runs["test_targets"] = users * runs["share"]
    for metric, start in (("NDCG@10", -2.0), ("HR@10", -1.0)):
        error = 0.02 / np.sqrt(runs["share"])
        y = start + level + slope * np.log2(runs["share"]) + error * random.normal(size=len(runs))
        runs[metric] = from_log_odds(y)
        runs[f"{metric} se"] = error * runs[metric] * (1 - runs[metric])
    return runs


def slope_table(slopes, se=0.01):
    """Slopes of a Markov chain, the same on each sample of a log."""
    rows = [
        {"log": log, "share": share, "draw": draw, "Markov slope": slope, "Markov slope se": se}
        for log, slope in slopes.items()
        for share in SHARES
        for draw in ((0, 1) if share < 1 else (0,))
    ]
    return pd.DataFrame(rows)


def test_more_seeds_on_the_same_users_do_not_make_a_slope_surer():
    runs = grow_log("a", 0.1)
    once, thrice = (
        growth_prior.estimate_slopes(table, slope_table({"a": 0.1}))
        for table in (runs, pd.concat([runs.assign(seed=seed) for seed in range(3)]))
    )
    pd.testing.assert_frame_equal(once, thrice)


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
    _, by_baseline, by_level, sd = learnt["growth"]
    assert abs(by_baseline - 0.5) < 0.12
    assert abs(by_level) < 0.05
    mean, spread = learnt["baseline growth"]
    assert abs(mean - 0.2) < 1e-6
    assert sd < spread


def test_the_prior_learns_that_high_levels_rise_less():
    levels = dict(zip("abcdefghijkl", np.linspace(-1.5, 1.5, 12)))
    runs = [
        grow_log(name, 0.2 - 0.08 * level, seed, level=level)
        for seed, (name, level) in enumerate(levels.items())
    ]
    slopes = growth_prior.estimate_slopes(pd.concat(runs), slope_table(dict.fromkeys(levels, 0.1)))
    *_, by_level, _ = growth_prior.learn_growth(slopes)["growth"]
    assert abs(by_level + 0.08) < 0.02


def test_a_log_without_a_baseline_teaches_nothing(logs):
    slopes = growth_prior.estimate_slopes(*logs)
    lacking = slopes.assign(b=slopes["b"].where(slopes.index != "l"))
    assert growth_prior.learn_growth(lacking) == growth_prior.learn_growth(slopes.drop(index="l"))


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
    learnt = {"growth": (0.5, 1.0, 0.0, 0.3), "baseline growth": (0.1, 1.0)}
    runs = grow_log("a", 1.0)
    scored = growth_prior.score_growth(
        pd.concat([runs, grow_log("b", 0.9, 1), grow_log("c", 1.1, 2), grow_log("d", 1.0, 3)]),
        slope_table({"a": 2.0, "b": 2.0, "c": 2.0, "d": 2.0}),
        {"a": dict(load_prior()) | learnt},
    )
    assert scored["high"].max() < 1


@pytest.mark.integration
def test_the_stored_table_is_that_of_the_runs():
    """Run scripts/growth_prior.py again where this fails."""
    stored = pd.read_csv(growth_prior.study_file("data", "growth_forecasts.csv"))
    runs = growth_prior.load_growth_runs()
    steps = [step for step, _, _ in growth_prior.list_steps(runs)]
    keys = ["log", "share", "draw", "times"]
    assert len(stored[keys].drop_duplicates()) == len(pd.DataFrame(steps)[keys])
