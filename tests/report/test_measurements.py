"""Runs of one's own: what is needed, what is derived, and what is refused in one line."""

import numpy as np
import pandas as pd
import pytest
from simulated_pilots import simulate_pilot

from perflaw.errors import InputError
from perflaw.report import forecast_runs, measurements
from perflaw.report.findings import Advice, Size
from perflaw.report.measurements import measured_from_table


@pytest.fixture
def runs():
    """A table as one keeps it."""
    pilot = simulate_pilot(2)
    return pilot[["n_layers", "d_emb", "seed", "tokens", "NDCG@10"]].assign(users=2000)


def test_own_runs_are_forecast(runs):
    findings = forecast_runs(runs)
    assert findings.runs == 22
    assert not findings.reasons
    assert findings.recommendation.advice != Advice.UNKNOWN


def test_own_runs_are_not_compared_with_baselines(runs):
    assert "baselines were not compared" in forecast_runs(runs).says[1]


def test_own_runs_may_have_any_index(runs):
    shuffled = runs.sample(frac=1, random_state=0)
    assert forecast_runs(shuffled).best == forecast_runs(runs).best


def test_few_columns_are_enough(runs):
    few = runs[runs["tokens"] == runs["tokens"].max()].drop(columns=["seed", "tokens"])
    findings = forecast_runs(few)
    assert "no run had less data" in findings.bottleneck.why


def test_a_share_stands_for_tokens(runs):
    share = runs.assign(share=runs["tokens"] / runs["tokens"].max()).drop(columns="tokens")
    values = forecast_runs(share).to_dict()["metrics"]["NDCG@10"]["doublings"]
    expected = forecast_runs(runs).to_dict()["metrics"]["NDCG@10"]["doublings"]
    assert values == expected


def test_the_error_of_a_hit_rate_is_binomial():
    runs = pd.DataFrame({"n_layers": [1], "d_emb": [8], "HR@10": [0.2], "users": [400]})
    assert measured_from_table(runs, "HR@10")["HR@10 se"][0] == pytest.approx(0.02)


def test_the_error_of_ndcg_is_about_that_of_recorded_runs():
    pilot = pd.DataFrame({"n_layers": [1], "d_emb": [8], "NDCG@10": [0.1], "users": [1000]})
    error = measured_from_table(pilot, "NDCG@10")["NDCG@10 se"][0]
    assert error == pytest.approx(np.sqrt((0.061 - 0.01) / 1000))


@pytest.mark.parametrize("column", ["n_layers", "d_emb", "NDCG@10"])
def test_a_missing_column_is_named(runs, column):
    with pytest.raises(InputError, match=f"no column '{column}'; they have"):
        forecast_runs(runs.drop(columns=column))


def test_a_table_without_users_is_refused(runs):
    with pytest.raises(InputError, match="neither a column 'users'"):
        forecast_runs(runs.drop(columns="users"))


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("NDCG@10", 8.1),
        ("NDCG@10", 0.0),
        ("NDCG@10", None),
        ("users", "2,000"),
        ("n_layers", 0),
        ("d_emb", "wide"),
        ("users", 1),
        ("tokens", -1),
        ("tokens", 1e300),
        ("share", 2),
        ("NDCG@10 se", 1e300),
        ("NDCG@10", 1e-12),
    ],
)
def test_a_value_that_cannot_be_is_named_with_its_row(runs, column, value):
    if column == "share":
        runs = runs.drop(columns="tokens", errors="ignore")
    runs[column] = runs[column].astype(object) if column in runs else 0.5
    runs.loc[3, column] = value
    mend = "leave the row out, or give a number" if value is None else "use a number"
    with pytest.raises(
        InputError, match=rf"row 4 of the runs: {column} = .* is not usable; {mend}"
    ):
        forecast_runs(runs)


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("log", ["small", "big"], r"rows differ in log \(small, big\); keep those of one value"),
        ("backbone", ["sasrec", "gru"], "rows differ in backbone"),
        ("seed", [[0], [1]], "a seed that is no number or text"),
    ],
)
def test_runs_that_are_not_of_one_surface_are_refused(runs, column, values, message):
    runs[column] = [values[place % 2] for place in range(len(runs))]
    with pytest.raises(InputError, match=message):
        forecast_runs(runs)


def test_an_error_rate_is_refused(runs):
    named = runs.rename(columns={"NDCG@10": "error_rate"})
    with pytest.raises(InputError, match="of error_rate less is better"):
        forecast_runs(named, "error_rate")


@pytest.mark.parametrize("name", ["NDCG@10 timesplit", "time-aware NDCG@10", "glossary recall"])
def test_a_gain_whose_name_has_part_of_a_loss_is_no_loss(runs, name):
    assert forecast_runs(runs.rename(columns={"NDCG@10": name}), name).metrics


@pytest.mark.parametrize("name", ["miss rate", "train_loss", "MAE", "valloss", "runtime"])
def test_a_loss_is_known_by_its_name(runs, name):
    with pytest.raises(InputError, match=f"of {name} less is better"):
        forecast_runs(runs.rename(columns={"NDCG@10": name}), name)


def test_a_column_of_another_meaning_is_no_metric(runs):
    with pytest.raises(InputError, match="'seed' is no metric of a report"):
        forecast_runs(runs, "seed")


def test_tokens_and_share_together_are_refused(runs):
    with pytest.raises(InputError, match="both tokens and share"):
        forecast_runs(runs.assign(share=1.0))


def test_runs_on_almost_all_data_are_on_all(runs):
    full = measurements.on_all_data(runs)
    jitter = np.arange(len(runs)) % 3
    assert len(measurements.on_all_data(runs.assign(tokens=runs["tokens"] + jitter))) == len(full)


def test_a_share_of_all_users_may_be_one(runs):
    with pytest.raises(
        InputError, match=r"share = 1\.5 is not usable; use a number above 0 and at"
    ):
        forecast_runs(runs.drop(columns="tokens").assign(share=1.5))


def test_columns_that_a_report_does_not_need_change_nothing(runs):
    timed = runs.assign(seconds=10.0, positions=1000)
    assert forecast_runs(timed).says == forecast_runs(runs).says


def test_a_metric_of_which_less_is_better_is_refused(runs):
    with pytest.raises(InputError, match="of log-loss less is better"):
        forecast_runs(runs.rename(columns={"NDCG@10": "log-loss"}), "log-loss")


def test_two_columns_of_one_name_are_refused(runs):
    with pytest.raises(InputError, match="two columns 'users'"):
        forecast_runs(pd.concat([runs, runs["users"]], axis=1))


def test_a_comma_in_a_number_is_pointed_at(runs):
    with pytest.raises(InputError, match=r"users = 2,000 is .* \(write it without a comma\)"):
        forecast_runs(runs.assign(users="2,000"))


@pytest.mark.parametrize("table", [None, {"n_layers": [1]}, "runs.csv"])
def test_what_is_no_table_is_refused(table):
    with pytest.raises(InputError, match=r"have to be a pandas\.DataFrame"):
        forecast_runs(table)


def test_an_empty_table_is_refused(runs):
    with pytest.raises(InputError, match="has no rows"):
        forecast_runs(runs.head(0))


def test_a_row_that_is_there_twice_is_refused(runs):
    twice = pd.concat([runs, runs.head(1)])
    with pytest.raises(InputError, match="row 23 of the runs is the same as an earlier one"):
        forecast_runs(twice)


def test_two_values_of_one_seed_are_refused(runs):
    again = runs.head(1).assign(**{"NDCG@10": 0.09})
    with pytest.raises(InputError, match=r"row 23 of the runs repeats an earlier one \(n_layers"):
        forecast_runs(pd.concat([runs, again]))


@pytest.mark.integration
def test_epochs_of_one_run_are_refused(runs):
    few = runs[runs["tokens"] == runs["tokens"].max()].drop(columns=["seed", "tokens"])
    epochs = pd.concat([few.assign(epoch=1), few.assign(epoch=2)])
    with pytest.raises(InputError, match="keep one row a run, of its best epoch say"):
        forecast_runs(epochs)


def test_runs_that_differ_in_a_column_called_line_are_two(runs):
    runs = runs.drop(columns="seed")
    twice = pd.concat([runs, runs]).assign(line=range(2 * len(runs)))
    assert len(measured_from_table(twice, "NDCG@10")) == 2 * len(runs)


def test_a_row_of_a_file_is_named_by_its_line(runs):
    lines = pd.Index(range(2, 2 + len(runs)), name="line")
    named = measurements.measured_from_table(runs.set_axis(lines), "NDCG@10")
    assert named["key"].iloc[3] == "line 5"
    again = measurements.measured_from_table(runs.assign(line=lines), "NDCG@10")
    assert again["key"].tolist() == named["key"].tolist()


@pytest.mark.parametrize(("value", "remedy"), [(2.5, "a whole number"), (10**30, "at most 1e")])
def test_a_size_that_no_model_has_is_refused(runs, value, remedy):
    odd = runs.astype({"n_layers": object})
    odd.loc[odd.index[3], "n_layers"] = value
    with pytest.raises(InputError, match=f"row 4 of the runs: n_layers = .*{remedy}"):
        forecast_runs(odd)


def test_half_a_test_user_is_refused(runs):
    odd = runs.astype({"users": float})
    odd.loc[odd.index[3], "users"] = 1234.5
    with pytest.raises(InputError, match=r"users = 1234\.5 .*a whole number"):
        forecast_runs(odd)


def test_runs_are_shown_by_the_rule_of_record():
    runs = pd.DataFrame({"HR@10": [0.5, 0.4], f"{measurements.REMOVED}HR@10": [0.6, None]})
    assert measurements.by_rule_of_record(runs, ["HR@10"])["HR@10"].tolist() == [0.6, 0.4]


def test_a_column_that_was_not_asked_for_may_hold_anything(runs):
    findings = forecast_runs(runs.assign(**{"HR@10": "none"}))
    assert findings.best == forecast_runs(runs).best


def test_the_best_is_chosen_by_validation_where_runs_have_it(runs):
    smallest = (runs["n_layers"] == 1) & (runs["d_emb"] == 8)
    validated = forecast_runs(runs.assign(**{"validation NDCG@10": smallest / 2}))
    assert validated.best == Size(1, 8)
    assert any("on validation N = 1, d = 8 is the best" in line for line in validated.says)
    assert "chosen_on_test" not in validated.to_dict()


def test_without_validation_nobody_says_that_it_chose(runs):
    findings = forecast_runs(runs)
    best = (
        f"N = {findings.best.n_layers}, d = {findings.best.d_emb} is the best trained size on test"
    )
    assert any(best in line for line in findings.says)
    assert not any("on validation" in line for line in findings.says)
    assert findings.to_dict()["chosen_on_test"]


@pytest.mark.integration
def test_nearly_as_many_tokens_are_all_data(runs):
    full = runs[runs["tokens"] == runs["tokens"].max()].reset_index(drop=True)
    expected = forecast_runs(full)
    full.loc[full["NDCG@10"].idxmax(), "tokens"] *= 0.995
    again = forecast_runs(full)
    assert again.says == expected.says
    assert "nan" not in " ".join(again.says)


@pytest.mark.parametrize(("metric", "second_moment"), [("hr@10", 0.2), ("Recall@10", 0.2)])
def test_a_hit_is_known_by_its_name_in_any_case(metric, second_moment):
    runs = pd.DataFrame({"n_layers": [1], "d_emb": [8], metric: [0.2], "users": [400]})
    error = np.sqrt((second_moment - 0.04) / 400)
    assert measured_from_table(runs, metric)[f"{metric} se"][0] == pytest.approx(error)


@pytest.mark.integration
def test_models_larger_than_any_of_the_study_have_larger_ones_next():
    sizes = [(n, d) for n in (8, 16, 32) for d in (512, 1024, 2048)]
    runs = pd.DataFrame(sizes, columns=["n_layers", "d_emb"]).assign(users=50_000)
    runs["NDCG@10"] = 0.01 * np.log2(runs["d_emb"]) + 0.02
    promising = forecast_runs(runs).recommendation.promising
    assert promising.size.d_emb == 4096
