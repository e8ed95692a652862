"""Steps whose share other logs teach: neither share nor choice sees the scored log."""

import numpy as np
import pandas as pd
import pytest

from perflaw.study import learnt_steps, public_grids

LOGS = ("a", "b", "c", "d")


def made_steps(share, others=0.0):
    """Hidden cells that lie `share` of one rule's step from the nearest cell."""
    rows = []
    for i, log in enumerate(LOGS):
        for n in (1, 2):
            step = 0.1 * (i + n)
            known = (log, "SASRec", "leave one out", n, 64, 0.1 * np.exp(share * step), 0.1)
            rows += [(*known, "good", step), (*known, "bad", others - step)]
    columns = [*public_grids.SURFACE, "n_layers", "d_emb", "value", "nearest", "rule", "step"]
    return pd.DataFrame(rows, columns=columns)


def test_the_share_is_learnt_from_the_other_logs():
    judged = learnt_steps.judge_rules(learnt_steps.errors_by_share(made_steps(0.5)))
    good = judged[judged["rule"] == "good"]
    assert good["share"].tolist() == pytest.approx([0.5] * 4)
    assert good["ape"].max() == pytest.approx(0, abs=1e-9)


def test_the_better_rule_is_chosen_and_the_number_tried_is_said():
    chosen = learnt_steps.choose_rule_by_other_logs(learnt_steps.errors_by_share(made_steps(0.5)))
    assert set(chosen["rule"]) == {"good"}
    assert set(chosen["tried"]) == {2}
    assert (chosen["nearest"] > chosen["ape"]).all()


def test_the_scored_log_does_not_choose():
    steps = made_steps(0.5)
    is_scored = steps["log"] == "a"
    wrecked = steps.assign(value=np.where(is_scored, 7 * steps["value"], steps["value"]))
    first, second = (
        learnt_steps.choose_rule_by_other_logs(learnt_steps.errors_by_share(table)).set_index("log")
        for table in (steps, wrecked)
    )
    assert second.loc["a", ["rule", "share"]].tolist() == first.loc["a", ["rule", "share"]].tolist()
    assert second.loc["a", "ape"] > first.loc["a", "ape"] + 50


def test_a_share_of_zero_is_the_nearest_cell():
    errors = learnt_steps.errors_by_share(made_steps(0.5))
    expected = 100 * abs(np.exp(-0.05) - 1) / 2 + 100 * abs(np.exp(-0.1) - 1) / 2
    assert errors.loc[("good", "a"), 0.0].iloc[0] == pytest.approx(expected)


def test_one_known_step_is_exact_where_all_depths_share_it():
    steps = made_steps(0.5)
    alike = steps.assign(value=0.12)
    assert learnt_steps.known_step_errors(alike).max() == pytest.approx(0, abs=1e-9)
    assert learnt_steps.known_step_errors(steps).min() > 0


def test_every_rule_of_the_public_grids_has_a_step():
    runs = public_grids.load_runs().query("log == 'Diginetica' and backbone == 'SASRec'")
    surfaces = public_grids.make_surfaces(public_grids.choose_dropout(runs))
    joint = learnt_steps.load_joint_errors().query("hidden == 'largest d' and on != 'all'")
    laws = {"log-linear": public_grids.candidate_laws()["log-linear"]}
    steps = learnt_steps.make_steps(surfaces, runs, laws, joint)
    assert steps.groupby("rule").size().tolist() == [6] * 5
    assert steps["step"].notna().all()
    without = learnt_steps.make_steps(surfaces, runs, laws, joint.head(0))
    assert set(steps["rule"]) - set(without["rule"]) == {"towards joint law"}
    towards = steps[steps["rule"] == "towards log-linear"]
    hidden = public_grids.predict_hidden(surfaces, {}, ["largest d"])
    nearest = hidden[hidden["law"] == "nearest trained cell"]["predicted"]
    assert sorted(towards["nearest"]) == pytest.approx(sorted(nearest))


def test_recorded_joint_predictions_are_of_these_grids():
    joint = learnt_steps.load_joint_errors()
    surfaces = public_grids.make_surfaces(public_grids.choose_dropout(public_grids.load_runs()))
    both = joint.merge(surfaces, on=[*public_grids.SURFACE, "n_layers", "d_emb"])
    assert len(both) == len(joint) == 520
    assert both["value_x"].to_numpy() == pytest.approx(both["value_y"].to_numpy(), rel=1e-5)
