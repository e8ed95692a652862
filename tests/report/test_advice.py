"""One advice: what is compared with what, and when nothing is to be trained."""

import re

import pytest
from simulated_pilots import FLOOR, simulate_pilot

from perflaw.report import conclusions
from perflaw.report.advice import name_step
from perflaw.report.findings import Advice, BaselineComparison, Size
from perflaw.report.prior import load_prior
from perflaw.report.sentences import summarize_advice

WIDE = {  # other logs have little say
    **load_prior(),
    "b_T": (0.1, 0.2),
    "b_N": (0.0, 0.1),
    "b_d": (0.0, 0.1),
    "G": (0.1, 0.2),
}
FLAT = dict.fromkeys(("c_T", "f_dT", "e_dN", "c_N", "b_T"), 0.0)


def grow(slope, sd):
    """A prior by which every log rises alike."""
    return {"growth": (slope, 0.0, 0.0, sd), "baseline growth": (0.0, 0.1)}


def compare(low, high, name="last items"):
    return BaselineComparison(name, "NDCG@10", 0.1, (low + high) / 2, low, high)


def advise(fixed, baselines=(), **prior):
    runs = simulate_pilot(0, 0.01, cell=0.0, **FLAT | fixed)
    return conclusions.draw_conclusions(runs, FLOOR, prior=WIDE | prior, baselines=baselines)


def test_a_dimension_that_helps_is_raised():
    findings = advise({"G": 0.3, "b_d": 0.3, "b_N": 0.0})
    assert findings.recommendation.advice == Advice.LARGER_DIMENSION
    assert findings.recommendation.size.d_emb == 64
    promising = findings.recommendation.promising
    ratio = promising.value / promising.best_value
    assert 100 * (ratio - 1) == pytest.approx(promising.gain.change, abs=0.2)
    assert findings.says[0].startswith("Train N = ")


def test_depth_that_helps_is_raised():
    findings = advise({"G": 0.0, "b_d": -0.3, "b_N": 0.3})
    assert findings.recommendation.advice == Advice.DEEPER
    assert findings.recommendation.size.n_layers == 6


def test_where_size_hurts_nothing_is_trained():
    findings = advise({"G": 0.0, "b_d": -0.3, "b_N": -0.3})
    assert findings.recommendation.advice == Advice.STAY
    assert findings.recommendation.size is None
    assert "there is nothing to train" in findings.says[0]


HURTS = {"G": 0.0, "b_d": -0.3, "b_N": -0.3}


def test_where_growth_is_what_helps_it_says_so():
    findings = advise(HURTS, **grow(0.3, 0.05))
    assert findings.recommendation.advice == Advice.MORE_DATA
    assert "2 times as many users" in " ".join(findings.says)


@pytest.mark.parametrize("prior", [{}, grow(0.1, 0.2)])
def test_more_interactions_of_the_same_users_are_no_reason_to_get_data(prior):
    findings = advise(HURTS | {"b_T": 0.4}, **prior)
    assert findings.recommendation.advice == Advice.STAY


def test_growth_stays_below_one():
    runs = simulate_pilot()
    high = runs.assign(**{"NDCG@10": 0.9 + 0.05 * runs["NDCG@10"], "HR@10": 0.95})
    prior = WIDE | grow(2.0, 0.1)
    findings = conclusions.draw_conclusions(high, FLOOR, prior=prior)
    assert findings.growth[1].high < 100 * (1 / 0.88 - 1)


def test_growth_doubles_in_log_odds():
    prior = WIDE | grow(0.1, 1e-6)
    growth = conclusions.draw_conclusions(simulate_pilot(), FLOOR, prior=prior).growth
    assert [one.times for one in growth] == [2, 4]
    assert 5 < growth[0].change < 10.6  # e^0.1 where rates are small, less where they are not
    assert growth[1].change > 1.8 * growth[0].change


@pytest.mark.integration
def test_the_gain_compares_two_forecasts_not_a_measurement():
    runs = simulate_pilot(1, 0.05, G=0.05, b_d=0.0, b_N=0.0)
    lucky = (runs["n_layers"] == 3) & (runs["d_emb"] == 32) & (runs["seed"] == 0)
    before = conclusions.draw_conclusions(runs, FLOOR).recommendation.promising
    runs.loc[lucky, ["NDCG@10", "HR@10"]] *= 1.15
    after = conclusions.draw_conclusions(runs, FLOOR).recommendation.promising
    # One lucky run of 15 % moves what a larger size is worth against it by much less.
    assert abs(after.gain.change - before.gain.change) < 5


@pytest.mark.parametrize(("low", "high"), [(-0.01, 0.01), (-0.02, -0.01)])
def test_a_baseline_within_noise_of_the_model_is_the_headline(low, high):
    findings = advise({"G": 0.3, "b_d": 0.3, "b_N": 0.0}, [compare(low, high)])
    assert findings.recommendation.advice == Advice.NO_TRANSFORMER
    assert findings.says[0].startswith("No transformer: the baseline “last items”")
    assert ("better than" in findings.says[0]) == (high < 0)


def test_a_baseline_that_is_worse_does_not_change_the_advice():
    findings = advise({"G": 0.3, "b_d": 0.3, "b_N": 0.0}, [compare(0.01, 0.02)])
    assert findings.recommendation.advice == Advice.LARGER_DIMENSION


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (Size(2, 64), Advice.LARGER_DIMENSION),
        (Size(1, 64), Advice.LARGER_DIMENSION),
        (Size(4, 32), Advice.DEEPER),
        (Size(4, 64), Advice.LARGER_AND_DEEPER),
        (Size(1, 32), Advice.SMALLER),
    ],
)
def test_a_step_is_called_by_what_grows(size, expected):
    assert name_step(Size(2, 32), size) == expected


@pytest.mark.parametrize(
    ("fixed", "baselines", "verdict", "command"),
    [
        (
            {"G": 0.3, "b_d": 0.3, "b_N": 0.0},
            (),
            r"train \d layers? \(N\) of dimension \d+ \(d\): larger dimension",
            "go",
        ),
        (
            {"G": 0.0, "b_d": -0.3, "b_N": -0.3},
            (),
            r"stay with \d layers? \(N\) of dimension \d+ \(d\)",
            None,
        ),
        (
            {"G": 0.3, "b_d": 0.3, "b_N": 0.0},
            [compare(-0.01, 0.01)],
            "no transformer: “last items”, which is not trained, is as good or better",
            None,
        ),
    ],
)
def test_the_headline_says_verdict_gain_certainty_and_next(fixed, baselines, verdict, command):
    headline = summarize_advice(advise(fixed, baselines), command)
    assert list(headline) == ["Verdict", "Gain", "Certainty", "Next"]
    assert re.fullmatch(verdict, headline["Verdict"])
    assert headline["Next"] == (command or "nothing to train")
    assert "%" in headline["Gain"] + headline["Certainty"]


def test_where_growth_helps_the_headline_says_how_much():
    headline = summarize_advice(advise(HURTS, **grow(0.3, 0.05)))
    verdict = "more data before a larger model, if your log grows as other logs did"
    assert headline["Verdict"] == verdict
    assert headline["Gain"].endswith("with twice as many users")


def test_where_nothing_is_claimed_the_headline_says_why():
    findings = conclusions.draw_conclusions(simulate_pilot().head(3))
    headline = summarize_advice(findings)
    assert headline["Verdict"].startswith("nothing can be said: too little was run")
    assert headline["Next"] == "more runs; call again with them"


def test_where_users_are_lacking_more_runs_are_not_advised():
    findings = conclusions.draw_conclusions(simulate_pilot().assign(test_targets=60), FLOOR)
    assert summarize_advice(findings)["Next"].startswith("nothing to train: more test users")


def test_where_no_command_can_be_given_the_size_to_train_is_next():
    headline = summarize_advice(advise({"G": 0.3, "b_d": 0.3, "b_N": 0.0}, ()))
    assert headline["Next"].startswith("train N = ")
