"""The regret of advice: what is compared, on sweeps whose best step is known."""

import pandas as pd
import pytest
from simulated_pilots import simulate_pilot

from perflaw.report.prior import load_prior
from perflaw.study.analysis import regret

FLAT = dict.fromkeys(("c_T", "f_dT", "e_dN", "c_N", "b_T", "b_N"), 0.0)
CELLS = [(n, d, seed, 1.0) for n in (1, 2, 3, 6) for d in (8, 16, 32, 64) for seed in (0, 1)]


def score(baseline, **fixed):
    runs = simulate_pilot(0, 0.01, cell=0.0, cells=CELLS, **FLAT | fixed)
    runs = runs.assign(sample_users=None)
    sweeps = {("shop", "sampled_softmax"): runs}
    return regret.score_advice(sweeps, {"shop": load_prior()}, {"shop": baseline})


@pytest.mark.integration
def test_where_the_dimension_helps_the_advice_has_no_regret():
    scored = score(0.001, G=0.3, b_d=0.2)
    assert (scored["regret of advised"] < scored["regret of stay"]).all()
    assert scored["regret of larger d"].abs().max() < 3


@pytest.mark.integration
def test_where_a_baseline_is_best_it_is_advised():
    scored = score(0.99, G=0.3, b_d=0.2)
    assert set(scored["advice"]) == {"no transformer"}
    assert (scored["regret of advised"] == 0).all()
    assert (scored["best"] == "baseline").all()


@pytest.mark.integration
def test_where_size_hurts_staying_has_no_regret():
    scored = score(0.001, G=0.0, b_d=-0.3)
    assert scored["regret of stay"].max() < 3
    assert scored["stay within noise"].all()


def test_intervals_are_over_logs():
    scored = pd.DataFrame({"log": ["a", "a", "b"]})
    for policy, values in {"advised": (1, 3, 4), "stay": (5, 7, 8), "larger d": (2, 2, 2)}.items():
        scored[f"regret of {policy}"] = values
        scored[f"{policy} within noise"] = [True, False, True]
    summary = regret.summarize_regret(scored).set_index("policy")
    assert summary.loc["advised", "regret, %"] == pytest.approx(3.0)  # of 2 and 4
    assert summary.loc["advised minus stay", "regret, %"] == pytest.approx(-4.0)
    assert summary.loc["advised minus stay", "high"] == pytest.approx(-4.0)
    assert summary.loc["advised", "low"] == pytest.approx(3 - 6.314, abs=0.01)
    assert summary.loc["stay", "within noise"] == pytest.approx(2 / 3)
