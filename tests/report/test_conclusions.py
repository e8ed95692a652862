"""What is concluded from the runs of a log, and where nothing is."""

import json
import re

import numpy as np
import pytest
from simulated_pilots import FLOOR, simulate_pilot

from perflaw.errors import InputError
from perflaw.models.sweeps import results
from perflaw.report import conclusions
from perflaw.report.findings import METRICS, Advice, Verdict
from perflaw.report.prior import load_prior
from perflaw.report.sentences import summarize_advice


def test_findings_are_plain_values_in_json(findings):
    values = findings.to_dict()
    assert json.loads(json.dumps(values, allow_nan=False)) == values


def test_findings_do_not_depend_on_the_order_of_runs(findings):
    shuffled = simulate_pilot().sample(frac=1, random_state=1)
    assert conclusions.draw_conclusions(shuffled, FLOOR).to_dict() == findings.to_dict()


def test_a_pilot_that_agrees_gives_no_reason_against_it(findings):
    assert findings.runs == 22
    assert not findings.reasons
    assert not findings.left_out


@pytest.mark.parametrize("metric", METRICS)
def test_each_metric_is_forecast(findings, metric):
    one = findings.metrics[metric]
    cells = set(one.predictions[["n_layers", "d_emb", "data"]].itertuples(index=False, name=None))
    best = findings.best
    assert cells >= {(12, 128, 1), (best.n_layers, best.d_emb, 4)}
    assert (one.predictions["low"] < one.predictions["predicted"]).all()
    assert (one.predictions["predicted"] < one.predictions["high"]).all()
    assert one.curves["tokens"]["x"].iloc[-1] == pytest.approx(4)
    assert one.curves["d_emb"]["x"].iloc[-1] == pytest.approx(128)
    assert not one.laws["log-linear"].empty
    assert not one.laws["Performance Law, k = 2"].empty


def test_the_forecast_of_the_best_size_stands_beside_its_measurement(findings):
    size = f"N = {findings.best.n_layers}, d = {findings.best.d_emb}"
    assert size in findings.says[1]
    assert "by the forecast" in findings.says[1]
    assert "four times the largest" in findings.says[1]


def test_findings_show_their_sentences(findings):
    assert findings.says[0] in repr(findings)
    assert findings._repr_html_().count("<p>") == len(findings.says)


def test_a_law_that_the_runs_do_not_determine_says_nothing():
    runs = simulate_pilot()
    laws = conclusions.draw_conclusions(runs[runs["n_layers"] < 3]).metrics["NDCG@10"].laws
    assert not laws["log-linear"].empty
    assert laws["Performance Law, k = 2"].empty


FLAT = {"c_T": 0.0, "f_dT": 0, "e_dN": 0}
BOTTLENECKS = [
    (FLAT | {"b_T": 0.35, "G": 0.05, "b_N": 0.0, "c_N": 0}, 0.02, Verdict.DATA),
    (FLAT | {"b_T": 0.0, "G": 0.1, "b_d": 0.15, "b_N": 0.1, "c_N": 0}, 0.02, Verdict.MODEL),
    (
        FLAT | {"b_T": -0.1, "G": 0.02, "b_d": -0.06, "b_N": -0.1, "c_N": -0.01},
        0.04,
        Verdict.NEITHER,
    ),
]


@pytest.mark.integration
@pytest.mark.parametrize(("fixed", "error", "verdict"), BOTTLENECKS)
def test_the_bottleneck_is_found_where_it_is_plain(fixed, error, verdict):
    wide = {  # other logs have little say
        **load_prior(),
        "b_T": (0.1, 0.2),
        "b_N": (0.0, 0.1),
        "b_d": (0.0, 0.1),
        "G": (0.1, 0.2),
    }
    found = [
        conclusions.draw_conclusions(simulate_pilot(seed, error, **fixed), prior=wide).bottleneck
        for seed in range(4)
    ]
    assert sum(one.verdict == verdict for one in found) >= 2
    assert {one.verdict for one in found} <= {verdict, Verdict.UNKNOWN}
    assert all(one.chance >= 0.9 for one in found if one.verdict == verdict)


def test_without_runs_on_less_data_the_data_is_not_judged():
    runs = simulate_pilot()
    bottleneck = conclusions.draw_conclusions(
        runs[runs["tokens"] == runs["tokens"].max()]
    ).bottleneck
    assert bottleneck.verdict == Verdict.UNKNOWN
    assert "no run had less data" in bottleneck.why


def test_what_a_verdict_lacks_is_said():
    runs = simulate_pilot(0, 0.03, b_T=0.05, b_d=0.02, G=0.3)
    findings = conclusions.draw_conclusions(runs, FLOOR)
    assert findings.bottleneck.verdict == Verdict.UNKNOWN
    assert re.search(
        r"with a probability of \d+ %, less than the 90 % that a verdict needs", findings.says[-1]
    )


def test_next_runs_are_new_near_and_affordable(findings):
    assert len(findings.next) == 3
    for run in findings.next:
        assert run.n_layers <= 6
        assert run.d_emb <= 64
        assert 0 <= run.chance <= 1
        assert run.seconds <= 22 * 20
        assert run.n_layers > 3 or run.d_emb > 32


def without_hits(runs):
    return runs.assign(**{"NDCG@10": runs["NDCG@10"].where(runs.index > 3, 0.0)})


def no_better_than_popularity(runs):
    return runs.assign(**{"NDCG@10": 0.01 + 1e-5 * np.arange(22), "NDCG@10 se": 0.001})


def without_a_law(runs):
    cell = runs.groupby(["n_layers", "d_emb", "tokens"]).ngroup() % 14
    random = np.random.default_rng(0).normal(size=14)
    return runs.assign(**{"NDCG@10": 0.1 * np.exp(random[cell])})


HOPELESS = [
    (lambda runs: runs.assign(test_targets=60), "too little data: a run hits"),
    (without_hits, "too little data: in 4 of 22 runs no test user"),
    (lambda runs: runs.assign(**{"NDCG@10 se": 1.5 * runs["NDCG@10"]}), "too wide to plan by"),
    (no_better_than_popularity, "no run is better than ranking by popularity"),
    (without_a_law, "the law does not fit|do not agree"),
    (lambda runs: runs[runs["n_layers"] == 1], "too little was run"),
    (lambda runs: runs.head(4), "too little was run"),
]


@pytest.mark.parametrize(("change", "reason"), HOPELESS)
def test_where_nothing_can_be_claimed_it_says_so(change, reason):
    findings = conclusions.draw_conclusions(change(simulate_pilot()), FLOOR)
    assert re.search(reason, findings.says[0])
    assert findings.says[0].startswith("Nothing can be claimed")
    assert findings.bottleneck.verdict == Verdict.UNKNOWN
    assert json.dumps(findings.to_dict(), allow_nan=False)


def every_user_hit(runs, metric="NDCG@10"):
    return runs.assign(**{metric: runs[metric].where(runs.index > 3, 1.0)})


def one_test_user(runs):
    return runs.assign(test_targets=1, **{"NDCG@10 se": None, "HR@10 se": None})


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            every_user_hit,
            "nothing is left to gain: NDCG@10 is 1, the most that it can be, in 4 of 22",
        ),
        (one_test_user, r"of so few test users nobody knows .* \(1 in the smallest run\)"),
    ],
)
def test_where_nothing_can_be_forecast_it_says_so(change, reason):
    findings = conclusions.draw_conclusions(change(simulate_pilot()), FLOOR)
    assert re.search(reason, findings.says[0])
    assert findings.metrics == {}


def test_a_metric_that_was_not_asked_for_voids_nothing(findings):
    full = conclusions.draw_conclusions(every_user_hit(simulate_pilot(), "HR@10"), FLOOR)
    assert list(full.metrics) == ["NDCG@10"]
    assert full.recommendation == findings.recommendation
    assert "HR@10 is not forecast: nothing is left to gain: HR@10 is 1" in " ".join(full.says)


def test_where_nothing_is_left_to_gain_nothing_is_to_be_done():
    findings = conclusions.draw_conclusions(every_user_hit(simulate_pilot()), FLOOR)
    assert findings.says[0].startswith("There is nothing to do: nothing is left to gain")
    headline = summarize_advice(findings)
    assert headline["Verdict"].startswith("nothing is left to gain")
    assert headline["Next"] == "nothing to do"


@pytest.mark.parametrize(
    "runs",
    [
        every_user_hit(simulate_pilot()).assign(test_targets=12),
        simulate_pilot().assign(
            **{"NDCG@10": lambda runs: runs["NDCG@10"].where(runs["tokens"] == 1e5, 1.0)}
        ),
    ],
    ids=["few users", "part of the data"],
)
def test_a_rate_of_one_that_may_be_chance_does_not_end_the_search(runs):
    findings = conclusions.draw_conclusions(runs, FLOOR)
    assert findings.recommendation.advice == Advice.UNKNOWN
    assert re.search("too little data: NDCG@10 is 1, .*, none on all data with", findings.says[0])


def test_one_size_has_one_forecast(findings):
    promising = findings.recommendation.promising
    rows = findings.metrics["NDCG@10"].predictions.set_index(["n_layers", "d_emb", "data"])
    best = rows.loc[(promising.best.n_layers, promising.best.d_emb, 1), "predicted"]
    assert best == pytest.approx(promising.best_value, rel=1e-6)


@pytest.mark.integration
def test_what_cannot_be_told_is_not_shown_as_told():
    runs = simulate_pilot()
    full = conclusions.draw_conclusions(runs[runs["tokens"] == runs["tokens"].max()])
    assert "cannot be told yet: no run had less data than there is, so that other" in full.says[-1]
    assert "users and items), by other logs alone, +" in full.says[-1]
    assert "by other logs alone" not in conclusions.draw_conclusions(runs).says[-1]


def test_where_nothing_is_claimed_nothing_is_to_be_trained():
    runs = simulate_pilot().assign(test_targets=60)
    findings = conclusions.draw_conclusions(runs, FLOOR)
    assert findings.recommendation.advice == Advice.UNKNOWN
    assert not any("Train" in sentence for sentence in findings.says)


@pytest.mark.parametrize("column", ["key", "NDCG@10 se", "validation NDCG@10", "tokens"])
def test_a_table_that_is_not_of_records_is_refused(column):
    with pytest.raises(InputError, match=f"no column '{column}', which records have"):
        conclusions.draw_conclusions(simulate_pilot().drop(columns=column))


@pytest.mark.integration
def test_metrics_by_the_rule_of_record_are_taken_where_they_are():
    runs = simulate_pilot()
    removed = {f"removed {name}": 0.9 * runs[name] for name in ("NDCG@10", "HR@10")}
    value = conclusions.draw_conclusions(runs.assign(**removed)).metrics["NDCG@10"].measured
    expected = conclusions.draw_conclusions(runs).metrics["NDCG@10"].measured
    assert np.allclose(value["value"], 0.9 * expected["value"])


def test_the_first_metric_decides():
    findings = conclusions.draw_conclusions(simulate_pilot(), FLOOR, metrics=["HR@10", "NDCG@10"])
    assert list(findings.metrics) == ["HR@10", "NDCG@10"]
    assert "its HR@10" in findings.says[0]


@pytest.mark.integration
def test_runs_that_failed_are_counted():
    runs = simulate_pilot()
    runs.loc[5, ["NDCG@10", "HR@10", "NDCG@10 se", "HR@10 se"]] = np.nan
    findings = conclusions.draw_conclusions(runs)
    assert findings.unfinished == 1
    assert findings.runs == 21


def test_runs_that_others_contradict_are_named():
    runs = simulate_pilot()
    runs.loc[9, ["NDCG@10", "NDCG@10 se"]] *= 0.2
    findings = conclusions.draw_conclusions(runs)
    assert [one.key for one in findings.left_out] == [f"{9:016x}"]


@pytest.mark.integration
@pytest.mark.parametrize(
    "path", sorted(results.sweeps_folder().glob("*.csv")), ids=lambda path: path.stem
)
def test_conclusions_can_be_drawn_from_every_sweep(path):
    runs = results.read_runs_table(path)
    by = ["log", "loss", "split", "learning_rate", "dropout"]
    for _, part in runs[runs["backbone"] == "sasrec"].groupby(by):
        findings = conclusions.draw_conclusions(part)
        assert findings.says
        assert findings.reasons or findings.metrics
